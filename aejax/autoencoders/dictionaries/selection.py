"""Exact selection of the largest activations, of each example or of a whole batch on any number of devices.

Among equal activations the first are taken, in the order of examples and then of units, so that a selection does not
depend on the number of devices. No capacity is assumed, and nothing is approximate.
"""

from collections.abc import Callable, Hashable, Sequence
from typing import NamedTuple

import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float, Int

from aejax.autoencoders.dictionaries.division import AxisName

_LOWER = 16  # bits
_UPPER = 15  # bits of a float32 that is not negative


class Selection(NamedTuple):
    """What is selected of each row: at most so many of this device's units, in descending order of their values."""

    values: Float[Array, "B most"]
    units: Int[Array, "B most"]
    kept: Bool[Array, "B most"]

    def mask(self, shape: tuple[int, ...]) -> Bool[Array, "B F"]:
        """Returns which units of a row are selected, as an array of this shape."""
        rows = jnp.arange(shape[0])[:, None]
        return jnp.zeros(shape, bool).at[rows, self.units].set(self.kept, unique_indices=True)


def largest_of_each(
    values: Float[Array, "B F"], most: int, *, number: ArrayLike | None = None, axis_name: AxisName = None
) -> Selection:
    """Returns the largest values of each row; among equal ones the first are taken.

    Where units are divided over devices, each finds its own largest; the largest of these are those of all.

    Args:
      values: of the units of this device.
      most: the largest number that is kept of each row.
      number: how many are kept, which may be traced; `most` by default.
      axis_name: the mapped axis over which units are divided.

    >>> largest_of_each(jnp.array([[1.0, 3.0, 2.0, 3.0]]), 2).mask((1, 4)).tolist()
    [[False, True, False, True]]
    """
    values = lax.stop_gradient(values)
    own, units = lax.top_k(values, min(most, values.shape[1]))
    ranks = jnp.arange(own.shape[1])
    limit = jnp.asarray(most if number is None else number, jnp.int32)
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
    return Selection(own, units, kept)


def largest_of_batch(
    values: Float[Array, "B F"], number: ArrayLike, *, axis_name: AxisName = None, units_axis: AxisName = None
) -> Bool[Array, "B F"]:
    """Returns which positive values are among the largest of the global batch; among equal ones the first are taken.

    Coupled through the batch: never `vmap` it over examples. The bits of float32 numbers that are not negative are
    ordered like the numbers. Those of the smallest number that is kept are found from two histograms, of the upper half
    of the bits and, where this half is equal, of the lower one, summed over the devices.

    Args:
      values: of the examples and units of this device, none negative; zeros are never kept.
      number: how many are kept at most.
      axis_name: the mapped axis over which the global batch is split, in the order of its devices.
      units_axis: the mapped axis over which units are divided.

    >>> largest_of_batch(jnp.array([[1.0, 3.0, 2.0], [0.0, 3.0, 0.5]]), 2).tolist()
    [[False, True, False], [False, True, False]]
    """
    bits = lax.bitcast_convert_type(lax.stop_gradient(values).astype(jnp.float32), jnp.int32)
    number, axes = jnp.asarray(number, jnp.int32), (axis_name, units_axis)

    def counts(places: Int[Array, "B F"], counted: Bool[Array, "B F"], length: int) -> Int[Array, "bins"]:
        own = jnp.zeros(2**length, jnp.int32).at[places.reshape(-1)].add(counted.reshape(-1).astype(jnp.int32))
        return _over(own, axes, lax.psum)

    upper, above_upper = _crossing(counts(bits >> _LOWER, bits > 0, _UPPER), number)
    is_upper = (bits > 0) & (bits >> _LOWER == upper)
    lower, above_lower = _crossing(counts(bits & (2**_LOWER - 1), is_upper, _LOWER), number - above_upper)
    smallest = (upper << _LOWER) | lower
    above, equal = bits > smallest, (bits == smallest) & (bits > 0)
    room = number - above_upper - above_lower

    def first_of_equal() -> Bool[Array, "B F"]:
        count = jnp.sum(equal, axis=1, dtype=jnp.int32)
        of_rows = _over(count, [units_axis], lax.psum)
        earlier_rows = _before(jnp.sum(of_rows), axis_name) + jnp.cumsum(of_rows) - of_rows
        place = (earlier_rows + _before(count, units_axis))[:, None] + jnp.cumsum(equal, axis=1, dtype=jnp.int32)
        return equal & (place <= room)

    total = _over(jnp.sum(equal, dtype=jnp.int32), axes, lax.psum)
    return above | lax.cond(total > room, first_of_equal, lambda: equal)


def smallest_kept(codes: Float[Array, "B F"], axis_names: Sequence[AxisName]) -> Float[Array, ""]:
    """Returns the smallest positive entry of the codes of all devices; infinity if there is none."""
    codes = lax.stop_gradient(codes)
    return _over(jnp.min(jnp.where(codes > 0, codes, jnp.inf).astype(jnp.float32)), axis_names, lax.pmin)


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
