"""Floating-point arithmetic without overflow: half precision, knobs of any dtype, tiny standard deviations."""

import math
from collections.abc import Sequence
from functools import reduce

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike, DTypeLike
from jaxtyping import Array


def at_least_single(dtype: DTypeLike) -> np.dtype:
    """Returns the dtype to compute in: float32 for half precision, whose sums overflow and lose digits, else `dtype`.

    >>> at_least_single(jnp.bfloat16).name, at_least_single(jnp.float32).name
    ('float32', 'float32')
    """
    return np.dtype(np.float32) if jnp.finfo(dtype).bits < 32 else jnp.dtype(dtype)


def widened(array: ArrayLike) -> Array:
    """Returns the array in the dtype to compute in, `at_least_single` of its own dtype."""
    return jnp.asarray(array, at_least_single(jnp.result_type(array)))


def common_dtype(*arrays: ArrayLike) -> np.dtype:
    """Returns the dtype of a result computed from these arrays, by JAX's promotion rules.

    >>> common_dtype(jnp.ones(2, jnp.bfloat16), jnp.ones(2, jnp.bfloat16)).name
    'bfloat16'
    """
    return reduce(jnp.promote_types, map(jnp.result_type, arrays))


def knob(value: ArrayLike, dtype: DTypeLike) -> Array:
    """Returns a knob in the dtype of the data, clipped to its finite range: it does not promote the data.

    >>> knob(np.float64(0.5), jnp.float32).dtype.name, knob(1e300, jnp.float32).item() < float("inf")
    ('float32', True)
    """
    if isinstance(value, jax.Array):  # it may be traced
        return value.astype(dtype)
    limits = jnp.finfo(dtype)
    return jnp.asarray(np.clip(np.asarray(value, np.float64), float(limits.min), float(limits.max)), dtype)


def over_deviation(difference: Array, log_variance: Array) -> Array:
    """Returns d / σ = d e^(-½ log σ²), exactly 0 where d is 0 for any σ; no derivative is 0 times infinity.

    >>> [round(v, 2) for v in over_deviation(jnp.array([0.0, 1e-30]), jnp.array([-1000.0, -138.0])).tolist()]
    [0.0, 0.93]
    """
    largest = math.log(float(jnp.finfo(log_variance.dtype).max))
    # 1/σ as a product of two finite factors; at the limit every d other than 0 overflows anyway
    root = jnp.exp(-0.25 * jnp.maximum(log_variance, 1 - 4 * largest))
    # XLA multiplies constant factors with each other first: where d is 0, the four in the gradient of d²/σ² stay finite
    root = jnp.where(difference == 0, jnp.exp(-0.25 * jnp.maximum(log_variance, 1 - largest)), root)
    return difference * root * root


def polynomial(coefficients: Sequence[float], x: Array) -> Array:
    """Returns Σₙ cₙ xⁿ by Horner's rule; `coefficients` begin with the constant c₀.

    >>> polynomial([1.0, 0.0, 2.0], jnp.array(3.0)).item()
    19.0
    """
    result = jnp.zeros_like(x)
    for coefficient in reversed(coefficients):
        result = result * x + coefficient
    return result
