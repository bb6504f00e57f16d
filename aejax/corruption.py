"""Corruptions of one example, keyed: `corrupt(key, x, *, knob)`, the shape and dtype of x kept.

Half precision is drawn and computed in float32, and the result is rounded.
"""

import math
from collections.abc import Callable
from numbers import Real

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Key

from aejax.checks import check_floating, check_image, check_in_range, check_number_or_shape
from aejax.precision import at_least_single, knob, widened

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
      low: the value of pepper, one number or an array of the shape of x.
      high: the value of salt, as `low`.

    Returns:
      The corrupted example.

    Raises:
      ValueError: amount outside [0, 1], or low or high of another shape.
      TypeError: x is not of a floating type.

    Source: P. Vincent et al. (2010), Stacked Denoising Autoencoders, section 3.3.

    >>> salt_and_pepper(jax.random.key(0), jnp.full(6, 0.5), amount=0.6)
    Array([0.5, 0.5, 1. , 1. , 1. , 0. ], dtype=float32)
    """
    check_floating(x=x)
    check_in_range("amount", amount, 0.0, 1.0)
    check_number_or_shape(x, low=low, high=high)
    uniform = _uniform(key, x)
    amount = knob(amount, uniform.dtype)
    replaced = jnp.where(uniform < 0.5 * amount, knob(low, x.dtype), knob(high, x.dtype))
    return jnp.where(uniform < amount, replaced, x)


def gaussian_noise(
    key: Key[Array, ""], x: Float[Array, "..."], *, standard_deviation: ArrayLike
) -> Float[Array, "..."]:
    """Add independent noise: x + σ ε, ε ~ N(0, I). Nothing is clipped.

    Args:
      key: a key, not used elsewhere.
      x: one example, any shape.
      standard_deviation: σ ≥ 0, one number, in x's unit.

    Returns:
      The corrupted example.

    Raises:
      ValueError: a standard deviation that is negative, infinite or not one number.
      TypeError: x is not of a floating type.

    Source: P. Vincent et al. (2010), Stacked Denoising Autoencoders, section 3.3.

    >>> gaussian_noise(jax.random.key(0), jnp.ones(2), standard_deviation=0.0)
    Array([1., 1.], dtype=float32)
    """
    check_floating(x=x)
    check_in_range("standard_deviation", standard_deviation, 0.0)
    wide = widened(x)
    noise = jax.random.normal(key, wide.shape, wide.dtype)
    return (wide + knob(standard_deviation, wide.dtype) * noise).astype(x.dtype)


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
    uniform = _uniform(key, x)
    return jnp.where(uniform < knob(amount, uniform.dtype), jnp.zeros_like(x), x)


def gaussian_blur(
    key: Key[Array, ""], x: Float[Array, "H W *C"], *, standard_deviation: float | int
) -> Float[Array, "H W *C"]:
    """Blur ONE image by a Gaussian filter along its rows and its columns; nothing is drawn.

    y = Σⱼ wⱼ x₍ᵢ₊ⱼ₎ along each of the two axes, wⱼ ∝ exp(-j² / (2 σ²)) for |j| ≤ int(4 σ + ½), Σⱼ wⱼ = 1. Beyond its
    edges the image goes on as its mirror image, the outermost pixel included (d c b a | a b c d | d c b a), as often
    as the filter reaches.

    Args:
      key: taken for the signature that corruptions have in common, and not used.
      x: one image (H, W) or (H, W, C); each channel is blurred by itself.
      standard_deviation: σ ≥ 0 in pixels, a Python number, since the filter's length follows from it; 0 blurs nothing.

    Returns:
      The blurred image.

    Raises:
      ValueError: x is no image, or a standard deviation that is negative or not finite.
      TypeError: x is not of a floating type, or a standard deviation that is no Python number.

    Source: L. G. Shapiro, G. C. Stockman (2001), Computer Vision, section 5.7; the same numbers as
    `scipy.ndimage.gaussian_filter` with mode "reflect" and truncate 4.

    >>> gaussian_blur(jax.random.key(0), jnp.eye(2), standard_deviation=0.5).round(2)
    Array([[0.81, 0.19],
           [0.19, 0.81]], dtype=float32)
    """
    del key
    check_floating(x=x)
    if not isinstance(standard_deviation, Real):  # an array of JAX may be traced
        raise TypeError(f"standard_deviation must be a Python number, got {standard_deviation!r}")
    if not 0 <= standard_deviation < math.inf:
        raise ValueError(f"standard_deviation must be at least 0 and finite, got {standard_deviation}")
    check_image(x)
    wide = widened(x)
    rows, columns = (jnp.asarray(_blur_matrix(size, float(standard_deviation)), wide.dtype) for size in x.shape[:2])
    return jnp.einsum("ih,jw,hw...->ij...", rows, columns, wide, precision="highest").astype(x.dtype)


def _blur_matrix(size: int, standard_deviation: float) -> np.ndarray:
    """The filter along one axis of that size, its mirrored edges included, as a matrix (size, size)."""
    standard_deviation = min(standard_deviation, 1000.0 * size)  # a wider filter takes the same mean of all pixels
    radius = int(4 * standard_deviation + 0.5)
    if radius == 0:
        return np.eye(size)
    offsets, period = np.arange(-radius, radius + 1), 2 * size  # of the image and its mirror image
    weights = np.bincount(offsets % period, np.exp(-0.5 * np.square(offsets / standard_deviation)), period)
    places = np.add.outer(np.arange(size), np.arange(period)) % period
    sources = np.minimum(places, period - 1 - places)
    matrix = np.zeros((size, size))
    np.add.at(matrix, (np.arange(size)[:, None], sources), weights / weights.sum())
    return matrix


def _uniform(key: Array, x: Array) -> Array:
    """Uniform numbers of at least single precision: half precision has too few to hit a small fraction."""
    return jax.random.uniform(key, x.shape, at_least_single(x.dtype))
