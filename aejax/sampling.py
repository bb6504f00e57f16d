"""Sampling a diagonal Gaussian with explicit keys, and the density of its samples."""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from aejax.checks import check_floating, check_same_shape


def reparameterize(
    key: Key[Array, ""], mean: Float[Array, "..."], log_variance: Float[Array, "..."]
) -> Float[Array, "..."]:
    """A sample z = μ + σ ε, ε ~ N(0, I), through which gradients reach μ and σ.

    Args:
      key: a key, not used elsewhere.
      mean: μ, any shape.
      log_variance: log σ², of the same shape.

    Returns:
      One sample, of that shape.

    Raises:
      ValueError: the shapes differ.
      TypeError: an input is not of a floating type.

    Source: D. P. Kingma, M. Welling (2014), Auto-Encoding Variational Bayes, section 2.4.

    >>> reparameterize(jax.random.key(0), jnp.array([1.0, 2.0]), jnp.array([-200.0, -200.0]))
    Array([1., 2.], dtype=float32)
    """
    check_floating(mean=mean, log_variance=log_variance)
    check_same_shape(mean=mean, log_variance=log_variance)
    return mean + jnp.exp(0.5 * log_variance) * jax.random.normal(key, mean.shape, mean.dtype)


def gaussian_log_prob(
    code: Float[Array, "..."], mean: Float[Array, "..."], log_variance: Float[Array, "..."]
) -> Float[Array, ""]:
    """Log N(z; μ, diag σ²) = -½ Σₖ [(zₖ - μₖ)²/σₖ² + log σₖ² + log 2π].

    Args:
      code: z, any shape.
      mean: μ, of the same shape.
      log_variance: log σ², of the same shape.

    Returns:
      The sum over all dimensions of the code, in nats.

    Raises:
      ValueError: the shapes differ.
      TypeError: an input is not of a floating type.

    >>> round(gaussian_log_prob(jnp.zeros(2), jnp.zeros(2), jnp.zeros(2)).item(), 4)  # -log 2π
    -1.8379
    """
    check_floating(code=code, mean=mean, log_variance=log_variance)
    check_same_shape(code=code, mean=mean, log_variance=log_variance)
    scaled = jnp.square(code - mean) * jnp.exp(-log_variance)
    return -0.5 * jnp.sum(scaled + log_variance + math.log(2 * math.pi))
