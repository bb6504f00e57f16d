"""Second derivatives of norms against finite differences of first ones, where singular values differ, tie, are 0."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aejax.jacobian import (
    contraction_curve,
    curve_length,
    effective_rank,
    frobenius_norm_squared,
    log_determinant,
    log_volume,
    nuclear_norm,
    singular_values,
    spectral_norm,
)
from aejax.jacobian.exact import METHODS

DRAW = np.random.default_rng(0)
INNER, OUTER = DRAW.standard_normal((4, 2)), DRAW.standard_normal((5, 4))
FRAME = np.linalg.qr(DRAW.standard_normal((5, 2)))[0]
POINT = np.array([1.0, 1.0])


def network(z):
    return jnp.array(OUTER) @ jnp.tanh(jnp.array(INNER) @ z)


def wide(z):
    """With fewer numbers than its argument has."""
    return jnp.tanh(network(z))[:1]


def conformal(z):
    """Its two singular values are equal at the point, and cross there."""
    return jnp.array(FRAME) @ (z + 0.1 * z**2)


def nearly_conformal(z):
    return jnp.array(FRAME) @ (jnp.array([1.0, 1 + 1e-9]) * z + 0.1 * z**2)


NORMS = {
    "nuclear": nuclear_norm,
    "log determinant": log_determinant,
    "log volume": lambda f, z: log_volume(f, z[None])[0],
    "spectral": lambda f, z: spectral_norm(jax.random.key(0), f, z, iterations=100),
    "a sum of sines": lambda f, z: jnp.sum(jnp.sin(singular_values(f, z))),
}


def differences(gradient, point, step=1e-5):
    columns = [(gradient(point + step * e) - gradient(point - step * e)) / (2 * step) for e in np.eye(point.size)]
    return np.stack(columns, axis=-1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "f"),
    [
        *(pytest.param(name, network, id=f"{name}, distinct") for name in NORMS),
        pytest.param("nuclear", wide, id="nuclear, wide"),
        pytest.param("spectral", wide, id="spectral, wide"),
        *((name, f) for name in ("nuclear", "log determinant", "log volume") for f in (conformal, nearly_conformal)),
    ],
)
def test_second_derivatives_equal_finite_differences(name, f, float64):
    point, norm = jnp.array(POINT), lambda z: NORMS[name](f, z)
    expected = differences(jax.jit(jax.grad(norm)), point)
    np.testing.assert_allclose(jax.jit(jax.hessian(norm))(point), expected, rtol=1e-6, atol=1e-7)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["nuclear", "log determinant"])
@pytest.mark.parametrize("outer", [jax.jacfwd, jax.jacrev])
def test_second_derivatives_are_the_same_inside_a_scan(name, outer, float64):
    """The backward pass of a scan drops the rules of custom derivatives."""
    point, norm = jnp.array(POINT), lambda z: NORMS[name](conformal, z)
    looped = lambda z: jax.lax.scan(lambda total, _: (total + norm(z), None), 0.0, length=2)[0]  # noqa: E731
    expected = 2 * differences(jax.jit(jax.grad(norm)), point)
    np.testing.assert_allclose(jax.jit(outer(jax.grad(looped)))(point), expected, rtol=1e-6, atol=1e-7)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["nuclear", "log determinant", "spectral"])
def test_third_derivatives_equal_finite_differences(name, float64):
    point, norm = jnp.array(POINT), lambda z: NORMS[name](network, z)
    expected = differences(jax.jit(jax.hessian(norm)), point)
    np.testing.assert_allclose(jax.jit(jax.jacfwd(jax.hessian(norm)))(point), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("point", [(1.0, 1.0), (0.0, 0.0), (1.0, 0.0)])
def test_derivatives_are_finite_where_values_are_equal_or_zero(point):
    """For z² in float32, with J = diag(2 z)."""
    norms = [*NORMS.values(), lambda f, z: effective_rank(singular_values(f, z))]

    def total(z):
        return jnp.stack([norm(jnp.square, z) for norm in norms])

    first, second = jax.jit(lambda z: (jax.jacrev(total)(z), jax.jacfwd(jax.jacrev(total))(z)))(jnp.array(point))
    assert np.isfinite(first).all()
    assert np.isfinite(second).all()


@pytest.mark.slow
def test_nuclear_norm_of_a_function_that_ignores_a_feature_is_smooth(float64):
    """One singular value is always 0, and the second derivatives of the others are correct."""
    norm = lambda z: nuclear_norm(lambda z: conformal(z[:2]), z)  # noqa: E731
    point = jnp.array([1.0, 0.5, 7.0])
    expected = differences(jax.jit(jax.grad(norm)), point)
    np.testing.assert_allclose(jax.jit(jax.hessian(norm))(point), expected, rtol=1e-6, atol=1e-7)


@pytest.mark.slow_after_first
@pytest.mark.parametrize("method", METHODS)
def test_the_norm_has_its_second_derivatives_where_it_is_zero(method, float64):
    """f(x) = V (W x)², whose J is 0 at 0: ‖J‖² is a quadratic form of the second derivatives."""
    f = lambda x: jnp.array(OUTER) @ jnp.square(jnp.array(INNER) @ x)  # noqa: E731
    hessian = jax.jit(jax.hessian(lambda x: frobenius_norm_squared(f, x, method=method)))(jnp.zeros(2))
    second = np.einsum("kh,hi,hj->kij", 2 * OUTER, INNER, INNER)
    np.testing.assert_allclose(hessian, 2 * np.einsum("kij,kil->jl", second, second), rtol=1e-10)


@pytest.mark.slow
def test_a_curve_through_equal_examples_has_derivatives():
    """With a dead unit, the decoder is constant, or equal at some neighbors on the curve."""
    dead = lambda z: jax.nn.relu(z - 5)  # noqa: E731
    codes = jnp.array([[0.0, 0.0], [1.0, 1.0], [7.0, 7.0]])
    length = lambda codes: curve_length(dead, codes)  # noqa: E731
    curve = lambda x: jnp.sum(contraction_curve(jax.random.key(0), dead, x, jnp.array([0.1, 1.0]), directions=3))  # noqa: E731
    for f, point in ((length, codes), (curve, codes[0])):
        first, second = jax.jit(lambda x, f=f: (jax.grad(f)(x), jax.hessian(f)(x)))(point)
        assert np.isfinite(first).all()
        assert np.isfinite(second).all()


def test_short_curves_keep_their_length():
    """Steps of 10⁻²⁵, whose squares are outside float32."""
    codes = jnp.array([[0.0], [1e-25], [3e-25]])
    np.testing.assert_allclose(curve_length(lambda z: z, codes), 3e-25, rtol=1e-6)


@pytest.mark.slow
def test_log_determinant_of_dependent_columns_is_minus_infinity():
    """It does not depend on the rounding of the smallest singular value, and is finite for nearly dependent columns."""
    found = []
    for seed, (rows, columns) in enumerate([(2, 2), (5, 2), (5, 5), (40, 7), (300, 20)] * 3):
        kernel = np.random.default_rng(seed).standard_normal((rows, columns))
        kernel[:, -1] = kernel[:, :-1] @ np.random.default_rng(seed).standard_normal(columns - 1)
        kernel = jnp.array(kernel, jnp.float32)
        found.append(log_determinant(lambda z, kernel=kernel: kernel @ z, jnp.zeros(columns)))
    np.testing.assert_array_equal(found, -np.inf)
    kernel = jnp.array([[1.0, 0.0], [0.0, 1e-5], [0.0, 0.0]])
    np.testing.assert_allclose(log_determinant(lambda z: kernel @ z, jnp.zeros(2)), 2 * np.log(1e-5), rtol=1e-5)
    assert np.isnan(log_determinant(lambda z: jnp.nan * z, jnp.ones(2)))
