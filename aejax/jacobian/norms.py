"""Spectral and nuclear norm of a Jacobian, the log-determinant of a decoder, and the orthogonality of its columns."""

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
    """Returns σ₁ = max ‖J v‖ over ‖v‖ = 1 by power iteration, u <- J v / ‖J v‖, v <- Jᵀ u / ‖Jᵀ u‖, without forming J.

    From a random start it rises to σ₁ with a relative error of order (σ₂ / σ₁)^(4 · iterations). Where it has
    converged and σ₁ > σ₂, its derivatives of any order are exact: the first is that of ‖J v‖ with v fixed, higher ones
    include v's own derivative, computed by `iterations` steps of conjugate gradients. Where σ₁ = σ₂ or J = 0 the norm
    has a kink: there the derivatives are finite, those of ‖J v‖ with v fixed, and 0 at J = 0.

    Args:
      key: a PRNG key for the start vector, not used elsewhere.
      f: a function from ONE example to its code, arrays of any shape.
      x: one example.
      iterations: the number of power iterations; each is one product with J and one with Jᵀ.

    Returns:
      ‖J v‖ with the last v, in at least float32.

    Raises:
      ValueError: iterations is below 1.
      TypeError: x or f(x) is not one array of a floating type, or iterations is not an integer.

    Source: Y. Yoshida, T. Miyato (2017), Spectral Norm Regularization for Improving the Generalizability of Deep
    Learning, algorithm 1, for a Jacobian in place of a weight matrix.

    >>> spectral_norm(jax.random.key(0), lambda x: jnp.array([3.0, 4.0]) * x, jnp.ones(2)).item()
    4.0
    """
    x, _ = check_function(f, x)
    check_count("iterations", iterations)
    # half precision is too coarse to draw normal numbers from
    start = unit(jax.random.normal(key, x.shape, at_least_single(x.dtype))).astype(x.dtype)
    f_of_constants, constants = jax.closure_convert(f, x)
    return norm_by_power_iteration(
        lambda point: f_of_constants(point[0], *point[1]),
        (x, constants),
        placed_as(start[None], x)[0],
        iterations=int(iterations),
    )


def nuclear_norm(f: Callable[[Array], Array], x: Float[Array, "..."], *, method: str = "jacfwd") -> Float[Array, ""]:
    """Returns the nuclear norm Σᵢ σᵢ of J(x), the convex envelope of its rank: as a penalty it favors low rank.

    Args:
      f: a function from ONE example to its code, arrays of any shape.
      x: one example.
      method: the method of `aejax.jacobian.jacobian`.

    Returns:
      The sum of all singular values, in at least float32.

    Raises:
      ValueError: `aejax.jacobian.jacobian` raises it.
      TypeError: `aejax.jacobian.jacobian` raises it.

    Source: M. Fazel, H. Hindi, S. P. Boyd (2001), A Rank Minimization Heuristic with Application to Minimum Order
    System Approximation.

    >>> nuclear_norm(lambda x: jnp.array([3.0, -4.0]) * x, jnp.ones(2)).item()
    7.0
    """
    return sum_of_singular_values(jacobian_matrix(f, x, method=method))


def log_determinant(
    decode: Callable[[Array], Array], code: Float[Array, "..."], *, method: str = "jacfwd"
) -> Float[Array, ""]:
    """Returns log det JᵀJ = 2 Σᵢ log σᵢ of a decoder: twice the logarithm of the factor by which it scales volume.

    The density of x = g(z) on the decoder's manifold is log p(x) = log p(z) - ½ log det JᵀJ.

    Args:
      decode: g, a function from ONE code to its example, which has at least as many dimensions as the code.
      code: z.
      method: the method of `aejax.jacobian.jacobian`.

    Returns:
      log det JᵀJ, without the factor ½, in nats, in at least float32. It is -inf where the columns of J are dependent,
      that is where some σ is at most (√D + √K) ε σ₁, the rounding error of a (D, K) matrix. Its derivatives there are
      finite: those of the sum over the other σ.

    Raises:
      ValueError: the example has fewer dimensions than the code, or `aejax.jacobian.jacobian` raises it.
      TypeError: `aejax.jacobian.jacobian` raises it.

    Source: A. Ben-Israel (1999), The Change-of-Variables Formula Using Matrix Volume.

    >>> log_determinant(lambda z: jnp.array([1.0, 1.0]) * z, jnp.zeros(1)).item()
    0.6931...
    """
    code, example = check_function(decode, code)
    if example.size < code.size:
        raise ValueError(
            f"an example must have at least as many dimensions as its code, got {example.size} < {code.size}"
        )
    return 2 * sum_of_log_singular_values(jacobian_matrix(decode, code, method=method))


def orthogonality_penalty(
    decode: Callable[[Array], Array], code: Float[Array, "..."], *, method: str = "jacfwd"
) -> Float[Array, ""]:
    """Returns Σ_{i ≠ j} (JᵀJ)ᵢⱼ², which is 0 if the dimensions of the code move an example in orthogonal directions.

    It does not constrain the lengths of J's columns; `frobenius_norm_squared` is the sum of their squares.

    Args:
      decode: g, a function from ONE code to its example.
      code: z.
      method: the method of `aejax.jacobian.jacobian`.

    Returns:
      The sum over ordered pairs of code dimensions, in at least float32.

    Raises:
      ValueError: `aejax.jacobian.jacobian` raises it.
      TypeError: `aejax.jacobian.jacobian` raises it.

    Source: M. Rolinek, D. Zietlow, G. Martius (2019), Variational Autoencoders Pursue PCA Directions (by Accident), who
    find that decoders of variational autoencoders tend to this orthogonality; here it is a penalty.

    >>> kernel = jnp.array([[1.0, 1.0], [0.0, 2.0]])
    >>> orthogonality_penalty(lambda z: kernel @ z, jnp.zeros(2)).item()
    2.0
    """
    columns = jacobian_matrix(decode, code, method=method)
    metric = columns.T @ columns
    return jnp.sum(jnp.square(jnp.where(jnp.eye(len(metric), dtype=bool), 0, metric)))
