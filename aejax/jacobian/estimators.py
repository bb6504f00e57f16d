"""Estimates of ‖J‖_F² from a few random projections, and their variance."""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from aejax.checks import check_count, check_floating
from aejax.jacobian.exact import check_function
from aejax.jacobian.placement import placed_as
from aejax.precision import at_least_single

DISTRIBUTIONS = ("gaussian", "rademacher", "sphere")
MODES = ("forward", "reverse")


def estimate_frobenius_norm_squared(
    key: Key[Array, ""],
    f: Callable[[Array], Array],
    x: Float[Array, "..."],
    *,
    num_projections: int = 1,
    distribution: str = "rademacher",
    mode: str = "reverse",
) -> Float[Array, ""]:
    """Returns an unbiased estimate of ‖J(x)‖_F²: the mean of ‖Jᵀ v‖² over random v with E v vᵀ = I.

    `estimator_variance` gives its variance for each distribution. The variance with Rademacher vectors is never larger
    than with Gaussian ones, and is 0 where the rows of J (forward mode: the columns) are orthogonal.

    Args:
      key: a PRNG key, not used elsewhere.
      f: a function from ONE example to its code, arrays of any shape.
      x: one example, with D features; f(x) has K dimensions.
      num_projections: n, the number of vectors v; they are independent and are projected at once.
      distribution: the distribution of v: `gaussian`, standard normal; `rademacher`, random signs; `sphere`, uniform on
        the sphere of radius √K (√D in forward mode).
      mode: `reverse` uses ‖Jᵀ v‖² with v of the code's shape; `forward` uses ‖J v‖² with v of x's shape.

    Returns:
      The estimate of the sum over all pairs of code dimension and feature.

    Raises:
      ValueError: num_projections is below 1, or distribution or mode is unknown.
      TypeError: x or f(x) is not one array of a floating type, or num_projections is not an integer.

    Source: J. Hoffman, D. A. Roberts, S. Yaida (2019), Robust Learning with Jacobian Regularization, whose projections
    are on the unit sphere (and whose library returns half the norm); for Rademacher vectors M. F. Hutchinson (1989), A
    Stochastic Estimator of the Trace of the Influence Matrix.

    >>> f = lambda x: jnp.array([3.0, 4.0]) * x
    >>> estimate_frobenius_norm_squared(jax.random.key(0), f, jnp.ones(2)).item()
    25.0
    """
    x, code = check_function(f, x)
    check_estimator(num_projections, distribution, mode)
    projected_side = code if mode == "reverse" else x
    v = _draw(key, (num_projections, *projected_side.shape), projected_side.dtype, distribution)
    v = placed_as(v, projected_side)
    if mode == "reverse":
        (projected,) = jax.vmap(jax.vjp(f, x)[1])(v)
    else:
        projected = jax.vmap(jax.linearize(f, x)[1])(v)
    squares = jnp.square(projected.astype(at_least_single(projected.dtype)))
    return jnp.sum(squares) / float(num_projections)  # a float: an int may overflow JAX's integers


def estimator_variance(
    jacobian: Float[Array, "K D"], *, num_projections: int = 1, distribution: str = "rademacher", mode: str = "reverse"
) -> Float[Array, ""]:
    """Returns the variance of `estimate_frobenius_norm_squared` for the Jacobian J.

    With A = J Jᵀ of size m = K in reverse mode, A = Jᵀ J of size m = D in forward mode, and n projections, it is:

        gaussian    2 tr(A²) / n
        rademacher  2 (tr(A²) - Σᵢ Aᵢᵢ²) / n
        sphere      (2 m / (m + 2) tr(A²) - 2 / (m + 2) (tr A)²) / n

    tr(A²) = Σ σᵢ⁴, over the singular values of J, is the same in both modes.

    Args:
      jacobian: J of one example, with both shapes flattened.
      num_projections: n, the number of random vectors.
      distribution: `gaussian`, `rademacher` or `sphere`, as for the estimate.
      mode: `reverse` or `forward`, as for the estimate.

    Returns:
      The variance, in the unit of ‖J‖_F⁴, in at least float32.

    Raises:
      ValueError: num_projections is below 1, distribution or mode is unknown, or J is not a matrix.
      TypeError: J is not of a floating type, or num_projections is not an integer.

    Source: for the sphere J. Hoffman, D. A. Roberts, S. Yaida (2019), Robust Learning with Jacobian Regularization; for
    Rademacher vectors M. F. Hutchinson (1989), A Stochastic Estimator of the Trace of the Influence Matrix.

    >>> estimator_variance(jnp.array([[1.0, 0.0], [1.0, 0.0]]), distribution="gaussian").item()
    8.0
    >>> estimator_variance(jnp.array([[1.0, 0.0], [1.0, 0.0]]), distribution="rademacher").item()
    4.0
    """
    check_floating(jacobian=jacobian)
    check_estimator(num_projections, distribution, mode)
    if jacobian.ndim != 2:
        raise ValueError(f"jacobian must be a matrix (K, D), got shape {jacobian.shape}")
    jacobian = jacobian.astype(at_least_single(jacobian.dtype))
    a = jacobian @ jacobian.T if mode == "reverse" else jacobian.T @ jacobian
    size, diagonal = a.shape[0], jnp.diagonal(a)
    off_diagonal = jnp.sum(jnp.square(jnp.where(jnp.eye(size, dtype=bool), 0, a)))
    if distribution == "gaussian":
        variance = 2 * jnp.sum(jnp.square(a))
    elif distribution == "rademacher":
        variance = 2 * off_diagonal
    else:  # m tr(A²) - (tr A)² as a sum of squares, without cancellation
        scatter = jnp.sum(jnp.square(diagonal - jnp.sum(diagonal) / max(size, 1)))
        variance = 2 * size * (off_diagonal + scatter) / (size + 2)
    return variance / float(num_projections)  # a float: an int may overflow JAX's integers


def _draw(key: Array, shape: tuple[int, ...], dtype: jnp.dtype, distribution: str) -> Array:
    size = math.prod(shape[1:])
    if distribution == "rademacher" or (distribution == "sphere" and size == 1):  # this sphere is {-1, 1}
        return jax.random.rademacher(key, shape, dtype)
    # half precision is too coarse to draw normal numbers from and to sum their squares
    v = jax.random.normal(key, shape, at_least_single(dtype))
    if distribution == "sphere":
        v = v * jnp.sqrt(size / jnp.sum(jnp.square(v), axis=tuple(range(1, v.ndim)), keepdims=True))
    return v.astype(dtype)


def check_estimator(num_projections: int, distribution: str, mode: str) -> None:
    """Raise TypeError or ValueError if an estimator's argument has the wrong type or is out of range."""
    check_count("num_projections", num_projections)
    if distribution not in DISTRIBUTIONS:
        raise ValueError(f"distribution must be one of {', '.join(DISTRIBUTIONS)}, got {distribution!r}")
    if mode not in MODES:
        raise ValueError(f"mode must be one of {', '.join(MODES)}, got {mode!r}")
