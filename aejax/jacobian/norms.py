"""Other norms of a Jacobian, and what a decoder's columns are made to be."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from aejax.checks import check_count
from aejax.jacobian.chunks import accumulator
from aejax.jacobian.exact import check_function, jacobian
from aejax.jacobian.spectra import singular_values


def spectral_norm(
    key: Key[Array, ""], f: Callable[[Array], Array], x: Float[Array, "..."], *, iterations: int = 20
) -> Float[Array, ""]:
    """σ₁ = max ‖J v‖ over ‖v‖ = 1, by power iteration u <- J v / ‖J v‖, v <- Jᵀ u / ‖Jᵀ u‖, J never formed.

    From a random start the relative error falls as (σ₂ / σ₁)^(4 · iterations), always from below. Differentiable: v is
    held fixed, which is exact where the iteration has converged and σ₁ > σ₂; at J = 0 the gradient is 0.

    Args:
      key: of the start, not used elsewhere.
      f: from ONE example to its code, arrays of any shape.
      x: one example.
      iterations: each is one product by J and one by Jᵀ.

    Returns:
      ‖J v‖ with the last v.

    Raises:
      ValueError: no iteration.
      TypeError: x or f(x) is not one array of a floating type, or iterations is no integer.

    Source: Y. Yoshida, T. Miyato (2017), Spectral Norm Regularization for Improving the Generalizability of Deep
    Learning, algorithm 1, for a Jacobian in place of a weight matrix.

    >>> spectral_norm(jax.random.key(0), lambda x: jnp.array([3.0, 4.0]) * x, jnp.ones(2)).item()
    4.0
    """
    check_function(f, x)
    check_count("iterations", iterations)
    _, push = jax.linearize(f, x)
    # the iteration sees constants: its own derivative would cost much and say nothing
    fixed, constants = jax.closure_convert(push, x)
    constants = jax.lax.stop_gradient(constants)
    pull = jax.linear_transpose(lambda v: fixed(v, *constants), x)

    def step(v: Array, _: None) -> tuple[Array, None]:
        (new,) = pull(_unit(fixed(v, *constants)))  # of unit length between: Jᵀ J v may lie outside the dtype
        return _unit(new), None

    v, _ = jax.lax.scan(step, _unit(jax.random.normal(key, x.shape, x.dtype)), length=iterations)
    return _norm(push(jax.lax.stop_gradient(v)))


def nuclear_norm(f: Callable[[Array], Array], x: Float[Array, "..."], *, method: str = "jacfwd") -> Float[Array, ""]:
    """Σᵢ σᵢ of J(x), the convex envelope of its rank: as a penalty it asks for few directions, not for short ones.

    Args:
      f: from ONE example to its code, arrays of any shape.
      x: one example.
      method: as for `aejax.jacobian.jacobian`.

    Returns:
      The sum of all singular values.

    Raises:
      ValueError: as `aejax.jacobian.jacobian`.
      TypeError: as there.

    Source: M. Fazel, H. Hindi, S. P. Boyd (2001), A Rank Minimization Heuristic with Application to Minimum Order
    System Approximation.

    >>> nuclear_norm(lambda x: jnp.array([3.0, -4.0]) * x, jnp.ones(2)).item()
    7.0
    """
    return jnp.sum(singular_values(f, x, method=method))


def log_determinant(
    decode: Callable[[Array], Array], code: Float[Array, "..."], *, method: str = "jacfwd"
) -> Float[Array, ""]:
    """The log-determinant log det JᵀJ = 2 Σᵢ log σᵢ of a decoder: twice the logarithm of how it scales volume.

    The density of x = g(z) on the decoder's manifold is log p(x) = log p(z) - ½ log det JᵀJ.

    Args:
      decode: g, from ONE code to its example, which has at least as many numbers.
      code: z.
      method: as for `aejax.jacobian.jacobian`.

    Returns:
      The whole logarithm, not half of it; -inf where the columns of J are dependent.

    Raises:
      ValueError: the example has fewer numbers than the code; or as `aejax.jacobian.jacobian`.
      TypeError: as there.

    Source: A. Ben-Israel (1999), The Change-of-Variables Formula Using Matrix Volume.

    >>> log_determinant(lambda z: jnp.array([1.0, 1.0]) * z, jnp.zeros(1)).item()
    0.6931...
    """
    example = check_function(decode, code)
    if example.size < code.size:
        raise ValueError(f"an example must have at least as many numbers as its code, got {example.size} < {code.size}")
    return 2 * jnp.sum(jnp.log(singular_values(decode, code, method=method)))


def orthogonality_penalty(
    decode: Callable[[Array], Array], code: Float[Array, "..."], *, method: str = "jacfwd"
) -> Float[Array, ""]:
    """Σ_{i ≠ j} (JᵀJ)ᵢⱼ²: zero where the dimensions of the code move an example in orthogonal directions.

    It says nothing of their lengths; those are `frobenius_norm_squared`.

    Args:
      decode: g, from ONE code to its example.
      code: z.
      method: as for `aejax.jacobian.jacobian`.

    Returns:
      The sum over ordered pairs of code dimensions.

    Raises:
      ValueError: as `aejax.jacobian.jacobian`.
      TypeError: as there.

    Source: as a penalty, what M. Rolinek, D. Zietlow, G. Martius (2019), Variational Autoencoders Pursue PCA Directions
    (by Accident), find decoders of variational autoencoders to tend to.

    >>> kernel = jnp.array([[1.0, 1.0], [0.0, 2.0]])
    >>> orthogonality_penalty(lambda z: kernel @ z, jnp.zeros(2)).item()
    2.0
    """
    columns = jacobian(decode, code, method=method).reshape(-1, code.size)
    columns = columns.astype(accumulator(columns.dtype))
    metric = columns.T @ columns
    return jnp.sum(jnp.square(jnp.where(jnp.eye(code.size, dtype=bool), 0, metric)))


def _norm(v: Array) -> Array:
    largest = _largest(v)
    squares = jnp.sum(jnp.square(v / largest))  # of numbers up to 1: neither overflows, nor vanishes as a whole
    is_zero = squares == 0  # there the root has no derivative, and the norm a kink
    return largest * jnp.where(is_zero, 0, jnp.sqrt(jnp.where(is_zero, 1, squares)))


def _unit(v: Array) -> Array:
    v = v / _largest(v)  # before the norm, which may overflow
    norm = _norm(v)
    return v / jnp.where(norm == 0, 1, norm)


def _largest(v: Array) -> Array:
    largest = jnp.max(jnp.abs(v))
    return jax.lax.stop_gradient(jnp.where(largest == 0, 1, largest))
