"""Contraction: the encoder is kept from following small changes of its input."""

import jax
from jaxtyping import Array, PyTree

from aejax.autoencoders.record import (
    Autoencoder,
    Batch,
    Metrics,
    as_batch,
    check_autoencoder,
    example_keys,
    mean_over_batch,
)
from aejax.checks import check_in_range, check_positive
from aejax.jacobian import contractive_penalty, higher_order_penalty
from aejax.jacobian.penalties import check_samples


def contractive(
    autoencoder: Autoencoder,
    *,
    weight: float,
    method: str = "jacfwd",
    higher_order_weight: float = 0.0,
    higher_order_standard_deviation: float = 0.1,
    higher_order_samples: int = 4,
) -> Autoencoder:
    """Adds λ E ‖J(x)‖_F², J = ∂f/∂x being the exact Jacobian of the encoder, to an autoencoder's loss.

    With a higher-order weight also γ E ‖J(x) - J(x + ε)‖_F², ε ~ N(0, σ² I), the term of CAE+H. Both are taken at what
    the encoder is given.

    Args:
      autoencoder: any; of a variational one the Jacobian of the posterior's mean is meant.
      weight: λ >= 0, times a sum over all pairs of code dimension and feature.
      method: as for `aejax.jacobian.contractive_penalty`, for both terms.
      higher_order_weight: γ >= 0; 0 leaves that term out, and draws nothing.
      higher_order_standard_deviation: σ > 0, in x's unit.
      higher_order_samples: how many ε are drawn for each example, anew at every step.

    Returns:
      The autoencoder with that loss, and the metric `contractive_penalty`, not yet weighted, besides its own; and
      `higher_order_penalty`, where it has a weight.

    Raises:
      ValueError: a negative weight, a standard deviation that is not positive, or no sample.
      TypeError: higher_order_samples is no integer.

    Source: S. Rifai et al. (2011), Contractive Auto-Encoders: Explicit Invariance During Feature Extraction, eq. 4;
    S. Rifai et al. (2011), Higher Order Contractive Auto-Encoder, the objective of CAE+H.

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
    check_in_range("higher_order_weight", higher_order_weight, 0.0)
    check_positive("higher_order_standard_deviation", higher_order_standard_deviation)
    check_samples("higher_order_samples", higher_order_samples)

    def loss(params: PyTree, key: Array, batch: Batch | Array) -> tuple[Array, Metrics]:
        batch = as_batch(batch)

        def encode(x: Array) -> Array:
            return autoencoder.encode(params, x)

        def penalty(x: Array) -> Array:
            return contractive_penalty(encode, x, method=method)

        def bending(key: Array, x: Array) -> Array:
            return higher_order_penalty(
                key,
                encode,
                x,
                standard_deviation=higher_order_standard_deviation,
                samples=higher_order_samples,
                method=method,
            )

        if higher_order_weight:  # else the autoencoder meets the noise that it meets without this wrapper
            key, bending_key = jax.random.split(key)
        total, metrics = autoencoder.loss(params, key, batch)
        penalties = {"contractive_penalty": mean_over_batch(jax.vmap(penalty)(batch.input), batch)}
        total = total + weight * penalties["contractive_penalty"]
        if higher_order_weight:
            bendings = jax.vmap(bending)(example_keys(bending_key, batch), batch.input)
            penalties["higher_order_penalty"] = mean_over_batch(bendings, batch)
            total = total + higher_order_weight * penalties["higher_order_penalty"]
        return total, {**metrics, "loss": total, **penalties}

    return autoencoder._replace(loss=loss)
