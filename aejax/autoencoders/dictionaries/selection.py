"""Exact selection of the largest activations, of each example or of a whole batch on any number of devices.

The bits of float32 numbers that are not negative are ordered like the numbers. So the smallest number that is kept is
found by bisection of its bits, from counts that are summed over the devices: exactly, without gathering the numbers,
and among equal ones the first are taken, in the order of examples and then of units.
"""

from collections.abc import Callable, Hashable, Sequence

import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float, Int

from aejax.autoencoders.dictionaries.division import AxisName

_BITS = 31  # of a float32 that is not negative
_ABOVE_INFINITY = 0x7F800001


def largest_of_each(values: Float[Array, "B F"], k: int, *, axis_name: AxisName = None) -> Bool[Array, "B F"]:
    """Returns which are among the k largest values of their row; among equal ones the first are taken.

    Args:
      values: none negative; zeros may be kept if one device holds all units.
      k: the number that is kept of each row, at most the number of units.
      axis_name: the mapped axis over which units are divided.

    >>> largest_of_each(jnp.array([[1.0, 3.0, 2.0, 3.0]]), 2).tolist()
    [[False, True, False, True]]
    """
    if axis_name is not None:
        return any_number_of_each(values, k, axis_name=axis_name)
    _, kept = lax.top_k(lax.stop_gradient(values), min(k, values.shape[1]))
    rows = jnp.arange(len(values))[:, None]
    return jnp.zeros(values.shape, bool).at[rows, kept].set(True, unique_indices=True)


def any_number_of_each(
    values: Float[Array, "B F"], number: ArrayLike, *, axis_name: AxisName = None
) -> Bool[Array, "B F"]:
    """Returns which positive values are among so many largest ones of their row, a number that may be traced.

    >>> any_number_of_each(jnp.array([[1.0, 3.0, 2.0, 3.0]]), jnp.array(3)).tolist()
    [[False, True, True, True]]
    """
    bits = _bits_of(values)

    def total(mask: Bool[Array, "B F"]) -> Int[Array, "B"]:
        return _over(jnp.sum(mask, axis=1, dtype=jnp.int32), [axis_name], lax.psum)

    numbers = jnp.broadcast_to(jnp.asarray(number, jnp.int32), (len(values),))
    above, equal = _split(bits, numbers, total)
    room = numbers - total(above)

    def first_of_equal() -> Bool[Array, "B F"]:
        count = jnp.sum(equal, axis=1, dtype=jnp.int32)
        place = _before(count, axis_name)[:, None] + jnp.cumsum(equal, axis=1, dtype=jnp.int32)
        return equal & (place <= room[:, None])

    return above | lax.cond(jnp.any(total(equal) > room), first_of_equal, lambda: equal)


def largest_of_batch(
    values: Float[Array, "B F"], number: ArrayLike, *, axis_name: AxisName = None, units_axis: AxisName = None
) -> Bool[Array, "B F"]:
    """Returns which positive values are among the largest of the global batch; among equal ones the first are taken.

    Coupled through the batch: never `vmap` it over examples.

    Args:
      values: of the examples and units of this device, none negative; zeros are never kept.
      number: how many are kept at most.
      axis_name: the mapped axis over which the global batch is split, in the order of its devices.
      units_axis: the mapped axis over which units are divided.

    >>> largest_of_batch(jnp.array([[1.0, 3.0, 2.0], [0.0, 3.0, 0.5]]), 2).tolist()
    [[False, True, False], [False, True, False]]
    """
    bits, number = _bits_of(values), jnp.asarray(number, jnp.int32)

    def total(mask: Bool[Array, "B F"]) -> Int[Array, ""]:
        return _over(jnp.sum(mask, dtype=jnp.int32), [axis_name, units_axis], lax.psum)

    above, equal = _split(bits, number, total)
    room = number - total(above)

    def first_of_equal() -> Bool[Array, "B F"]:
        count = jnp.sum(equal, axis=1, dtype=jnp.int32)
        of_rows = _over(count, [units_axis], lax.psum)
        earlier_rows = _before(jnp.sum(of_rows), axis_name) + jnp.cumsum(of_rows) - of_rows
        place = (earlier_rows + _before(count, units_axis))[:, None] + jnp.cumsum(equal, axis=1, dtype=jnp.int32)
        return equal & (place <= room)

    return above | lax.cond(total(equal) > room, first_of_equal, lambda: equal)


def smallest_kept(codes: Float[Array, "B F"], axis_names: Sequence[AxisName]) -> Float[Array, ""]:
    """Returns the smallest positive entry of the codes of all devices; infinity if there is none."""
    codes = lax.stop_gradient(codes)
    return _over(jnp.min(jnp.where(codes > 0, codes, jnp.inf).astype(jnp.float32)), axis_names, lax.pmin)


def _bits_of(values: Float[Array, "B F"]) -> Int[Array, "B F"]:
    return lax.bitcast_convert_type(lax.stop_gradient(values).astype(jnp.float32), jnp.int32)


def _split(
    bits: Int[Array, "B F"], number: Int[Array, "..."], total: Callable[[Array], Array]
) -> tuple[Bool[Array, "B F"], Bool[Array, "B F"]]:
    """Returns which bits are above the smallest that is kept, and which are equal to it.

    Args:
      bits: of numbers that are not negative.
      number: how many are kept: one number, or one per row.
      total: the number of true entries over all devices, of the shape of `number`.
    """

    def as_rows(bound: Array) -> Array:
        return bound[:, None] if bound.ndim else bound

    def halve(_: int, bounds: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = bounds  # at least `number` are >= low, or low is that of the smallest number; fewer are >= high
        middle = low + (high - low) // 2
        enough = total(bits >= as_rows(middle)) >= number
        return jnp.where(enough, middle, low), jnp.where(enough, high, middle)

    start = jnp.ones_like(number), jnp.full_like(number, _ABOVE_INFINITY)
    low, _ = lax.fori_loop(0, _BITS, halve, start)
    return bits > as_rows(low), bits == as_rows(low)


def _over(value: Array, axis_names: Sequence[AxisName], reduce: Callable[[Array, Hashable], Array]) -> Array:
    """Returns a value reduced over the devices of each axis that is not None."""
    for axis_name in axis_names:
        value = value if axis_name is None else reduce(value, axis_name)
    return value


def _before(count: Int[Array, "..."], axis_name: AxisName) -> Int[Array, "..."]:
    """Returns the sum of the counts of the devices before this one."""
    if axis_name is None:
        return jnp.zeros_like(count)
    counts = lax.all_gather(count, axis_name)
    earlier = jnp.arange(len(counts)) < lax.axis_index(axis_name)
    return jnp.sum(jnp.where(earlier.reshape(-1, *(1,) * count.ndim), counts, 0), axis=0)
