"""Steps do not depend on the number of devices, and are compiled once."""

from functools import partial

import chex
import jax
import numpy as np
import optax
import pytest

from aejax.autoencoders import Autoencoder, contractive, denoising, undercomplete, variational
from aejax.corruption import gaussian_noise, salt_and_pepper
from aejax.networks import MLP, ConvDecoder, ConvEncoder
from aejax.training import create_state, make_train_steps
from aejax.training.devices import replicate

SHAPE = (6, 5, 1)
STEPS, BATCH = 20, 16


def mlps(code_size: int) -> tuple[MLP, MLP]:
    return MLP(output_shape=(code_size,), hidden=(12,)), MLP(output_shape=SHAPE, hidden=(12,))


FAMILIES = {
    "undercomplete": lambda: undercomplete(*mlps(3)),
    "convolutional": lambda: undercomplete(ConvEncoder(features=(4,)), ConvDecoder(shape=SHAPE, features=(4,))),
    "variational": lambda: variational(*mlps(6)),
    "denoising": lambda: denoising(undercomplete(*mlps(3)), corrupt=partial(salt_and_pepper, amount=0.3)),
    "contractive": lambda: contractive(undercomplete(*mlps(3)), weight=0.1),
    "denoising contractive variational": lambda: denoising(
        contractive(variational(*mlps(6)), weight=0.1), corrupt=partial(gaussian_noise, standard_deviation=0.3)
    ),
}


def train_on(devices: int, autoencoder: Autoencoder, steps_per_call: int = STEPS):
    data = np.random.default_rng(0).uniform(size=(100, *SHAPE)).astype(np.float32)
    positions = np.random.default_rng(1).integers(0, len(data), (STEPS, BATCH), np.int32)
    positions = positions.reshape(STEPS, devices, BATCH // devices).swapaxes(0, 1)
    chosen = jax.local_devices()[:devices]
    optimizer = optax.adam(1e-3)
    train_steps = make_train_steps(autoencoder, optimizer, chosen)
    state = replicate(create_state(autoencoder, optimizer, jax.random.key(0), data[0]), chosen)
    data = replicate(data, chosen)
    for first in range(0, STEPS, steps_per_call):
        state, metrics = train_steps(state, data, positions[:, first : first + steps_per_call])
    return jax.device_get((state.params, metrics))


@pytest.mark.parametrize("family", FAMILIES)
def test_eight_devices_learn_what_one_learns(family: str) -> None:
    """The noise is keyed by an example's place in the global batch, and means are taken over all devices."""
    chex.assert_trees_all_close(train_on(8, FAMILIES[family]()), train_on(1, FAMILIES[family]()), atol=1e-5, rtol=1e-5)


def test_steps_may_be_divided_into_calls_at_will() -> None:
    whole, _ = train_on(1, FAMILIES["variational"]())
    single, _ = train_on(1, FAMILIES["variational"](), steps_per_call=1)
    chex.assert_trees_all_close(single, whole, atol=1e-6)


def test_many_calls_trace_the_loss_once() -> None:
    autoencoder = FAMILIES["variational"]()
    traces = []

    def loss(params, key, batch):
        traces.append(batch.x.shape)
        return autoencoder.loss(params, key, batch)

    train_on(8, autoencoder._replace(loss=loss), steps_per_call=2)
    assert traces == [(BATCH // 8, *SHAPE)]
