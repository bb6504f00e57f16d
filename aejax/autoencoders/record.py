"""An autoencoder is a value: a record of pure functions; and the batch that its loss is a function of."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key, PyTree, Shaped

from aejax.likelihoods import Likelihood
from aejax.priors import Prior

AFTER_ALL_STEPS = 2**31 - 1  # where no step is given, and in evaluation, schedules are at their end

Metrics = dict[str, Array]  # every term of a loss by name, `loss` itself among them: means over the batch


class Autoencoder(NamedTuple):
    """Pure functions of explicit parameters; `encode` and `decode` take ONE example, `loss` a batch.

    The distributions are those of a variational autoencoder, whose `encode` is its posterior's mean and whose `decode`
    is its likelihood's mean; the others have none. Where an example has a condition, it is the last argument of all
    that takes an example or a code: (params, x, condition).
    """

    init: Callable[..., PyTree]  # (key, example) -> params
    encode: Callable[..., Array]  # (params, x) -> code
    decode: Callable[..., Array]  # (params, code) -> reconstruction, in data space
    loss: Callable[[PyTree, Array, "Batch | Array"], tuple[Array, Metrics]]  # (params, key, batch)
    posterior: Callable[..., tuple[Array, Array]] | None = None  # (params, x) -> (mean, log_variance)
    prior: Callable[[PyTree], Prior] | None = None  # params -> the prior that they define
    likelihood: Likelihood | None = None
    decode_parameters: Callable[..., Array] | None = None  # (params, code) -> what the likelihood takes
    parts: tuple[str, ...] = ()  # the constructors that made it, from the inside out


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


def as_batch(examples: "Batch | Examples | Array") -> Batch:
    """A batch of these examples, which all count alike and have their position as index.

    >>> as_batch(jnp.zeros((2, 3))).indices.tolist()
    [0, 1]
    """
    if isinstance(examples, Batch):
        return examples
    x, observed, condition = as_examples(examples)
    observed = x if observed is None else observed
    return Batch(x, observed, jnp.arange(len(x)), jnp.ones(len(x), x.dtype), condition=condition)


def observations(batch: Batch) -> tuple[Array, ...]:
    """What `encode` is given of every example: what is seen of it and, where there is one, its condition."""
    return (batch.input,) if batch.condition is None else (batch.input, batch.condition)


def as_examples(x: Examples | Array) -> Examples:
    """Examples that are seen as they are, unless it is said otherwise."""
    return x if isinstance(x, Examples) else Examples(x)


def example_keys(key: Key[Array, ""], batch: Batch) -> Key[Array, "B"]:
    """One key per example, by its index: the same whether the batch lies on one device or on many."""
    return jax.vmap(jax.random.fold_in, in_axes=(None, 0))(key, batch.indices)


def mean_over_batch(terms: PyTree, batch: Batch) -> PyTree:
    """The mean of each per-example term (B,) over the examples that count.

    >>> padded = as_batch(jnp.zeros((3, 1)))._replace(weight=jnp.array([1.0, 1.0, 0.0]))
    >>> mean_over_batch(jnp.array([1.0, 3.0, 100.0]), padded).item()
    2.0
    """
    examples = jnp.maximum(jnp.sum(batch.weight), 1)  # a device may hold nothing but padding
    return jax.tree.map(lambda term: jnp.sum(batch.weight * term) / examples, terms)


def global_mean_over_batch(terms: Float[Array, "B ..."], batch: Batch, axis_name: str | None) -> Float[Array, "..."]:
    """The mean over the examples that count, of this device and of all others on the mapped axis of that name."""
    total, examples = jnp.tensordot(batch.weight, terms, 1), jnp.sum(batch.weight)
    if axis_name is not None:
        total, examples = jax.lax.psum((total, examples), axis_name)
    return total / jnp.maximum(examples, 1)


def gather_batch(tree: PyTree, axis_name: str | None) -> PyTree:
    """Arrays (B, ...) of the global batch: this device's and those of all others on the mapped axis of that name."""
    return tree if axis_name is None else jax.lax.all_gather(tree, axis_name, tiled=True)
