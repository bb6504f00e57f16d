"""Other norms of a Jacobian, and what a decoder's columns are made to be."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from aejax.checks import check_count
from aejax.jacobian.exact import check_function, jacobian_matrix
from aejax.jacobian.leading import norm_by_power_iteration
from aejax.jacobian.matrices import sum_of_log_singular_values, sum_of_singular_values
from aejax.jacobian.placement import placed_as
from aejax.jacobian.vectors import unit
from aejax.precision import at_least_single


def spectral_norm(
    key: Key[Array, ""], f: Callable[[Array], Array], x: Float[Array, "..."], *, iterations: int = 20
) -> Float[Array, ""]:
    """σ₁ = max ‖J v‖ over ‖v‖ = 1, by power iteration u <- J v / ‖J v‖, v <- Jᵀ u / ‖Jᵀ u‖, J never formed.

    From a random start the relative error falls as (σ₂ / σ₁)^(4 · iterations), always from below. Its derivatives are
    exact, of any order, where the iteration has converged and σ₁ > σ₂: those of ‖J v‖ with v fixed, and from the second
    on with v's own, by as many steps of conjugate gradients. Where σ₁ = σ₂ or J = 0 the norm has a kink: there they are
    finite, and those of ‖J v‖ with v fixed; at J = 0 they are 0.

    Args:
      key: of the start, not used elsewhere.
      f: from ONE example to its code, arrays of any shape.
      x: one example.
      iterations: each is one product by J and one by Jᵀ.

    Returns:
      ‖J v‖ with the last v, in float32 at least.

    Raises:
      ValueError: no iteration.
      TypeError: x or f(x) is not one array of a floating type, or iterations is no integer.

    Source: Y. Yoshida, T. Miyato (2017), Spectral Norm Regularization for Improving the Generalizability of Deep
    Learning, algorithm 1, for a Jacobian in place of a weight matrix.

    >>> spectral_norm(jax.random.key(0), lambda x: jnp.array([3.0, 4.0]) * x, jnp.ones(2)).item()
    4.0
    """
    x, _ = check_function(f, x)
    check_count("iterations", iterations)
    # half precision has too few numbers to draw normal ones from
    start = unit(jax.random.normal(key, x.shape, at_least_single(x.dtype))).astype(x.dtype)
    of_constants, constants = jax.closure_convert(f, x)
    return norm_by_power_iteration(
        lambda point: of_constants(point[0], *point[1]),
        (x, constants),
        placed_as(start[None], x)[0],
        iterations=int(iterations),
    )


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
    return sum_of_singular_values(jacobian_matrix(f, x, method=method))


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
      The whole logarithm, not half of it, in float32 at least; -inf where the columns of J are dependent, which is
      where σ is at most (√D + √K) ε σ₁, the rounding of a (D, K) matrix. There its derivatives are finite, and those
      of the sum over the other σ.

    Raises:
      ValueError: the example has fewer numbers than the code; or as `aejax.jacobian.jacobian`.
      TypeError: as there.

    Source: A. Ben-Israel (1999), The Change-of-Variables Formula Using Matrix Volume.

    >>> log_determinant(lambda z: jnp.array([1.0, 1.0]) * z, jnp.zeros(1)).item()
    0.6931...
    """
    code, example = check_function(decode, code)
    if example.size < code.size:
        raise ValueError(f"an example must have at least as many numbers as its code, got {example.size} < {code.size}")
    return 2 * sum_of_log_singular_values(jacobian_matrix(decode, code, method=method))


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
    columns = jacobian_matrix(decode, code, method=method)
    metric = columns.T @ columns
    return jnp.sum(jnp.square(jnp.where(jnp.eye(len(metric), dtype=bool), 0, metric)))
