"""The contractive penalty of one layer in closed form, at the cost of the layer itself."""

from collections.abc import Callable

import jax.numpy as jnp
from jaxtyping import Array, Float

from aejax.checks import check_floating
from aejax.precision import widened


def contractive_penalty_of_sigmoid_layer(
    code: Float[Array, "units"], kernel: Float[Array, "inputs units"]
) -> Float[Array, ""]:
    """‖J(x)‖_F² = Σₖ (hₖ (1 - hₖ))² Σᵢ Wₖᵢ² of one logistic layer h = σ(W x + b), without a Jacobian.

    The number that `contractive_penalty` gives for such a layer, at the cost of the layer itself.

    Args:
      code: h, of one example.
      kernel: Wᵀ, (inputs, units), as `flax.linen.Dense` holds it.

    Returns:
      The sum over all pairs of unit and input, in float32 at least.

    Raises:
      ValueError: the shapes do not fit.
      TypeError: an input is not of a floating type.

    Source: S. Rifai et al. (2011), Contractive Auto-Encoders: Explicit Invariance During Feature Extraction, the
    expression of its penalty for a sigmoid nonlinearity.

    >>> contractive_penalty_of_sigmoid_layer(jnp.array([0.5, 1.0]), jnp.array([[4.0, 7.0], [8.0, 7.0]])).item()
    5.0
    """
    return _sum(lambda code: code * (1 - code), code, kernel)


def contractive_penalty_of_tanh_layer(
    code: Float[Array, "units"], kernel: Float[Array, "inputs units"]
) -> Float[Array, ""]:
    """‖J(x)‖_F² = Σₖ (1 - hₖ²)² Σᵢ Wₖᵢ² of one layer h = tanh(W x + b), without a Jacobian.

    Args:
      code: h, of one example.
      kernel: Wᵀ, (inputs, units), as `flax.linen.Dense` holds it.

    Returns:
      The sum over all pairs of unit and input, in float32 at least.

    Raises:
      ValueError: the shapes do not fit.
      TypeError: an input is not of a floating type.

    Source: after S. Rifai et al. (2011), Contractive Auto-Encoders: Explicit Invariance During Feature Extraction,
    whose expression is for a sigmoid nonlinearity.

    >>> contractive_penalty_of_tanh_layer(jnp.array([0.0, 1.0]), jnp.array([[3.0, 7.0], [4.0, 7.0]])).item()
    25.0
    """
    return _sum(lambda code: (1 - code) * (1 + code), code, kernel)


def contractive_penalty_of_relu_layer(
    code: Float[Array, "units"], kernel: Float[Array, "inputs units"]
) -> Float[Array, ""]:
    """‖J(x)‖_F² = Σₖ [hₖ > 0] Σᵢ Wₖᵢ² of one layer h = max(0, W x + b), without a Jacobian.

    Args:
      code: h, of one example.
      kernel: Wᵀ, (inputs, units), as `flax.linen.Dense` holds it.

    Returns:
      The sum over all pairs of unit and input, in float32 at least: its gradient reaches the active units' weights,
      and no bias.

    Raises:
      ValueError: the shapes do not fit.
      TypeError: an input is not of a floating type.

    >>> contractive_penalty_of_relu_layer(jnp.array([0.5, 0.0]), jnp.array([[3.0, 7.0], [4.0, 7.0]])).item()
    25.0
    """
    return _sum(lambda code: (code > 0).astype(code.dtype), code, kernel)


def _sum(slope: Callable[[Array], Array], code: Array, kernel: Array) -> Array:
    check_floating(code=code, kernel=kernel)
    if code.ndim != 1 or kernel.ndim != 2 or kernel.shape[1] != code.size:
        raise ValueError(f"kernel must be (inputs, units) and code (units,), got {kernel.shape} and {code.shape}")
    return jnp.sum(jnp.square(slope(widened(code))) * jnp.sum(jnp.square(widened(kernel)), axis=0))
