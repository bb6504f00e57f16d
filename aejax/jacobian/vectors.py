"""Norms and inner products of vectors, summed in at least single precision, without overflow or underflow."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from aejax.precision import at_least_single


def norm(v: Float[Array, "..."]) -> Float[Array, ""]:
    """Returns ‖v‖, with derivatives of 0 at v = 0."""
    v = v.astype(at_least_single(v.dtype))
    largest = _largest(v)
    squares = jnp.sum(jnp.square(v / largest))  # between 1 and v.size: no overflow or underflow
    is_zero = squares == 0  # where the root has no derivative, and the norm has a kink
    return largest * jnp.where(is_zero, 0, jnp.sqrt(jnp.where(is_zero, 1, squares)))


def unit(v: Float[Array, "..."]) -> Float[Array, "..."]:
    """Returns v / ‖v‖, and 0 for v = 0."""
    scaled = v / _largest(v)  # first, as the norm of v may overflow in v's dtype
    length = norm(scaled)
    return scaled / jnp.where(length == 0, 1, length).astype(v.dtype)


def inner_product(a: Float[Array, "..."], b: Float[Array, "..."]) -> Float[Array, ""]:
    """Returns Σᵢ aᵢ bᵢ over all entries."""
    dtype = at_least_single(a.dtype)
    return jnp.sum(a.astype(dtype) * b.astype(dtype))


def _largest(v: Array) -> Array:
    largest = jnp.max(jnp.abs(v), initial=0)
    return jax.lax.stop_gradient(jnp.where(largest == 0, 1, largest))
