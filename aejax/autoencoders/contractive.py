"""Contraction: the encoder is kept from following small changes of its input."""

import jax
from jaxtyping import Array, PyTree

from aejax.autoencoders.record import (
    Autoencoder,
    Batch,
    Metrics,
    as_batch,
    check_autoencoder,
    mean_over_batch,
)
from aejax.checks import check_in_range
from aejax.jacobian import contractive_penalty


def contractive(autoencoder: Autoencoder, *, weight: float, method: str = "jacfwd") -> Autoencoder:
    """Adds λ E ‖∂f(x)/∂x‖_F², the exact Jacobian of the encoder at what it is given, to an autoencoder's loss.

    Args:
      autoencoder: any; of a variational one the Jacobian of the posterior's mean is meant.
      weight: λ >= 0, times a sum over all pairs of code dimension and feature.
      method: as for `aejax.jacobian.contractive_penalty`.

    Returns:
      The autoencoder with that loss, and the metric `contractive_penalty`, not yet weighted, besides its own.

    Raises:
      ValueError: a negative weight.

    Source: S. Rifai et al. (2011), Contractive Auto-Encoders: Explicit Invariance During Feature Extraction, eq. 4.

    >>> import jax.numpy as jnp
    >>> from aejax.autoencoders import undercomplete
    >>> from aejax.networks import MLP
    >>> autoencoder = contractive(undercomplete(MLP(output_shape=(2,)), MLP(output_shape=(5,))), weight=0.1)
    >>> params = autoencoder.init(jax.random.key(0), jnp.ones(5))
    >>> loss, metrics = autoencoder.loss(params, jax.random.key(1), jnp.ones((8, 5)))
    >>> sorted(metrics)
    ['contractive_penalty', 'loss', 'reconstruction']
    """
    check_autoencoder(autoencoder, "contractive")
    check_in_range("weight", weight, 0.0)

    def loss(params: PyTree, key: Array, batch: Batch | Array) -> tuple[Array, Metrics]:
        batch = as_batch(batch)

        def penalty(x: Array) -> Array:
            return contractive_penalty(lambda observed: autoencoder.encode(params, observed), x, method=method)

        base, metrics = autoencoder.loss(params, key, batch)
        mean_penalty = mean_over_batch(jax.vmap(penalty)(batch.input), batch)
        total = base + weight * mean_penalty
        return total, {**metrics, "loss": total, "contractive_penalty": mean_penalty}

    return autoencoder._replace(loss=loss)
