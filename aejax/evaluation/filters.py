"""Classical filters as baselines for denoising autoencoders; their settings are chosen on pairs of images.

Images are arrays (H, W), or (H, W, C) with colors, of any real type, not rescaled; noisy and clean images have the same
unit. Medians are those of each color, over its neighbors; non-local means compare patches of all colors. "Best" means
the smallest squared error to the clean images.
"""

import itertools
from collections.abc import Callable, Sequence
from functools import partial
from importlib.util import find_spec
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from aejax.checks import as_float64, as_floats, check_same_shape

Denoise = Callable[[np.ndarray], np.ndarray]  # maps an image (H, W) or (H, W, C) to one of the same shape
MEDIAN_SIZES = (3, 5, 7)
STRENGTHS = (0.03, 0.06, 0.08, 0.1, 0.15, 0.2, 0.3, 0.5)  # of non-local means, in gray values
BACKGROUND_SIZES = (15, 25, 35)
BLACKS, WHITES = np.linspace(0, 0.5, 6), np.linspace(0.6, 1, 9)


class Filter(NamedTuple):
    """A filter with fixed settings."""

    denoise: Denoise
    settings: str  # as text for a table


def median(noisy: Sequence[np.ndarray], clean: Sequence[np.ndarray]) -> Filter:
    """Returns the median filter with the best of the sizes `MEDIAN_SIZES`.

    Args:
      noisy: images to choose the size on.
      clean: the same images without noise.

    Raises:
      TypeError: the images are not numbers.
      ValueError: the images are not equally many, or differ in shape.
    """

    def filtered(image: np.ndarray, size: int) -> np.ndarray:
        return _median(as_floats("image", image), size)

    size = min(MEDIAN_SIZES, key=lambda size: _error(partial(filtered, size=size), noisy, clean))
    return Filter(partial(filtered, size=size), f"{size}x{size}")


def switching_median(noisy: Sequence[np.ndarray], clean: Sequence[np.ndarray], *, pepper: float, salt: float) -> Filter:
    """Returns a median filter, with the best size, that changes only pixels equal to `pepper` or `salt`.

    Unlike the other filters here it is given the values of the noise; clean pixels with these values are changed too.

    Args:
      noisy: images to choose the size on.
      clean: the same images without noise.
      pepper: the value of dark noise pixels.
      salt: the value of bright noise pixels.

    Raises:
      TypeError: the images are not numbers.
      ValueError: the images are not equally many, or differ in shape.

    Source: T. Sun, Y. Neuvo (1994), Detail-Preserving Median Based Filters in Image Processing.
    """
    noise = float(pepper), float(salt)  # Python floats, so that they compare equal to pixels of single precision

    def switched(image: np.ndarray, size: int) -> np.ndarray:
        image = as_floats("image", image)
        is_noise = (image == noise[0]) | (image == noise[1])
        return np.where(is_noise, _median(image, size), image)

    size = min(MEDIAN_SIZES, key=lambda size: _error(partial(switched, size=size), noisy, clean))
    return Filter(partial(switched, size=size), f"{size}x{size}")


def has_non_local_means() -> bool:
    """Returns whether scikit-image is installed, which `non_local_means` requires."""
    return find_spec("skimage") is not None


def non_local_means(noisy: Sequence[np.ndarray], clean: Sequence[np.ndarray]) -> Filter:
    """Returns non-local means with the best of the strengths `STRENGTHS`, by scikit-image.

    Patches have 5x5 pixels and are searched up to 6 pixels away.

    Args:
      noisy: images to choose the strength on.
      clean: the same images without noise.

    Raises:
      ImportError: scikit-image is not installed.
      TypeError: the images are not numbers.
      ValueError: the images are not equally many, or differ in shape.

    Source: A. Buades, B. Coll, J.-M. Morel (2005), A Non-Local Algorithm for Image Denoising.
    """
    from skimage.restoration import denoise_nl_means

    def means(image: np.ndarray, strength: float) -> np.ndarray:
        image = as_floats("image", image)
        channels = -1 if image.ndim == 3 else None
        return denoise_nl_means(
            image, patch_size=5, patch_distance=6, h=strength, fast_mode=True, channel_axis=channels
        )

    strength = min(STRENGTHS, key=lambda strength: _error(partial(means, strength=strength), noisy, clean))
    return Filter(partial(means, strength=strength), f"strength {strength}")


def background_division(noisy: Sequence[np.ndarray], clean: Sequence[np.ndarray]) -> Filter:
    """Returns the division of pages by their background (`divide_by_background`) with the best settings.

    Args:
      noisy: pages to choose the settings on.
      clean: the same pages without noise.

    Raises:
      TypeError: the pages are not numbers.
      ValueError: the pages are not equally many, or differ in shape.
    """
    best = (np.inf, 0, 0.0, 1.0)
    for size in BACKGROUND_SIZES:
        ratios = [_over_background(image, size) for image in noisy]
        for black, white in itertools.product(BLACKS.tolist(), WHITES.tolist()):
            error = _error(partial(stretch, black=black, white=white), ratios, clean)
            best = min(best, (error, size, black, white))
    _, size, black, white = best
    settings = f"{size}x{size}, black {black:g}, white {white:g}"
    return Filter(partial(divide_by_background, size=size, black=black, white=white), settings)


def divide_by_background(image: np.ndarray, *, size: int, black: float, white: float) -> np.ndarray:
    """Returns a page (H, W) divided by its background, then rescaled by `stretch`.

    Args:
      image: the page.
      size: the background is the median over size x size pixels around each pixel.
      black: the ratio that becomes 0.
      white: the ratio that becomes 1, above `black`.

    Raises:
      TypeError: the image is not numeric.
      ValueError: `white` is not above `black`.

    >>> page = np.full((9, 9), 0.8)
    >>> page[4, 4] = 0.2
    >>> divide_by_background(page, size=5, black=0.25, white=0.75)[4, 3:6].tolist()
    [1.0, 0.0, 1.0]
    """
    return stretch(_over_background(image, size), black=black, white=white)


def stretch(image: np.ndarray, *, black: float, white: float) -> np.ndarray:
    """Returns gray values rescaled so that `black` becomes 0 and `white` becomes 1, clipped to [0, 1].

    Raises:
      TypeError: the image is not numeric.
      ValueError: `white` is not above `black`.

    >>> stretch(np.array([[5, 10, 40, 90]], np.uint8), black=10, white=70).tolist()
    [[0.0, 0.0, 0.5, 1.0]]
    """
    if not black < white:
        raise ValueError(f"white must be above black, got white {white} and black {black}")
    return np.clip((as_floats("image", image) - float(black)) / float(white - black), 0, 1)


def _median(image: np.ndarray, size: int) -> np.ndarray:
    """Returns the median over size x size pixels around each pixel, of each color alone."""
    return ndimage.median_filter(image, (size, size, *(1,) * (image.ndim - 2)))


def _over_background(image: np.ndarray, size: int) -> np.ndarray:
    image = as_floats("image", image)
    return image / np.maximum(ndimage.median_filter(image, size), 1e-3)


def _error(denoise: Denoise, noisy: Sequence[np.ndarray], clean: Sequence[np.ndarray]) -> float:
    if len(noisy) != len(clean) or not len(noisy):
        raise ValueError(
            f"noisy and clean must hold equally many images, at least one, got {len(noisy)} and {len(clean)}"
        )
    total = 0.0
    for x, y in zip(noisy, clean, strict=True):
        result, truth = as_float64("denoised image", denoise(x)), as_float64("clean image", y)
        check_same_shape(denoised=result, clean=truth)
        total += float(np.sum(np.square(result - truth)))
    return total
