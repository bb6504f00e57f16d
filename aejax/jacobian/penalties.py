"""Penalties on the Jacobian of an encoder at one example."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Key

from aejax.checks import check_count, check_positive
from aejax.jacobian.exact import METHODS as METHODS
from aejax.jacobian.exact import check_function, frobenius_norm_squared, jacobian
from aejax.jacobian.placement import placed_as
from aejax.jacobian.smoothness import kinks
from aejax.precision import at_least_single


def contractive_penalty(
    encode: Callable[[Array], Array],
    x: Float[Array, "..."],
    *,
    method: str = "jacfwd",
    chunk_size: int | None = None,
) -> Float[Array, ""]:
    """Squared Frobenius norm ‖J(x)‖_F² = Σₖᵢ (∂hₖ/∂xᵢ)² of the encoder's Jacobian, exact.

    Args:
      encode: h, from ONE example to its code, arrays of any shape.
      x: one example.
      method: `jacfwd`, `jacrev`, `structured` or `auto`, as for `aejax.jacobian.frobenius_norm_squared`: the same
        number, at very different cost.
      chunk_size: how many tangents or cotangents at a time, as there; None takes all at once.

    Returns:
      The sum over all pairs of code dimension and feature.

    Raises:
      ValueError: an unknown method, a chunk size below 1, or `structured` where the first layer is not linear.
      TypeError: x or its code is not one array of a floating type.

    Source: S. Rifai et al. (2011), Contractive Auto-Encoders: Explicit Invariance During Feature Extraction, eq. 1.

    >>> weights = jnp.array([[3.0, 0.0], [0.0, 4.0]])
    >>> contractive_penalty(lambda x: weights @ x, jnp.ones(2)).item()
    25.0
    """
    return frobenius_norm_squared(encode, x, method=method, chunk_size=chunk_size)


def higher_order_penalty(
    key: Key[Array, ""],
    encode: Callable[[Array], Array],
    x: Float[Array, "..."],
    *,
    standard_deviation: ArrayLike,
    samples: int,
    method: str = "jacfwd",
) -> Float[Array, ""]:
    """E ‖J(x) - J(x + ε)‖_F², ε ~ N(0, σ² I), as a mean over samples of ε: how much the encoder's Jacobian bends.

    For small σ the expectation is σ² ‖H(x)‖_F² + O(σ⁴), H being the encoder's second derivatives. An encoder with
    kinks, as ReLU's, is refused: there the term would count the kinks that ε crosses, and its gradient would not see
    how they move.

    Args:
      key: a key, not used elsewhere.
      encode: h, from ONE example to its code, arrays of any shape.
      x: one example.
      standard_deviation: σ > 0, in x's unit.
      samples: how many ε are drawn, at least 1; all their Jacobians are held at once.
      method: as for `aejax.jacobian.jacobian`.

    Returns:
      The sum over all pairs of code dimension and feature, averaged over the samples, in float32 at least.

    Raises:
      ValueError: a standard deviation that is not positive, no sample, an unknown method, or an encoder with kinks.
      TypeError: x or its code is not one array of a floating type, or samples is no integer.

    Source: S. Rifai et al. (2011), Higher Order Contractive Auto-Encoder, the CAE+H objective's last term.

    >>> linear = lambda x: 3 * x
    >>> higher_order_penalty(jax.random.key(0), linear, jnp.ones(2), standard_deviation=0.1, samples=4).item()
    0.0
    """
    x, _ = check_function(encode, x)
    check_positive("standard_deviation", standard_deviation)
    check_count("samples", samples)
    if found := kinks(encode, x):
        raise ValueError(
            f"higher_order_penalty wants a smooth encoder, and this one has {', '.join(found)}, whose kinks it cannot "
            "see; take tanh, sigmoid, softplus or gelu, and no max pooling"
        )
    dtype = at_least_single(x.dtype)
    noise = jnp.asarray(standard_deviation, dtype) * jax.random.normal(key, (samples, *x.shape), dtype)

    def of(x: Array) -> Array:
        whole = jacobian(encode, x, method=method)
        return whole.astype(at_least_single(whole.dtype))

    difference = jax.vmap(of)(x[None] + placed_as(noise.astype(x.dtype), x)) - of(x)[None]
    return jnp.sum(jnp.square(difference)) / float(samples)
