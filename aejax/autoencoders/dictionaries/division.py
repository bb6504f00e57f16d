"""A dictionary whose units are divided over devices: every device holds some units and sees the whole batch.

A product over features needs nothing of the other devices; a sum over units is a sum over devices. Under `shard_map` a
scalar loss is computed once on each device, and its gradient is that of the sum of these losses; so the two functions
below say what a device adds to the gradient of what all devices share.
"""

from collections.abc import Hashable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

AxisName = Hashable | None  # of the mapped axis over which units are divided; None where one device holds all


def shared_by_units(array: Array, axis_name: AxisName) -> Array:
    """Returns what every device has and all units read; its gradient is the sum over the units of all devices.

    >>> shared_by_units(jnp.ones(2), None).tolist()
    [1.0, 1.0]
    """
    return array if axis_name is None else _shared(array, axis_name)


@partial(jax.custom_vjp, nondiff_argnums=(1,))
def _shared(array: Array, axis_name: AxisName) -> Array:
    return array


def _shared_forward(array: Array, axis_name: AxisName) -> tuple[Array, None]:
    return array, None


def _shared_backward(axis_name: AxisName, _: None, gradient: Array) -> tuple[Array]:
    return (lax.psum(gradient, axis_name),)


_shared.defvjp(_shared_forward, _shared_backward)


def summed_over_units(array: Array, axis_name: AxisName) -> Array:
    """Returns the sum of what the units of every device contribute, which every device then has.

    >>> summed_over_units(jnp.ones(2), None).tolist()
    [1.0, 1.0]
    """
    return array if axis_name is None else _summed(array, axis_name)


@partial(jax.custom_vjp, nondiff_argnums=(1,))
def _summed(array: Array, axis_name: AxisName) -> Array:
    return lax.psum(array, axis_name)


def _summed_forward(array: Array, axis_name: AxisName) -> tuple[Array, None]:
    return lax.psum(array, axis_name), None


def _summed_backward(axis_name: AxisName, _: None, gradient: Array) -> tuple[Array]:
    return (gradient,)


_summed.defvjp(_summed_forward, _summed_backward)


def places_of_units(units: int, axis_name: AxisName) -> Int[Array, "F"]:
    """Returns the places of this device's units among all.

    >>> places_of_units(3, None).tolist()
    [0, 1, 2]
    """
    first = 0 if axis_name is None else lax.axis_index(axis_name) * units
    return first + jnp.arange(units)


def axis_of_units(path: tuple[str, ...], array: Any) -> int | None:
    """Returns which axis of an array of a dictionary's parameters or statistics counts units; None if none does.

    It is the last one of the encoder's kernel, and the first one of every other array but the decoder's bias.

    Args:
      path: the names that lead to the array.
      array: the array, or its shape and dtype.

    >>> kernel, bias = jnp.ones((3, 8)), jnp.ones(3)
    >>> axis_of_units(("encoder", "kernel"), kernel), axis_of_units(("decoder", "bias"), bias)
    (1, None)
    """
    if path == ("decoder", "bias") or not array.ndim:
        return None
    return 1 if path == ("encoder", "kernel") else 0


def mean_over_units(values: Float[Array, "F"], axis_name: AxisName) -> Float[Array, ""]:
    """Returns the mean over the units of all devices."""
    mean = jnp.mean(values)
    return mean if axis_name is None else lax.pmean(mean, axis_name)
