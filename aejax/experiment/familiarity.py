"""Checks that data are on the scale of a run's training data: same unit, same scaling of bytes, same sign."""

import numpy as np

from aejax.datasets.dataset import AsStored
from aejax.errors import UserError, knob_name
from aejax.experiment.facts import Values, magnitude_of, some_of

_LARGER, _SMALLER = 3.0, 10.0  # data in the same unit do not differ by these factors, as defined below
_BEYOND = 0.25  # a larger fraction of nonzero values outside the run's range cannot be outliers
_TOLERANCE = 0.05  # relative to the width of the run's range, if the data are bounded


def check_scale(
    x: np.ndarray, stored: AsStored | None, known: Values, *, name: str, run: str, noise: float = 0.0
) -> None:
    """Raise UserError if most values cannot be in the unit of the training data.

    Zeros are ignored. Let m be the 0.95 quantile of the training data's absolute values that are not 0. Values are
    assumed to be in another unit if

    - the median of their absolute values is above 3 m;
    - the largest absolute value is below m / 10; or
    - more than 25 % of them are outside the range of the training data, widened on both sides by its own width, or by
      only 5 % of its width on a bounded side: below a range that is not negative, and above a range within [0, 1].

    Outliers and anomalies pass: a few values may be arbitrarily large, and many may be slightly outside the range.

    Args:
      x: (N, ...) values as the autoencoder expects them; large arrays are checked on evenly spaced examples.
      stored: the type of the values in their file and the divisor; None if they have not been converted.
      known: statistics of the values that the run was trained on.
      name: what the message calls the data.
      run: what the message calls the run.
      noise: standard deviation of the noise that the run was trained to remove; the range is widened by 4 of them.

    Raises:
      UserError: values in another unit; the message names both ranges, for bytes as they are in the file.

    >>> known = Values("float32", 1, 0.0, 1.0, 0.3, 0.4, integers=False, magnitude=0.9)
    >>> check_scale(np.array([[0.2, 0.9], [1.3, 0.5], [0.0, 0.7]]), None, known, name="mine.npy", run="runs/one")
    >>> check_scale(np.array([[3.0, 16.0], [0.0, 12.0]]), None, known, name="mine.npy", run="runs/one")
    Traceback (most recent call last):
    ...
    aejax.errors.UserError: mine.npy: holds values from 0 to 16 (float64), but runs/one was trained on values from 0 \
to 1 (float32); convert them to that unit, or use any_scale to accept them
    """
    some = some_of(x)
    if not _is_of_another_unit(some, known, noise):
        return
    dtype, divided_by, _ = stored or AsStored(str(x.dtype))
    low, high = float(x.min()), float(x.max())
    is_gray = bool(low >= 0 and 100 < high <= 255 and np.all(some == np.round(some)))
    advice = "convert them to that unit"
    if is_gray and _is_unit(known) and known.dtype != "uint8":
        advice = "divide them by 255, or save them as uint8"
    elif is_gray and _is_unit(known):
        advice = "divide them by 255"
    trained = _describe(known.low, known.high, known.dtype, known.divided_by)
    raise UserError(
        f"{name}: holds {_describe(low, high, dtype, divided_by)}, but {run} was trained on {trained}; {advice}, or "
        f"use {knob_name('any_scale')} to accept them"
    )


def _describe(low: float, high: float, dtype: str, divided_by: int) -> str:
    how = f"{dtype}, divided by 255" if divided_by == 255 else dtype
    return f"values from {low * divided_by:.6g} to {high * divided_by:.6g} ({how})"


def _is_of_another_unit(x: np.ndarray, known: Values, noise: float) -> bool:
    numbers = x[x != 0]
    if not numbers.size or not known.magnitude:
        return False
    if magnitude_of(x, 0.5) > _LARGER * known.magnitude or np.abs(numbers).max() < known.magnitude / _SMALLER:
        return True
    width = known.high - known.low
    below = (_TOLERANCE if known.low >= 0 else 1.0) * width + 4 * noise
    above = (_TOLERANCE if _is_unit(known) else 1.0) * width + 4 * noise
    return bool(np.mean((numbers < known.low - below) | (numbers > known.high + above)) > _BEYOND)


def _is_unit(known: Values) -> bool:
    return known.low >= 0 and known.high <= 1
