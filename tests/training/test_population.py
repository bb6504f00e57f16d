"""A population learns what its members learn alone, on however many devices."""

from functools import partial

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from aejax.autoencoders import Autoencoder, denoising, sparse_kl, tied
from aejax.corruption import gaussian_noise, masking
from aejax.errors import UserError
from aejax.keys import named_key
from aejax.training import AXIS, start, train
from aejax.training.population import Population, collect, lay_out, make_train_epoch, members_of, start_population
from aejax.training.state import epoch_order

SHAPE, BATCH, EPOCHS = (6, 5), 16, 3
DATA = np.random.default_rng(0).uniform(size=(70, *SHAPE)).astype(np.float32)
SEEDS, LEVELS = np.array([3, 3, 5, 7, 8]), jnp.array([0.0, 0.4, 0.4, 0.1, 0.9])
KEYS = jax.vmap(jax.random.key)(SEEDS)
OPTIMIZER = optax.adam(1e-2)


def masked(level: jax.Array) -> Autoencoder:
    return denoising(tied(SHAPE, (12,)), corrupt=partial(masking, amount=level))


def noisy(level: jax.Array) -> Autoencoder:
    return denoising(tied(SHAPE, (12,)), corrupt=partial(gaussian_noise, standard_deviation=level))


def coupled(level: jax.Array) -> Autoencoder:
    """Its loss names the axis that a single run is spread over; and its level is a weight."""
    del level
    return sparse_kl(tied(SHAPE, (12,)), weight=0.5, rho=0.1, axis_name=AXIS)


def trained(build, devices: int, *, members: int = len(SEEDS), optimizer=OPTIMIZER) -> tuple[Population, list]:
    chosen = jax.local_devices()[:devices]
    population = start_population(build, optimizer, KEYS[:members], LEVELS[:members], DATA[0], devices=chosen)
    train_epoch = make_train_epoch(build, optimizer, batch_size=BATCH, devices=chosen)
    history = []
    for _ in range(EPOCHS):
        population, metrics = train_epoch(population, DATA)
        history.append(metrics)
    return population, history


@pytest.mark.slow
@pytest.mark.parametrize("build", [masked, noisy, coupled])
def test_members_learn_what_they_would_learn_alone(build) -> None:
    population, history = trained(build, devices=1)
    states = members_of(population)
    for member in (1, 4):
        autoencoder, key = build(LEVELS[member]), KEYS[member]
        snapshot = start(autoencoder, OPTIMIZER, key, DATA[0])
        *_, last = train(
            autoencoder,
            OPTIMIZER,
            snapshot,
            DATA,
            DATA,
            batch_size=BATCH,
            epochs=EPOCHS,
            devices=jax.local_devices()[:1],
        )
        alone = last.snapshot.state._replace(key=jax.random.key_data(last.snapshot.state.key))
        own = jax.tree.map(lambda leaf, member=member: leaf[member], states)
        chex.assert_trees_all_close(own, jax.device_get(alone), atol=1e-5, rtol=1e-5)
        np.testing.assert_allclose(history[-1]["loss"][member], last.evaluation["train/loss"], rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("devices", [2, 8])
@pytest.mark.parametrize("build", [masked, noisy])
def test_the_number_of_devices_does_not_matter(build, devices: int) -> None:
    """Five members divide neither among two devices nor among eight."""
    (one, one_history), (many, many_history) = trained(build, devices=1), trained(build, devices=devices)
    assert many.states.step.shape == (devices, -(-len(SEEDS) // devices))
    chex.assert_trees_all_close(members_of(many), members_of(one), atol=1e-5, rtol=1e-5)
    chex.assert_trees_all_close(many_history, one_history, atol=1e-5, rtol=1e-5)


@pytest.mark.slow
def test_equal_seeds_meet_equal_examples_and_start_alike() -> None:
    """So that settings are compared on the same draws; other seeds have other ones."""
    population = start_population(masked, OPTIMIZER, KEYS, LEVELS, DATA[0], devices=jax.local_devices()[:1])
    weights = members_of(population).params["weights"][0]
    np.testing.assert_array_equal(weights[0], weights[1])
    assert np.abs(weights[1] - weights[2]).max() > 0.1


@pytest.mark.slow
def test_the_members_settings_are_their_own() -> None:
    _, history = trained(masked, devices=1)
    loss = history[-1]["loss"]
    assert loss[0] < loss[1] - 0.1  # of one seed: reconstructing what is masked is harder
    assert np.unique(loss).size == len(loss)


@pytest.mark.slow
def test_metrics_are_means_over_the_epoch() -> None:
    """With a learning rate of 0, over the examples that the epoch holds."""
    population, history = trained(lambda level: tied(SHAPE, (12,)), devices=1, optimizer=optax.sgd(0.0))
    params = jax.tree.map(lambda leaf: leaf[3], members_of(population).params)
    order_key = named_key(jax.random.split(KEYS[3])[1], "order")
    order = epoch_order(order_key, EPOCHS - 1, len(DATA))[: 4 * BATCH]
    expected, _ = tied(SHAPE, (12,)).loss(params, KEYS[3], jnp.asarray(DATA)[order])
    np.testing.assert_allclose(history[-1]["loss"][3], expected, rtol=1e-5)


@pytest.mark.slow
def test_an_epoch_is_compiled_once() -> None:
    chex.clear_trace_counter()
    trained(chex.assert_max_traces(masked, n=2), devices=1)  # once to start, once to train


@pytest.mark.slow_after_first
@pytest.mark.parametrize("members", [1, 5, 8])
def test_laying_out_and_collecting_are_inverse(members: int) -> None:
    values = np.arange(3.0 * members).reshape(members, 3)
    laid_out = lay_out({"a": values}, jax.local_devices()[:4])
    assert laid_out["a"].shape == (4, -(-members // 4), 3)
    np.testing.assert_array_equal(collect(laid_out, members)["a"], values)


def test_hyperparameters_of_another_length() -> None:
    devices = jax.local_devices()[:1]
    with pytest.raises(ValueError, match="one value per key, for 5 keys"):
        start_population(masked, OPTIMIZER, KEYS, LEVELS[:3], DATA[0], devices=devices)
    with pytest.raises(ValueError, match="for 0 keys"):
        start_population(masked, OPTIMIZER, KEYS[:0], LEVELS[:0], DATA[0], devices=devices)


@pytest.mark.slow
@pytest.mark.parametrize("batch_size", [0, 71])
def test_a_batch_that_does_not_fit(batch_size: int) -> None:
    devices = jax.local_devices()[:1]
    population = start_population(masked, OPTIMIZER, KEYS, LEVELS, DATA[0], devices=devices)
    train_epoch = make_train_epoch(masked, OPTIMIZER, batch_size=batch_size, devices=devices)
    with pytest.raises(UserError, match=f"between 1 and the 70 training examples, got {batch_size}"):
        train_epoch(population, DATA)
