"""The surface that a decoder spans, measured where it lies: in data space.

Source of all: H. Shao, A. Kumar, P. T. Fletcher (2018), The Riemannian Geometry of Deep Generative Models;
G. Arvanitidis, L. K. Hansen, S. Hauberg (2018), Latent Space Oddity: On the Curvature of Deep Generative Models.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from aejax.checks import check_count, check_floating, check_positive, check_same_shape
from aejax.jacobian.exact import jacobian
from aejax.jacobian.norms import log_determinant


def pullback_metric(
    decode: Callable[[Array], Array], code: Float[Array, "K"], *, method: str = "jacfwd"
) -> Float[Array, "K K"]:
    """M(z) = J(z)ᵀ J(z): dzᵀ M dz is the squared distance that a step dz of the code makes in data space.

    Args:
      decode: g, from ONE code to its example.
      code: z, a vector.
      method: as for `aejax.jacobian.jacobian`.

    Returns:
      A symmetric matrix, positive definite where the columns of J are independent.

    Raises:
      ValueError: the code is no vector; or as `aejax.jacobian.jacobian`.
      TypeError: as there.

    >>> pullback_metric(lambda z: jnp.stack([jnp.cos(z[0]), jnp.sin(z[0])]), jnp.array([0.0])).item()
    1.0
    """
    _check_axes("code", code, 1)
    columns = jacobian(decode, code, method=method).reshape(-1, code.size)
    return columns.T @ columns


def curve_length(decode: Callable[[Array], Array], codes: Float[Array, "T K"]) -> Float[Array, ""]:
    """Σₜ ‖g(zₜ₊₁) - g(zₜ)‖: the length in data space of a curve through codes, from below.

    Args:
      decode: g, from ONE code to its example.
      codes: along the curve, at least two.

    Returns:
      The length of the polygon, in the unit of the data.

    Raises:
      ValueError: fewer than two codes, or another shape.
      TypeError: the codes are not of a floating type.

    >>> curve_length(lambda z: jnp.stack([3.0 * z[0], 4.0 * z[0]]), jnp.array([[0.0], [1.0], [2.0]])).item()
    10.0
    """
    squares = _squared_steps(decode, codes)
    moves = squares > 0  # where neighbors are equal the root has no derivative, and the length a kink
    return jnp.sum(jnp.where(moves, jnp.sqrt(jnp.where(moves, squares, 1)), 0))


def curve_energy(decode: Callable[[Array], Array], codes: Float[Array, "T K"]) -> Float[Array, ""]:
    """½ ∫ ‖∂g(z(t))/∂t‖² dt over t from 0 to 1, with T codes: (T - 1) / 2 · Σₜ ‖g(zₜ₊₁) - g(zₜ)‖².

    At least half the squared length; equal where the speed is constant. A geodesic minimizes it.

    Args:
      decode: g, from ONE code to its example.
      codes: along the curve, at equal steps of t, at least two.

    Returns:
      The energy, in the squared unit of the data.

    Raises:
      ValueError: fewer than two codes, or another shape.
      TypeError: the codes are not of a floating type.

    >>> curve_energy(lambda z: jnp.stack([3.0 * z[0], 4.0 * z[0]]), jnp.array([[0.0], [1.0], [2.0]])).item()
    50.0
    """
    return 0.5 * (codes.shape[0] - 1) * jnp.sum(_squared_steps(decode, codes))


def log_volume(decode: Callable[[Array], Array], codes: Float[Array, "N K"]) -> Float[Array, "N"]:
    """½ log det J(z)ᵀ J(z) at every code of a grid: how much of data space a piece of latent space spreads over.

    High values are where the decoder changes fast, as between clusters.

    Args:
      decode: g, from ONE code to its example, which has at least as many numbers.
      codes: the points of the grid, in any order.

    Returns:
      In nats, one for each code.

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
    a cosine; it ends in the minimum next to that line, which need not be the shortest way of all.

    Args:
      decode: g, from ONE code to its example, smooth.
      start: the first code, which stays.
      end: the last code, which stays.
      points: T, both ends counted, at least 3.
      steps: of Adam.
      learning_rate: its first, in the code's unit.

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
    check_count("points", points)
    check_count("steps", steps)
    check_positive("learning_rate", learning_rate)
    if points < 3:
        raise ValueError(f"points must be at least 3, both ends counted, got {points}")

    def whole(inner: Array) -> Array:
        return jnp.concatenate([start[None], inner, end[None]])

    def energy(inner: Array) -> Array:
        return curve_energy(decode, whole(inner))

    optimizer = optax.adam(optax.cosine_decay_schedule(learning_rate, steps))

    def step(carry: tuple[Array, optax.OptState], _: None) -> tuple[tuple[Array, optax.OptState], None]:
        inner, state = carry
        updates, state = optimizer.update(jax.grad(energy)(inner), state)
        return (optax.apply_updates(inner, updates), state), None

    share = jnp.linspace(0, 1, points, dtype=start.dtype)[1:-1, None]
    inner = (1 - share) * start[None] + share * end[None]
    (inner, _), _ = jax.lax.scan(step, (inner, optimizer.init(inner)), length=steps)
    return whole(inner)


def _squared_steps(decode: Callable[[Array], Array], codes: Array) -> Array:
    check_floating(codes=codes)
    _check_axes("codes", codes, 2)
    if codes.shape[0] < 2:
        raise ValueError(f"a curve needs at least 2 codes, got {codes.shape[0]}")
    examples = jax.vmap(decode)(codes)
    return jnp.sum(jnp.square(jnp.diff(examples.reshape(codes.shape[0], -1), axis=0)), axis=1)


def _check_axes(name: str, array: Array, axes: int) -> None:
    if array.ndim != axes:
        wanted = "a vector (K,)" if axes == 1 else "codes in rows (T, K)"
        raise ValueError(f"{name} must be {wanted}, got shape {array.shape}")
