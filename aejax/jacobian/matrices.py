"""Functions of the singular values of a matrix, whose derivatives of any order are finite where values are equal or 0.

A sum over all values, as the nuclear norm and the log-determinant are, is smooth where values cross, though each value
by itself has a kink there: its derivatives are written without the differences of values that JAX's rule divides by.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar, cast

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Value = TypeVar("Value")


class Frames(NamedTuple):
    """A = U diag(σ) Vᵀ, as narrow as it can be."""

    u: Float[Array, "m rank"]
    values: Float[Array, "rank"]
    v: Float[Array, "n rank"]


@jax.custom_jvp
def singular_values_of(matrix: Float[Array, "m n"]) -> Float[Array, "rank"]:
    """σ₁ >= σ₂ >= ... of one matrix; where values are equal, their vectors count as fixed in second derivatives."""
    return jnp.linalg.svd(matrix, compute_uv=False)


@singular_values_of.defjvp
def _singular_values_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    (matrix,), (tangent,) = primals, tangents
    u, values, v = _frames(matrix)
    return values, jnp.sum(u * (tangent @ v), axis=0)


@jax.custom_jvp
def sum_of_singular_values(matrix: Float[Array, "m n"]) -> Float[Array, ""]:
    """Σᵢ σᵢ, with the gradient U Vᵀ over the values that are not 0: by those that are the sum has a kink."""
    return jnp.sum(singular_values_of(matrix))


@sum_of_singular_values.defjvp
def _sum_of_singular_values_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    (matrix,), (tangent,) = primals, tangents
    tall = matrix.shape[0] >= matrix.shape[1]
    gradient = _polar_factor(matrix) if tall else _polar_factor(matrix.T).T
    return sum_of_singular_values(matrix), jnp.sum(gradient * tangent)


@jax.custom_jvp
def sum_of_log_singular_values(matrix: Float[Array, "m n"]) -> Float[Array, ""]:
    """Σᵢ log σᵢ, -inf where a value is not told from 0, and its gradient, the transposed pseudo-inverse."""
    values = singular_values_of(matrix)
    return jnp.sum(jnp.where(_vanish(values, matrix), -jnp.inf, jnp.log(values)))


@sum_of_log_singular_values.defjvp
def _sum_of_log_singular_values_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    (matrix,), (tangent,) = primals, tangents
    return sum_of_log_singular_values(matrix), jnp.sum(_pseudo_inverse(matrix).T * tangent)


def relative_rounding(matrix: Float[Array, "m n"]) -> float:
    """(√m + √n) ε: how far rounding moves singular values, as a fraction of the largest.

    Independent errors of its entries, each at most ε times their size, move the values of an (m, n) matrix by so much.
    """
    rows, columns = matrix.shape
    return float(jnp.finfo(matrix.dtype).eps) * (math.sqrt(rows) + math.sqrt(columns))


def _with_derivative(
    function: Callable[[Array], Value], derivative: Callable[[Value, Array, Array], Value]
) -> Callable[[Array], Value]:
    """The function of a matrix whose derivative is derivative(value, matrix, tangent).

    The backward pass of `lax.scan` drops custom rules: so the value itself holds a first-order term, which is 0.
    """

    @jax.custom_jvp
    def whole(matrix: Array) -> Value:
        fixed = jax.lax.stop_gradient(matrix)
        value = function(fixed)
        return cast(Value, jax.tree.map(jnp.add, value, derivative(value, fixed, matrix - fixed)))

    @whole.defjvp
    def _jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Value, Value]:
        (matrix,), (tangent,) = primals, tangents
        value: Value = whole(matrix)
        return value, derivative(value, matrix, tangent)

    return cast(Callable[[Array], Value], whole)


def _decompose(matrix: Array) -> Frames:
    u, values, vt = jnp.linalg.svd(matrix, full_matrices=False)
    return Frames(u, values, vt.T)


def _turn_frames(frames: Frames, matrix: Array, tangent: Array) -> Frames:
    u, values, v = frames
    core = u.T @ tangent @ v
    row, column = values[None, :], values[:, None]
    equal = jnp.abs(row - column) <= _rounding(values, matrix)
    gaps = _reciprocal((row - column) * (row + column), equal)
    inverse = _reciprocal(row, _vanish(row, matrix))
    return Frames(
        u @ (gaps * (core * row + column * core.T)) + (tangent @ v - u @ core) * inverse,
        jnp.diagonal(core),
        v @ (gaps * (column * core + core.T * row)) + (tangent.T @ u - v @ core.T) * inverse,
    )


def _product_of_frames(matrix: Array) -> Array:
    """U Vᵀ of a matrix that is not wider than high, over the singular values that are not 0."""
    u, values, v = _decompose(matrix)
    return jnp.where(_vanish(values, matrix)[None], 0, u) @ v.T


def _turn_polar_factor(q: Array, matrix: Array, tangent: Array) -> Array:
    """DQ = Q Ω + (1 - Q Qᵀ) dA H⁻¹ for A = Q H, where Ω H + H Ω = Qᵀ dA - dAᵀ Q."""
    h, along = q.T @ matrix, q.T @ tangent
    h = 0.5 * (h + h.T)
    return q @ _solve_lyapunov(h, along - along.T) + (tangent - q @ along) @ _pseudo_inverse(h)


def _solve_lyapunov(h: Array, right: Array) -> Array:
    """X with H X + X H = right, for a symmetric H with eigenvalues >= 0; 0 where two of them add to 0."""
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


def _turn_pseudo_inverse(inverse: Array, matrix: Array, tangent: Array) -> Array:
    """Where the rank stays: G. H. Golub, V. Pereyra (1973), The Differentiation of Pseudo-Inverses and [...]."""
    left = inverse @ inverse.T @ tangent.T
    right = tangent.T @ inverse.T @ inverse
    return -inverse @ tangent @ inverse + left - left @ matrix @ inverse + right - inverse @ matrix @ right


_frames = _with_derivative(_decompose, _turn_frames)
_polar_factor = _with_derivative(_product_of_frames, _turn_polar_factor)
_pseudo_inverse = _with_derivative(_invert, _turn_pseudo_inverse)


def _rounding(values: Array, matrix: Array) -> Array:
    return relative_rounding(matrix) * jax.lax.stop_gradient(jnp.max(values, initial=0))


def _vanish(values: Array, matrix: Array) -> Array:
    return values <= _rounding(values, matrix)


def _reciprocal(values: Array, is_zero: Array) -> Array:
    """1 / values, and 0 where they count as 0, with its derivatives."""
    return jnp.where(is_zero, 0, 1 / jnp.where(is_zero, 1, values))
