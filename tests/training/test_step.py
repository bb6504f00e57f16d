"""Steps do not depend on the number of devices, and are compiled once."""

from functools import partial

import chex
import jax
import numpy as np
import optax
import pytest

from aejax.autoencoders import (
    Autoencoder,
    Examples,
    batch_top_k,
    conditional,
    contractive,
    contractive_by_projections,
    denoising,
    dictionary,
    gated,
    importance_weighted,
    jump_relu,
    k_sparse,
    l1_dictionary,
    matryoshka,
    part_names,
    sparse,
    sparse_kl,
    top_k,
    undercomplete,
    variational,
)
from aejax.corruption import gaussian_noise, salt_and_pepper
from aejax.networks import MLP, ConvDecoder, ConvEncoder
from aejax.priors import mixture_prior
from aejax.training import AXIS, create_state, make_train_steps, train_step
from aejax.training.devices import replicate

SHAPE = (6, 5, 1)
STEPS, BATCH = 20, 16
DICTIONARY = dictionary(SHAPE, 64, unit_norm=True)


def mlps(code_size: int) -> tuple[MLP, MLP]:
    return MLP(output_shape=(code_size,), hidden=(12,)), MLP(output_shape=SHAPE, hidden=(12,))


def by_kl(axis_name: str | None) -> Autoencoder:
    encoder, decoder = MLP(output_shape=(40,), output_activation=jax.nn.sigmoid), MLP(output_shape=SHAPE)
    return sparse_kl(undercomplete(encoder, decoder), weight=1.0, rho=0.05, axis_name=axis_name)


def with_free_bits(axis_name: str | None) -> Autoencoder:
    return variational(*mlps(6), free_bits=0.05, axis_name=axis_name)


FAMILIES = {
    "undercomplete": lambda: undercomplete(*mlps(3)),
    "convolutional": lambda: undercomplete(ConvEncoder(features=(4,)), ConvDecoder(shape=SHAPE, features=(4,))),
    "variational": lambda: variational(*mlps(6)),
    "denoising": lambda: denoising(undercomplete(*mlps(3)), corrupt=partial(salt_and_pepper, amount=0.3)),
    "contractive": lambda: contractive(undercomplete(*mlps(3)), weight=0.1),
    "denoising contractive variational": lambda: denoising(
        contractive(variational(*mlps(6)), weight=0.1), corrupt=partial(gaussian_noise, standard_deviation=0.3)
    ),
    "sparse": lambda: sparse(undercomplete(*mlps(40)), weight=0.1),
    "sparse by KL": lambda: by_kl(AXIS),
    "k-sparse": lambda: k_sparse(*mlps(40), k=5),
    "free bits": lambda: with_free_bits(AXIS),
    "importance weighted": lambda: importance_weighted(variational(*mlps(6)), samples=5),
    "mixture prior": lambda: variational(*mlps(6), prior=mixture_prior(10)),
    "conditional": lambda: conditional(variational(*mlps(6)), classes=3),
    "contractive by projections": lambda: contractive_by_projections(undercomplete(*mlps(3)), weight=0.1),
    "dictionary by L1": lambda: l1_dictionary(*DICTIONARY, weight=0.1),
    "TopK": lambda: top_k(*DICTIONARY, k=4, dead_after=2 * BATCH),
    "BatchTopK": lambda: batch_top_k(*DICTIONARY, k=4, dead_after=2 * BATCH, axis_name=AXIS),
    "JumpReLU": lambda: jump_relu(*DICTIONARY, weight=0.1, bandwidth=0.5, start_threshold=0.2),
    "gated": lambda: gated(*DICTIONARY, weight=0.1),
    "Matryoshka": lambda: matryoshka(*DICTIONARY, k=4, prefixes=(8,), dead_after=2 * BATCH, axis_name=AXIS),
}


def train_on(devices: int, autoencoder: Autoencoder, steps_per_call: int = STEPS):
    x = np.random.default_rng(0).uniform(size=(100, *SHAPE)).astype(np.float32)
    conditions = (np.arange(100, dtype=np.int32) % 3,) if "conditional" in part_names(autoencoder.parts) else ()
    data = Examples(x, None, *conditions)
    positions = np.random.default_rng(1).integers(0, len(data), (STEPS, BATCH), np.int32)
    positions = positions.reshape(STEPS, devices, BATCH // devices).swapaxes(0, 1)
    chosen = jax.local_devices()[:devices]
    optimizer = optax.adam(1e-3)
    train_steps = make_train_steps(partial(train_step, autoencoder, optimizer), chosen)
    state = replicate(
        create_state(autoencoder, optimizer, jax.random.key(0), x[0], *(c[0] for c in conditions)), chosen
    )
    data = replicate(data, chosen)
    for first in range(0, STEPS, steps_per_call):
        state, metrics = train_steps(state, data, positions[:, first : first + steps_per_call])
    return jax.device_get((state.params, metrics))


@pytest.mark.slow_after_first
@pytest.mark.parametrize("family", FAMILIES)
def test_eight_devices_learn_what_one_learns(family: str) -> None:
    """The noise is keyed by an example's place in the global batch, and means are taken over all devices."""
    chex.assert_trees_all_close(train_on(8, FAMILIES[family]()), train_on(1, FAMILIES[family]()), atol=1e-5, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("coupled", [by_kl, with_free_bits])
def test_a_mean_within_each_device_is_another_loss(coupled) -> None:
    """Penalties of a mean activation or divergence are not means of penalties: hence the axis."""
    of_all, of_each = train_on(1, coupled(None)), train_on(8, coupled(None))
    difference = jax.tree.map(lambda one, other: np.abs(one - other).max(), of_all, of_each)
    assert max(jax.tree.leaves(difference[0])) > 1e-4


@pytest.mark.slow
def test_steps_may_be_divided_into_calls_at_will() -> None:
    whole, _ = train_on(1, FAMILIES["variational"]())
    single, _ = train_on(1, FAMILIES["variational"](), steps_per_call=1)
    chex.assert_trees_all_close(single, whole, atol=1e-6)


@pytest.mark.slow
def test_many_calls_trace_the_loss_once() -> None:
    autoencoder = FAMILIES["variational"]()
    traces = []

    def loss(params, key, batch):
        traces.append(batch.x.shape)
        return autoencoder.loss(params, key, batch)

    train_on(8, autoencoder._replace(loss=loss), steps_per_call=2)
    assert traces == [(BATCH // 8, *SHAPE)]


@pytest.mark.slow
@pytest.mark.parametrize("devices", [1, 2])
def test_only_several_devices_exchange_gradients(devices: int) -> None:
    chosen = jax.local_devices()[:devices]
    autoencoder, x = FAMILIES["undercomplete"](), np.ones((BATCH, *SHAPE), np.float32)
    state = create_state(autoencoder, optax.sgd(0.1), jax.random.key(0), x[0])
    positions = np.arange(BATCH, dtype=np.int32).reshape(devices, 1, -1)
    lowered = make_train_steps(partial(train_step, autoencoder, optax.sgd(0.1)), chosen).lower(state, x, positions)
    assert ("all_reduce" in lowered.as_text()) == (devices > 1)
