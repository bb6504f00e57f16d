"""Random augmentations of one example, `augment(key, x, *, knob)`: the result has the shape and dtype of x.

Unlike a corruption, an augmentation makes a new example, which is also the target of the reconstruction.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, Num

from aejax.checks import check_array, check_count, check_floating, check_image
from aejax.keys import named_key
from aejax.precision import at_least_single

Augmentation = Callable[[Array, Array], Array]  # (key, x) -> augmented x, of one example


def shift(key: Key[Array, ""], x: Num[Array, "H W *C"], *, pixels: int) -> Num[Array, "H W *C"]:
    """Shifts ONE image by a random number of pixels: yᵢⱼ = x₍ᵢ₋ₐ₎₍ⱼ₋ᵦ₎, a and b uniform in {-pixels, ..., pixels}.

    Beyond its edges the image is continued by its outermost pixels (a a a | a b c d | d d d).

    Args:
      key: a PRNG key, not used elsewhere.
      x: one image (H, W) or (H, W, C); all channels are shifted alike.
      pixels: the largest shift along each axis, at least 1 and less than H and W.

    Returns:
      The shifted image.

    Raises:
      ValueError: x is not an image, or pixels is out of range.
      TypeError: pixels is not an integer, or x is not an array.

    Source: P. Y. Simard, D. Steinkraus, J. C. Platt (2003), Best Practices for Convolutional Neural Networks Applied to
    Visual Document Analysis, section 2.

    >>> shift(jax.random.key(1), jnp.arange(9).reshape(3, 3), pixels=1)
    Array([[1, 2, 2],
           [4, 5, 5],
           [7, 8, 8]], dtype=int32)
    """
    check_count("pixels", pixels)
    check_array(x=x)
    check_image(x)
    if pixels >= min(x.shape[:2]):
        raise ValueError(f"pixels must be less than the sides of the image, {x.shape[:2]}, got {pixels}")
    pixels = int(pixels)  # twice a narrow NumPy integer may overflow
    padded = jnp.pad(x, [(pixels, pixels)] * 2 + [(0, 0)] * (x.ndim - 2), mode="edge")
    row, column = jax.random.randint(key, (2,), 0, 2 * pixels + 1)
    return jax.lax.dynamic_slice(padded, (row, column, *(0,) * (x.ndim - 2)), x.shape)


def binarize(key: Key[Array, ""], x: Float[Array, "..."]) -> Float[Array, "..."]:
    """Draws ONE example of bits b with P(bᵢ = 1) = xᵢ, independently: dynamic binarization if drawn in every epoch.

    Args:
      key: a PRNG key, not used elsewhere.
      x: probabilities in [0, 1], any shape.

    Returns:
      Zeros and ones, of the shape and dtype of x.

    Raises:
      TypeError: x is not of a floating type.

    Source: R. Salakhutdinov, I. Murray (2008), On the Quantitative Analysis of Deep Belief Networks, section 6.1;
    Y. Burda, R. Grosse, R. Salakhutdinov (2016), Importance Weighted Autoencoders, section 5.

    >>> binarize(jax.random.key(0), jnp.array([0.0, 0.0, 1.0, 1.0])).tolist()
    [0.0, 0.0, 1.0, 1.0]
    """
    check_floating(x=x)
    uniform = jax.random.uniform(key, x.shape, at_least_single(x.dtype))
    return (uniform < x.astype(uniform.dtype)).astype(x.dtype)


def dequantize(key: Key[Array, ""], x: Float[Array, "..."], *, levels: int) -> Float[Array, "..."]:
    """Adds uniform noise to ONE example of levels: xᵢ = k/(n - 1) becomes (k + u)/n, u uniform on [0, 1).

    The expected log-density of the result, minus D log n, is at most the log-probability of the levels.

    Args:
      key: a PRNG key, not used elsewhere.
      x: multiples of 1/(n - 1) in [0, 1], any shape; other values are rounded to the nearest one.
      levels: n >= 2; 256 for bytes that are divided by 255.

    Returns:
      Values in [0, 1), of the shape and dtype of x.

    Raises:
      ValueError: levels is below 2.
      TypeError: levels is not an integer, or x is not of a floating type.

    Source: B. Uria, I. Murray, H. Larochelle (2013), RNADE, section 5.1; L. Theis, A. van den Oord, M. Bethge (2016), A
    Note on the Evaluation of Generative Models, section 3.1.

    >>> values = dequantize(jax.random.key(0), jnp.array([0.0, 1.0]), levels=2)
    >>> (2 * values).astype(int).tolist()
    [0, 1]
    """
    check_count("levels", levels, 2)
    check_floating(x=x)
    dtype = at_least_single(x.dtype)
    level = jnp.round(x.astype(dtype) * (levels - 1))
    values = (level + jax.random.uniform(key, x.shape, dtype)) / levels
    return jnp.minimum(values.astype(x.dtype), jnp.nextafter(jnp.ones((), x.dtype), jnp.zeros((), x.dtype)))


def one_after_another(*augmentations: Augmentation) -> Augmentation:
    """Returns the augmentation that applies several ones in this order, each with noise of its own.

    >>> both = one_after_another(lambda key, x: x + 1, binarize)
    >>> both(jax.random.key(0), jnp.zeros(2)).tolist()
    [1.0, 1.0]
    """

    def apply(key: Key[Array, ""], x: Num[Array, "..."]) -> Num[Array, "..."]:
        for number, augment in enumerate(augmentations):
            x = augment(named_key(key, f"augmentation {number}"), x)
        return x

    return apply
