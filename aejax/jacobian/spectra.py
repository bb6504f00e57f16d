"""What the singular values of a Jacobian and the activity of a code tell: ranks, dimensions, saturation."""

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
    """σ₁ >= σ₂ >= ... of J(x), min(K, D) of them.

    Where values are equal or 0 each of them has a kink; there its derivatives are finite, but only one choice of many.
    A sum over all values may be smooth there: of Σ σ and of Σ log σ take the derivatives of
    `aejax.jacobian.nuclear_norm` and of `aejax.jacobian.log_determinant`, which are exact.

    Args:
      f: from ONE example to its code (or from one code to its example), arrays of any shape.
      x: one example, of D numbers; f(x) is of K.
      method: as for `aejax.jacobian.jacobian`.
      chunk_size: as there.

    Returns:
      The values, in falling order, in float32 at least: ‖J‖_F² is the sum of their squares.

    Raises:
      ValueError: as `aejax.jacobian.jacobian`.
      TypeError: as there.

    Source: S. Rifai et al. (2011), Contractive Auto-Encoders: Explicit Invariance During Feature Extraction, the
    spectra of its section 5.4.

    >>> singular_values(lambda x: jnp.array([3.0, -4.0]) * x, jnp.ones(2))
    Array([4., 3.], dtype=float32)
    """
    return singular_values_of(jacobian_matrix(f, x, method=method, chunk_size=chunk_size))


def effective_rank(singular_values: Float[Array, "... rank"]) -> Float[Array, "..."]:
    """exp(-Σᵢ pᵢ log pᵢ), pᵢ = σᵢ / Σⱼ σⱼ: how many directions there are, the weak ones counting less.

    Args:
      singular_values: σ >= 0, of one matrix or of many.

    Returns:
      Between 1, for rank one, and the number of values, where all are equal; 0 where all are 0. In float32 at least.

    Raises:
      TypeError: the values are not of a floating type.

    Source: O. Roy, M. Vetterli (2007), The Effective Rank: A Measure of Effective Dimensionality, definition 1.

    >>> effective_rank(jnp.array([[2.0, 2.0, 0.0], [1.0, 0.0, 0.0]]))
    Array([2., 1.], dtype=float32)
    """
    values = _of_largest(singular_values)
    total = jnp.sum(values, axis=-1, keepdims=True)
    share = values / jnp.where(total > 0, total, 1)
    counted = share > 0  # the derivative of -p log p is infinite at 0
    entropy = -jnp.sum(jnp.where(counted, share * jnp.log(jnp.where(counted, share, 1)), 0), axis=-1)
    rank = jnp.exp(entropy)
    return jnp.where(total[..., 0] > 0, rank, 0)


def local_intrinsic_dimension(
    singular_values: Float[Array, "... rank"], *, fraction: float = 0.95
) -> Int[Array, "..."]:
    """The least d with σ₁² + ... + σ_d² >= fraction · Σᵢ σᵢ²: the directions that f follows at an example.

    The scale of the values does not matter, and a share that is the fraction up to rounding reaches it. Of a decoder's
    Jacobian, or of the reconstruction's, the dimension of the manifold that it has learned.

    Args:
      singular_values: of one matrix or of many, in falling order.
      fraction: of ‖J‖_F², between 0 and 1.

    Returns:
      d; 0 where all values are 0.

    Raises:
      ValueError: a fraction out of range.
      TypeError: the values are not of a floating type.

    Source: the share of variance of principal component analysis, taken of J; compare S. Rifai et al. (2011), The
    Manifold Tangent Classifier, whose charts are the leading singular vectors of J.

    >>> local_intrinsic_dimension(jnp.array([[3.0, 3.0, 0.1], [0.0, 0.0, 0.0]]))
    Array([2, 0], dtype=int32)
    """
    check_in_range("fraction", fraction, 0.0, 1.0)
    values = _of_largest(singular_values)
    squares = jnp.square(values)
    # what is left behind each value, added up from the smallest: where the share ties, the sums of equals round alike
    behind = jnp.flip(jnp.cumsum(jnp.flip(squares, axis=-1), axis=-1), axis=-1)
    total = behind[..., :1]
    rounding = 4 * jnp.finfo(values.dtype).eps * total
    short = behind > (1 - jnp.asarray(fraction, values.dtype)) * total + rounding
    # a fraction of 1 must count the last value that is not 0, whatever the sum was rounded to
    return jnp.sum((singular_values > 0) & (short | (fraction == 1)), axis=-1)


def saturation(
    code: Float[Array, "..."], *, low: float = 0.0, high: float = 1.0, margin: float = 0.05
) -> Float[Array, ""]:
    """The share of units that are within a margin of the bounds of their activation, where it is flat.

    Args:
      code: of one example or of many, of any shape; the share is taken over all of it.
      low: the lower bound: 0 of the logistic function, -1 of tanh.
      high: the upper bound.
      margin: the part of high - low that counts as flat at either end, below ½: by default activities below 0.05 and
        above 0.95 of the logistic function.

    Returns:
      Between 0 and 1, in float32 at least.

    Raises:
      ValueError: the code is empty, low is not below high, or the margin is out of range.
      TypeError: the code is not of a floating type.

    Source: S. Rifai et al. (2011), Contractive Auto-Encoders: Explicit Invariance During Feature Extraction, table 1,
    whose fraction of saturated activities is of activities below 0.05 or above 0.95.

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
    """The values over the largest of each matrix, in single precision at least: squares may lie outside a dtype."""
    check_floating(singular_values=values)
    values = values.astype(at_least_single(values.dtype))
    largest = jnp.max(values, axis=-1, keepdims=True, initial=0)
    return values / jax.lax.stop_gradient(jnp.where(largest > 0, largest, 1))
