"""Bounds for the logarithms of scales and rates that a network returns, so that their exponential is finite."""

import jax.numpy as jnp
from jaxtyping import Array, Float

LOW, HIGH = -30.0, 10.0  # between them the network's output is the logarithm itself
_MAX_LOG = 85.0  # exp(85) and exp(-85) are normal numbers in float32


def bounded_log(output: Float[Array, "..."], *, low: float = LOW) -> Float[Array, "..."]:
    """Returns l on [-30, 10], 10 + log(1 + (l - 10)) above and -30 - log(1 - (l + 30)) below, clipped to [-85, 85].

    Above 10 the exponential of the result grows linearly in l, so that one large output does not overflow and its
    gradient does not vanish. Below -30, where a variance is below the resolution of float32, it falls as 1 / |l|. The
    result and its first derivative are continuous up to the clipping.

    Args:
      output: l, any shape.
      low: another bound than -30.

    Returns:
      A logarithm in [-85, 85], of the shape and dtype of output.

    >>> [round(value, 3) for value in bounded_log(jnp.array([-3.0, 10.0, 1000.0])).tolist()]
    [-3.0, 10.0, 16.899]
    """
    inside = jnp.clip(output, low, HIGH)
    beyond = output - inside
    grown = inside + jnp.sign(beyond) * jnp.log1p(jnp.abs(beyond))
    return jnp.where(beyond == 0, output, jnp.clip(grown, -_MAX_LOG, _MAX_LOG))
