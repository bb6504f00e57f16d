"""Exact selection of the largest activations, of each example or of a whole batch on any number of devices."""

import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float, Int

from aejax.autoencoders.record import gather_batch

_BITS = 31  # of a float32 that is not negative


def largest_of_each(values: Float[Array, "B F"], k: int) -> Bool[Array, "B F"]:
    """Returns which are among the k largest values of their row; among equal ones the first are taken.

    >>> largest_of_each(jnp.array([[1.0, 3.0, 2.0, 3.0]]), 2).tolist()
    [[False, True, False, True]]
    """
    _, kept = lax.top_k(lax.stop_gradient(values), k)
    rows = jnp.arange(len(values))[:, None]
    return jnp.zeros(values.shape, bool).at[rows, kept].set(True, unique_indices=True)


def largest_of_batch(
    values: Float[Array, "B F"], number: ArrayLike, *, axis_name: str | None = None
) -> Bool[Array, "B F"]:
    """Returns which positive values are among the largest of the global batch; among equal ones the first are taken.

    Coupled through the batch: never `vmap` it over examples. The bits of numbers that are not negative are ordered like
    the numbers, so the smallest value that is kept is found by bisection, from counts that are summed over the devices:
    exactly, without gathering the values.

    Args:
      values: of the examples of this device, none negative; zeros are never kept.
      number: how many are kept at most.
      axis_name: the mapped axis over which the global batch is split, in the order of its devices.

    >>> largest_of_batch(jnp.array([[1.0, 3.0, 2.0], [0.0, 3.0, 0.5]]), 2).tolist()
    [[False, True, False], [False, True, False]]
    """
    bits = lax.bitcast_convert_type(lax.stop_gradient(values).astype(jnp.float32), jnp.int32)
    number = jnp.asarray(number, jnp.int32)

    def total(mask: Bool[Array, "B F"]) -> Int[Array, ""]:
        count = jnp.sum(mask, dtype=jnp.int32)
        return count if axis_name is None else lax.psum(count, axis_name)

    def halve(_: int, bounds: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = bounds  # at least `number` are >= low; fewer are >= high
        middle = low + (high - low) // 2
        enough = total(bits >= middle) >= number
        return jnp.where(enough, middle, low), jnp.where(enough, high, middle)

    # more than `number` positive values: the threshold is positive; otherwise low stays 1 and all of them are kept
    infinity = jnp.asarray(0x7F800001, jnp.int32)
    low, _ = lax.fori_loop(0, _BITS, halve, (jnp.asarray(1, jnp.int32), infinity))
    above, equal = bits > low, bits == low
    room = number - total(above)

    def first_of_equal() -> Bool[Array, "B F"]:
        earlier = 0 if axis_name is None else _sum_before(jnp.sum(equal, dtype=jnp.int32), axis_name)
        place = earlier + jnp.cumsum(equal.reshape(-1), dtype=jnp.int32).reshape(equal.shape)
        return equal & (place <= room)

    return above | lax.cond(total(equal) > room, first_of_equal, lambda: equal)


def smallest_kept(values: Float[Array, "B F"], kept: Bool[Array, "B F"], axis_name: str | None) -> Float[Array, ""]:
    """Returns the smallest value of the global batch that is kept; infinity if none is."""
    smallest = jnp.min(jnp.where(kept, lax.stop_gradient(values), jnp.inf).astype(jnp.float32))
    return smallest if axis_name is None else lax.pmin(smallest, axis_name)


def _sum_before(count: Int[Array, ""], axis_name: str) -> Int[Array, ""]:
    """Returns the sum of the counts of the devices before this one."""
    counts = gather_batch(count[None], axis_name)
    return jnp.sum(jnp.where(jnp.arange(len(counts)) < lax.axis_index(axis_name), counts, 0))
