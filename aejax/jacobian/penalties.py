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
    """Returns the exact squared Frobenius norm ‖J(x)‖_F² = Σₖᵢ (∂hₖ/∂xᵢ)² of the encoder's Jacobian.

    Args:
      encode: h, a function from ONE example to its code, arrays of any shape.
      x: one example.
      method: `jacfwd`, `jacrev`, `structured` or `auto`, the methods of `aejax.jacobian.frobenius_norm_squared`: all
        compute the same number, at very different cost.
      chunk_size: the number of tangents or cotangents computed at a time, to bound memory; None computes all at once.

    Returns:
      The sum over all pairs of code dimension and feature, in at least float32.

    Raises:
      ValueError: method is unknown, chunk_size is below 1, or method is `structured` and the first layer is not linear.
      TypeError: x or its code is not one array of a floating type, or chunk_size is not an integer.

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
    """Returns a sample mean of E ‖J(x) - J(x + ε)‖_F², ε ~ N(0, σ² I): how much the encoder's Jacobian varies near x.

    For small σ the expectation is σ² ‖H(x)‖_F² + O(σ⁴), where H are the encoder's second derivatives. Encoders with
    kinks, such as ReLU networks, are rejected: the term would measure the kinks that ε crosses, and its gradient would
    ignore how the kinks move.

    Args:
      key: a PRNG key, not used elsewhere.
      encode: h, a function from ONE example to its code, arrays of any shape.
      x: one example.
      standard_deviation: σ > 0, in x's unit.
      samples: the number of ε drawn, at least 1; the Jacobians of all samples are held in memory at once.
      method: the method of `aejax.jacobian.jacobian`.

    Returns:
      The sum over all pairs of code dimension and feature, averaged over the samples, in at least float32.

    Raises:
      ValueError: standard_deviation is not positive, samples is below 1, method is unknown, or the encoder has kinks.
      TypeError: x or its code is not one array of a floating type, or samples is not an integer.

    Source: S. Rifai et al. (2011), Higher Order Contractive Auto-Encoder, last term of the CAE+H objective.

    >>> linear = lambda x: 3 * x
    >>> higher_order_penalty(jax.random.key(0), linear, jnp.ones(2), standard_deviation=0.1, samples=4).item()
    0.0
    """
    x, _ = check_function(encode, x)
    check_positive("standard_deviation", standard_deviation)
    check_count("samples", samples)
    if found := kinks(encode, x):
        raise ValueError(
            f"higher_order_penalty expects a smooth encoder, but this one has kinks from {', '.join(found)}; use tanh, "
            "sigmoid, softplus or gelu, and no max pooling"
        )
    dtype = at_least_single(x.dtype)
    noise = jnp.asarray(standard_deviation, dtype) * jax.random.normal(key, (samples, *x.shape), dtype)

    def jacobian_at(x: Array) -> Array:
        matrix = jacobian(encode, x, method=method)
        return matrix.astype(at_least_single(matrix.dtype))

    difference = jax.vmap(jacobian_at)(x[None] + placed_as(noise.astype(x.dtype), x)) - jacobian_at(x)[None]
    return jnp.sum(jnp.square(difference)) / float(samples)
