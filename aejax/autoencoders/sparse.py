"""Sparse autoencoders: few units of a code are active, so that a code may have more dimensions than the example."""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, PyTree

from aejax.autoencoders.part import Part, Term
from aejax.autoencoders.penalized import penalized
from aejax.autoencoders.record import (
    Autoencoder,
    Batch,
    Metrics,
    encoder_inputs,
    global_mean_over_batch,
    mean_over_batch,
)
from aejax.autoencoders.undercomplete import undercomplete
from aejax.checks import check_count
from aejax.divergences import bernoulli_kl
from aejax.losses import ReconstructionLoss, squared_error
from aejax.networks.entrance import apply_to_one
from aejax.networks.network import Network, SupportsInitApply, check_network, initialize
from aejax.precision import at_least_single

_NOT_WITH_K_SPARSE = ("k_sparse", "k_sparse already fixes how many entries of a code are active")
SPARSE = Part(
    "sparse",
    terms=(Term("l1_penalty", "L1 penalty", "no unit"), Term("active_fraction", "active fraction", "no unit")),
    excludes=(_NOT_WITH_K_SPARSE,),
)
SPARSE_KL = Part(
    "sparse_kl",
    terms=(
        Term("sparsity_kl", "KL divergence of mean activations", "nats"),
        Term("mean_activation", "mean activation", "no unit"),
    ),
    excludes=(
        _NOT_WITH_K_SPARSE,
        ("variational", "a target activation expects codes in [0, 1], but a posterior's mean is not bounded"),
    ),
    coupled_through="the mean activation",
)
K_SPARSE = Part("k_sparse")


def sparse(autoencoder: Autoencoder, *, weight: ArrayLike) -> Autoencoder:
    """Adds λ E Σₖ |fₖ(x)|, the L1 norm of the code, to an autoencoder's loss.

    Args:
      autoencoder: any autoencoder; for a variational one the code is the posterior's mean.
      weight: λ >= 0, the weight of a sum over the code's entries.

    Returns:
      The autoencoder with the new loss. Its metrics are those of the wrapped autoencoder, `l1_penalty`, before
      weighting, and `active_fraction`, the fraction of the code's entries that are not 0.

    Raises:
      ValueError: weight is negative, or the autoencoder cannot be combined with this penalty.

    Source: I. Goodfellow, Y. Bengio, A. Courville (2016), Deep Learning, section 14.2.1.

    >>> from aejax.networks import MLP
    >>> encoder = MLP(output_shape=(20,), output_activation=jax.nn.relu)
    >>> autoencoder = sparse(undercomplete(encoder, MLP(output_shape=(5,))), weight=0.1)
    >>> params = jax.eval_shape(autoencoder.init, jax.random.key(0), jnp.ones(5))
    >>> loss, metrics = jax.eval_shape(autoencoder.loss, params, jax.random.key(1), jnp.ones((8, 5)))
    >>> sorted(metrics)
    ['active_fraction', 'l1_penalty', 'loss', 'reconstruction']
    """

    def terms(params: PyTree, batch: Batch) -> Metrics:
        def of_example(*inputs: Array) -> Metrics:
            code = autoencoder.encode(params, *inputs)
            return {
                "l1_penalty": jnp.sum(jnp.abs(code)),
                "active_fraction": jnp.mean(code != 0, dtype=at_least_single(code.dtype)).astype(code.dtype),
            }

        means: Metrics = mean_over_batch(jax.vmap(of_example)(*encoder_inputs(batch)), batch)
        return means

    return penalized(autoencoder, SPARSE, terms, weight=weight)


def sparse_kl(
    autoencoder: Autoencoder, *, weight: ArrayLike, rho: float | Array, axis_name: str | None = None
) -> Autoencoder:
    """Adds λ Σₖ KL(ρ ‖ ρ̂ₖ), where ρ̂ₖ = E fₖ(x) is the mean activation of a unit, to an autoencoder's loss.

    Coupled through the batch: never `vmap` its loss over examples. The mean is over the global batch.

    Args:
      autoencoder: any autoencoder whose codes lie in [0, 1], for instance with a sigmoid as the encoder's output
        activation; a mean activation outside [0, 1] makes the loss NaN.
      weight: λ >= 0, the weight of a sum over the units.
      rho: ρ in (0, 1), the target activation.
      axis_name: the mapped axis over which the global batch is split, `aejax.training.AXIS` in `train`; None if the
        loss receives the whole batch.

    Returns:
      The autoencoder with the new loss. Its metrics are those of the wrapped autoencoder, `sparsity_kl`, in nats,
      before weighting, and `mean_activation`.

    Raises:
      ValueError: weight is negative, rho is outside (0, 1), or the autoencoder cannot be combined with this penalty.

    Source: A. Ng (2011), Sparse Autoencoder, CS294A lecture notes, section 3.

    >>> from aejax.networks import MLP
    >>> encoder = MLP(output_shape=(20,), output_activation=jax.nn.sigmoid)
    >>> autoencoder = sparse_kl(undercomplete(encoder, MLP(output_shape=(5,))), weight=0.1, rho=0.05)
    >>> params = jax.eval_shape(autoencoder.init, jax.random.key(0), jnp.ones(5))
    >>> loss, metrics = jax.eval_shape(autoencoder.loss, params, jax.random.key(1), jnp.ones((8, 5)))
    >>> sorted(metrics)
    ['loss', 'mean_activation', 'reconstruction', 'sparsity_kl']
    """
    if not isinstance(rho, jax.core.Tracer) and not 0 < rho < 1:
        raise ValueError(f"rho must lie between 0 and 1, got {rho}")

    def terms(params: PyTree, batch: Batch) -> Metrics:
        codes = jax.vmap(partial(autoencoder.encode, params))(*encoder_inputs(batch))
        mean_activation = global_mean_over_batch(codes, batch, axis_name)
        is_probability = jnp.all((mean_activation >= 0) & (mean_activation <= 1))
        penalty = jnp.where(is_probability, bernoulli_kl(rho, mean_activation), jnp.nan)
        return {"sparsity_kl": penalty, "mean_activation": jnp.mean(mean_activation)}

    return penalized(autoencoder, SPARSE_KL, terms, weight=weight)


def k_sparse(
    encoder: SupportsInitApply,
    decoder: SupportsInitApply,
    *,
    k: int,
    loss: ReconstructionLoss = squared_error,
    link: Callable[[Array], Array] | None = None,
) -> Autoencoder:
    """Minimizes E L(x, g(h)), where the code h keeps the k largest entries of f(x) and sets the others to 0.

    The same k is used in training and afterwards: the paper's option of α k entries at test time is not implemented.

    Args:
      encoder: f, maps one example to its code; linear in the paper. With a ReLU as output activation, some of the k
        entries may be 0 too.
      decoder: g, maps one code to the output that `loss` compares with the example.
      k: the number of entries that are kept, from 1 to the length of the code.
      loss: L(x, output of the decoder), the loss of one example.
      link: maps the decoder's output to data space; by default the link that belongs to the loss.

    Returns:
      An autoencoder; its metrics are `loss` and `reconstruction`.

    Raises:
      ValueError: k is below 1 or, raised by `init`, k exceeds the length of the code.
      TypeError: k is not an integer, or encoder or decoder is not a network.

    Source: A. Makhzani, B. Frey (2014), k-Sparse Autoencoders, algorithm 1.

    >>> from aejax.networks import MLP
    >>> autoencoder = k_sparse(MLP(output_shape=(20,)), MLP(output_shape=(5,)), k=3)
    >>> params = jax.jit(autoencoder.init)(jax.random.key(0), jnp.ones(5))
    >>> jnp.count_nonzero(jax.jit(autoencoder.encode)(params, jnp.ones(5))).item()
    3
    """
    check_network(encoder, "encoder", "k_sparse")
    check_count("k", k)

    def apply(params: PyTree, *inputs: Array) -> Array:
        return keep_largest(apply_to_one(encoder, params, *inputs, role="encoder", name="x"), k)

    def init(key: Array, *inputs: Array) -> PyTree:
        return initialize(encoder, key, *inputs)

    plain = undercomplete(Network(init, apply), decoder, loss=loss, link=link)
    (part,) = plain.parts
    return plain._replace(parts=(part._replace(name=K_SPARSE.name),))


def keep_largest(code: Array, k: int) -> Array:
    """Returns a code with its k largest entries and 0 elsewhere; among equal entries the first ones are kept.

    >>> keep_largest(jnp.array([1.0, 3.0, 2.0, 3.0]), 2)
    Array([0., 3., 0., 3.], dtype=float32)
    """
    if k > code.size:
        raise ValueError(f"k must be at most the {code.size} entries of the code, got {k}")
    flat = code.reshape(-1)
    _, kept = jax.lax.top_k(flat, k)
    return jnp.zeros_like(flat).at[kept].set(flat[kept]).reshape(code.shape)
