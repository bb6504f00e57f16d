"""Codes to decode: their geometry against closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from aejax.generation import interpolate, interpolate_spherically, normal_quantiles, perturbations, plane, traversals

BOTH = pytest.mark.parametrize("join", [interpolate, interpolate_spherically])


def codes_of(seed, size=7):
    start, end = np.random.default_rng(seed).normal(size=(2, size)).astype(np.float32)
    return jnp.asarray(start), jnp.asarray(end)


@pytest.mark.slow
@BOTH
@given(seed=st.integers(0, 1000), points=st.integers(2, 9))
def test_curves_join_the_codes(join, seed, points):
    start, end = codes_of(seed)
    curve = join(start, end, points=points)
    assert curve.shape == (points, 7)
    np.testing.assert_allclose(curve[0], start, atol=1e-6)
    np.testing.assert_allclose(curve[-1], end, atol=1e-5)


@pytest.mark.slow
@given(seed=st.integers(0, 1000))
def test_the_arc_stays_on_the_sphere_at_steps_of_equal_angle(seed):
    start, end = (code / jnp.linalg.norm(code) for code in codes_of(seed))
    arc = np.asarray(interpolate_spherically(start, end, points=6), np.float64)
    np.testing.assert_allclose(np.linalg.norm(arc, axis=1), 1, atol=2e-5)
    steps = np.arccos(np.clip(np.sum(arc[1:] * arc[:-1], axis=1), -1, 1))
    whole = np.arccos(np.clip(np.dot(arc[0], arc[-1]), -1, 1))
    np.testing.assert_allclose(steps, whole / 5, atol=2e-3)


@pytest.mark.slow
@pytest.mark.parametrize("factor", [2.0, 1.0, -1.0, 0.0])
def test_codes_of_one_direction_are_joined_by_a_straight_line(factor):
    start = jnp.array([1.0, 2.0])
    arc = interpolate_spherically(start, factor * start, points=5)
    np.testing.assert_allclose(arc, interpolate(start, factor * start, points=5), atol=1e-6)


@pytest.mark.slow
def test_the_arc_has_a_gradient_everywhere():
    for start, end in [((1.0, 2.0), (2.0, 4.0)), ((1.0, 0.0), (0.0, 1.0)), ((0.0, 0.0), (1.0, 1.0))]:
        ends = jnp.array(start), jnp.array(end)
        gradient = jax.jit(jax.grad(lambda a, b: interpolate_spherically(a, b, points=4)[1].sum(), argnums=(0, 1)))(
            *ends
        )
        assert all(bool(jnp.isfinite(one).all()) for one in gradient), (start, end)


@pytest.mark.slow
def test_perturbations_are_normal_around_the_code():
    code, deviation = jnp.array([1.0, -2.0]), jnp.array([0.5, 2.0])
    drawn = np.asarray(perturbations(jax.random.key(0), code, deviation, count=4000))
    for unit in range(2):  # a fixed seed; a fair one is refused once in 10,000
        assert stats.kstest((drawn[:, unit] - code[unit]) / deviation[unit], stats.norm.cdf).pvalue > 1e-4
    assert abs(np.corrcoef(drawn.T)[0, 1]) < 4 / np.sqrt(4000)


@pytest.mark.slow
def test_a_traversal_changes_one_unit():
    code, values = jnp.array([7.0, 8.0, 9.0]), jnp.arange(6.0).reshape(3, 2)
    moved = np.asarray(traversals(code, values))
    for unit in range(3):
        for place in range(2):
            expected = [7.0, 8.0, 9.0]
            expected[unit] = float(values[unit, place])
            assert moved[unit, place].tolist() == expected
    some = jnp.array([2, 0])
    np.testing.assert_array_equal(traversals(code, values[some], some), moved[some])


def test_the_plane_has_its_first_unit_to_the_right_and_its_second_upwards():
    grid = plane(jnp.arange(3.0), jnp.array([10.0, 20.0]))
    assert grid.shape == (2, 3, 2)
    assert grid[0, 2].tolist() == [2.0, 20.0]
    assert grid[1, 0].tolist() == [0.0, 10.0]


@pytest.mark.slow
def test_quantiles_are_those_of_the_normal_distribution():
    np.testing.assert_allclose(normal_quantiles(5), stats.norm.ppf([0.1, 0.3, 0.5, 0.7, 0.9]), atol=1e-6)


def test_refusals(without_type_checks):
    code = jnp.ones(2)
    with pytest.raises(ValueError, match="shapes must be equal"):
        interpolate(code, jnp.ones(3), points=2)
    with pytest.raises(ValueError, match="points must be at least 1"):
        interpolate_spherically(code, code, points=0)
    with pytest.raises(TypeError, match="start must be a floating-point array"):
        interpolate(jnp.ones(2, int), jnp.ones(2, int), points=2)
    with pytest.raises(ValueError, match="standard_deviation must be at least 0"):
        perturbations(jax.random.key(0), code, -1.0, count=2)
    with pytest.raises(ValueError, match="values must have one row for each of the 2 units"):
        traversals(code, jnp.ones((3, 2)))


def arc_by_numpy(start, end, points):
    """In float64, the angle by its tangent."""
    start, end = np.asarray(start, np.float64), np.asarray(end, np.float64)
    share = np.linspace(0, 1, points)[:, None]
    first, second = start / np.linalg.norm(start), end / np.linalg.norm(end)
    angle = 2 * np.arctan2(np.linalg.norm(first - second), np.linalg.norm(first + second))
    return (np.sin((1 - share) * angle) * start + np.sin(share * angle) * end) / np.sin(angle)


@pytest.mark.slow
@pytest.mark.parametrize("distance", [1e-6, 1e-4, 1e-2, 0.3, 1.0])
def test_arcs_and_their_derivatives_are_accurate_for_nearly_equal_directions(distance, float64):
    start, off = (jnp.array(each, float) for each in codes_of(3))
    end, weights = 1.3 * start + distance * off, jnp.arange(1.0, 8.0)
    single = interpolate_spherically(start.astype(jnp.float32), end.astype(jnp.float32), points=5)
    np.testing.assert_allclose(single, arc_by_numpy(start, end, 5), atol=1e-6)

    def project(end):
        return interpolate_spherically(start, end, points=4)[1] @ weights

    step = 1e-5 * np.eye(7)
    around = [[arc_by_numpy(start, end + sign * d, 4)[1] @ weights for sign in (1, -1)] for d in step]
    np.testing.assert_allclose(jax.jit(jax.grad(project))(end), np.diff(around)[:, 0] / -2e-5, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_the_derivative_at_one_direction_is_the_limit(float64):
    start, off = (jnp.array(each, float) for each in codes_of(3))

    def project(end):
        return jnp.sum(interpolate_spherically(start, end, points=4)[1])

    for derivative in (jax.jit(jax.grad(project)), jax.jit(jax.hessian(project))):
        np.testing.assert_allclose(derivative(2 * start), derivative(2 * start + 1e-7 * off), atol=1e-5)


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_arcs_of_tiny_and_of_huge_codes(scale):
    arc = interpolate_spherically(jnp.array([scale, 0.0]), jnp.array([0.0, scale]), points=3)
    np.testing.assert_allclose(np.asarray(arc[1], float) / scale, [np.sqrt(0.5)] * 2, rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_half_precision_is_that_of_float32_rounded(dtype):
    start, end = (code.astype(dtype) for code in codes_of(0))
    wide = start.astype(jnp.float32), end.astype(jnp.float32)
    for join in (interpolate, interpolate_spherically):
        curve = join(start, end, points=9)
        assert curve.dtype == dtype
        np.testing.assert_array_equal(curve, join(*wide, points=9).astype(dtype))
    drawn = perturbations(jax.random.key(0), start, np.float64(2), count=3)
    np.testing.assert_array_equal(drawn, perturbations(jax.random.key(0), wide[0], 2.0, count=3).astype(dtype))


@pytest.mark.slow
def test_knobs_of_numpy_promote_nothing(float64):
    code = jnp.ones(2, jnp.float32)
    for deviation in (np.float64(0.5), np.full(2, 0.5), jnp.full(2, 0.5)):
        assert perturbations(jax.random.key(0), code, deviation, count=2).dtype == jnp.float32
    assert traversals(code, jnp.ones((2, 1))).dtype == jnp.float32


def test_refuses_shapes_and_units_that_do_not_fit(without_type_checks):
    key, code, batch = jax.random.key(0), jnp.ones(2), jnp.ones((2, 3))
    cases = (
        (ValueError, r"start must be one vector, got shape \(2, 3\)", lambda: interpolate(batch, batch, points=2)),
        (ValueError, "start must be one vector", lambda: interpolate_spherically(batch, batch, points=2)),
        (ValueError, "shapes must be equal", lambda: perturbations(key, code, jnp.ones(1), count=2)),
        (ValueError, "shapes must be equal", lambda: perturbations(key, code, np.ones((2, 2)), count=2)),
        (ValueError, "standard_deviation must be at least 0 and", lambda: perturbations(key, code, np.inf, count=2)),
        (
            ValueError,
            "standard_deviation must be at least 0",
            lambda: perturbations(key, code, np.r_[1, -1.0], count=2),
        ),
        (ValueError, "units must be from 0 to 1, got 5", lambda: traversals(code, jnp.ones((1, 1)), jnp.array([5]))),
        (ValueError, "units must be from 0 to 1, got -1", lambda: traversals(code, jnp.ones((1, 1)), np.array([-1]))),
        (TypeError, "units must be integers", lambda: traversals(code, jnp.ones((1, 1)), jnp.array([0.0]))),
        (ValueError, "code must be one vector", lambda: traversals(batch, jnp.ones((6, 1)))),
        (ValueError, "horizontal must be one vector", lambda: plane(batch, code)),
        (TypeError, "vertical must be a JAX or NumPy array, got list", lambda: plane(code, [1.0])),
    )
    for kind, message, call in cases:
        with pytest.raises(kind, match=message):
            call()


@pytest.mark.parametrize("dtype", [jnp.int8, jnp.uint8, jnp.int32])
def test_a_traversal_of_units_of_a_narrow_type_changes_one_unit(dtype, without_type_checks):
    """In int8 the indices 1 and 257 of a code of 300 units would be equal."""
    found = traversals(jnp.zeros(300), jnp.ones((1, 1)), jnp.array([1], dtype))
    assert np.flatnonzero(found[0, 0]).tolist() == [1]


def test_a_list_of_units_is_refused_by_name(without_type_checks):
    with pytest.raises(TypeError, match="units must be a JAX or NumPy array, got list"):
        traversals(jnp.zeros(3), jnp.ones((1, 1)), [1])
