"""A likelihood of examples in which NaN is a missing value, such as the padding of a sequence: it has no term."""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array

from aejax.checks import check_floating
from aejax.likelihoods.record import Likelihood, parameter_shape


def over_known(likelihood: Likelihood) -> Likelihood:
    """Returns the likelihood of the known values alone: log p(x) = Σᵢ over xᵢ that are not NaN of log p(xᵢ).

    For a sequence that is padded with NaN, it is the log-probability of its real steps, given their number.

    Args:
      likelihood: the distribution of independent features, such as `gaussian()`; not one of classes.

    Returns:
      A likelihood with the same parameters, of which those of missing values have no gradient. Its mean and its samples
      are complete.

    Raises:
      TypeError: likelihood is not a Likelihood.

    Source: A. Nazábal et al. (2020), Handling Incomplete Heterogeneous Data Using VAEs, eq. 3.

    >>> from aejax.likelihoods import gaussian
    >>> x, mean = jnp.array([1.0, jnp.nan]), jnp.array([1.0, 8.0])
    >>> round(over_known(gaussian()).log_prob(x, mean).item(), 4)  # -log(2π) / 2, of one value
    -0.9189
    """
    if not isinstance(likelihood, Likelihood):
        raise TypeError(f"likelihood must be a Likelihood, such as gaussian(), got {likelihood!r}")
    support = likelihood.support
    low, high = support.low, support.high
    filler = low if math.isfinite(low) else 0.0  # any value inside the support: its term is ignored
    if support.open and math.isfinite(low):
        filler = (low + high) / 2 if math.isfinite(high) else low + 1

    def log_prob(x: Array, parameters: Array) -> Array:
        check_floating(x=x)
        expected = parameter_shape(likelihood, x.shape)
        if jnp.shape(parameters) != expected:
            raise ValueError(
                f"the parameters for x of shape {x.shape} must have shape {expected}, got {jnp.shape(parameters)}"
            )
        is_known = ~jnp.isnan(x)
        values = jnp.where(is_known, x, jnp.asarray(filler, x.dtype)).reshape(-1)
        by_feature = parameters.reshape(-1, *parameter_shape(likelihood, ()))
        terms = jax.vmap(likelihood.log_prob)(values, by_feature)
        return jnp.sum(jnp.where(is_known.reshape(-1), terms, jnp.zeros_like(terms)))

    return likelihood._replace(log_prob=log_prob, support=support._replace(missing=True))
