"""Contraction: the encoder is kept from following small changes of its input."""

from collections.abc import Callable

import jax
from jax.typing import ArrayLike
from jaxtyping import Array, PyTree

from aejax.autoencoders.composition import check_composition
from aejax.autoencoders.record import (
    Autoencoder,
    BatchLike,
    Metrics,
    example_keys,
    masked_batch,
    mean_over_batch,
    observations,
    weighted,
)
from aejax.checks import check_count, check_in_range, check_positive
from aejax.jacobian import contractive_penalty, estimate_frobenius_norm_squared, higher_order_penalty
from aejax.jacobian.estimators import check_estimator
from aejax.jacobian.penalties import METHODS


def contractive(
    autoencoder: Autoencoder,
    *,
    weight: ArrayLike,
    method: str = "jacfwd",
    chunk_size: int | None = None,
    higher_order_weight: float = 0.0,
    higher_order_standard_deviation: float = 0.1,
    higher_order_samples: int = 4,
) -> Autoencoder:
    """Adds λ E ‖J(x)‖_F², J = ∂f/∂x being the exact Jacobian of the encoder, to an autoencoder's loss.

    With a higher-order weight also γ E ‖J(x) - J(x + ε)‖_F², ε ~ N(0, σ² I), the term of CAE+H. Both are taken at what
    this autoencoder is given: at corrupted examples in `denoising(contractive(...))`, at clean ones in
    `contractive(denoising(...))`.

    Args:
      autoencoder: any; of a variational one the Jacobian of the posterior's mean is meant.
      weight: λ >= 0, times a sum over all pairs of code dimension and feature.
      method: as for `aejax.jacobian.contractive_penalty`, for both terms.
      chunk_size: as there, for the first term.
      higher_order_weight: γ >= 0; 0 leaves that term out, and draws nothing.
      higher_order_standard_deviation: σ > 0, in x's unit.
      higher_order_samples: how many ε are drawn for each example, anew at every step.

    Returns:
      The autoencoder with that loss, and the metric `contractive_penalty`, not yet weighted, besides its own; and
      `higher_order_penalty`, where it has a weight.

    Raises:
      ValueError: a negative weight, a standard deviation that is not positive, or no sample.
      TypeError: higher_order_samples is no integer.

    Source: S. Rifai et al. (2011), Contractive Auto-Encoders: Explicit Invariance During Feature Extraction;
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
    check_composition(autoencoder, "contractive")
    check_in_range("weight", weight, 0.0)
    check_in_range("higher_order_weight", higher_order_weight, 0.0)
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}, got {method!r}")
    check_positive("higher_order_standard_deviation", higher_order_standard_deviation)
    check_count("higher_order_samples", higher_order_samples)

    def loss(params: PyTree, key: Array, batch: BatchLike) -> tuple[Array, Metrics]:
        batch = masked_batch(batch)

        def encode_given(*condition: Array) -> Callable[[Array], Array]:
            return lambda x: autoencoder.encode(params, x, *condition)

        def penalty(x: Array, *condition: Array) -> Array:
            return contractive_penalty(encode_given(*condition), x, method=method, chunk_size=chunk_size)

        def bending(key: Array, x: Array, *condition: Array) -> Array:
            return higher_order_penalty(
                key,
                encode_given(*condition),
                x,
                standard_deviation=higher_order_standard_deviation,
                samples=higher_order_samples,
                method=method,
            )

        if higher_order_weight:  # else the autoencoder meets the noise that it meets without this wrapper
            key, bending_key = jax.random.split(key)
        total, metrics = autoencoder.loss(params, key, batch)
        penalties = {"contractive_penalty": mean_over_batch(jax.vmap(penalty)(*observations(batch)), batch)}
        total = total + weighted(weight, penalties["contractive_penalty"])
        if higher_order_weight:
            bendings = jax.vmap(bending)(example_keys(bending_key, batch), *observations(batch))
            penalties["higher_order_penalty"] = mean_over_batch(bendings, batch)
            total = total + weighted(higher_order_weight, penalties["higher_order_penalty"])
        return total, {**metrics, "loss": total, **penalties}

    return autoencoder._replace(loss=loss, parts=(*autoencoder.parts, "contractive"))


def contractive_by_projections(
    autoencoder: Autoencoder,
    *,
    weight: ArrayLike,
    num_projections: int = 1,
    distribution: str = "rademacher",
    mode: str = "reverse",
) -> Autoencoder:
    """Adds an unbiased estimate of λ E ‖J(x)‖_F² to an autoencoder's loss, from a few random projections of J.

    The cost is that of so many gradients of the encoder, whatever the length of the code; `contractive` has the exact
    term, and `aejax.jacobian.estimator_variance` says what is lost.

    Args:
      autoencoder: any; of a variational one the Jacobian of the posterior's mean is meant.
      weight: λ >= 0, times a sum over all pairs of code dimension and feature.
      num_projections: of each example, drawn anew at every step.
      distribution: as for `aejax.jacobian.estimate_frobenius_norm_squared`.
      mode: as there.

    Returns:
      The autoencoder with that loss, and the metric `contractive_penalty`, the estimate, not yet weighted.

    Raises:
      ValueError: a negative weight, no projection, an unknown distribution or mode, or an autoencoder that is
        contractive already.

    Source: J. Hoffman, D. A. Roberts, S. Yaida (2019), Robust Learning with Jacobian Regularization, section 2.3.

    >>> import jax.numpy as jnp
    >>> from aejax.autoencoders import undercomplete
    >>> from aejax.networks import MLP
    >>> plain = undercomplete(MLP(output_shape=(2,)), MLP(output_shape=(5,)))
    >>> autoencoder = contractive_by_projections(plain, weight=0.1)
    >>> params = autoencoder.init(jax.random.key(0), jnp.ones(5))
    >>> loss, metrics = autoencoder.loss(params, jax.random.key(1), jnp.ones((8, 5)))
    """
    check_composition(autoencoder, "contractive")
    check_in_range("weight", weight, 0.0)
    check_estimator(num_projections, distribution, mode)

    def loss(params: PyTree, key: Array, batch: BatchLike) -> tuple[Array, Metrics]:
        batch = masked_batch(batch)
        projection_key, base_key = jax.random.split(key)

        def penalty(key: Array, x: Array, *condition: Array) -> Array:
            return estimate_frobenius_norm_squared(
                key,
                lambda x: autoencoder.encode(params, x, *condition),
                x,
                num_projections=num_projections,
                distribution=distribution,
                mode=mode,
            )

        total, metrics = autoencoder.loss(params, base_key, batch)
        estimates = jax.vmap(penalty)(example_keys(projection_key, batch), *observations(batch))
        estimate = mean_over_batch(estimates, batch)
        total = total + weighted(weight, estimate)
        return total, {**metrics, "loss": total, "contractive_penalty": estimate}

    return autoencoder._replace(loss=loss, parts=(*autoencoder.parts, "contractive"))
