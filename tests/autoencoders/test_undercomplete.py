"""The plain autoencoder: its loss by hand, its link, its parameters."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special

from aejax.autoencoders import as_batch, undercomplete
from aejax.losses import absolute_error, binary_cross_entropy, squared_error
from aejax.networks import MLP

KEY = jax.random.key(0)
RNG = np.random.default_rng(0)
X = RNG.uniform(size=(6, 5)).astype(np.float32)
W, V = (RNG.standard_normal(shape).astype(np.float32) for shape in ((2, 5), (5, 2)))
PARAMS = {"encoder": jnp.array(W), "decoder": jnp.array(V)}


@pytest.mark.parametrize(
    ("loss", "by_hand"),
    [
        (squared_error, lambda x, output: (x - output) ** 2),
        (absolute_error, lambda x, output: np.abs(x - output)),
        (
            binary_cross_entropy,
            lambda x, logits: -x * np.log(special.expit(logits)) - (1 - x) * special.log_expit(-logits),
        ),
    ],
)
def test_loss_is_the_mean_over_the_batch_of_the_sum_over_features(loss, by_hand, linear):
    autoencoder = undercomplete(linear(5, 2), linear(2, 5), loss=loss)
    total, metrics = jax.jit(autoencoder.loss)(PARAMS, KEY, jnp.array(X))
    expected = by_hand(X, X @ W.T @ V.T).sum(axis=1).mean()
    np.testing.assert_allclose(total, expected, rtol=1e-5)
    assert metrics == {"loss": total, "reconstruction": total}


def test_encodes_the_input_and_reconstructs_x(linear):
    autoencoder = undercomplete(linear(5, 2), linear(2, 5))
    observed = X + 1
    total, _ = jax.jit(autoencoder.loss)(PARAMS, KEY, as_batch(jnp.array(X))._replace(input=jnp.array(observed)))
    np.testing.assert_allclose(total, ((X - observed @ W.T @ V.T) ** 2).sum(axis=1).mean(), rtol=1e-5)


@pytest.mark.parametrize(
    ("knobs", "link"),
    [
        ({}, lambda output: output),
        ({"loss": binary_cross_entropy}, special.expit),
        ({"loss": binary_cross_entropy, "link": jnp.exp}, np.exp),
        ({"link": jax.nn.relu}, lambda output: np.maximum(output, 0)),
    ],
)
def test_decode_returns_to_data_space(knobs, link, linear):
    autoencoder = undercomplete(linear(5, 2), linear(2, 5), **knobs)
    code = autoencoder.encode(PARAMS, jnp.array(X[0]))
    np.testing.assert_allclose(code, W @ X[0], rtol=1e-5)
    np.testing.assert_allclose(autoencoder.decode(PARAMS, code), link(V @ W @ X[0]), rtol=1e-5)


def test_a_perfect_reconstruction_costs_nothing(identity):
    autoencoder = undercomplete(identity, identity)
    assert jax.jit(autoencoder.loss)({"encoder": {}, "decoder": {}}, KEY, jnp.array(X))[0] == 0


@pytest.mark.slow
def test_parameters_follow_the_key_and_differ_between_encoder_and_decoder(linear):
    autoencoder = undercomplete(linear(5, 5), linear(5, 5))
    params, same, other = (jax.jit(autoencoder.init)(jax.random.key(seed), jnp.array(X[0])) for seed in (0, 0, 1))
    np.testing.assert_array_equal(params["encoder"], same["encoder"])
    np.testing.assert_array_equal(params["decoder"], same["decoder"])
    assert np.any(params["encoder"] != other["encoder"])
    assert np.any(params["decoder"] != other["decoder"])
    assert np.any(params["encoder"] != params["decoder"])


@pytest.mark.slow
def test_examples_and_codes_of_any_shape():
    autoencoder = undercomplete(MLP(output_shape=(2, 3)), MLP(output_shape=(4, 3, 2)))
    example = jnp.ones((4, 3, 2))
    params = jax.jit(autoencoder.init)(KEY, example)
    code = autoencoder.encode(params, example)
    assert code.shape == (2, 3)
    assert autoencoder.decode(params, code).shape == example.shape
    assert jax.jit(autoencoder.loss)(params, KEY, example[None])[0].shape == ()


def test_refuses_a_decoder_of_another_shape(linear):
    autoencoder = undercomplete(linear(5, 2), linear(2, 4))
    with pytest.raises(ValueError, match=r"x has \(5,\), reconstruction has \(4,\)"):
        autoencoder.loss({"encoder": jnp.array(W), "decoder": jnp.ones((4, 2))}, KEY, jnp.array(X))
