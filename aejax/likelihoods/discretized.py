"""The likelihood of gray values and colors that are stored as whole levels, such as bytes.

Half precision is computed, drawn and summed in float32, and the result is rounded to the dtype of the parameters.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array

from aejax.checks import check_count, check_floating
from aejax.likelihoods.bounded import bounded_log
from aejax.likelihoods.record import Likelihood, Support, check_trailing_axis, trailing_axis
from aejax.precision import common_dtype, widened

_LOWEST_LOG_SCALE = -9.0  # of 256 levels, then the nearest one has all the probability up to 1e-7
_EXPECTED = "numbers, a location and a log-scale"


def discretized_logistic(*, levels: int = 256) -> Likelihood:
    """Returns independent features of n + 1 levels 0, 1/n, ..., 1: a logistic variable, rounded to the nearest level.

        p(x) = σ((x + ½/n - μ)/s) - σ((x - ½/n - μ)/s); of 0 without the second term, of 1 with 1 as the first

    It is a probability, not a density: it sums to 1 over all levels, so that -log₂ p(x) / D is a number of bits per
    dimension. The difference is computed as σ(a) σ(-b) (1 - exp(b - a)), which does not cancel. The parameters are
    (..., 2): μ and log s along the last axis, in the unit of x. `mean` is the mean of the rounded variable, a sum over
    all levels, which lies in [0, 1]; samples are levels.

    Args:
      levels: n + 1 >= 2, the number of levels; 256 for bytes that are divided by 255.

    Raises:
      ValueError: levels is below 2; in `log_prob`, the shapes do not match; elsewhere, the parameters' last axis does
        not have length 2.
      TypeError: levels is not an integer.

    Source: D. P. Kingma et al. (2016), Improving Variational Inference with Inverse Autoregressive Flow, section 6.2;
    T. Salimans, A. Karpathy, X. Chen, D. P. Kingma (2017), PixelCNN++, section 2.1.

    >>> likelihood = discretized_logistic(levels=2)
    >>> round(likelihood.log_prob(jnp.ones(2), jnp.full((2, 2), 0.5)).item(), 4)  # -2 log 2
    -1.3863
    """
    check_count("levels", levels, 2)
    last = levels - 1

    def log_prob(x: Array, parameters: Array) -> Array:
        check_floating(x=x)
        location, scale = _pair(parameters)
        if x.shape != location.shape:
            raise ValueError(
                f"the parameters of examples of shape {x.shape} must have shape {(*x.shape, 2)}, got {parameters.shape}"
            )
        value = widened(x)
        above, below = ((value + half - location) / scale for half in (0.5 / last, -0.5 / last))
        up_to, from_there = jax.nn.log_sigmoid(above), jax.nn.log_sigmoid(-below)
        width = jnp.log(-jnp.expm1(-1 / (last * scale)))
        at_ends = jnp.where(value < 0.5 / last, up_to, from_there)
        is_end = (value < 0.5 / last) | (value > 1 - 0.5 / last)
        return jnp.sum(jnp.where(is_end, at_ends, up_to + from_there + width)).astype(common_dtype(x, parameters))

    def mean(parameters: Array) -> Array:
        location, scale = _pair(parameters)
        edges = ((jnp.arange(last, dtype=location.dtype) + 0.5) / last).reshape((1,) * location.ndim + (last,))
        exceeded = jax.nn.sigmoid((location[..., None] - edges) / scale[..., None])  # E[x] = Σₖ P(x >= k/n) / n
        return (jnp.sum(exceeded, axis=-1) / last).astype(parameters.dtype)

    def sample(key: Array, parameters: Array) -> Array:
        location, scale = _pair(parameters)
        drawn = location + scale * jax.random.logistic(key, location.shape, location.dtype)
        return (jnp.round(jnp.clip(drawn, 0, 1) * last) / last).astype(parameters.dtype)

    return Likelihood(
        log_prob=log_prob,
        mean=mean,
        sample=sample,
        support=Support(0.0, 1.0, levels=levels),
        name="discretized_logistic",
        parameters=trailing_axis(2),
        constrain=lambda output: jnp.stack(
            [output[..., 0], bounded_log(output[..., 1], low=_LOWEST_LOG_SCALE)], axis=-1
        ),
    )


def _pair(parameters: Array) -> tuple[Array, Array]:
    """Returns location and scale, at least in single precision."""
    check_floating(parameters=parameters)
    check_trailing_axis(parameters, 2, _EXPECTED)
    location, log_scale = widened(parameters[..., 0]), widened(parameters[..., 1])
    return location, jnp.exp(log_scale)
