"""Divergences between distributions in closed form, in nats, of one example.

Each divergence is a sum of terms that are at least 0 in floating-point arithmetic too, and stays accurate where the two
distributions are nearly equal. Inputs of half precision are computed in float32, and the result is rounded to the dtype
of the inputs.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.nn import log_softmax
from jax.scipy.linalg import solve_triangular
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from aejax.checks import check_floating, check_in_range, check_number_or_shape, check_same_shape, check_vector
from aejax.precision import common_dtype, knob, over_deviation, widened

# 2 (eʳ - 1 - r) / r² = 1 + r/3 (1 + r/4 (1 + ...)): for |r| < 1/2 the remainder is below double precision
_EXCESS_DIVISORS = tuple(range(15, 2, -1))


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
      The sum over all dimensions of the code, in nats; at least 0, and 0 where the distributions are equal.

    Raises:
      ValueError: the shapes differ.
      TypeError: mean or log_variance is not of a floating type.

    Source: D. P. Kingma, M. Welling (2014), Auto-Encoding Variational Bayes, appendix B.

    >>> gaussian_kl(jnp.array([1.0, 0.0]), jnp.array([0.0, 0.0])).item()
    0.5
    """
    check_floating(mean=mean, log_variance=log_variance)
    check_same_shape(mean=mean, log_variance=log_variance)
    check_number_or_shape(mean, prior_mean=prior_mean, prior_log_variance=prior_log_variance)
    dtype, mean, log_variance = common_dtype(mean, log_variance), widened(mean), widened(log_variance)
    prior_mean, prior_log_variance = knob(prior_mean, mean.dtype), knob(prior_log_variance, log_variance.dtype)
    distance = jnp.square(over_deviation(mean - prior_mean, prior_log_variance))
    return (0.5 * jnp.sum(_exponential_excess(log_variance - prior_log_variance) + distance)).astype(dtype)


def full_gaussian_kl(
    mean: Float[Array, "K"],
    covariance: Float[Array, "K K"],
    *,
    prior_mean: Float[Array, "K"] | None = None,
    prior_covariance: Float[Array, "K K"] | None = None,
) -> Float[Array, ""]:
    """KL(N(μ, Σ) ‖ N(μ₀, Σ₀)) = ½ [tr(Σ₀⁻¹Σ) - K + log(|Σ₀|/|Σ|) + (μ - μ₀)ᵀ Σ₀⁻¹ (μ - μ₀)] of two Gaussians.

    Args:
      mean: μ, one vector.
      covariance: Σ, symmetric and positive definite.
      prior_mean: μ₀; zero by default.
      prior_covariance: Σ₀, symmetric and positive definite; the identity by default.

    Returns:
      The divergence, in nats; NaN where a covariance is not positive definite.

    Raises:
      ValueError: the shapes do not match.
      TypeError: an input is not of a floating type.

    Source: T. M. Cover, J. A. Thomas (2006), Elements of Information Theory, chapter 8.

    >>> full_gaussian_kl(jnp.array([1.0, 0.0]), jnp.eye(2)).item()
    0.5
    """
    check_floating(mean=mean, covariance=covariance)
    check_vector(mean=mean)
    prior_mean = jnp.zeros_like(mean) if prior_mean is None else prior_mean
    prior_covariance = jnp.eye(len(mean), dtype=covariance.dtype) if prior_covariance is None else prior_covariance
    check_floating(prior_mean=prior_mean, prior_covariance=prior_covariance)
    check_same_shape(mean=mean, prior_mean=prior_mean)
    size = len(mean)
    for name, matrix in (("covariance", covariance), ("prior_covariance", prior_covariance)):
        if matrix.shape != (size, size):
            raise ValueError(f"{name} must have shape {(size, size)} for a mean of size {size}, got {matrix.shape}")
    dtype = common_dtype(mean, covariance, prior_mean, prior_covariance)
    root, prior_root = jnp.linalg.cholesky(widened(covariance)), jnp.linalg.cholesky(widened(prior_covariance))
    # M = L₀⁻¹L has ‖M‖_F² = tr(Σ₀⁻¹Σ), and twice the sum of the logarithms of its diagonal is log(|Σ|/|Σ₀|)
    ratio = solve_triangular(prior_root, root, lower=True)
    distance = solve_triangular(prior_root, widened(mean) - widened(prior_mean), lower=True)
    by_scale = jnp.sum(_exponential_excess(2 * jnp.log(jnp.diagonal(ratio))))
    by_rotation = jnp.sum(jnp.square(jnp.tril(ratio, -1)))
    return (0.5 * (by_scale + by_rotation + jnp.sum(jnp.square(distance)))).astype(dtype)


def categorical_kl(logits: Float[Array, "... classes"], prior_logits: Float[Array, "... classes"]) -> Float[Array, ""]:
    """KL(p ‖ q) = Σ꜀ p꜀ log(p꜀ / q꜀) of categorical distributions, from their logits.

    Some introductions print Σ p log(q / p), which is the negative of the divergence.

    Args:
      logits: of p, unnormalized log-probabilities along the last axis.
      prior_logits: of q, of the same shape.

    Returns:
      The sum over all leading axes, in nats; at least 0, and 0 where the distributions are equal.

    Raises:
      ValueError: the shapes differ.
      TypeError: an input is not of a floating type.

    Source: S. Kullback, R. A. Leibler (1951), On Information and Sufficiency, eq. 2.4.

    >>> round(categorical_kl(jnp.log(jnp.array([0.5, 0.5])), jnp.log(jnp.array([0.9, 0.1]))).item(), 4)
    0.5108
    """
    check_floating(logits=logits, prior_logits=prior_logits)
    check_same_shape(logits=logits, prior_logits=prior_logits)
    log_p, log_q = log_softmax(widened(logits)), log_softmax(widened(prior_logits))
    return jnp.sum(_relative_entropy(log_p, log_q)).astype(common_dtype(logits, prior_logits))


def bernoulli_kl(rho: ArrayLike, rho_hat: Float[Array, "..."]) -> Float[Array, ""]:
    """KL(Bernoulli(ρ) ‖ Bernoulli(ρ̂)) = ρ log(ρ/ρ̂) + (1 - ρ) log((1 - ρ)/(1 - ρ̂)), the penalty of sparse autoencoders.

    Args:
      rho: ρ in [0, 1], one number or of the shape of rho_hat.
      rho_hat: ρ̂ in [0, 1], such as the mean activation of each unit of a code. It is clipped to the numbers whose
        logarithms the dtype resolves (1.2e-38 and 1 - 6e-8 in float32), so that the divergence is finite at 0 and 1;
        the derivative is 0 where it is clipped.

    Returns:
      The sum over all entries, in nats; finite, at least 0, and 0 where ρ̂ = ρ.

    Raises:
      ValueError: rho outside [0, 1], or an array of another shape than rho_hat.
      TypeError: rho_hat is not of a floating type.

    Source: A. Ng (2011), Sparse Autoencoder, CS294A lecture notes, section 3.

    >>> round(bernoulli_kl(0.5, jnp.array([0.5, 0.9])).item(), 4)
    0.5108
    """
    check_floating(rho_hat=rho_hat)
    check_number_or_shape(rho_hat, rho=rho)
    if not isinstance(rho, Tracer):
        check_in_range("rho", np.min(rho, initial=0.0), 0.0, 1.0)
        check_in_range("rho", np.max(rho, initial=1.0), 0.0, 1.0)
    dtype, rho_hat = jnp.result_type(rho_hat), widened(rho_hat)
    limits = jnp.finfo(rho_hat.dtype)
    rho = knob(rho, rho_hat.dtype)
    rho_hat = jnp.clip(rho_hat, limits.tiny, 1 - limits.epsneg)
    on = _relative_entropy(jnp.log(rho), jnp.log(rho_hat))
    off = _relative_entropy(jnp.log1p(-rho), jnp.log1p(-rho_hat))
    return jnp.sum(on + off).astype(dtype)


@jax.custom_jvp
def _exponential_excess(r: Array) -> Array:
    """Returns eʳ - 1 - r, which is at least 0, accurate near r = 0 too."""
    near_zero = jnp.where(jnp.abs(r) < 0.5, r, 0)
    series = jnp.ones_like(r)
    for divisor in _EXCESS_DIVISORS:
        series = 1 + near_zero / divisor * series
    return jnp.where(jnp.abs(r) < 0.5, 0.5 * jnp.square(near_zero) * series, jnp.expm1(r) - r)


@_exponential_excess.defjvp
def _exponential_excess_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    return _exponential_excess(primals[0]), jnp.expm1(primals[0]) * tangents[0]


def _relative_entropy(log_p: Array, log_q: Array) -> Array:
    """Returns p log(p/q) - p + q = p (eʳ - 1 - r) with r = log(q/p) for every entry.

    Where p and q sum to 1, the sum over entries is Σ p log(p/q). Unlike p log(p/q), each of these terms is at least 0,
    and their sum stays accurate where p is close to q.
    """
    p, q = jnp.exp(log_p), jnp.exp(log_q)
    r = jnp.where(p == 0, 0, log_q - log_p)  # 0 log 0 is 0; without this its derivative would be 0 times infinity
    is_near = jnp.abs(r) < 0.5
    return jnp.where(is_near & (p > 0), p * _exponential_excess(jnp.where(is_near, r, 0)), q - p - p * r)
