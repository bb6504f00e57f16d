"""Sums over a basis in chunks of vectors: memory grows with the chunk, not with the basis."""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

from aejax.checks import check_count
from aejax.jacobian.placement import placed_as


def check_chunk_size(chunk_size: int | None) -> None:
    """Raise TypeError unless the chunk size is None or an integer, ValueError unless it is at least 1."""
    if chunk_size is not None:
        check_count("chunk_size", chunk_size)


def basis(indices: Int[Array, "chunk"], like: Array | jax.ShapeDtypeStruct) -> Array:
    """Returns the standard basis vectors at `indices`, (chunk, *like.shape), with the dtype and placement of `like`."""
    vectors = jax.nn.one_hot(indices, math.prod(like.shape), dtype=like.dtype)
    return placed_as(vectors.reshape(indices.size, *like.shape), like)


def sum_over_chunks(term: Callable[[Array], Array], size: int, chunk_size: int | None) -> Array:
    """Returns the sum of term(indices) over chunks of range(size); term is recomputed in the backward pass."""
    first, *rest = (jnp.sum(values, axis=0) for values in _map_over_chunks(term, size, chunk_size))
    return sum(rest, start=first)


def stack_chunks(rows: Callable[[Array], Array], size: int, chunk_size: int | None) -> Array:
    """Returns rows(indices), (chunk, ...), of all chunks of range(size), concatenated to (size, ...)."""
    chunks = _map_over_chunks(rows, size, chunk_size)
    return jnp.concatenate([chunk.reshape(chunk.shape[0] * chunk.shape[1], *chunk.shape[2:]) for chunk in chunks])


def _map_over_chunks(function: Callable[[Array], Array], size: int, chunk_size: int | None) -> list[Array]:
    """Returns the function's values on all full chunks, stacked, and on the incomplete last one with a leading axis."""
    if chunk_size is None or chunk_size >= size:
        return [function(jnp.arange(size))[None]]
    # without rematerialization the gradient would keep the intermediate values of every chunk
    function = jax.checkpoint(function)
    full = size - size % chunk_size
    values = [jax.lax.map(function, jnp.arange(full).reshape(-1, chunk_size))]
    if full < size:
        values.append(function(jnp.arange(full, size))[None])
    return values
