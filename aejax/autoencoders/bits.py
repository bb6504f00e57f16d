"""A log-likelihood or a bound on it as a number of bits per dimension, for levels such as bytes."""

import math
from typing import TypeVar

from jaxtyping import Array, Float

from aejax.autoencoders.part import Term
from aejax.checks import check_count
from aejax.likelihoods import Likelihood

Number = TypeVar("Number", float, Array)

BITS = Term("bits_per_dimension", "bits per dimension, upper bound", "bits per dimension")


def bits_per_dimension(log_likelihood: Number, dimensions: int, *, levels: int = 1) -> Number:
    """Returns -log p(x) / (D log 2) + log₂ levels.

    Args:
      log_likelihood: log p(x), in nats: of a probability, or of a density on [0, 1] of values that are dequantized,
        uniform within each of `levels` intervals of length 1 / levels.
      dimensions: D, the number of values of an example.
      levels: the number of levels that were dequantized; 1 if x is discrete itself.

    Raises:
      ValueError: dimensions or levels is below 1.
      TypeError: dimensions or levels is not an integer.

    >>> bits_per_dimension(0.0, 784, levels=256)  # a uniform density on [0, 1]
    8.0
    """
    check_count("dimensions", dimensions)
    check_count("levels", levels)
    return -log_likelihood / (dimensions * math.log(2)) + math.log2(levels)


def bits_of(elbo: Float[Array, ""], shape: tuple[int, ...], likelihood: Likelihood) -> dict[str, Array]:
    """Returns -bound / (D log 2) under its name, if the likelihood is a probability of levels; else nothing.

    Args:
      elbo: a lower bound on log p(x), in nats per example.
      shape: the shape of an example, of D numbers.
      likelihood: p(x | z); densities have no number of bits.

    >>> import jax.numpy as jnp
    >>> from aejax.likelihoods import discretized_logistic, gaussian
    >>> bits = bits_of(-12 * jnp.log(256.0), (2, 2, 3), discretized_logistic())["bits_per_dimension"]
    >>> round(bits.item(), 5), bits_of(jnp.zeros(()), (3,), gaussian())
    (8.0, {})
    """
    if likelihood.support.levels is None:
        return {}
    return {BITS.name: bits_per_dimension(elbo, math.prod(shape))}


def bits_terms(likelihood: Likelihood) -> tuple[Term, ...]:
    """Returns the term that `bits_of` computes, or none."""
    return () if likelihood.support.levels is None else (BITS,)
