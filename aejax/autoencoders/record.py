"""An autoencoder is a value: a record of pure functions; and the batch that its loss is a function of."""

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

AFTER_ALL_STEPS = 2**31 - 1  # where no step is given, and in evaluation, schedules are at their end

BatchLike = Any  # a `Batch`, `Examples`, or (B, ...) as an array or what NumPy reads as one
Metrics = dict[str, Array]  # every term of a loss by name, `loss` itself among them: means over the batch


class Variational(NamedTuple):
    """The distributions of a variational autoencoder, as pure functions of explicit parameters, of ONE example or code.

    Where an example has a condition, it is the last argument: (params, x, condition).
    """

    posterior: Callable[..., tuple[Array, Array]]  # (params, x) -> (mean, log_variance)
    prior: Callable[[PyTree], Prior]  # params -> the prior that they define
    likelihood: Likelihood
    decode_parameters: Callable[..., Array]  # (params, code) -> the likelihood's parameters


class Autoencoder(NamedTuple):
    """Pure functions of explicit parameters; `encode` and `decode` expect ONE example, `loss` a batch.

    A variational autoencoder's `encode` is its posterior's mean, its `decode` its likelihood's mean. Where an example
    has a condition, it is the last argument of every function of an example or a code: (params, x, condition).
    """

    init: Callable[..., PyTree]  # (key, example) -> params
    encode: Callable[..., Array]  # (params, x) -> code
    decode: Callable[..., Array]  # (params, code) -> reconstruction, in data space
    loss: Callable[[PyTree, Array, BatchLike], tuple[Array, Metrics]]  # (params, key, batch)
    variational: Variational | None = None  # the distributions; None where there are none
    parts: tuple[Part, ...] = ()  # the constructors that made it, from the inside out, with their traits


class Examples(NamedTuple):
    """N examples to learn from, and where at hand what is seen of them (pairs of clean and noisy) and known of them."""

    x: Float[Array, "N ..."]  # what is to be reconstructed
    input: Float[Array, "N ..."] | None = None  # what is encoded; x itself if not given
    condition: Shaped[Array, "N ..."] | None = None  # what encoder and decoder are told of each, such as its class


class Batch(NamedTuple):
    """B examples as a loss sees them.

    Randomness is keyed by `indices`, so an example meets the same noise on whichever device it lies; `weight` lets a
    last, padded batch be averaged exactly.
    """

    x: Float[Array, "B ..."]  # what is to be reconstructed
    input: Float[Array, "B ..."]  # what is encoded: x itself, or a corrupted x
    indices: Int[Array, "B"]  # of each example in the global batch
    weight: Float[Array, "B"]  # 1 for an example, 0 for padding
    step: Int[Array, ""] | int = AFTER_ALL_STEPS  # of the run, for weights that follow a schedule
    condition: Shaped[Array, "B ..."] | None = None  # as in `Examples`


def as_batch(examples: BatchLike) -> Batch:
    """A batch of these examples, which all count alike and have their position as index.

    Args:
      examples: (B, ...), an array or what NumPy can read as one, alone or in `Examples`; a batch is returned as it is.

    Raises:
      ValueError: no examples, or not as many inputs or conditions as examples.
      TypeError: what holds no numbers.

    >>> as_batch(jnp.zeros((2, 3))).indices.tolist()
    [0, 1]
    """
    if isinstance(examples, Batch):
        return examples
    given = examples if isinstance(examples, Examples) else Examples(cast(Array, examples))
    read = (
        None if part is None and name != "x" else as_jax_array(name, part) for name, part in given._asdict().items()
    )
    x, observed, condition = read
    assert x is not None
    size = _check_sizes(given._replace(x=x, input=observed, condition=condition)._asdict())
    weight = jnp.ones(size, x.dtype if jnp.issubdtype(x.dtype, jnp.floating) else jnp.float32)
    indices, weight = (placed_along(array, x) for array in (jnp.arange(size), weight))
    return Batch(x, x if observed is None else observed, indices, weight, condition=condition)


def masked_batch(examples: BatchLike) -> Batch:
    """The batch that a loss computes with: `as_batch`, checked, and with another example where one does not count.

    The first example that counts takes the place of those of weight 0. So padding may be anything, NaN or what a
    likelihood cannot explain: a derivative that is infinite there would be NaN times a weight of 0. Where all count,
    as in training, the compiler sees that nothing is replaced.

    Raises:
      ValueError: no examples, or parts of another length.

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

    def replaced(part: Array) -> Array:
        part = jnp.asarray(part)
        return jnp.where(counts.reshape(-1, *(1,) * (part.ndim - 1)), part, row_of(part, first)[None])

    same = batch.input is batch.x
    x = replaced(batch.x)
    condition = None if batch.condition is None else replaced(batch.condition)
    return batch._replace(x=x, input=x if same else replaced(batch.input), condition=condition)


def _check_sizes(parts: dict[str, Any]) -> int:
    """The number of examples of which every part has one; ValueError where they differ, or there are none."""
    shapes = {name: jnp.shape(part) for name, part in parts.items() if part is not None}
    if scalars := [name for name, shape in shapes.items() if not shape]:
        raise ValueError(f"{scalars[0]} must be a batch (B, ...), got one number")
    sizes = {name: shape[0] for name, shape in shapes.items()}
    if len(set(sizes.values())) > 1:
        raise ValueError(f"all parts of a batch must be of one length, got {sizes}")
    if not sizes["x"]:
        raise ValueError(f"a batch must hold at least one example, got x of shape {shapes['x']}")
    return sizes["x"]


def observations(batch: Batch) -> tuple[Array, ...]:
    """What `encode` is given of every example: what is seen of it and, where there is one, its condition."""
    return (batch.input,) if batch.condition is None else (batch.input, batch.condition)


def example_keys(key: Key[Array, ""], batch: Batch) -> Key[Array, "B"]:
    """One key per example, by its index: the same whether the batch lies on one device or on many."""
    return jax.vmap(jax.random.fold_in, in_axes=(None, 0))(key, batch.indices)


def mean_over_batch(terms: PyTree, batch: Batch) -> PyTree:
    """The mean of each per-example term (B,) over the examples that count, those of weight 0 whatever their terms are.

    Sums are of single precision at least; a mean has the precision of its term.

    Raises:
      ValueError: a term that is not one number per example.

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
    """The mean over the examples that count, of this device and of all others on the mapped axis of that name."""
    precise = at_least_single(terms.dtype)
    weight = jnp.asarray(batch.weight).astype(precise)
    counts = weight.reshape(-1, *(1,) * (terms.ndim - 1)) != 0
    total, examples = jnp.tensordot(weight, jnp.where(counts, terms.astype(precise), 0), 1), jnp.sum(weight)
    if axis_name is not None:
        total, examples = jax.lax.psum((total, examples), axis_name)
    return (total / nonzero(examples)).astype(terms.dtype)


def nonzero(total: Float[Array, ""]) -> Float[Array, ""]:
    """A sum of weights to divide by: 1 in the place of 0, since a device may hold nothing but padding."""
    return jnp.where(total == 0, 1, total)


def weighted(weight: ArrayLike, term: Float[Array, ""]) -> Float[Array, ""]:
    """λ times a term of a loss, in the term's precision; 0 where λ is 0, even of a term that is infinite.

    >>> weighted(0.0, jnp.array(jnp.inf)).item()
    0.0
    """
    if not isinstance(weight, Tracer):
        # without a gradient where λ is 0: it would be NaN times 0
        return knob(weight, term.dtype) * term if weight else jnp.zeros_like(term)
    return jnp.where(weight == 0, 0, knob(weight, term.dtype) * term)


def gather_batch(tree: PyTree, axis_name: str | None) -> PyTree:
    """Arrays (B, ...) of the global batch: this device's and those of all others on the mapped axis of that name."""
    return tree if axis_name is None else jax.lax.all_gather(tree, axis_name, tiled=True)
