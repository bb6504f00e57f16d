"""Bits, classes and counts."""

import jax
import jax.numpy as jnp
from jax.scipy.special import gammaln
from jaxtyping import Array

from aejax.bounded import bounded_log
from aejax.checks import check_count, check_floating, check_same_shape
from aejax.likelihoods.record import Likelihood, Support, trailing_axis
from aejax.losses import binary_cross_entropy, categorical_cross_entropy


def bernoulli() -> Likelihood:
    """Independent Bernoulli features, parameterized by logits: log p(x) = -binary_cross_entropy(x, logits).

    Gray values in [0, 1] are allowed as x, as is customary; the result is then no density of x, and
    `continuous_bernoulli` is one.

    >>> likelihood = bernoulli()
    >>> round(likelihood.log_prob(jnp.ones(2), jnp.zeros(2)).item(), 4), likelihood.mean(jnp.zeros(2)).tolist()
    (-1.3863, [0.5, 0.5])
    """
    return Likelihood(
        log_prob=lambda x, logits: -binary_cross_entropy(x, logits),
        mean=jax.nn.sigmoid,
        sample=lambda key, logits: jax.random.bernoulli(key, jax.nn.sigmoid(logits)).astype(logits.dtype),
        support=Support(0.0, 1.0),
        name="bernoulli",
    )


def categorical(*, classes: int) -> Likelihood:
    """Independent features, each one of C classes: log p(x) = Σᵢ log softmax(logitsᵢ)ₓᵢ.

    The parameters are logits (..., C). x holds classes 0 to C - 1 as integers or as floats (...), or one-hot vectors
    (..., C); what is no class has the log-probability NaN. `sample` returns classes as numbers of the logits' dtype,
    `mean` that of one-hot vectors: the probabilities (..., C).

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

    def log_prob(x: Array, logits: Array) -> Array:
        check_floating(logits=logits)
        if logits.shape[-1:] != (classes,):
            raise ValueError(f"the parameters must have a last axis of {classes} classes, got {logits.shape}")
        if x.ndim == logits.ndim:
            return -categorical_cross_entropy(x.astype(logits.dtype), logits)
        is_class = (x == jnp.floor(x)) & (x >= 0) & (x < classes)
        return -categorical_cross_entropy(jnp.where(is_class, x, -jnp.ones_like(x)).astype(jnp.int32), logits)

    return Likelihood(
        log_prob=log_prob,
        mean=jax.nn.softmax,
        sample=lambda key, logits: jax.random.categorical(key, logits).astype(logits.dtype),
        support=Support(0.0, classes - 1.0, integers=True),
        name=f"categorical(classes={classes})",
        parameters=trailing_axis(classes),
    )


def poisson() -> Likelihood:
    """Independent counts, parameterized by the log of their rates: log p(x) = Σᵢ [xᵢ log λᵢ - λᵢ - log xᵢ!].

    x may be of an integer or a floating type; what is no count has the log-probability -∞. The rate must be finite: in
    float32, log-rates up to 88. There a log-probability is a difference of numbers near x log λ, and of counts beyond
    some 10⁵ its digits are lost.

    Raises:
      ValueError: in `log_prob`, shapes that differ.

    Source: N. L. Johnson, A. W. Kemp, S. Kotz (2005), Univariate Discrete Distributions, chapter 4.

    >>> round(poisson().log_prob(jnp.array([2]), jnp.zeros(1)).item(), 4)  # -1 - log 2
    -1.6931
    """

    def log_prob(x: Array, log_rate: Array) -> Array:
        check_floating(log_rate=log_rate)
        check_same_shape(x=x, log_rate=log_rate)
        x = x.astype(log_rate.dtype)
        is_count = (x == jnp.floor(x)) & (x >= 0)
        counts = jnp.where(is_count, x, 0)
        return jnp.sum(jnp.where(is_count, counts * log_rate - jnp.exp(log_rate) - gammaln(counts + 1), -jnp.inf))

    def sample(key: Array, log_rate: Array) -> Array:
        return jax.random.poisson(key, jnp.exp(log_rate.astype(jnp.float32))).astype(log_rate.dtype)

    support = Support(0.0, float("inf"), integers=True)
    return Likelihood(log_prob, jnp.exp, sample, support, "poisson", constrain=bounded_log)
