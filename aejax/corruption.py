"""Random corruptions of one example, `corrupt(key, x, *, knob)`: the result has the shape and dtype of x.

Inputs of half precision are drawn and computed in float32, and the result is rounded.
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
    """Replaces each entry independently by `low` or by `high`, each with probability `amount` / 2.

    Args:
      key: a PRNG key, not used elsewhere.
      x: one example, any shape.
      amount: the expected fraction of entries that are replaced, in [0, 1].
      low: the value of pepper, one number or an array of the shape of x.
      high: the value of salt, one number or an array of the shape of x.

    Returns:
      The corrupted example.

    Raises:
      ValueError: amount is outside [0, 1], or low or high has another shape than x.
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
    """Adds independent Gaussian noise: x + σ ε, ε ~ N(0, I). The result is not clipped.

    Args:
      key: a PRNG key, not used elsewhere.
      x: one example, any shape.
      standard_deviation: σ ≥ 0, one number, in x's unit.

    Returns:
      The corrupted example.

    Raises:
      ValueError: standard_deviation is negative, not finite or not one number.
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


def masking(
    key: Key[Array, ""], x: Float[Array, "..."], *, amount: ArrayLike, value: float = 0.0
) -> Float[Array, "..."]:
    """Sets each entry to `value` with probability `amount`, independently.

    Args:
      key: a PRNG key, not used elsewhere.
      x: one example, any shape.
      amount: the expected fraction of entries that are masked, in [0, 1].
      value: the value of masked entries; NaN makes them missing values of a table (`autoencoders.tabular`).

    Returns:
      The corrupted example.

    Raises:
      ValueError: amount is outside [0, 1].
      TypeError: x is not of a floating type.

    Source: P. Vincent et al. (2008), Extracting and Composing Robust Features with Denoising Autoencoders, section 2.3.

    >>> masking(jax.random.key(0), jnp.ones(4), amount=1.0)
    Array([0., 0., 0., 0.], dtype=float32)
    """
    check_floating(x=x)
    check_in_range("amount", amount, 0.0, 1.0)
    uniform = _uniform(key, x)
    return jnp.where(uniform < knob(amount, uniform.dtype), jnp.full_like(x, value), x)


def gaussian_blur(
    key: Key[Array, ""], x: Float[Array, "H W *C"], *, standard_deviation: float | int
) -> Float[Array, "H W *C"]:
    """Blurs ONE image with a Gaussian filter along its rows and its columns; nothing is random.

    y = Σⱼ wⱼ x₍ᵢ₊ⱼ₎ along each of the two axes, wⱼ ∝ exp(-j² / (2 σ²)) for |j| ≤ int(4 σ + ½), Σⱼ wⱼ = 1. Beyond its
    edges the image is continued by reflection, the outermost pixel included (d c b a | a b c d | d c b a), repeatedly
    where the filter is longer than the image.

    Args:
      key: unused; all corruptions have the same signature.
      x: one image (H, W) or (H, W, C); the channels are blurred separately.
      standard_deviation: σ ≥ 0 in pixels; a Python number, as it determines the filter's length; 0 leaves x as it is.

    Returns:
      The blurred image.

    Raises:
      ValueError: x is not an image, or standard_deviation is negative or not finite.
      TypeError: x is not of a floating type, or standard_deviation is not a Python number.

    Source: L. G. Shapiro, G. C. Stockman (2001), Computer Vision, section 5.7; the result equals
    `scipy.ndimage.gaussian_filter` with mode "reflect" and truncate 4.

    >>> gaussian_blur(jax.random.key(0), jnp.eye(2), standard_deviation=0.5).round(2)
    Array([[0.81, 0.19],
           [0.19, 0.81]], dtype=float32)
    """
    del key
    check_floating(x=x)
    if not isinstance(standard_deviation, Real):  # a JAX array may be traced
        raise TypeError(f"standard_deviation must be a Python number, got {standard_deviation!r}")
    if not 0 <= standard_deviation < math.inf:
        raise ValueError(f"standard_deviation must be at least 0 and finite, got {standard_deviation}")
    check_image(x)
    wide = widened(x)
    rows, columns = (jnp.asarray(_blur_matrix(size, float(standard_deviation)), wide.dtype) for size in x.shape[:2])
    return jnp.einsum("ih,jw,hw...->ij...", rows, columns, wide, precision="highest").astype(x.dtype)


def _blur_matrix(size: int, standard_deviation: float) -> np.ndarray:
    """Returns the filter along an axis of `size` pixels, with reflection at the edges, as a matrix (size, size)."""
    standard_deviation = min(standard_deviation, 1000.0 * size)  # any wider filter averages all pixels alike
    radius = int(4 * standard_deviation + 0.5)
    if radius == 0:
        return np.eye(size)
    offsets, period = np.arange(-radius, radius + 1), 2 * size  # one image and its reflection
    weights = np.bincount(offsets % period, np.exp(-0.5 * np.square(offsets / standard_deviation)), period)
    positions = np.add.outer(np.arange(size), np.arange(period)) % period
    sources = np.minimum(positions, period - 1 - positions)
    matrix = np.zeros((size, size))
    np.add.at(matrix, (np.arange(size)[:, None], sources), weights / weights.sum())
    return matrix


def _uniform(key: Array, x: Array) -> Array:
    """Returns uniform numbers in at least single precision: half precision is too coarse for small fractions."""
    return jax.random.uniform(key, x.shape, at_least_single(x.dtype))
