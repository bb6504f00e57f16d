"""Divergences: by hand, by quadrature, its derivatives, its extremes."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from jax.test_util import check_grads
from scipy import integrate, special, stats

from aejax.divergences import bernoulli_kl, categorical_kl, full_gaussian_kl, gaussian_kl

vectors = arrays(np.float32, 4, elements=st.floats(-8, 8, width=32))


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
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
    value, gradient = jax.jit(jax.vmap(jax.value_and_grad(gaussian_kl, argnums=(0, 1))))(mean, log_variance)
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


@pytest.mark.slow
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
    np.testing.assert_allclose(jax.jit(jax.vmap(gaussian_kl))(mean, log_variance), jnp.stack(one_by_one), rtol=1e-6)


def covariance(seed, size):
    """A symmetric positive definite matrix."""
    root = np.random.default_rng(seed).standard_normal((size, size))
    return jnp.array(root @ root.T + 0.5 * np.eye(size))


@pytest.mark.slow
def test_full_gaussian_kl_equals_numpy_and_the_diagonal_form(float64):
    mean, prior_mean = jnp.array([0.5, -1.0, 2.0]), jnp.array([0.0, 0.3, 1.0])
    sigma, prior_sigma = covariance(0, 3), covariance(1, 3)
    inverse, difference = np.linalg.inv(prior_sigma), np.asarray(prior_mean - mean)
    log_ratio = np.linalg.slogdet(prior_sigma)[1] - np.linalg.slogdet(sigma)[1]
    expected = 0.5 * (np.trace(inverse @ sigma) - 3 + log_ratio + difference @ inverse @ difference)
    kl = full_gaussian_kl(mean, sigma, prior_mean=prior_mean, prior_covariance=prior_sigma)
    np.testing.assert_allclose(kl, expected, rtol=1e-12)
    by_default = full_gaussian_kl(mean, sigma, prior_mean=jnp.zeros(3), prior_covariance=jnp.eye(3))
    np.testing.assert_allclose(full_gaussian_kl(mean, sigma), by_default, rtol=1e-14)
    variance, prior_variance = jnp.array([0.1, 1.0, 5.0]), jnp.array([2.0, 0.7, 1.0])
    full = full_gaussian_kl(mean, jnp.diag(variance), prior_mean=prior_mean, prior_covariance=jnp.diag(prior_variance))
    prior = {"prior_mean": prior_mean, "prior_log_variance": jnp.log(prior_variance)}
    np.testing.assert_allclose(full, gaussian_kl(mean, jnp.log(variance), **prior), rtol=1e-12)


def test_full_gaussian_kl_is_a_mean_log_ratio_of_densities():
    """The average over samples of log p(z)/q(z) lies within 5 standard errors."""
    sigma, mean = np.asarray(covariance(2, 2), float), np.array([1.0, -0.5])
    posterior, prior = stats.multivariate_normal(mean, sigma), stats.multivariate_normal(np.zeros(2), np.eye(2))
    z = posterior.rvs(20_000, random_state=0)
    ratios = posterior.logpdf(z) - prior.logpdf(z)
    kl = full_gaussian_kl(jnp.array(mean, jnp.float32), jnp.array(sigma, jnp.float32))
    assert abs(ratios.mean() - kl) < 5 * ratios.std() / math.sqrt(20_000)


def test_full_gaussian_kl_is_zero_at_equality_and_nan_for_no_covariance():
    sigma = covariance(0, 3)
    at_equality = full_gaussian_kl(jnp.ones(3), sigma, prior_mean=jnp.ones(3), prior_covariance=sigma)
    np.testing.assert_allclose(at_equality, 0, atol=1e-6)
    assert np.isnan(full_gaussian_kl(jnp.zeros(2), jnp.array([[1.0, 2.0], [2.0, 1.0]])))


@pytest.mark.slow
def test_categorical_kl_by_hand_and_by_scipy(float64):
    half, nine = jnp.log(jnp.array([0.5, 0.5])), jnp.log(jnp.array([0.9, 0.1]))
    np.testing.assert_allclose(categorical_kl(half, nine), math.log(5 / 3), rtol=1e-12)
    logits, prior_logits = 3 * np.random.default_rng(0).standard_normal((2, 4, 3, 5))
    p, q = special.softmax(logits, axis=-1), special.softmax(prior_logits, axis=-1)
    kl = categorical_kl(jnp.array(logits), jnp.array(prior_logits))
    np.testing.assert_allclose(kl, special.rel_entr(p, q).sum(), rtol=1e-12)
    np.testing.assert_allclose(categorical_kl(jnp.array(logits) + 7, jnp.array(prior_logits) - 3), kl, rtol=1e-12)


def test_categorical_kl_is_finite_at_extreme_logits():
    logits, uniform = jnp.array([1e4, -1e4]), jnp.zeros(2)
    for arguments, expected in (((logits, uniform), math.log(2)), ((uniform, logits), 1e4 - math.log(2))):
        value, gradient = jax.jit(jax.value_and_grad(categorical_kl, argnums=(0, 1)))(*arguments)
        np.testing.assert_allclose(value, expected, rtol=1e-6)
        assert np.isfinite(gradient).all()


@pytest.mark.slow
def test_bernoulli_kl_by_hand_and_by_scipy(float64):
    np.testing.assert_allclose(bernoulli_kl(0.5, jnp.array([0.9])), math.log(5 / 3), rtol=1e-12)
    rho_hat = np.random.default_rng(0).uniform(0.01, 0.99, (3, 4))
    for rho in (0.05, 0.0, 1.0, np.random.default_rng(1).uniform(size=(3, 4))):
        expected = special.rel_entr(rho, rho_hat) + special.rel_entr(1 - rho, 1 - rho_hat)
        np.testing.assert_allclose(bernoulli_kl(rho, jnp.array(rho_hat)), expected.sum(), rtol=1e-12)


@pytest.mark.slow
def test_bernoulli_kl_is_the_categorical_one_of_two_classes():
    rho, rho_hat = jnp.array([0.05, 0.5, 0.9]), jnp.array([0.5, 0.2, 0.9])
    p, q = (jnp.log(jnp.stack([rate, 1 - rate], axis=-1)) for rate in (rho, rho_hat))
    np.testing.assert_allclose(bernoulli_kl(rho, rho_hat), categorical_kl(p, q), rtol=1e-5)


@pytest.mark.parametrize("rho_hat", [1e-37, 1e-10, 1e-8, 1e-6, 0.5, 1 - 1e-6])
def test_bernoulli_kl_of_units_close_to_0_or_1_is_accurate_with_its_derivative(rho_hat):
    """In float32: by SciPy, and (ρ̂ - ρ) / (ρ̂ (1 - ρ̂))."""
    rho, rho_hat = 0.05, np.float32(rho_hat)
    value, derivative = jax.jit(jax.value_and_grad(bernoulli_kl, argnums=1))(rho, jnp.array(rho_hat))
    exact = np.float64(rho_hat)
    np.testing.assert_allclose(value, special.rel_entr(rho, exact) + special.rel_entr(1 - rho, 1 - exact), rtol=1e-5)
    np.testing.assert_allclose(derivative, (exact - rho) / (exact * (1 - exact)), rtol=1e-5)


@pytest.mark.parametrize("rho_hat", [0.0, 1.0])
def test_bernoulli_kl_of_units_that_are_always_off_or_on_is_finite(rho_hat):
    value, gradient = jax.jit(jax.value_and_grad(bernoulli_kl, argnums=1))(0.05, jnp.full(3, rho_hat))
    assert 0 < value < 3 * 17  # 0.05 · log 1.2e-38, or 0.95 · log 6e-8
    assert np.isfinite(gradient).all()


@pytest.mark.slow
def test_derivatives_of_the_discrete_divergences_equal_finite_differences(float64, without_type_checks):
    logits, prior_logits = jnp.array([0.0, 1.0, -2.0]), jnp.array([0.5, -1.0, 0.0])
    rho, rho_hat = jnp.array([0.1, 0.5, 0.7]), jnp.array([0.3, 0.5, 0.2])
    for divergence, arguments in ((categorical_kl, (logits, prior_logits)), (bernoulli_kl, (rho, rho_hat))):
        check_grads(jax.jit(divergence), arguments, order=2, modes=("fwd", "rev"), rtol=1e-4, atol=1e-4)


@pytest.mark.slow
def test_derivatives_of_full_gaussian_kl_equal_finite_differences(float64, without_type_checks):
    @jax.jit
    def kl(mean, sigma, prior_mean, prior_sigma):
        return full_gaussian_kl(mean, sigma, prior_mean=prior_mean, prior_covariance=prior_sigma)

    mean = jnp.array([0.5, -1.0])
    arguments = (mean, covariance(0, 2), mean + 1, covariance(1, 2))
    check_grads(kl, arguments, order=2, modes=("fwd", "rev"), rtol=1e-5, atol=1e-5)


@given(one=vectors, other=vectors)
def test_the_other_divergences_are_never_negative_and_zero_at_equality(one, other):
    one, other = jnp.array(one), jnp.array(other)
    rates = jax.nn.sigmoid(one), jax.nn.sigmoid(other)
    for divergence, pair in ((jax.jit(categorical_kl), (one, other)), (jax.jit(bernoulli_kl), rates)):
        assert divergence(*pair) >= -1e-5
        np.testing.assert_allclose(divergence(pair[0], pair[0]), 0, atol=1e-5)


def test_the_other_divergences_refuse_shapes_and_integers(without_type_checks):
    with pytest.raises(ValueError, match="shapes must be equal"):
        categorical_kl(jnp.zeros((2, 3)), jnp.zeros((2, 1)))
    with pytest.raises(ValueError, match="prior_mean has"):
        full_gaussian_kl(jnp.zeros(2), jnp.eye(2), prior_mean=jnp.zeros((2, 1)))
    with pytest.raises(ValueError, match=r"covariance must have shape .*, got \(3, 3\)"):
        full_gaussian_kl(jnp.zeros(2), jnp.eye(3))
    with pytest.raises(TypeError, match="covariance must be a floating-point array"):
        full_gaussian_kl(jnp.zeros(2), jnp.eye(2, dtype=int))
    with pytest.raises(TypeError, match="prior_logits must be a floating-point array"):
        categorical_kl(jnp.zeros(2), jnp.zeros(2, int))
    with pytest.raises(TypeError, match="rho_hat must be a floating-point array"):
        bernoulli_kl(0.1, jnp.zeros(2, int))


def test_bernoulli_kl_refuses_shapes_that_differ():
    with pytest.raises(ValueError, match="shapes must be equal"):
        bernoulli_kl(jnp.full((3, 1), 0.5), jnp.full((1, 3), 0.5))


@pytest.mark.parametrize("rho", [-0.1, 1.1])
def test_bernoulli_kl_refuses_a_rho_that_is_no_probability(rho):
    with pytest.raises(ValueError, match="rho must be between 0 and 1"):
        bernoulli_kl(rho, jnp.array([0.5]))


@pytest.mark.parametrize("rho", [np.array([0.5, 1.1]), jnp.array([-0.1, 0.5]), math.nan])
def test_bernoulli_kl_refuses_each_rho_that_is_no_probability(rho):
    with pytest.raises(ValueError, match="rho must be between 0 and 1"):
        bernoulli_kl(rho, jnp.array([0.5, 0.5]))


def test_bernoulli_kl_takes_a_traced_rho():
    traced = jax.jit(lambda rho: bernoulli_kl(rho, jnp.array([0.9])))(0.5)
    np.testing.assert_allclose(traced, math.log(5 / 3), rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("rho", [0.0, 0.05, 1.0])
@pytest.mark.parametrize("rho_hat", [0.0, 1e-30, 1.0])
def test_bernoulli_kl_is_finite_for_every_pair_of_extremes(rho, rho_hat):
    for function in (bernoulli_kl, jax.jit(bernoulli_kl)):
        value, gradient = jax.jit(jax.value_and_grad(function, argnums=(0, 1)))(rho, jnp.full(3, rho_hat))
        assert -1e-6 <= value <= 3 * 88
        assert abs(value) < 1e-5 or abs(rho - rho_hat) > 1e-9
        assert np.isfinite(gradient[1]).all()


def test_categorical_kl_of_impossible_classes():
    """A class that is impossible under both adds 0; a prior that excludes a possible class has infinite divergence."""
    logits, other = jnp.array([0.0, 1.0, -jnp.inf]), jnp.array([1.0, 0.0, -jnp.inf])
    value, gradient = jax.jit(jax.value_and_grad(categorical_kl, argnums=(0, 1)))(logits, other)
    p, q = special.softmax(np.asarray(logits)), special.softmax(np.asarray(other))
    np.testing.assert_allclose(value, stats.entropy(p, q), rtol=1e-5)
    assert all(np.isfinite(part).all() for part in gradient)
    np.testing.assert_allclose(value, -np.sum(p[:2] * np.log(q[:2] / p[:2])), rtol=1e-5)
    assert categorical_kl(jnp.zeros(3), other) == jnp.inf


@pytest.mark.slow
@pytest.mark.parametrize("scale", [1e-8, 1e8])
def test_full_gaussian_kl_is_finite_for_narrow_and_for_wide_distributions(scale):
    mean, sigma = jnp.array([1e4, -1e4]), scale * jnp.array([[2.0, 1.0], [1.0, 2.0]])
    value, gradient = jax.jit(jax.value_and_grad(full_gaussian_kl, argnums=(0, 1)))(mean, sigma)
    expected = 0.5 * (4 * scale - 2 - math.log(3) - 2 * math.log(scale) + 2e8)
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    np.testing.assert_allclose(gradient[0], mean, rtol=1e-5)
    assert np.isfinite(gradient[1]).all()


@given(seeds=st.tuples(st.integers(0, 1000), st.integers(0, 1000)))
def test_full_gaussian_kl_is_never_negative(seeds):
    (one, other), mean = (covariance(seed, 3) for seed in seeds), jnp.ones(3)
    assert jax.jit(full_gaussian_kl)(mean, one, prior_mean=mean, prior_covariance=other) >= -1e-4


def test_full_gaussian_kl_takes_one_vector(without_type_checks):
    with pytest.raises(ValueError, match=r"mean must be one vector, got shape \(2, 1\)"):
        full_gaussian_kl(jnp.zeros((2, 1)), jnp.eye(2))


def pairs_next_to_each_other(count, shape):
    """Float32 logits, and others at most some 1e-4 away."""
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(count, *shape)).astype(np.float32)
    distance = 10.0 ** rng.uniform(-8, -4, (count, *(1,) * len(shape)))
    return jnp.asarray(logits), jnp.asarray((logits + distance * rng.normal(size=logits.shape)).astype(np.float32))


@pytest.mark.slow
def test_divergences_of_nearly_equal_distributions_are_never_negative():
    """And accurate to some digits, compared with float64 for the same float32 inputs."""
    one, other = pairs_next_to_each_other(300, (6,))
    rates = jax.nn.sigmoid(one), jax.nn.sigmoid(other)
    scale, other_scale = (jax.vmap(jnp.diag)(jnp.exp(each)) + 0.1 for each in (one, other))
    cases = {
        "categorical": (categorical_kl, (one, other)),
        "bernoulli": (bernoulli_kl, rates),
        "gaussian": (
            lambda lv, prior_lv: gaussian_kl(0 * lv, lv, prior_log_variance=prior_lv),
            (one, other),
        ),
        "full": (
            lambda sigma, prior_sigma: full_gaussian_kl(jnp.zeros(6), sigma, prior_covariance=prior_sigma),
            (scale, other_scale),
        ),
    }
    for name, (divergence, pair) in cases.items():
        got = np.asarray(jax.jit(jax.vmap(divergence))(*pair))
        assert np.min(got) >= 0, name
        if name in ("categorical", "gaussian"):
            with jax.enable_x64(True):
                wide = [jnp.asarray(np.asarray(each), jnp.float64) for each in pair]
                right = np.asarray(jax.jit(jax.vmap(divergence))(*wide))
            large = right > 1e-12  # of differences that float32 resolves
            np.testing.assert_allclose(got[large], right[large], rtol=0.1)


def test_divergences_are_finite_for_tiny_variances_and_means_that_are_equal():
    value, gradient = jax.jit(jax.value_and_grad(gaussian_kl, argnums=(0, 1)))(
        jnp.ones(3), jnp.full(3, -300.0), prior_mean=1.0, prior_log_variance=-300.0
    )
    assert value == 0
    np.testing.assert_array_equal(gradient, np.zeros((2, 3)))
    tiny = gaussian_kl(jnp.full(1, 1e-30), jnp.full(1, -138.0), prior_log_variance=-138.0)
    np.testing.assert_allclose(tiny, 0.5 * 1e-60 * math.exp(138), rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16])
def test_divergences_of_half_precision_are_summed_in_single(dtype):
    ones, size = jnp.ones(2000, dtype), 2000
    eps = float(jnp.finfo(dtype).eps)
    kl = gaussian_kl(0.125 * ones, 0 * ones)
    assert kl.dtype == dtype
    np.testing.assert_allclose(float(kl), size * 0.125**2 / 2, rtol=eps)
    np.testing.assert_allclose(float(bernoulli_kl(0.5, 0.25 * ones)), size * 0.5 * math.log(4 / 3), rtol=eps)
    logits = jnp.zeros((2, 70_000), dtype)
    assert categorical_kl(logits, logits) == 0
    full = full_gaussian_kl(jnp.ones(2, dtype), 2 * jnp.eye(2, dtype=dtype))
    np.testing.assert_allclose(float(full), 0.5 * (4 - 2 + 2) - math.log(2), rtol=4 * eps)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float32])
def test_knobs_of_numpy_promote_nothing(dtype, float64):
    x, knob = jnp.full(4, 0.5, dtype), np.float64(0.25)
    for got, expected in (
        (gaussian_kl(x, x, prior_mean=knob), gaussian_kl(x, x, prior_mean=0.25)),
        (gaussian_kl(x, x, prior_log_variance=np.full(4, 0.25)), gaussian_kl(x, x, prior_log_variance=0.25)),
        (bernoulli_kl(knob, x), bernoulli_kl(0.25, x)),
        (bernoulli_kl(np.full(4, 0.25), x), bernoulli_kl(0.25, x)),
    ):
        assert got.dtype == dtype
        assert got == expected


@pytest.mark.slow
def test_a_divergence_without_a_dimension_is_zero_and_other_types_are_refused(without_type_checks):
    assert full_gaussian_kl(jnp.zeros(0), jnp.zeros((0, 0))) == 0
    assert gaussian_kl(jnp.zeros(0), jnp.zeros(0)) == 0
    with pytest.raises(TypeError, match="mean must be a JAX or NumPy array, got list"):
        full_gaussian_kl([0.0], jnp.eye(1))
    with pytest.raises(TypeError, match="rho_hat must be a JAX or NumPy array, got list"):
        bernoulli_kl(0.5, [0.5])


@pytest.mark.slow
def test_half_precision_represents_a_divergence_whose_double_overflows():
    mean = jnp.full(8, 100.0, jnp.float16)
    assert gaussian_kl(mean, jnp.zeros_like(mean)).item() == 40000
    assert full_gaussian_kl(mean, jnp.eye(8, dtype=jnp.float16)).item() == 40000
