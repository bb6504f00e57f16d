"""The Gaussian divergence: by hand, by quadrature, its derivatives, its extremes."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from jax.test_util import check_grads
from scipy import integrate, stats

from aejax.divergences import gaussian_kl

vectors = arrays(np.float32, 4, elements=st.floats(-8, 8, width=32))


@pytest.mark.parametrize(
    ("mean", "log_variance", "prior", "expected"),
    [
        ([1.0, 0.0], [0.0, 0.0], {}, 0.5),
        ([0.0], [2.0], {}, 0.5 * (math.e**2 - 3)),
        ([3.0], [0.0], {"prior_mean": 1.0, "prior_log_variance": math.log(4)}, math.log(2) + 5 / 8 - 1 / 2),
    ],
)
def test_number_by_hand(mean, log_variance, prior, expected):
    np.testing.assert_allclose(gaussian_kl(jnp.array(mean), jnp.array(log_variance), **prior), expected, rtol=1e-6)


def _quadrature(mean, log_variance, prior_mean, prior_log_variance):
    posterior = stats.norm(mean, math.exp(0.5 * log_variance))
    prior = stats.norm(prior_mean, math.exp(0.5 * prior_log_variance))
    low, high = mean - 12 * posterior.std(), mean + 12 * posterior.std()
    integrand = lambda z: posterior.pdf(z) * (posterior.logpdf(z) - prior.logpdf(z))  # noqa: E731
    return integrate.quad(integrand, low, high, epsabs=1e-13, epsrel=1e-13)[0]


def test_equals_quadrature_in_float64(float64):
    mean, log_variance = np.array([[0.0, -1.5], [2.0, 0.3]]), np.array([[0.0, 1.0], [-2.0, 0.5]])
    prior_mean, prior_log_variance = np.array([[0.0, 1.0], [2.5, -0.3]]), np.array([[0.0, -1.0], [1.5, 0.5]])
    for priors in (
        (np.zeros((2, 2)), np.zeros((2, 2))),
        (np.full((2, 2), 0.7), np.full((2, 2), -0.4)),
        (prior_mean, prior_log_variance),
    ):
        expected = sum(
            _quadrature(*one) for one in zip(*(a.ravel() for a in (mean, log_variance, *priors)), strict=True)
        )
        as_arrays = gaussian_kl(
            jnp.array(mean), jnp.array(log_variance), prior_mean=priors[0], prior_log_variance=priors[1]
        )
        np.testing.assert_allclose(as_arrays, expected, rtol=1e-11)
    one_number = gaussian_kl(jnp.array(mean), jnp.array(log_variance), prior_mean=0.7, prior_log_variance=-0.4)
    many = gaussian_kl(
        jnp.array(mean),
        jnp.array(log_variance),
        prior_mean=np.full((2, 2), 0.7),
        prior_log_variance=np.full((2, 2), -0.4),
    )
    np.testing.assert_allclose(one_number, many, rtol=1e-14)


def test_derivatives_equal_finite_differences(float64, without_type_checks):
    def kl(mean, log_variance, prior_mean, prior_log_variance):
        return gaussian_kl(mean, log_variance, prior_mean=prior_mean, prior_log_variance=prior_log_variance)

    arguments = tuple(jnp.array(a) for a in ([0.0, 1.0], [0.0, -1.5], [0.0, 0.4], [0.0, 0.7]))
    check_grads(jax.jit(kl), arguments, order=2, modes=("fwd", "rev"), rtol=1e-5, atol=1e-5)


def test_keeps_its_digits_near_equality():
    log_variance = jnp.array([1e-3])  # log_variance² / 4 to leading order; exp(1e-3) - 1 has three digits in float32
    np.testing.assert_allclose(gaussian_kl(jnp.zeros(1), log_variance), 2.5e-7, rtol=2e-3)


def test_value_and_gradient_are_right_at_extremes():
    mean, log_variance = (g.ravel().astype(np.float32) for g in np.meshgrid([-1e4, 0, 1e4], [-1e4, -80, 0, 80]))
    value, gradient = jax.vmap(jax.value_and_grad(gaussian_kl, argnums=(0, 1)))(mean, log_variance)
    exact_mean, exact_log_variance = mean.astype(float), log_variance.astype(float)
    expected = 0.5 * (np.expm1(exact_log_variance) - exact_log_variance + exact_mean**2)
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    np.testing.assert_allclose(gradient[0], exact_mean, rtol=1e-5)
    np.testing.assert_allclose(gradient[1], 0.5 * np.expm1(exact_log_variance), rtol=1e-5)


@pytest.mark.parametrize(
    ("shapes", "named"),
    [
        (((8,), (8, 1), (), ()), "log_variance"),
        (((8, 1), (8, 1), (8,), ()), "prior_mean"),
        (((8, 1), (8, 1), (), (1,)), "prior_log_variance"),
    ],
)
def test_refuses_shapes_that_differ(shapes, named):
    mean, log_variance, prior_mean, prior_log_variance = (jnp.zeros(shape) for shape in shapes)
    with pytest.raises(ValueError, match=f"{named} has"):
        gaussian_kl(mean, log_variance, prior_mean=prior_mean, prior_log_variance=prior_log_variance)


def test_refuses_integers(without_type_checks):
    with pytest.raises(TypeError, match="mean must be a floating-point array"):
        gaussian_kl(jnp.zeros(3, jnp.int32), jnp.zeros(3))
    with pytest.raises(TypeError, match="log_variance must be a floating-point array"):
        gaussian_kl(jnp.zeros(3), jnp.zeros(3, jnp.int32))


@given(mean=vectors, log_variance=vectors, prior_mean=vectors, prior_log_variance=vectors)
def test_never_negative_zero_at_equality_and_same_under_jit(mean, log_variance, prior_mean, prior_log_variance):
    mean, log_variance, prior_mean, prior_log_variance = map(
        jnp.array, (mean, log_variance, prior_mean, prior_log_variance)
    )
    prior = {"prior_mean": prior_mean, "prior_log_variance": prior_log_variance}
    value = gaussian_kl(mean, log_variance, **prior)
    assert value >= -1e-6
    np.testing.assert_allclose(jax.jit(gaussian_kl)(mean, log_variance, **prior), value, rtol=1e-5, atol=1e-6)
    equal = gaussian_kl(mean, log_variance, prior_mean=mean, prior_log_variance=log_variance)
    assert equal == 0


def test_vmap_equals_a_loop():
    mean, log_variance = np.random.default_rng(0).standard_normal((2, 5, 4)).astype(np.float32)
    one_by_one = [gaussian_kl(*map(jnp.array, pair)) for pair in zip(mean, log_variance, strict=True)]
    np.testing.assert_allclose(jax.vmap(gaussian_kl)(mean, log_variance), jnp.stack(one_by_one), rtol=1e-6)
