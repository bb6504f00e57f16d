"""Real numbers: Gaussian and Laplace features, and gray values as continuous Bernoulli or beta features."""

import math

import jax
import jax.numpy as jnp
from jax.scipy.special import gammaln
from jaxtyping import Array, Float

from aejax.bounded import bounded_log
from aejax.checks import check_floating, check_positive, check_same_shape
from aejax.likelihoods.record import Likelihood, Support, trailing_axis
from aejax.losses import absolute_error, squared_error

# Bernoulli's numbers B₂, B₄, ..., B₂₂: below |l| = 1, what follows them is beyond double precision
_BERNOULLI_NUMBERS = [1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6]
_BERNOULLI_NUMBERS += [-3617 / 510, 43867 / 798, -174611 / 330, 854513 / 138]
_COEFFICIENTS = [number / math.factorial(2 * n) for n, number in enumerate(_BERNOULLI_NUMBERS, start=1)]


def gaussian(*, variance: float = 1.0) -> Likelihood:
    """Independent Gaussian features of one fixed variance: log p(x) = -‖x - μ‖²/(2σ²) - D/2 log(2πσ²).

    Args:
      variance: σ² > 0, of every feature.

    Raises:
      ValueError: a variance that is not positive and finite.

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
        support=Support(-math.inf, math.inf),
        name="gaussian",
    )


def gaussian_with_predicted_variance() -> Likelihood:
    """Independent Gaussian features, each with a variance of its own: -½ Σᵢ [(xᵢ - μᵢ)²/σᵢ² + log σᵢ² + log 2π].

    The parameters are (..., 2): μ and log σ² along the last axis. Where one variance is learned for all examples and
    features, the decoder is `aejax.networks.with_global_log_variance(decoder)`. Both σ² and 1/σ² must be finite: in
    float32, log-variances in (-88, 88).

    Raises:
      ValueError: in `log_prob`, shapes that do not fit.

    Source: D. P. Kingma, M. Welling (2014), Auto-Encoding Variational Bayes, appendix C.2.

    >>> parameters = jnp.array([[0.0, 0.0], [1.0, 0.0]])
    >>> round(gaussian_with_predicted_variance().log_prob(jnp.array([0.0, 1.0]), parameters).item(), 4)  # -log(2π)
    -1.8379
    """

    def log_prob(x: Array, parameters: Array) -> Array:
        mean, log_variance = _unpack(x, parameters, "a mean and a log-variance")
        scaled = jnp.square(x - mean) * jnp.exp(-log_variance)
        return -0.5 * (jnp.sum(scaled + log_variance) + x.size * math.log(2 * math.pi))

    def sample(key: Array, parameters: Array) -> Array:
        mean, log_variance = parameters[..., 0], parameters[..., 1]
        return mean + jnp.exp(0.5 * log_variance) * jax.random.normal(key, mean.shape, mean.dtype)

    return Likelihood(
        log_prob=log_prob,
        mean=lambda parameters: parameters[..., 0],
        sample=sample,
        support=Support(-math.inf, math.inf),
        name="gaussian_with_predicted_variance",
        parameters=trailing_axis(2),
        constrain=lambda output: jnp.stack([output[..., 0], bounded_log(output[..., 1])], axis=-1),
    )


def laplace(*, scale: float = 1.0) -> Likelihood:
    """Independent Laplace features of one fixed scale: log p(x) = -‖x - μ‖₁/b - D log(2b); outliers weigh less.

    Args:
      scale: b > 0, of every feature; the standard deviation is √2 b.

    Raises:
      ValueError: a scale that is not positive and finite; in `log_prob`, shapes that differ.

    Source: P. S. Laplace (1774), Mémoire sur la probabilité des causes par les évènements.

    >>> round(laplace().log_prob(jnp.ones(1), jnp.zeros(1)).item(), 4)  # -1 - log 2
    -1.6931
    """
    check_positive("scale", scale)
    return Likelihood(
        log_prob=lambda x, location: -absolute_error(x, location) / scale - x.size * math.log(2 * scale),
        mean=lambda location: location,
        sample=lambda key, location: location + scale * jax.random.laplace(key, location.shape, location.dtype),
        support=Support(-math.inf, math.inf),
        name="laplace",
    )


def continuous_bernoulli() -> Likelihood:
    """Independent gray values in [0, 1] with p(x) = C(λ) λˣ (1 - λ)¹⁻ˣ, λ = σ(l), parameterized by logits l.

    In terms of the logit, p(x) = l eˡˣ / (eˡ - 1) and C = l / tanh(l/2), which is 2 at l = 0. Value, mean, samples and
    derivatives are accurate at every finite logit; near 0 they come from a series.

    Raises:
      ValueError: in `log_prob`, shapes that differ.

    Source: G. Loaiza-Ganem, J. P. Cunningham (2019), The Continuous Bernoulli: Fixing a Pervasive Error in Variational
    Autoencoders, section 3.

    >>> likelihood = continuous_bernoulli()
    >>> round(likelihood.log_prob(jnp.zeros(1), jnp.full(1, 2.0)).item(), 4), likelihood.mean(jnp.zeros(1)).item()
    (-1.1614, 0.5)
    """

    def log_prob(x: Array, logits: Array) -> Array:
        check_floating(x=x, logits=logits)
        check_same_shape(x=x, logits=logits)
        is_small, small, large = _small_and_large(logits)
        # log(2 sinh(l/2) / l) = Σₙ B₂ₙ/(2n)! l²ⁿ/(2n)
        terms = [coefficient / (2 * n) for n, coefficient in enumerate(_COEFFICIENTS, start=1)]
        near_zero = small * (x - 0.5) - jnp.square(small) * _polynomial(terms, jnp.square(small))
        rate = jnp.abs(large)
        from_the_likely_end = jnp.where(logits < 0, x, 1 - x)
        far = jnp.log(rate) - jnp.log1p(-jnp.exp(-rate)) - rate * from_the_likely_end
        return jnp.sum(jnp.where(is_small, near_zero, far))

    def mean(logits: Array) -> Array:
        is_small, small, large = _small_and_large(logits)
        near_zero = 0.5 + small * _polynomial(_COEFFICIENTS, jnp.square(small))
        rate = jnp.abs(large)
        from_the_likely_end = 1 / rate + jnp.exp(-rate) / jnp.expm1(-rate)
        return jnp.where(is_small, near_zero, _to_side(logits, from_the_likely_end))

    def sample(key: Array, logits: Array) -> Array:
        uniform = jax.random.uniform(key, logits.shape, logits.dtype)
        is_tiny = jnp.abs(logits) < 1e-3
        rate = jnp.where(is_tiny, jnp.ones_like(logits), jnp.abs(logits))
        near_zero = uniform + 0.5 * logits * uniform * (1 - uniform)
        from_the_likely_end = -jnp.log1p(uniform * jnp.expm1(-rate)) / rate
        return jnp.where(is_tiny, near_zero, _to_side(logits, from_the_likely_end))

    return Likelihood(log_prob, mean, sample, Support(0.0, 1.0), "continuous_bernoulli")


def beta() -> Likelihood:
    """Independent beta features: log p(x) = Σᵢ [(αᵢ - 1) log xᵢ + (βᵢ - 1) log(1 - xᵢ) - log B(αᵢ, βᵢ)].

    The parameters are (..., 2): log α and log β along the last axis. x lies strictly inside (0, 1). In float32, digits
    are lost where α or β is beyond some 10⁴.

    Raises:
      ValueError: in `log_prob`, shapes that do not fit.

    Source: N. L. Johnson, S. Kotz, N. Balakrishnan (1995), Continuous Univariate Distributions 2, chapter 25.

    >>> round(beta().log_prob(jnp.array([0.5]), jnp.log(jnp.full((1, 2), 2.0))).item(), 4)  # log 1.5
    0.4055
    """

    def log_prob(x: Array, parameters: Array) -> Array:
        log_alpha, log_beta = _unpack(x, parameters, "log α and log β")
        a, b = jnp.exp(log_alpha), jnp.exp(log_beta)
        log_normalizer = gammaln(a) + gammaln(b) - gammaln(a + b)  # betaln of JAX has some 9 digits in float64
        return jnp.sum((a - 1) * jnp.log(x) + (b - 1) * jnp.log1p(-x) - log_normalizer)

    def sample(key: Array, parameters: Array) -> Array:
        a, b = jnp.exp(parameters[..., 0]), jnp.exp(parameters[..., 1])
        limits = jnp.finfo(parameters.dtype)
        return jnp.clip(jax.random.beta(key, a, b, dtype=parameters.dtype), limits.tiny, 1 - limits.epsneg)

    return Likelihood(
        log_prob=log_prob,
        mean=lambda parameters: jax.nn.sigmoid(parameters[..., 0] - parameters[..., 1]),
        sample=sample,
        support=Support(0.0, 1.0, open=True),
        name="beta",
        parameters=trailing_axis(2),
        constrain=bounded_log,
    )


def _unpack(x: Array, parameters: Array, wanted: str) -> tuple[Array, Array]:
    check_floating(x=x, parameters=parameters)
    if parameters.shape != (*x.shape, 2):
        raise ValueError(
            f"the parameters are {wanted}, of shape {(*x.shape, 2)} for x {x.shape}; got {parameters.shape}"
        )
    return parameters[..., 0], parameters[..., 1]


def _small_and_large(logits: Array) -> tuple[Array, Array, Array]:
    # each formula sees only logits that it is right for, so that the unused one sends no NaN through the gradient
    is_small = jnp.abs(logits) < 1
    one = jnp.ones_like(logits)
    return is_small, jnp.where(is_small, logits, 0 * one), jnp.where(is_small, one, logits)


def _to_side(logits: Array, from_the_likely_end: Array) -> Array:
    return jnp.where(logits < 0, from_the_likely_end, 1 - from_the_likely_end)


def _polynomial(coefficients: list[float], x: Float[Array, "..."]) -> Float[Array, "..."]:
    result = jnp.zeros_like(x)
    for coefficient in reversed(coefficients):
        result = result * x + coefficient
    return result
