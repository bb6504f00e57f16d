"""Divergences between distributions in closed form, in nats, of one example."""

import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.nn import log_softmax
from jax.scipy.linalg import solve_triangular
from jax.scipy.special import entr, xlog1py, xlogy
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from aejax.checks import check_floating, check_in_range, check_same_shape


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


def full_gaussian_kl(
    mean: Float[Array, "K"],
    covariance: Float[Array, "K K"],
    *,
    prior_mean: Float[Array, "K"] | None = None,
    prior_covariance: Float[Array, "K K"] | None = None,
) -> Float[Array, ""]:
    """KL(N(μ, Σ) ‖ N(μ₀, Σ₀)) = ½ [tr(Σ₀⁻¹Σ) - K + log(|Σ₀|/|Σ|) + (μ - μ₀)ᵀ Σ₀⁻¹ (μ - μ₀)] of any Gaussians.

    Args:
      mean: μ, one vector.
      covariance: Σ, symmetric and positive definite.
      prior_mean: μ₀; zero by default.
      prior_covariance: Σ₀, symmetric and positive definite; the identity by default.

    Returns:
      A number in nats; NaN where a covariance is not positive definite.

    Raises:
      ValueError: the shapes do not fit.
      TypeError: an input is not of a floating type.

    Source: T. M. Cover, J. A. Thomas (2006), Elements of Information Theory, chapter 8.

    >>> full_gaussian_kl(jnp.array([1.0, 0.0]), jnp.eye(2)).item()
    0.5
    """
    if jnp.ndim(mean) != 1:
        raise ValueError(f"mean must be one vector, got shape {jnp.shape(mean)}")
    identity = jnp.eye(mean.size, dtype=mean.dtype)
    prior_mean = jnp.zeros_like(mean) if prior_mean is None else prior_mean
    prior_covariance = identity if prior_covariance is None else prior_covariance
    check_floating(mean=mean, covariance=covariance, prior_mean=prior_mean, prior_covariance=prior_covariance)
    check_same_shape(mean=mean, prior_mean=prior_mean)
    check_same_shape(identity_like_mean=identity, covariance=covariance, prior_covariance=prior_covariance)
    root, prior_root = jnp.linalg.cholesky(covariance), jnp.linalg.cholesky(prior_covariance)
    # ‖L₀⁻¹L‖_F² = tr(Σ₀⁻¹Σ), and the logarithms of a triangular matrix's diagonal sum to half its log-determinant
    ratio = solve_triangular(prior_root, root, lower=True)
    distance = solve_triangular(prior_root, mean - prior_mean, lower=True)
    log_diagonal = jnp.log(jnp.diagonal(ratio))
    return 0.5 * (jnp.sum(jnp.square(ratio)) - mean.size + jnp.sum(jnp.square(distance))) - jnp.sum(log_diagonal)


def categorical_kl(logits: Float[Array, "... classes"], prior_logits: Float[Array, "... classes"]) -> Float[Array, ""]:
    """KL(p ‖ q) = Σ꜀ p꜀ log(p꜀ / q꜀) of categorical distributions, from their logits.

    Some introductions print Σ p log(q / p): that is the negative of the divergence, and never positive.

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
    log_p, log_q = log_softmax(logits), log_softmax(prior_logits)
    p = jnp.exp(log_p)
    # 0 log 0 is 0; chosen before the product, whose derivative would else be 0 times infinity
    return jnp.sum(p * jnp.where(p == 0, 0, log_p - log_q))


def bernoulli_kl(rho: ArrayLike, rho_hat: Float[Array, "..."]) -> Float[Array, ""]:
    """KL(Bernoulli(ρ) ‖ Bernoulli(ρ̂)) = ρ log(ρ/ρ̂) + (1 - ρ) log((1 - ρ)/(1 - ρ̂)), the penalty of sparse autoencoders.

    Args:
      rho: ρ in [0, 1], one number or of the shape of rho_hat.
      rho_hat: ρ̂ in [0, 1], such as the mean activations of the units of a code. Where the divergence would be
        infinite, at 0 and 1, it is that of the nearest number whose logarithm the dtype resolves (of float32 1.2e-38
        and 1 - 6e-8), and its slope 0.

    Returns:
      The sum over all entries, in nats; finite, and but for rounding at least 0, and 0 where ρ̂ = ρ.

    Raises:
      ValueError: rho outside [0, 1], or an array of another shape than rho_hat.
      TypeError: rho_hat is not of a floating type.

    Source: A. Ng (2011), Sparse Autoencoder, CS294A lecture notes, section 3.

    >>> round(bernoulli_kl(0.5, jnp.array([0.5, 0.9])).item(), 4)
    0.5108
    """
    check_floating(rho_hat=rho_hat)
    if jnp.ndim(rho):
        check_same_shape(rho=rho, rho_hat=rho_hat)
    if not isinstance(rho, Tracer):
        check_in_range("rho", np.min(rho, initial=0.0), 0.0, 1.0)
        check_in_range("rho", np.max(rho, initial=1.0), 0.0, 1.0)
    limits = jnp.finfo(rho_hat.dtype)
    rho = jnp.asarray(rho, rho_hat.dtype)
    rho_hat = jnp.clip(rho_hat, limits.tiny, 1 - limits.epsneg)
    entropy = entr(rho) + entr(1 - rho)
    return jnp.sum(-entropy - xlogy(rho, rho_hat) - xlog1py(1 - rho, -rho_hat))
