"""Contraction: the penalty by hand, at the right point, of the right function, with a gradient that reaches it."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special

from aejax.autoencoders import (
    Batch,
    as_batch,
    contractive,
    contractive_by_projections,
    denoising,
    undercomplete,
    variational,
)
from aejax.networks import MLP, Network

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


@pytest.mark.slow_after_first
@pytest.mark.parametrize("method", ["jacfwd", "jacrev"])
@pytest.mark.parametrize("weight", [0.0, 0.1, 3.0])
def test_adds_the_weighted_penalty_and_reports_it_unweighted(weight, method, linear):
    base = undercomplete(LOGISTIC, linear(2, 5))
    loss, metrics = jax.jit(contractive(base, weight=weight, method=method).loss)(PARAMS, KEY, jnp.array(X))
    reconstruction, _ = jax.jit(base.loss)(PARAMS, KEY, jnp.array(X))
    np.testing.assert_allclose(metrics["contractive_penalty"], penalty_of_logistic(X), rtol=1e-5)
    np.testing.assert_allclose(loss, reconstruction + weight * penalty_of_logistic(X), rtol=1e-5)
    np.testing.assert_allclose(metrics["reconstruction"], reconstruction, rtol=1e-6)
    assert metrics["loss"] == loss


@pytest.mark.slow
def test_penalty_is_taken_at_what_the_encoder_is_given(linear):
    base, observed = undercomplete(LOGISTIC, linear(2, 5)), X - 1
    batch = as_batch(jnp.array(X))._replace(input=jnp.array(observed))
    _, metrics = jax.jit(contractive(base, weight=1.0).loss)(PARAMS, KEY, batch)
    np.testing.assert_allclose(metrics["contractive_penalty"], penalty_of_logistic(observed), rtol=1e-5)
    corrupted = denoising(contractive(base, weight=1.0), corrupt=lambda key, x: x - 1)
    _, metrics = jax.jit(corrupted.loss)(PARAMS, KEY, jnp.array(X))
    np.testing.assert_allclose(metrics["contractive_penalty"], penalty_of_logistic(observed), rtol=1e-5)


@pytest.mark.slow
def test_of_a_variational_autoencoder_the_posterior_mean_is_meant(linear):
    weights = RNG.standard_normal((4, 5)).astype(np.float32)
    autoencoder = contractive(variational(linear(5, 4), linear(2, 5), beta=2.0), weight=0.5)
    params = {"encoder": jnp.array(weights), "decoder": jnp.array(V)}
    loss, metrics = jax.jit(autoencoder.loss)(params, KEY, jnp.array(X))
    np.testing.assert_allclose(metrics["contractive_penalty"], (weights[:2] ** 2).sum(), rtol=1e-5)
    expected = metrics["reconstruction"] + 2 * metrics["kl"] + 0.5 * metrics["contractive_penalty"]
    np.testing.assert_allclose(loss, expected, rtol=1e-5)
    np.testing.assert_allclose(metrics["elbo"], -(metrics["reconstruction"] + metrics["kl"]), rtol=1e-5)


@pytest.mark.slow
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
    with pytest.raises(ValueError, match="higher_order_weight must be at least 0"):
        contractive(undercomplete(identity, identity), weight=0.0, higher_order_weight=weight)


def test_refuses_higher_order_knobs_out_of_range(identity):
    for standard_deviation in (0.0, -0.1):
        with pytest.raises(ValueError, match="higher_order_standard_deviation must be positive"):
            contractive(
                undercomplete(identity, identity), weight=0.0, higher_order_standard_deviation=standard_deviation
            )
    with pytest.raises(ValueError, match="higher_order_samples must be at least 1"):
        contractive(undercomplete(identity, identity), weight=0.0, higher_order_samples=0)


def test_refuses_an_unknown_method(identity):
    autoencoder = undercomplete(identity, identity)
    with pytest.raises(ValueError, match="method must be one of jacfwd, jacrev"):
        contractive(autoencoder, weight=1.0, method="jacsym").loss({"encoder": {}, "decoder": {}}, KEY, jnp.array(X))


QUADRATIC = Network(lambda key, x: jnp.array(W), lambda weights, x: jnp.square(jnp.dot(weights, x)))


@pytest.mark.slow
def test_adds_the_weighted_higher_order_penalty_and_reports_it_unweighted(linear):
    """hₖ = (wₖ·x)² has the Hessian 2 wₖ wₖᵀ: E ‖J(x) - J(x + ε)‖² = σ² M, M = Σₖ 4 ‖wₖ‖⁴, at any x."""
    base, samples, sigma = undercomplete(QUADRATIC, linear(2, 5)), 4000, 0.5
    knobs = {"higher_order_standard_deviation": sigma, "higher_order_samples": samples}
    without, before = jax.jit(contractive(base, weight=0.1, **knobs).loss)(PARAMS, KEY, jnp.array(X))
    loss, metrics = jax.jit(contractive(base, weight=0.1, higher_order_weight=2.0, **knobs).loss)(
        PARAMS, KEY, jnp.array(X)
    )
    assert set(metrics) == {*before, "higher_order_penalty"}
    hessian = 2 * np.einsum("ki,kj->kij", W, W)
    m = np.einsum("kij,kil->jl", hessian, hessian)
    error = sigma**2 * np.sqrt(2 * np.trace(m @ m) / (samples * len(X)))
    assert abs(metrics["higher_order_penalty"] - sigma**2 * np.trace(m)) < 5 * error
    np.testing.assert_allclose(loss, without + 2 * metrics["higher_order_penalty"], rtol=1e-5)
    assert metrics["loss"] == loss
    np.testing.assert_allclose(metrics["contractive_penalty"], before["contractive_penalty"], rtol=1e-6)


def noisy(identity):
    """An autoencoder whose loss is a number drawn from its key."""

    def loss(params, key, batch):
        drawn = jax.random.normal(key)
        return drawn, {"loss": drawn, "drawn": drawn}

    return undercomplete(identity, identity)._replace(loss=loss)


@pytest.mark.slow
def test_noise_of_what_is_wrapped_is_unchanged_without_a_higher_order_weight(identity):
    params, expected = {"encoder": {}, "decoder": {}}, jax.random.normal(KEY)
    _, off = jax.jit(contractive(noisy(identity), weight=1.0, higher_order_samples=2).loss)(params, KEY, jnp.array(X))
    _, on = jax.jit(contractive(noisy(identity), weight=1.0, higher_order_weight=1.0).loss)(params, KEY, jnp.array(X))
    assert off["drawn"] == expected
    assert on["drawn"] != expected  # no key is used twice


@pytest.mark.slow
def test_higher_order_noise_is_keyed_by_the_index_of_the_example(linear):
    """Two halves of a batch, as two devices see them, meet the noise that the whole batch meets."""
    autoencoder = contractive(undercomplete(LOGISTIC, linear(2, 5)), weight=0.0, higher_order_weight=1.0)
    batch = as_batch(jnp.array(X))

    def penalty(batch):
        return autoencoder.loss(PARAMS, KEY, batch)[1]["higher_order_penalty"]

    def part(examples):
        return Batch(*(field[examples] for field in batch[:4]))

    halves = penalty(part(slice(3))) + penalty(part(slice(3, 6)))
    np.testing.assert_allclose(halves / 2, penalty(batch), rtol=1e-5)
    shifted = penalty(batch._replace(indices=batch.indices + 6))
    assert abs(shifted - penalty(batch)) > 1e-3 * penalty(batch)
    padded = penalty(batch._replace(weight=jnp.array([1.0, 0.0, 0.0, 0.0, 0.0, 0.0])))
    np.testing.assert_allclose(padded, penalty(part(slice(1))), rtol=1e-5)


@pytest.mark.slow
def test_gradient_of_the_higher_order_penalty_reaches_the_encoder(linear):
    base = undercomplete(LOGISTIC, linear(2, 5))

    def gradient(weight):
        autoencoder = contractive(base, weight=0.0, higher_order_weight=weight, method="jacrev")
        return jax.grad(lambda params: autoencoder.loss(params, KEY, jnp.array(X))[0])(PARAMS)

    difference = jax.tree.map(jnp.subtract, gradient(1.0), gradient(0.0))
    assert np.abs(difference["encoder"]).max() > 1e-4
    np.testing.assert_allclose(difference["decoder"], 0, atol=1e-5)


@pytest.mark.slow
def test_penalty_by_projections_has_the_exact_one_as_its_mean():
    plain = undercomplete(MLP((3,), (6,), jnp.tanh), MLP((5,)))
    params = jax.jit(plain.init)(KEY, jnp.ones(5))
    x = jnp.asarray(np.random.default_rng(0).normal(size=(4, 5)), jnp.float32)
    exact = jax.jit(contractive(plain, weight=0.5).loss)(params, KEY, x)[1]
    estimated = contractive_by_projections(plain, weight=0.5, num_projections=2)
    terms = jax.jit(jax.vmap(lambda key: estimated.loss(params, key, x)[1]))(jax.random.split(KEY, 4000))
    error = np.std(terms["contractive_penalty"]) / np.sqrt(4000)
    assert abs(np.mean(terms["contractive_penalty"]) - exact["contractive_penalty"]) < 5 * error
    np.testing.assert_allclose(terms["loss"], terms["reconstruction"] + 0.5 * terms["contractive_penalty"], rtol=1e-5)


@pytest.mark.slow_after_first
@pytest.mark.parametrize("method", ["jacrev", "structured", "auto"])
def test_every_method_and_chunk_gives_the_same_penalty(method):
    plain = undercomplete(MLP((3,), (6,), jnp.tanh), MLP((5,)))
    params = jax.jit(plain.init)(KEY, jnp.ones(5))
    x = jnp.asarray(np.random.default_rng(0).normal(size=(4, 5)), jnp.float32)
    expected = jax.jit(contractive(plain, weight=0.5).loss)(params, KEY, x)
    for chunk_size in (None, 2):
        got = jax.jit(contractive(plain, weight=0.5, method=method, chunk_size=chunk_size).loss)(params, KEY, x)
        jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-5), got, expected)
