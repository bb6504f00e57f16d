"""A decoder with one learned variance for all features of all examples."""

import jax.numpy as jnp
from jaxtyping import Array, PyTree

from aejax.networks.network import Network, SupportsInitApply, initialize


def with_global_log_variance(decoder: SupportsInitApply, *, initial: float = 0.0) -> Network:
    """A decoder of means as one of (mean, log σ²), where log σ² is one learned scalar.

    Args:
      decoder: from one code to the mean of x, any shape.
      initial: log σ² before training.

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

    def init(key: Array, code: Array, *condition: Array) -> PyTree:
        return {
            "decoder": initialize(decoder, key, code, *condition),
            "log_variance": jnp.full((), initial, code.dtype),
        }

    def apply(params: PyTree, code: Array, *condition: Array) -> Array:
        mean = decoder.apply(params["decoder"], code, *condition)
        return jnp.stack([mean, jnp.broadcast_to(params["log_variance"], mean.shape)], axis=-1)

    return Network(init, apply)
