"""Exact selection of the largest activations, of each example or of a whole batch on any number of devices.

Among equal activations the first are taken, in the order of examples and then of units, so that a selection does not
depend on the number of devices. No capacity is assumed, and nothing is approximate.
"""

from collections.abc import Callable, Hashable, Sequence
from functools import partial
from typing import NamedTuple

import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float, Int

from aejax.autoencoders.dictionaries.division import AxisName

_LOWER = 16  # bits
_UPPER = 15  # bits of a float32 that is not negative
_AT_A_TIME = 3  # bits that are found in one pass where many numbers are compared at once


class Kept(NamedTuple):
    """What is kept of each row."""

    mask: Bool[Array, "B F"]  # zeros are not kept
    number: Float[Array, "B"]  # of this device's units that are kept
    weight: Float[Array, "F"]  # the sum of the weights of the rows that keep each unit


def largest_of_each(
    values: Float[Array, "B F"],
    most: int,
    *,
    number: ArrayLike | None = None,
    weights: Float[Array, "B"] | None = None,
    axis_name: AxisName = None,
) -> Kept:
    """Returns which positive values are among the largest of each row; among equal ones the first are taken.

    On a CPU each row is sorted in part; where units are divided over devices, each finds its own largest, and the
    largest of these are those of all. Elsewhere the smallest number of each row that is kept is found bit by bit, from
    counts of larger ones.

    Args:
      values: of the units of this device, none negative.
      most: the largest number that is kept of each row.
      number: how many are kept, which may be traced; `most` by default.
      weights: of the rows, for the weights of units; 1 by default.
      axis_name: the mapped axis over which units are divided.

    >>> largest_of_each(jnp.array([[1.0, 3.0, 2.0, 3.0]]), 2).mask.tolist()
    [[False, True, False, True]]
    """
    limit = jnp.asarray(most if number is None else number, jnp.int32)
    weights = jnp.ones(len(values), jnp.float32) if weights is None else weights
    kept: Kept = lax.platform_dependent(
        lax.stop_gradient(values),
        limit,
        lax.stop_gradient(weights),
        cpu=partial(_by_sorting, most, axis_name),
        default=partial(_by_bits, axis_name),
    )
    return kept


def _by_sorting(most: int, axis_name: AxisName, values: Array, limit: Array, weights: Array) -> Kept:
    own, units = lax.top_k(values, min(most, values.shape[1]))
    ranks = jnp.arange(own.shape[1])
    if axis_name is None:
        kept = jnp.broadcast_to(ranks < limit, own.shape)
    else:
        of_devices = jnp.moveaxis(lax.all_gather(own, axis_name), 0, 1)  # (B, devices, candidates), in order
        candidates = of_devices.reshape(len(values), -1)
        _, chosen = lax.top_k(candidates, min(most, candidates.shape[1]))
        is_own = chosen // own.shape[1] == lax.axis_index(axis_name)
        # a device's candidates fall, so those that are chosen are its first
        count = jnp.sum(is_own & (jnp.arange(chosen.shape[1])[None] < limit), axis=1, dtype=jnp.int32)
        kept = ranks[None] < count[:, None]
    kept &= own > 0
    rows = jnp.arange(len(values))[:, None]
    mask = jnp.zeros(values.shape, bool).at[rows, units].set(kept, unique_indices=True)
    active = kept.astype(jnp.float32)
    weight = jnp.zeros(values.shape[1]).at[units].add(active * weights[:, None])
    return Kept(mask, jnp.sum(active, axis=1), weight)


def _by_bits(axis_name: AxisName, values: Array, limit: Array, weights: Array) -> Kept:
    bits = _bits(values)

    def of_rows(counted: Bool[Array, "B F"]) -> Int[Array, "B 1"]:
        return _over(jnp.sum(counted, axis=1, dtype=jnp.int32, keepdims=True), [axis_name], lax.psum)

    smallest, above = _smallest_by_bits(bits, jnp.broadcast_to(limit, (len(values), 1)), of_rows)
    mask = _down_to(bits, smallest, limit - above, of_rows, lambda count: _before(count, axis_name))
    active = mask.astype(jnp.float32)
    return Kept(mask, jnp.sum(active, axis=1), jnp.sum(active * weights[:, None], axis=0))


def largest_of_batch(
    values: Float[Array, "B F"], number: ArrayLike, *, axis_name: AxisName = None, units_axis: AxisName = None
) -> Bool[Array, "B F"]:
    """Returns which positive values are among the largest of the global batch; among equal ones the first are taken.

    Coupled through the batch: never `vmap` it over examples. The bits of float32 numbers that are not negative are
    ordered like the numbers. On a CPU those of the smallest number that is kept are found from two histograms, of the
    upper half of the bits and, where this half is equal, of the lower one, summed over the devices; elsewhere, where
    many additions to one bin are slow, bit by bit as those of `largest_of_each`.

    Args:
      values: of the examples and units of this device, none negative; zeros are never kept.
      number: how many are kept at most.
      axis_name: the mapped axis over which the global batch is split, in the order of its devices.
      units_axis: the mapped axis over which units are divided.

    >>> largest_of_batch(jnp.array([[1.0, 3.0, 2.0], [0.0, 3.0, 0.5]]), 2).tolist()
    [[False, True, False], [False, True, False]]
    """
    bits = _bits(lax.stop_gradient(values))
    axes = (axis_name, units_axis)

    def of_all(counted: Bool[Array, "B F"]) -> Int[Array, ""]:
        return _over(jnp.sum(counted, dtype=jnp.int32), axes, lax.psum)

    smallest, above = lax.platform_dependent(
        bits,
        jnp.asarray(number, jnp.int32),
        cpu=partial(_smallest_by_histograms, axes),
        default=lambda bits, number: _smallest_by_bits(bits, number, of_all),
    )

    def earlier(count: Int[Array, "B"]) -> Int[Array, "B"]:
        of_rows = _over(count, [units_axis], lax.psum)
        earlier_rows = _before(jnp.sum(of_rows), axis_name) + jnp.cumsum(of_rows) - of_rows
        return earlier_rows + _before(count, units_axis)

    return _down_to(bits, smallest, jnp.asarray(number, jnp.int32) - above, of_all, earlier)


def smallest_kept(codes: Float[Array, "B F"], axis_names: Sequence[AxisName]) -> Float[Array, ""]:
    """Returns the smallest positive entry of the codes of all devices; infinity if there is none."""
    codes = lax.stop_gradient(codes)
    return _over(jnp.min(jnp.where(codes > 0, codes, jnp.inf).astype(jnp.float32)), axis_names, lax.pmin)


def _bits(values: Float[Array, "..."]) -> Int[Array, "..."]:
    return lax.bitcast_convert_type(values.astype(jnp.float32), jnp.int32)


def _down_to(
    bits: Int[Array, "B F"],
    smallest: Int[Array, "..."],
    room: Int[Array, "..."],
    count: Callable[[Array], Array],
    earlier: Callable[[Array], Array],
) -> Bool[Array, "B F"]:
    """Returns which positive numbers are above the smallest that is kept, and the first of those that are equal to it.

    Args:
      bits: of the numbers.
      smallest: the bits of the smallest that is kept.
      room: how many of the equal ones are kept.
      count: (which are counted) -> their numbers, of the shape of `room`.
      earlier: (the number of equal ones in each row (B,)) -> how many are before them, in other rows or devices.
    """
    equal = (bits == smallest) & (bits > 0)

    def first_of_equal() -> Bool[Array, "B F"]:
        before = earlier(jnp.sum(equal, axis=1, dtype=jnp.int32))
        return equal & (before[:, None] + jnp.cumsum(equal, axis=1, dtype=jnp.int32) <= room)

    return (bits > smallest) | lax.cond(jnp.any(count(equal) > room), first_of_equal, lambda: equal)


def _smallest_by_bits(
    bits: Int[Array, "B F"], number: Int[Array, "..."], count: Callable[[Array], Array]
) -> tuple[Int[Array, "..."], Int[Array, "..."]]:
    """Returns the bits of the smallest number that is kept, and how many numbers are above it; 0 if all are kept.

    Args:
      bits: none negative.
      number: how many are kept.
      count: (which are counted) -> their numbers, of the shape of `number`.
    """
    smallest = jnp.zeros_like(number)
    width = _LOWER + _UPPER
    for shift in [*range(width - _AT_A_TIME, 0, -_AT_A_TIME), 0]:
        nexts = [smallest + (step << shift) for step in range(1, 2 ** min(_AT_A_TIME, width - shift))]
        width = shift
        smallest = smallest + (sum((count(bits >= each) >= number).astype(jnp.int32) for each in nexts) << shift)
    return smallest, count(bits > smallest)


def _smallest_by_histograms(
    axes: Sequence[AxisName], bits: Int[Array, "B F"], number: Int[Array, ""]
) -> tuple[Int[Array, ""], Int[Array, ""]]:
    """Returns what `_smallest_by_bits` returns of a whole batch."""

    def counts(places: Int[Array, "B F"], counted: Bool[Array, "B F"], length: int) -> Int[Array, "bins"]:
        own = jnp.zeros(2**length, jnp.int32).at[places.reshape(-1)].add(counted.reshape(-1).astype(jnp.int32))
        return _over(own, axes, lax.psum)

    upper, above_upper = _crossing(counts(bits >> _LOWER, bits > 0, _UPPER), number)
    is_upper = (bits > 0) & (bits >> _LOWER == upper)
    lower, above_lower = _crossing(counts(bits & (2**_LOWER - 1), is_upper, _LOWER), number - above_upper)
    return (upper << _LOWER) | lower, above_upper + above_lower


def _crossing(counts: Int[Array, "bins"], number: Int[Array, ""]) -> tuple[Int[Array, ""], Int[Array, ""]]:
    """Returns the highest bin from which on there are at least `number`, and how many are above it; bin 0 if none."""
    from_here_on = jnp.cumsum(counts[::-1])[::-1]
    place = jnp.maximum(jnp.sum(from_here_on >= number, dtype=jnp.int32) - 1, 0)
    return place, from_here_on[place] - counts[place]


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
