"""Likelihoods of real numbers: Gaussian and Laplace; for values in [0, 1] continuous Bernoulli and beta.

Half precision is computed, drawn and summed in float32, and the result is rounded to the dtype of the parameters.
"""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.scipy.special import gammaln, xlog1py, xlogy
from jax.typing import DTypeLike
from jaxtyping import Array

from aejax.checks import check_floating, check_positive, check_same_shape
from aejax.likelihoods.bounded import bounded_log
from aejax.likelihoods.record import Likelihood, Support, check_trailing_axis, trailing_axis
from aejax.losses import absolute_error
from aejax.precision import at_least_single, common_dtype, knob, polynomial, widened
from aejax.sampling import gaussian_log_densities

# the Bernoulli numbers B₂, B₄, ..., B₂₂: for |l| < 1 the remainder of the series is below double precision
_BERNOULLI_NUMBERS = [1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6]
_BERNOULLI_NUMBERS += [-3617 / 510, 43867 / 798, -174611 / 330, 854513 / 138]
_COEFFICIENTS = [number / math.factorial(2 * n) for n, number in enumerate(_BERNOULLI_NUMBERS, start=1)]


def gaussian(*, variance: float = 1.0) -> Likelihood:
    """Returns independent Gaussian features with one fixed variance: log p(x) = -‖x - μ‖²/(2σ²) - D/2 log(2πσ²).

    The parameters are μ, of the shape of x.

    Args:
      variance: σ² > 0, the same for every feature, in the square of x's unit.

    Raises:
      ValueError: variance is not positive and finite; in `log_prob`, the shapes differ.

    >>> round(gaussian().log_prob(jnp.zeros(2), jnp.zeros(2)).item(), 4)  # -log(2π)
    -1.8379
    """
    check_positive("variance", variance)
    deviation, log_normalizer = math.sqrt(variance), 0.5 * (math.log(2 * math.pi) + math.log(variance))

    def log_prob(x: Array, mean: Array) -> Array:
        check_floating(x=x, mean=mean)
        check_same_shape(x=x, mean=mean)
        difference, reciprocal = widened(x) - widened(mean), _reciprocal(deviation, mean.dtype)
        limit = 0.5 * math.sqrt(float(jnp.finfo(reciprocal.dtype).max))
        if deviation * limit < 1:  # XLA computes the gradient with 1/σ², which must be finite where the error is 0
            reciprocal = jnp.where(difference == 0, knob(limit, reciprocal.dtype), reciprocal)
        log_prob = -0.5 * jnp.sum(jnp.square(difference * reciprocal)) - mean.size * log_normalizer
        return log_prob.astype(common_dtype(x, mean))

    return Likelihood(
        log_prob=log_prob,
        mean=_location,
        sample=lambda key, mean: _shifted(mean, deviation, jax.random.normal, key),
        support=Support(-math.inf, math.inf),
        name="gaussian",
    )


def gaussian_with_predicted_variance() -> Likelihood:
    """Returns independent Gaussian features with predicted variances: -½ Σᵢ [(xᵢ - μᵢ)²/σᵢ² + log σᵢ² + log 2π].

    The parameters are (..., 2): μ and log σ² along the last axis. To learn one variance for all examples and features,
    use the decoder `aejax.networks.with_global_log_variance(decoder)`. Where (x - μ)²/σ² is beyond the dtype's range,
    the log-density is -∞ with a gradient of 0; it is never NaN. Samples need a finite σ: in float32, a log-variance
    below 177.

    Raises:
      ValueError: in `log_prob`, the shapes do not match; elsewhere, the parameters' last axis does not have length 2.

    Source: D. P. Kingma, M. Welling (2014), Auto-Encoding Variational Bayes, appendix C.2.

    >>> parameters = jnp.array([[0.0, 0.0], [1.0, 0.0]])
    >>> round(gaussian_with_predicted_variance().log_prob(jnp.array([0.0, 1.0]), parameters).item(), 4)  # -log(2π)
    -1.8379
    """

    def log_prob(x: Array, parameters: Array) -> Array:
        mean, log_variance = _unpack(x, parameters, "a mean and a log-variance")
        log_densities = gaussian_log_densities(widened(x) - mean, log_variance)
        return jnp.sum(log_densities).astype(common_dtype(x, parameters))

    def mean(parameters: Array) -> Array:
        return _pair(parameters, "a mean and a log-variance")[0].astype(parameters.dtype)

    def sample(key: Array, parameters: Array) -> Array:
        mean, log_variance = _pair(parameters, "a mean and a log-variance")
        noise = jax.random.normal(key, mean.shape, mean.dtype)
        return (mean + jnp.exp(0.5 * log_variance) * noise).astype(parameters.dtype)

    return Likelihood(
        log_prob=log_prob,
        mean=mean,
        sample=sample,
        support=Support(-math.inf, math.inf),
        name="gaussian_with_predicted_variance",
        parameters=trailing_axis(2),
        constrain=lambda output: jnp.stack([output[..., 0], bounded_log(output[..., 1])], axis=-1),
    )


def laplace(*, scale: float = 1.0) -> Likelihood:
    """Returns independent Laplace features with one fixed scale: log p(x) = -‖x - μ‖₁/b - D log(2b).

    The parameters are μ, of the shape of x. Outliers weigh less than under a Gaussian.

    Args:
      scale: b > 0, the same for every feature, in x's unit; the standard deviation is √2 b.

    Raises:
      ValueError: scale is not positive and finite; in `log_prob`, the shapes differ.

    Source: P. S. Laplace (1774), Mémoire sur la probabilité des causes par les évènements.

    >>> round(laplace().log_prob(jnp.ones(1), jnp.zeros(1)).item(), 4)  # -1 - log 2
    -1.6931
    """
    check_positive("scale", scale)
    scale = float(scale)
    log_normalizer = math.log(2) + math.log(scale)

    def log_prob(x: Array, location: Array) -> Array:
        check_floating(x=x, location=location)
        error = absolute_error(widened(x), widened(location))
        log_prob = -error * _reciprocal(scale, location.dtype) - location.size * log_normalizer
        return log_prob.astype(common_dtype(x, location))

    return Likelihood(
        log_prob=log_prob,
        mean=_location,
        sample=lambda key, location: _shifted(location, scale, jax.random.laplace, key),
        support=Support(-math.inf, math.inf),
        name="laplace",
    )


def continuous_bernoulli() -> Likelihood:
    """Returns independent features in [0, 1] with p(x) = C(λ) λˣ (1 - λ)¹⁻ˣ, λ = σ(l).

    The parameters are the logits l, of the shape of x. In terms of the logit, p(x) = l eˡˣ / (eˡ - 1) and
    C = l / tanh(l/2), which is 2 at l = 0. Value, mean, samples and derivatives are accurate at every finite logit;
    near 0 they are computed from a series.

    Raises:
      ValueError: in `log_prob`, the shapes differ.

    Source: G. Loaiza-Ganem, J. P. Cunningham (2019), The Continuous Bernoulli: Fixing a Pervasive Error in Variational
    Autoencoders, section 3.

    >>> likelihood = continuous_bernoulli()
    >>> round(likelihood.log_prob(jnp.zeros(1), jnp.full(1, 2.0)).item(), 4), likelihood.mean(jnp.zeros(1)).item()
    (-1.1614, 0.5)
    """

    def log_prob(x: Array, logits: Array) -> Array:
        check_floating(x=x, logits=logits)
        check_same_shape(x=x, logits=logits)
        dtype, x, logits = common_dtype(x, logits), widened(x), widened(logits)
        is_small, small, large = _small_and_large(logits)
        # log(2 sinh(l/2) / l) = Σₙ B₂ₙ/(2n)! l²ⁿ/(2n)
        terms = [coefficient / (2 * n) for n, coefficient in enumerate(_COEFFICIENTS, start=1)]
        near_zero = small * (x - 0.5) - jnp.square(small) * polynomial(terms, jnp.square(small))
        rate = jnp.abs(large)
        distance = jnp.where(logits < 0, x, 1 - x)  # of x from the likely end
        far = jnp.log(rate) - jnp.log1p(-jnp.exp(-rate)) - rate * distance
        return jnp.sum(jnp.where(is_small, near_zero, far)).astype(dtype)

    def mean(logits: Array) -> Array:
        check_floating(logits=logits)
        dtype, logits = logits.dtype, widened(logits)
        is_small, small, large = _small_and_large(logits)
        near_zero = 0.5 + small * polynomial(_COEFFICIENTS, jnp.square(small))
        rate = jnp.abs(large)
        distance = 1 / rate + jnp.exp(-rate) / jnp.expm1(-rate)
        return jnp.where(is_small, near_zero, _from_likely_end(logits, distance)).astype(dtype)

    def sample(key: Array, logits: Array) -> Array:
        check_floating(logits=logits)
        dtype, logits = logits.dtype, widened(logits)
        uniform = jax.random.uniform(key, logits.shape, logits.dtype)
        is_tiny = jnp.abs(logits) < 1e-3
        rate = jnp.where(is_tiny, jnp.ones_like(logits), jnp.abs(logits))
        near_zero = uniform + 0.5 * logits * uniform * (1 - uniform)
        distance = -jnp.log1p(uniform * jnp.expm1(-rate)) / rate
        return jnp.where(is_tiny, near_zero, _from_likely_end(logits, distance)).astype(dtype)

    return Likelihood(log_prob, mean, sample, Support(0.0, 1.0), "continuous_bernoulli")


def beta() -> Likelihood:
    """Returns independent beta features: log p(x) = Σᵢ [(αᵢ - 1) log xᵢ + (βᵢ - 1) log(1 - xᵢ) - log B(αᵢ, βᵢ)].

    The parameters are (..., 2): log α and log β along the last axis. x must lie strictly inside (0, 1): at 0 and 1 the
    log-density and its gradient may be infinite. In float32, digits are lost where α or β is above about 10⁴, and log α
    and log β must be below 88.

    Raises:
      ValueError: in `log_prob`, the shapes do not match; elsewhere, the parameters' last axis does not have length 2.

    Source: N. L. Johnson, S. Kotz, N. Balakrishnan (1995), Continuous Univariate Distributions 2, chapter 25.

    >>> round(beta().log_prob(jnp.array([0.5]), jnp.log(jnp.full((1, 2), 2.0))).item(), 4)  # log 1.5
    0.4055
    """

    def log_prob(x: Array, parameters: Array) -> Array:
        log_alpha, log_beta = _unpack(x, parameters, "log α and log β")
        dtype, x = common_dtype(x, parameters), widened(x)
        a, b = jnp.exp(log_alpha), jnp.exp(log_beta)
        # JAX's betaln has about 9 digits in float64; log Γ(a) = log Γ(a + 1) - log a is finite where a underflows to 0
        log_gamma_a = gammaln(a + 1) - log_alpha
        log_gamma_b = gammaln(b + 1) - log_beta
        log_gamma_sum = gammaln(a + b + 1) - jnp.logaddexp(log_alpha, log_beta)
        log_normalizer = log_gamma_a + log_gamma_b - log_gamma_sum
        return jnp.sum(xlogy(a - 1, x) + xlog1py(b - 1, -x) - log_normalizer).astype(dtype)

    def mean(parameters: Array) -> Array:
        log_alpha, log_beta = _pair(parameters, "log α and log β")
        return jax.nn.sigmoid(log_alpha - log_beta).astype(parameters.dtype)

    def sample(key: Array, parameters: Array) -> Array:
        log_alpha, log_beta = _pair(parameters, "log α and log β")
        limits = jnp.finfo(parameters.dtype)
        drawn = jax.random.beta(key, jnp.exp(log_alpha), jnp.exp(log_beta), dtype=log_alpha.dtype)
        return jnp.clip(drawn.astype(parameters.dtype), limits.tiny, 1 - limits.epsneg)

    return Likelihood(
        log_prob=log_prob,
        mean=mean,
        sample=sample,
        support=Support(0.0, 1.0, open=True),
        name="beta",
        parameters=trailing_axis(2),
        constrain=bounded_log,
    )


def _unpack(x: Array, parameters: Array, expected: str) -> tuple[Array, Array]:
    """Returns the two parameters of every feature of x, in the dtype to compute in."""
    check_floating(x=x, parameters=parameters)
    if parameters.shape != (*x.shape, 2):
        raise ValueError(
            f"the parameters must be {expected}, of shape {(*x.shape, 2)} for x {x.shape}; got {parameters.shape}"
        )
    return _pair(parameters, expected)


def _pair(parameters: Array, expected: str) -> tuple[Array, Array]:
    check_floating(parameters=parameters)
    check_trailing_axis(parameters, 2, f"numbers, {expected}")
    parameters = widened(parameters)
    return parameters[..., 0], parameters[..., 1]


def _location(location: Array) -> Array:
    check_floating(location=location)
    return location


def _shifted(location: Array, scale: float, draw: Callable[..., Array], key: Array) -> Array:
    """Returns a location plus scaled standard noise that `draw` samples."""
    check_floating(location=location)
    dtype = at_least_single(location.dtype)
    noise = draw(key, location.shape, dtype)
    return (location.astype(dtype) + knob(scale, dtype) * noise).astype(location.dtype)


def _reciprocal(scale: float, dtype: DTypeLike) -> Array:
    """Returns 1 / scale, finite for any positive scale, so that an error of 0 times it is 0."""
    return knob(1 / scale if scale > 1e-300 else 1e300, at_least_single(dtype))


def _small_and_large(logits: Array) -> tuple[Array, Array, Array]:
    # each formula receives only logits for which it is valid, so that the unused one has no NaN in its gradient
    is_small = jnp.abs(logits) < 1
    one = jnp.ones_like(logits)
    return is_small, jnp.where(is_small, logits, 0 * one), jnp.where(is_small, one, logits)


def _from_likely_end(logits: Array, distance: Array) -> Array:
    """Returns `distance` where the logit is negative, so that 0 is the likely end, and 1 - `distance` elsewhere."""
    return jnp.where(logits < 0, distance, 1 - distance)
