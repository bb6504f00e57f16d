"""Denoising of images of any size by tiles, and measures of image quality."""

import functools
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import numpy as np

from aejax.checks import as_float64, check_count, check_in_range, check_same_shape
from aejax.losses import structural_dissimilarity

_WINDOW = 7  # of the structural similarity
_MAX_DECIBELS = 120.0  # the ratio at which the error is rounding only


class Quality(NamedTuple):
    """Quality of one image, or of several: the error over all pixels, and means of PSNR and SSIM over images."""

    rmse: float  # root mean square error, in the data's unit
    psnr: float | None  # peak signal-to-noise ratio, dB; None if the peak is 0
    ssim: float | None  # mean structural similarity; None if the peak is 0 or an image is smaller than 7x7 pixels


def quality(clean: Sequence[np.ndarray], results: Sequence[np.ndarray], *, peak: float = 1.0) -> Quality:
    """Returns the quality of images compared with clean ones.

    The root mean square error √(Σ (x - x̂)² / Σ 1) is computed over the pixels of all images. The peak signal-to-noise
    ratio 10 log₁₀(peak² / mean square error), at most 120 dB, and the structural similarity are computed for each image
    and averaged over images.

    Args:
      clean: one array (H, W) or (H, W, 1) per image, of any size and any real type; bytes are not rescaled.
      results: images of the same shapes.
      peak: the range of possible values, in the data's unit.

    Raises:
      TypeError: the images are not numbers.
      ValueError: there are no images, an image is empty, shapes or numbers of images differ, or `peak` is negative.

    Source: Z. Wang et al. (2004), Image Quality Assessment, with a uniform window of 7x7 pixels.

    >>> clean, wrong = np.zeros((8, 8), np.float32), np.full((8, 8), 0.1, np.float32)
    >>> [round(number, 3) for number in quality([clean, clean], [wrong, wrong])[:2]]
    [0.1, 20.0]
    """
    check_in_range("peak", peak, 0.0)
    truths, found = (
        [as_float64(f"{name} images", x) for x in given] for name, given in (("clean", clean), ("resulting", results))
    )
    if len(truths) != len(found) or not truths or any(x.size == 0 for x in truths):
        raise ValueError(
            f"clean and results must hold equally many images, not empty, got {len(truths)} and {len(found)}"
        )
    for x, y in zip(truths, found, strict=True):
        check_same_shape(clean=x, results=y)
    squares = [np.square(x - y) for x, y in zip(truths, found, strict=True)]
    rmse = float(np.sqrt(sum(map(np.sum, squares)) / sum(square.size for square in squares)))
    if not peak:
        return Quality(rmse, None, None)
    ratios = [peak_signal_to_noise_ratio(float(np.mean(square)), float(peak)) for square in squares]
    ssim = None
    if all(x.ndim in (2, 3) and min(x.shape[:2]) >= _WINDOW for x in truths):
        ssim = float(np.mean([_similarity(x, y, float(peak)) for x, y in zip(truths, found, strict=True)]))
    return Quality(rmse, float(np.mean(ratios)), ssim)


def peak_signal_to_noise_ratio(squared_error: float, peak: float) -> float:
    """Returns the ratio 10 log₁₀(peak² / squared error) in dB, at most 120, the ratio of single-precision rounding.

    Args:
      squared_error: the mean over pixels, in the square of the data's unit, at least 0.
      peak: the range of possible values, above 0, in the data's unit.

    Raises:
      ValueError: an argument is out of range.

    >>> peak_signal_to_noise_ratio(0.01, 1.0), peak_signal_to_noise_ratio(0.0, 255.0)
    (20.0, 120.0)
    """
    check_in_range("squared_error", squared_error, 0.0)
    if not peak > 0:
        raise ValueError(f"peak must be above 0, got {peak}")
    if squared_error == 0:
        return _MAX_DECIBELS
    return min(20 * math.log10(peak) - 10 * math.log10(squared_error), _MAX_DECIBELS)


def _similarity(x: np.ndarray, y: np.ndarray, peak: float) -> float:
    """Returns the structural similarity, in double precision if single precision would round the images."""
    single = [image.astype(np.float32) for image in (x, y)]
    if np.array_equal(x, single[0]) and np.array_equal(y, single[1]):
        return 1 - float(_dissimilarity(peak)(*single))
    with jax.enable_x64(True):
        return 1 - float(_dissimilarity(peak)(x, y))


@functools.cache
def _dissimilarity(peak: float) -> Callable[[np.ndarray, np.ndarray], jax.Array]:
    return jax.jit(lambda x, y: structural_dissimilarity(x, y, data_range=peak, window=_WINDOW))


def denoise_tiled(
    denoise: Callable[[np.ndarray], np.ndarray], image: np.ndarray, *, tile: int, reach: int, stride: int
) -> np.ndarray:
    """Returns an image of any size denoised by overlapping tiles, without seams.

    The result equals `denoise(image)`, up to rounding error.

    Args:
      denoise: maps an image (h, w, ...) of any size to an image of the same shape. Its result at a pixel depends only
        on pixels at most `reach` away and on the pixel's position within blocks of `stride` pixels.
      image: (H, W, ...).
      tile: the largest side of a tile, in pixels.
      reach: in pixels, at least 0.
      stride: in pixels, at least 1.

    Returns:
      (H, W, ...), of the type that `denoise` returns.

    Raises:
      TypeError: a size is not an integer.
      ValueError: the tiles are too small for their overlap, `denoise` changes the shape, or the image is empty or not
        of shape (H, W, ...).

    >>> image = np.arange(90.0).reshape(9, 10)
    >>> bool(np.all(denoise_tiled(lambda tile: 2 * tile, image, tile=5, reach=1, stride=1) == 2 * image))
    True
    """
    image = np.asarray(image)
    if image.ndim < 2 or image.size == 0:
        raise ValueError(f"image must have shape (height, width, ...), not empty, got {image.shape}")
    rows, columns = (tiles(size, tile=tile, reach=reach, stride=stride) for size in image.shape[:2])
    if len(rows) == len(columns) == 1:
        return _denoised(denoise, image)
    result = None
    for row in rows:
        for column in columns:
            denoised = _denoised(denoise, image[row.start : row.stop, column.start : column.stop])
            result = np.empty(image.shape, denoised.dtype) if result is None else result
            kept = denoised[row.first - row.start : row.last - row.start, column.first - column.start :]
            result[row.first : row.last, column.first : column.last] = kept[:, : column.last - column.first]
    assert result is not None  # an image has at least one tile
    return result


def _denoised(denoise: Callable[[np.ndarray], np.ndarray], image: np.ndarray) -> np.ndarray:
    result = np.asarray(denoise(image))
    check_same_shape(image=image, denoised=result)
    return result


class Tile(NamedTuple):
    """A tile along one axis: pixels `start` to `stop` are denoised, of which `first` to `last` are kept."""

    start: int
    stop: int
    first: int
    last: int


def tiles(size: int, *, tile: int, reach: int, stride: int) -> list[Tile]:
    """Returns the tiles along an axis; the pixels that they keep cover the axis without overlap.

    Args:
      size: length of the axis, in pixels.
      tile: the largest length of a tile, in pixels; rounded down to a multiple of `stride`.
      reach: the overlap that `denoise_tiled` requires on either side, in pixels.
      stride: tiles start at multiples of it.

    Raises:
      TypeError: a size is not an integer.
      ValueError: a size is out of range, or `tile` is too small for the overlap.

    >>> tiles(8, tile=6, reach=1, stride=2)
    [Tile(start=0, stop=6, first=0, last=4), Tile(start=2, stop=8, first=4, last=8)]
    """
    for name, number, least in (("size", size, 1), ("tile", tile, 1), ("reach", reach, 0), ("stride", stride, 1)):
        check_count(name, number, least)
    margin, tile = -(-reach // stride) * stride, tile // stride * stride
    if tile <= 2 * margin:
        raise ValueError(
            f"tile must exceed twice the overlap of {margin} pixels, got {tile} pixels (in multiples of stride)"
        )
    if size <= tile:
        return [Tile(0, size, 0, size)]
    found, kept, latest = [], 0, -(-(size - tile) // stride) * stride
    while kept < size:
        start = min(max(0, kept - margin), latest)
        stop = min(start + tile, size)
        last = size if stop == size else stop - margin
        found.append(Tile(start, stop, kept, last))
        kept = last
    return found
