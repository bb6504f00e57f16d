"""Codes as a means of compression: quantized, their coded length, beside image files."""

import io
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from aejax.datasets.dataset import Splits

_SHEET_COLUMNS = 32
_SMALLEST: dict[str, dict[str, Any]] = {"JPEG": {"optimize": True}, "WebP": {"method": 6}}  # slower, and smaller


class RatePoint(NamedTuple):
    """What one setting of one way to compress costs, and what it loses, on examples that nothing was fitted to."""

    setting: str
    bits: float  # per example
    squared_error: float  # per number of an example


def quantize(
    codes: Float[np.ndarray, "N K"], low: Float[np.ndarray, "K"], high: Float[np.ndarray, "K"], *, bits: int
) -> Int[np.ndarray, "N K"]:
    """The number of the cell that each entry lies in, of 2^bits equal ones from low to high.

    Args:
      codes: of N examples; entries beyond low and high are taken for these.
      low: of each unit.
      high: of each unit; where it equals low there is one cell, number 0.
      bits: at least 1 and at most 16.

    Raises:
      ValueError: bits out of that range.

    >>> quantize(np.array([[0.1], [0.9], [7.0]]), np.zeros(1), np.ones(1), bits=1).ravel().tolist()
    [0, 1, 1]
    """
    if not 1 <= bits <= 16:
        raise ValueError(f"bits must be between 1 and 16, got {bits}")
    width = np.where(high > low, high - low, np.inf)
    return np.clip(np.floor((codes - low) / width * 2**bits), 0, 2**bits - 1).astype(np.int32)


def dequantize(
    symbols: Int[np.ndarray, "N K"], low: Float[np.ndarray, "K"], high: Float[np.ndarray, "K"], *, bits: int
) -> Float[np.ndarray, "N K"]:
    """The middle of each cell; of entries that are uniform in it the mean squared error is its width squared over 12.

    >>> dequantize(np.array([[0], [1]]), np.zeros(1), np.ones(1), bits=1).ravel().tolist()
    [0.25, 0.75]
    """
    return low + (symbols + 0.5) * (high - low) / 2**bits


def symbol_probabilities(symbols: Int[np.ndarray, "N K"], *, count: int) -> Float[np.ndarray, "K symbols"]:
    """(n + ½) / (N + ½ count) of each of `count` symbols of each unit, n being how often it occurs: never 0.

    Source: R. Krichevsky, V. Trofimov (1981), The performance of universal encoding.

    >>> symbol_probabilities(np.array([[0], [0], [1]]), count=2).tolist()
    [[0.625, 0.375]]
    """
    times = np.stack([np.bincount(unit, minlength=count) for unit in symbols.T])
    return (times + 0.5) / (len(symbols) + 0.5 * count)


def code_length(
    symbols: Int[np.ndarray, "N K"], probabilities: Float[np.ndarray, "K symbols"]
) -> Float[np.ndarray, "N"]:
    """-Σₖ log₂ p(sₖ), the bits that an arithmetic coder spends on each example, but for a bit or two in all.

    >>> code_length(np.array([[0, 1]]), np.array([[0.5, 0.5], [0.75, 0.25]])).tolist()
    [3.0]
    """
    return -np.log2(probabilities[np.arange(symbols.shape[1]), symbols]).sum(axis=1)


def rate_of_codes(
    codes: Splits, decode: Callable[[np.ndarray], np.ndarray], test_x: np.ndarray, *, bits: Sequence[int]
) -> list[RatePoint]:
    """Rate and distortion of codes that are quantized to each number of bits.

    Ranges and probabilities are those of the training codes; what it costs to send these, once, is not counted.

    Args:
      codes: (N, ...) of the examples of each split.
      decode: codes (N, ...) -> examples, in data space.
      test_x: what the test codes stand for.
      bits: of each unit.
    """
    train, test = (part.x.reshape(len(part.x), -1).astype(np.float64) for part in (codes.train, codes.test))
    low, high = train.min(axis=0), train.max(axis=0)
    points = []
    for number in bits:
        probabilities = symbol_probabilities(quantize(train, low, high, bits=number), count=2**number)
        symbols = quantize(test, low, high, bits=number)
        middle = dequantize(symbols, low, high, bits=number).astype(np.float32).reshape(codes.test.x.shape)
        error = np.mean(np.square(decode(middle).astype(np.float64) - test_x))
        length = code_length(symbols, probabilities).mean()
        points.append(RatePoint(f"{train.shape[1]} x {number}", float(length), float(error)))
    return points


def rate_of_image_files(
    images: Float[np.ndarray, "N H W *C"], *, file_format: str, qualities: Sequence[int], as_sheet: bool
) -> list[RatePoint]:
    """Rate and distortion of image files.

    Args:
      images: in [0, 1], gray or in color; rounded to bytes first, which the error counts in.
      file_format: `JPEG` or `WebP`.
      qualities: from 1 to 100.
      as_sheet: all images side by side in one file, whose header they share; else a file each.
    """
    from PIL import Image

    pixels = np.round(255 * np.clip(images, 0, 1)).astype(np.uint8)
    pixels = pixels[..., 0] if pixels.shape[3:] == (1,) else pixels
    pages = [_sheet(pixels)] if as_sheet else list(pixels)
    points = []
    for quality in qualities:
        files = []
        for page in pages:
            file = io.BytesIO()
            Image.fromarray(page).save(file, file_format, quality=quality, **_SMALLEST[file_format])
            files.append(file)
        mode = "L" if pixels.ndim == 3 else "RGB"
        read = [np.asarray(Image.open(file).convert(mode)) for file in files]
        shown = _images_of(read[0], pixels.shape) if as_sheet else np.stack(read)
        error = np.mean(np.square(shown / 255 - images.reshape(pixels.shape)), dtype=np.float64)
        size = sum(file.getbuffer().nbytes for file in files)
        points.append(RatePoint(f"quality {quality}", 8 * size / len(images), float(error)))
    return points


def best_settings(points: Sequence[RatePoint]) -> list[RatePoint]:
    """The settings that neither another one nor the way between two others (`error_at`) beats, by rising bits."""
    best: list[RatePoint] = []
    for point in sorted(points, key=lambda point: (point.bits, point.squared_error)):
        if best and point.squared_error >= best[-1].squared_error:
            continue
        while len(best) > 1 and _log_error(best[-1]) >= _log_error_at([best[-2], point], best[-1].bits):
            best.pop()
        best.append(point)
    return best


def error_at(points: Sequence[RatePoint], bits: float) -> float | None:
    """The squared error that a way to compress reaches with so many bits per example; None where it needs more.

    Between two of its best settings the logarithm of the error is taken as linear in the bits.

    >>> points = [RatePoint("a", 10.0, 0.04), RatePoint("b", 20.0, 0.01)]
    >>> round(error_at(points, 15.0), 6), error_at(points, 5.0)
    (0.02, None)
    """
    best = best_settings(points)
    return None if bits < best[0].bits else math.exp(_log_error_at(best, bits))


def rates_where_better(points: Sequence[RatePoint], than: Sequence[RatePoint]) -> list[tuple[float, float]]:
    """From and to how many bits per example one way to compress has the smaller error, where both reach.

    Beyond its last setting a way stays at its smallest error; what is better there is so up to infinity.

    >>> flat, steep = [RatePoint("", 10.0, 0.01)], [RatePoint("", 10.0, 0.04), RatePoint("", 30.0, 0.0025)]
    >>> [(round(low, 6), high) for low, high in rates_where_better(steep, flat)]
    [(20.0, inf)]
    """
    ways = best_settings(points), best_settings(than)
    lowest = max(way[0].bits for way in ways)
    rates = sorted({lowest} | {point.bits for way in ways for point in way if point.bits > lowest})
    leads = [_log_error_at(ways[1], rate) - _log_error_at(ways[0], rate) for rate in rates]
    edges = rates[:1]
    for left, right, lead, next_lead in zip(rates, rates[1:], leads, leads[1:], strict=False):
        if lead * next_lead < 0:
            edges.append(left + (right - left) * lead / (lead - next_lead))
        edges.append(right)
    better: list[tuple[float, float]] = []
    for low, high in zip(edges, [*edges[1:], math.inf], strict=True):
        inside = low + 1 if high == math.inf else (low + high) / 2
        if _log_error_at(ways[0], inside) < _log_error_at(ways[1], inside):
            joined = better.pop()[0] if better and better[-1][1] == low else low
            better.append((joined, high))
    return better


def _log_error(point: RatePoint) -> float:
    return math.log(max(point.squared_error, 1e-12))


def _log_error_at(best: Sequence[RatePoint], bits: float) -> float:
    return float(np.interp(bits, [point.bits for point in best], [_log_error(point) for point in best]))


def _sheet(pixels: np.ndarray) -> np.ndarray:
    """(N, H, W, ...) side by side in rows; what is left of the last row stays black."""
    columns = min(len(pixels), _SHEET_COLUMNS)
    count, height, width, *channels = pixels.shape
    missing = -count % columns
    cells = np.concatenate([pixels, np.zeros((missing, *pixels.shape[1:]), pixels.dtype)])
    rows = cells.reshape(-1, columns, height, width, *channels).swapaxes(1, 2)
    return rows.reshape(-1, columns * width, *channels)


def _images_of(sheet: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The images (N, H, W, ...) of that shape that lie on a sheet."""
    count, height, width, *channels = shape
    rows = sheet.reshape(-1, height, sheet.shape[1] // width, width, *channels).swapaxes(1, 2)
    return rows.reshape(-1, height, width, *channels)[:count]
