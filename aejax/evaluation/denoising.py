"""Denoised images: of any size by tiles, and how near they are to clean ones."""

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import numpy as np

from aejax.losses import structural_dissimilarity

_WINDOW = 7  # of the structural similarity


class Quality(NamedTuple):
    """Of one image, or of several: the error over all pixels, and means of the ratio and the similarity."""

    rmse: float  # root mean square error
    psnr: float  # peak signal-to-noise ratio, dB
    ssim: float | None  # mean structural similarity; None of what is no image of 7x7 pixels


def quality(clean: Sequence[np.ndarray], results: Sequence[np.ndarray], *, peak: float = 1.0) -> Quality:
    """How near images (H, W) or (H, W, 1), of any sizes, are to clean ones.

    The root mean square error √(Σ (x - x̂)² / Σ 1) is over the pixels of all images; the ratio 10 log₁₀(peak² / mean
    square) of each image and its structural similarity are averaged over images.

    Args:
      clean: one array per image.
      results: of the same shapes.
      peak: of the signal, the range of possible values.

    Source: Z. Wang et al. (2004), Image Quality Assessment, with a uniform window of 7x7 pixels.

    >>> clean, wrong = np.zeros((8, 8), np.float32), np.full((8, 8), 0.1, np.float32)
    >>> [round(number, 3) for number in quality([clean, clean], [wrong, wrong])[:2]]
    [0.1, 20.0]
    """
    squares = [np.square(x.astype(np.float64) - y) for x, y in zip(clean, results, strict=True)]
    rmse = float(np.sqrt(sum(map(np.sum, squares)) / sum(square.size for square in squares)))
    ratios = [10 * np.log10(peak**2 / max(float(np.mean(square)), 1e-12)) for square in squares]
    ssim = None
    if all(x.ndim in (2, 3) and min(x.shape[:2]) >= _WINDOW for x in clean):
        similar = [1 - float(_dissimilarity(peak)(x, y)) for x, y in zip(clean, results, strict=True)]
        ssim = float(np.mean(similar))
    return Quality(rmse, float(np.mean(ratios)), ssim)


@functools.cache
def _dissimilarity(peak: float) -> Callable[[np.ndarray, np.ndarray], jax.Array]:
    return jax.jit(lambda x, y: structural_dissimilarity(x, y, data_range=peak, window=_WINDOW))


def denoise_tiled(
    denoise: Callable[[np.ndarray], np.ndarray], image: np.ndarray, *, tile: int, reach: int, stride: int
) -> np.ndarray:
    """What `denoise` makes of an image of any size, by tiles that overlap so far that there are no seams.

    It is what `denoise` would make of the whole image, but for rounding.

    Args:
      denoise: from an image (h, w, ...) of any size to one of the same shape; what it does to a pixel depends on those
        at most `reach` away, and on where the pixel lies in blocks of `stride`.
      image: (H, W, ...).
      tile: pixels of a side of what is denoised at a time, at most.
      reach: as said.
      stride: as said.

    Raises:
      ValueError: tiles so small that nothing of them is left without what overlaps.

    >>> image = np.arange(90.0).reshape(9, 10)
    >>> bool(np.all(denoise_tiled(lambda part: 2 * part, image, tile=5, reach=1, stride=1) == 2 * image))
    True
    """
    rows, columns = (tiles(size, tile=tile, reach=reach, stride=stride) for size in image.shape[:2])
    if len(rows) == len(columns) == 1:
        return denoise(image)
    result = None
    for row in rows:
        for column in columns:
            part = denoise(image[row.start : row.stop, column.start : column.stop])
            result = np.empty(image.shape, part.dtype) if result is None else result
            kept = part[row.first - row.start : row.last - row.start, column.first - column.start :]
            result[row.first : row.last, column.first : column.last] = kept[:, : column.last - column.first]
    assert result is not None  # an image has at least one tile
    return result


class Tile(NamedTuple):
    """Along one axis: what is read, start to stop, and what is kept of it, first to last."""

    start: int
    stop: int
    first: int
    last: int


def tiles(size: int, *, tile: int, reach: int, stride: int) -> list[Tile]:
    """The tiles along an axis of so many pixels; those kept follow each other from end to end.

    >>> tiles(8, tile=6, reach=1, stride=2)
    [Tile(start=0, stop=6, first=0, last=4), Tile(start=2, stop=8, first=4, last=8)]
    """
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
