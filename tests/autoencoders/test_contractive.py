"""Contraction: the penalty by hand, at the right point, of the right function, with a gradient that reaches it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special

from aejax.autoencoders import as_batch, contractive, denoising, undercomplete, variational
from aejax.networks import Network

KEY = jax.random.key(0)
RNG = np.random.default_rng(0)
X = RNG.uniform(size=(6, 5)).astype(np.float32)
W, V = (RNG.standard_normal(shape).astype(np.float32) for shape in ((2, 5), (5, 2)))
PARAMS = {"encoder": jnp.array(W), "decoder": jnp.array(V)}
LOGISTIC = Network(lambda key, x: jnp.array(W), lambda weights, x: jax.nn.sigmoid(jnp.dot(weights, x)))


def penalty_of_logistic(x):
    """Mean over the batch of the closed form."""
    slope = special.expit(x @ W.T) * special.expit(-x @ W.T)
    return (slope**2 @ (W**2).sum(axis=1)).mean()


@pytest.mark.parametrize("method", ["jacfwd", "jacrev"])
@pytest.mark.parametrize("weight", [0.0, 0.1, 3.0])
def test_adds_the_weighted_penalty_and_reports_it_unweighted(weight, method, linear):
    base = undercomplete(LOGISTIC, linear(2, 5))
    loss, metrics = contractive(base, weight=weight, method=method).loss(PARAMS, KEY, jnp.array(X))
    reconstruction, _ = base.loss(PARAMS, KEY, jnp.array(X))
    np.testing.assert_allclose(metrics["contractive_penalty"], penalty_of_logistic(X), rtol=1e-5)
    np.testing.assert_allclose(loss, reconstruction + weight * penalty_of_logistic(X), rtol=1e-5)
    np.testing.assert_allclose(metrics["reconstruction"], reconstruction, rtol=1e-6)
    assert metrics["loss"] == loss


def test_penalty_is_taken_at_what_the_encoder_is_given(linear):
    base, observed = undercomplete(LOGISTIC, linear(2, 5)), X - 1
    batch = as_batch(jnp.array(X))._replace(input=jnp.array(observed))
    _, metrics = contractive(base, weight=1.0).loss(PARAMS, KEY, batch)
    np.testing.assert_allclose(metrics["contractive_penalty"], penalty_of_logistic(observed), rtol=1e-5)
    corrupted = denoising(contractive(base, weight=1.0), corrupt=lambda key, x: x - 1)
    _, metrics = corrupted.loss(PARAMS, KEY, jnp.array(X))
    np.testing.assert_allclose(metrics["contractive_penalty"], penalty_of_logistic(observed), rtol=1e-5)


def test_of_a_variational_autoencoder_the_posterior_mean_is_meant(linear):
    weights = RNG.standard_normal((4, 5)).astype(np.float32)
    autoencoder = contractive(variational(linear(5, 4), linear(2, 5), beta=2.0), weight=0.5)
    params = {"encoder": jnp.array(weights), "decoder": jnp.array(V)}
    loss, metrics = autoencoder.loss(params, KEY, jnp.array(X))
    np.testing.assert_allclose(metrics["contractive_penalty"], (weights[:2] ** 2).sum(), rtol=1e-5)
    expected = metrics["reconstruction"] + 2 * metrics["kl"] + 0.5 * metrics["contractive_penalty"]
    np.testing.assert_allclose(loss, expected, rtol=1e-5)
    np.testing.assert_allclose(metrics["elbo"], -(metrics["reconstruction"] + metrics["kl"]), rtol=1e-5)


def test_gradient_of_the_penalty_reaches_the_encoder_alone(linear):
    base = undercomplete(linear(5, 2), linear(2, 5))

    def gradient(autoencoder):
        return jax.grad(lambda params: autoencoder.loss(params, KEY, jnp.array(X))[0])(PARAMS)

    difference = jax.tree.map(jnp.subtract, gradient(contractive(base, weight=0.5)), gradient(base))
    np.testing.assert_allclose(difference["encoder"], 0.5 * 2 * W, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(difference["decoder"], 0, atol=1e-5)


@pytest.mark.parametrize("weight", [-0.1, float("nan")])
def test_refuses_a_negative_weight(weight, identity):
    with pytest.raises(ValueError, match="weight must be at least 0"):
        contractive(undercomplete(identity, identity), weight=weight)


def test_refuses_an_unknown_method(identity):
    autoencoder = undercomplete(identity, identity)
    with pytest.raises(ValueError, match="method must be one of jacfwd, jacrev"):
        contractive(autoencoder, weight=1.0, method="jacsym").loss({"encoder": {}, "decoder": {}}, KEY, jnp.array(X))
