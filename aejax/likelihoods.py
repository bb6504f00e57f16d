"""What a decoder's output parameterizes: a distribution of one example, as a record of pure functions."""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
from jaxtyping import Array

from aejax.checks import check_floating, check_positive, check_same_shape
from aejax.losses import binary_cross_entropy, squared_error


class Likelihood(NamedTuple):
    """The distribution p(x | parameters) of one example; `parameters` is what the decoder returns."""

    log_prob: Callable[[Array, Array], Array]  # (x, parameters) -> scalar, in nats, with all constants
    mean: Callable[[Array], Array]  # parameters -> E[x], in data space
    sample: Callable[[Array, Array], Array]  # (key, parameters) -> x
    support: tuple[float, float]  # the least and the greatest value that x may take


def bernoulli() -> Likelihood:
    """Independent Bernoulli features, parameterized by logits: log p(x) = -binary_cross_entropy(x, logits).

    Gray values in [0, 1] are allowed as x, as is customary; the result is then no density of x.

    >>> import jax.numpy as jnp
    >>> likelihood = bernoulli()
    >>> round(likelihood.log_prob(jnp.ones(2), jnp.zeros(2)).item(), 4), likelihood.mean(jnp.zeros(2)).tolist()
    (-1.3863, [0.5, 0.5])
    """
    return Likelihood(
        log_prob=lambda x, logits: -binary_cross_entropy(x, logits),
        mean=jax.nn.sigmoid,
        sample=lambda key, logits: jax.random.bernoulli(key, jax.nn.sigmoid(logits)).astype(logits.dtype),
        support=(0.0, 1.0),
    )


def gaussian(*, variance: float = 1.0) -> Likelihood:
    """Independent Gaussian features of one fixed variance: log p(x) = -‖x - μ‖²/(2σ²) - D/2 log(2πσ²).

    Args:
      variance: σ² > 0, of every feature.

    Raises:
      ValueError: a variance that is not positive and finite.

    >>> import jax.numpy as jnp
    >>> round(gaussian().log_prob(jnp.zeros(2), jnp.zeros(2)).item(), 4)  # -log(2π)
    -1.8379
    """
    check_positive("variance", variance)

    def log_prob(x: Array, mean: Array) -> Array:
        check_floating(x=x, mean=mean)
        check_same_shape(x=x, mean=mean)
        return -0.5 * (squared_error(x, mean) / variance + x.size * math.log(2 * math.pi * variance))

    return Likelihood(
        log_prob=log_prob,
        mean=lambda mean: mean,
        sample=lambda key, mean: mean + math.sqrt(variance) * jax.random.normal(key, mean.shape, mean.dtype),
        support=(-math.inf, math.inf),
    )
