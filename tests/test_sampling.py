"""Gaussian samples by the reparameterization trick, what their gradient is, and their density."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads
from scipy import stats

from aejax.sampling import gaussian_log_prob, reparameterize

N = 20_000


def test_samples_are_gaussian_with_that_mean_and_variance():
    mean, log_variance = jnp.full(N, 1.5), jnp.full(N, np.log(0.25))
    z = np.asarray(reparameterize(jax.random.key(0), mean, log_variance), np.float64)
    assert abs(z.mean() - 1.5) < 5 * 0.5 / np.sqrt(N)  # 5 standard errors
    assert abs(z.var() - 0.25) < 5 * 0.25 * np.sqrt(2 / N)
    assert stats.kstest((z - 1.5) / 0.5, "norm").pvalue > 1e-6


def test_entries_are_independent():
    keys = jax.random.split(jax.random.key(1), N)
    z = jax.jit(jax.vmap(reparameterize, in_axes=(0, None, None)))(keys, jnp.zeros(2), jnp.zeros(2))
    assert abs(np.corrcoef(z.T)[0, 1]) < 5 / np.sqrt(N)


@pytest.mark.slow
def test_gradients_reach_mean_and_log_variance(float64):
    key, mean, log_variance = jax.random.key(2), jnp.array([0.5, -1.0, 3.0]), jnp.array([0.0, -2.0, 1.0])
    z = reparameterize(key, mean, log_variance)
    epsilon_sigma = z - mean  # σ ε
    by_mean, by_log_variance = jax.jacobian(reparameterize, argnums=(1, 2))(key, mean, log_variance)
    np.testing.assert_allclose(by_mean, np.eye(3), rtol=1e-14)
    np.testing.assert_allclose(by_log_variance, np.diag(0.5 * epsilon_sigma), rtol=1e-12)


def test_the_noise_belongs_to_the_key_alone():
    key, mean = jax.random.key(3), jnp.arange(4.0)
    z = reparameterize(key, mean, jnp.zeros(4))
    np.testing.assert_array_equal(reparameterize(key, mean, jnp.zeros(4)), z)
    np.testing.assert_allclose(reparameterize(key, mean + 1, jnp.full(4, np.log(4.0))), mean + 1 + 2 * (z - mean), 1e-5)
    assert np.all(reparameterize(jax.random.key(4), mean, jnp.zeros(4)) != z)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float32])
@pytest.mark.parametrize("shape", [(), (3,), (2, 3, 1)])
def test_keeps_shape_and_dtype(shape, dtype):
    mean = jnp.zeros(shape, dtype)
    z = jax.eval_shape(reparameterize, jax.random.key(0), mean, mean)
    assert (z.shape, z.dtype) == (shape, dtype)


def test_a_vanishing_variance_returns_the_mean_and_finite_gradients():
    def total(mean, log_variance):
        return jnp.sum(reparameterize(jax.random.key(0), mean, log_variance))

    value, gradient = jax.jit(jax.value_and_grad(total, argnums=(0, 1)))(jnp.full(3, 2.0), jnp.full(3, -1e4))
    assert value == 6
    np.testing.assert_array_equal(gradient, ([1, 1, 1], [0, 0, 0]))


@pytest.mark.slow
def test_same_with_and_without_jit_and_vmap():
    keys = jax.random.split(jax.random.key(0), 4)
    mean, log_variance = (jax.random.normal(jax.random.key(seed), (4, 3)) for seed in (1, 2))
    loop = jnp.stack([reparameterize(*one) for one in zip(keys, mean, log_variance, strict=True)])
    np.testing.assert_allclose(jax.jit(jax.vmap(reparameterize))(keys, mean, log_variance), loop, rtol=1e-6)
    np.testing.assert_allclose(jax.jit(reparameterize)(keys[0], mean[0], log_variance[0]), loop[0], rtol=1e-6)


def test_refuses_shapes_that_differ():
    with pytest.raises(ValueError, match=r"mean has \(8,\), log_variance has \(8, 1\)"):
        reparameterize(jax.random.key(0), jnp.zeros(8), jnp.zeros((8, 1)))


def test_refuses_integers(without_type_checks):
    with pytest.raises(TypeError, match="mean must be a floating-point array"):
        reparameterize(jax.random.key(0), jnp.zeros(3, jnp.int32), jnp.zeros(3))


@pytest.mark.slow_after_first
@pytest.mark.parametrize("shape", [(), (3,), (2, 3, 1)])
def test_log_prob_equals_scipy(shape, float64):
    code, mean, log_variance = np.random.default_rng(0).standard_normal((3, *shape))
    expected = stats.norm.logpdf(code, mean, np.exp(0.5 * log_variance)).sum()
    log_prob = gaussian_log_prob(jnp.array(code), jnp.array(mean), jnp.array(log_variance))
    np.testing.assert_allclose(log_prob, expected, rtol=1e-13)
    jitted = jax.jit(gaussian_log_prob)(jnp.array(code), jnp.array(mean), jnp.array(log_variance))
    np.testing.assert_allclose(jitted, expected, rtol=1e-13)


@pytest.mark.slow
def test_derivatives_of_log_prob_equal_finite_differences(float64, without_type_checks):
    arguments = jnp.array([0.5, -1.0]), jnp.array([0.0, 2.0]), jnp.array([-1.0, 0.7])
    check_grads(jax.jit(gaussian_log_prob), arguments, order=2, modes=("fwd", "rev"), rtol=1e-5, atol=1e-5)


def test_log_prob_refuses_shapes_that_differ():
    with pytest.raises(ValueError, match=r"mean has \(3, 1\)"):
        gaussian_log_prob(jnp.zeros(3), jnp.zeros((3, 1)), jnp.zeros(3))
    with pytest.raises(ValueError, match=r"log_variance has \(\)"):
        gaussian_log_prob(jnp.zeros(3), jnp.zeros(3), jnp.zeros(()))


def test_log_prob_refuses_integers(without_type_checks):
    with pytest.raises(TypeError, match="code must be a floating-point array"):
        gaussian_log_prob(jnp.zeros(3, jnp.int32), jnp.zeros(3), jnp.zeros(3))


@pytest.mark.slow
@pytest.mark.parametrize("log_variance", [-90.0, -200.0, -500.0])
def test_log_prob_of_a_tiny_variance_is_no_nan(log_variance):
    """At the mean it is that of SciPy; elsewhere it is beyond float32, with a gradient of 0."""
    function = jax.value_and_grad(gaussian_log_prob, argnums=(0, 1, 2))
    value, gradient = function(jnp.ones(2), jnp.ones(2), jnp.full(2, log_variance))
    np.testing.assert_allclose(value, -(log_variance + np.log(2 * np.pi)), rtol=1e-6)
    np.testing.assert_array_equal(gradient, [[0, 0], [0, 0], [-0.5, -0.5]])
    value, gradient = function(jnp.ones(2), jnp.zeros(2), jnp.full(2, log_variance))
    assert value == -np.inf
    np.testing.assert_array_equal(gradient, np.zeros((3, 2)))


def test_log_prob_of_a_tiny_difference_and_a_tiny_variance_equals_scipy():
    code, log_variance = 1e-30, -138.0
    got = gaussian_log_prob(jnp.full(1, code), jnp.zeros(1), jnp.full(1, log_variance))
    np.testing.assert_allclose(got, stats.norm.logpdf(np.float32(code), 0, np.exp(log_variance / 2)), rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_half_precision_is_drawn_and_summed_in_single(dtype):
    """The noise is drawn in float32 and rounded; drawn in bfloat16 it would end at 2.5 standard deviations."""
    mean = jnp.zeros(N, dtype)
    z = np.asarray(reparameterize(jax.random.key(0), mean, mean), np.float64)
    single = reparameterize(jax.random.key(0), mean.astype(jnp.float32), mean.astype(jnp.float32))
    np.testing.assert_array_equal(z, np.asarray(single.astype(dtype), np.float64))
    assert np.abs(z).max() > 3.5
    log_prob = gaussian_log_prob(mean, mean, mean)
    assert log_prob.dtype == dtype
    np.testing.assert_allclose(float(log_prob), -0.5 * N * np.log(2 * np.pi), rtol=float(jnp.finfo(dtype).eps))
