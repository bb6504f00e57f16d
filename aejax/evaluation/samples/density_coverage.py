"""Density and coverage of samples by nearest neighbors, which single outliers change little."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Shaped

from aejax.evaluation.samples.distances import Distances, as_points, balls, distances, inside


class DensityCoverage(NamedTuple):
    """Both at least 0, without unit."""

    density: float  # number of the data's balls that a sample lies in, divided by k; 1 for equal distributions
    coverage: float  # fraction of the data's balls that hold a sample


def density_coverage(
    samples: Shaped[np.ndarray, "N ..."], data: Shaped[np.ndarray, "M ..."], *, neighbors: int = 5
) -> DensityCoverage:
    """Returns (1/kN) Σⱼ Σᵢ 1[sⱼ ∈ Bᵢ] and (1/M) Σᵢ 1[some sⱼ ∈ Bᵢ], with balls Bᵢ from xᵢ to its k-th neighbor.

    Balls are closed. Of equal sets the density is (k + 1)/k and the coverage 1.

    Args:
      samples: N samples of a model, at least 2.
      data: M > k examples, of the same shape.
      neighbors: k >= 1, 5 in the paper.

    Raises:
      ValueError: there are too few examples, shapes differ, values are not finite, or neighbors is below 1.
      TypeError: an array does not hold real numbers, or neighbors is not an integer.

    Source: M. F. Naeem et al. (2020), Reliable Fidelity and Diversity Metrics for Generative Models, eq. 3 and 4.

    >>> data = np.array([[0.0], [1.0], [2.0], [3.0]])
    >>> density_coverage(data, data, neighbors=1)
    DensityCoverage(density=2.5, coverage=1.0)
    """
    points = as_points("density and coverage", max(neighbors + 1, 2), samples=samples, data=data)
    return density_coverage_of(distances(*points), neighbors=neighbors)


def density_coverage_of(of: Distances, *, neighbors: int = 5) -> DensityCoverage:
    """Returns the same from distances."""
    in_data = inside(of.between, balls(of.of_data, neighbors), of.rounding)
    return DensityCoverage(float(in_data.sum(axis=1).mean() / neighbors), float(in_data.any(axis=0).mean()))


def expected_coverage(samples: int, data: int, *, neighbors: int = 5) -> float:
    """Returns the mean coverage by samples of the data's own distribution, 1 - Πⱼ (M - j)/(N + M - j), j = 1, ..., k.

    Args:
      samples: N.
      data: M > k.
      neighbors: k.

    Source: M. F. Naeem et al. (2020), lemma 2.

    >>> round(expected_coverage(1000, 1000), 3)
    0.969
    """
    nearer = np.arange(1, neighbors + 1)
    return float(1 - np.prod((data - nearer) / (samples + data - nearer)))
