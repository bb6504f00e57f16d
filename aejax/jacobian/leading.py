"""The largest singular value of a Jacobian that is never formed, with derivatives of any order."""

from collections.abc import Callable
from typing import Any, cast

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from aejax.jacobian.vectors import inner_product, norm, unit

Point = tuple[Array, PyTree]  # x, and all else that f(x) depends on


def norm_by_power_iteration(
    f: Callable[[Point], Array], point: Point, start: Float[Array, "..."], *, iterations: int
) -> Float[Array, ""]:
    """σ₁ = ‖J v‖, J = ∂f/∂x, with v from a start of unit length by so many products by Jᵀ J.

    Args:
      f: of x and of all else that it depends on, for derivatives by both: it closes over nothing differentiated.
      point: x and the rest.
      start: of x's shape.
      iterations: of the power method; and, for each derivative beyond the first, of conjugate gradients.
    """

    def product(point: Point, v: Array) -> Array:
        x, rest = point
        return jax.jvp(lambda x: f((x, rest)), (x,), (v,))[1]

    def both_products(point: Point, v: Array, scale: Array) -> Array:
        """Jᵀ J v / scale², of J v / scale: the square may lie outside the dtype."""
        x, rest = point
        forward = product(point, v)
        (back,) = jax.vjp(lambda x: f((x, rest)), x)[1](forward / scale.astype(forward.dtype))
        return cast(Array, back / scale.astype(v.dtype))

    @jax.custom_jvp
    def direction(point: Point, start: Array) -> Array:
        x, rest = point
        _, push = jax.linearize(lambda x: f((x, rest)), x)
        pull = jax.linear_transpose(push, x)

        def step(v: Array, _: None) -> tuple[Array, None]:
            (new,) = pull(unit(push(v)))  # of unit length between, too
            return unit(new), None

        return jax.lax.scan(step, start, length=iterations)[0]

    @direction.defjvp
    def _direction_jvp(primals: Any, tangents: Any) -> tuple[Array, Array]:
        """Dv = (1 - Jᵀ J / σ²)⁺ d(Jᵀ J) v / σ², across v."""
        (point, start), (tangent, _) = primals, tangents
        v, length = direction(point, start), value(point, start)
        scale = jnp.where(length == 0, 1, length)
        turn = jax.jvp(lambda point: both_products(point, v, scale), (point,), (tangent,))[1]

        def matrix(y: Array) -> Array:
            inside = _across(v, y)
            return y - _across(v, both_products(point, inside, scale))

        return v, _solve(matrix, _across(v, turn), iterations)

    @jax.custom_jvp
    def value(point: Point, start: Array) -> Array:
        return norm(product(point, direction(point, start)))

    @value.defjvp
    def _value_jvp(primals: Any, tangents: Any) -> tuple[Array, Array]:
        (point, start), (tangent, _) = primals, tangents
        v = direction(point, start)
        return jax.jvp(lambda point: norm(product(point, v)), (point,), (tangent,))

    return value(point, start)


def _across(v: Array, y: Array) -> Array:
    return y - inner_product(v, y).astype(y.dtype) * v


def _solve(matrix: Callable[[Array], Array], right: Array, iterations: int) -> Array:
    """Conjugate gradients for a symmetric matrix with eigenvalues from 0 to 1, without the directions of those at 0."""
    least = 16 * float(jnp.finfo(right.dtype).eps)

    def solve(matrix: Callable[[Array], Array], right: Array) -> Array:
        def step(carry: tuple[Array, Array, Array], _: None) -> tuple[tuple[Array, Array, Array], None]:
            solution, rest, way = carry
            image, size = matrix(way), inner_product(rest, rest)
            curvature = inner_product(way, image)
            goes_on = curvature > least * inner_product(way, way)
            length = jnp.where(goes_on, size / jnp.where(goes_on, curvature, 1), 0).astype(right.dtype)
            left = rest - length * image
            turn = jnp.where(size > 0, inner_product(left, left) / jnp.where(size > 0, size, 1), 0).astype(right.dtype)
            return (solution + length * way, left, jnp.where(goes_on, left + turn * way, 0)), None

        start = (jnp.zeros_like(right), right, right)
        return jax.lax.scan(step, start, length=iterations)[0][0]

    solution: Array = jax.lax.custom_linear_solve(matrix, right, solve, symmetric=True)
    return solution
