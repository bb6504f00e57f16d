"""Functions of the singular values of a matrix; derivatives of any order are finite where values are equal or 0.

A symmetric sum over all values, such as the nuclear norm or the log-determinant, is smooth where two values cross,
although each value alone has a kink there. Its derivatives here do not divide by differences of values, as JAX's rule
does.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar, cast

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Value = TypeVar("Value")


class SingularValueDecomposition(NamedTuple):
    """The thin decomposition A = U diag(σ) Vᵀ, of rank min(m, n)."""

    u: Float[Array, "m rank"]
    values: Float[Array, "rank"]
    v: Float[Array, "n rank"]


@jax.custom_jvp
def singular_values_of(matrix: Float[Array, "m n"]) -> Float[Array, "rank"]:
    """Returns σ₁ >= σ₂ >= ... of a matrix; vectors of equal values count as constant in second derivatives."""
    return jnp.linalg.svd(matrix, compute_uv=False)


@singular_values_of.defjvp
def _singular_values_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    (matrix,), (tangent,) = primals, tangents
    u, values, v = _svd(matrix)
    return values, jnp.sum(u * (tangent @ v), axis=0)


@jax.custom_jvp
def sum_of_singular_values(matrix: Float[Array, "m n"]) -> Float[Array, ""]:
    """Returns Σᵢ σᵢ, with the gradient U Vᵀ over the nonzero values; where a value is 0 the sum has a kink."""
    return jnp.sum(singular_values_of(matrix))


@sum_of_singular_values.defjvp
def _sum_of_singular_values_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    (matrix,), (tangent,) = primals, tangents
    tall = matrix.shape[0] >= matrix.shape[1]
    gradient = _polar_factor(matrix) if tall else _polar_factor(matrix.T).T
    return sum_of_singular_values(matrix), jnp.sum(gradient * tangent)


@jax.custom_jvp
def sum_of_log_singular_values(matrix: Float[Array, "m n"]) -> Float[Array, ""]:
    """Returns Σᵢ log σᵢ, -inf if a value is 0 up to rounding; its gradient is the transposed pseudo-inverse."""
    values = singular_values_of(matrix)
    return jnp.sum(jnp.where(_vanish(values, matrix), -jnp.inf, jnp.log(values)))


@sum_of_log_singular_values.defjvp
def _sum_of_log_singular_values_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    (matrix,), (tangent,) = primals, tangents
    return sum_of_log_singular_values(matrix), jnp.sum(_pseudo_inverse(matrix).T * tangent)


def relative_rounding(matrix: Float[Array, "m n"]) -> float:
    """Returns (√m + √n) ε, the error of singular values due to rounding, as a fraction of the largest value.

    Independent relative errors of at most ε in the entries of an (m, n) matrix change its singular values by this much.
    """
    rows, columns = matrix.shape
    return float(jnp.finfo(matrix.dtype).eps) * (math.sqrt(rows) + math.sqrt(columns))


def _with_derivative(
    function: Callable[[Array], Value], derivative: Callable[[Value, Array, Array], Value]
) -> Callable[[Array], Value]:
    """Returns the function of a matrix with its derivative replaced by derivative(value, matrix, tangent).

    The backward pass of `lax.scan` drops custom rules, so the value itself contains the first-order term, which is 0.
    """

    @jax.custom_jvp
    def with_rule(matrix: Array) -> Value:
        fixed = jax.lax.stop_gradient(matrix)
        value = function(fixed)
        return cast(Value, jax.tree.map(jnp.add, value, derivative(value, fixed, matrix - fixed)))

    @with_rule.defjvp
    def _jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Value, Value]:
        (matrix,), (tangent,) = primals, tangents
        value: Value = with_rule(matrix)
        return value, derivative(value, matrix, tangent)

    return cast(Callable[[Array], Value], with_rule)


def _decompose(matrix: Array) -> SingularValueDecomposition:
    u, values, vt = jnp.linalg.svd(matrix, full_matrices=False)
    return SingularValueDecomposition(u, values, vt.T)


def _decomposition_derivative(
    svd: SingularValueDecomposition, matrix: Array, tangent: Array
) -> SingularValueDecomposition:
    u, values, v = svd
    core = u.T @ tangent @ v
    row, column = values[None, :], values[:, None]
    equal = jnp.abs(row - column) <= _rounding(values, matrix)
    gaps = _reciprocal((row - column) * (row + column), equal)
    inverse = _reciprocal(row, _vanish(row, matrix))
    return SingularValueDecomposition(
        u @ (gaps * (core * row + column * core.T)) + (tangent @ v - u @ core) * inverse,
        jnp.diagonal(core),
        v @ (gaps * (column * core + core.T * row)) + (tangent.T @ u - v @ core.T) * inverse,
    )


def _orthogonal_factor(matrix: Array) -> Array:
    """Returns U Vᵀ over the nonzero singular values, for a matrix with at least as many rows as columns."""
    u, values, v = _decompose(matrix)
    return jnp.where(_vanish(values, matrix)[None], 0, u) @ v.T


def _polar_factor_derivative(q: Array, matrix: Array, tangent: Array) -> Array:
    """Returns dQ = Q Ω + (1 - Q Qᵀ) dA H⁻¹ for A = Q H, where Ω H + H Ω = Qᵀ dA - dAᵀ Q."""
    h, along = q.T @ matrix, q.T @ tangent
    h = 0.5 * (h + h.T)
    return q @ _solve_lyapunov(h, along - along.T) + (tangent - q @ along) @ _pseudo_inverse(h)


def _solve_lyapunov(h: Array, right: Array) -> Array:
    """Solves H X + X H = right for a symmetric H with eigenvalues >= 0; X is 0 where two eigenvalues sum to 0."""
    eigenvalues, vectors = jnp.linalg.eigh(jax.lax.stop_gradient(h))
    sums = eigenvalues[:, None] + eigenvalues[None, :]
    inverse = _reciprocal(sums, sums <= relative_rounding(h) * jnp.max(eigenvalues, initial=0))

    def solve(_: Any, right: Array) -> Array:
        return vectors @ (inverse * (vectors.T @ right @ vectors)) @ vectors.T

    solution: Array = jax.lax.custom_linear_solve(lambda x: h @ x + x @ h, right, solve, symmetric=True)
    return solution


def _invert(matrix: Array) -> Array:
    u, values, v = _decompose(matrix)
    return (v * _reciprocal(values, _vanish(values, matrix))[None]) @ u.T


def _pseudo_inverse_derivative(inverse: Array, matrix: Array, tangent: Array) -> Array:
    """Returns the derivative at constant rank.

    Source: G. H. Golub, V. Pereyra (1973), The Differentiation of Pseudo-Inverses and Nonlinear Least Squares Problems
    Whose Variables Separate.
    """
    left = inverse @ inverse.T @ tangent.T
    right = tangent.T @ inverse.T @ inverse
    return -inverse @ tangent @ inverse + left - left @ matrix @ inverse + right - inverse @ matrix @ right


_svd = _with_derivative(_decompose, _decomposition_derivative)
_polar_factor = _with_derivative(_orthogonal_factor, _polar_factor_derivative)
_pseudo_inverse = _with_derivative(_invert, _pseudo_inverse_derivative)


def _rounding(values: Array, matrix: Array) -> Array:
    return relative_rounding(matrix) * jax.lax.stop_gradient(jnp.max(values, initial=0))


def _vanish(values: Array, matrix: Array) -> Array:
    return values <= _rounding(values, matrix)


def _reciprocal(values: Array, is_zero: Array) -> Array:
    """Returns 1 / values, and 0, with derivatives of 0, where `is_zero`."""
    return jnp.where(is_zero, 0, 1 / jnp.where(is_zero, 1, values))
