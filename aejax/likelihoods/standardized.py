"""A likelihood of standardized data, turned into a likelihood of the data in their own units."""

import math

from jax.typing import ArrayLike
from jaxtyping import Array

from aejax.likelihoods.record import Likelihood
from aejax.standardization import standardization


def standardized(likelihood: Likelihood, *, mean: ArrayLike, standard_deviation: ArrayLike) -> Likelihood:
    """Returns the distribution of x = m + s z with z ~ `likelihood`: log p(x) = log p_z((x - m)/s) - Σᵢ log sᵢ.

    Args:
      likelihood: the likelihood of the standardized example z; its support must be all real numbers.
      mean: m, one number for all features or an array of the shape of one example.
      standard_deviation: s >= 0, one number or an array of the shape of one example; 0, of a constant feature, counts
        as 1.

    Returns:
      A likelihood with the same parameters, whose densities, mean and samples are in the units of x.

    Raises:
      TypeError: likelihood is not a Likelihood, or a statistic is not a real number.
      ValueError: the support of likelihood is not all real numbers, a statistic is not finite, or standard_deviation is
        negative.

    >>> import jax.numpy as jnp
    >>> from aejax.likelihoods import gaussian
    >>> years = standardized(gaussian(), mean=2000.0, standard_deviation=5.0)
    >>> round(years.log_prob(jnp.full(1, 2005.0), jnp.zeros(1)).item(), 4)  # log N(2005; 2000, 25)
    -3.0284
    >>> years.mean(jnp.ones(1)).item()
    2005.0
    """
    if not isinstance(likelihood, Likelihood):
        raise TypeError(f"likelihood must be a Likelihood, such as gaussian(), got {likelihood!r}")
    support = likelihood.support
    if support.integers or support.low > -math.inf or support.high < math.inf:
        raise ValueError(
            f"standardized expects a likelihood of all real numbers, such as gaussian(), got {likelihood.name}"
        )
    scaling = standardization(mean=mean, standard_deviation=standard_deviation)

    def log_prob(x: Array, parameters: Array) -> Array:
        of_units = scaling.log_determinant_of(x) if support.missing else scaling.log_determinant(x.shape)
        return likelihood.log_prob(scaling.forward(x), parameters) - of_units

    return likelihood._replace(
        log_prob=log_prob,
        mean=lambda parameters: scaling.backward(likelihood.mean(parameters)),
        sample=lambda key, parameters: scaling.backward(likelihood.sample(key, parameters)),
    )
