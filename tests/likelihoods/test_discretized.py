"""Levels: probabilities that sum to one, means by summing, bits per dimension in closed form."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aejax.autoencoders import importance_weighted, variational
from aejax.likelihoods import check_support, discretized_logistic
from aejax.networks import Network

LEVELS = np.arange(256) / 255
PARAMETERS = np.array([[m, s] for m in (-0.5, 0.0, 0.3, 1.0, 2.0) for s in (-8.0, -5.0, -2.0, 3.0)])


def probabilities(parameters):
    """Of every level (P, 256), for each of P pairs."""
    log_prob = discretized_logistic().log_prob
    of_one = jax.vmap(lambda x, pair: log_prob(x, pair), (0, None))
    return np.exp(jax.jit(jax.vmap(of_one, (None, 0)))(jnp.array(LEVELS), jnp.array(parameters)))


def test_the_probabilities_of_all_levels_sum_to_one_and_have_the_mean(float64):
    found = probabilities(PARAMETERS)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-12)
    np.testing.assert_allclose(discretized_logistic().mean(jnp.array(PARAMETERS)), found @ LEVELS, rtol=1e-12)


def test_single_precision_keeps_the_digits():
    likelihood, x = discretized_logistic(), LEVELS[[0, 1, 100, 254, 255]]
    x, pairs = (
        a.reshape(-1, *a.shape[2:]) for a in (np.tile(x, (len(PARAMETERS), 1)), np.repeat(PARAMETERS[:, None], 5, 1))
    )
    both = jax.jit(jax.vmap(lambda x, pair: (likelihood.log_prob(x, pair), likelihood.mean(pair))))
    single = both(x.astype(np.float32), pairs.astype(np.float32))
    with jax.enable_x64(True):
        double = both(x.astype(np.float32).astype(float), pairs.astype(np.float32).astype(float))
    for found, expected in zip(single, double, strict=True):
        assert np.all(np.isfinite(found))
        np.testing.assert_allclose(found, expected, rtol=2e-4, atol=1e-6)


def test_samples_are_levels():
    drawn = discretized_logistic().sample(jax.random.key(0), jnp.zeros((1000, 2)))
    check_support(discretized_logistic(), drawn, "samples")
    assert {0.0, 1.0} < set(np.asarray(drawn).tolist())


@pytest.mark.slow
@pytest.mark.parametrize("samples", [None, 3])
def test_bits_per_dimension_are_nats_over_dimensions_and_log_2(samples):
    """A code without information, and a variable so wide that the ends have all the probability, half each."""
    encoder = Network(lambda key, x: jnp.zeros(()), lambda params, x: jnp.zeros(2))
    wide = jnp.stack([jnp.full((2, 3), 0.5), jnp.full((2, 3), 1e9)], axis=-1)
    decoder = Network(lambda key, code: jnp.zeros(()), lambda params, code: wide)
    autoencoder = variational(encoder, decoder, likelihood=discretized_logistic())
    if samples is not None:
        autoencoder = importance_weighted(autoencoder, samples=samples)
    params = autoencoder.init(jax.random.key(0), jnp.zeros((2, 3)))
    x = jnp.round(jax.random.uniform(jax.random.key(1), (4, 2, 3)))
    _, metrics = autoencoder.loss(params, jax.random.key(2), x)
    np.testing.assert_allclose(metrics["bits_per_dimension"], 1, rtol=1e-5)
    np.testing.assert_allclose(metrics["elbo"], -6 * math.log(2), rtol=1e-5)
    names = {term.name for part in autoencoder.parts for term in part.terms}
    assert "bits_per_dimension" in names


def test_wrong_shapes_are_refused():
    with pytest.raises(ValueError, match=r"examples of shape \(3,\) must have shape \(3, 2\), got \(4, 2\)"):
        discretized_logistic().log_prob(jnp.zeros(3), jnp.zeros((4, 2)))
    with pytest.raises(ValueError, match="levels must be at least 2"):
        discretized_logistic(levels=1)
