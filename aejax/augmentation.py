"""Random augmentations of one example, `augment(key, x, *, knob)`: the result has the shape and dtype of x.

Unlike a corruption, an augmentation makes a new example, which is also the target of the reconstruction.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Key, Num

from aejax.checks import check_array, check_count, check_image

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
