"""Gives vectors the placement of the example they are used with, under `jax.shard_map` and on explicit meshes.

A vector that a function of one example creates, such as a basis vector or a random direction, is the same on all
devices. If the example varies over the devices, JAX's derivatives reject such a vector until it is cast.
"""

from typing import Any, cast

import jax
import jax.numpy as jnp
from jax.sharding import AxisType, PartitionSpec
from jaxtyping import Array


def varying_as(array: Array, *others: Any) -> Array:
    """Returns the array, cast to vary over every axis of the mesh over which one of the others varies."""
    missing = frozenset[str]().union(*map(_varying, others)) - _varying(array)
    return cast(Array, jax.lax.pcast(array, tuple(sorted(missing)), to="varying")) if missing else array


def placed_as(vectors: Array, like: Any) -> Array:
    """Returns vectors (n, *like.shape), each with the placement of `like`, an array or a result of `jax.eval_shape`."""
    vectors = varying_as(vectors, like)
    spec = _spec(like)
    if any(axis is not None for axis in spec):
        vectors = cast(Array, jax.sharding.reshard(vectors, PartitionSpec(None, *spec)))
    return vectors


def placed_along(vector: Array, rows: Any) -> Array:
    """Returns a vector (n,) with the placement of the first axis of rows (n, ...), as `jax.vmap` requires it."""
    spec = _spec(rows)[:1]
    return cast(Array, jax.sharding.reshard(vector, PartitionSpec(*spec))) if spec and spec[0] is not None else vector


def row_of(rows: Array, index: Array) -> Array:
    """Returns rows[index]; on an explicit mesh as a sum over rows, as JAX cannot index an axis that is sharded."""
    if not on_explicit_mesh(rows):
        return rows[index]
    is_row = placed_along(jnp.arange(len(rows)), rows) == index
    return jnp.sum(jnp.where(is_row.reshape(-1, *(1,) * (rows.ndim - 1)), rows, 0), axis=0).astype(rows.dtype)


def on_explicit_mesh(*arrays: Any) -> bool:
    """Returns whether the sharding of any of these arrays is part of its type (`jax.sharding.AxisType.Explicit`)."""
    return any(AxisType.Explicit in (_mesh(array).axis_types or ()) for array in arrays if _mesh(array) is not None)


def _varying(array: Any) -> frozenset[str]:
    kind = getattr(_type(array), "manual_axis_type", None)
    return frozenset() if kind is None else frozenset(kind.varying)


def _spec(array: Any) -> tuple[Any, ...]:
    return tuple(_type(array).sharding.spec) if on_explicit_mesh(array) else ()


def _mesh(array: Any) -> Any:
    return getattr(getattr(_type(array), "sharding", None), "mesh", None)


def _type(array: Any) -> Any:
    return array if isinstance(array, jax.ShapeDtypeStruct) else jax.typeof(array)
