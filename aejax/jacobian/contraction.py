"""Contraction beyond the first derivative: how far a sphere of any radius about an example is drawn together."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from aejax.checks import check_count, check_floating
from aejax.jacobian.exact import check_function
from aejax.jacobian.vectors import norm
from aejax.precision import at_least_single


def contraction_curve(
    key: Key[Array, ""],
    f: Callable[[Array], Array],
    x: Float[Array, "..."],
    radii: Float[Array, "radii"],
    *,
    directions: int,
) -> Float[Array, "radii"]:
    """E ‖f(x + r v) - f(x)‖ / r over directions v uniform on the unit sphere, for each radius r.

    Where f(x + r v) = f(x) the norm has a kink; its derivatives count as 0 there. Towards r = 0 it is E ‖J v‖, whose
    square is at most ‖J‖_F² / D. Where it rises with r, more distant examples are told apart; where it falls, units
    saturate.

    Args:
      key: a key, not used elsewhere.
      f: from ONE example to its code, arrays of any shape.
      x: one example, of D numbers.
      radii: r > 0, in x's unit.
      directions: how many v are drawn, the same for all radii.

    Returns:
      The mean over v, for each radius, in float32 at least.

    Raises:
      ValueError: radii of another shape or not positive, no direction, or an example of no numbers.
      TypeError: x, f(x) or the radii are not of a floating type, or directions is no integer.

    Source: S. Rifai et al. (2011), Contractive Auto-Encoders: Explicit Invariance During Feature Extraction, section
    5.3, the contraction ratio.

    >>> curve = contraction_curve(jax.random.key(0), jnp.tanh, jnp.zeros(3), jnp.array([0.01, 9.0]), directions=8)
    >>> [f"{ratio:.2f}" for ratio in curve]
    ['1.00', '0.18']
    """
    x, _ = check_function(f, x)
    check_floating(radii=radii)
    check_count("directions", directions)
    if radii.ndim != 1:
        raise ValueError(f"radii must be a vector, got shape {radii.shape}")
    # by NumPy: within a trace the comparison of a JAX array would be traced
    if not isinstance(radii, jax.core.Tracer) and not (np.asarray(radii) > 0).all():
        raise ValueError(f"radii must be positive, got {radii}")
    if x.size == 0:
        raise ValueError(f"x must have at least one number, got shape {x.shape}")
    dtype = at_least_single(x.dtype)
    v = jax.random.normal(key, (directions, x.size), dtype)
    v = (v / jnp.linalg.norm(v, axis=1, keepdims=True)).reshape(directions, *x.shape)
    code = f(x).astype(dtype)

    def distance(radius: Array, v: Array) -> Array:
        return norm(f(x + (radius * v).astype(x.dtype)).astype(dtype) - code)

    def ratio(radius: Array) -> Array:
        return jnp.mean(jax.vmap(lambda v: distance(radius, v))(v)) / radius

    return jax.lax.map(ratio, jnp.asarray(radii, dtype))
