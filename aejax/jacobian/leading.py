"""The largest singular value of a Jacobian that is never formed, differentiable to any order."""

from collections.abc import Callable
from typing import Any, cast

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from aejax.jacobian.vectors import inner_product, norm, unit

Point = tuple[Array, PyTree]  # x, and the constants that f depends on


def norm_by_power_iteration(
    f: Callable[[Point], Array], point: Point, start: Float[Array, "..."], *, iterations: int
) -> Float[Array, ""]:
    """Returns σ₁ = ‖J v‖, J = ∂f/∂x, where v results from `iterations` products of Jᵀ J with a start vector.

    Args:
      f: a function of (x, constants). It must not close over a differentiated value: derivatives are taken with respect
        to both.
      point: x and the constants.
      start: a vector of unit length, of x's shape.
      iterations: the number of power iterations and, for each derivative beyond the first, of conjugate gradient steps.
    """

    def product(point: Point, v: Array) -> Array:
        x, rest = point
        return jax.jvp(lambda x: f((x, rest)), (x,), (v,))[1]

    def both_products(point: Point, v: Array, scale: Array) -> Array:
        """Returns Jᵀ J v / scale², computed from J v / scale, as scale² may overflow or underflow."""
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
            (new,) = pull(unit(push(v)))  # normalized in between, to avoid overflow
            return unit(new), None

        return jax.lax.scan(step, start, length=iterations)[0]

    @direction.defjvp
    def _direction_jvp(primals: Any, tangents: Any) -> tuple[Array, Array]:
        """Returns dv = (1 - Jᵀ J / σ²)⁺ d(Jᵀ J) v / σ², in the subspace orthogonal to v."""
        (point, start), (tangent, _) = primals, tangents
        v, length = direction(point, start), value(point, start)
        scale = jnp.where(length == 0, 1, length)
        change = jax.jvp(lambda point: both_products(point, v, scale), (point,), (tangent,))[1]

        def matrix(y: Array) -> Array:
            orthogonal = _orthogonal_to(v, y)
            return y - _orthogonal_to(v, both_products(point, orthogonal, scale))

        return v, _solve(matrix, _orthogonal_to(v, change), iterations)

    @jax.custom_jvp
    def value(point: Point, start: Array) -> Array:
        return norm(product(point, direction(point, start)))

    @value.defjvp
    def _value_jvp(primals: Any, tangents: Any) -> tuple[Array, Array]:
        (point, start), (tangent, _) = primals, tangents
        v = direction(point, start)
        return jax.jvp(lambda point: norm(product(point, v)), (point,), (tangent,))

    return value(point, start)


def _orthogonal_to(v: Array, y: Array) -> Array:
    """Returns the component of y that is orthogonal to the unit vector v."""
    return y - inner_product(v, y).astype(y.dtype) * v


def _solve(matrix: Callable[[Array], Array], right: Array, iterations: int) -> Array:
    """Solves a symmetric system with eigenvalues in [0, 1] by conjugate gradients, ignoring the null space."""
    min_curvature = 16 * float(jnp.finfo(right.dtype).eps)

    def solve(matrix: Callable[[Array], Array], right: Array) -> Array:
        def step(carry: tuple[Array, Array, Array], _: None) -> tuple[tuple[Array, Array, Array], None]:
            solution, residual, search = carry
            image, size = matrix(search), inner_product(residual, residual)
            curvature = inner_product(search, image)
            goes_on = curvature > min_curvature * inner_product(search, search)
            length = jnp.where(goes_on, size / jnp.where(goes_on, curvature, 1), 0).astype(right.dtype)
            new = residual - length * image
            ratio = jnp.where(size > 0, inner_product(new, new) / jnp.where(size > 0, size, 1), 0).astype(right.dtype)
            return (solution + length * search, new, jnp.where(goes_on, new + ratio * search, 0)), None

        start = (jnp.zeros_like(right), right, right)
        return jax.lax.scan(step, start, length=iterations)[0][0]

    solution: Array = jax.lax.custom_linear_solve(matrix, right, solve, symmetric=True)
    return solution
