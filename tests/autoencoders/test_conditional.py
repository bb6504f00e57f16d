"""Conditions reach encoder and decoder, change nothing else, and are generated from."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from sklearn.svm import SVC

from aejax.autoencoders import (
    Examples,
    as_batch,
    conditional,
    contractive,
    denoising,
    importance_weighted,
    undercomplete,
    variational,
)
from aejax.datasets import load_digits, split
from aejax.evaluation import encode_all, reconstruct_all
from aejax.networks import MLP, ConvDecoder, ConvEncoder, Network, with_global_log_variance
from aejax.training import start, train

KEY = jax.random.key(0)
RNG = np.random.default_rng(0)
X = jnp.asarray(RNG.uniform(size=(6, 4)), jnp.float32)
SIDE = jnp.asarray(RNG.normal(size=(6, 3)), jnp.float32)
W = jnp.asarray(RNG.normal(size=(2, 4)), jnp.float32)
V = jnp.asarray(RNG.normal(size=(2, 3)), jnp.float32)
U = jnp.asarray(RNG.normal(size=(4, 3)), jnp.float32)


def linear() -> tuple[Network, Network]:
    """H = W x + V c and x̂ = Wᵀ h + U c."""
    encoder = Network(lambda key, x, c: (W, V), lambda params, x, c: params[0] @ x + params[1] @ c)
    decoder = Network(lambda key, h, c: (W, U), lambda params, h, c: h @ params[0] + params[1] @ c)
    return encoder, decoder


@pytest.mark.slow
def test_loss_is_that_of_a_network_of_both_inputs():
    autoencoder = conditional(undercomplete(*linear()))
    params = jax.jit(autoencoder.init)(KEY, X[0], SIDE[0])
    loss, _ = jax.jit(autoencoder.loss)(params, KEY, as_batch(Examples(X, condition=SIDE)))
    codes = X @ W.T + SIDE @ V.T
    np.testing.assert_allclose(loss, np.mean(np.sum((codes @ W + SIDE @ U.T - X) ** 2, axis=1)), rtol=1e-5)
    np.testing.assert_allclose(autoencoder.encode(params, X[1], SIDE[1]), codes[1], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(encode_all(autoencoder, params, X, SIDE, batch_size=4), codes, rtol=1e-5, atol=1e-6)
    expected = codes @ W + SIDE @ U.T
    np.testing.assert_allclose(reconstruct_all(autoencoder, params, X, SIDE), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.slow
def test_a_class_is_its_one_hot_vector():
    by_class, by_side = conditional(undercomplete(*linear()), classes=3), conditional(undercomplete(*linear()))
    labels = jnp.array([0, 1, 2, 2, 1, 0])
    params = jax.jit(by_class.init)(KEY, X[0], labels[0])
    loss = jax.jit(by_class.loss)(params, KEY, as_batch(Examples(X, condition=labels)))[0]
    assert loss == jax.jit(by_side.loss)(params, KEY, as_batch(Examples(X, condition=jnp.eye(3)[labels])))[0]


@pytest.mark.slow
def test_corruption_and_contraction_leave_the_condition_alone():
    base = conditional(undercomplete(*linear()))
    params, batch = jax.jit(base.init)(KEY, X[0], SIDE[0]), as_batch(Examples(X, condition=SIDE))
    _, metrics = jax.jit(contractive(base, weight=0.5).loss)(params, KEY, batch)
    np.testing.assert_allclose(metrics["contractive_penalty"], np.sum(W**2), rtol=1e-5)
    noisy = jax.jit(denoising(base, corrupt=lambda key, x: 0 * x).loss)(params, KEY, batch)[0]
    codes = SIDE @ V.T
    np.testing.assert_allclose(noisy, np.mean(np.sum((codes @ W + SIDE @ U.T - X) ** 2, axis=1)), rtol=1e-5)


@pytest.mark.slow
def test_importance_weighted_bound_of_one_sample_is_the_bound_given_the_condition():
    vae = conditional(variational(MLP((4,)), MLP((4,))), classes=3)
    batch = as_batch(Examples(X, condition=jnp.array([0, 1, 2, 2, 1, 0])))
    params = jax.jit(vae.init)(KEY, X[0], jnp.array(0))
    loss = jax.jit(jax.vmap(lambda key: importance_weighted(vae, samples=1).loss(params, key, batch)[0]))
    bounds = loss(jax.random.split(KEY, 2000))
    elbos = jax.jit(jax.vmap(lambda key: vae.loss(params, key, batch)[0]))(jax.random.split(KEY, 2000))
    error = np.std(bounds) / np.sqrt(2000) + np.std(elbos) / np.sqrt(2000)
    assert abs(np.mean(bounds) - np.mean(elbos)) < 5 * error
    swapped = batch._replace(condition=jnp.array([1, 2, 0, 0, 2, 1]))
    assert jax.jit(vae.loss)(params, KEY, swapped)[0] != jax.jit(vae.loss)(params, KEY, batch)[0]


@pytest.mark.slow
@pytest.mark.parametrize("code_size", [3, None])
def test_convolutional_networks_take_conditions(code_size):
    encoder, decoder = ConvEncoder((2,), code_size), ConvDecoder((6, 5, 1), (2,))
    autoencoder = conditional(undercomplete(encoder, with_global_log_variance(decoder), loss=_first_of_two), classes=4)
    x, label = jnp.ones((6, 5, 1)), jnp.array(2)
    params = jax.jit(autoencoder.init)(KEY, x, label)
    outputs = [autoencoder.decode(params, autoencoder.encode(params, x, c), c) for c in (label, jnp.array(3))]
    assert outputs[0].shape == (6, 5, 1, 2)
    assert np.any(outputs[0] != outputs[1])


def _first_of_two(x, output):
    return jnp.sum(jnp.square(x - output[..., 0]))


@pytest.mark.slow
def test_refuses_what_has_no_condition_or_one_that_is_no_class():
    autoencoder = conditional(undercomplete(MLP((2,)), MLP((4,))), classes=3)
    params = jax.jit(autoencoder.init)(KEY, X[0], jnp.array(0))
    with pytest.raises(ValueError, match="expects the condition of every example, got none"):
        autoencoder.loss(params, KEY, X)
    with pytest.raises(ValueError, match="expects the condition of every example, got none"):
        autoencoder.encode(params, X[0])
    with pytest.raises(TypeError, match="the condition must be a class, an integer, got dtype float32"):
        autoencoder.encode(params, X[0], jnp.array(1.0))
    with pytest.raises(ValueError, match="classes must be at least 2, got 1"):
        conditional(undercomplete(MLP((2,)), MLP((4,))), classes=1)
    with pytest.raises(TypeError, match=r"classes must be an integer, got 2\.5"):
        conditional(undercomplete(MLP((2,)), MLP((4,))), classes=2.5)


@pytest.mark.slow_after_first
@pytest.mark.parametrize("dtype", [jnp.float16, jnp.float32, jnp.float64])
def test_a_class_has_the_type_of_what_is_beside_it(dtype, float64):
    """Else strict promotion refuses to join the two."""
    joins = Network(lambda key, x, c: {}, lambda params, x, c: jnp.concatenate([x, c])[:4])
    autoencoder, x = conditional(undercomplete(joins, joins), classes=3), X.astype(dtype)
    params = jax.jit(autoencoder.init)(KEY, x[0], jnp.array(0))
    batch = as_batch(Examples(x, condition=jnp.arange(6) % 3))
    code = autoencoder.encode(params, x[0], jnp.array(1))
    assert code.dtype == autoencoder.decode(params, code, jnp.array(1)).dtype == dtype
    assert jax.jit(autoencoder.loss)(params, KEY, batch)[0].dtype == dtype


@pytest.mark.slow
def test_generates_the_digit_that_is_asked_for():
    train_part, validation, test = split(load_digits(), fractions=(0.1, 0.2), seed=0)
    judge = SVC().fit(train_part.x.reshape(len(train_part.x), -1), train_part.labels)
    assert judge.score(test.x.reshape(len(test.x), -1), test.labels) > 0.98
    vae = conditional(variational(MLP((2 * 8,), (128,)), MLP((8, 8, 1), (128,))), classes=10)
    with jax.numpy_dtype_promotion("standard"):  # Optax mixes dtypes
        optimizer = optax.adam(3e-3)
        snapshot = start(vae, optimizer, KEY, train_part.x[0], train_part.labels[0])
        parts = [Examples(part.x, condition=part.labels) for part in (train_part, validation)]
        knobs = {"batch_size": 64, "epochs": 80, "evaluate_every": 80, "devices": jax.devices()[:1]}
        for report in train(vae, optimizer, snapshot, *parts, **knobs):
            params = jax.device_get(report.snapshot.best_params)
    labels = np.arange(1000) % 10

    def draw(key, label):
        return vae.decode(params, vae.variational.prior(params).sample(key, (8,)), label)

    x = np.asarray(jax.jit(jax.vmap(draw))(jax.random.split(KEY, 1000), labels))
    right = judge.predict(x.reshape(1000, -1)) == labels
    assert np.mean(right) > 0.95


def test_a_class_known_before_a_scan_is_checked_within_it() -> None:
    """As a geodesic decodes: the label is no traced value, the code is."""
    from aejax.autoencoders.conditional import check_classes

    def step(carry: jax.Array, _: None) -> tuple[jax.Array, None]:
        check_classes(label, 3)
        return carry, None

    label = jnp.array(2)
    carried, _ = jax.jit(lambda: jax.lax.scan(step, jnp.zeros(()), None, length=2))()
    assert carried == 0
