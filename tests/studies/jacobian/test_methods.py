"""The methods of the study: their losses against NumPy."""

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import expit

from aejax.jacobian import contractive_penalty
from aejax.studies.jacobian.methods import METHODS
from aejax.studies.jacobian.settings import METHOD_NAMES


@pytest.mark.slow_after_first
@pytest.mark.parametrize("method", METHOD_NAMES)
def test_a_method_with_strength_0_is_the_plain_autoencoder(plain, examples, params, method: str) -> None:
    loss, _ = METHODS[method].build(plain, jnp.array(0.0)).loss(params, jax.random.key(1), jnp.asarray(examples))
    np.testing.assert_allclose(loss, plain.loss(params, jax.random.key(1), jnp.asarray(examples))[0], rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["weight-decay", "cae"])
def test_penalties_against_numpy(plain, examples, layer, params, method: str) -> None:
    loss, metrics = METHODS[method].build(plain, jnp.array(0.3)).loss(params, jax.random.key(1), jnp.asarray(examples))
    weights, bias = layer
    codes = expit(examples.reshape(len(examples), -1) @ weights + bias)
    jacobians = np.einsum("nk,ik->nki", codes * (1 - codes), weights)
    penalty = np.sum(weights**2) if method == "weight-decay" else np.mean(np.sum(jacobians**2, axis=(1, 2)))
    name = "squared_weights" if method == "weight-decay" else "contractive_penalty"
    np.testing.assert_allclose(metrics[name], penalty, rtol=1e-5)
    np.testing.assert_allclose(loss, metrics["reconstruction"] + 0.3 * penalty, rtol=1e-5)


@pytest.mark.slow
def test_the_estimated_penalty_is_unbiased(plain, examples, params) -> None:
    loss = METHODS["cae-estimator"].build(plain, jnp.array(1.0)).loss
    keys = jax.random.split(jax.random.key(0), 1000)
    penalties = np.asarray(
        jax.vmap(lambda key: loss(params, key, jnp.asarray(examples[:4]))[1]["contractive_penalty"])(keys)
    )
    exact = np.mean(
        jax.vmap(lambda x: contractive_penalty(partial(plain.encode, params), x))(jnp.asarray(examples[:4]))
    )
    assert penalties.std() > 0
    assert abs(penalties.mean() - exact) < 5 * penalties.std() / math.sqrt(len(penalties))
