"""Vectors that are made for an example, placed as the example is: under `jax.shard_map` and on explicit meshes.

What a function of one example makes by itself, such as a basis or a random direction, is the same on all devices. Where
the example differs between them, JAX's derivatives refuse such a vector until it is cast.
"""

from typing import Any, cast

import jax
import jax.numpy as jnp
from jax.sharding import AxisType, PartitionSpec
from jaxtyping import Array


def varying_as(array: Array, *others: Any) -> Array:
    """The array, cast to differ between devices along every axis of a mesh along which one of the others does."""
    missing = frozenset[str]().union(*map(_varying, others)) - _varying(array)
    return cast(Array, jax.lax.pcast(array, tuple(sorted(missing)), to="varying")) if missing else array


def placed_as(vectors: Array, one: Any) -> Array:
    """Vectors (n, *shape) with the placement of one of that shape, an array or what `jax.eval_shape` has of it."""
    vectors = varying_as(vectors, one)
    spec = _spec(one)
    if any(axis is not None for axis in spec):
        vectors = cast(Array, jax.sharding.reshard(vectors, PartitionSpec(None, *spec)))
    return vectors


def placed_along(vector: Array, rows: Any) -> Array:
    """A vector (n,) placed as the first axis of rows (n, ...) is on an explicit mesh, where `jax.vmap` asks for it."""
    spec = _spec(rows)[:1]
    return cast(Array, jax.sharding.reshard(vector, PartitionSpec(*spec))) if spec and spec[0] is not None else vector


def row_of(rows: Array, index: Array) -> Array:
    """rows[index]; on an explicit mesh, where JAX takes no single row of those that it divides, as a sum over rows."""
    if not on_explicit_mesh(rows):
        return rows[index]
    is_it = placed_along(jnp.arange(len(rows)), rows) == index
    return jnp.sum(jnp.where(is_it.reshape(-1, *(1,) * (rows.ndim - 1)), rows, 0), axis=0).astype(rows.dtype)


def on_explicit_mesh(*arrays: Any) -> bool:
    """Whether shardings are a part of the types of these arrays."""
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
