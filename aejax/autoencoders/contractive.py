"""Contraction: the encoder is kept from following small changes of its input."""

from collections.abc import Callable

import jax
from jax.typing import ArrayLike
from jaxtyping import Array, PyTree

from aejax.autoencoders.part import Part, Term
from aejax.autoencoders.penalized import penalized
from aejax.autoencoders.record import Autoencoder, Batch, Metrics, example_keys, mean_over_batch, observations
from aejax.checks import check_count, check_in_range, check_positive
from aejax.jacobian import contractive_penalty, estimate_frobenius_norm_squared, higher_order_penalty
from aejax.jacobian.estimators import check_estimator
from aejax.jacobian.penalties import METHODS

_UNIT = "1 / (unit of data)²"
CONTRACTIVE = Part("contractive", terms=(Term("contractive_penalty", "contractive penalty", _UNIT),))
HIGHER_ORDER = Part("higher_order", terms=(Term("higher_order_penalty", "higher order penalty", _UNIT),))


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
    check_in_range("higher_order_weight", higher_order_weight, 0.0)
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}, got {method!r}")
    check_positive("higher_order_standard_deviation", higher_order_standard_deviation)
    check_count("higher_order_samples", higher_order_samples)

    def encode_given(params: PyTree, *condition: Array) -> Callable[[Array], Array]:
        return lambda x: autoencoder.encode(params, x, *condition)

    def penalty(params: PyTree, batch: Batch) -> Metrics:
        def of_one(x: Array, *condition: Array) -> Array:
            encode = encode_given(params, *condition)
            return contractive_penalty(encode, x, method=method, chunk_size=chunk_size)

        return {"contractive_penalty": mean_over_batch(jax.vmap(of_one)(*observations(batch)), batch)}

    def higher_order_term(params: PyTree, batch: Batch, key: Array) -> Metrics:
        def of_one(key: Array, x: Array, *condition: Array) -> Array:
            return higher_order_penalty(
                key,
                encode_given(params, *condition),
                x,
                standard_deviation=higher_order_standard_deviation,
                samples=higher_order_samples,
                method=method,
            )

        changes = jax.vmap(of_one)(example_keys(key, batch), *observations(batch))
        return {"higher_order_penalty": mean_over_batch(changes, batch)}

    contracted = penalized(autoencoder, CONTRACTIVE, penalty, weight=weight)
    if not higher_order_weight:
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
    check_estimator(num_projections, distribution, mode)

    def estimate(params: PyTree, batch: Batch, key: Array) -> Metrics:
        def of_one(key: Array, x: Array, *condition: Array) -> Array:
            return estimate_frobenius_norm_squared(
                key,
                lambda x: autoencoder.encode(params, x, *condition),
                x,
                num_projections=num_projections,
                distribution=distribution,
                mode=mode,
            )

        estimates = jax.vmap(of_one)(example_keys(key, batch), *observations(batch))
        return {"contractive_penalty": mean_over_batch(estimates, batch)}

    return penalized(autoencoder, CONTRACTIVE, estimate, weight=weight, keys=1)
