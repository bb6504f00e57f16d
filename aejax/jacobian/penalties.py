"""Penalties on the Jacobian of an encoder at one example."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from aejax.checks import check_floating

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
    if method not in _TRANSFORMS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}, got {method!r}")
    return jnp.sum(jnp.square(_TRANSFORMS[method](encode)(x)))
