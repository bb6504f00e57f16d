"""Denoising: the corrupted example goes in, the clean one is compared."""

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aejax.autoencoders import denoising, undercomplete, variational
from aejax.corruption import gaussian_noise, salt_and_pepper
from aejax.likelihoods import gaussian
from aejax.networks import Network

KEY = jax.random.key(0)
NO_PARAMS = {"encoder": {}, "decoder": {}}


@pytest.fixture
def plain(identity):
    """The autoencoder that returns what it is given."""
    return undercomplete(identity, identity)


def test_loss_of_the_identity_is_the_squared_error_of_the_corruption(plain):
    autoencoder = denoising(plain, corrupt=lambda key, x: x + 0.5)
    loss, metrics = jax.jit(autoencoder.loss)(NO_PARAMS, KEY, jnp.ones((3, 4)))
    assert loss == 4 * 0.25
    assert set(metrics) == {"loss", "reconstruction"}


@pytest.mark.slow
def test_every_entry_of_every_example_is_corrupted_on_its_own(plain):
    autoencoder = denoising(plain, corrupt=partial(gaussian_noise, standard_deviation=0.3))
    examples, features = 1000, 8
    loss, _ = jax.jit(autoencoder.loss)(NO_PARAMS, KEY, jnp.ones((examples, features)))
    assert abs(loss - features * 0.09) < 5 * 0.09 * math.sqrt(2 * features / examples)


@pytest.mark.slow
def test_the_key_decides_the_corruption(plain):
    autoencoder = denoising(plain, corrupt=partial(salt_and_pepper, amount=0.5))
    x = jnp.full((16, 5), 0.5)
    first, same, other = (jax.jit(autoencoder.loss)(NO_PARAMS, jax.random.key(seed), x)[0] for seed in (0, 0, 1))
    assert first == same
    assert first != other


@pytest.mark.slow
def test_corruption_and_sampling_are_independent(identity):
    # the mean is the corruption's noise, the sample adds its own: variances 1 + 1, and 4 were they the same
    encoder = Network(lambda key, x: {}, lambda params, x: jnp.concatenate([x, jnp.zeros_like(x)]))
    vae = variational(encoder, identity, likelihood=gaussian())
    autoencoder = denoising(vae, corrupt=partial(gaussian_noise, standard_deviation=1.0))
    examples, features = 2000, 4
    _, metrics = jax.jit(autoencoder.loss)(NO_PARAMS, KEY, jnp.zeros((examples, features)))
    noise = 2 * (metrics["reconstruction"] - 0.5 * features * math.log(2 * math.pi))
    assert abs(noise - 2 * features) < 5 * math.sqrt(8 * features / examples)


def test_encode_and_decode_corrupt_nothing(plain):
    autoencoder = denoising(plain, corrupt=lambda key, x: x + 0.5)
    x = jnp.arange(3.0)
    np.testing.assert_array_equal(autoencoder.decode(NO_PARAMS, autoencoder.encode(NO_PARAMS, x)), x)
