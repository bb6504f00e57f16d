"""Contraction beyond the first derivative: how much a function contracts spheres of any radius around an example."""

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
    """Contraction ratio E ‖f(x + r v) - f(x)‖ / r for each radius r, over directions v uniform on the unit sphere.

    For r → 0 it tends to E ‖J v‖, whose square is at most ‖J‖_F² / D. Where the ratio increases with r, more distant
    examples are distinguished better; where it decreases, units saturate. Where f(x + r v) = f(x) the norm has a kink,
    and its derivatives count as 0.

    Args:
      key: a PRNG key, not used elsewhere.
      f: a function from ONE example to its code, arrays of any shape.
      x: one example, with D features.
      radii: r > 0, in x's unit.
      directions: the number of random v, which are the same for all radii.

    Returns:
      The mean over v for each radius, (radii,), in the code's unit per x's unit, in at least float32.

    Raises:
      ValueError: radii is not a vector or not positive, directions is below 1, or x is empty.
      TypeError: x, f(x) or radii is not of a floating type, or directions is not an integer.

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
    # with NumPy, because the comparison of a JAX array inside a trace would be traced
    if not isinstance(radii, jax.core.Tracer) and not (np.asarray(radii) > 0).all():
        raise ValueError(f"radii must be positive, got {radii}")
    if x.size == 0:
        raise ValueError(f"x must have at least one feature, got shape {x.shape}")
    dtype = at_least_single(x.dtype)
    v = jax.random.normal(key, (directions, x.size), dtype)
    v = (v / jnp.linalg.norm(v, axis=1, keepdims=True)).reshape(directions, *x.shape)
    code = f(x).astype(dtype)

    def distance(radius: Array, v: Array) -> Array:
        return norm(f(x + (radius * v).astype(x.dtype)).astype(dtype) - code)

    def ratio(radius: Array) -> Array:
        return jnp.mean(jax.vmap(lambda v: distance(radius, v))(v)) / radius

    return jax.lax.map(ratio, jnp.asarray(radii, dtype))
