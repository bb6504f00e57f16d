"""Estimates of ‖J‖_F² from a few random projections, and how far they scatter."""

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
    """An unbiased estimate of ‖J(x)‖_F²: the mean of ‖Jᵀ v‖² over random v with E v vᵀ = I.

    Its variance is that of `estimator_variance`, where it is given for each distribution. The Rademacher estimate's
    is never above the Gaussian one's, and 0 where the rows of J (forward: its columns) are orthogonal.

    Args:
      key: a key, not used elsewhere.
      f: from ONE example to its code, arrays of any shape.
      x: one example, of D numbers; f(x) is of K.
      num_projections: n, the number of v; all are drawn independently, and projected at once.
      distribution: of v: `gaussian`, standard normal; `rademacher`, signs; `sphere`, uniform on the sphere of radius √K
        (√D for the forward mode).
      mode: `reverse` pulls v, of the code's shape, back; `forward` pushes v, of x's shape: ‖J v‖².

    Returns:
      The estimate of the sum over all pairs of code dimension and feature.

    Raises:
      ValueError: no projection, or an unknown distribution or mode.
      TypeError: x or f(x) is not one array of a floating type, or num_projections is no integer.

    Source: J. Hoffman, D. A. Roberts, S. Yaida (2019), Robust Learning with Jacobian Regularization, whose projections
    are on the unit sphere (and whose library returns half the norm); M. F. Hutchinson (1989), A Stochastic Estimator of
    the Trace of the Influence Matrix, for the signs.

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
    return jnp.sum(squares) / float(num_projections)  # which, unlike an int, has no largest value


def estimator_variance(
    jacobian: Float[Array, "K D"], *, num_projections: int = 1, distribution: str = "rademacher", mode: str = "reverse"
) -> Float[Array, ""]:
    """The variance of `estimate_frobenius_norm_squared` where the Jacobian is J.

    With A = J Jᵀ of size m = K for the reverse mode, A = Jᵀ J of size m = D for the forward mode, and n projections:

        gaussian    2 tr(A²) / n
        rademacher  2 (tr(A²) - Σᵢ Aᵢᵢ²) / n
        sphere      (2 m / (m + 2) tr(A²) - 2 / (m + 2) (tr A)²) / n

    tr(A²) = Σ σᵢ⁴ is the same for both modes, over the singular values of J.

    Args:
      jacobian: J of one example, each shape flattened.
      num_projections: n.
      distribution: as there.
      mode: as there.

    Returns:
      In the unit of ‖J‖_F⁴, in float32 at least.

    Raises:
      ValueError: no projection, an unknown distribution or mode, or J is not a matrix.
      TypeError: J is not of a floating type, or num_projections is no integer.

    Source: for the sphere J. Hoffman, D. A. Roberts, S. Yaida (2019), Robust Learning with Jacobian Regularization; for
    the signs M. F. Hutchinson (1989), A Stochastic Estimator of the Trace of the Influence Matrix.

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
    else:  # m tr(A²) - (tr A)², as a sum of squares that does not cancel
        scatter = jnp.sum(jnp.square(diagonal - jnp.sum(diagonal) / max(size, 1)))
        variance = 2 * size * (off_diagonal + scatter) / (size + 2)
    return variance / float(num_projections)  # which, unlike an int, has no largest value


def _draw(key: Array, shape: tuple[int, ...], dtype: jnp.dtype, distribution: str) -> Array:
    size = math.prod(shape[1:])
    if distribution == "rademacher" or (distribution == "sphere" and size == 1):  # a sphere of two points
        return jax.random.rademacher(key, shape, dtype)
    # half precision has too few numbers to draw normal ones from, and to add their squares
    v = jax.random.normal(key, shape, at_least_single(dtype))
    if distribution == "sphere":
        v = v * jnp.sqrt(size / jnp.sum(jnp.square(v), axis=tuple(range(1, v.ndim)), keepdims=True))
    return v.astype(dtype)


def check_estimator(num_projections: int, distribution: str, mode: str) -> None:
    """Raise TypeError or ValueError where an estimator's knob is of another type or out of range."""
    check_count("num_projections", num_projections)
    if distribution not in DISTRIBUTIONS:
        raise ValueError(f"distribution must be one of {', '.join(DISTRIBUTIONS)}, got {distribution!r}")
    if mode not in MODES:
        raise ValueError(f"mode must be one of {', '.join(MODES)}, got {mode!r}")
