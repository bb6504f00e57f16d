"""Codes to decode: interpolations, perturbations of a code, traversals of its units, and a grid over the plane."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float, Int, Key

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
    """Interpolates linearly between two codes: (1 - t) a + t b for equally spaced t from 0 to 1.

    Args:
      start: a, the code at t = 0.
      end: b, the code at t = 1.
      points: the number of codes, both ends included.

    Returns:
      The codes along the line, (points, K).

    Raises:
      ValueError: the codes have different shapes or are not vectors, or points is below 1.
      TypeError: a code is not of a floating type, or points is not an integer.

    >>> interpolate(jnp.array([0.0, 2.0]), jnp.array([1.0, 0.0]), points=3).tolist()
    [[0.0, 2.0], [0.5, 1.0], [1.0, 0.0]]
    """
    t = _interpolation_times(start, end, points)
    return ((1 - t) * widened(start)[None] + t * widened(end)[None]).astype(common_dtype(start, end))


def interpolate_spherically(
    start: Float[Array, "K"], end: Float[Array, "K"], *, points: int
) -> Float[Array, "points K"]:
    """Interpolates along the arc between two codes: [sin((1 - t) Ω) a + sin(t Ω) b] / sin Ω, Ω the angle between them.

    Samples of a high-dimensional normal prior lie near a sphere, which the straight line leaves and the arc does not:
    if both ends have the same norm, every point has that norm, at steps of equal angle. For codes in the same direction
    the result and its derivatives are those of the limit Ω → 0, the straight line. Opposite codes (within 0.001 radian)
    have no unique arc and are joined by the straight line, as is a code of zeros with any other.

    Args:
      start: a, the code at t = 0.
      end: b, the code at t = 1.
      points: the number of codes, both ends included.

    Returns:
      The codes along the arc, (points, K).

    Raises:
      ValueError: the codes have different shapes or are not vectors, or points is below 1.
      TypeError: a code is not of a floating type, or points is not an integer.

    Source: T. White (2016), Sampling Generative Networks, section 2.2.

    >>> arc = interpolate_spherically(jnp.array([2.0, 0.0]), jnp.array([0.0, 2.0]), points=3)
    >>> bool(jnp.allclose(arc[1], jnp.sqrt(2.0)))
    True
    """
    t = _interpolation_times(start, end, points)
    straight = interpolate(start, end, points=points)
    dtype, start, end = straight.dtype, widened(start), widened(end)
    first, second = _direction(start), _direction(end)
    # 1 - cos Ω and 1 + cos Ω as sums of squares, which are accurate for angles close to 0 and to π
    versine, opposite = (0.5 * jnp.sum(jnp.square(each)) for each in (first - second, first + second))
    has_arc = (opposite > 0.5e-6) & jnp.any(start != 0) & jnp.any(end != 0)
    is_narrow, is_wide = versine < 0.1, has_arc & (versine >= 0.1)
    series = _sine_ratios(t, jnp.where(is_narrow, versine, 0))
    below, beyond = (2 * jnp.arcsin(jnp.sqrt(0.5 * jnp.where(is_wide, each, 1))) for each in (versine, opposite))
    angle = jnp.where(versine < 1, below, math.pi - beyond)
    weights = [
        jnp.where(is_narrow, near_zero, jnp.sin(fraction * angle) / jnp.sin(angle))
        for near_zero, fraction in zip(series, (1 - t, t), strict=True)
    ]
    arc = weights[0] * start[None] + weights[1] * end[None]
    return jnp.where(has_arc, arc.astype(dtype), straight)


def perturbations(
    key: Key[Array, ""], code: Float[Array, "K"], standard_deviation: ArrayLike, *, count: int
) -> Float[Array, "count K"]:
    """Returns random codes in the neighborhood of a code: h + s ε with ε ~ N(0, I).

    Args:
      key: a PRNG key, not used elsewhere.
      code: h.
      standard_deviation: s >= 0, one number or one for each unit, such as a fraction of the unit's standard deviation
        over the data.
      count: the number of codes to draw.

    Returns:
      The perturbed codes, (count, K).

    Raises:
      ValueError: standard_deviation is negative, not finite or of another shape than the code, or count is below 1.
      TypeError: the code is not of a floating type, or count is not an integer.

    >>> perturbations(jax.random.key(0), jnp.ones(2), 0.0, count=3).tolist()
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
    """Returns copies of a code in which one unit at a time is set to each of its values: latent traversals.

    Args:
      code: the code of one example.
      values: row u holds the values of unit units[u], such as its quantiles over the data.
      units: the indices of the units to traverse; all units by default.

    Returns:
      The codes, (U, V, K): entry [u, v] is the code with unit units[u] set to values[u, v].

    Raises:
      ValueError: the code is not a vector, values has not one row for each unit, or a unit is out of range.
      TypeError: code or values are not of a floating type, or units are not integers.

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
        raise ValueError(f"values must have one row for each of the {units.size} units, got shape {values.shape}")
    # int32 holds all indices, which a narrow type such as int8 may not
    is_traversed = jax.nn.one_hot(units.astype(jnp.int32), code.size, dtype=bool)[:, None, :]
    return jnp.where(is_traversed, values.astype(code.dtype)[:, :, None], code[None, None, :])


def group_direction(codes: Float[Array, "N K"], in_group: Bool[ArrayLike, "N"]) -> Float[Array, "K"]:
    """Returns the mean code of a group minus the mean code of the rest, the direction of an attribute.

    Args:
      codes: the codes of N examples.
      in_group: whether each example has the attribute.

    Raises:
      ValueError: in_group has another length than the codes, or is the same for all examples.

    Source: A. B. L. Larsen et al. (2016), Autoencoding beyond Pixels Using a Learned Similarity Metric, section 4.1.

    >>> group_direction(jnp.array([[0.0, 1.0], [2.0, 1.0], [4.0, 4.0]]), jnp.array([False, False, True])).tolist()
    [3.0, 3.0]
    """
    check_floating(codes=codes)
    chosen = np.asarray(in_group, bool)
    if codes.ndim != 2 or chosen.shape != codes.shape[:1]:
        raise ValueError(f"expected codes (N, K) and one flag for each, got {codes.shape} and {chosen.shape}")
    if chosen.all() or not chosen.any():
        raise ValueError("a group needs at least one example inside it and one outside")
    return jnp.mean(codes[chosen], axis=0) - jnp.mean(codes[~chosen], axis=0)


def along(
    code: Float[Array, "K"], direction: Float[Array, "K"], steps: Float[Array, "points"]
) -> Float[Array, "points K"]:
    """Returns the codes h + t d for every step t.

    Args:
      code: h.
      direction: d, such as that of an attribute, `group_direction`.
      steps: the values of t.

    Raises:
      ValueError: code and direction differ in shape, or an argument is not a vector.

    >>> along(jnp.zeros(2), jnp.array([1.0, -1.0]), jnp.array([0.0, 2.0])).tolist()
    [[0.0, 0.0], [2.0, -2.0]]
    """
    check_floating(code=code, direction=direction, steps=steps)
    check_vector(code=code, direction=direction, steps=steps)
    check_same_shape(code=code, direction=direction)
    return code[None] + steps[:, None] * direction[None]


def plane(horizontal: Float[Array, "W"], vertical: Float[Array, "H"]) -> Float[Array, "H W 2"]:
    """Returns a grid of 2-dimensional codes: the first unit increases to the right, the second upwards.

    Args:
      horizontal: values of the first unit, in increasing order.
      vertical: values of the second unit, in increasing order.

    Returns:
      The codes, (H, W, 2); row 0 is the top.

    Raises:
      ValueError: an argument is not a vector.
      TypeError: an argument is not of a floating type.

    >>> plane(jnp.array([0.0, 1.0]), jnp.array([5.0, 7.0])).tolist()
    [[[0.0, 7.0], [1.0, 7.0]], [[0.0, 5.0], [1.0, 5.0]]]
    """
    check_floating(horizontal=horizontal, vertical=vertical)
    check_vector(horizontal=horizontal, vertical=vertical)
    return jnp.stack(jnp.meshgrid(horizontal, vertical[::-1]), axis=-1)


def normal_quantiles(count: int) -> Float[Array, "count"]:
    """Returns the quantiles of N(0, 1) at the probabilities (i + ½) / count for i = 0, ..., count - 1.

    A grid of them covers a normal prior evenly: all cells have the same probability.

    Args:
      count: the number of quantiles.

    Returns:
      The quantiles in increasing order, (count,).

    Raises:
      ValueError: count is below 1.
      TypeError: count is not an integer.

    Source: D. P. Kingma, M. Welling (2014), Auto-Encoding Variational Bayes, appendix A.

    >>> [round(value, 3) for value in normal_quantiles(3).tolist()]
    [-0.967, 0.0, 0.967]
    """
    check_count("count", count)
    return jax.scipy.stats.norm.ppf((jnp.arange(count, dtype=float) + 0.5) / count)


def _interpolation_times(start: Array, end: Array, points: int) -> Array:
    """Returns t from 0 to 1 as a column (points, 1), in at least single precision."""
    check_floating(start=start, end=end)
    check_same_shape(start=start, end=end)
    check_vector(start=start, end=end)
    check_count("points", points)
    return jnp.linspace(0, 1, points, dtype=at_least_single(start.dtype))[:, None]


def _direction(code: Array) -> Array:
    """Returns the vector divided by its norm, without overflow or underflow; zeros for zeros."""
    largest = jax.lax.stop_gradient(jnp.max(jnp.abs(code), initial=0))
    scaled = code / jnp.where(largest > 0, largest, 1)
    return scaled / jnp.where(largest > 0, jnp.linalg.norm(jnp.where(largest > 0, scaled, 1)), 1)


def _sine_ratios(t: Array, versine: Array) -> tuple[Array, Array]:
    """Returns sin((1 - t) Ω) / sin Ω and sin(t Ω) / sin Ω as power series in 1 - cos Ω, smooth at Ω = 0."""
    terms = range(1, 14)  # for q = 1 - cos Ω < 0.1 the remainder is below double precision
    # Ω² = 4 arcsin²(√(q/2)) = 2 Σₙ (2q)ⁿ / (n² (2n choose n)), and sin(a)/a = Σₙ (-a²)ⁿ / (2n + 1)!
    coefficients = [2 * 2**n / (n**2 * math.comb(2 * n, n)) for n in terms]
    squared = versine * polynomial(coefficients, versine)
    sine = [(-1) ** n / math.factorial(2 * n + 1) for n in range(9)]
    whole = polynomial(sine, squared)
    first, second = (fraction * polynomial(sine, jnp.square(fraction) * squared) / whole for fraction in (1 - t, t))
    return first, second
