"""Likelihoods: log-probabilities against SciPy, means, samples, what they refuse."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads
from scipy import integrate, special, stats

from aejax.likelihoods import bernoulli, gaussian

N = 20_000
every_likelihood = pytest.mark.parametrize(
    "likelihood", [bernoulli(), gaussian(variance=0.5)], ids=["bernoulli", "gaussian"]
)


def test_numbers_by_hand():
    log_prob = bernoulli().log_prob(jnp.array([1.0, 0.0]), jnp.array([0.0, math.log(3)]))
    np.testing.assert_allclose(log_prob, -3 * math.log(2), rtol=1e-6)
    log_prob = gaussian(variance=4.0).log_prob(jnp.array([3.0]), jnp.array([1.0]))
    np.testing.assert_allclose(log_prob, -0.5 - 0.5 * math.log(8 * math.pi), rtol=1e-6)


@pytest.mark.parametrize("shape", [(), (7,), (4, 3, 2)])
def test_log_probabilities_equal_scipy(shape, float64):
    rng = np.random.default_rng(0)
    x, parameters = rng.integers(0, 2, shape).astype(float), 3 * rng.standard_normal(shape)
    expected = stats.bernoulli.logpmf(x, special.expit(parameters)).sum()
    np.testing.assert_allclose(bernoulli().log_prob(jnp.array(x), jnp.array(parameters)), expected, rtol=1e-12)
    for variance in (0.01, 1.0, 7.0):
        x = rng.standard_normal(shape)
        expected = stats.norm.logpdf(x, parameters, math.sqrt(variance)).sum()
        log_prob = gaussian(variance=variance).log_prob(jnp.array(x), jnp.array(parameters))
        np.testing.assert_allclose(log_prob, expected, rtol=1e-12)


def test_probabilities_sum_to_one(float64):
    logits, every_x = jnp.array([-2.0, 0.0, 5.0]), jnp.array(list(itertools.product((0.0, 1.0), repeat=3)))
    total = jnp.sum(jnp.exp(jax.vmap(bernoulli().log_prob, in_axes=(0, None))(every_x, logits)))
    np.testing.assert_allclose(total, 1, rtol=1e-14)
    likelihood = gaussian(variance=0.3)
    density = jax.jit(lambda x: jnp.exp(likelihood.log_prob(x, jnp.array(0.7))))
    np.testing.assert_allclose(integrate.quad(density, -6, 8)[0], 1, rtol=1e-9)


@every_likelihood
def test_derivatives_equal_finite_differences(likelihood, float64, without_type_checks):
    x, parameters = jnp.array([0.0, 0.3, 1.0]), jnp.array([-2.0, 0.0, 3.0])
    check_grads(jax.jit(likelihood.log_prob), (x, parameters), order=2, modes=("fwd", "rev"), rtol=1e-5, atol=1e-5)


@every_likelihood
@pytest.mark.parametrize("parameter", [-1e4, 0.0, 1e4])
def test_value_and_gradient_are_finite_at_extremes(likelihood, parameter):
    value, gradient = jax.value_and_grad(likelihood.log_prob, argnums=1)(jnp.float32(1), jnp.float32(parameter))
    assert np.isfinite(value)
    assert np.isfinite(gradient)


def test_means_are_in_data_space():
    parameters = jnp.array([-2.0, 0.0, 5.0])
    np.testing.assert_allclose(bernoulli().mean(parameters), special.expit(parameters), rtol=1e-6)
    np.testing.assert_array_equal(gaussian(variance=3.0).mean(parameters), parameters)


def test_supports():
    assert bernoulli().support == (0, 1)
    assert gaussian().support == (-math.inf, math.inf)


def test_bernoulli_samples_are_bits_with_that_probability():
    logits = jnp.array([-3.0, 0.0, 1.0])
    x = np.asarray(bernoulli().sample(jax.random.key(0), jnp.broadcast_to(logits, (N, 3))))
    assert x.dtype == np.float32
    assert set(np.unique(x)) == {0, 1}
    probability = special.expit(logits)
    assert np.all(np.abs(x.mean(axis=0) - probability) < 5 * np.sqrt(probability * (1 - probability) / N))


def test_gaussian_samples_have_that_mean_and_variance():
    x = np.asarray(gaussian(variance=0.25).sample(jax.random.key(0), jnp.full(N, 2.0)), np.float64)
    assert abs(x.mean() - 2) < 5 * 0.5 / np.sqrt(N)
    assert abs(x.var() - 0.25) < 5 * 0.25 * np.sqrt(2 / N)


@every_likelihood
def test_samples_follow_the_key_and_keep_shape_and_dtype(likelihood):
    parameters = jnp.zeros((8, 8, 1), jnp.bfloat16)
    one, same, other = (likelihood.sample(jax.random.key(seed), parameters) for seed in (0, 0, 1))
    assert (one.shape, one.dtype) == (parameters.shape, parameters.dtype)
    np.testing.assert_array_equal(one, same)
    assert np.any(one != other)


@every_likelihood
def test_same_with_and_without_jit_and_vmap(likelihood):
    x, parameters = (jax.random.uniform(jax.random.key(seed), (4, 3)) for seed in (0, 1))
    loop = jnp.stack([likelihood.log_prob(*pair) for pair in zip(x, parameters, strict=True)])
    np.testing.assert_allclose(jax.vmap(likelihood.log_prob)(x, parameters), loop, rtol=1e-6)
    np.testing.assert_allclose(jax.jit(likelihood.log_prob)(x[0], parameters[0]), loop[0], rtol=1e-6)


@every_likelihood
def test_refuses_shapes_that_differ_and_integers(likelihood, without_type_checks):
    with pytest.raises(ValueError, match="shapes must be equal"):
        likelihood.log_prob(jnp.zeros(8), jnp.zeros((8, 1)))
    with pytest.raises(TypeError, match="x must be a floating-point array"):
        likelihood.log_prob(jnp.zeros(8, jnp.int32), jnp.zeros(8))


@pytest.mark.parametrize("variance", [0.0, -1.0, math.inf, math.nan])
def test_gaussian_refuses_a_variance_that_is_none(variance):
    with pytest.raises(ValueError, match="variance must be positive and finite"):
        gaussian(variance=variance)
