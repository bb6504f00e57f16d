"""Gradient accumulation: the gradient of a large batch from microbatches that fit into memory."""

import numbers
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, PyTree

from aejax.autoencoders import Autoencoder
from aejax.autoencoders.learned_state import with_state, without_state
from aejax.autoencoders.record import Batch, Metrics
from aejax.errors import CoupledError, UserError
from aejax.precision import at_least_single


def check_accumulation(autoencoder: Autoencoder, accumulation_steps: int) -> None:
    """Raise unless the mean of an autoencoder's loss over microbatches is the loss of the whole batch.

    Raises:
      TypeError: accumulation_steps is not an integer.
      UserError: accumulation_steps is below 1, or above 1 for a loss that is coupled through the batch.

    >>> from aejax.autoencoders import sparse_kl, undercomplete
    >>> from aejax.networks import MLP
    >>> coupled = sparse_kl(undercomplete(MLP((9,)), MLP((5,))), weight=1.0, rho=0.1)
    >>> check_accumulation(coupled, 2)
    Traceback (most recent call last):
    ...
    aejax.errors.CoupledError: accumulation_steps: sparse_kl computes the mean activation over the whole batch, so ...
    """
    if isinstance(accumulation_steps, bool) or not isinstance(accumulation_steps, numbers.Integral):
        raise TypeError(f"accumulation_steps must be an integer, got {accumulation_steps!r}")
    if accumulation_steps < 1:
        raise UserError(f"accumulation_steps must be at least 1, got {accumulation_steps}")
    for part in autoencoder.parts:
        if accumulation_steps > 1 and part.coupled_through:
            raise CoupledError(part.name, part.coupled_through)


def gradient_and_metrics(
    autoencoder: Autoencoder,
    params: PyTree,
    key: Array,
    batch: Batch,
    *,
    microbatches: int = 1,
    unrolled: bool = False,
) -> tuple[PyTree, Metrics]:
    """Returns the gradient of the loss of a batch, and its metrics, computed one microbatch after the other.

    There is a gradient of the parameters that are trained (`without_state`).

    Every example keeps its index, so that its noise is the same as in the whole batch. Sums are computed in at least
    single precision.

    Args:
      autoencoder: its loss must be a mean over examples (`check_accumulation`).
      params: its parameters.
      key: the key of the step's noise.
      batch: the batch that the loss expects, without padding.
      microbatches: the number of microbatches, all of equal size; it must divide the size of the batch.
      unrolled: whether the microbatches are compiled as straight-line code instead of a loop.
    """
    trained = without_state(autoencoder, params)

    def loss(trained: PyTree, key: Array, batch: Batch) -> tuple[Array, Metrics]:
        return autoencoder.loss(with_state(autoencoder, trained, params), key, batch)

    grad_fn = jax.grad(loss, has_aux=True)
    if microbatches == 1:
        return grad_fn(trained, key, batch)
    arrays = batch._asdict()
    step = arrays.pop("step")
    split = jax.tree.map(lambda leaf: leaf.reshape(microbatches, -1, *leaf.shape[1:]), arrays)

    def gradient_of(microbatch: dict[str, Any]) -> tuple[PyTree, Metrics]:
        gradient_and_terms: tuple[PyTree, Metrics] = grad_fn(trained, key, Batch(**microbatch, step=step))
        return gradient_and_terms

    shapes = jax.eval_shape(gradient_of, jax.tree.map(lambda leaf: leaf[0], split))
    zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, at_least_single(leaf.dtype)), shapes)

    def add(sums: PyTree, microbatch: dict[str, Any]) -> tuple[PyTree, None]:
        terms = gradient_of(microbatch)
        return jax.tree.map(lambda total, term: total + term.astype(total.dtype), sums, terms), None

    sums, _ = lax.scan(add, zeros, split, unroll=unrolled)
    means = jax.tree.map(lambda leaf: leaf / jnp.asarray(microbatches, leaf.dtype), sums)
    return jax.tree.map(lambda mean, shape: mean.astype(shape.dtype), means, shapes)
