"""Whether data are on the scale that a run was trained on: the same unit, bytes read alike, the same sign."""

import numpy as np

from aejax.datasets.dataset import AsStored
from aejax.errors import UserError
from aejax.experiment.facts import Values, magnitude_of, some_of

_LARGER, _SMALLER = 3.0, 10.0  # factors that no data of one unit differ by, in the sense below
_BEYOND = 0.25  # of the numbers that are not 0: more of them outside the run's range are no outliers
_TOLERANCE = 0.05  # of the width of the run's range, where its data are bounded


def check_scale(
    x: np.ndarray, stored: AsStored | None, known: Values, *, name: str, run: str, noise: float = 0.0
) -> None:
    """Raise UserError where the bulk of the numbers cannot be in the unit of the training data.

    Zeros are left out. Numbers are taken for those in another unit where

    - more than half of them are three times as large as all but 5 % of the training data;
    - the largest is below a tenth of that; or
    - more than a quarter of them lie outside the range of the training data, widened on either side by its own width,
      or by a twentieth of it at a bound: below a range that is not negative, and above one within [0, 1].

    Outliers and anomalies pass: a few numbers may be of any size, and many somewhat beyond the range.

    Args:
      x: (N, ...) as the autoencoder is given them; of large arrays examples at equal distances are looked at.
      stored: how they lie in their file.
      known: the numbers that the run was trained on.
      name: what the message calls the data.
      run: what it calls the run.
      noise: standard deviation of the noise that the run was trained to remove, by which its range is widened.

    Raises:
      UserError: such numbers; the message names both ranges, those of bytes as they are in their file.

    >>> known = Values("float32", 1, 0.0, 1.0, 0.3, 0.4, integers=False, magnitude=0.9)
    >>> check_scale(np.array([[0.2, 0.9], [1.3, 0.5], [0.0, 0.7]]), None, known, name="mine.npy", run="runs/one")
    >>> check_scale(np.array([[3.0, 16.0], [0.0, 12.0]]), None, known, name="mine.npy", run="runs/one")
    Traceback (most recent call last):
    ...
    aejax.errors.UserError: mine.npy: holds values from 0 to 16 (float64), and runs/one was trained on values from 0 \
to 1 (float32); bring them to that unit, or take --any-scale to go on
    """
    some = some_of(x)
    if not _is_of_another_unit(some, known, noise):
        return
    dtype, divided_by = stored or AsStored(str(x.dtype))
    low, high = float(x.min()), float(x.max())
    is_gray = bool(low >= 0 and 100 < high <= 255 and np.all(some == np.round(some)))
    advice = "bring them to that unit"
    if is_gray and _is_unit(known) and known.dtype != "uint8":
        advice = "divide them by 255, or save them as uint8"
    elif is_gray and _is_unit(known):
        advice = "divide them by 255"
    trained = _describe(known.low, known.high, known.dtype, known.divided_by)
    raise UserError(
        f"{name}: holds {_describe(low, high, dtype, divided_by)}, and {run} was trained on {trained}; {advice}, or "
        "take --any-scale to go on"
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
