"""Arithmetic that stays in range: sums of half-precision numbers, knobs of any dtype, tiny standard deviations."""

import math
from collections.abc import Sequence
from functools import reduce

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike, DTypeLike
from jaxtyping import Array


def at_least_single(dtype: DTypeLike) -> np.dtype:
    """The dtype to compute in: float32 for half precision, which overflows and rounds in long sums, else the same.

    >>> at_least_single(jnp.bfloat16).name, at_least_single(jnp.float32).name
    ('float32', 'float32')
    """
    return np.dtype(np.float32) if jnp.finfo(dtype).bits < 32 else jnp.dtype(dtype)


def widened(array: ArrayLike) -> Array:
    """The array in the dtype to compute in, `at_least_single` of its own."""
    return jnp.asarray(array, at_least_single(jnp.result_type(array)))


def common_dtype(*arrays: ArrayLike) -> np.dtype:
    """The dtype of a result of these arrays, by the rules of promotion that are set.

    >>> common_dtype(jnp.ones(2, jnp.bfloat16), jnp.ones(2, jnp.bfloat16)).name
    'bfloat16'
    """
    return reduce(jnp.promote_types, map(jnp.result_type, arrays))


def knob(value: ArrayLike, dtype: DTypeLike) -> Array:
    """A knob in the dtype of the data, so that a NumPy scalar promotes nothing; the nearest finite number there.

    >>> knob(np.float64(0.5), jnp.float32).dtype.name, knob(1e300, jnp.float32).item() < float("inf")
    ('float32', True)
    """
    if isinstance(value, jax.Array):  # it may be traced
        return value.astype(dtype)
    limits = jnp.finfo(dtype)
    return jnp.asarray(np.clip(np.asarray(value, np.float64), float(limits.min), float(limits.max)), dtype)


def over_deviation(difference: Array, log_variance: Array) -> Array:
    """Returns d / σ = d e^(-½ log σ²), 0 where d is 0 however small σ is, and its derivatives: never 0 times infinity.

    >>> [round(v, 2) for v in over_deviation(jnp.array([0.0, 1e-30]), jnp.array([-1000.0, -138.0])).tolist()]
    [0.0, 0.93]
    """
    limit = 4 * math.log(float(jnp.finfo(log_variance.dtype).max)) - 1
    # the reciprocal as a product of two finite factors; where the limit is reached, any d other than 0 overflows
    root = jnp.exp(-0.25 * jnp.maximum(log_variance, -limit))
    return difference * root * root


def polynomial(coefficients: Sequence[float], x: Array) -> Array:
    """Σₙ cₙ xⁿ by Horner's rule, the constant first.

    >>> polynomial([1.0, 0.0, 2.0], jnp.array(3.0)).item()
    19.0
    """
    result = jnp.zeros_like(x)
    for coefficient in reversed(coefficients):
        result = result * x + coefficient
    return result
