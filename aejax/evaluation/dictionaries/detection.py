"""Each unit of a dictionary as a detector of its best-matching known feature: precision, recall, F1, streamed."""

from typing import NamedTuple

import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Float, Int

from aejax.checks import as_array


class DetectionCounts(NamedTuple):
    """Counts for each unit and its feature, over the examples of all batches so far."""

    both: Int[np.ndarray, "F"]  # examples on which the unit fires and its feature is active
    fired: Int[np.ndarray, "F"]  # examples on which the unit fires
    active: Int[np.ndarray, "F"]  # examples on which its feature is active


class Detections(NamedTuple):
    """Precision, recall and F1 of every unit, in [0, 1]; 0 where a denominator is 0. Their means are over ALL units."""

    precision: Float[np.ndarray, "F"]  # of the examples on which the unit fires, the fraction with its feature
    recall: Float[np.ndarray, "F"]  # of the examples with its feature, the fraction on which the unit fires
    f1: Float[np.ndarray, "F"]  # harmonic mean of the two

    @property
    def means(self) -> tuple[float, float, float]:
        """Means over units of precision, recall and F1, dead units included as 0."""
        return float(self.precision.mean()), float(self.recall.mean()), float(self.f1.mean())


def add_detections(
    counts: DetectionCounts | None, codes: ArrayLike, coefficients: ArrayLike, best_feature: ArrayLike
) -> DetectionCounts:
    """Returns counts with a batch added.

    Args:
      counts: counts over earlier batches; None for the first.
      codes: (B, F) codes; a unit fires where its code is not 0.
      coefficients: (B, G) of the known features; a feature is active where its coefficient is not 0.
      best_feature: (F,) the feature of each unit, from `match_features`.

    Raises:
      TypeError: an array does not hold numbers.
      ValueError: shapes do not match.

    >>> codes, coefficients = np.array([[1.0], [1.0], [0.0]]), np.array([[0.0, 2.0], [0.0, 0.0], [0.0, 1.0]])
    >>> add_detections(None, codes, coefficients, np.array([1]))
    DetectionCounts(both=array([1]), fired=array([2]), active=array([2]))
    """
    fires, is_active = (
        np.asarray(as_array(name, array)) != 0 for name, array in (("codes", codes), ("coefficients", coefficients))
    )
    best = np.asarray(as_array("best_feature", best_feature))
    if fires.ndim != 2 or is_active.ndim != 2 or len(fires) != len(is_active) or best.shape != fires.shape[1:]:
        raise ValueError(
            "codes, coefficients and best_feature must have shapes (B, F), (B, G) and (F,), got "
            f"{fires.shape}, {is_active.shape} and {best.shape}"
        )
    is_active = is_active[:, best]
    batch = DetectionCounts(
        *(np.count_nonzero(each, axis=0).astype(np.int64) for each in (fires & is_active, fires, is_active))
    )
    return batch if counts is None else DetectionCounts(*(a + b for a, b in zip(counts, batch, strict=True)))


def detection_measures(counts: DetectionCounts) -> Detections:
    """Returns precision P, recall R and F1 = 2 P R/(P + R) of every unit.

    Source: D. Chanin, A. Garriga-Alonso (2026), SynthSAEBench, section on metrics.

    >>> detection_measures(DetectionCounts(*(np.array([n]) for n in (1, 2, 4)))).f1.round(4).tolist()
    [0.3333]
    """
    precision, recall = _share(counts.both, counts.fired), _share(counts.both, counts.active)
    # 2PR/(P + R) = 2 both/(fired + active), which needs no case for P + R = 0 but both denominators 0
    return Detections(precision, recall, _share(2 * counts.both, counts.fired + counts.active))


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return part / np.maximum(whole, 1)
