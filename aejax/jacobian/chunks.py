"""Sums over a basis taken some vectors at a time: memory grows with the chunk, not with the basis."""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

from aejax.checks import check_count
from aejax.jacobian.placement import placed_as


def check_chunk_size(chunk_size: int | None) -> None:
    """Raise TypeError unless a chunk size is None or an integer, ValueError unless it is at least 1."""
    if chunk_size is not None:
        check_count("chunk_size", chunk_size)


def basis(indices: Int[Array, "chunk"], one: Array | jax.ShapeDtypeStruct) -> Array:
    """The standard basis vectors of these numbers, (chunk, *one.shape), of one's type and where it is placed."""
    vectors = jax.nn.one_hot(indices, math.prod(one.shape), dtype=one.dtype)
    return placed_as(vectors.reshape(indices.size, *one.shape), one)


def sum_over_chunks(term: Callable[[Array], Array], size: int, chunk_size: int | None) -> Array:
    """The sum of term(indices) over chunks of the numbers 0 to size - 1; term is recomputed for its gradient."""
    first, *rest = (jnp.sum(part, axis=0) for part in _parts(term, size, chunk_size))
    return sum(rest, start=first)


def stack_chunks(rows: Callable[[Array], Array], size: int, chunk_size: int | None) -> Array:
    """rows(indices), (chunk, ...), of all chunks of the numbers 0 to size - 1, as (size, ...)."""
    parts = _parts(rows, size, chunk_size)
    return jnp.concatenate([part.reshape(part.shape[0] * part.shape[1], *part.shape[2:]) for part in parts])


def _parts(function: Callable[[Array], Array], size: int, chunk_size: int | None) -> list[Array]:
    """The function of all full chunks, stacked, and of the partial one if there is any, also with a leading axis."""
    if chunk_size is None or chunk_size >= size:
        return [function(jnp.arange(size))[None]]
    # without rematerialization the gradient would keep what every chunk has computed
    function = jax.checkpoint(function)
    full = size - size % chunk_size
    parts = [jax.lax.map(function, jnp.arange(full).reshape(-1, chunk_size))]
    if full < size:
        parts.append(function(jnp.arange(full, size))[None])
    return parts
