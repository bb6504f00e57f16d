"""The shape of the generalized Pareto distribution that fits the largest importance weights."""

import math

import numpy as np
from jaxtyping import Float

from aejax.checks import as_float64

MAX_PARETO_K = 0.7  # above it an average of the weights cannot be trusted
_LEAST_TAIL = 5  # weights to fit
_PRIOR_SCALE, _PRIOR_COUNT = 3.0, 10.0  # of the profile's grid, and of the weak prior at k = 1/2


def tail_size(samples: int) -> int:
    """Returns the number of weights in the tail: ⌈min(K/5, 3 √K)⌉ of K samples.

    >>> tail_size(100), tail_size(10_000)
    (20, 300)
    """
    return math.ceil(min(samples / 5, 3 * math.sqrt(samples)))


def pareto_k(largest: Float[np.ndarray, "M1"]) -> float:
    """Returns k̂, the shape of the generalized Pareto distribution of the weights above the tail's lower end.

    Below 1/2 the weights' variance is finite; above 0.7 the estimate is not to be trusted whatever its standard error
    says, and above 1 not even the mean exists.

    Args:
      largest: M + 1 log-weights in any order, in nats: those of the tail, M = `tail_size(K)`, and the next smaller one,
        above which the tail begins.

    Returns:
      k̂; NaN for fewer than 5 weights in the tail; -∞ if all of them are equal up to rounding in single precision.

    Raises:
      ValueError: largest is not a vector.
      TypeError: largest does not hold real numbers.

    Source: A. Vehtari, D. Simpson, A. Gelman, Y. Yao, J. Gabry (2024), Pareto Smoothed Importance Sampling, section 3;
    the fit: J. Zhang, M. A. Stephens (2009), A New and Efficient Estimation Method for the Generalized Pareto
    Distribution, with the weak prior of Vehtari et al., appendix C.

    >>> uniform = (np.arange(1000) + 0.5) / 1000
    >>> bool(abs(pareto_k(-0.5 * np.log(uniform)) - 0.5) < 0.05)  # weights u^(-1/2)
    True
    """
    values = as_float64("largest", largest)
    if values.ndim != 1:
        raise ValueError(f"largest must be one vector of log-weights, got shape {values.shape}")
    values = np.sort(values)
    if len(values) <= _LEAST_TAIL or not np.isfinite(values[-1]):
        return math.nan
    rounding = 8 * float(np.finfo(np.float32).eps) * max(abs(values[-1]), 1.0)
    if values[-1] - values[0] <= rounding:
        return -math.inf
    weights = np.exp(values - values[-1])
    return _fit(weights[1:] - weights[0])


def _fit(exceedances: Float[np.ndarray, "M"]) -> float:
    """Returns the posterior mean of k for exceedances in ascending order, by their profile likelihood."""
    number = len(exceedances)
    points = 30 + int(math.sqrt(number))
    grid = 1 - np.sqrt(points / (np.arange(1, points + 1) - 0.5))
    # the quartile may be 0, where exceedances are equal up to rounding
    quartile = max(exceedances[int(number / 4 + 0.5) - 1], np.finfo(np.float64).tiny ** 0.5)
    grid = grid / (_PRIOR_SCALE * quartile) + 1 / exceedances[-1]
    shapes = np.log1p(-grid[:, None] * exceedances).mean(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        profile = number * (np.log(-grid / shapes) - shapes - 1)
    profile = np.where(np.isfinite(profile), profile, -np.inf)
    weights = np.exp(profile - profile.max())
    mean = float(np.sum(grid * weights) / np.sum(weights))
    shape = float(np.log1p(-mean * exceedances).mean())
    return (number * shape + 0.5 * _PRIOR_COUNT) / (number + _PRIOR_COUNT)
