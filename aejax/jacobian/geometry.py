"""Riemannian geometry of the surface that a decoder spans in data space: metric, lengths, volumes, geodesics.

Source: H. Shao, A. Kumar, P. T. Fletcher (2018), The Riemannian Geometry of Deep Generative Models;
G. Arvanitidis, L. K. Hansen, S. Hauberg (2018), Latent Space Oddity: On the Curvature of Deep Generative Models.
"""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from aejax.checks import check_count, check_floating, check_positive, check_same_shape
from aejax.jacobian.exact import check_function, jacobian_matrix
from aejax.jacobian.norms import log_determinant
from aejax.jacobian.placement import varying_as
from aejax.jacobian.vectors import norm
from aejax.precision import at_least_single


def pullback_metric(
    decode: Callable[[Array], Array], code: Float[Array, "K"], *, method: str = "jacfwd"
) -> Float[Array, "K K"]:
    """Returns the pullback metric M(z) = J(z)ᵀ J(z): dzᵀ M dz is the squared distance in data space of a step dz.

    Args:
      decode: g, a function from ONE code to its example.
      code: z, a vector.
      method: the method of `aejax.jacobian.jacobian`.

    Returns:
      A symmetric matrix (K, K), positive definite where the columns of J are independent, in at least float32.

    Raises:
      ValueError: the code is not a vector, or `aejax.jacobian.jacobian` raises it.
      TypeError: the code is not of a floating type, or `aejax.jacobian.jacobian` raises it.

    >>> pullback_metric(lambda z: jnp.stack([jnp.cos(z[0]), jnp.sin(z[0])]), jnp.array([0.0])).item()
    1.0
    """
    check_floating(code=code)
    _check_axes("code", code, 1)
    columns = jacobian_matrix(decode, code, method=method)
    return columns.T @ columns


def curve_length(decode: Callable[[Array], Array], codes: Float[Array, "T K"]) -> Float[Array, ""]:
    """Returns Σₜ ‖g(zₜ₊₁) - g(zₜ)‖, a lower bound of the length in data space of a curve through the codes.

    Args:
      decode: g, a function from ONE code to its example.
      codes: at least two codes along the curve.

    Returns:
      The length of the polygon, in the unit of the data, in at least float32. Where two neighbors have the same
      reconstruction it has a kink, and its derivatives count as 0.

    Raises:
      ValueError: there are fewer than two codes, or codes is not (T, K).
      TypeError: the codes are not of a floating type.

    >>> curve_length(lambda z: jnp.stack([3.0 * z[0], 4.0 * z[0]]), jnp.array([[0.0], [1.0], [2.0]])).item()
    10.0
    """
    return jnp.sum(jax.vmap(norm)(_steps(decode, codes)))


def curve_energy(decode: Callable[[Array], Array], codes: Float[Array, "T K"]) -> Float[Array, ""]:
    """Returns the energy ½ ∫ ‖∂g(z(t))/∂t‖² dt, t from 0 to 1, of a curve: (T - 1) / 2 · Σₜ ‖g(zₜ₊₁) - g(zₜ)‖².

    It is at least half the squared length, with equality at constant speed. Geodesics minimize it.

    Args:
      decode: g, a function from ONE code to its example.
      codes: at least two codes along the curve, at equal steps of t.

    Returns:
      The energy, in the squared unit of the data, in at least float32.

    Raises:
      ValueError: there are fewer than two codes, or codes is not (T, K).
      TypeError: the codes are not of a floating type.

    >>> curve_energy(lambda z: jnp.stack([3.0 * z[0], 4.0 * z[0]]), jnp.array([[0.0], [1.0], [2.0]])).item()
    50.0
    """
    steps = _steps(decode, codes)
    return 0.5 * len(steps) * jnp.sum(jnp.square(steps))


def log_volume(decode: Callable[[Array], Array], codes: Float[Array, "N K"]) -> Float[Array, "N"]:
    """Returns ½ log det J(z)ᵀ J(z) at every code: the logarithm of the factor by which the decoder scales volume.

    It is high where the decoder changes fast, such as between clusters.

    Args:
      decode: g, a function from ONE code to its example, which has at least as many dimensions as the code.
      codes: N codes, such as the points of a grid, in any order.

    Returns:
      One number for each code, (N,), in nats, with the limits and derivatives of `aejax.jacobian.log_determinant`.

    Raises:
      ValueError: codes is not (N, K), or a code has more dimensions than its example.
      TypeError: the codes are not of a floating type.

    >>> log_volume(lambda z: jnp.exp(z), jnp.array([[0.0, 0.0], [1.0, 2.0]]))
    Array([0., 3.], dtype=float32)
    """
    check_floating(codes=codes)
    _check_axes("codes", codes, 2)
    return 0.5 * jax.lax.map(lambda code: log_determinant(decode, code), codes)


def geodesic(
    decode: Callable[[Array], Array],
    start: Float[Array, "K"],
    end: Float[Array, "K"],
    *,
    points: int = 32,
    steps: int = 500,
    learning_rate: float = 0.01,
) -> Float[Array, "points K"]:
    """Returns a curve between two codes that minimizes `curve_energy`: locally the shortest path on the surface.

    The curve starts as the straight line between the codes and is optimized by Adam with a cosine decay of the learning
    rate to 0. It converges to a minimum close to that line, which need not be the global one. Each dimension of the
    code is scaled by the step that moves an example by the length of the line's image, as root mean square along the
    line, so that the units of codes and data do not matter.

    Args:
      decode: g, a smooth function from ONE code to its example.
      start: the first code, which is kept fixed.
      end: the last code, which is kept fixed.
      points: T, the number of codes, both ends included, at least 3.
      steps: the number of Adam steps.
      learning_rate: the initial learning rate, as a fraction of those scales.

    Returns:
      The codes along the curve, (points, K), at steps of nearly equal length in data space.

    Raises:
      ValueError: the codes have different shapes or are not vectors, points is below 3, steps is below 1, or
        learning_rate is not positive.
      TypeError: a code is not of a floating type, or points or steps is not an integer.

    >>> curve = geodesic(lambda z: z, jnp.zeros(2), jnp.ones(2), points=3, steps=1)
    >>> curve.shape
    (3, 2)
    """
    import optax  # imported here, so that the other functions do not load it

    check_floating(start=start, end=end)
    check_same_shape(start=start, end=end)
    _check_axes("start", start, 1)
    start, _ = check_function(decode, start)
    end, _ = check_function(decode, end)
    start, end = varying_as(start, end), varying_as(end, start)
    check_count("points", points)
    check_count("steps", steps)
    check_positive("learning_rate", learning_rate)
    if points < 3:
        raise ValueError(f"points must be at least 3, both ends included, got {points}")

    t = jnp.linspace(0, 1, points, dtype=start.dtype)[:, None]
    line = ((1 - t) * start[None] + t * end[None]).at[-1].set(end)
    length = curve_length(decode, line)
    scales = _scales(decode, line, length)

    def curve(offsets: Array) -> Array:
        return line.at[1:-1].add(offsets * scales[None])

    def energy(offsets: Array) -> Array:
        steps = _steps(decode, curve(offsets)) / jnp.where(length > 0, length, 1)
        return 0.5 * (points - 1) * jnp.sum(jnp.square(steps))

    rate = jnp.asarray(learning_rate, start.dtype)
    optimizer = optax.scale_by_adam()

    def step(carry: tuple[Array, optax.OptState], count: Array) -> tuple[tuple[Array, optax.OptState], None]:
        offsets, state = carry
        updates, state = optimizer.update(jax.grad(energy)(offsets), state)
        decay = 0.5 * (1 + jnp.cos(jnp.pi * count.astype(rate.dtype) / steps))
        return (offsets - rate * decay * updates, state), None

    offsets = jnp.zeros_like(line[1:-1])
    (offsets, _), _ = jax.lax.scan(step, (offsets, optimizer.init(offsets)), jnp.arange(steps))
    return curve(offsets)


def _scales(decode: Callable[[Array], Array], line: Array, length: Array) -> Array:
    """Returns the step of each code dimension that moves an example by `length`, as root mean square along a line."""

    def squares(code: Array) -> Array:
        return jnp.sum(
            jnp.square(jacobian_matrix(decode, code, method="auto") / jnp.where(length > 0, length, 1)), axis=0
        )

    speed = jnp.sqrt(jnp.mean(jax.lax.map(squares, line), axis=0))
    scales = jnp.where(speed > 0, 1 / jnp.where(speed > 0, speed, 1), 0)
    return jax.lax.stop_gradient(scales.astype(line.dtype))


def _steps(decode: Callable[[Array], Array], codes: Array) -> Array:
    """Returns the differences of neighboring reconstructions along a curve, (T - 1, D)."""
    check_floating(codes=codes)
    _check_axes("codes", codes, 2)
    if codes.shape[0] < 2:
        raise ValueError(f"a curve must have at least 2 codes, got {codes.shape[0]}")
    examples = jax.vmap(decode)(codes)
    examples = examples.reshape(codes.shape[0], math.prod(examples.shape[1:]))
    return jnp.diff(examples.astype(at_least_single(examples.dtype)), axis=0)


def _check_axes(name: str, array: Array, axes: int) -> None:
    if array.ndim != axes:
        expected = "a vector (K,)" if axes == 1 else "codes in rows (T, K)"
        raise ValueError(f"{name} must be {expected}, got shape {array.shape}")
