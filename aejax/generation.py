"""Codes to decode: between two codes, around one, along one unit, and over the plane."""

import math

import jax
import jax.numpy as jnp
from jax.core import Tracer
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int, Key

from aejax.checks import (
    check_array,
    check_count,
    check_floating,
    check_in_range,
    check_number_or_shape,
    check_same_shape,
    check_vector,
)
from aejax.precision import at_least_single, common_dtype, knob, polynomial, widened


def interpolate(start: Float[Array, "K"], end: Float[Array, "K"], *, points: int) -> Float[Array, "points K"]:
    """(1 - t) a + t b for equally spaced t from 0 to 1: the straight line between two codes.

    Args:
      start: a, at t = 0.
      end: b, at t = 1.
      points: how many, both ends counted.

    Raises:
      ValueError: codes of different shapes or that are no vectors, or no point.
      TypeError: a code is not of a floating type, or points is no integer.

    >>> interpolate(jnp.array([0.0, 2.0]), jnp.array([1.0, 0.0]), points=3).tolist()
    [[0.0, 2.0], [0.5, 1.0], [1.0, 0.0]]
    """
    share = _shares(start, end, points)
    return ((1 - share) * widened(start)[None] + share * widened(end)[None]).astype(common_dtype(start, end))


def interpolate_spherically(
    start: Float[Array, "K"], end: Float[Array, "K"], *, points: int
) -> Float[Array, "points K"]:
    """[sin((1 - t) Ω) a + sin(t Ω) b] / sin Ω, Ω being the angle between a and b: the arc between two codes.

    Codes of a normal prior of many dimensions lie near a sphere, which the straight line leaves and the arc does not:
    with ends of the same norm every point has that norm, at steps of equal angle. Codes in one direction are joined by
    the straight line, which is the limit, and the derivatives are those of the limit there too. Opposite codes, within
    a thousandth of a radian, have no arc of their own, and are joined by the straight line also, as is a code of zeros.

    Args:
      start: a, at t = 0.
      end: b, at t = 1.
      points: how many, both ends counted.

    Raises:
      ValueError: codes of different shapes or that are no vectors, or no point.
      TypeError: a code is not of a floating type, or points is no integer.

    Source: T. White (2016), Sampling Generative Networks, section 2.2.

    >>> arc = interpolate_spherically(jnp.array([2.0, 0.0]), jnp.array([0.0, 2.0]), points=3)
    >>> bool(jnp.allclose(arc[1], jnp.sqrt(2.0)))
    True
    """
    share = _shares(start, end, points)
    straight = interpolate(start, end, points=points)
    dtype, start, end = straight.dtype, widened(start), widened(end)
    first, second = _direction(start), _direction(end)
    # 1 - cos Ω and 1 + cos Ω as squares, which keep their digits where the angle is next to 0 and next to π
    versine, opposite = (0.5 * jnp.sum(jnp.square(each)) for each in (first - second, first + second))
    has_arc = (opposite > 0.5e-6) & jnp.any(start != 0) & jnp.any(end != 0)
    is_narrow, is_wide = versine < 0.1, has_arc & (versine >= 0.1)
    of_series = _sine_ratios(share, jnp.where(is_narrow, versine, 0))
    below, beyond = (2 * jnp.arcsin(jnp.sqrt(0.5 * jnp.where(is_wide, each, 1))) for each in (versine, opposite))
    angle = jnp.where(versine < 1, below, math.pi - beyond)
    weights = [
        jnp.where(is_narrow, series, jnp.sin(part * angle) / jnp.sin(angle))
        for series, part in zip(of_series, (1 - share, share), strict=True)
    ]
    arc = weights[0] * start[None] + weights[1] * end[None]
    return jnp.where(has_arc, arc.astype(dtype), straight)


def surroundings(
    key: Key[Array, ""], code: Float[Array, "K"], standard_deviation: ArrayLike, *, count: int
) -> Float[Array, "count K"]:
    """Codes around one, h + s ε with ε ~ N(0, I).

    Args:
      key: a key, not used elsewhere.
      code: h.
      standard_deviation: s >= 0, one number or one for each unit, such as a fraction of the deviation of all codes.
      count: how many.

    Raises:
      ValueError: a deviation that is negative, infinite or of another shape than the code, or no code is asked for.
      TypeError: the code is not of a floating type, or count is no integer.

    >>> surroundings(jax.random.key(0), jnp.ones(2), 0.0, count=3).tolist()
    [[1.0, 1.0], [1.0, 1.0], [1.0, 1.0]]
    """
    check_floating(code=code)
    check_count("count", count)
    check_number_or_shape(code, standard_deviation=standard_deviation)
    for extreme in (jnp.min, jnp.max):
        check_in_range("standard_deviation", extreme(jnp.asarray(standard_deviation), initial=0), 0.0)
    wide = widened(code)
    noise = jax.random.normal(key, (count, *code.shape), wide.dtype)
    deviations = jnp.broadcast_to(knob(standard_deviation, wide.dtype), code.shape)
    return (wide[None] + deviations[None] * noise).astype(code.dtype)


def traversals(
    code: Float[Array, "K"], values: Float[Array, "U V"], units: Int[Array, "U"] | None = None
) -> Float[Array, "U V K"]:
    """One code, a unit of it at a time set to each of its values: what that unit does.

    Args:
      code: of one example.
      values: those that each unit takes, such as quantiles of it over the data.
      units: which, from 0; all of them if not given.

    Raises:
      ValueError: a code that is no vector, not a row of values for each unit, or a unit that the code does not have.
      TypeError: a code or values that are not of a floating type, or units that are no integers.

    >>> traversals(jnp.zeros(2), jnp.array([[1.0], [2.0]])).tolist()
    [[[1.0, 0.0]], [[0.0, 2.0]]]
    >>> traversals(jnp.zeros(2), jnp.array([[2.0]]), jnp.array([1])).tolist()
    [[[0.0, 2.0]]]
    """
    check_floating(code=code, values=values)
    check_vector(code=code)
    units = jnp.arange(code.size) if units is None else units
    check_array(units=units)
    check_vector(units=units)
    if not jnp.issubdtype(jnp.result_type(units), jnp.integer):
        raise TypeError(f"units must be integers, got dtype {jnp.result_type(units)}")
    if not isinstance(units, Tracer) and (wrong := [unit for unit in units.tolist() if not 0 <= unit < code.size]):
        raise ValueError(f"units must be from 0 to {code.size - 1}, got {wrong[0]}")
    if values.ndim != 2 or values.shape[0] != units.size:
        raise ValueError(f"values must be a row for each of the {units.size} units, got shape {values.shape}")
    # in a type that holds all places: of int8 there are 128 at most
    own = jax.nn.one_hot(units.astype(jnp.int32), code.size, dtype=bool)[:, None, :]
    return jnp.where(own, values.astype(code.dtype)[:, :, None], code[None, None, :])


def plane(horizontal: Float[Array, "W"], vertical: Float[Array, "H"]) -> Float[Array, "H W 2"]:
    """Codes of two units over a grid, the first unit to the right, the second upwards: row 0 is the top.

    >>> plane(jnp.array([0.0, 1.0]), jnp.array([5.0, 7.0])).tolist()
    [[[0.0, 7.0], [1.0, 7.0]], [[0.0, 5.0], [1.0, 5.0]]]
    """
    check_floating(horizontal=horizontal, vertical=vertical)
    check_vector(horizontal=horizontal, vertical=vertical)
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
    """Each t as a row of its own, of at least single precision."""
    check_floating(start=start, end=end)
    check_same_shape(start=start, end=end)
    check_vector(start=start, end=end)
    check_count("points", points)
    return jnp.linspace(0, 1, points, dtype=at_least_single(start.dtype))[:, None]


def _direction(code: Array) -> Array:
    """The vector divided by its norm, however large or small; zeros for zeros."""
    largest = jax.lax.stop_gradient(jnp.max(jnp.abs(code), initial=0))
    scaled = code / jnp.where(largest > 0, largest, 1)
    return scaled / jnp.where(largest > 0, jnp.linalg.norm(jnp.where(largest > 0, scaled, 1)), 1)


def _sine_ratios(share: Array, versine: Array) -> tuple[Array, Array]:
    """Returns sin((1 - t) Ω) / sin Ω and sin(t Ω) / sin Ω as power series in 1 - cos Ω, smooth at Ω = 0."""
    terms = range(1, 14)  # below q = 1 - cos Ω = 0.1, what follows is beyond double precision
    # Ω² = 4 arcsin²(√(q/2)) = 2 Σₙ (2q)ⁿ / (n² (2n choose n)), and sin(a)/a = Σₙ (-a²)ⁿ / (2n + 1)!
    coefficients = [2 * 2**n / (n**2 * math.comb(2 * n, n)) for n in terms]
    squared = versine * polynomial(coefficients, versine)
    sine = [(-1) ** n / math.factorial(2 * n + 1) for n in range(9)]
    whole = polynomial(sine, squared)
    first, second = (part * polynomial(sine, jnp.square(part) * squared) / whole for part in (1 - share, share))
    return first, second
