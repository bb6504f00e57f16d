"""Sparsity: the penalties by hand, and codes of exactly k entries."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special

from aejax.autoencoders import as_batch, contractive, denoising, k_sparse, sparse, sparse_kl, undercomplete, variational
from aejax.autoencoders.sparse import keep_largest
from aejax.networks import Network

KEY = jax.random.key(0)
RNG = np.random.default_rng(0)
X = RNG.uniform(size=(6, 5)).astype(np.float32)
W, V = (RNG.standard_normal(shape).astype(np.float32) for shape in ((7, 5), (5, 7)))
PARAMS = {"encoder": jnp.array(W), "decoder": jnp.array(V)}
RECTIFIED = Network(lambda key, x: jnp.array(W), lambda weights, x: jax.nn.relu(jnp.dot(weights, x)))
LOGISTIC = Network(lambda key, x: jnp.array(W), lambda weights, x: jax.nn.sigmoid(jnp.dot(weights, x)))


def kl_of_means(x, rho):
    """Σₖ KL(ρ ‖ mean activation) of the logistic encoder."""
    rho_hat = special.expit(x.astype(float) @ W.T).mean(axis=0)
    return (special.rel_entr(rho, rho_hat) + special.rel_entr(1 - rho, 1 - rho_hat)).sum()


@pytest.mark.parametrize("weight", [0.0, 0.1, 3.0])
def test_sparse_adds_the_absolute_values_of_the_code(weight, linear):
    base = undercomplete(RECTIFIED, linear(7, 5))
    loss, metrics = jax.jit(sparse(base, weight=weight).loss)(PARAMS, KEY, jnp.array(X))
    code = np.maximum(X @ W.T, 0)
    np.testing.assert_allclose(metrics["l1_penalty"], code.sum(axis=1).mean(), rtol=1e-5)
    np.testing.assert_allclose(metrics["active_fraction"], (code > 0).mean(), rtol=1e-6)
    reconstruction = ((code @ V.T - X) ** 2).sum(axis=1).mean()
    np.testing.assert_allclose(metrics["reconstruction"], reconstruction, rtol=1e-5)
    np.testing.assert_allclose(loss, reconstruction + weight * metrics["l1_penalty"], rtol=1e-5)
    assert metrics["loss"] == loss


@pytest.mark.slow
def test_sparse_takes_the_absolute_value_of_negative_entries_and_of_the_posterior_mean(linear):
    _, metrics = jax.jit(sparse(undercomplete(linear(5, 7), linear(7, 5)), weight=1.0).loss)(PARAMS, KEY, jnp.array(X))
    np.testing.assert_allclose(metrics["l1_penalty"], np.abs(X @ W.T).sum(axis=1).mean(), rtol=1e-5)
    vae = variational(linear(5, 4), linear(2, 5))
    params = {"encoder": jnp.array(W[:4]), "decoder": jnp.array(V[:, :2])}
    _, metrics = jax.jit(sparse(vae, weight=1.0).loss)(params, KEY, jnp.array(X))
    np.testing.assert_allclose(metrics["l1_penalty"], np.abs(X @ W[:2].T).sum(axis=1).mean(), rtol=1e-5)
    assert {"kl", "elbo"} < set(metrics)


@pytest.mark.slow_after_first
@pytest.mark.parametrize("rho", [0.05, 0.5])
@pytest.mark.parametrize("weight", [0.0, 0.1, 3.0])
def test_sparse_kl_adds_the_divergence_of_the_mean_activations(weight, rho, linear):
    base = undercomplete(LOGISTIC, linear(7, 5))
    loss, metrics = jax.jit(sparse_kl(base, weight=weight, rho=rho).loss)(PARAMS, KEY, jnp.array(X))
    reconstruction, _ = jax.jit(base.loss)(PARAMS, KEY, jnp.array(X))
    np.testing.assert_allclose(metrics["sparsity_kl"], kl_of_means(X, rho), rtol=1e-5)
    np.testing.assert_allclose(metrics["mean_activation"], special.expit(X @ W.T).mean(), rtol=1e-5)
    np.testing.assert_allclose(loss, reconstruction + weight * kl_of_means(X, rho), rtol=1e-5)
    assert metrics["loss"] == loss


def test_sparse_kl_pulls_back_a_unit_that_is_all_but_off(linear):
    """Activation σ(a) = 1e-10 for all examples: by a the penalty has the slope ρ̂ - ρ."""
    biased = Network(lambda key, x: jnp.zeros(7), lambda bias, x: jax.nn.sigmoid(bias))
    autoencoder = sparse_kl(undercomplete(biased, linear(7, 5)), weight=1.0, rho=0.05)

    def penalty(bias):
        return autoencoder.loss(PARAMS | {"encoder": bias}, KEY, jnp.array(X))[1]["sparsity_kl"]

    slope = jax.jit(jax.grad(penalty))(jnp.full(7, special.logit(1e-10), jnp.float32))
    np.testing.assert_allclose(slope, 1e-10 - 0.05, rtol=1e-5)


@pytest.mark.slow
def test_padding_does_not_count(linear):
    padded = as_batch(jnp.array(X))._replace(weight=jnp.array([1.0] * 4 + [0.0] * 2))
    for autoencoder in (
        sparse(undercomplete(RECTIFIED, linear(7, 5)), weight=0.1),
        sparse_kl(undercomplete(LOGISTIC, linear(7, 5)), weight=0.1, rho=0.05),
    ):
        terms = jax.jit(autoencoder.loss)(PARAMS, KEY, padded), jax.jit(autoencoder.loss)(PARAMS, KEY, jnp.array(X[:4]))
        jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-5), *terms)


@pytest.mark.slow
@pytest.mark.parametrize("k", [1, 3, 6])
def test_k_sparse_codes_have_exactly_k_entries_and_gradients_reach_those_alone(k, linear):
    autoencoder = k_sparse(linear(5, 7), linear(7, 5), k=k)
    codes = np.asarray(jax.jit(jax.vmap(partial(autoencoder.encode, PARAMS)))(jnp.array(X)))
    assert np.all(np.count_nonzero(codes, axis=1) == k)
    # the code that training sees: its units are those whose columns of the decoder have a gradient
    for x, code in zip(X, codes, strict=True):
        gradient = jax.jit(jax.grad(lambda params, x=x: autoencoder.loss(params, KEY, jnp.array(x)[None])[0]))(PARAMS)
        np.testing.assert_array_equal(np.any(gradient["encoder"] != 0, axis=1), code != 0)
        np.testing.assert_array_equal(np.any(gradient["decoder"] != 0, axis=0), code != 0)
    loss, metrics = jax.jit(autoencoder.loss)(PARAMS, KEY, jnp.array(X))
    np.testing.assert_allclose(loss, ((codes @ V.T - X) ** 2).sum(axis=1).mean(), rtol=1e-5)
    assert set(metrics) == {"loss", "reconstruction"}


@pytest.mark.slow
def test_k_sparse_of_all_entries_is_undercomplete(linear):
    whole, plain = k_sparse(linear(5, 7), linear(7, 5), k=7), undercomplete(linear(5, 7), linear(7, 5))
    jax.tree.map(
        np.testing.assert_array_equal,
        jax.jit(whole.init)(KEY, jnp.array(X[0])),
        jax.jit(plain.init)(KEY, jnp.array(X[0])),
    )
    results = [jax.jit(jax.value_and_grad(a.loss, has_aux=True))(PARAMS, KEY, jnp.array(X)) for a in (whole, plain)]
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-6), *results)


@pytest.mark.slow_after_first
@pytest.mark.parametrize("k", [1, 2, 5, 12])
@pytest.mark.parametrize("shape", [(12,), (2, 3, 2)])
def test_keep_largest_equals_numpy_with_ties(shape, k):
    for code in (RNG.standard_normal(shape), RNG.integers(1, 4, shape), np.ones(shape), -np.ones(shape)):
        code = code.astype(np.float32)
        kept = np.argsort(-code.ravel(), kind="stable")[:k]  # of equal entries the first
        expected = np.zeros(code.size, np.float32)
        expected[kept] = code.ravel()[kept]
        result = jax.jit(keep_largest, static_argnums=1)(jnp.array(code), k)
        np.testing.assert_array_equal(result, expected.reshape(shape))
        assert np.count_nonzero(result) == k


@pytest.mark.slow
def test_penalties_are_of_the_corrupted_input_and_add_to_others(linear):
    def shift(key, x):
        return x - 0.5

    for regularize, name, expected in (
        (partial(sparse, weight=0.1), "l1_penalty", np.maximum((X - 0.5) @ W.T, 0).sum(axis=1).mean()),
        (partial(sparse_kl, weight=0.1, rho=0.05), "sparsity_kl", kl_of_means(X - 0.5, 0.05)),
    ):
        base = undercomplete(RECTIFIED if name == "l1_penalty" else LOGISTIC, linear(7, 5))
        autoencoder = denoising(contractive(regularize(base), weight=2.0), corrupt=shift)
        loss, metrics = jax.jit(autoencoder.loss)(PARAMS, KEY, jnp.array(X))
        np.testing.assert_allclose(metrics[name], expected, rtol=1e-5)
        total = metrics["reconstruction"] + 0.1 * expected + 2 * metrics["contractive_penalty"]
        np.testing.assert_allclose(loss, total, rtol=1e-5)
        assert metrics["loss"] == loss


def test_k_sparse_takes_a_link_as_undercomplete_does(linear):
    code = jnp.ones(7)
    autoencoder = k_sparse(linear(5, 7), linear(7, 5), k=np.int64(3), link=jnp.exp)
    np.testing.assert_allclose(autoencoder.decode(PARAMS, code), np.exp(V.sum(axis=1)), rtol=1e-5)


def test_k_sparse_composes(linear):
    base = k_sparse(linear(5, 7), linear(7, 5), k=3)
    autoencoder = denoising(contractive(base, weight=0.1), corrupt=lambda key, x: x + 1)
    _, metrics = jax.jit(autoencoder.loss)(PARAMS, KEY, jnp.array(X))
    kept = np.argsort(-(X + 1) @ W.T, axis=1)[:, :3]
    np.testing.assert_allclose(metrics["contractive_penalty"], (W**2).sum(axis=1)[kept].sum(axis=1).mean(), rtol=1e-5)


@pytest.mark.parametrize("weight", [-0.1, float("nan")])
def test_refuses_a_negative_weight(weight, identity):
    with pytest.raises(ValueError, match="weight must be at least 0"):
        sparse(undercomplete(identity, identity), weight=weight)
    with pytest.raises(ValueError, match="weight must be at least 0"):
        sparse_kl(undercomplete(identity, identity), weight=weight, rho=0.1)


@pytest.mark.parametrize("rho", [0.0, 1.0, -0.1, 1.1, float("nan")])
def test_refuses_a_rho_outside_0_and_1(rho, identity):
    with pytest.raises(ValueError, match="rho must lie between 0 and 1"):
        sparse_kl(undercomplete(identity, identity), weight=0.1, rho=rho)


def test_refuses_a_k_that_does_not_fit_the_code(linear):
    with pytest.raises(TypeError, match=r"k must be an integer, got 1\.5"):
        k_sparse(linear(5, 7), linear(7, 5), k=1.5)
    with pytest.raises(ValueError, match="k must be at least 1, got 0"):
        k_sparse(linear(5, 7), linear(7, 5), k=0)
    with pytest.raises(ValueError, match="k must be at most the 7 entries of the code, got 8"):
        k_sparse(linear(5, 7), linear(7, 5), k=8).init(KEY, jnp.array(X[0]))
