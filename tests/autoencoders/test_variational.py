"""The variational autoencoder: its terms by hand, and its bound against an exactly known marginal likelihood."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special, stats

from aejax.autoencoders import Batch, as_batch, variational
from aejax.divergences import full_gaussian_kl, gaussian_kl
from aejax.likelihoods import gaussian
from aejax.networks import Network
from aejax.priors import Prior, gaussian_mixture, mixture_prior, vamp_prior
from aejax.schedules import linear_warm_up

KEY = jax.random.key(0)
RNG = np.random.default_rng(0)
X = RNG.uniform(size=(6, 5)).astype(np.float32)
W, V = (RNG.standard_normal(shape).astype(np.float32) for shape in ((4, 5), (5, 2)))
PARAMS = {"encoder": jnp.array(W), "decoder": jnp.array(V)}
POINTS = Network(  # mean from the first rows of W, log-variance so low that the sample is the mean
    lambda key, x: jnp.array(W), lambda weights, x: jnp.concatenate([jnp.dot(weights[:2], x), jnp.full(2, -200.0)])
)


def test_encode_is_the_posterior_mean_and_decode_the_likelihood_mean(linear):
    autoencoder = variational(linear(5, 4), linear(2, 5))
    mean, log_variance = autoencoder.variational.posterior(PARAMS, jnp.array(X[0]))
    np.testing.assert_allclose(mean, W[:2] @ X[0], rtol=1e-5)
    np.testing.assert_allclose(log_variance, W[2:] @ X[0], rtol=1e-5)
    np.testing.assert_array_equal(autoencoder.encode(PARAMS, jnp.array(X[0])), mean)
    np.testing.assert_allclose(autoencoder.decode(PARAMS, mean), special.expit(V @ W[:2] @ X[0]), rtol=1e-5)


@pytest.mark.slow
def test_reconstruction_is_the_negative_log_likelihood_of_x_from_the_code_of_the_input(linear):
    observed = X + 1
    batch = as_batch(jnp.array(X))._replace(input=jnp.array(observed))
    logits = observed @ W[:2].T @ V.T
    _, metrics = jax.jit(variational(POINTS, linear(2, 5)).loss)(PARAMS, KEY, batch)
    expected = (np.log1p(np.exp(logits)) - X * logits).sum(axis=1).mean()
    np.testing.assert_allclose(metrics["reconstruction"], expected, rtol=1e-5)
    _, metrics = jax.jit(variational(POINTS, linear(2, 5), likelihood=gaussian(variance=0.25)).loss)(PARAMS, KEY, batch)
    expected = -stats.norm.logpdf(X, logits, 0.5).sum(axis=1).mean()
    np.testing.assert_allclose(metrics["reconstruction"], expected, rtol=1e-5)


@pytest.mark.slow
def test_kl_is_the_mean_divergence_of_the_posteriors_from_the_prior(linear):
    _, metrics = jax.jit(variational(linear(5, 4), linear(2, 5)).loss)(PARAMS, KEY, jnp.array(X))
    mean, log_variance = np.split(X @ W.T, 2, axis=1)
    expected = 0.5 * (np.exp(log_variance) + mean**2 - 1 - log_variance).sum(axis=1).mean()
    np.testing.assert_allclose(metrics["kl"], expected, rtol=1e-5)
    shifted = Prior(jax.random.normal, lambda code: code, lambda mean, log_variance: jnp.sum(jnp.square(mean - 1)))
    _, metrics = jax.jit(variational(linear(5, 4), linear(2, 5), prior=shifted).loss)(PARAMS, KEY, jnp.array(X))
    np.testing.assert_allclose(metrics["kl"], ((mean - 1) ** 2).sum(axis=1).mean(), rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("beta", [0.0, 1.0, 4.0])
def test_beta_enters_the_loss_only(beta, linear):
    loss, metrics = jax.jit(variational(linear(5, 4), linear(2, 5), beta=beta).loss)(PARAMS, KEY, jnp.array(X))
    _, plain = jax.jit(variational(linear(5, 4), linear(2, 5)).loss)(PARAMS, KEY, jnp.array(X))
    for term in ("reconstruction", "kl", "elbo"):
        assert metrics[term] == plain[term]
    np.testing.assert_allclose(metrics["elbo"], -(metrics["reconstruction"] + metrics["kl"]), rtol=1e-6)
    np.testing.assert_allclose(loss, metrics["reconstruction"] + beta * metrics["kl"], rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("shift", [0.0, 0.5], ids=["exact posterior", "another posterior"])
def test_bound_on_a_linear_gaussian_model_is_log_p_less_the_divergence_from_the_exact_posterior(shift):
    # z ~ N(0, I), x | z ~ N(U z, s² I) with orthogonal columns of U: the posterior has a diagonal covariance
    variance, scale, samples = 0.3, np.array([1.5, 0.7]), 4000
    loadings = np.linalg.qr(RNG.standard_normal((4, 2)))[0] * scale
    x = loadings @ np.array([1.0, -2.0]) + 0.3
    posterior_variance = 1 / (1 + scale**2 / variance)
    exact = posterior_variance * (loadings.T @ x) / variance, np.log(posterior_variance)
    mean, log_variance = (jnp.array(moment + shift, jnp.float32) for moment in exact)

    encoder = Network(lambda key, x: {}, lambda params, x: jnp.concatenate([mean, log_variance]))
    decoder = Network(lambda key, z: {}, lambda params, z: jnp.dot(jnp.array(loadings, jnp.float32), z))
    autoencoder = variational(encoder, decoder, likelihood=gaussian(variance=variance))
    params, observed = {"encoder": {}, "decoder": {}}, jnp.array(x, jnp.float32)[None]

    def bound(index):
        return autoencoder.loss(params, KEY, Batch(observed, observed, index[None], jnp.ones(1)))[1]["elbo"]

    bounds = np.asarray(jax.jit(jax.vmap(bound))(jnp.arange(samples)), np.float64)
    standard_error = bounds.std() / math.sqrt(samples)
    log_p = stats.multivariate_normal.logpdf(x, np.zeros(4), loadings @ loadings.T + variance * np.eye(4))
    gap = 0.5 * np.sum(np.exp(shift) - 1 - shift + shift**2 / posterior_variance)
    assert standard_error < 0.05
    assert abs(bounds.mean() - (log_p - gap)) < 5 * standard_error


@pytest.mark.slow
def test_code_is_sampled_once_for_each_example(identity):
    # x = 0, mean 0, variance 1: the negative log-likelihood averages D/2 for the noise and D/2 log 2π
    encoder = Network(lambda key, x: {}, lambda params, x: jnp.concatenate([x, jnp.zeros_like(x)]))
    autoencoder = variational(encoder, identity, likelihood=gaussian())
    examples, features = 2000, 4
    _, metrics = jax.jit(autoencoder.loss)({"encoder": {}, "decoder": {}}, KEY, jnp.zeros((examples, features)))
    noise = 2 * (metrics["reconstruction"] - 0.5 * features * math.log(2 * math.pi))
    assert abs(noise - features) < 5 * math.sqrt(2 * features / examples)


@pytest.mark.slow
def test_images_keep_their_shape_and_halves_lie_on_the_last_axis():
    encoder = Network(lambda key, x: {}, lambda params, x: jnp.concatenate([x, x - 1], axis=-1))
    decoder = Network(lambda key, code: {}, lambda params, code: code)
    autoencoder = variational(encoder, decoder)
    image = jnp.ones((3, 2, 1))
    mean, log_variance = autoencoder.variational.posterior(jax.jit(autoencoder.init)(KEY, image), image)
    np.testing.assert_array_equal(mean, image)
    np.testing.assert_array_equal(log_variance, image - 1)


def test_default_prior_is_standard_normal(linear):
    autoencoder = variational(linear(5, 4), linear(2, 5))
    moments = jnp.array([0.3, -1.0]), jnp.array([0.5, 0.0])
    assert autoencoder.variational.prior({}).kl(*moments) == gaussian_kl(*moments)
    assert autoencoder.variational.prior({}).sample(KEY, (2,)).shape == (2,)


def test_refuses_an_encoder_without_two_halves(linear):
    autoencoder = variational(linear(5, 3), linear(1, 5))
    with pytest.raises(ValueError, match=r"2K values along the last axis, got \(3,\)"):
        autoencoder.init(KEY, jnp.array(X[0]))


@pytest.mark.parametrize("beta", [-1.0, math.nan])
def test_refuses_a_negative_beta(beta, linear):
    with pytest.raises(ValueError, match="beta must be at least 0"):
        variational(linear(5, 4), linear(2, 5), beta=beta)


@pytest.mark.slow
@pytest.mark.parametrize(("step", "beta"), [(0, 0.0), (5, 1.0), (20, 4.0), (1000, 4.0)])
def test_beta_follows_the_step_of_the_batch(step, beta, linear):
    autoencoder = variational(linear(5, 4), linear(2, 5), beta=linear_warm_up(20, end=4.0))
    batch = as_batch(jnp.array(X))._replace(step=jnp.int32(step))
    loss, metrics = jax.jit(autoencoder.loss)(PARAMS, KEY, batch)
    np.testing.assert_allclose(loss, metrics["reconstruction"] + beta * metrics["kl"], rtol=1e-6)
    np.testing.assert_allclose(metrics["elbo"], -(metrics["reconstruction"] + metrics["kl"]), rtol=1e-6)


@pytest.mark.slow
def test_beta_is_at_its_end_where_no_step_is_given(linear):
    scheduled = variational(linear(5, 4), linear(2, 5), beta=linear_warm_up(20, end=4.0))
    constant = variational(linear(5, 4), linear(2, 5), beta=4.0)
    for batch in (jnp.array(X), as_batch(jnp.array(X))):
        assert jax.jit(scheduled.loss)(PARAMS, KEY, batch) == jax.jit(constant.loss)(PARAMS, KEY, batch)


def kl_by_dimension(weights):
    """Batch means, of each of the two dimensions, for a linear encoder."""
    mean, log_variance = np.split(X @ weights.T, 2, axis=1)
    return 0.5 * (np.exp(log_variance) + mean**2 - 1 - log_variance).mean(axis=0)


@pytest.mark.slow
def test_free_bits_hold_each_dimension_at_its_bound(linear):
    low, high = sorted(kl_by_dimension(W))
    for bound in (low / 2, (low + high) / 2, 2 * high):
        loss, metrics = jax.jit(variational(linear(5, 4), linear(2, 5), beta=3.0, free_bits=bound).loss)(
            PARAMS, KEY, jnp.array(X)
        )
        pressed = np.maximum(kl_by_dimension(W), bound).sum()
        np.testing.assert_allclose(metrics["kl"], low + high, rtol=1e-5)
        np.testing.assert_allclose(loss, metrics["reconstruction"] + 3 * pressed, rtol=1e-5)


@pytest.mark.slow
def test_free_bits_press_no_dimension_below_its_bound(linear):
    by_dimension = kl_by_dimension(W)
    free = int(np.argmin(by_dimension))

    def pressure(free_bits):
        """The gradient of the loss less that of the reconstruction, by rows of the encoder."""
        autoencoder = variational(linear(5, 4), linear(2, 5), free_bits=free_bits)

        def kl_term(params):
            loss, metrics = autoencoder.loss(params, KEY, jnp.array(X))
            return loss - metrics["reconstruction"]

        return np.asarray(jax.grad(kl_term)(PARAMS)["encoder"]).reshape(2, 2, 5)

    bounded, plain = pressure(by_dimension.mean().item()), pressure(0.0)
    np.testing.assert_allclose(bounded[:, free], 0, atol=1e-5)
    np.testing.assert_allclose(bounded[:, 1 - free], plain[:, 1 - free], rtol=1e-4, atol=1e-5)
    assert np.all(np.abs(plain[:, free]).max(axis=-1) > 1e-2)


@pytest.mark.slow
@pytest.mark.parametrize("prior", [mixture_prior(10), vamp_prior(jnp.array(X[:3]))], ids=["mixture", "vamp"])
def test_learned_priors_are_parameters_and_learn(prior, linear):
    autoencoder = variational(linear(5, 4), linear(2, 5), prior=prior)
    params = jax.jit(autoencoder.init)(KEY, jnp.array(X[0]))
    assert set(params) == {"encoder", "decoder", "prior"}
    gradient, metrics = jax.jit(jax.grad(autoencoder.loss, has_aux=True))(params, KEY, jnp.array(X))
    assert set(metrics) == {"loss", "reconstruction", "kl", "elbo"}
    assert all(np.all(np.isfinite(leaf)) and np.any(leaf != 0) for leaf in jax.tree.leaves(gradient))
    assert np.isfinite(autoencoder.variational.prior(params).log_prob(jnp.zeros(2)))


@pytest.mark.slow
def test_estimated_divergence_agrees_with_the_analytic_one(linear):
    """A mixture of one standard normal: the same divergence from samples, within 5 standard errors."""
    one = gaussian_mixture(jnp.zeros(1), jnp.zeros((1, 2)), jnp.zeros((1, 2)))
    repeats, x = 4000, jnp.array(X[:1])

    def kl(autoencoder, index):
        batch = Batch(x, x, index[None], jnp.ones(1))
        return autoencoder.loss(PARAMS, KEY, batch)[1]["kl"]

    estimated = variational(linear(5, 4), linear(2, 5), prior=one)
    kls = np.asarray(jax.jit(jax.vmap(lambda index: kl(estimated, index)))(jnp.arange(repeats)), np.float64)
    standard_error = kls.std() / math.sqrt(repeats)
    assert 0 < standard_error < 0.05
    assert abs(kls.mean() - kl(variational(linear(5, 4), linear(2, 5)), jnp.int32(0))) < 5 * standard_error


CORRELATED = jnp.array([[1.0, 0.5], [0.5, 1.0]])  # a prior's covariance: its divergence is no sum over dimensions
FULL = Prior(
    sample=lambda key, shape: jnp.linalg.cholesky(CORRELATED) @ jax.random.normal(key, shape),
    log_prob=lambda code: jax.scipy.stats.multivariate_normal.logpdf(code, jnp.zeros(2), CORRELATED),
    kl=lambda mean, log_variance: full_gaussian_kl(mean, jnp.diag(jnp.exp(log_variance)), prior_covariance=CORRELATED),
)
WIDE = Prior(  # another standard deviation in each place of an image of a code
    sample=lambda key, shape: jnp.ones(shape),
    log_prob=lambda code: jnp.sum(code),
    kl=lambda mean, log_variance: gaussian_kl(mean, log_variance, prior_log_variance=jnp.array([[0.0], [1.0]])),
    kl_per_dimension=lambda mean, log_variance: mean + jnp.array([[0.0], [1.0]]),
)


@pytest.mark.slow
def test_kl_of_a_prior_with_correlations_is_that_of_the_whole_code(linear):
    _, metrics = jax.jit(variational(linear(5, 4), linear(2, 5), prior=FULL).loss)(PARAMS, KEY, jnp.array(X))
    moments = np.split(X @ W.T, 2, axis=1)
    expected = np.mean([FULL.kl(jnp.array(mean), jnp.array(log)) for mean, log in zip(*moments, strict=True)])
    np.testing.assert_allclose(metrics["kl"], expected, rtol=1e-5)


def test_free_bits_take_the_terms_of_the_prior_by_dimension_of_the_code():
    """Codes of shape (2, 1) and mean x: terms x and x + 1, the batch means of which are 2 and 3."""
    encoder = Network(lambda key, x: {}, lambda params, x: jnp.concatenate([x, 0 * x], axis=-1))
    decoder = Network(lambda key, code: {}, lambda params, code: code)
    autoencoder = variational(encoder, decoder, prior=WIDE, free_bits=2.5)
    x = jnp.array([[[1.0], [1.0]], [[3.0], [3.0]]])
    loss, metrics = jax.jit(autoencoder.loss)({"encoder": {}, "decoder": {}}, KEY, x)
    np.testing.assert_allclose(loss - metrics["reconstruction"], 2.5 + 3.0, rtol=1e-5)


def test_refuses_free_bits_without_a_closed_form_for_each_dimension(linear):
    for prior in (mixture_prior(3), gaussian_mixture(jnp.zeros(1), jnp.zeros((1, 2)), jnp.zeros((1, 2))), FULL):
        with pytest.raises(ValueError, match="free bits need a prior whose divergence has a closed form for each"):
            variational(linear(5, 4), linear(2, 5), prior=prior, free_bits=0.1)


@pytest.mark.parametrize("free_bits", [-1.0, math.nan])
def test_refuses_negative_free_bits(free_bits, linear):
    with pytest.raises(ValueError, match="free_bits must be at least 0"):
        variational(linear(5, 4), linear(2, 5), free_bits=free_bits)
