"""The importance weighted bound: by hand with one sample, and against an exactly known marginal likelihood."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from aejax.autoencoders import Batch, importance_weighted, undercomplete, variational
from aejax.autoencoders.importance_weights import log_importance_weights
from aejax.likelihoods import gaussian
from aejax.networks import Network

KEY = jax.random.key(0)
RNG = np.random.default_rng(0)
NO_PARAMS = {"encoder": {}, "decoder": {}}
# z ~ N(0, I), x | z ~ N(U z, s² I) with orthogonal columns of U: the posterior has a diagonal covariance
VARIANCE, SCALE = 0.3, np.array([1.5, 0.7])
LOADINGS = np.linalg.qr(RNG.standard_normal((4, 2)))[0] * SCALE
X = LOADINGS @ np.array([1.0, -2.0]) + 0.3
LOG_P = stats.multivariate_normal.logpdf(X, np.zeros(4), LOADINGS @ LOADINGS.T + VARIANCE * np.eye(4))
POSTERIOR_VARIANCE = 1 / (1 + SCALE**2 / VARIANCE)
EXACT = POSTERIOR_VARIANCE * (LOADINGS.T @ X) / VARIANCE, np.log(POSTERIOR_VARIANCE)


def linear_gaussian(shift, variance=VARIANCE):
    """Its posterior's mean and log-variance are the exact ones, each so far off."""
    moments = jnp.array(np.concatenate(EXACT) + shift, jnp.float32)
    encoder = Network(lambda key, x: {}, lambda params, x: moments)
    decoder = Network(lambda key, z: {}, lambda params, z: jnp.dot(jnp.array(LOADINGS, jnp.float32), z))
    return variational(encoder, decoder, likelihood=gaussian(variance=variance))


def bounds_of(autoencoder, repeats):
    """The bound on log p(x) of x alone, with other noise each time."""
    x = jnp.array(X, jnp.float32)[None]

    def bound(index):
        return autoencoder.loss(NO_PARAMS, KEY, Batch(x, x, index[None], jnp.ones(1)))[1]["elbo"]

    return np.asarray(jax.jit(jax.vmap(bound))(jnp.arange(repeats)), np.float64)


@pytest.mark.slow
def test_one_sample_is_log_joint_less_log_posterior_by_hand(linear):
    x, w, v = (RNG.standard_normal(shape).astype(np.float32) for shape in ((3, 5), (4, 5), (5, 2)))
    autoencoder = importance_weighted(variational(linear(5, 4), linear(2, 5), likelihood=gaussian()), samples=1)
    params = {"encoder": jnp.array(w), "decoder": jnp.array(v)}
    loss, metrics = jax.jit(autoencoder.loss)(params, KEY, jnp.array(x))
    mean, log_variance = np.split(x @ w.T, 2, axis=1)
    keys = [jax.random.split(jax.random.fold_in(KEY, index), 1)[0] for index in range(3)]
    code = mean + np.exp(0.5 * log_variance) * np.stack([jax.random.normal(key, (2,)) for key in keys])
    log_joint = stats.norm.logpdf(x, code @ v.T).sum(axis=1) + stats.norm.logpdf(code).sum(axis=1)
    log_posterior = stats.norm.logpdf(code, mean, np.exp(0.5 * log_variance)).sum(axis=1)
    np.testing.assert_allclose(metrics["elbo"], (log_joint - log_posterior).mean(), rtol=1e-5)
    assert set(metrics) == {"loss", "elbo"}
    assert metrics["loss"] == loss == -metrics["elbo"]


@pytest.mark.slow
def test_bound_rises_with_the_samples_to_the_exact_log_likelihood():
    """Each step up is more than 5 standard errors; with 300 samples the mean is within 0.02 nats, and not above."""
    repeats = 2000
    bounds = [bounds_of(importance_weighted(linear_gaussian(0.5), samples=k), repeats) for k in (1, 3, 10, 300)]
    means, errors = [b.mean() for b in bounds], [b.std() / np.sqrt(repeats) for b in bounds]
    for lower in range(3):
        assert means[lower + 1] - means[lower] > 5 * np.hypot(errors[lower], errors[lower + 1])
    assert errors[-1] < 0.005
    assert LOG_P - 0.02 < means[-1] < LOG_P + 5 * errors[-1]
    elbo = bounds_of(linear_gaussian(0.5), repeats)
    assert abs(means[0] - elbo.mean()) < 5 * np.hypot(errors[0], elbo.std() / np.sqrt(repeats))


@pytest.mark.slow
def test_with_the_exact_posterior_every_weight_is_the_likelihood_of_x():
    x = jnp.array(X, jnp.float32)
    weights = log_importance_weights(linear_gaussian(0.0), NO_PARAMS, KEY, x, x, samples=100)
    assert weights.shape == (100,)
    np.testing.assert_allclose(weights, LOG_P, rtol=1e-4)
    np.testing.assert_allclose(bounds_of(importance_weighted(linear_gaussian(0.0), samples=7), 10), LOG_P, rtol=1e-4)


@pytest.mark.slow
def test_weights_too_small_for_any_float_leave_value_and_gradient_finite(linear):
    vae = variational(linear(5, 4), linear(2, 5), likelihood=gaussian())
    params = {"encoder": jnp.zeros((4, 5)), "decoder": jnp.ones((5, 2))}
    x = jnp.full((2, 5), 70.0)
    log_weights = log_importance_weights(vae, params, KEY, x[0], x[0], samples=20)
    assert np.all((log_weights < -9e3) & (log_weights > -2e4))
    autoencoder = importance_weighted(vae, samples=20)
    (loss, _), gradient = jax.jit(jax.value_and_grad(autoencoder.loss, has_aux=True))(params, KEY, x)
    assert 9e3 < loss < 2e4
    assert all(np.isfinite(leaf).all() and np.any(leaf != 0) for leaf in jax.tree.leaves(gradient))


@pytest.mark.slow
def test_gradient_is_the_weighted_mean_of_the_gradients_of_the_samples(linear):
    vae = variational(linear(5, 4), linear(2, 5), likelihood=gaussian())
    params, x = jax.jit(vae.init)(jax.random.key(1), jnp.ones(5)), jnp.linspace(0.0, 1.0, 5)
    key = jax.random.fold_in(KEY, 0)
    weigh = lambda params: log_importance_weights(vae, params, key, x, x, samples=6)  # noqa: E731
    normalized, by_sample = jax.nn.softmax(weigh(params)), jax.jit(jax.jacobian(weigh))(params)
    expected = jax.tree.map(lambda leaf: -jnp.tensordot(normalized, leaf, 1), by_sample)
    loss = importance_weighted(vae, samples=6).loss
    gradient, _ = jax.jit(jax.grad(loss, has_aux=True))(params, KEY, x[None])
    jax.tree.map(lambda one, other: np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5), gradient, expected)


def test_refuses_what_is_not_variational(identity):
    with pytest.raises(TypeError, match="importance_weighted expects an autoencoder with a posterior"):
        importance_weighted(undercomplete(identity, identity), samples=5)


@pytest.mark.parametrize("samples", [0, -1])
def test_refuses_no_samples(samples):
    with pytest.raises(ValueError, match="samples must be at least 1"):
        importance_weighted(linear_gaussian(0.0), samples=samples)
