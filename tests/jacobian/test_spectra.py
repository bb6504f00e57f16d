"""Spectra on manifolds of known tangent spaces, ranks and saturation by hand, contraction curves in closed form."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, linalg

from aejax.jacobian import (
    contraction_curve,
    effective_rank,
    frobenius_norm_squared,
    higher_order_penalty,
    jacobian,
    local_intrinsic_dimension,
    log_determinant,
    log_volume,
    nuclear_norm,
    orthogonality_penalty,
    saturation,
    singular_values,
    spectral_norm,
)
from aejax.jacobian.exact import METHODS

DIMENSIONS = 50


def frame(columns):
    """Orthonormal vectors of the surrounding space."""
    return jnp.array(linalg.orth(np.random.default_rng(0).standard_normal((DIMENSIONS, columns))))


def on_sphere():
    """Projection on a sphere of two dimensions, and the tangents at a point of it."""
    axes, point = frame(3), jnp.array([0.6, 0.0, 0.8])
    project = lambda x: axes @ ((axes.T @ x) / jnp.linalg.norm(axes.T @ x))  # noqa: E731
    return project, axes @ point, axes @ jnp.array([[0.8, 0.0], [0.0, 1.0], [-0.6, 0.0]])


def on_circles(number=5):
    """Projection on a product of circles in planes of their own."""
    axes, angles = frame(2 * number), jnp.linspace(0.3, 2.0, number)
    points = jnp.stack([jnp.cos(angles), jnp.sin(angles)], axis=1)

    def project(x):
        pairs = (axes.T @ x).reshape(number, 2)
        return axes @ (pairs / jnp.linalg.norm(pairs, axis=1, keepdims=True)).reshape(-1)

    across = jnp.stack([-jnp.sin(angles), jnp.cos(angles)], axis=1)
    tangents = jax.vmap(lambda i: jnp.zeros((number, 2)).at[i].set(across[i]).reshape(-1))(jnp.arange(number))
    return project, axes @ points.reshape(-1), axes @ tangents.T


def on_swiss_roll():
    """Projection on a Swiss roll by its own coordinates: the nearest angle is found by Newton's method."""
    axes, t = frame(3), 4.0
    roll = lambda t, h: jnp.stack([t * jnp.cos(t), h, t * jnp.sin(t)])  # noqa: E731

    def project(x):
        inner = axes.T @ x
        distance = lambda t: 0.5 * jnp.sum(jnp.square(roll(t, inner[1]) - inner))  # noqa: E731
        nearest = jnp.arctan2(inner[2], inner[0]) + 2 * jnp.pi  # right on the roll; Newton adds the derivative
        for _ in range(2):
            nearest = nearest - jax.grad(distance)(nearest) / jax.grad(jax.grad(distance))(nearest)
        return axes @ roll(nearest, inner[1])

    tangents = jnp.stack([jax.jacfwd(roll)(t, 2.0), jnp.array([0.0, 1.0, 0.0])], axis=1)
    return project, axes @ roll(t, 2.0), axes @ tangents


@pytest.mark.slow
@pytest.mark.parametrize(("manifold", "dimension"), [(on_sphere, 2), (on_swiss_roll, 2), (on_circles, 5)])
def test_tangent_spaces_of_known_manifolds_are_recovered(manifold, dimension, float64):
    """The Jacobian of the projection on a manifold is that on its tangent space: σ = 1 along it and 0 across."""
    project, x, tangents = manifold()
    np.testing.assert_allclose(jax.jit(project)(x), x, rtol=1e-10, atol=1e-12)
    values = jax.jit(partial(singular_values, project, method="jacrev"))(x)
    np.testing.assert_allclose(values, [1.0] * dimension + [0.0] * (DIMENSIONS - dimension), atol=1e-9)
    assert local_intrinsic_dimension(values) == dimension
    np.testing.assert_allclose(effective_rank(values), dimension, rtol=1e-6)
    whole = jax.jit(partial(jacobian, project, method="jacrev"))(x)
    _, _, directions = np.linalg.svd(whole)
    assert np.max(linalg.subspace_angles(directions[:dimension].T, np.asarray(tangents))) < 1e-8
    assert np.min(linalg.subspace_angles(directions[dimension:].T, np.asarray(tangents))) > 1.57


@pytest.mark.slow_after_first
@pytest.mark.parametrize("method", METHODS)
def test_singular_values_of_a_linear_map_and_their_squares(method, float64):
    kernel, x = jnp.array(np.random.default_rng(1).standard_normal((3, 4, 2))), jnp.ones((4, 2))
    f = lambda x: kernel.reshape(3, 8) @ x.reshape(-1)  # noqa: E731
    values = singular_values(f, x, method=method, chunk_size=2)
    np.testing.assert_allclose(values, linalg.svdvals(np.asarray(kernel).reshape(3, 8)), rtol=1e-12)
    np.testing.assert_allclose(jnp.sum(values**2), frobenius_norm_squared(f, x, method=method), rtol=1e-12)


@pytest.mark.slow
def test_effective_rank_by_hand_and_at_zero():
    np.testing.assert_allclose(effective_rank(jnp.ones(7)), 7, rtol=1e-6)
    np.testing.assert_allclose(effective_rank(5 * jnp.array([3.0, 1.0])), 4 / 3**0.75, rtol=1e-6)
    np.testing.assert_allclose(effective_rank(jnp.array([[2.0, 0.0], [0.0, 0.0]])), [1, 0], rtol=1e-6)


@pytest.mark.slow
def test_local_intrinsic_dimension_by_hand():
    values = jnp.array([3.0, 2.0, 1.0, 0.0])  # shares 9/14, 13/14, 1
    for fraction, expected in ((0.0, 0), (0.5, 1), (9 / 14 + 0.01, 2), (0.95, 3), (1.0, 3)):
        assert local_intrinsic_dimension(values, fraction=fraction) == expected
    assert local_intrinsic_dimension(jnp.zeros((2, 3))).tolist() == [0, 0]


def test_saturation_by_hand():
    assert saturation(jnp.array([[0.0, 0.04], [0.06, 0.94]])) == 0.5
    assert saturation(jnp.array([-0.95, -0.85, 0.0, 1.0]), low=-1.0) == 0.5
    assert saturation(jnp.array([0.1, 0.3]), margin=0.2) == 0.5


@pytest.mark.slow
def test_contraction_curve_of_a_saturating_unit_is_its_integral(float64):
    """One unit in three dimensions: v·w is uniform on (-1, 1) on the unit sphere, so the mean is an integral."""
    radii, samples = np.array([0.1, 1.0, 5.0]), 100_000
    curve = contraction_curve(
        jax.random.key(0), lambda x: jnp.tanh(x[:1]), jnp.zeros(3), jnp.array(radii), directions=samples
    )
    for radius, mean in zip(radii, curve, strict=True):
        square = integrate.quad(lambda u, r=radius: np.tanh(r * u) ** 2 / r**2, 0, 1)[0]
        expected = integrate.quad(lambda u, r=radius: np.tanh(r * u) / r, 0, 1)[0]
        assert abs(mean - expected) < 5 * np.sqrt((square - expected**2) / samples)


@pytest.mark.slow
def test_contraction_curve_of_similarities_and_of_images(float64):
    radii, image = jnp.array([0.01, 1.0, 100.0]), jnp.ones((4, 3, 2))
    curve = contraction_curve(jax.random.key(0), lambda x: 0.3 * x + 2.0, image, radii, directions=5)
    np.testing.assert_allclose(curve, 0.3, rtol=1e-12)


def test_bad_input_is_refused(without_type_checks):
    with pytest.raises(ValueError, match="fraction must be between 0 and 1, got 2"):
        local_intrinsic_dimension(jnp.ones(2), fraction=2.0)
    with pytest.raises(ValueError, match=r"margin must be between 0 and 0\.5, got 0\.6"):
        saturation(jnp.ones(2), margin=0.6)
    with pytest.raises(ValueError, match=r"low must be below high, got 1\.0 and 1\.0"):
        saturation(jnp.ones(2), low=1.0)
    for function in (effective_rank, local_intrinsic_dimension, saturation):
        with pytest.raises(TypeError, match="must be a floating-point array"):
            function(jnp.ones(2, int))
    curve = partial(contraction_curve, jax.random.key(0), jnp.sin, jnp.ones(2))
    with pytest.raises(ValueError, match=r"radii must be a vector, got shape \(\)"):
        curve(jnp.array(1.0), directions=2)
    with pytest.raises(ValueError, match="directions must be at least 1, got 0"):
        curve(jnp.ones(2), directions=0)


@pytest.mark.slow
def test_a_fraction_of_one_counts_every_nonzero_value():
    """Even one that is lost in the rounding of the sum of squares."""
    values = jnp.array([[1.0, 1e-3, 1e-5, 1e-6], [1.0, 1e-5, 0.0, 0.0]])
    np.testing.assert_array_equal(local_intrinsic_dimension(values, fraction=1.0), [4, 2])
    np.testing.assert_array_equal(local_intrinsic_dimension(values, fraction=0.5), [1, 1])


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16])
def test_half_precision_has_a_spectrum(dtype):
    """Of a kernel of whole numbers, in float32."""
    kernel, x = jnp.array([[1.0, 2.0], [0.0, 3.0]], dtype), jnp.ones(2, dtype)
    f, values = lambda x: kernel @ x, linalg.svdvals([[1.0, 2.0], [0.0, 3.0]])
    for got, expected, rtol in (
        (singular_values(f, x), values, 1e-5),
        (nuclear_norm(f, x), values.sum(), 1e-5),
        (log_determinant(f, x), 2 * np.log(3), 1e-5),
        (log_volume(f, x[None]), [np.log(3)], 1e-5),
        (orthogonality_penalty(f, x), 8, 1e-5),
        (spectral_norm(jax.random.key(0), f, x), values[0], 1e-2),  # whose products are f's own
    ):
        assert got.dtype == jnp.float32
        np.testing.assert_allclose(got, expected, rtol=rtol)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16])
def test_half_precision_is_counted_and_summed_in_single(dtype):
    assert saturation(jnp.ones(100_000, dtype)) == 1
    np.testing.assert_allclose(saturation(jnp.linspace(0, 1, 100_001).astype(dtype)), 0.1, atol=2e-3)
    np.testing.assert_allclose(effective_rank(jnp.full(1000, 300, dtype)), 1000, rtol=1e-4)
    assert local_intrinsic_dimension(jnp.array([300, 200], dtype)) == 2
    curve = contraction_curve(jax.random.key(0), lambda x: 2 * x, jnp.zeros(90_000, dtype), jnp.ones(1), directions=2)
    np.testing.assert_allclose(curve, 2, rtol=1e-2)


@pytest.mark.slow
@pytest.mark.parametrize("scale", [1.0, 0.27486736, 1e-22, 1e20])
def test_dimensions_and_ranks_do_not_depend_on_the_scale(scale):
    values = scale * jnp.array([3.0, 2.0, 0.1])
    assert local_intrinsic_dimension(values) == 2
    np.testing.assert_allclose(effective_rank(values), effective_rank(values / scale), rtol=1e-5)
    for size in (3, 20, 50, 64):
        fractions = np.arange(size + 1) / size
        found = [local_intrinsic_dimension(jnp.full(size, scale), fraction=fraction) for fraction in fractions[::3]]
        np.testing.assert_array_equal(found, np.arange(size + 1)[::3])


@pytest.mark.slow
def test_empty_inputs():
    assert singular_values(lambda x: x[:0], jnp.ones(3)).shape == (0,)
    assert nuclear_norm(lambda x: x[:0], jnp.ones(3)) == 0
    assert spectral_norm(jax.random.key(0), lambda x: x[:0], jnp.ones(3)) == 0
    assert spectral_norm(jax.random.key(0), lambda x: jnp.ones(2), jnp.ones(0)) == 0
    assert log_determinant(lambda x: jnp.ones(2), jnp.ones(0)) == 0
    assert effective_rank(jnp.ones(0)) == 0
    assert local_intrinsic_dimension(jnp.ones((2, 0))).tolist() == [0, 0]
    with pytest.raises(ValueError, match=r"code must have at least one unit, got shape \(0,\)"):
        saturation(jnp.ones(0))
    with pytest.raises(ValueError, match=r"x must have at least one feature, got shape \(0,\)"):
        contraction_curve(jax.random.key(0), jnp.sin, jnp.ones(0), jnp.ones(1), directions=2)


@pytest.mark.slow
def test_knobs_of_numpy_keep_single_precision(float64, without_type_checks):
    code, knob = jnp.full(4, 0.5, jnp.float32), np.float64
    assert saturation(code, low=knob(0), high=knob(1), margin=knob(0.05)).dtype == jnp.float32
    assert local_intrinsic_dimension(code, fraction=knob(0.5)) == 2
    radii = np.array([0.1, 1.0])
    assert contraction_curve(jax.random.key(0), jnp.sin, code, radii, directions=np.int64(2)).dtype == jnp.float32
    options = {"standard_deviation": knob(0.1), "samples": np.int64(2)}
    assert higher_order_penalty(jax.random.key(0), jnp.sin, code, **options).dtype == jnp.float32


@pytest.mark.slow
def test_the_curve_of_radii_from_outside_a_compiled_function():
    radii, x = jnp.array([0.1, 1.0]), jnp.ones(3)

    def curve(x):
        return contraction_curve(jax.random.key(0), jnp.tanh, x, radii, directions=4)

    np.testing.assert_allclose(jax.jit(curve)(x), curve(x), rtol=1e-6)
