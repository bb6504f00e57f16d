"""Precision and recall of samples by nearest neighbors."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Shaped

from aejax.evaluation.samples.distances import Distances, as_points, balls, distances, inside


class PrecisionRecall(NamedTuple):
    """Both in [0, 1], without unit."""

    precision: float  # fraction of samples that lie where data are
    recall: float  # fraction of the data that lie where samples are


def precision_recall(
    samples: Shaped[np.ndarray, "N ..."], data: Shaped[np.ndarray, "M ..."], *, neighbors: int = 3
) -> PrecisionRecall:
    """Returns the fraction of samples in a ball of the data, and the fraction of the data in a ball of the samples.

    The ball of a point reaches to its k-th nearest neighbor in its own set. Both are 1 if the sets are equal.

    Args:
      samples: N > k samples of a model.
      data: M > k examples, of the same shape.
      neighbors: k >= 1, 3 in the paper.

    Raises:
      ValueError: there are too few examples, shapes differ, values are not finite, or neighbors is below 1.
      TypeError: an array does not hold real numbers, or neighbors is not an integer.

    Source: T. Kynkäänniemi et al. (2019), Improved Precision and Recall Metric for Assessing Generative Models.

    >>> data = np.array([[0.0], [1.0], [2.0], [3.0]])
    >>> precision_recall(np.array([[0.0], [1.0], [9.0], [9.0]]), data, neighbors=1)
    PrecisionRecall(precision=0.5, recall=0.75)
    """
    points = as_points("precision and recall", neighbors + 1, samples=samples, data=data)
    return precision_recall_of(distances(*points), neighbors=neighbors)


def precision_recall_of(of: Distances, *, neighbors: int = 3) -> PrecisionRecall:
    """Returns the same from distances."""
    in_data = inside(of.between, balls(of.of_data, neighbors), of.rounding)
    in_samples = inside(of.between.T, balls(of.of_samples, neighbors), of.rounding)
    return PrecisionRecall(float(in_data.any(axis=1).mean()), float(in_samples.any(axis=1).mean()))
