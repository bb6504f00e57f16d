"""Sparsity: few units of a code are active, so that a code may be longer than its example."""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, PyTree

from aejax.autoencoders.part import Part, Term
from aejax.autoencoders.penalized import penalized
from aejax.autoencoders.record import (
    Autoencoder,
    Batch,
    Metrics,
    global_mean_over_batch,
    mean_over_batch,
    observations,
)
from aejax.autoencoders.undercomplete import reconstruction_terms, undercomplete
from aejax.checks import check_count
from aejax.divergences import bernoulli_kl
from aejax.losses import ReconstructionLoss, squared_error
from aejax.networks.entrance import apply_to_one
from aejax.networks.network import Network, SupportsInitApply, check_network, initialize
from aejax.precision import at_least_single

_FIXED_ALREADY = ("k_sparse", "k_sparse fixes already how many entries of a code are active")
SPARSE = Part(
    "sparse",
    terms=(Term("l1_penalty", "l1 penalty", "no unit"), Term("active_fraction", "active fraction", "no unit")),
    excludes=(_FIXED_ALREADY,),
)
SPARSE_KL = Part(
    "sparse_kl",
    terms=(Term("sparsity_kl", "sparsity kl", "nats"), Term("mean_activation", "mean activation", "no unit")),
    excludes=(
        _FIXED_ALREADY,
        ("variational", "a target activation expects codes in [0, 1], and a posterior's mean is any number"),
    ),
    coupled_through="the mean activation",
)
K_SPARSE = Part("k_sparse")


def sparse(autoencoder: Autoencoder, *, weight: float) -> Autoencoder:
    """Adds λ E Σₖ |fₖ(x)|, the absolute values of the code, to an autoencoder's loss.

    Args:
      autoencoder: any; of a variational one the posterior's mean is meant.
      weight: λ >= 0, times a sum over the code.

    Returns:
      The autoencoder with that loss, and the metrics `l1_penalty`, not yet weighted, and `active_fraction`, the part
      of the code's entries that are not 0, besides its own.

    Raises:
      ValueError: a negative weight.

    Source: I. Goodfellow, Y. Bengio, A. Courville (2016), Deep Learning, section 14.2.1.

    >>> from aejax.networks import MLP
    >>> encoder = MLP(output_shape=(20,), output_activation=jax.nn.relu)
    >>> autoencoder = sparse(undercomplete(encoder, MLP(output_shape=(5,))), weight=0.1)
    >>> params = autoencoder.init(jax.random.key(0), jnp.ones(5))
    >>> loss, metrics = autoencoder.loss(params, jax.random.key(1), jnp.ones((8, 5)))
    >>> sorted(metrics)
    ['active_fraction', 'l1_penalty', 'loss', 'reconstruction']
    """

    def terms(params: PyTree, batch: Batch) -> Metrics:
        def of_one(*observed: Array) -> Metrics:
            code = autoencoder.encode(params, *observed)
            return {
                "l1_penalty": jnp.sum(jnp.abs(code)),
                "active_fraction": jnp.mean(code != 0, dtype=at_least_single(code.dtype)).astype(code.dtype),
            }

        added: Metrics = mean_over_batch(jax.vmap(of_one)(*observations(batch)), batch)
        return added

    return penalized(autoencoder, SPARSE, terms, weight=weight)


def sparse_kl(autoencoder: Autoencoder, *, weight: float, rho: float, axis_name: str | None = None) -> Autoencoder:
    """Adds λ Σₖ KL(ρ ‖ ρ̂ₖ), ρ̂ₖ = E fₖ(x) the mean activation of a unit over the batch, to an autoencoder's loss.

    Coupled through the batch: never `vmap` its loss over examples. The mean is over the global batch.

    Args:
      autoencoder: any whose code lies in [0, 1], such as that of an encoder with a sigmoid at its end; a mean
        activation outside makes the loss NaN.
      weight: λ >= 0, times a sum over the units.
      rho: ρ in (0, 1), the target activation.
      axis_name: the mapped axis over which the global batch is spread, `aejax.training.AXIS` in `train`; None where
        the loss is given the whole batch.

    Returns:
      The autoencoder with that loss, and the metrics `sparsity_kl`, not yet weighted, and `mean_activation` besides
      its own.

    Raises:
      ValueError: a negative weight, or rho outside (0, 1).

    Source: A. Ng (2011), Sparse Autoencoder, CS294A lecture notes, section 3.

    >>> from aejax.networks import MLP
    >>> encoder = MLP(output_shape=(20,), output_activation=jax.nn.sigmoid)
    >>> autoencoder = sparse_kl(undercomplete(encoder, MLP(output_shape=(5,))), weight=0.1, rho=0.05)
    >>> params = autoencoder.init(jax.random.key(0), jnp.ones(5))
    >>> loss, metrics = autoencoder.loss(params, jax.random.key(1), jnp.ones((8, 5)))
    >>> sorted(metrics)
    ['loss', 'mean_activation', 'reconstruction', 'sparsity_kl']
    """
    if not 0 < rho < 1:
        raise ValueError(f"rho must lie between 0 and 1, got {rho}")

    def terms(params: PyTree, batch: Batch) -> Metrics:
        codes = jax.vmap(partial(autoencoder.encode, params))(*observations(batch))
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
    """An autoencoder whose code keeps its k largest entries and sets the others to 0.

    As in training, so in use: the paper's larger number α k of entries at test time is left out.

    Args:
      encoder: from one example to its code; linear in the paper. Of one that ends in ReLU some of the k may be 0 too.
      decoder: from one code to what `loss` compares with the example.
      k: how many entries are kept, from 1 to the length of the code.
      loss: as for `undercomplete`.
      link: as there.

    Raises:
      ValueError: k below 1, or above the length of the code (when that is known, at `init`).
      TypeError: k is no integer.

    Source: A. Makhzani, B. Frey (2014), k-Sparse Autoencoders, algorithm 1.

    >>> from aejax.networks import MLP
    >>> autoencoder = k_sparse(MLP(output_shape=(20,)), MLP(output_shape=(5,)), k=3)
    >>> params = autoencoder.init(jax.random.key(0), jnp.ones(5))
    >>> jnp.count_nonzero(autoencoder.encode(params, jnp.ones(5))).item()
    3
    """
    check_network(encoder, "encoder", "k_sparse")
    check_count("k", k)

    def apply(params: PyTree, *observed: Array) -> Array:
        return keep_largest(apply_to_one(encoder, params, *observed, role="encoder", name="x"), k)

    def init(key: Array, *observed: Array) -> PyTree:
        return initialize(encoder, key, *observed)

    plain = undercomplete(Network(init, apply), decoder, loss=loss, link=link)
    return plain._replace(parts=(K_SPARSE._replace(terms=reconstruction_terms(loss)),))


def keep_largest(code: Array, k: int) -> Array:
    """The k largest entries of a code, the others 0; of equal entries the first are kept.

    >>> keep_largest(jnp.array([1.0, 3.0, 2.0, 3.0]), 2)
    Array([0., 3., 0., 3.], dtype=float32)
    """
    if k > code.size:
        raise ValueError(f"k must be at most the {code.size} entries of the code, got {k}")
    flat = code.reshape(-1)
    _, kept = jax.lax.top_k(flat, k)
    return jnp.zeros_like(flat).at[kept].set(flat[kept]).reshape(code.shape)
