"""Codes as a means of compression: quantized, their coded length, beside image files."""

import io
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Float, Int, Shaped

from aejax.checks import as_float64, as_floats, check_count, check_same_shape
from aejax.datasets.dataset import Splits
from aejax.evaluation.reduction import flatten, mean_squared_error

_SHEET_COLUMNS = 32
_LARGEST_SIDE = {"JPEG": 65_500, "WebP": 16_383}  # pixels that the formats allow
_LEAST_ERROR = 1e-300  # whose logarithm is taken for that of 0
_SMALLEST: dict[str, dict[str, Any]] = {"JPEG": {"optimize": True}, "WebP": {"method": 6}}  # slower, and smaller


class RatePoint(NamedTuple):
    """What one setting of one way to compress costs, and what it loses, on examples that nothing was fitted to."""

    setting: str
    bits: float  # per example
    squared_error: float  # per number of an example


def quantize(
    codes: Shaped[np.ndarray, "N K"], low: Shaped[np.ndarray, "K"], high: Shaped[np.ndarray, "K"], *, bits: int
) -> Int[np.ndarray, "N K"]:
    """The number of the cell that each entry lies in, of 2^bits equal ones from low to high.

    Args:
      codes: of N examples; entries beyond low and high are taken for these.
      low: of each unit.
      high: of each unit; where it equals low there is one cell, number 0.
      bits: at least 1 and at most 16.

    Raises:
      TypeError: codes or limits that hold no numbers, or bits that are no integer.
      ValueError: bits out of that range, other shapes, a limit above the other, NaN or infinity.

    >>> quantize(np.array([[0.1], [0.9], [7.0]]), np.zeros(1), np.ones(1), bits=1).ravel().tolist()
    [0, 1, 1]
    """
    low, high = _limits(low, high, bits)
    codes = as_floats("codes", codes).astype(np.float64)
    if codes.ndim != 2 or codes.shape[1:] != low.shape:
        raise ValueError(f"codes must have shape (examples, {len(low)}), one unit for each limit, got {codes.shape}")
    width = np.where(high > low, high - low, np.inf)
    return np.clip(np.floor((codes - low) / width * 2**bits), 0, 2**bits - 1).astype(np.int32)


def dequantize(
    symbols: Shaped[np.ndarray, "N K"], low: Shaped[np.ndarray, "K"], high: Shaped[np.ndarray, "K"], *, bits: int
) -> Float[np.ndarray, "N K"]:
    """The middle of each cell; of entries that are uniform in it the mean squared error is its width squared over 12.

    Args:
      symbols: numbers of cells, from 0 to 2^bits - 1, of any type.
      low: of each unit.
      high: of each unit.
      bits: at least 1 and at most 16.

    Raises:
      TypeError: symbols or limits that hold no numbers, or bits that are no integer.
      ValueError: as `quantize`, and a symbol that is no number of a cell.

    >>> dequantize(np.array([[0], [1]]), np.zeros(1), np.ones(1), bits=1).ravel().tolist()
    [0.25, 0.75]
    """
    low, high = _limits(low, high, bits)
    places = _as_symbols(symbols, 2**bits)
    if places.shape[1:] != low.shape:
        raise ValueError(f"symbols must have {len(low)} units, one for each limit, got {places.shape}")
    return low + (places + 0.5) * (high - low) / 2**bits


def symbol_probabilities(symbols: Shaped[np.ndarray, "N K"], *, count: int) -> Float[np.ndarray, "K symbols"]:
    """(n + ½) / (N + ½ count) of each of `count` symbols of each unit, n being how often it occurs: never 0.

    Args:
      symbols: from 0 to count - 1, of any type.
      count: at least 1.

    Raises:
      TypeError: symbols that are no numbers, or a count that is no integer.
      ValueError: a symbol below 0, from count on, or between two.

    Source: R. Krichevsky, V. Trofimov (1981), The performance of universal encoding.

    >>> symbol_probabilities(np.array([[0], [0], [1]]), count=2).tolist()
    [[0.625, 0.375]]
    """
    check_count("count", count)
    places = _as_symbols(symbols, count)
    times = np.array([np.bincount(unit, minlength=count) for unit in places.T]).reshape(-1, count)
    return (times + 0.5) / (len(places) + 0.5 * count)


def code_length(
    symbols: Shaped[np.ndarray, "N K"], probabilities: Float[np.ndarray, "K symbols"]
) -> Float[np.ndarray, "N"]:
    """-Σₖ log₂ p(sₖ), the bits that an arithmetic coder spends on each example, up to a bit or two in all.

    Args:
      symbols: of each unit, from 0 on, of any type.
      probabilities: of every symbol of each unit.

    Raises:
      TypeError: symbols or probabilities that are no numbers.
      ValueError: another number of units, or a symbol that has no probability.

    >>> code_length(np.array([[0, 1]]), np.array([[0.5, 0.5], [0.75, 0.25]])).tolist()
    [3.0]
    """
    table = as_float64("probabilities", probabilities)
    if table.ndim != 2:
        raise ValueError(f"probabilities must have shape (units, symbols), got {table.shape}")
    places = _as_symbols(symbols, table.shape[1])
    if places.shape[1] != len(table):
        raise ValueError(f"symbols of {places.shape[1]} units have probabilities for {len(table)}")
    return -np.log2(table[np.arange(len(table)), places]).sum(axis=1)


def _limits(low: ArrayLike, high: ArrayLike, bits: int) -> tuple[np.ndarray, np.ndarray]:
    if not 1 <= bits <= 16:
        raise ValueError(f"bits must be between 1 and 16, got {bits}")
    check_count("bits", bits)
    lowest, highest = (as_floats(name, limit).astype(np.float64) for name, limit in (("low", low), ("high", high)))
    check_same_shape(low=lowest, high=highest)
    if lowest.ndim != 1 or (lowest > highest).any():
        raise ValueError(f"low and high must be vectors, high at least low, got {lowest} and {highest}")
    return lowest, highest


def _as_symbols(symbols: ArrayLike, count: int) -> np.ndarray:
    """Numbers 0 to count - 1 of any type, (N, K), as integers that index."""
    given = as_float64("symbols", symbols)
    if given.ndim != 2:
        raise ValueError(f"symbols must have shape (examples, units), got {given.shape}")
    is_one = (given >= 0) & (given < count) & (given == np.floor(given))
    if not is_one.all():
        raise ValueError(f"symbols must be whole numbers from 0 to {count - 1}, got {given[~is_one][0]:g}")
    return given.astype(np.int64)


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

    Raises:
      TypeError: codes or examples that hold no numbers.
      ValueError: no codes, or what is decoded has another shape than test_x.
    """
    train, test = (flatten("codes", part.x).astype(np.float64) for part in (codes.train, codes.test))
    low, high = train.min(axis=0), train.max(axis=0)
    points = []
    for number in bits:
        probabilities = symbol_probabilities(quantize(train, low, high, bits=number), count=2**number)
        symbols = quantize(test, low, high, bits=number)
        middle = dequantize(symbols, low, high, bits=number).astype(np.float32).reshape(codes.test.x.shape)
        error = mean_squared_error(test_x, decode(middle))
        length = code_length(symbols, probabilities).mean()
        points.append(RatePoint(f"{train.shape[1]} x {number}", float(length), error))
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

    Raises:
      TypeError: images that hold no numbers.
      ValueError: numbers beyond [0, 1], no images, those of another shape, an unknown format, a quality out of range,
        or a sheet that is larger than the format allows.
    """
    from PIL import Image

    if file_format not in _SMALLEST:
        raise ValueError(f"file_format must be one of {', '.join(_SMALLEST)}, got {file_format!r}")
    if wrong := [quality for quality in qualities if not 1 <= quality <= 100]:
        raise ValueError(f"qualities must be between 1 and 100, got {wrong[0]}")
    images = as_floats("images", images)
    if images.size == 0 or not (images.ndim == 3 or (images.ndim == 4 and images.shape[3] in (1, 3))):
        raise ValueError(f"images must have shape (N, H, W), (N, H, W, 1) or (N, H, W, 3), got {images.shape}")
    if images.min() < 0 or images.max() > 1:
        raise ValueError(f"images must be in [0, 1], got numbers from {images.min():g} to {images.max():g}")
    pixels = np.round(255 * images).astype(np.uint8)
    pixels = pixels[..., 0] if pixels.shape[3:] == (1,) else pixels
    pages = [_sheet(pixels)] if as_sheet else list(pixels)
    if max(pages[0].shape[:2]) > _LARGEST_SIDE[file_format]:
        height, width = pages[0].shape[:2]
        raise ValueError(
            f"{file_format} has at most {_LARGEST_SIDE[file_format]:,} pixels a side, not {width}x{height}"
        )
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
    if not best:
        raise ValueError("there are no settings to take an error of")
    return None if bits < best[0].bits else math.exp(_log_error_at(best, bits))


def rates_where_better(points: Sequence[RatePoint], than: Sequence[RatePoint]) -> list[tuple[float, float]]:
    """From and to how many bits per example one way to compress has the smaller error, where both reach.

    Beyond its last setting a way stays at its smallest error; what is better there is so up to infinity.

    >>> flat, steep = [RatePoint("", 10.0, 0.01)], [RatePoint("", 10.0, 0.04), RatePoint("", 30.0, 0.0025)]
    >>> [(round(low, 6), high) for low, high in rates_where_better(steep, flat)]
    [(20.0, inf)]
    """
    ways = best_settings(points), best_settings(than)
    if not all(ways):
        raise ValueError("there are no settings to compare")
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
    return math.log(max(point.squared_error, _LEAST_ERROR))


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
