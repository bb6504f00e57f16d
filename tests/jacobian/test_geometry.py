"""The geometry of decoders whose surface is known: a sphere, a cylinder, a plane."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aejax.jacobian import curve_energy, curve_length, geodesic, log_volume, pullback_metric

RADIUS = 2.0


def sphere(code):
    """Longitude and latitude."""
    longitude, latitude = code
    ring = jnp.cos(latitude)
    return RADIUS * jnp.stack([ring * jnp.cos(longitude), ring * jnp.sin(longitude), jnp.sin(latitude)])


@pytest.mark.slow
def test_metric_and_volume_of_a_sphere(float64):
    codes = jnp.array([[0.3, 0.5], [2.0, -1.2], [-1.0, 0.0]])
    for code in codes:
        expected = RADIUS**2 * np.diag([np.cos(code[1]) ** 2, 1.0])
        for method in ("jacfwd", "jacrev"):
            np.testing.assert_allclose(pullback_metric(sphere, code, method=method), expected, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(log_volume(sphere, codes), np.log(RADIUS**2 * np.cos(codes[:, 1])), rtol=1e-12)


@pytest.mark.slow
def test_volume_of_the_sphere_is_its_surface(float64):
    """The integral of exp(log-volume) over longitude and latitude, by the trapezoidal rule."""
    latitudes = jnp.linspace(-np.pi / 2, np.pi / 2, 2002)[1:-1]
    codes = jnp.stack([jnp.zeros_like(latitudes), latitudes], axis=1)
    surface = 2 * np.pi * jnp.sum(jnp.exp(log_volume(sphere, codes))) * np.pi / 2001
    np.testing.assert_allclose(surface, 4 * np.pi * RADIUS**2, rtol=1e-5)


@pytest.mark.slow
def test_length_and_energy_of_a_parallel(float64):
    """A parallel at latitude b has the length 2 π R cos b, approached from below, and half its square as energy."""
    latitude, longitudes = 0.7, jnp.linspace(0, 2 * jnp.pi, 2000)
    codes = jnp.stack([longitudes, jnp.full_like(longitudes, latitude)], axis=1)
    expected = 2 * np.pi * RADIUS * np.cos(latitude)
    length = curve_length(sphere, codes)
    assert length < expected
    np.testing.assert_allclose(length, expected, rtol=1e-6)
    np.testing.assert_allclose(curve_energy(sphere, codes), expected**2 / 2, rtol=1e-6)
    uneven = codes.at[:, 0].set(2 * jnp.pi * jnp.linspace(0, 1, 2000) ** 2)
    assert curve_energy(sphere, uneven) > 1.2 * expected**2 / 2


@pytest.mark.slow
def test_geodesic_on_a_sphere_is_the_great_circle(float64):
    """Between two points at latitude 0.8, half a radian from opposite, the path leads far north of the parallel."""
    start, end = jnp.array([0.0, 0.8]), jnp.array([np.pi - 0.5, 0.8])
    with jax.numpy_dtype_promotion("standard"):  # Optax mixes dtypes
        codes = geodesic(sphere, start, end, points=40, steps=2000, learning_rate=0.03)
    np.testing.assert_array_equal(codes[jnp.array([0, -1])], [start, end])
    first, last = np.asarray(sphere(start)) / RADIUS, np.asarray(sphere(end)) / RADIUS
    angle = np.arccos(first @ last)
    t = np.linspace(0, 1, 40)[:, None]
    great_circle = RADIUS * (np.sin((1 - t) * angle) * first + np.sin(t * angle) * last) / np.sin(angle)
    np.testing.assert_allclose(jax.jit(jax.vmap(sphere))(codes), great_circle, atol=2e-3)
    np.testing.assert_allclose(curve_length(sphere, codes), RADIUS * angle, rtol=1e-3)
    straight = jnp.linspace(start, end, 40)
    assert curve_length(sphere, straight) > 1.2 * RADIUS * angle


@pytest.mark.slow
def test_geodesic_on_a_plane_is_straight_under_jit(float64):
    kernel = jnp.array([[1.0, 0.5], [0.0, 2.0], [1.0, 1.0]])
    start, end = jnp.array([0.0, 1.0]), jnp.array([3.0, -1.0])
    with jax.numpy_dtype_promotion("standard"):
        codes = jax.jit(partial(geodesic, lambda z: kernel @ z, points=7, steps=300))(start, end)
    np.testing.assert_allclose(codes, np.linspace(start, end, 7), atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("units", [1.0, 100.0, 1e-6, (1.0, 1e4), (1e-3, 1.0)])
@pytest.mark.parametrize("data_unit", [1.0, 1e-5])
def test_geodesic_does_not_depend_on_the_units_of_codes_and_of_data(units, data_unit):
    units, start, end = jnp.array(units), jnp.array([0.0, 0.7]), jnp.array([2.0, 1.0])
    decode = lambda code: data_unit * sphere(code / units)  # noqa: E731
    with jax.numpy_dtype_promotion("standard"):
        codes = jax.jit(partial(geodesic, decode))(units * start, units * end)
    first, last = np.asarray(sphere(start)) / RADIUS, np.asarray(sphere(end)) / RADIUS
    np.testing.assert_allclose(curve_length(decode, codes), data_unit * RADIUS * np.arccos(first @ last), rtol=1e-3)


@pytest.mark.slow
def test_geodesic_of_a_decoder_that_does_not_move_is_the_line():
    with jax.numpy_dtype_promotion("standard"):
        codes = geodesic(lambda z: 0 * z, jnp.zeros(2), jnp.ones(2), points=5, steps=3)
        np.testing.assert_allclose(codes, np.linspace([0, 0], [1, 1], 5), rtol=1e-6)
        codes = geodesic(lambda z: z[:1], jnp.zeros(2), jnp.ones(2), points=5, steps=3)
    np.testing.assert_allclose(codes[:, 1], np.linspace(0, 1, 5), rtol=1e-6)


@pytest.mark.slow
def test_knobs_of_numpy_keep_single_precision(float64, without_type_checks):
    with jax.numpy_dtype_promotion("standard"):
        codes = geodesic(
            lambda z: z, jnp.zeros(2, jnp.float32), jnp.ones(2, jnp.float32), learning_rate=np.float64(0.1)
        )
    assert codes.dtype == jnp.float32


@pytest.mark.slow
def test_half_precision_is_summed_in_single():
    """The length of 2000 steps of 40: in float16 it overflows."""
    codes = jnp.arange(2001, dtype=jnp.float16)[:, None]
    assert curve_length(lambda z: 40 * (z % 2), codes) == 80_000
    assert curve_energy(lambda z: 40 * (z % 2), codes[:3]) == 3200
    metric = pullback_metric(lambda z: 300 * z, jnp.ones(2, jnp.float16))
    np.testing.assert_array_equal(metric, 90_000 * np.eye(2))


def test_bad_input_is_refused(without_type_checks):
    one, two = jnp.zeros(2), jnp.zeros((2, 2))
    for function, code, message in (
        (pullback_metric, two, r"code must be a vector \(K,\), got shape \(2, 2\)"),
        (curve_length, one, r"codes must be codes in rows \(T, K\), got shape \(2,\)"),
        (curve_energy, two[:1], "a curve must have at least 2 codes, got 1"),
        (log_volume, one, r"codes must be codes in rows \(T, K\), got shape \(2,\)"),
    ):
        with pytest.raises(ValueError, match=message):
            function(sphere, code)
        with pytest.raises(TypeError, match="must be a floating-point array"):
            function(sphere, jnp.zeros((2,) if function is pullback_metric else (2, 2), int))
    with pytest.raises(ValueError, match="points must be at least 3, both ends included, got 2"):
        geodesic(sphere, one, one, points=2)
    with pytest.raises(ValueError, match="shapes must be equal: start has"):
        geodesic(sphere, one, jnp.zeros(3))
    with pytest.raises(ValueError, match="learning_rate must be positive"):
        geodesic(sphere, one, one, learning_rate=0.0)
    with pytest.raises(ValueError, match="steps must be at least 1, got 0"):
        geodesic(sphere, one, one, steps=0)


@pytest.mark.parametrize("function", [pullback_metric, curve_length, curve_energy, log_volume])
def test_lists_are_refused_by_name(function, without_type_checks):
    with pytest.raises(TypeError, match="must be a JAX or NumPy array, got list"):
        function(sphere, [[0.1, 0.2], [0.3, 0.4]])


def test_one_code_is_no_curve(without_type_checks):
    with pytest.raises(ValueError, match=r"codes must be codes in rows \(T, K\), got shape \(\)"):
        curve_energy(sphere, jnp.array(1.0))
