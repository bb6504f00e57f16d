"""The maximum mean discrepancy between samples and data, without bias."""

import numpy as np
from jaxtyping import Float, Shaped

from aejax.checks import check_positive
from aejax.evaluation.samples.distances import Distances, as_points, distances


def unbiased_mmd(
    samples: Shaped[np.ndarray, "N ..."], data: Shaped[np.ndarray, "M ..."], *, bandwidth: float | None = None
) -> float:
    """Returns the unbiased estimate of MMD² = E k(s, s') + E k(x, x') - 2 E k(s, x), k(a, b) = exp(-‖a - b‖² / 2 h²).

    Means are over pairs of different points; the estimate has mean 0 for equal distributions and a given
    bandwidth, so it may be negative.
    `aejax.autoencoders.information.maximum_mean_discrepancy` is the biased one, for training.

    Args:
      samples: N >= 2 samples of a model.
      data: M >= 2 examples, of the same shape.
      bandwidth: h > 0; by default the median distance between two examples of the data.

    Returns:
      A number without unit, at most 2.

    Raises:
      ValueError: there are too few examples, shapes differ, values are not finite, bandwidth is not positive, or it is
        not given and the median distance is 0, as half of all pairs of the data are equal.
      TypeError: an array does not hold real numbers.

    Source: A. Gretton et al. (2012), A Kernel Two-Sample Test, eq. 3.

    >>> unbiased_mmd(np.zeros((3, 1)), np.array([[9.0], [9.0], [10.0]]), bandwidth=1.0) > 1
    True
    """
    points = as_points("the maximum mean discrepancy", 2, samples=samples, data=data)
    return unbiased_mmd_of(distances(*points), bandwidth=bandwidth)


def unbiased_mmd_of(of: Distances, *, bandwidth: float | None = None) -> float:
    """Returns the same from distances."""
    if bandwidth is None:
        bandwidth = float(np.sqrt(np.median(of.of_data[np.triu_indices(len(of.of_data), 1)])))
        if not bandwidth:
            raise ValueError("half of all pairs of examples of the data are equal, so give a bandwidth")
    check_positive("bandwidth", bandwidth)
    kernels = [np.exp(-0.5 * squared / bandwidth**2) for squared in of[:3]]
    return mean_of_pairs(kernels[0]) + mean_of_pairs(kernels[1]) - 2 * float(kernels[2].mean())


def mean_of_pairs(matrix: Float[np.ndarray, "N N"]) -> float:
    """Returns the mean over pairs of different points.

    >>> mean_of_pairs(np.array([[5.0, 1.0], [3.0, 5.0]]))
    2.0
    """
    count = len(matrix)
    return float((matrix.sum() - np.trace(matrix)) / (count * (count - 1)))
