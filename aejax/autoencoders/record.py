"""The record of pure functions that is an autoencoder, and the batch that its loss expects."""

from collections.abc import Callable
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
from jax.core import Tracer
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int, Key, PyTree, Shaped

from aejax.autoencoders.part import Part
from aejax.checks import as_jax_array
from aejax.jacobian.placement import placed_along, row_of
from aejax.likelihoods import Likelihood
from aejax.precision import at_least_single, knob
from aejax.priors import Prior
from aejax.sampling import gaussian_log_prob, reparameterize

AFTER_ALL_STEPS = 2**31 - 1  # the step in evaluation and where none is given: every schedule has reached its end

BatchLike = Any  # a `Batch`, `Examples`, or (B, ...) as an array or anything that NumPy converts to one
# Every term of a loss by name, including `loss` itself: means over the batch. Of an autoencoder with an `update`, there
# is also `statistics`, a dictionary of arrays (`aejax.autoencoders.learned_state`).
Metrics = dict[str, Array]


class CodeDistribution(NamedTuple):
    """The distribution q(z | x) of ONE example's code."""

    sample: Callable[[Array], Array]  # key -> code, differentiable in the distribution's parameters
    log_prob: Callable[[Array], Array]  # code -> log q(code | x), in nats


class Variational(NamedTuple):
    """The distributions of a variational autoencoder, as pure functions of explicit parameters and ONE example or code.

    In a conditional autoencoder the condition is the last argument: (params, x, condition).
    """

    posterior: Callable[..., tuple[Array, Array]]  # (params, x) -> (mean, log_variance)
    prior: Callable[[PyTree], Prior]  # params -> the prior with these parameters
    likelihood: Likelihood
    decode_parameters: Callable[..., Array]  # (params, code) -> the likelihood's parameters
    # (params, x) -> q(z | x) of a code whose entries depend on each other given x, such as several stochastic layers;
    # `posterior` then has the moments of each layer given the mean of the one before. None: N(mean, diag variance)
    joint_posterior: Callable[..., CodeDistribution] | None = None


class Autoencoder(NamedTuple):
    """Pure functions of explicit parameters; `encode` and `decode` expect ONE example, `loss` a batch.

    In a variational autoencoder, `encode` returns the posterior's mean and `decode` the likelihood's mean. In a
    conditional autoencoder the condition is the last argument of every function of an example or a code:
    (params, x, condition).
    """

    init: Callable[..., PyTree]  # (key, example) -> params
    encode: Callable[..., Array]  # (params, x) -> code
    decode: Callable[..., Array]  # (params, code) -> reconstruction, in data space
    loss: Callable[[PyTree, Array, BatchLike], tuple[Array, Metrics]]  # (params, key, batch) -> (loss, metrics)
    # (params, statistics) -> params after the optimizer's step: what is learned without a gradient, if anything
    update: Callable[[PyTree, dict[str, Array]], PyTree] | None = None
    variational: Variational | None = None  # the distributions of a variational autoencoder, None in any other
    parts: tuple[Part, ...] = ()  # the constructors that made it, innermost first, with their traits


class Examples(NamedTuple):
    """N examples to train on: the targets and, if there are any, separate inputs (noisy ones) and conditions."""

    x: Float[Array, "N ..."]  # the targets: what is reconstructed
    input: Float[Array, "N ..."] | None = None  # what is encoded; None: x itself
    condition: Shaped[Array, "N ..."] | None = None  # what encoder and decoder are conditioned on, such as the class


class Batch(NamedTuple):
    """B examples, as a loss expects them.

    Noise is keyed by `indices`, so an example has the same noise on any device; `weight` makes the mean over a last,
    padded batch exact.
    """

    x: Float[Array, "B ..."]  # the targets: what is reconstructed
    input: Float[Array, "B ..."]  # what is encoded: x itself, or a corrupted x
    indices: Int[Array, "B"]  # of each example in the global batch
    weight: Float[Array, "B"]  # 1 for an example, 0 for padding
    step: Int[Array, ""] | int = AFTER_ALL_STEPS  # the training step, for weights that follow a schedule
    condition: Shaped[Array, "B ..."] | None = None  # what encoder and decoder are conditioned on


def posterior_of(distributions: Variational, params: PyTree, *inputs: Array) -> CodeDistribution:
    """Returns the posterior q(z | x) of ONE example, whatever its form.

    Args:
      distributions: those of a variational autoencoder.
      params: its parameters.
      *inputs: the arguments of the posterior: x itself or a corrupted x and, for a conditional autoencoder, the
        condition.
    """
    if distributions.joint_posterior is not None:
        return distributions.joint_posterior(params, *inputs)
    mean, log_variance = distributions.posterior(params, *inputs)
    return CodeDistribution(
        sample=lambda key: reparameterize(key, mean, log_variance),
        log_prob=lambda code: gaussian_log_prob(code, mean, log_variance),
    )


def as_batch(examples: BatchLike) -> Batch:
    """Returns a batch of these examples, each with weight 1 and its position as index.

    Args:
      examples: (B, ...), an array or anything that NumPy converts to one, alone or in `Examples`; a `Batch` is returned
        unchanged.

    Raises:
      ValueError: there are no examples, or the numbers of inputs or conditions and of examples differ.
      TypeError: the examples do not hold numbers.

    >>> as_batch(jnp.zeros((2, 3))).indices.tolist()
    [0, 1]
    """
    if isinstance(examples, Batch):
        return examples
    examples = examples if isinstance(examples, Examples) else Examples(cast(Array, examples))
    x, inputs, condition = (
        None if array is None and name != "x" else as_jax_array(name, array)
        for name, array in examples._asdict().items()
    )
    assert x is not None
    size = _check_sizes({"x": x, "input": inputs, "condition": condition})
    weight = jnp.ones(size, x.dtype if jnp.issubdtype(x.dtype, jnp.floating) else jnp.float32)
    indices, weight = (placed_along(array, x) for array in (jnp.arange(size), weight))
    return Batch(x, x if inputs is None else inputs, indices, weight, condition=condition)


def masked_batch(examples: BatchLike) -> Batch:
    """Returns the batch that a loss computes with: `as_batch`, checked, with padding replaced by an example.

    Every example of weight 0 is replaced by the first example whose weight is not 0. So padding may hold any values,
    such as NaN or values outside a likelihood's range: an infinite derivative there, times a weight of 0, would be NaN.
    Where all weights are constants other than 0, as in training, the compiler removes the replacement.

    Raises:
      ValueError: there are no examples, or the arrays of the batch differ in length.

    >>> batch = as_batch(jnp.array([[1.0], [2.0], [jnp.inf]]))._replace(weight=jnp.array([0.0, 1.0, 0.0]))
    >>> masked_batch(batch).x[:, 0].tolist()
    [2.0, 2.0, 2.0]
    """
    batch = as_batch(examples)
    lengths = batch._asdict()
    del lengths["step"]
    _check_sizes(lengths)
    if jnp.ndim(batch.weight) != 1:
        raise ValueError(f"weight must be one number per example, (B,), got shape {jnp.shape(batch.weight)}")
    counts = jnp.asarray(batch.weight) != 0
    first = jnp.argmax(counts)

    def replaced(array: Array) -> Array:
        array = jnp.asarray(array)
        return jnp.where(counts.reshape(-1, *(1,) * (array.ndim - 1)), array, row_of(array, first)[None])

    same = batch.input is batch.x
    x = replaced(batch.x)
    condition = None if batch.condition is None else replaced(batch.condition)
    return batch._replace(x=x, input=x if same else replaced(batch.input), condition=condition)


def _check_sizes(arrays: dict[str, Any]) -> int:
    """Returns the number of examples; raises ValueError if the arrays of a batch differ in length or are empty."""
    shapes = {name: jnp.shape(array) for name, array in arrays.items() if array is not None}
    if scalars := [name for name, shape in shapes.items() if not shape]:
        raise ValueError(f"{scalars[0]} must be a batch (B, ...), got one number")
    sizes = {name: shape[0] for name, shape in shapes.items()}
    if len(set(sizes.values())) > 1:
        raise ValueError(f"all arrays of a batch must have the same length, got {sizes}")
    if not sizes["x"]:
        raise ValueError(f"a batch must hold at least one example, got x of shape {shapes['x']}")
    return sizes["x"]


def encoder_inputs(batch: Batch) -> tuple[Array, ...]:
    """Returns the arrays to map `encode` over: the inputs (B, ...) and, if there are any, the conditions (B, ...)."""
    return (batch.input,) if batch.condition is None else (batch.input, batch.condition)


def example_keys(key: Key[Array, ""], batch: Batch) -> Key[Array, "B"]:
    """Returns one key per example, from its index in the global batch, so that no device count changes it."""
    return jax.vmap(jax.random.fold_in, in_axes=(None, 0))(key, batch.indices)


def mean_over_batch(terms: PyTree, batch: Batch) -> PyTree:
    """Returns the weighted mean of each per-example term (B,); terms of weight 0 are ignored, even if they are NaN.

    Sums are computed in at least single precision; a mean has the dtype of its term.

    Raises:
      ValueError: a term is not one number per example.

    >>> padded = as_batch(jnp.zeros((3, 1)))._replace(weight=jnp.array([1.0, 1.0, 0.0]))
    >>> mean_over_batch(jnp.array([1.0, 3.0, jnp.inf]), padded).item()
    2.0
    """

    def mean(term: Array) -> Array:
        if jnp.shape(term) != jnp.shape(batch.weight):
            raise ValueError(
                f"a term must be one number per example, {jnp.shape(batch.weight)}, got shape {jnp.shape(term)}"
            )
        precise = at_least_single(term.dtype)
        weight = jnp.asarray(batch.weight).astype(precise)
        total = jnp.sum(jnp.where(weight == 0, 0, weight * term.astype(precise)))
        return (total / nonzero(jnp.sum(weight))).astype(term.dtype)

    return jax.tree.map(mean, terms)


def global_mean_over_batch(terms: Float[Array, "B ..."], batch: Batch, axis_name: str | None) -> Float[Array, "..."]:
    """Returns the weighted mean over the global batch: the examples of all devices on the mapped axis `axis_name`."""
    precise = at_least_single(terms.dtype)
    weight = jnp.asarray(batch.weight).astype(precise)
    counts = weight.reshape(-1, *(1,) * (terms.ndim - 1)) != 0
    total, examples = jnp.tensordot(weight, jnp.where(counts, terms.astype(precise), 0), 1), jnp.sum(weight)
    if axis_name is not None:
        total, examples = jax.lax.psum((total, examples), axis_name)
    return (total / nonzero(examples)).astype(terms.dtype)


def nonzero(total: Float[Array, ""]) -> Float[Array, ""]:
    """Returns a sum of weights as a divisor: 1 instead of 0, since a device may hold only padding."""
    return jnp.where(total == 0, 1, total)


def weighted(weight: ArrayLike, term: Float[Array, ""]) -> Float[Array, ""]:
    """Returns λ times a term of a loss, in the term's dtype; 0 where λ is 0, even if the term is infinite.

    >>> weighted(0.0, jnp.array(jnp.inf)).item()
    0.0
    """
    if not isinstance(weight, Tracer):
        # no gradient flows where λ is 0: an infinite one times 0 would be NaN
        return jnp.zeros_like(term) if is_zero(weight) else knob(weight, term.dtype) * term
    return jnp.where(weight == 0, 0, knob(weight, term.dtype) * term)


def is_zero(weight: ArrayLike) -> bool:
    """Returns whether a weight is 0, so that its term can be left out; False for a traced one, which may be any number.

    >>> is_zero(0.0), jax.jit(lambda weight: jnp.array(is_zero(weight)))(0.0).item()
    (True, False)
    """
    return not isinstance(weight, Tracer) and not weight


def gather_batch(tree: PyTree, axis_name: str | None) -> PyTree:
    """Returns arrays (B, ...) of the global batch, concatenated over the devices of the mapped axis `axis_name`."""
    return tree if axis_name is None else jax.lax.all_gather(tree, axis_name, tiled=True)
