"""Tied weights: one matrix a layer serves both ways."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads
from scipy.special import expit

from aejax.autoencoders import contractive, tied
from aejax.losses import squared_error

KEY = jax.random.key(0)
X = np.random.default_rng(0).uniform(size=(3, 4, 2)).astype(np.float32)


@pytest.mark.slow
def test_code_and_reconstruction_equal_a_computation_by_hand():
    autoencoder = tied((4, 2), (5, 3))
    params = jax.jit(autoencoder.init)(KEY, jnp.array(X[0]))
    params = jax.tree.map(lambda leaf: leaf + 0.1, params)  # biases too
    (w1, w2), (b1, b2), (c1, c2) = (
        map(np.asarray, params[name]) for name in ("weights", "encoder_biases", "decoder_biases")
    )
    code = expit(expit(X[0].ravel() @ w1 + b1) @ w2 + b2)
    np.testing.assert_allclose(autoencoder.encode(params, jnp.array(X[0])), code, rtol=1e-5)
    reconstruction = expit(w1 @ expit(w2 @ code + c2) + c1).reshape(4, 2)
    np.testing.assert_allclose(autoencoder.decode(params, jnp.array(code)), reconstruction, rtol=1e-5)


def test_each_layer_has_one_matrix():
    params = jax.jit(tied((8,), (5, 3)).init)(KEY, jnp.ones(8))
    assert [weights.shape for weights in params["weights"]] == [(8, 5), (5, 3)]


@pytest.mark.slow
def test_gradients_reach_the_weights_both_ways(float64):
    autoencoder = contractive(tied((4, 2), (3,)), weight=0.1)
    params = jax.tree.map(lambda leaf: jnp.array(leaf, jnp.float64), jax.jit(autoencoder.init)(KEY, jnp.array(X[0])))
    x = jnp.array(X, jnp.float64)
    check_grads(lambda params: autoencoder.loss(params, KEY, x)[0], (params,), order=1)


@pytest.mark.slow
def test_linear_layers_have_the_gradient_of_w_w_transposed(float64):
    """L = ‖x - W Wᵀ x‖²: its gradient by W in closed form is -2 (r xᵀ + x rᵀ) W, r the residual."""
    autoencoder = tied((4,), (2,), activation=lambda h: h, loss=squared_error)
    params = jax.tree.map(lambda leaf: jnp.array(leaf, jnp.float64), jax.jit(autoencoder.init)(KEY, jnp.ones(4)))
    x = jnp.array([[0.3, -1.0, 0.5, 2.0]])
    gradient = jax.jit(jax.grad(lambda params: autoencoder.loss(params, KEY, x)[0]))(params)["weights"][0]
    w, x = np.asarray(params["weights"][0]), np.asarray(x[0])
    residual = x - w @ w.T @ x
    expected = -2 * (np.outer(residual, x) + np.outer(x, residual)) @ w
    np.testing.assert_allclose(gradient, expected, rtol=1e-10)


@pytest.mark.parametrize("widths", [(), (3, 0)])
def test_widths_that_are_none(widths):
    with pytest.raises(ValueError, match="widths"):
        tied((4,), widths)
