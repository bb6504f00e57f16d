"""The signal-to-noise ratio of a stochastic gradient, and how it scales."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from aejax.checks import as_float64

LEAST_ERRORS = 2.0  # of a ratio, in standard errors, for its logarithm to be of use
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

    The squared norm of the samples' mean is too large by 1/R of the variance, which is subtracted, so that the squared
    ratio is nearly unbiased before it is cut off at 0. The ratio itself cannot be measured far below (2/P)^¼ / √R, of P
    equally noisy parameters: without a signal, somewhat less than half of the estimates are positive and of that size.
    Those that are no larger than about two standard errors are no evidence of a signal. Of one parameter the ratio is
    |E g| / σ.

    Args:
      gradients: R >= 40 samples of a gradient with respect to P parameters.

    Returns:
      The ratio, 0 where the squared norm of the mean is at most what noise alone has in expectation, and its standard
      error by a jackknife of 20 blocks.

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


def is_measured(y: Float[np.ndarray, "N"], errors: Float[np.ndarray, "N"]) -> Bool[np.ndarray, "N"]:
    """Returns whether values are positive and at least 2 of their standard errors.

    The logarithm of a smaller one is mostly noise, and of estimates that are cut off at 0 only those that are too large
    have one. Values that are measured only just are too large in the mean, too: they are those that chance has raised.

    >>> is_measured(np.array([3.0, 1.0, 0.0]), np.array([1.0, 1.0, 0.0])).tolist()
    [True, False, False]
    """
    return (y > 0) & (y >= LEAST_ERRORS * errors)


def power_law(x: Float[np.ndarray, "N"], y: Float[np.ndarray, "N"], errors: Float[np.ndarray, "N"]) -> Slope:
    """Returns the exponent a of y ~ x^a: the slope of the weighted least-squares line of log y against log x.

    Args:
      x: at least 2 different positive numbers.
      y: the values at x; those below 2 of their standard errors are left out, see `is_measured`.
      errors: their standard errors, positive where y is.

    Returns:
      The exponent and its error. Where values are left out, it is nearer to 0 than the true one: others are too large.

    Raises:
      ValueError: fewer than 2 values of y at different x are left.
      TypeError: an argument does not hold real numbers.

    >>> x = np.array([1.0, 4.0, 16.0])
    >>> [round(number, 3) for number in power_law(x, 3 * np.sqrt(x), 0.03 * np.sqrt(x))]
    [0.5, 0.005]
    """
    x, y, errors = (as_float64(name, each) for name, each in (("x", x), ("y", y), ("errors", errors)))
    kept = is_measured(y, errors)
    if len(np.unique(x[kept])) < 2:
        raise ValueError(
            f"a power law needs values above {LEAST_ERRORS:g} standard errors at 2 or more places, got {y.tolist()} "
            f"with errors {errors.tolist()} at {x.tolist()}"
        )
    log_x, log_y = np.log(x[kept]), np.log(y[kept])
    weights = np.square(y[kept] / errors[kept])  # of log y the error is that of y divided by y
    offset = log_x - np.average(log_x, weights=weights)
    spread = np.sum(weights * offset**2)
    return Slope(float(np.sum(weights * offset * log_y) / spread), float(1 / np.sqrt(spread)))
