"""The bound on log p(x) as a number of bits per dimension, for likelihoods of levels such as bytes."""

import math

from jaxtyping import Array, Float

from aejax.autoencoders.part import Term
from aejax.likelihoods import Likelihood

BITS = Term("bits_per_dimension", "bits per dimension, upper bound", "bits per dimension")


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
    return {BITS.name: -elbo / (math.prod(shape) * math.log(2))}


def bits_terms(likelihood: Likelihood) -> tuple[Term, ...]:
    """Returns the term that `bits_of` computes, or none."""
    return () if likelihood.support.levels is None else (BITS,)
