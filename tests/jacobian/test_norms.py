"""Norms against numpy's of the whole matrix, and their derivatives."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from aejax.jacobian import log_determinant, nuclear_norm, orthogonality_penalty, spectral_norm

KERNEL = np.random.default_rng(0).standard_normal((5, 3))
NORMS = {
    "spectral": partial(spectral_norm, jax.random.key(0), iterations=60),
    "nuclear": nuclear_norm,
    "log determinant": log_determinant,
    "orthogonality": orthogonality_penalty,
}


def decode(kernel, code):
    return jnp.tanh(kernel @ code)


def of_matrix(name, matrix):
    metric = matrix.T @ matrix
    return {
        "spectral": np.linalg.norm(matrix, 2),
        "nuclear": np.linalg.norm(matrix, "nuc"),
        "log determinant": np.linalg.slogdet(metric)[1],
        "orthogonality": np.sum(metric**2) - np.sum(np.diag(metric) ** 2),
    }[name]


@pytest.mark.slow
@pytest.mark.parametrize("name", NORMS)
def test_norm_is_that_of_the_matrix_and_differentiable(name, float64, without_type_checks):
    kernel, code = jnp.array(KERNEL), jnp.array([0.1, -0.2, 0.3])
    norm = lambda kernel, code: NORMS[name](partial(decode, kernel), code)  # noqa: E731
    matrix = np.asarray(jax.jit(jax.jacrev(partial(decode, kernel)))(code))
    np.testing.assert_allclose(jax.jit(norm)(kernel, code), of_matrix(name, matrix), rtol=1e-9)
    check_grads(jax.jit(norm), (kernel, code), order=1, modes=("fwd", "rev"), rtol=1e-5, atol=1e-5)
    codes = jnp.stack([code, 2 * code])
    batched = jax.jit(jax.vmap(norm, in_axes=(None, 0)))(kernel, codes)
    np.testing.assert_allclose(batched, [norm(kernel, one) for one in codes], rtol=1e-9)


@pytest.mark.slow
def test_spectral_norm_rises_to_its_value(float64):
    """From below, with the error of power iteration; J = 0 has the norm 0."""
    f, matrix = lambda x: jnp.array(KERNEL) @ x.reshape(-1), np.linalg.norm(KERNEL, 2)
    values = [spectral_norm(jax.random.key(1), f, jnp.ones((3, 1)), iterations=n) for n in (1, 3, 10, 50)]
    assert all(np.diff(values) >= 0)
    assert values[0] < values[-1] <= matrix * (1 + 1e-12)
    np.testing.assert_allclose(values[-1], matrix, rtol=1e-10)
    assert spectral_norm(jax.random.key(1), lambda x: 0 * x, jnp.ones(3)) == 0


def test_log_determinant_is_twice_that_of_a_square_matrix(float64):
    square = jnp.array(KERNEL[:3])
    expected = 2 * np.linalg.slogdet(square)[1]
    np.testing.assert_allclose(log_determinant(lambda z: square @ z, jnp.ones(3)), expected, rtol=1e-12)


@pytest.mark.slow
def test_orthogonality_penalty_is_zero_for_orthogonal_columns(float64):
    columns = jnp.linalg.qr(jnp.array(KERNEL))[0] * jnp.array([[1.0, 20.0, 0.3]])
    np.testing.assert_allclose(orthogonality_penalty(lambda z: columns @ z, jnp.ones(3)), 0, atol=1e-12)


def test_bad_input_is_refused(without_type_checks):
    with pytest.raises(ValueError, match="iterations must be at least 1, got 0"):
        spectral_norm(jax.random.key(0), jnp.sin, jnp.ones(2), iterations=0)
    with pytest.raises(ValueError, match="an example must have at least as many dimensions as its code, got 1 < 2"):
        log_determinant(lambda z: z[:1], jnp.ones(2))
    for norm in NORMS.values():
        with pytest.raises(TypeError, match="x must be a floating-point array"):
            norm(jnp.sin, jnp.ones(2, int))


@pytest.mark.slow_after_first
@pytest.mark.parametrize("scale", [1e-30, 1e-15, 1e-12, 1.0, 1e10, 1e15, 1e30])
def test_spectral_norm_scales_with_the_matrix(scale):
    """In float32, although ‖J v‖² is beyond its range, and so does the derivative with respect to the scale."""
    kernel = jnp.array(KERNEL, jnp.float32)

    def norm(scale):
        return spectral_norm(jax.random.key(0), lambda x: scale * (kernel @ x), jnp.ones(3), iterations=60)

    value, slope = jax.jit(jax.value_and_grad(norm))(jnp.float32(scale))
    np.testing.assert_allclose(value / np.float32(scale), np.linalg.norm(KERNEL, 2), rtol=1e-5)
    np.testing.assert_allclose(slope, np.linalg.norm(KERNEL, 2), rtol=1e-5)


@pytest.mark.slow_after_first
@pytest.mark.parametrize(("weight", "bias"), [(0.0, 0.0), (1.0, 100.0)], ids=["no weights", "saturated"])
def test_spectral_norm_has_a_gradient_where_the_jacobian_is_zero(weight, bias):
    def norm(kernel):
        return spectral_norm(jax.random.key(0), lambda x: jnp.tanh(kernel @ x + bias), jnp.ones(3))

    value, gradient = jax.jit(jax.value_and_grad(norm))(jnp.full((2, 3), weight))
    assert value == 0
    np.testing.assert_array_equal(gradient, 0)


def test_spectral_norm_of_nan_is_nan():
    assert np.isnan(spectral_norm(jax.random.key(0), lambda x: jnp.nan * x, jnp.ones(3)))


def test_orthogonality_penalty_of_long_columns_keeps_its_digits():
    """Columns (1000, 0) and (0.001, 1000): in float32 the squares of the diagonal would swallow 2 · 1²."""
    kernel = jnp.array([[1000.0, 0.001], [0.0, 1000.0]])
    np.testing.assert_allclose(orthogonality_penalty(lambda z: kernel @ z, jnp.zeros(2)), 2.0, rtol=1e-5)
