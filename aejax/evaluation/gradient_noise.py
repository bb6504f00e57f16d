"""The signal-to-noise ratio of a stochastic gradient, and how it scales."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from aejax.checks import as_float64

_BLOCKS = 20  # of samples, which the jackknife leaves out in turn


class SignalToNoise(NamedTuple):
    """A signal-to-noise ratio, without unit."""

    ratio: float
    error: float  # its standard error


class Slope(NamedTuple):
    """The exponent of a power law, from a line through logarithms."""

    slope: float
    error: float  # its standard error, from those of the points


def signal_to_noise(gradients: Float[np.ndarray, "R P"]) -> SignalToNoise:
    """Returns ‖E g‖ / √(E ‖g - E g‖²) of a stochastic gradient g, from R independent samples of it.

    The squared norm of the samples' mean is too large by 1/R of the variance, which is subtracted. So a ratio can be
    measured that is far below 1/√R, and one that is 0 is not found to be larger. Of one parameter it is |E g| / σ.

    Args:
      gradients: R >= 40 samples of a gradient with respect to P parameters.

    Returns:
      The ratio, 0 where the mean does not differ from 0, and its standard error by a jackknife of 20 blocks.

    Raises:
      ValueError: there are fewer than 40 samples, or all are equal.
      TypeError: the gradients are not real numbers.

    Source: T. Rainforth et al. (2018), Tighter Variational Bounds are Not Necessarily Better, eq. 4, for one parameter.

    >>> gradients = np.random.default_rng(0).normal(0.5, 1.0, size=(10_000, 3))
    >>> signal_to_noise(gradients)  # 0.5
    SignalToNoise(ratio=0.505..., error=0.007...)
    """
    samples = as_float64("gradients", gradients)
    if samples.ndim != 2 or len(samples) < 2 * _BLOCKS:
        raise ValueError(f"gradients must have shape (samples, parameters), at least 40 samples, got {samples.shape}")
    center = samples.mean(axis=0)  # sums of squares are of differences from it, for their precision
    blocks = np.array_split(samples - center, _BLOCKS)
    counts = np.array([len(block) for block in blocks])
    sums = np.stack([block.sum(axis=0) for block in blocks])
    squares = np.array([np.square(block).sum() for block in blocks])
    if not squares.sum():
        raise ValueError("all samples of the gradient are equal: it has no noise")

    def ratio(count: float, total: Float[np.ndarray, "P"], square: float) -> float:
        mean = total / count
        variance = (square - count * np.square(mean).sum()) / (count - 1)
        signal = np.square(center + mean).sum() - variance / count
        return float(np.sqrt(max(signal, 0.0) / variance))

    all_but_one = [
        ratio(counts.sum() - count, sums.sum(axis=0) - total, squares.sum() - square)
        for count, total, square in zip(counts, sums, squares, strict=True)
    ]
    error = np.sqrt((_BLOCKS - 1) * np.var(all_but_one))
    return SignalToNoise(ratio(counts.sum(), sums.sum(axis=0), squares.sum()), float(error))


def power_law(x: Float[np.ndarray, "N"], y: Float[np.ndarray, "N"], errors: Float[np.ndarray, "N"]) -> Slope:
    """Returns the exponent a of y ~ x^a: the slope of the weighted least-squares line of log y against log x.

    Args:
      x: at least 2 different positive numbers.
      y: the values at x; those that are not positive are left out.
      errors: their standard errors, positive where y is.

    Raises:
      ValueError: fewer than 2 values of y at different x are positive.
      TypeError: an argument does not hold real numbers.

    >>> x = np.array([1.0, 4.0, 16.0])
    >>> [round(number, 3) for number in power_law(x, 3 * np.sqrt(x), 0.03 * np.sqrt(x))]
    [0.5, 0.005]
    """
    x, y, errors = (as_float64(name, each) for name, each in (("x", x), ("y", y), ("errors", errors)))
    positive = y > 0
    if len(np.unique(x[positive])) < 2:
        raise ValueError(f"a power law needs positive values at 2 or more places, got {y.tolist()} at {x.tolist()}")
    log_x, log_y = np.log(x[positive]), np.log(y[positive])
    weights = np.square(y[positive] / errors[positive])  # of log y the error is that of y divided by y
    offset = log_x - np.average(log_x, weights=weights)
    spread = np.sum(weights * offset**2)
    return Slope(float(np.sum(weights * offset * log_y) / spread), float(1 / np.sqrt(spread)))
