"""Corruptions of one example, keyed: `corrupt(key, x, *, knob)`, the shape and dtype of x kept."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Key

from aejax.checks import check_floating, check_in_range

Corruption = Callable[[Array, Array], Array]  # (key, x) -> corrupted x, of one example


def salt_and_pepper(
    key: Key[Array, ""],
    x: Float[Array, "..."],
    *,
    amount: ArrayLike,
    low: ArrayLike = 0.0,
    high: ArrayLike = 1.0,
) -> Float[Array, "..."]:
    """Replace each entry with probability `amount`: half of the replaced by `low`, half by `high`.

    Args:
      key: a key, not used elsewhere.
      x: one example, any shape.
      amount: expected fraction of the entries that is replaced, in [0, 1]; each is drawn independently.
      low: the value of pepper.
      high: the value of salt.

    Returns:
      The corrupted example.

    Raises:
      ValueError: amount outside [0, 1].
      TypeError: x is not of a floating type.

    Source: P. Vincent et al. (2010), Stacked Denoising Autoencoders, section 3.3.

    >>> salt_and_pepper(jax.random.key(0), jnp.full(6, 0.5), amount=0.6)
    Array([0.5, 0.5, 1. , 1. , 1. , 0. ], dtype=float32)
    """
    check_floating(x=x)
    check_in_range("amount", amount, 0.0, 1.0)
    uniform = _uniform(key, x)
    replaced = jnp.where(uniform < 0.5 * jnp.asarray(amount, uniform.dtype), low, high).astype(x.dtype)
    return jnp.where(uniform < amount, replaced, x)


def gaussian_noise(
    key: Key[Array, ""], x: Float[Array, "..."], *, standard_deviation: ArrayLike
) -> Float[Array, "..."]:
    """Add independent noise: x + σ ε, ε ~ N(0, I). Nothing is clipped.

    Args:
      key: a key, not used elsewhere.
      x: one example, any shape.
      standard_deviation: σ ≥ 0, in x's unit.

    Returns:
      The corrupted example.

    Raises:
      ValueError: a negative standard deviation.
      TypeError: x is not of a floating type.

    Source: P. Vincent et al. (2010), Stacked Denoising Autoencoders, section 3.3.

    >>> gaussian_noise(jax.random.key(0), jnp.ones(2), standard_deviation=0.0)
    Array([1., 1.], dtype=float32)
    """
    check_floating(x=x)
    check_in_range("standard_deviation", standard_deviation, 0.0)
    return x + jnp.asarray(standard_deviation, x.dtype) * jax.random.normal(key, x.shape, x.dtype)


def masking(key: Key[Array, ""], x: Float[Array, "..."], *, amount: ArrayLike) -> Float[Array, "..."]:
    """Set each entry to 0 with probability `amount`, independently.

    Args:
      key: a key, not used elsewhere.
      x: one example, any shape.
      amount: expected fraction of the entries that is set to 0, in [0, 1].

    Returns:
      The corrupted example.

    Raises:
      ValueError: amount outside [0, 1].
      TypeError: x is not of a floating type.

    Source: P. Vincent et al. (2008), Extracting and Composing Robust Features with Denoising Autoencoders, section 2.3.

    >>> masking(jax.random.key(0), jnp.ones(4), amount=1.0)
    Array([0., 0., 0., 0.], dtype=float32)
    """
    check_floating(x=x)
    check_in_range("amount", amount, 0.0, 1.0)
    return jnp.where(_uniform(key, x) < amount, jnp.zeros_like(x), x)


def _uniform(key: Array, x: Array) -> Array:
    """Uniform numbers of at least single precision: half precision has too few to hit a small fraction."""
    return jax.random.uniform(key, x.shape, max(x.dtype, jnp.dtype(jnp.float32), key=lambda dtype: dtype.itemsize))
