"""Decoders with one learned variance for all features of all examples."""

import jax.numpy as jnp
from jaxtyping import Array, PyTree

from aejax.checks import check_in_range, check_positive
from aejax.networks.network import Network, SupportsInitApply, initialize

_MAX_LOG_VARIANCE = 85.0  # up to it, the variance and its inverse are normal numbers in float32


def with_global_log_variance(decoder: SupportsInitApply, *, initial: float = 0.0, gain: float = 1.0) -> Network:
    """Returns a decoder of (mean, log σ²), from a decoder of means and one learned scalar log σ².

    Args:
      decoder: maps one code to the mean of x, of any shape.
      initial: log σ² before training; a good value is the log-variance of the training data.
      gain: log σ² is gain times the parameter, gain > 0. A step of Adam changes a parameter by about the learning rate,
        whatever the gradient, so with a gain of 10 log σ² changes ten times as fast as a weight.

    Returns:
      A network whose output (..., 2) is what `aejax.likelihoods.gaussian_with_predicted_variance` expects; its
      parameters are those of the decoder, under `decoder`, and `log_variance`.

    Raises:
      ValueError: initial is outside [-85, 85], or gain is not positive.

    Source: O. Rybkin, K. Daniilidis, S. Levine (2021), Simple and Effective VAE Training with Calibrated Decoders.

    >>> import jax
    >>> from aejax.networks import MLP
    >>> network = with_global_log_variance(MLP(output_shape=(5,)))
    >>> params = network.init(jax.random.key(0), jnp.ones(2))
    >>> network.apply(params, jnp.ones(2)).shape, params["log_variance"].item()
    ((5, 2), 0.0)
    """
    check_in_range("initial", initial, -_MAX_LOG_VARIANCE, _MAX_LOG_VARIANCE)
    check_positive("gain", gain)

    def init(key: Array, code: Array, *condition: Array) -> PyTree:
        return {
            "decoder": initialize(decoder, key, code, *condition),
            "log_variance": jnp.full((), initial / gain, code.dtype),
        }

    def apply(params: PyTree, code: Array, *condition: Array) -> Array:
        mean = decoder.apply(params["decoder"], code, *condition)
        log_variance = float(gain) * params["log_variance"]
        return jnp.stack([mean, jnp.broadcast_to(log_variance, mean.shape)], axis=-1)

    return Network(init, apply)
