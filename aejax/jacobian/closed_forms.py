"""Closed forms of the contractive penalty of one layer, at the cost of the layer itself."""

from collections.abc import Callable

import jax.numpy as jnp
from jaxtyping import Array, Float

from aejax.checks import check_floating
from aejax.precision import widened


def contractive_penalty_of_sigmoid_layer(
    code: Float[Array, "units"], kernel: Float[Array, "inputs units"]
) -> Float[Array, ""]:
    """Returns ‖J(x)‖_F² = Σₖ (hₖ (1 - hₖ))² Σᵢ Wₖᵢ² of a layer h = σ(W x + b), without forming the Jacobian.

    It equals `contractive_penalty` of such a layer, at the cost of the layer itself.

    Args:
      code: h, the code of one example.
      kernel: Wᵀ, (inputs, units), the kernel of `flax.linen.Dense`.

    Returns:
      The sum over all pairs of unit and input, in at least float32.

    Raises:
      ValueError: the shapes do not match.
      TypeError: an input is not of a floating type.

    Source: S. Rifai et al. (2011), Contractive Auto-Encoders: Explicit Invariance During Feature Extraction, the
    closed form of the penalty for a sigmoid nonlinearity.

    >>> contractive_penalty_of_sigmoid_layer(jnp.array([0.5, 1.0]), jnp.array([[4.0, 7.0], [8.0, 7.0]])).item()
    5.0
    """
    return _sum(lambda code: code * (1 - code), code, kernel)


def contractive_penalty_of_tanh_layer(
    code: Float[Array, "units"], kernel: Float[Array, "inputs units"]
) -> Float[Array, ""]:
    """Returns ‖J(x)‖_F² = Σₖ (1 - hₖ²)² Σᵢ Wₖᵢ² of a layer h = tanh(W x + b), without forming the Jacobian.

    Args:
      code: h, the code of one example.
      kernel: Wᵀ, (inputs, units), the kernel of `flax.linen.Dense`.

    Returns:
      The sum over all pairs of unit and input, in at least float32.

    Raises:
      ValueError: the shapes do not match.
      TypeError: an input is not of a floating type.

    Source: after S. Rifai et al. (2011), Contractive Auto-Encoders: Explicit Invariance During Feature Extraction,
    whose closed form is for a sigmoid nonlinearity.

    >>> contractive_penalty_of_tanh_layer(jnp.array([0.0, 1.0]), jnp.array([[3.0, 7.0], [4.0, 7.0]])).item()
    25.0
    """
    return _sum(lambda code: (1 - code) * (1 + code), code, kernel)


def contractive_penalty_of_relu_layer(
    code: Float[Array, "units"], kernel: Float[Array, "inputs units"]
) -> Float[Array, ""]:
    """Returns ‖J(x)‖_F² = Σₖ [hₖ > 0] Σᵢ Wₖᵢ² of a layer h = max(0, W x + b), without forming the Jacobian.

    Args:
      code: h, the code of one example.
      kernel: Wᵀ, (inputs, units), the kernel of `flax.linen.Dense`.

    Returns:
      The sum over all pairs of unit and input, in at least float32. Its gradient is nonzero only in the weights of
      active units, not in the biases.

    Raises:
      ValueError: the shapes do not match.
      TypeError: an input is not of a floating type.

    >>> contractive_penalty_of_relu_layer(jnp.array([0.5, 0.0]), jnp.array([[3.0, 7.0], [4.0, 7.0]])).item()
    25.0
    """
    return _sum(lambda code: (code > 0).astype(code.dtype), code, kernel)


def _sum(derivative: Callable[[Array], Array], code: Array, kernel: Array) -> Array:
    """Returns the penalty; `derivative` maps a unit's activation to the derivative of its activation function."""
    check_floating(code=code, kernel=kernel)
    if code.ndim != 1 or kernel.ndim != 2 or kernel.shape[1] != code.size:
        raise ValueError(f"kernel must be (inputs, units) and code (units,), got {kernel.shape} and {code.shape}")
    return jnp.sum(jnp.square(derivative(widened(code))) * jnp.sum(jnp.square(widened(kernel)), axis=0))
