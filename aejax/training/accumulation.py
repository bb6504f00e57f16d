"""Gradient accumulation: the gradient of a large batch from the parts of it that fit into memory."""

import numbers
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, PyTree

from aejax.autoencoders import Autoencoder
from aejax.autoencoders.record import Batch, Metrics
from aejax.errors import CoupledError, UserError
from aejax.precision import at_least_single


def check_accumulation(autoencoder: Autoencoder, accumulation_steps: int) -> None:
    """Raise UserError where the mean over microbatches of a loss is not that of the whole batch.

    >>> from aejax.autoencoders import sparse_kl, undercomplete
    >>> from aejax.networks import MLP
    >>> coupled = sparse_kl(undercomplete(MLP((9,)), MLP((5,))), weight=1.0, rho=0.1)
    >>> check_accumulation(coupled, 2)
    Traceback (most recent call last):
    ...
    aejax.errors.CoupledError: accumulation_steps: sparse_kl takes the mean activation over the whole batch, which ...
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
    """The gradient of the loss of a batch, and its terms, from so many parts of equal size, one after the other.

    Every example keeps its index, so that it meets the noise that it meets in the whole batch. Sums are taken in
    single precision at least.

    Args:
      autoencoder: whose loss is a mean over examples (`check_accumulation`).
      params: its parameters.
      key: of the step's noise.
      batch: as the loss takes it; every example counts.
      microbatches: how many parts.
      unrolled: in straight-line code instead of a loop.
    """
    slope = jax.grad(autoencoder.loss, has_aux=True)
    if microbatches == 1:
        return slope(params, key, batch)
    arrays = batch._asdict()
    step = arrays.pop("step")
    parts = jax.tree.map(lambda leaf: leaf.reshape(microbatches, -1, *leaf.shape[1:]), arrays)

    def part_of(part: dict[str, Any]) -> tuple[PyTree, Metrics]:
        gradient_and_terms: tuple[PyTree, Metrics] = slope(params, key, Batch(**part, step=step))
        return gradient_and_terms

    shapes = jax.eval_shape(part_of, jax.tree.map(lambda leaf: leaf[0], parts))
    zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, at_least_single(leaf.dtype)), shapes)

    def add(sums: PyTree, part: dict[str, Any]) -> tuple[PyTree, None]:
        return jax.tree.map(lambda total, term: total + term.astype(total.dtype), sums, part_of(part)), None

    sums, _ = lax.scan(add, zeros, parts, unroll=unrolled)
    means = jax.tree.map(lambda leaf: leaf / jnp.asarray(microbatches, leaf.dtype), sums)
    return jax.tree.map(lambda mean, of: mean.astype(of.dtype), means, shapes)
