"""A decoder with one learned variance for all features of all examples."""

import jax.numpy as jnp
from jaxtyping import Array, PyTree

from aejax.checks import check_in_range, check_positive
from aejax.networks.network import Network, SupportsInitApply, initialize

_LARGEST = 85.0  # the variance and its inverse are normal numbers in float32


def with_global_log_variance(decoder: SupportsInitApply, *, initial: float = 0.0, gain: float = 1.0) -> Network:
    """A decoder of means as one of (mean, log σ²), where log σ² is one learned scalar.

    Args:
      decoder: from one code to the mean of x, any shape.
      initial: log σ² before training; best that of the training data about their mean, from which it has less to fall.
      gain: above 0; log σ² is so many times the parameter. Adam moves a parameter by about its learning rate at a step,
        whatever the gradient, so with a gain of 10 log σ² moves ten times as fast as a weight.

    Returns:
      A network whose output (..., 2) is what `aejax.likelihoods.gaussian_with_predicted_variance` takes; its parameters
      are those of the decoder, under `decoder`, and `log_variance`.

    Source: O. Rybkin, K. Daniilidis, S. Levine (2021), Simple and Effective VAE Training with Calibrated Decoders.

    >>> import jax
    >>> from aejax.networks import MLP
    >>> network = with_global_log_variance(MLP(output_shape=(5,)))
    >>> params = network.init(jax.random.key(0), jnp.ones(2))
    >>> network.apply(params, jnp.ones(2)).shape, params["log_variance"].item()
    ((5, 2), 0.0)
    """
    check_in_range("initial", initial, -_LARGEST, _LARGEST)
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
