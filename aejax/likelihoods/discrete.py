"""Bits, classes and counts.

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

_LARGE_RATE = 1e5  # beyond, JAX's rejection sampler loses its digits, and 32-bit integers overflow from 2e9 on


def bernoulli() -> Likelihood:
    """Independent Bernoulli features, parameterized by logits: log p(x) = -binary_cross_entropy(x, logits).

    Gray values in [0, 1] are allowed as x, as is customary; the result is then no density of x, and
    `continuous_bernoulli` is one.

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
    """Independent features, each one of C classes: log p(x) = Σᵢ log softmax(logitsᵢ)ₓᵢ.

    The parameters are logits (..., C). x holds classes 0 to C - 1 as integers or as floats (...), or one-hot vectors
    (..., C); what is no class has the log-probability NaN. `sample` returns classes as numbers of the logits' dtype, or
    of float32 where that dtype does not hold all of them (bfloat16 more than 256, float16 more than 2048; give x of so
    many classes as integers or float32 too); `mean` that of one-hot vectors: the probabilities (..., C).

    Args:
      classes: C >= 2.

    Raises:
      ValueError: fewer than two classes; in `log_prob`, shapes that do not fit.

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
    """Independent counts, parameterized by the log of their rates: log p(x) = Σᵢ [xᵢ log λᵢ - λᵢ - log xᵢ!].

    x may be of an integer or a floating type; what is no count has the log-probability -∞. The rate must be finite: in
    float32, log-rates up to 88. There a log-probability is a difference of numbers near x log λ, and of counts beyond
    some 10⁵ its digits are lost. Samples at rates beyond 10⁵ are drawn from the normal approximation, its skewness
    corrected; from log-rates of some 32 on, where the deviation is below one step of float32, they scatter by one step.
    They are whole numbers that the dtype holds: of bfloat16 and float16 only those up to 256 and 2048 are exact, and
    float16 ends at 65,504, a log-rate of 11, above which mean and samples are infinite.

    Raises:
      ValueError: in `log_prob`, shapes that differ.

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
        # of no counts 0 log 0 is 0, where the rate is 0
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
