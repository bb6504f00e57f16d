"""Penalties on the Jacobian of an encoder at one example."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Key

from aejax.checks import check_floating, check_positive

_TRANSFORMS = {"jacfwd": jax.jacfwd, "jacrev": jax.jacrev}
METHODS = tuple(_TRANSFORMS)


def contractive_penalty(
    encode: Callable[[Array], Array], x: Float[Array, "..."], *, method: str = "jacfwd"
) -> Float[Array, ""]:
    """Squared Frobenius norm ‖J(x)‖_F² = Σₖᵢ (∂hₖ/∂xᵢ)² of the encoder's Jacobian, exact.

    Args:
      encode: h, from ONE example to its code, arrays of any shape.
      x: one example.
      method: `jacfwd` pushes a tangent forward for each feature, `jacrev` pulls a cotangent back for each dimension
        of the code: the same number, cheaper where codes are shorter than examples.

    Returns:
      The sum over all pairs of code dimension and feature.

    Raises:
      ValueError: an unknown method.
      TypeError: x is not of a floating type.

    Source: S. Rifai et al. (2011), Contractive Auto-Encoders: Explicit Invariance During Feature Extraction, eq. 1.

    >>> weights = jnp.array([[3.0, 0.0], [0.0, 4.0]])
    >>> contractive_penalty(lambda x: weights @ x, jnp.ones(2)).item()
    25.0
    """
    check_floating(x=x)
    return jnp.sum(jnp.square(_jacobian(encode, method)(x)))


def contractive_penalty_of_sigmoid_layer(
    code: Float[Array, "units"], kernel: Float[Array, "inputs units"]
) -> Float[Array, ""]:
    """‖J(x)‖_F² = Σₖ (hₖ (1 - hₖ))² Σᵢ Wₖᵢ² of one logistic layer h = σ(W x + b), without a Jacobian.

    The number that `contractive_penalty` gives for such a layer, at the cost of the layer itself.

    Args:
      code: h, of one example.
      kernel: Wᵀ, (inputs, units), as `flax.linen.Dense` holds it.

    Returns:
      The sum over all pairs of unit and input.

    Raises:
      ValueError: the shapes do not fit.
      TypeError: an input is not of a floating type.

    Source: S. Rifai et al. (2011), Contractive Auto-Encoders: Explicit Invariance During Feature Extraction, the
    expression of its penalty for a sigmoid nonlinearity.

    >>> contractive_penalty_of_sigmoid_layer(jnp.array([0.5, 1.0]), jnp.array([[4.0, 7.0], [8.0, 7.0]])).item()
    5.0
    """
    check_floating(code=code, kernel=kernel)
    if code.ndim != 1 or kernel.ndim != 2 or kernel.shape[1] != code.size:
        raise ValueError(f"kernel must be (inputs, units) and code (units,), got {kernel.shape} and {code.shape}")
    return jnp.sum(jnp.square(code * (1 - code)) * jnp.sum(jnp.square(kernel), axis=0))


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

    For small σ the expectation is σ² ‖H(x)‖_F² + O(σ⁴), H being the encoder's second derivatives.

    Args:
      key: a key, not used elsewhere.
      encode: h, from ONE example to its code, arrays of any shape.
      x: one example.
      standard_deviation: σ > 0, in x's unit.
      samples: how many ε are drawn, at least 1; all their Jacobians are held at once.
      method: as for `contractive_penalty`.

    Returns:
      The sum over all pairs of code dimension and feature, averaged over the samples.

    Raises:
      ValueError: a standard deviation that is not positive, no sample, or an unknown method.
      TypeError: x is not of a floating type, or samples is no integer.

    Source: S. Rifai et al. (2011), Higher Order Contractive Auto-Encoder, the CAE+H objective's last term.

    >>> linear = lambda x: 3 * x
    >>> higher_order_penalty(jax.random.key(0), linear, jnp.ones(2), standard_deviation=0.1, samples=4).item()
    0.0
    """
    check_floating(x=x)
    check_positive("standard_deviation", standard_deviation)
    check_samples("samples", samples)
    jacobian = _jacobian(encode, method)
    noise = jnp.asarray(standard_deviation, x.dtype) * jax.random.normal(key, (samples, *x.shape), x.dtype)
    difference = jax.vmap(jacobian)(x[None] + noise) - jacobian(x)[None]
    return jnp.sum(jnp.square(difference)) / samples


def check_samples(name: str, samples: int) -> None:
    """Raise TypeError unless a number of samples is an integer, ValueError unless it is at least 1."""
    if not isinstance(samples, int):
        raise TypeError(f"{name} must be an integer, got {samples!r}")
    if samples < 1:
        raise ValueError(f"{name} must be at least 1, got {samples}")


def _jacobian(encode: Callable[[Array], Array], method: str) -> Callable[[Array], Array]:
    if method not in _TRANSFORMS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}, got {method!r}")
    return _TRANSFORMS[method](encode)
