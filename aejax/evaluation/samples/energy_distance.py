"""The energy distance between samples and data."""

import numpy as np
from jaxtyping import Shaped

from aejax.evaluation.samples.distances import Distances, as_points, distances
from aejax.evaluation.samples.maximum_mean_discrepancy import mean_of_pairs


def energy_distance(samples: Shaped[np.ndarray, "N ..."], data: Shaped[np.ndarray, "M ..."]) -> float:
    """Returns the unbiased estimate of 2 E‖s - x‖ - E‖s - s'‖ - E‖x - x'‖.

    It is 0 only if the distributions are equal; in one dimension it is 2 ∫ (F - G)² of the distribution functions.
    Means are over pairs of different points, so the estimate may be negative.

    Args:
      samples: N >= 2 samples of a model.
      data: M >= 2 examples, of the same shape.

    Returns:
      A number in the data's unit.

    Raises:
      ValueError: there are too few examples, shapes differ, or values are not finite.
      TypeError: an array does not hold real numbers.

    Source: G. J. Székely, M. L. Rizzo (2013), Energy statistics: a class of statistics based on distances.

    >>> energy_distance(np.zeros((2, 1)), np.ones((2, 1)))
    2.0
    """
    return energy_distance_of(distances(*as_points("the energy distance", 2, samples=samples, data=data)))


def energy_distance_of(of: Distances) -> float:
    """Returns the same from distances."""
    of_samples, of_data, between = (np.sqrt(squared) for squared in of[:3])
    return 2 * float(between.mean()) - mean_of_pairs(of_samples) - mean_of_pairs(of_data)
