"""The surface that a decoder spans, measured where it lies: in data space.

Source of all: H. Shao, A. Kumar, P. T. Fletcher (2018), The Riemannian Geometry of Deep Generative Models;
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
    """M(z) = J(z)ᵀ J(z): dzᵀ M dz is the squared distance that a step dz of the code makes in data space.

    Args:
      decode: g, from ONE code to its example.
      code: z, a vector.
      method: as for `aejax.jacobian.jacobian`.

    Returns:
      A symmetric matrix, positive definite where the columns of J are independent; in float32 at least.

    Raises:
      ValueError: the code is no vector; or as `aejax.jacobian.jacobian`.
      TypeError: as there.

    >>> pullback_metric(lambda z: jnp.stack([jnp.cos(z[0]), jnp.sin(z[0])]), jnp.array([0.0])).item()
    1.0
    """
    check_floating(code=code)
    _check_axes("code", code, 1)
    columns = jacobian_matrix(decode, code, method=method)
    return columns.T @ columns


def curve_length(decode: Callable[[Array], Array], codes: Float[Array, "T K"]) -> Float[Array, ""]:
    """Σₜ ‖g(zₜ₊₁) - g(zₜ)‖: the length in data space of a curve through codes, from below.

    Args:
      decode: g, from ONE code to its example.
      codes: along the curve, at least two.

    Returns:
      The length of the polygon, in the unit of the data, in float32 at least. Where neighbors are decoded alike it has
      a kink, and its derivatives count as 0.

    Raises:
      ValueError: fewer than two codes, or another shape.
      TypeError: the codes are not of a floating type.

    >>> curve_length(lambda z: jnp.stack([3.0 * z[0], 4.0 * z[0]]), jnp.array([[0.0], [1.0], [2.0]])).item()
    10.0
    """
    return jnp.sum(jax.vmap(norm)(_steps(decode, codes)))


def curve_energy(decode: Callable[[Array], Array], codes: Float[Array, "T K"]) -> Float[Array, ""]:
    """½ ∫ ‖∂g(z(t))/∂t‖² dt over t from 0 to 1, with T codes: (T - 1) / 2 · Σₜ ‖g(zₜ₊₁) - g(zₜ)‖².

    At least half the squared length; equal where the speed is constant. A geodesic minimizes it.

    Args:
      decode: g, from ONE code to its example.
      codes: along the curve, at equal steps of t, at least two.

    Returns:
      The energy, in the squared unit of the data, in float32 at least.

    Raises:
      ValueError: fewer than two codes, or another shape.
      TypeError: the codes are not of a floating type.

    >>> curve_energy(lambda z: jnp.stack([3.0 * z[0], 4.0 * z[0]]), jnp.array([[0.0], [1.0], [2.0]])).item()
    50.0
    """
    steps = _steps(decode, codes)
    return 0.5 * len(steps) * jnp.sum(jnp.square(steps))


def log_volume(decode: Callable[[Array], Array], codes: Float[Array, "N K"]) -> Float[Array, "N"]:
    """½ log det J(z)ᵀ J(z) at every code of a grid: how much of data space a piece of latent space spreads over.

    High values are where the decoder changes fast, as between clusters.

    Args:
      decode: g, from ONE code to its example, which has at least as many numbers.
      codes: the points of the grid, in any order.

    Returns:
      In nats, one for each code, with the limits and derivatives of `aejax.jacobian.log_determinant`.

    Raises:
      ValueError: codes of another shape, or more numbers in a code than in its example.
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
    """The curve of codes between two whose `curve_energy` is least: locally the shortest way on the decoder's surface.

    The curve begins as the straight line between the codes and is brought down by Adam with a rate that falls to 0 as
    a cosine; it ends in the minimum next to that line, which need not be the shortest way of all. Each dimension of the
    code is measured in its own unit, in which the decoder moves an example by the length of that line's image, root
    mean square along the line: in what units codes and data are does not matter.

    Args:
      decode: g, from ONE code to its example, smooth.
      start: the first code, which stays.
      end: the last code, which stays.
      points: T, both ends counted, at least 3.
      steps: of Adam.
      learning_rate: its first, as a fraction of those units.

    Returns:
      The codes along the curve, at steps of near equal length in data space.

    Raises:
      ValueError: codes of different shapes, too few points, no step, or a learning rate that is not positive.
      TypeError: a code is not of a floating type, or points or steps is no integer.

    >>> bent = geodesic(lambda z: z, jnp.zeros(2), jnp.ones(2), points=3, steps=1)
    >>> bent.shape
    (3, 2)
    """
    import optax  # here, so that the functions of a decoder alone do not load it

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
        raise ValueError(f"points must be at least 3, both ends counted, got {points}")

    share = jnp.linspace(0, 1, points, dtype=start.dtype)[:, None]
    line = ((1 - share) * start[None] + share * end[None]).at[-1].set(end)
    length = curve_length(decode, line)
    units = _units(decode, line, length)

    def whole(moved: Array) -> Array:
        return line.at[1:-1].add(moved * units[None])

    def energy(moved: Array) -> Array:
        steps = _steps(decode, whole(moved)) / jnp.where(length > 0, length, 1)
        return 0.5 * (points - 1) * jnp.sum(jnp.square(steps))

    rate = jnp.asarray(learning_rate, start.dtype)
    optimizer = optax.scale_by_adam()

    def step(carry: tuple[Array, optax.OptState], count: Array) -> tuple[tuple[Array, optax.OptState], None]:
        moved, state = carry
        updates, state = optimizer.update(jax.grad(energy)(moved), state)
        falling = 0.5 * (1 + jnp.cos(jnp.pi * count.astype(rate.dtype) / steps))
        return (moved - rate * falling * updates, state), None

    moved = jnp.zeros_like(line[1:-1])
    (moved, _), _ = jax.lax.scan(step, (moved, optimizer.init(moved)), jnp.arange(steps))
    return whole(moved)


def _units(decode: Callable[[Array], Array], line: Array, length: Array) -> Array:
    """For each dimension of the code, the step that moves an example by this length, root mean square along a line."""

    def squares(code: Array) -> Array:
        return jnp.sum(
            jnp.square(jacobian_matrix(decode, code, method="auto") / jnp.where(length > 0, length, 1)), axis=0
        )

    speed = jnp.sqrt(jnp.mean(jax.lax.map(squares, line), axis=0))
    units = jnp.where(speed > 0, 1 / jnp.where(speed > 0, speed, 1), 0)
    return jax.lax.stop_gradient(units.astype(line.dtype))


def _steps(decode: Callable[[Array], Array], codes: Array) -> Array:
    """The differences of neighbors along a curve, (T - 1, D)."""
    check_floating(codes=codes)
    _check_axes("codes", codes, 2)
    if codes.shape[0] < 2:
        raise ValueError(f"a curve needs at least 2 codes, got {codes.shape[0]}")
    examples = jax.vmap(decode)(codes)
    examples = examples.reshape(codes.shape[0], math.prod(examples.shape[1:]))
    return jnp.diff(examples.astype(at_least_single(examples.dtype)), axis=0)


def _check_axes(name: str, array: Array, axes: int) -> None:
    if array.ndim != axes:
        wanted = "a vector (K,)" if axes == 1 else "codes in rows (T, K)"
        raise ValueError(f"{name} must be {wanted}, got shape {array.shape}")
