"""Codes to decode: between two codes, around one, along one unit, and over the plane."""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int, Key

from aejax.checks import check_count, check_floating, check_in_range, check_same_shape


def interpolate(start: Float[Array, "K"], end: Float[Array, "K"], *, points: int) -> Float[Array, "points K"]:
    """(1 - t) a + t b for equally spaced t from 0 to 1: the straight line between two codes.

    Args:
      start: a, at t = 0.
      end: b, at t = 1.
      points: how many, both ends counted.

    Raises:
      ValueError: codes of different shapes, or no point.
      TypeError: a code is not of a floating type, or points is no integer.

    >>> interpolate(jnp.array([0.0, 2.0]), jnp.array([1.0, 0.0]), points=3).tolist()
    [[0.0, 2.0], [0.5, 1.0], [1.0, 0.0]]
    """
    share = _shares(start, end, points)
    return (1 - share) * start[None] + share * end[None]


def interpolate_spherically(
    start: Float[Array, "K"], end: Float[Array, "K"], *, points: int
) -> Float[Array, "points K"]:
    """[sin((1 - t) Ω) a + sin(t Ω) b] / sin Ω, Ω being the angle between a and b: the arc between two codes.

    Codes of a normal prior of many dimensions lie near a sphere, which the straight line leaves and the arc does not:
    with ends of the same norm every point has that norm, at steps of equal angle. Codes in one direction are joined by
    the straight line, which is the limit; opposite ones have no arc of their own, and are joined by it also.

    Args:
      start: a, at t = 0.
      end: b, at t = 1.
      points: how many, both ends counted.

    Raises:
      ValueError: codes of different shapes, or no point.
      TypeError: a code is not of a floating type, or points is no integer.

    Source: T. White (2016), Sampling Generative Networks, section 2.2.

    >>> arc = interpolate_spherically(jnp.array([2.0, 0.0]), jnp.array([0.0, 2.0]), points=3)
    >>> bool(jnp.allclose(arc[1], jnp.sqrt(2.0)))
    True
    """
    share = _shares(start, end, points)
    squares, product = jnp.vdot(start, start) * jnp.vdot(end, end), jnp.vdot(start, end)
    has_arc = jnp.square(product) < (1 - 1e-6) * squares  # beyond, the sine of the angle is rounding
    cosine = jnp.where(has_arc, product / jnp.sqrt(jnp.where(has_arc, squares, 1)), 0)
    angle = jnp.arccos(cosine)
    arc = (jnp.sin((1 - share) * angle) * start[None] + jnp.sin(share * angle) * end[None]) / jnp.sin(angle)
    return jnp.where(has_arc, arc, interpolate(start, end, points=points))


def surroundings(
    key: Key[Array, ""], code: Float[Array, "K"], standard_deviation: ArrayLike, *, count: int
) -> Float[Array, "count K"]:
    """Codes around one, h + s ε with ε ~ N(0, I).

    Args:
      key: a key, not used elsewhere.
      code: h.
      standard_deviation: s >= 0, one number or one for each unit, such as a part of the deviation of all codes.
      count: how many.

    Raises:
      ValueError: a negative deviation, or none is asked for.
      TypeError: the code is not of a floating type, or count is no integer.

    >>> surroundings(jax.random.key(0), jnp.ones(2), 0.0, count=3).tolist()
    [[1.0, 1.0], [1.0, 1.0], [1.0, 1.0]]
    """
    check_floating(code=code)
    check_count("count", count)
    check_in_range("standard_deviation", jnp.min(jnp.asarray(standard_deviation)), 0.0)
    noise = jax.random.normal(key, (count, *code.shape), code.dtype)
    return code[None] + jnp.broadcast_to(jnp.asarray(standard_deviation, code.dtype), code.shape)[None] * noise


def traversals(
    code: Float[Array, "K"], values: Float[Array, "U V"], units: Int[Array, "U"] | None = None
) -> Float[Array, "U V K"]:
    """One code, a unit of it at a time set to each of its values: what that unit does.

    Args:
      code: of one example.
      values: those that each unit takes, such as quantiles of it over the data.
      units: which, from 0; all of them if not given.

    Raises:
      ValueError: not a row of values for each unit.
      TypeError: a code or values that are not of a floating type.

    >>> traversals(jnp.zeros(2), jnp.array([[1.0], [2.0]])).tolist()
    [[[1.0, 0.0]], [[0.0, 2.0]]]
    >>> traversals(jnp.zeros(2), jnp.array([[2.0]]), jnp.array([1])).tolist()
    [[[0.0, 2.0]]]
    """
    check_floating(code=code, values=values)
    units = jnp.arange(code.size) if units is None else units
    if values.ndim != 2 or values.shape[0] != units.size:
        raise ValueError(f"values must be a row for each of the {units.size} units, got shape {values.shape}")
    own = jax.nn.one_hot(units, code.size, dtype=bool)[:, None, :]
    return jnp.where(own, values[:, :, None], code[None, None, :])


def plane(horizontal: Float[Array, "W"], vertical: Float[Array, "H"]) -> Float[Array, "H W 2"]:
    """Codes of two units over a grid, the first unit to the right, the second upwards: row 0 is the top.

    >>> plane(jnp.array([0.0, 1.0]), jnp.array([5.0, 7.0])).tolist()
    [[[0.0, 7.0], [1.0, 7.0]], [[0.0, 5.0], [1.0, 5.0]]]
    """
    return jnp.stack(jnp.meshgrid(horizontal, vertical[::-1]), axis=-1)


def normal_quantiles(count: int) -> Float[Array, "count"]:
    """Quantiles of N(0, 1) at equal steps of probability, the first and the last half a step from 0 and 1.

    A grid of them shows a normal prior evenly: every cell is as probable as any other.

    Source: D. P. Kingma, M. Welling (2014), Auto-Encoding Variational Bayes, appendix A.

    >>> [round(value, 3) for value in normal_quantiles(3).tolist()]
    [-0.967, 0.0, 0.967]
    """
    check_count("count", count)
    return jax.scipy.stats.norm.ppf((jnp.arange(count, dtype=float) + 0.5) / count)


def _shares(start: Array, end: Array, points: int) -> Array:
    check_floating(start=start, end=end)
    check_same_shape(start=start, end=end)
    check_count("points", points)
    return jnp.linspace(0, 1, points, dtype=start.dtype)[:, None]
