"""Divergences between distributions in closed form, in nats, summed over the dimensions of one code."""

import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from aejax.checks import check_floating, check_same_shape


def gaussian_kl(
    mean: Float[Array, "..."],
    log_variance: Float[Array, "..."],
    *,
    prior_mean: ArrayLike = 0.0,
    prior_log_variance: ArrayLike = 0.0,
) -> Float[Array, ""]:
    """KL(N(μ, σ²) ‖ N(μ₀, σ₀²)) = ½ Σₖ [σₖ²/σ₀² - 1 - log(σₖ²/σ₀²) + (μₖ - μ₀)²/σ₀²] of diagonal Gaussians.

    Args:
      mean: μ of one example, any shape.
      log_variance: log σ², of the same shape.
      prior_mean: μ₀, one number or an array of that shape.
      prior_log_variance: log σ₀², one number or an array of that shape.

    Returns:
      The sum over all dimensions of the code, in nats; 0 where the distributions are equal.

    Raises:
      ValueError: the shapes differ.
      TypeError: mean or log_variance is not of a floating type.

    Source: D. P. Kingma, M. Welling (2014), Auto-Encoding Variational Bayes, appendix B.

    >>> gaussian_kl(jnp.array([1.0, 0.0]), jnp.array([0.0, 0.0])).item()
    0.5
    """
    check_floating(mean=mean, log_variance=log_variance)
    check_same_shape(mean=mean, log_variance=log_variance)
    for name, prior in (("prior_mean", prior_mean), ("prior_log_variance", prior_log_variance)):
        if jnp.ndim(prior):
            check_same_shape(mean=mean, **{name: prior})
    log_ratio = log_variance - prior_log_variance
    distance = jnp.square(mean - prior_mean) * jnp.exp(-jnp.asarray(prior_log_variance, mean.dtype))
    # expm1 keeps the digits that σ² - 1 loses near equality
    return 0.5 * jnp.sum(jnp.expm1(log_ratio) - log_ratio + distance)
