"""Logarithms of scales and rates that a network returns, bounded so that their exponential is finite."""

import jax.numpy as jnp
from jaxtyping import Array, Float

LOW, HIGH = -30.0, 10.0  # between them the network's number is the logarithm itself
_LARGEST = 85.0  # exp(85) and exp(-85) are normal numbers in float32


def bounded_log(output: Float[Array, "..."]) -> Float[Array, "..."]:
    """The logarithm that a network's output l stands for: l on [-30, 10], 10 + log(1 + l - 10) above, likewise below.

    Above 10 its exponential grows linearly in l instead of exponentially, so one large input overflows nothing, and
    the gradient never dies out; below -30, where a variance is under the resolution of float32, the inverse does. The
    value and its first derivative are continuous.

    Args:
      output: l, any shape.

    Returns:
      An array of that shape and dtype, in [-85, 85].

    >>> [round(value, 3) for value in bounded_log(jnp.array([-3.0, 10.0, 1000.0])).tolist()]
    [-3.0, 10.0, 16.899]
    """
    inside = jnp.clip(output, LOW, HIGH)
    beyond = output - inside
    grown = inside + jnp.sign(beyond) * jnp.log1p(jnp.abs(beyond))
    return jnp.where(beyond == 0, output, jnp.clip(grown, -_LARGEST, _LARGEST))
