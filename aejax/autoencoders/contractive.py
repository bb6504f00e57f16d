"""Contractive autoencoders: the loss penalizes the Jacobian of the encoder."""

from collections.abc import Callable

import jax
from jax.typing import ArrayLike
from jaxtyping import Array, PyTree

from aejax.autoencoders.part import Part, Term
from aejax.autoencoders.penalized import penalized
from aejax.autoencoders.record import (
    Autoencoder,
    Batch,
    Metrics,
    encoder_inputs,
    example_keys,
    is_zero,
    mean_over_batch,
)
from aejax.checks import check_count, check_in_range, check_positive
from aejax.jacobian import contractive_penalty, estimate_frobenius_norm_squared, higher_order_penalty
from aejax.jacobian.estimators import check_estimator
from aejax.jacobian.penalties import METHODS

_UNIT = "1 / (unit of data)²"
CONTRACTIVE = Part("contractive", terms=(Term("contractive_penalty", "contractive penalty", _UNIT),))
HIGHER_ORDER = Part("higher_order", terms=(Term("higher_order_penalty", "higher-order penalty", _UNIT),))


def contractive(
    autoencoder: Autoencoder,
    *,
    weight: ArrayLike,
    method: str = "jacfwd",
    chunk_size: int | None = None,
    higher_order_weight: ArrayLike = 0.0,
    higher_order_standard_deviation: ArrayLike = 0.1,
    higher_order_samples: int = 4,
) -> Autoencoder:
    """Adds λ E ‖J(x)‖_F² to an autoencoder's loss, where J = ∂f/∂x is the exact Jacobian of the encoder.

    With a positive higher_order_weight, the loss also has the term of CAE+H, γ E ‖J(x) - J(x + ε)‖_F², ε ~ N(0, σ² I).
    Both terms are computed at the inputs of the wrapped autoencoder: at corrupted examples in
    `denoising(contractive(...))`, at clean ones in `contractive(denoising(...))`.

    Args:
      autoencoder: any autoencoder; for a variational one J is the Jacobian of the posterior's mean.
      weight: λ >= 0, the weight of a sum over all pairs of code dimension and feature.
      method: the method of `aejax.jacobian.contractive_penalty`, for both terms.
      chunk_size: the chunk size of `aejax.jacobian.contractive_penalty`, for the first term only.
      higher_order_weight: γ >= 0; 0 omits the second term, and then no random numbers are drawn.
      higher_order_standard_deviation: σ > 0, in x's unit.
      higher_order_samples: the number of ε drawn for each example at every step.

    Returns:
      The autoencoder with the new loss. Its metrics are those of the wrapped autoencoder, `contractive_penalty` and,
      with a positive higher_order_weight, `higher_order_penalty`, both before weighting.

    Raises:
      ValueError: a weight is negative, the method is unknown, higher_order_standard_deviation is not positive,
        higher_order_samples is below 1, or the autoencoder is contractive already.
      TypeError: higher_order_samples is not an integer.

    Source: S. Rifai et al. (2011), Contractive Auto-Encoders: Explicit Invariance During Feature Extraction;
    S. Rifai et al. (2011), Higher Order Contractive Auto-Encoder, the objective of CAE+H.

    >>> import jax.numpy as jnp
    >>> from aejax.autoencoders import undercomplete
    >>> from aejax.networks import MLP
    >>> autoencoder = contractive(undercomplete(MLP(output_shape=(2,)), MLP(output_shape=(5,))), weight=0.1)
    >>> params = jax.eval_shape(autoencoder.init, jax.random.key(0), jnp.ones(5))
    >>> loss, metrics = jax.eval_shape(autoencoder.loss, params, jax.random.key(1), jnp.ones((8, 5)))
    >>> sorted(metrics)
    ['contractive_penalty', 'loss', 'reconstruction']
    """
    check_in_range("higher_order_weight", higher_order_weight, 0.0)
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}, got {method!r}")
    check_positive("higher_order_standard_deviation", higher_order_standard_deviation)
    check_count("higher_order_samples", higher_order_samples)

    def encoder_with(params: PyTree, *condition: Array) -> Callable[[Array], Array]:
        return lambda x: autoencoder.encode(params, x, *condition)

    def penalty(params: PyTree, batch: Batch) -> Metrics:
        def of_example(x: Array, *condition: Array) -> Array:
            encode = encoder_with(params, *condition)
            return contractive_penalty(encode, x, method=method, chunk_size=chunk_size)

        return {"contractive_penalty": mean_over_batch(jax.vmap(of_example)(*encoder_inputs(batch)), batch)}

    def higher_order_term(params: PyTree, batch: Batch, key: Array) -> Metrics:
        def of_example(key: Array, x: Array, *condition: Array) -> Array:
            return higher_order_penalty(
                key,
                encoder_with(params, *condition),
                x,
                standard_deviation=higher_order_standard_deviation,
                samples=higher_order_samples,
                method=method,
            )

        penalties = jax.vmap(of_example)(example_keys(key, batch), *encoder_inputs(batch))
        return {"higher_order_penalty": mean_over_batch(penalties, batch)}

    contracted = penalized(autoencoder, CONTRACTIVE, penalty, weight=weight)
    if is_zero(higher_order_weight):
        return contracted
    return penalized(contracted, HIGHER_ORDER, higher_order_term, weight=higher_order_weight, keys=1)


def contractive_by_projections(
    autoencoder: Autoencoder,
    *,
    weight: ArrayLike,
    num_projections: int = 1,
    distribution: str = "rademacher",
    mode: str = "reverse",
) -> Autoencoder:
    """Adds an unbiased estimate of λ E ‖J(x)‖_F² to an autoencoder's loss, from a few random projections of J.

    The cost is that of `num_projections` gradients of the encoder, whatever the length of the code. `contractive` adds
    the exact term; `aejax.jacobian.estimator_variance` gives the variance of the estimate.

    Args:
      autoencoder: any autoencoder; for a variational one J is the Jacobian of the posterior's mean.
      weight: λ >= 0, the weight of a sum over all pairs of code dimension and feature.
      num_projections: the number of projections of each example, drawn anew at every step.
      distribution: the distribution of `aejax.jacobian.estimate_frobenius_norm_squared`.
      mode: the mode of `aejax.jacobian.estimate_frobenius_norm_squared`.

    Returns:
      The autoencoder with the new loss. Its metrics are those of the wrapped autoencoder and `contractive_penalty`, the
      estimate before weighting.

    Raises:
      ValueError: weight is negative, num_projections is below 1, distribution or mode is unknown, or the autoencoder is
        contractive already.
      TypeError: num_projections is not an integer.

    Source: J. Hoffman, D. A. Roberts, S. Yaida (2019), Robust Learning with Jacobian Regularization, section 2.3.

    >>> import jax.numpy as jnp
    >>> from aejax.autoencoders import undercomplete
    >>> from aejax.networks import MLP
    >>> plain = undercomplete(MLP(output_shape=(2,)), MLP(output_shape=(5,)))
    >>> autoencoder = contractive_by_projections(plain, weight=0.1)
    >>> params = jax.eval_shape(autoencoder.init, jax.random.key(0), jnp.ones(5))
    >>> loss, metrics = jax.eval_shape(autoencoder.loss, params, jax.random.key(1), jnp.ones((8, 5)))
    """
    check_estimator(num_projections, distribution, mode)

    def estimate(params: PyTree, batch: Batch, key: Array) -> Metrics:
        def of_example(key: Array, x: Array, *condition: Array) -> Array:
            return estimate_frobenius_norm_squared(
                key,
                lambda x: autoencoder.encode(params, x, *condition),
                x,
                num_projections=num_projections,
                distribution=distribution,
                mode=mode,
            )

        estimates = jax.vmap(of_example)(example_keys(key, batch), *encoder_inputs(batch))
        return {"contractive_penalty": mean_over_batch(estimates, batch)}

    return penalized(autoencoder, CONTRACTIVE, estimate, weight=weight, keys=1)
