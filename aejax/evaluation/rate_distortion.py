"""Rate and distortion of variational autoencoders: the lower hull of several, and the curve of a Gaussian source."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from aejax.checks import as_floats


class RateDistortion(NamedTuple):
    """Two summands of the negative evidence lower bound, in nats per example."""

    rate: float  # R = E KL(q(z | x) ‖ p(z)), at least the mutual information of code and example
    distortion: float  # D = -E log p(x | z)

    @property
    def negative_elbo(self) -> float:
        """D + R, whatever the weight β of R in training."""
        return self.distortion + self.rate


def rate_and_distortion(terms: Mapping[str, float], *, split: str = "validation") -> RateDistortion | None:
    """Returns rate and distortion of a variational autoencoder; None if the terms are not those of one.

    Args:
      terms: means over examples by name, such as validation/kl, as in records and sweeps.
      split: of the examples.

    >>> found = rate_and_distortion({"test/kl": 20.0, "test/reconstruction": 80.0, "test/elbo": -100.0}, split="test")
    >>> found, found.negative_elbo
    (RateDistortion(rate=20.0, distortion=80.0), 100.0)
    """
    names = [f"{split}/{name}" for name in ("kl", "reconstruction", "elbo")]
    if any(name not in terms for name in names):
        return None
    return RateDistortion(*(terms[name] for name in names[:2]))


def lower_hull(rates: Float[np.ndarray, "N"], distortions: Float[np.ndarray, "N"]) -> Int[np.ndarray, "M"]:
    """Returns the positions of the points on the lower convex hull, by increasing rate and decreasing distortion.

    Each of them has the least D + β R of all points for some β > 0: no other point, and no mixture of two others, has
    less of both. Of equal points the first one is returned.

    Args:
      rates: R of N >= 1 points.
      distortions: D of the same points.

    Raises:
      TypeError: the arrays are not numbers.
      ValueError: they are not vectors of the same length, are empty, or hold NaN or infinity.

    Source: A. A. Alemi et al. (2018), Fixing a Broken ELBO, section 3.

    >>> lower_hull(np.array([0.0, 1.0, 1.0, 2.0, 3.0]), np.array([9.0, 3.0, 8.0, 2.0, 2.5])).tolist()
    [0, 1, 3]
    """
    rates, distortions = as_floats("rates", rates), as_floats("distortions", distortions)
    if rates.ndim != 1 or rates.shape != distortions.shape or not rates.size:
        raise ValueError(
            f"rates and distortions must be vectors of the same length, not empty, got shapes {rates.shape} and "
            f"{distortions.shape}"
        )
    points = np.column_stack([rates, distortions]).astype(np.float64)
    hull: list[int] = []
    for place in np.lexsort((distortions, rates)).tolist():
        if hull and points[place, 1] >= points[hull[-1], 1]:
            continue  # another point has at most this rate and this distortion
        while len(hull) > 1 and not _turns_left(points[hull[-2]], points[hull[-1]], points[place]):
            hull.pop()
        hull.append(place)
    return np.array(hull)


def _turns_left(first: np.ndarray, second: np.ndarray, third: np.ndarray) -> bool:
    (right, up), (onward, higher) = second - first, third - second
    return bool(right * higher - up * onward > 0)


def gaussian_rate(variances: Float[np.ndarray, "D"], squared_error: float) -> float:
    """Returns the least rate at which a Gaussian source can be reproduced with a mean squared error, in nats.

        R = Σᵢ max(0, ½ log(λᵢ / θ)),  Σᵢ min(θ, λᵢ) = the squared error, summed over features.

    No autoencoder of such data has a smaller rate; a linear one with β σ² = θ, for a Gaussian likelihood of variance
    σ², has this rate at its optimum.

    Args:
      variances: λ > 0 of D independent components, the eigenvalues of the covariance.
      squared_error: E ‖x - x̂‖², above 0.

    Raises:
      TypeError: the variances are not numbers.
      ValueError: a variance or the squared error is not positive and finite, or there are no variances.

    Source: T. M. Cover, J. A. Thomas (2006), Elements of Information Theory, theorem 10.3.3.

    >>> gaussian_rate(np.array([4.0, 1.0]), 5.0), round(gaussian_rate(np.array([4.0, 1.0]), 2.0), 4)
    (0.0, 0.6931)
    """
    values = as_floats("variances", variances).astype(np.float64)
    if values.ndim != 1 or not values.size or np.min(values) <= 0:
        raise ValueError(f"variances must be a vector of positive numbers, not empty, got {variances}")
    if not 0 < squared_error < np.inf:
        raise ValueError(f"squared_error must be positive and finite, got {squared_error}")
    ordered = np.sort(values)[::-1]
    if squared_error >= ordered.sum():
        return 0.0
    # with the k largest components above the water level, k θ and the others' variances are the squared error
    counts = np.arange(1, len(ordered) + 1)
    levels = (squared_error - (ordered.sum() - np.cumsum(ordered))) / counts
    possible = (levels > 0) & (levels <= ordered)
    level = levels[np.flatnonzero(possible)[-1]]
    return float(np.sum(np.maximum(0.0, np.log(values / level) / 2)))
