"""Priors: their samples and densities, and the divergence of a posterior from them, in closed form or estimated."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, special, stats

from aejax.priors import gaussian_mixture, mixture_prior, standard_normal, vamp_prior
from aejax.sampling import gaussian_log_prob, reparameterize

N = 20_000


def mixture_of(components, *shape):
    """Logits, means and log-variances of a number of components, fixed but irregular."""
    rng = np.random.default_rng(0)
    means, log_variances = 2 * rng.standard_normal((components, *shape)), rng.uniform(-2, 0.5, (components, *shape))
    return rng.standard_normal(components), means, log_variances


def log_density(code, logits, means, log_variances):
    """Log-density of a mixture at codes (..., K), by SciPy."""
    of_components = stats.norm.logpdf(code[..., None, :], means, np.exp(0.5 * log_variances)).sum(axis=-1)
    return special.logsumexp(special.log_softmax(logits) + of_components, axis=-1)


def test_samples_are_standard_normal_and_independent():
    z = np.asarray(standard_normal().sample(jax.random.key(0), (N, 2)), np.float64)
    assert np.all(np.abs(z.mean(axis=0)) < 5 / np.sqrt(N))
    assert np.all(np.abs(z.var(axis=0) - 1) < 5 * np.sqrt(2 / N))
    assert abs(np.corrcoef(z.T)[0, 1]) < 5 / np.sqrt(N)
    assert stats.kstest(z[:, 0], "norm").pvalue > 1e-6


def test_samples_follow_key_and_shape():
    sample = standard_normal().sample
    assert sample(jax.random.key(0), (3, 2)).shape == (3, 2)
    np.testing.assert_array_equal(sample(jax.random.key(0), (4,)), sample(jax.random.key(0), (4,)))
    assert np.all(sample(jax.random.key(0), (4,)) != sample(jax.random.key(1), (4,)))


@pytest.mark.slow
def test_divergence_equals_quadrature(float64):
    mean, log_variance = np.array([0.5, -2.0]), np.array([-1.0, 0.7])
    expected = 0.0
    for posterior in map(stats.norm, mean, np.exp(0.5 * log_variance)):
        integrand = lambda z, q=posterior: q.pdf(z) * (q.logpdf(z) - stats.norm.logpdf(z))  # noqa: E731
        expected += integrate.quad(integrand, -20, 20, points=[posterior.mean()])[0]
    kl = standard_normal().kl(jnp.array(mean), jnp.array(log_variance))
    np.testing.assert_allclose(kl, expected, rtol=1e-9)
    assert standard_normal().kl(jnp.zeros(4), jnp.zeros(4)) == 0
    by_dimension = standard_normal().kl_per_dimension(jnp.array(mean)[:, None], jnp.array(log_variance)[:, None])
    assert by_dimension.shape == (2, 1)
    np.testing.assert_allclose(jnp.sum(by_dimension), expected, rtol=1e-9)


def test_log_prob_of_the_standard_normal_equals_scipy(float64):
    code = 3 * np.random.default_rng(1).standard_normal((2, 3))
    log_prob = standard_normal().log_prob(jnp.array(code))
    np.testing.assert_allclose(log_prob, stats.norm.logpdf(code).sum(), rtol=1e-13)


def test_log_prob_of_a_mixture_equals_scipy(float64):
    mixture, codes = mixture_of(10, 3), 3 * np.random.default_rng(1).standard_normal((20, 3))
    prior = gaussian_mixture(*map(jnp.array, mixture))
    log_probs = jax.jit(jax.vmap(prior.log_prob))(jnp.array(codes))
    np.testing.assert_allclose(log_probs, log_density(codes, *mixture), rtol=1e-12)
    assert prior.kl is None
    assert prior.kl_per_dimension is None


def test_log_prob_of_a_mixture_is_finite_far_away():
    prior = gaussian_mixture(*(jnp.array(part, jnp.float32) for part in mixture_of(10, 3)))
    value, gradient = jax.jit(jax.value_and_grad(prior.log_prob))(jnp.full(3, 1e4))
    assert value < -1e7
    assert np.isfinite(value)
    assert np.isfinite(gradient).all()


@pytest.mark.slow
def test_samples_of_a_mixture_come_from_each_component_as_often_as_its_weight():
    """Components are far apart, so that a sample identifies its own; all statistics agree within 5 standard errors."""
    weights, means, variances = np.array([0.5, 0.3, 0.2]), np.array([-50.0, 0.0, 50.0]), np.array([1.0, 4.0, 0.25])
    parts = np.log(weights), means[:, None] + [0.0, 5.0], np.log(variances)[:, None] + [0.0, 1.0]
    sample = gaussian_mixture(*(jnp.array(part, jnp.float32) for part in parts)).sample
    z = np.asarray(jax.jit(jax.vmap(lambda key: sample(key, (2,))))(jax.random.split(jax.random.key(0), N)), np.float64)
    nearest = np.abs(z[:, :1] - means).argmin(axis=1)
    for component, weight in enumerate(weights):
        of_component, variance = z[nearest == component], np.exp(parts[2][component])
        number = len(of_component)
        assert abs(number / N - weight) < 5 * np.sqrt(weight * (1 - weight) / N)
        assert np.all(np.abs(of_component.mean(axis=0) - parts[1][component]) < 5 * np.sqrt(variance / number))
        assert np.all(np.abs(of_component.var(axis=0) / variance - 1) < 5 * np.sqrt(2 / number))
        assert abs(np.corrcoef(of_component.T)[0, 1]) < 5 / np.sqrt(number)


@pytest.mark.slow
@pytest.mark.parametrize("dimensions", [1, 2])
def test_estimated_divergence_from_a_mixture_equals_quadrature(dimensions):
    """The mean of log q(z) - log p(z) over samples of q, within 5 standard errors, each at most 0.03 nats."""
    mixture = mixture_of(10, dimensions)
    mean, log_variance = np.array([0.7, -1.2])[:dimensions], np.array([-1.0, 0.5])[:dimensions]
    posterior = stats.norm(mean, np.exp(0.5 * log_variance))

    def integrand(z):
        log_q = posterior.logpdf(z).sum(axis=-1)
        return np.exp(log_q) * (log_q - log_density(z, *mixture))

    if dimensions == 1:
        expected = integrate.quad(lambda z: integrand(np.array([z])), -6, 8, limit=200)[0]
    else:  # equal weights on a fine grid: exponentially exact for what vanishes at its edges
        axes = [np.linspace(m - 9 * s, m + 9 * s, 401) for m, s in zip(posterior.mean(), posterior.std(), strict=True)]
        z = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
        expected = np.sum(integrand(z)) * np.prod([axis[1] - axis[0] for axis in axes])

    prior = gaussian_mixture(*(jnp.array(part, jnp.float32) for part in mixture))
    moments = jnp.array(mean, jnp.float32), jnp.array(log_variance, jnp.float32)

    def estimate(key):
        code = reparameterize(key, *moments)
        return gaussian_log_prob(code, *moments) - prior.log_prob(code)

    estimates = np.asarray(jax.jit(jax.vmap(estimate))(jax.random.split(jax.random.key(1), N)), np.float64)
    standard_error = estimates.std() / np.sqrt(N)
    assert standard_error < 0.03
    assert abs(estimates.mean() - expected) < 5 * standard_error


@pytest.mark.slow
def test_parameters_of_a_mixture_prior():
    prior, code = mixture_prior(10), jnp.zeros((2, 3))
    params = jax.jit(prior.init)(jax.random.key(0), jnp.zeros(7), code)
    shapes = jax.tree.map(jnp.shape, params)
    assert shapes == {"logits": (10,), "mean": (10, 2, 3), "log_variance": (10, 2, 3)}
    log_prob = prior.distribution(params, lambda x: (x, x)).log_prob(code)
    assert log_prob == gaussian_mixture(**params).log_prob(code)
    gradient = jax.jit(jax.grad(lambda params: prior.distribution(params, lambda x: (x, x)).log_prob(code)))(params)
    assert all(np.any(leaf != 0) for leaf in jax.tree.leaves(gradient))


@pytest.mark.slow
def test_vamp_prior_is_the_mixture_of_the_posteriors_of_its_pseudo_inputs(float64):
    rng = np.random.default_rng(2)
    inputs, weights, code = rng.standard_normal((4, 5)), rng.standard_normal((2, 3, 5)), rng.standard_normal(3)
    prior = vamp_prior(jnp.array(inputs))

    def log_prob(params, weights):
        posterior = lambda x: (jnp.dot(weights[0], x), jnp.dot(weights[1], x))  # noqa: E731
        return prior.distribution(params, posterior).log_prob(jnp.array(code))

    params = jax.jit(prior.init)(jax.random.key(0), jnp.zeros(5), jnp.zeros(3))
    np.testing.assert_array_equal(params["pseudo_inputs"], inputs)
    expected = log_density(code, np.zeros(4), inputs @ weights[0].T, inputs @ weights[1].T)
    np.testing.assert_allclose(log_prob(params, jnp.array(weights)), expected, rtol=1e-12)
    by_inputs, by_encoder = jax.jit(jax.grad(log_prob, argnums=(0, 1)))(params, jnp.array(weights))
    assert np.all(by_inputs["pseudo_inputs"] != 0)
    assert np.all(by_encoder != 0)


@pytest.mark.parametrize("components", [0, -1])
def test_refuses_a_mixture_of_nothing(components):
    with pytest.raises(ValueError, match="components must be at least 1"):
        mixture_prior(components)


@pytest.mark.slow
def test_codes_of_a_batch_draw_their_components_independently():
    """Two components at -3 and 3 with weights 1/4 and 3/4, within 5 standard errors."""
    mixture = gaussian_mixture(jnp.log(jnp.array([1.0, 3.0])), jnp.array([[-3.0], [3.0]]), jnp.full((2, 1), -4.0))
    codes = np.asarray(mixture.sample(jax.random.key(0), (10, 100, 1)))
    assert codes.shape == (10, 100, 1)
    assert abs((codes > 0).mean() - 0.75) < 5 * np.sqrt(0.75 * 0.25 / 1000)
    np.testing.assert_allclose(np.abs(codes).mean(), 3, atol=0.1)
    _, weights = mixture.weighted_sample(jax.random.key(0), (10, 100, 1))
    np.testing.assert_array_equal(weights, np.ones((10, 100)))


@pytest.mark.parametrize("shape", [(), (2,), (3, 2), (1, 1)])
def test_a_mixture_refuses_codes_of_another_shape(shape):
    mixture = gaussian_mixture(jnp.zeros(2), jnp.zeros((2, 3)), jnp.zeros((2, 3)))
    with pytest.raises(ValueError, match=r"codes of this mixture must have shape \('...', 3\), got"):
        mixture.sample(jax.random.key(0), shape)
    with pytest.raises(ValueError, match=r"a code of this mixture must have shape \(3,\), got"):
        mixture.log_prob(jnp.zeros(shape))


@pytest.mark.parametrize(
    "shapes", [((1,), (2, 1), (2, 1)), ((2,), (2, 1), (2, 3)), ((0,), (0, 1), (0, 1)), ((), (), ())]
)
def test_a_mixture_refuses_parts_that_do_not_fit(shapes, without_type_checks):
    with pytest.raises(ValueError, match=r"shapes must be equal|at least one component, with one logit"):
        gaussian_mixture(*map(jnp.zeros, shapes))


@pytest.mark.parametrize("log_variance", [-90.0, -200.0, -1000.0])
def test_a_component_that_has_collapsed_leaves_value_and_gradient_of_the_others(log_variance):
    def log_prob(code, mean, log_variance):
        return gaussian_mixture(jnp.zeros(2), mean, log_variance).log_prob(code)

    arguments = jnp.array([1.0]), jnp.array([[-3.0], [3.0]]), jnp.array([[log_variance], [0.0]])
    value, gradient = jax.jit(jax.value_and_grad(log_prob, argnums=(0, 1, 2)))(*arguments)
    np.testing.assert_allclose(value, np.log(0.5) + stats.norm.logpdf(1, 3), rtol=1e-6)
    np.testing.assert_allclose(gradient[0], [2.0], rtol=1e-6)
    np.testing.assert_allclose(gradient[1], [[0.0], [-2.0]], rtol=1e-6)
    assert np.isfinite(gradient[2]).all()


def test_the_terms_of_a_divergence_do_not_broadcast():
    with pytest.raises(ValueError, match="shapes must be equal"):
        standard_normal().kl_per_dimension(jnp.zeros(3), jnp.zeros(1))


def test_pseudo_inputs_are_examples_of_the_dtype_of_the_data(float64):
    x, code = jnp.zeros(5, jnp.float32), jnp.zeros(2, jnp.float32)
    params = jax.jit(vamp_prior(jnp.zeros((4, 5))).init)(jax.random.key(0), x, code)
    assert params["pseudo_inputs"].dtype == jnp.float32
    with pytest.raises(ValueError, match=r"pseudo_inputs must have shape \('M', 5\), got \(4, 3\)"):
        vamp_prior(jnp.zeros((4, 3))).init(jax.random.key(0), x, code)


def test_pseudo_inputs_are_at_least_one_array_of_numbers(without_type_checks):
    with pytest.raises(ValueError, match="pseudo_inputs must hold at least one example"):
        vamp_prior(jnp.zeros((0, 5)))
    with pytest.raises(TypeError, match="pseudo_inputs must be a JAX or NumPy array, got list"):
        vamp_prior([[0.0]])
