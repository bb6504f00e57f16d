"""Likelihoods of bits, classes and counts.

Half precision is computed, drawn and summed in float32, and the result is rounded to the dtype of the parameters.
"""

import jax
import jax.numpy as jnp
from jax.scipy.special import gammaln
from jaxtyping import Array

from aejax.checks import check_array, check_count, check_floating, check_same_shape
from aejax.keys import named_key
from aejax.likelihoods.bounded import bounded_log
from aejax.likelihoods.record import Likelihood, Support, check_trailing_axis, trailing_axis
from aejax.losses import binary_cross_entropy, categorical_cross_entropy
from aejax.precision import widened

_LARGE_RATE = 1e5  # above it JAX's rejection sampler loses digits, and from 2e9 on its 32-bit integers overflow


def bernoulli() -> Likelihood:
    """Returns independent Bernoulli features: log p(x) = Σᵢ [xᵢ log pᵢ + (1 - xᵢ) log(1 - pᵢ)], p = σ(logits).

    The parameters are the logits, of the shape of x. Gray values in [0, 1] are accepted as x, as is common practice;
    the result is then not a density of x, for which `continuous_bernoulli` can be used.

    Raises:
      ValueError: in `log_prob`, the shapes differ.

    >>> likelihood = bernoulli()
    >>> round(likelihood.log_prob(jnp.ones(2), jnp.zeros(2)).item(), 4), likelihood.mean(jnp.zeros(2)).tolist()
    (-1.3863, [0.5, 0.5])
    """

    def mean(logits: Array) -> Array:
        check_floating(logits=logits)
        return jax.nn.sigmoid(logits)

    def sample(key: Array, logits: Array) -> Array:
        check_floating(logits=logits)
        return jax.random.bernoulli(key, jax.nn.sigmoid(widened(logits))).astype(logits.dtype)

    return Likelihood(
        log_prob=lambda x, logits: -binary_cross_entropy(x, logits),
        mean=mean,
        sample=sample,
        support=Support(0.0, 1.0),
        name="bernoulli",
    )


def categorical(*, classes: int) -> Likelihood:
    """Returns independent features, each one of C classes: log p(x) = Σᵢ log softmax(logitsᵢ)ₓᵢ.

    The parameters are logits (..., C). x holds classes 0 to C - 1 as integers or floats (...), or one-hot vectors
    (..., C); the log-probability is NaN if a number is not a class. `sample` returns classes (...) in the logits'
    dtype, or in float32 where that dtype cannot represent all classes (more than 256 in bfloat16, more than 2048 in
    float16; then pass x as integers or float32 too). `mean` returns the probabilities (..., C), the mean of one-hot
    vectors.

    Args:
      classes: C >= 2.

    Raises:
      ValueError: classes is below 2; in `log_prob`, the shapes do not match.
      TypeError: classes is not an integer.

    Source: C. M. Bishop (2006), Pattern Recognition and Machine Learning, eq. 4.104 and 4.108.

    >>> likelihood = categorical(classes=4)
    >>> round(likelihood.log_prob(jnp.array([3.0, 0.0]), jnp.zeros((2, 4))).item(), 4)  # -2 log 4
    -2.7726
    """
    check_count("classes", classes, 2)

    def check_logits(logits: Array) -> None:
        check_floating(logits=logits)
        check_trailing_axis(logits, classes, "classes")

    def log_prob(x: Array, logits: Array) -> Array:
        check_array(x=x)
        check_logits(logits)
        if jnp.ndim(x) == logits.ndim:
            return -categorical_cross_entropy(x.astype(logits.dtype), logits)
        if jnp.issubdtype(x.dtype, jnp.floating):
            number = widened(x)
            is_class = (number == jnp.floor(number)) & (number >= 0) & (number < classes)
            x = jnp.where(is_class, number, -1).astype(jnp.int32)
        elif x.dtype == jnp.bool_:
            x = x.astype(jnp.int32)
        return -categorical_cross_entropy(x, logits)

    def mean(logits: Array) -> Array:
        check_logits(logits)
        return jax.nn.softmax(widened(logits)).astype(logits.dtype)

    def sample(key: Array, logits: Array) -> Array:
        check_logits(logits)
        holds_all = classes <= 2 ** (jnp.finfo(logits.dtype).nmant + 1)
        dtype = logits.dtype if holds_all else jnp.float32
        return jax.random.categorical(key, widened(logits)).astype(dtype)

    return Likelihood(
        log_prob=log_prob,
        mean=mean,
        sample=sample,
        support=Support(0.0, classes - 1.0, integers=True),
        name=f"categorical(classes={classes})",
        parameters=trailing_axis(classes),
    )


def poisson() -> Likelihood:
    """Returns independent Poisson counts: log p(x) = Σᵢ [xᵢ log λᵢ - λᵢ - log xᵢ!].

    The parameters are the log-rates log λ, of the shape of x. x may be of an integer or a floating type; the
    log-probability is -∞ if a number is not a count. Rates must be finite: in float32, log-rates up to 88. The
    log-probability is a difference of numbers of size x log λ, so its digits are lost for counts above about 10⁵.
    Samples at rates above 10⁵ are drawn from the normal approximation with corrected skewness; from log-rates of about
    32 on, where the standard deviation is below the spacing of float32, they vary by one spacing. Samples are whole
    numbers that the dtype represents: bfloat16 and float16 are exact only up to 256 and 2048, and above 65,504, a
    log-rate of 11, float16 means and samples are infinite.

    Raises:
      ValueError: in `log_prob`, the shapes differ.

    Source: N. L. Johnson, A. W. Kemp, S. Kotz (2005), Univariate Discrete Distributions, chapter 4.

    >>> round(poisson().log_prob(jnp.array([2]), jnp.zeros(1)).item(), 4)  # -1 - log 2
    -1.6931
    """

    def log_prob(x: Array, log_rate: Array) -> Array:
        check_array(x=x)
        check_floating(log_rate=log_rate)
        check_same_shape(x=x, log_rate=log_rate)
        dtype, log_rate = log_rate.dtype, widened(log_rate)
        x = x.astype(log_rate.dtype)
        is_count = (x == jnp.floor(x)) & (x >= 0) & jnp.isfinite(x)
        counts = jnp.where(is_count, x, 0)
        # 0 log 0 counts as 0 where both the count and the rate are 0
        by_rate = counts * jnp.where(counts == 0, 0, log_rate) - jnp.exp(log_rate)
        return jnp.sum(jnp.where(is_count, by_rate - gammaln(counts + 1), -jnp.inf)).astype(dtype)

    def mean(log_rate: Array) -> Array:
        check_floating(log_rate=log_rate)
        return jnp.exp(log_rate)

    def sample(key: Array, log_rate: Array) -> Array:
        check_floating(log_rate=log_rate)
        rate = jnp.exp(log_rate.astype(jnp.float32))
        is_large = rate > _LARGE_RATE
        small = jax.random.poisson(key, jnp.where(is_large, 0, rate)).astype(jnp.float32)
        noise = jax.random.normal(named_key(key, "large counts"), rate.shape, rate.dtype)
        step = jnp.nextafter(rate, jnp.full_like(rate, jnp.inf)) - rate
        deviation = jnp.hypot(jnp.sqrt(rate), jnp.where(jnp.isfinite(step), step, 0))
        large = jnp.round(rate + deviation * noise + (jnp.square(noise) - 1) / 6)
        return jnp.where(is_large, large, small).astype(log_rate.dtype)

    support = Support(0.0, float("inf"), integers=True)
    return Likelihood(log_prob, mean, sample, support, "poisson", constrain=bounded_log)
