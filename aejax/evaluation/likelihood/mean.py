"""Means of log-likelihoods over examples, with the errors of samples and of examples apart."""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from aejax.checks import as_float64, check_same_shape, check_vector


class MeanWithErrors(NamedTuple):
    """A mean over examples and its standard errors, all in nats per example."""

    mean: float
    samples_error: float  # from the samples or chains of every example
    examples_error: float  # from the examples: other test examples of the same distribution; NaN for one example

    @property
    def error(self) -> float:
        """The standard error from both."""
        return math.hypot(self.samples_error, self.examples_error)


def mean_with_errors(values: Float[np.ndarray, "N"], errors: Float[np.ndarray, "N"]) -> MeanWithErrors:
    """Returns the mean of N >= 1 estimates and its standard errors.

    The errors of the samples add up to √(Σ e²) / N. The estimates' variance over the examples contains that of the
    samples, which is subtracted: the examples' error is √(max(0, s² - mean e²) / N).

    Args:
      values: an estimate for every example, in nats.
      errors: its standard error.

    Raises:
      ValueError: arguments are not vectors of one length, or there is no example.
      TypeError: an argument does not hold real numbers.

    >>> mean = mean_with_errors(np.array([1.0, 3.0]), np.zeros(2))
    >>> mean.mean, mean.samples_error, mean.examples_error
    (2.0, 0.0, 1.0)
    """
    values, errors = as_float64("values", values), as_float64("errors", errors)
    check_vector(values=values, errors=errors)
    check_same_shape(values=values, errors=errors)
    number = len(values)
    if not number:
        raise ValueError("values must hold at least one example, got none")
    between = math.nan
    if number > 1:
        with np.errstate(invalid="ignore"):  # a value of -∞, as of an ELBO with a weight of 0
            spread = np.var(values, ddof=1) - np.mean(np.square(errors))
        between = math.sqrt(float(np.maximum(spread, 0.0)) / number)  # NaN where an error is not known
    return MeanWithErrors(float(np.mean(values)), float(np.sqrt(np.sum(np.square(errors)))) / number, between)
