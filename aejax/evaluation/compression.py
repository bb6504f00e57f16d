"""Compression by codes: quantization, entropy-coded length, and image files as baselines."""

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
_MAX_SIDE = {"JPEG": 65_500, "WebP": 16_383}  # pixels that the formats allow
_MIN_ERROR = 1e-300  # its logarithm replaces the logarithm of 0
_ENCODER_OPTIONS: dict[str, dict[str, Any]] = {"JPEG": {"optimize": True}, "WebP": {"method": 6}}  # for small files


class RatePoint(NamedTuple):
    """Rate and distortion of one setting of a compression method, measured on test examples."""

    setting: str
    bits: float  # mean per example
    squared_error: float  # mean per feature


def quantize(
    codes: Shaped[np.ndarray, "N K"], low: Shaped[np.ndarray, "K"], high: Shaped[np.ndarray, "K"], *, bits: int
) -> Int[np.ndarray, "N K"]:
    """Returns the index of the cell that contains each entry, by uniform quantization into 2^bits cells.

    The range of each unit from low to high is divided into cells of equal width.

    Args:
      codes: codes of N examples; entries are clipped to [low, high].
      low: the lower limit of each unit.
      high: the upper limit of each unit; a unit whose limits are equal has one cell, with index 0.
      bits: bits per unit, from 1 to 16.

    Returns:
      Indices of cells, from 0 to 2^bits - 1.

    Raises:
      TypeError: codes or limits are not numbers, or `bits` is not an integer.
      ValueError: `bits` is out of range, shapes do not match, low is above high, or a value is NaN or infinite.

    >>> quantize(np.array([[0.1], [0.9], [7.0]]), np.zeros(1), np.ones(1), bits=1).ravel().tolist()
    [0, 1, 1]
    """
    low, high = _limits(low, high, bits)
    codes = as_floats("codes", codes).astype(np.float64)
    if codes.ndim != 2 or codes.shape[1:] != low.shape:
        raise ValueError(f"codes must have shape (examples, {len(low)}), as low has, got {codes.shape}")
    width = np.where(high > low, high - low, np.inf)
    return np.clip(np.floor((codes - low) / width * 2**bits), 0, 2**bits - 1).astype(np.int32)


def dequantize(
    symbols: Shaped[np.ndarray, "N K"], low: Shaped[np.ndarray, "K"], high: Shaped[np.ndarray, "K"], *, bits: int
) -> Float[np.ndarray, "N K"]:
    """Returns the midpoint of each cell, the inverse of `quantize` up to half a cell.

    For entries that are uniform within a cell of width w, the mean squared error is w²/12.

    Args:
      symbols: indices of cells, from 0 to 2^bits - 1, of any numeric type.
      low: the lower limit of each unit.
      high: the upper limit of each unit.
      bits: bits per unit, from 1 to 16.

    Returns:
      Quantized codes, float64.

    Raises:
      TypeError: symbols or limits are not numbers, or `bits` is not an integer.
      ValueError: as for `quantize`, or a symbol is not the index of a cell.

    >>> dequantize(np.array([[0], [1]]), np.zeros(1), np.ones(1), bits=1).ravel().tolist()
    [0.25, 0.75]
    """
    low, high = _limits(low, high, bits)
    places = _as_symbols(symbols, 2**bits)
    if places.shape[1:] != low.shape:
        raise ValueError(f"symbols must have {len(low)} units, as low has, got {places.shape}")
    return low + (places + 0.5) * (high - low) / 2**bits


def symbol_probabilities(symbols: Shaped[np.ndarray, "N K"], *, count: int) -> Float[np.ndarray, "K symbols"]:
    """Returns the estimated probability of every symbol of each unit: (n + ½) / (N + ½ count), which is never 0.

    Here n is the number of occurrences of the symbol in N examples (Krichevsky-Trofimov estimator).

    Args:
      symbols: whole numbers from 0 to count - 1, of any numeric type.
      count: the number of different symbols, at least 1.

    Returns:
      Probabilities; those of a unit sum to 1.

    Raises:
      TypeError: symbols are not numbers, or `count` is not an integer.
      ValueError: a symbol is negative, not below `count`, or not a whole number.

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
    """Returns the ideal code length of each example in bits, -Σₖ log₂ p(sₖ).

    An arithmetic coder reaches it, up to one or two bits for the whole message.

    Args:
      symbols: whole numbers from 0, of any numeric type.
      probabilities: of every symbol of each unit, as `symbol_probabilities` returns them.

    Raises:
      TypeError: symbols or probabilities are not numbers.
      ValueError: the numbers of units differ, or a symbol has no probability.

    >>> code_length(np.array([[0, 1]]), np.array([[0.5, 0.5], [0.75, 0.25]])).tolist()
    [3.0]
    """
    table = as_float64("probabilities", probabilities)
    if table.ndim != 2:
        raise ValueError(f"probabilities must have shape (units, symbols), got {table.shape}")
    places = _as_symbols(symbols, table.shape[1])
    if places.shape[1] != len(table):
        raise ValueError(
            f"symbols and probabilities must have equally many units, got {places.shape[1]} and {len(table)}"
        )
    return -np.log2(table[np.arange(len(table)), places]).sum(axis=1)


def _limits(low: ArrayLike, high: ArrayLike, bits: int) -> tuple[np.ndarray, np.ndarray]:
    if not 1 <= bits <= 16:
        raise ValueError(f"bits must be between 1 and 16, got {bits}")
    check_count("bits", bits)
    lowest, highest = (as_floats(name, limit).astype(np.float64) for name, limit in (("low", low), ("high", high)))
    check_same_shape(low=lowest, high=highest)
    if lowest.ndim != 1 or (lowest > highest).any():
        raise ValueError(f"low and high must be vectors with low <= high, got {lowest} and {highest}")
    return lowest, highest


def _as_symbols(symbols: ArrayLike, count: int) -> np.ndarray:
    """Returns symbols of any numeric type as int64; ValueError unless they are whole numbers from 0 to count - 1."""
    given = as_float64("symbols", symbols)
    if given.ndim != 2:
        raise ValueError(f"symbols must have shape (examples, units), got {given.shape}")
    is_symbol = (given >= 0) & (given < count) & (given == np.floor(given))
    if not is_symbol.all():
        raise ValueError(f"symbols must be whole numbers from 0 to {count - 1}, got {given[~is_symbol][0]:g}")
    return given.astype(np.int64)


def rate_of_codes(
    codes: Splits, decode: Callable[[np.ndarray], np.ndarray], test_x: np.ndarray, *, bits: Sequence[int]
) -> list[RatePoint]:
    """Returns rate and distortion of uniformly quantized test codes, for each number of bits per unit.

    Ranges and symbol probabilities are computed from the training codes. The cost of transmitting these once is not
    included.

    Args:
      codes: (N, ...) codes of the examples of each split.
      decode: maps codes (N, ...) to examples in data space.
      test_x: (N, ...) the examples that the test codes represent.
      bits: numbers of bits per unit, each from 1 to 16.

    Returns:
      One point per number of bits.

    Raises:
      TypeError: codes or examples are not numbers.
      ValueError: there are no codes, or the decoded examples do not have the shape of `test_x`.
    """
    train, test = (flatten("codes", split.x).astype(np.float64) for split in (codes.train, codes.test))
    low, high = train.min(axis=0), train.max(axis=0)
    points = []
    for number in bits:
        probabilities = symbol_probabilities(quantize(train, low, high, bits=number), count=2**number)
        symbols = quantize(test, low, high, bits=number)
        quantized = dequantize(symbols, low, high, bits=number).astype(np.float32).reshape(codes.test.x.shape)
        error = mean_squared_error(test_x, decode(quantized))
        length = code_length(symbols, probabilities).mean()
        points.append(RatePoint(f"{train.shape[1]} x {number}", float(length), error))
    return points


def rate_of_image_files(
    images: Float[np.ndarray, "N H W *C"], *, file_format: str, qualities: Sequence[int], as_sheet: bool
) -> list[RatePoint]:
    """Returns rate and distortion of image files, for each quality setting.

    Args:
      images: gray or RGB images in [0, 1]. They are rounded to bytes first; the error includes that rounding.
      file_format: `JPEG` or `WebP`.
      qualities: settings of the encoder, each from 1 to 100.
      as_sheet: whether all images are stored side by side in one file, so that they share its header, instead of one
        file per image.

    Returns:
      One point per quality.

    Raises:
      TypeError: the images are not numbers.
      ValueError: there are no images, their shape or range is wrong, the format is unknown, a quality is out of range,
        or the sheet is larger than the format allows.
    """
    from PIL import Image

    if file_format not in _ENCODER_OPTIONS:
        raise ValueError(f"file_format must be one of {', '.join(_ENCODER_OPTIONS)}, got {file_format!r}")
    if wrong := [quality for quality in qualities if not 1 <= quality <= 100]:
        raise ValueError(f"qualities must be between 1 and 100, got {wrong[0]}")
    images = as_floats("images", images)
    if images.size == 0 or not (images.ndim == 3 or (images.ndim == 4 and images.shape[3] in (1, 3))):
        raise ValueError(f"images must have shape (N, H, W), (N, H, W, 1) or (N, H, W, 3), got {images.shape}")
    if images.min() < 0 or images.max() > 1:
        raise ValueError(f"images must be in [0, 1], got values from {images.min():g} to {images.max():g}")
    pixels = np.round(255 * images).astype(np.uint8)
    pixels = pixels[..., 0] if pixels.shape[3:] == (1,) else pixels
    pages = [_sheet(pixels)] if as_sheet else list(pixels)
    if max(pages[0].shape[:2]) > _MAX_SIDE[file_format]:
        height, width = pages[0].shape[:2]
        raise ValueError(
            f"{file_format} files have at most {_MAX_SIDE[file_format]:,} pixels a side, got {width}x{height}"
        )
    points = []
    for quality in qualities:
        files = []
        for page in pages:
            file = io.BytesIO()
            Image.fromarray(page).save(file, file_format, quality=quality, **_ENCODER_OPTIONS[file_format])
            files.append(file)
        mode = "L" if pixels.ndim == 3 else "RGB"
        read = [np.asarray(Image.open(file).convert(mode)) for file in files]
        decoded = _images_of(read[0], pixels.shape) if as_sheet else np.stack(read)
        error = np.mean(np.square(decoded / 255 - images.reshape(pixels.shape)), dtype=np.float64)
        size = sum(file.getbuffer().nbytes for file in files)
        points.append(RatePoint(f"quality {quality}", 8 * size / len(images), float(error)))
    return points


def best_settings(points: Sequence[RatePoint]) -> list[RatePoint]:
    """Returns the points on the decreasing lower convex hull of log error over bits, by increasing bits.

    No other point, and no interpolation between two others (`error_at`), has fewer bits and a smaller error.

    Args:
      points: settings of one method, in any order.
    """
    best: list[RatePoint] = []
    for point in sorted(points, key=lambda point: (point.bits, point.squared_error)):
        if best and point.squared_error >= best[-1].squared_error:
            continue
        while len(best) > 1 and _log_error(best[-1]) >= _log_error_at([best[-2], point], best[-1].bits):
            best.pop()
        best.append(point)
    return best


def error_at(points: Sequence[RatePoint], bits: float) -> float | None:
    """Returns the squared error of a compression method at a given rate, or None if all its settings need more bits.

    The logarithm of the error is interpolated linearly in the bits between the method's best settings. Above its
    highest rate the error is constant.

    Args:
      points: settings of the method, at least one.
      bits: per example.

    Raises:
      ValueError: there are no points.

    >>> points = [RatePoint("a", 10.0, 0.04), RatePoint("b", 20.0, 0.01)]
    >>> round(error_at(points, 15.0), 6), error_at(points, 5.0)
    (0.02, None)
    """
    best = best_settings(points)
    if not best:
        raise ValueError("there are no settings to compute an error of, expected at least one point")
    return None if bits < best[0].bits else math.exp(_log_error_at(best, bits))


def rates_where_better(points: Sequence[RatePoint], than: Sequence[RatePoint]) -> list[tuple[float, float]]:
    """Returns the intervals of bits per example in which one method has a smaller error than another.

    Only rates that both methods reach are compared. Above its highest rate, a method keeps its smallest error, so the
    last interval may extend to infinity.

    Args:
      points: settings of the one method, at least one.
      than: settings of the other method, at least one.

    Returns:
      Intervals (low, high) in bits per example, in increasing order.

    Raises:
      ValueError: a method has no points.

    >>> flat, steep = [RatePoint("", 10.0, 0.01)], [RatePoint("", 10.0, 0.04), RatePoint("", 30.0, 0.0025)]
    >>> [(round(low, 6), high) for low, high in rates_where_better(steep, flat)]
    [(20.0, inf)]
    """
    one, other = best_settings(points), best_settings(than)
    if not one or not other:
        raise ValueError("there are no settings to compare, expected at least one point of each method")
    lowest = max(one[0].bits, other[0].bits)
    rates = sorted({lowest} | {point.bits for point in (*one, *other) if point.bits > lowest})
    leads = [_log_error_at(other, rate) - _log_error_at(one, rate) for rate in rates]
    edges = rates[:1]
    for left, right, lead, next_lead in zip(rates, rates[1:], leads, leads[1:], strict=False):
        if lead * next_lead < 0:
            edges.append(left + (right - left) * lead / (lead - next_lead))
        edges.append(right)
    better: list[tuple[float, float]] = []
    for low, high in zip(edges, [*edges[1:], math.inf], strict=True):
        inside = low + 1 if high == math.inf else (low + high) / 2
        if _log_error_at(one, inside) < _log_error_at(other, inside):
            joined = better.pop()[0] if better and better[-1][1] == low else low
            better.append((joined, high))
    return better


def _log_error(point: RatePoint) -> float:
    return math.log(max(point.squared_error, _MIN_ERROR))


def _log_error_at(best: Sequence[RatePoint], bits: float) -> float:
    return float(np.interp(bits, [point.bits for point in best], [_log_error(point) for point in best]))


def _sheet(pixels: np.ndarray) -> np.ndarray:
    """Returns images (N, H, W, ...) side by side in rows; the rest of the last row is black."""
    columns = min(len(pixels), _SHEET_COLUMNS)
    count, height, width, *channels = pixels.shape
    missing = -count % columns
    cells = np.concatenate([pixels, np.zeros((missing, *pixels.shape[1:]), pixels.dtype)])
    rows = cells.reshape(-1, columns, height, width, *channels).swapaxes(1, 2)
    return rows.reshape(-1, columns * width, *channels)


def _images_of(sheet: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Returns the images (N, H, W, ...) of a sheet, given their shape."""
    count, height, width, *channels = shape
    rows = sheet.reshape(-1, height, sheet.shape[1] // width, width, *channels).swapaxes(1, 2)
    return rows.reshape(-1, height, width, *channels)[:count]
