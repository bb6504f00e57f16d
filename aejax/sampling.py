"""Samples of a diagonal Gaussian, with explicit keys, and its log-density.

Inputs of half precision are drawn, computed and summed in float32; the result is rounded to the dtype of the inputs.
"""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from aejax.checks import check_floating, check_same_shape
from aejax.precision import common_dtype, over_deviation, widened


def reparameterize(
    key: Key[Array, ""], mean: Float[Array, "..."], log_variance: Float[Array, "..."]
) -> Float[Array, "..."]:
    """Returns a sample z = μ + σ ε, ε ~ N(0, I), differentiable in μ and σ.

    Args:
      key: a PRNG key, not used elsewhere.
      mean: μ, any shape.
      log_variance: log σ², of the same shape.

    Returns:
      One sample, of the shape of mean.

    Raises:
      ValueError: the shapes differ.
      TypeError: an input is not of a floating type.

    Source: D. P. Kingma, M. Welling (2014), Auto-Encoding Variational Bayes, section 2.4.

    >>> reparameterize(jax.random.key(0), jnp.array([1.0, 2.0]), jnp.array([-200.0, -200.0]))
    Array([1., 2.], dtype=float32)
    """
    check_floating(mean=mean, log_variance=log_variance)
    check_same_shape(mean=mean, log_variance=log_variance)
    dtype, mean = common_dtype(mean, log_variance), widened(mean)
    noise = jax.random.normal(key, mean.shape, mean.dtype)
    return (mean + jnp.exp(0.5 * widened(log_variance)) * noise).astype(dtype)


def gaussian_log_prob(
    code: Float[Array, "..."], mean: Float[Array, "..."], log_variance: Float[Array, "..."]
) -> Float[Array, ""]:
    """Log-density log N(z; μ, diag σ²) = -½ Σₖ [(zₖ - μₖ)²/σₖ² + log σₖ² + log 2π].

    Args:
      code: z, any shape.
      mean: μ, of the same shape.
      log_variance: log σ², of the same shape.

    Returns:
      The sum over all dimensions of the code, in nats; -∞, with a gradient of 0, where it is beyond the dtype's range.

    Raises:
      ValueError: the shapes differ.
      TypeError: an input is not of a floating type.

    >>> round(gaussian_log_prob(jnp.zeros(2), jnp.zeros(2), jnp.zeros(2)).item(), 4)  # -log 2π
    -1.8379
    """
    check_floating(code=code, mean=mean, log_variance=log_variance)
    check_same_shape(code=code, mean=mean, log_variance=log_variance)
    log_densities = gaussian_log_densities(widened(code) - widened(mean), widened(log_variance))
    return jnp.sum(log_densities).astype(common_dtype(code, mean, log_variance))


def gaussian_log_densities(difference: Float[Array, "..."], log_variance: Float[Array, "..."]) -> Float[Array, "..."]:
    """Log-density log N(dᵢ; 0, σᵢ²) = -½ [dᵢ²/σᵢ² + log σᵢ² + log 2π] of every entry.

    It is -∞ where d²/σ² is beyond the dtype's range. Its derivatives are 0 there, as they would be 0 times infinity
    otherwise, and a density of 0 adds nothing to a mixture.

    Args:
      difference: d, any shape.
      log_variance: log σ², of the same shape.

    Returns:
      The log-densities, in nats, of that shape.

    >>> gaussian_log_densities(jnp.array([0.0, 1.0]), jnp.array([0.0, -200.0])).round(4).tolist()
    [-0.9..., -inf]
    """
    scaled = jnp.square(over_deviation(jax.lax.stop_gradient(difference), jax.lax.stop_gradient(log_variance)))
    is_far = jnp.isinf(scaled)
    scaled = jnp.square(over_deviation(jnp.where(is_far, 0, difference), log_variance))
    return jnp.where(is_far, -jnp.inf, -0.5 * (scaled + log_variance + math.log(2 * math.pi)))
