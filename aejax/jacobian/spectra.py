"""Singular values of a Jacobian, effective rank and intrinsic dimension from them, and saturation of a code."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from aejax.checks import check_floating, check_in_range
from aejax.jacobian.exact import jacobian_matrix
from aejax.jacobian.matrices import singular_values_of
from aejax.precision import at_least_single


def singular_values(
    f: Callable[[Array], Array], x: Float[Array, "..."], *, method: str = "jacfwd", chunk_size: int | None = None
) -> Float[Array, "rank"]:
    """Returns the min(K, D) singular values σ₁ >= σ₂ >= ... of J(x).

    Where values are equal or 0, each of them has a kink, and its derivatives are finite but only one of many possible
    choices. Symmetric sums may be smooth there: for the derivatives of Σ σ and Σ log σ use
    `aejax.jacobian.nuclear_norm` and `aejax.jacobian.log_determinant`, which are exact.

    Args:
      f: a function from ONE example to its code (or from one code to its example), arrays of any shape.
      x: one example, with D features; f(x) has K dimensions.
      method: the method of `aejax.jacobian.jacobian`.
      chunk_size: the number of tangents or cotangents computed at a time; None computes all at once.

    Returns:
      The values in decreasing order, in at least float32; the sum of their squares is ‖J‖_F².

    Raises:
      ValueError: `aejax.jacobian.jacobian` raises it.
      TypeError: `aejax.jacobian.jacobian` raises it.

    Source: S. Rifai et al. (2011), Contractive Auto-Encoders: Explicit Invariance During Feature Extraction,
    section 5.4.

    >>> singular_values(lambda x: jnp.array([3.0, -4.0]) * x, jnp.ones(2))
    Array([4., 3.], dtype=float32)
    """
    return singular_values_of(jacobian_matrix(f, x, method=method, chunk_size=chunk_size))


def effective_rank(singular_values: Float[Array, "... rank"]) -> Float[Array, "..."]:
    """Returns the effective rank exp(-Σᵢ pᵢ log pᵢ), pᵢ = σᵢ / Σⱼ σⱼ, in which weak directions count less.

    Args:
      singular_values: σ >= 0 of one matrix, or of many along leading axes.

    Returns:
      A number between 1 (rank one) and the number of values (all equal) for each matrix; 0 if all values are 0. In at
      least float32.

    Raises:
      TypeError: singular_values is not of a floating type.

    Source: O. Roy, M. Vetterli (2007), The Effective Rank: A Measure of Effective Dimensionality, definition 1.

    >>> effective_rank(jnp.array([[2.0, 2.0, 0.0], [1.0, 0.0, 0.0]]))
    Array([2., 1.], dtype=float32)
    """
    values = _of_largest(singular_values)
    total = jnp.sum(values, axis=-1, keepdims=True)
    p = values / jnp.where(total > 0, total, 1)
    is_positive = p > 0  # the derivative of -p log p is infinite at 0
    entropy = -jnp.sum(jnp.where(is_positive, p * jnp.log(jnp.where(is_positive, p, 1)), 0), axis=-1)
    rank = jnp.exp(entropy)
    return jnp.where(total[..., 0] > 0, rank, 0)


def local_intrinsic_dimension(
    singular_values: Float[Array, "... rank"], *, fraction: float = 0.95
) -> Int[Array, "..."]:
    """Returns the smallest d with σ₁² + ... + σ_d² >= fraction · Σᵢ σᵢ²: the number of directions that f follows.

    For the Jacobian of a decoder or of the reconstruction, it is the dimension of the learned manifold at an example.
    The scale of the values does not matter. A sum that equals the threshold up to rounding error reaches it.

    Args:
      singular_values: σ >= 0 in decreasing order, of one matrix, or of many along leading axes.
      fraction: the fraction of ‖J‖_F² to be reached, between 0 and 1.

    Returns:
      d for each matrix; 0 if all values are 0.

    Raises:
      ValueError: fraction is out of range.
      TypeError: singular_values is not of a floating type.

    Source: the explained variance of principal component analysis, applied to J; compare S. Rifai et al. (2011), The
    Manifold Tangent Classifier, whose charts are the leading singular vectors of J.

    >>> local_intrinsic_dimension(jnp.array([[3.0, 3.0, 0.1], [0.0, 0.0, 0.0]]))
    Array([2, 0], dtype=int32)
    """
    check_in_range("fraction", fraction, 0.0, 1.0)
    values = _of_largest(singular_values)
    squares = jnp.square(values)
    # the sum from each value to the last, accumulated from the smallest: sums of equal values are rounded alike
    tail = jnp.flip(jnp.cumsum(jnp.flip(squares, axis=-1), axis=-1), axis=-1)
    total = tail[..., :1]
    rounding = 4 * jnp.finfo(values.dtype).eps * total
    is_needed = tail > (1 - jnp.asarray(fraction, values.dtype)) * total + rounding
    # a fraction of 1 counts every nonzero value, even one that is lost in the rounding of the sum
    return jnp.sum((singular_values > 0) & (is_needed | (fraction == 1)), axis=-1)


def saturation(
    code: Float[Array, "..."], *, low: float = 0.0, high: float = 1.0, margin: float = 0.05
) -> Float[Array, ""]:
    """Returns the fraction of saturated units, whose activation is close to the lower or upper bound.

    Args:
      code: the codes of one example or of many, any shape; the fraction is over all entries.
      low: the activation's lower bound: 0 for the logistic function, -1 for tanh.
      high: the activation's upper bound.
      margin: the distance from a bound up to which a unit counts as saturated, as a fraction of high - low, in [0, ½];
        by default activations below 0.05 and above 0.95 of a logistic function.

    Returns:
      A number between 0 and 1, in at least float32.

    Raises:
      ValueError: code is empty, low is not below high, or margin is out of range.
      TypeError: code is not of a floating type.

    Source: S. Rifai et al. (2011), Contractive Auto-Encoders: Explicit Invariance During Feature Extraction, table 1,
    which counts activations below 0.05 or above 0.95.

    >>> saturation(jnp.array([0.01, 0.5, 0.99, 0.9])).item()
    0.5
    """
    check_floating(code=code)
    check_in_range("margin", margin, 0.0, 0.5)
    if not low < high:
        raise ValueError(f"low must be below high, got {low} and {high}")
    if code.size == 0:
        raise ValueError(f"code must have at least one unit, got shape {code.shape}")
    dtype = at_least_single(code.dtype)
    code, width = code.astype(dtype), margin * (high - low)
    flat = (code < jnp.asarray(low + width, dtype)) | (code > jnp.asarray(high - width, dtype))
    return jnp.count_nonzero(flat).astype(dtype) / code.size


def _of_largest(values: Array) -> Array:
    """Returns the values divided by each matrix's largest, in at least float32, so that squares do not overflow."""
    check_floating(singular_values=values)
    values = values.astype(at_least_single(values.dtype))
    largest = jnp.max(values, axis=-1, keepdims=True, initial=0)
    return values / jax.lax.stop_gradient(jnp.where(largest > 0, largest, 1))
