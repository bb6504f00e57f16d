"""Sampling with explicit keys: the reparameterization trick, and paths between codes."""

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
