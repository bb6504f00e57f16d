"""Denoised images: of any size by tiles, and how near they are to clean ones."""

import functools
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import numpy as np

from aejax.checks import as_float64, check_count, check_in_range, check_same_shape
from aejax.losses import structural_dissimilarity

_WINDOW = 7  # of the structural similarity
_MOST_DECIBELS = 120.0  # of an error that is nothing but rounding


class Quality(NamedTuple):
    """Of one image, or of several: the error over all pixels, and means of the ratio and the similarity."""

    rmse: float  # root mean square error
    psnr: float | None  # peak signal-to-noise ratio, dB; None where the peak is 0
    ssim: float | None  # mean structural similarity; None of what is no image of 7x7 pixels, or where the peak is 0


def quality(clean: Sequence[np.ndarray], results: Sequence[np.ndarray], *, peak: float = 1.0) -> Quality:
    """How near images (H, W) or (H, W, 1), of any sizes, are to clean ones.

    The root mean square error √(Σ (x - x̂)² / Σ 1) is over the pixels of all images; the ratio 10 log₁₀(peak² / mean
    square) of each image, at most 120 dB, and its structural similarity are averaged over images.

    Args:
      clean: one array per image, of any real type: bytes are taken as the numbers that they are.
      results: of the same shapes.
      peak: of the signal, the range of possible values.

    Raises:
      TypeError: images that hold no numbers.
      ValueError: no images, images without pixels, of other shapes or of another number, or a peak below 0.

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
        raise ValueError(f"images must be equally many, and not empty, got {len(truths)} clean ones and {len(found)}")
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
    """The ratio 10 log₁₀(peak² / squared error) in dB, at most 120, which is that of rounding in single precision.

    Args:
      squared_error: the mean over pixels, in the square of the data's unit.
      peak: above 0, in the data's unit.

    >>> peak_signal_to_noise_ratio(0.01, 1.0), peak_signal_to_noise_ratio(0.0, 255.0)
    (20.0, 120.0)
    """
    check_in_range("squared_error", squared_error, 0.0)
    if not peak > 0:
        raise ValueError(f"peak must be above 0, got {peak}")
    if squared_error == 0:
        return _MOST_DECIBELS
    return min(20 * math.log10(peak) - 10 * math.log10(squared_error), _MOST_DECIBELS)


def _similarity(x: np.ndarray, y: np.ndarray, peak: float) -> float:
    """In single precision where it holds the numbers, else in double: beside a large offset they would be rounded."""
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
    """What `denoise` makes of an image of any size, by tiles whose overlap leaves no seams.

    It is what `denoise` would make of the whole image, up to rounding error.

    Args:
      denoise: from an image (h, w, ...) of any size to one of the same shape; what it does to a pixel depends on those
        at most `reach` away, and on where the pixel lies in blocks of `stride`.
      image: (H, W, ...).
      tile: pixels of a side of what is denoised at a time, at most.
      reach: pixels, at least 0.
      stride: pixels, at least 1.

    Raises:
      TypeError: sizes that are no integers.
      ValueError: tiles so small that nothing of them is left without what overlaps, a result of another shape, or an
        image that is none.

    >>> image = np.arange(90.0).reshape(9, 10)
    >>> bool(np.all(denoise_tiled(lambda part: 2 * part, image, tile=5, reach=1, stride=1) == 2 * image))
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
            part = _denoised(denoise, image[row.start : row.stop, column.start : column.stop])
            result = np.empty(image.shape, part.dtype) if result is None else result
            kept = part[row.first - row.start : row.last - row.start, column.first - column.start :]
            result[row.first : row.last, column.first : column.last] = kept[:, : column.last - column.first]
    assert result is not None  # an image has at least one tile
    return result


def _denoised(denoise: Callable[[np.ndarray], np.ndarray], image: np.ndarray) -> np.ndarray:
    result = np.asarray(denoise(image))
    check_same_shape(image=image, denoised=result)
    return result


class Tile(NamedTuple):
    """Along one axis: what is read, start to stop, and what is kept of it, first to last."""

    start: int
    stop: int
    first: int
    last: int


def tiles(size: int, *, tile: int, reach: int, stride: int) -> list[Tile]:
    """The tiles along an axis of `size` pixels; those kept follow each other from end to end.

    >>> tiles(8, tile=6, reach=1, stride=2)
    [Tile(start=0, stop=6, first=0, last=4), Tile(start=2, stop=8, first=4, last=8)]
    """
    for name, number, least in (("size", size, 1), ("tile", tile, 1), ("reach", reach, 0), ("stride", stride, 1)):
        check_count(name, number, least)
    margin, tile = -(-reach // stride) * stride, tile // stride * stride
    if tile <= 2 * margin:
        raise ValueError(f"tiles of {tile} pixels leave nothing without {margin} on either side")
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
