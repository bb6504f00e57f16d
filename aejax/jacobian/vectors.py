"""Lengths and products of vectors, summed in single precision at least, that neither overflow nor vanish."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from aejax.precision import at_least_single


def norm(v: Float[Array, "..."]) -> Float[Array, ""]:
    """‖v‖, with derivatives of 0 where v is."""
    v = v.astype(at_least_single(v.dtype))
    largest = _largest(v)
    squares = jnp.sum(jnp.square(v / largest))  # of numbers up to 1: neither overflows, nor vanishes as a whole
    is_zero = squares == 0  # there the root has no derivative, and the norm a kink
    return largest * jnp.where(is_zero, 0, jnp.sqrt(jnp.where(is_zero, 1, squares)))


def unit(v: Float[Array, "..."]) -> Float[Array, "..."]:
    """V / ‖v‖, and 0 where v is."""
    scaled = v / _largest(v)  # before the norm, which may overflow
    length = norm(scaled)
    return scaled / jnp.where(length == 0, 1, length).astype(v.dtype)


def inner_product(a: Float[Array, "..."], b: Float[Array, "..."]) -> Float[Array, ""]:
    """Σ a b."""
    dtype = at_least_single(a.dtype)
    return jnp.sum(a.astype(dtype) * b.astype(dtype))


def _largest(v: Array) -> Array:
    largest = jnp.max(jnp.abs(v), initial=0)
    return jax.lax.stop_gradient(jnp.where(largest == 0, 1, largest))
