"""State without a gradient: the same on any number of devices, in parts, in a population, and after a restart."""

from functools import partial

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from aejax.autoencoders import l1_dictionary, resampled, top_k, undercomplete
from aejax.autoencoders.learned_state import without_state
from aejax.autoencoders.record import global_mean_over_batch, masked_batch
from aejax.networks import MLP
from aejax.training import create_state, make_train_steps, start, train, train_step
from aejax.training.devices import replicate
from aejax.training.population import make_train_epoch, members_of, start_population

D, N, BATCH = 3, 32, 16
X = np.random.default_rng(0).normal(size=(N, D)).astype(np.float32)
# would shrink a state that it saw, and clip its gradient
OPTIMIZER = optax.chain(optax.clip_by_global_norm(0.1), optax.adamw(1e-2, weight_decay=0.5))
KEY = jax.random.key(0)


def counting():
    """An autoencoder that counts examples and sums the means of its batches."""
    plain = undercomplete(MLP((2,)), MLP((D,)))

    def init(key, example):
        return {**plain.init(key, example), "state": {"seen": jnp.zeros((), jnp.int32), "total": jnp.zeros(D)}}

    def loss(params, key, batch):
        batch = masked_batch(batch)
        value, metrics = plain.loss(params, key, batch)
        return value, {**metrics, "statistics": {"mean": global_mean_over_batch(batch.x, batch, None)}}

    def update(params, statistics):
        state = params["state"]
        seen, total = state["seen"] + statistics["examples"], state["total"] + statistics["mean"]
        return {**params, "state": {"seen": seen, "total": total}}

    return plain._replace(init=init, loss=loss, update=update)


def after_an_epoch(autoencoder, optimizer, *, devices: int = 1, accumulation_steps: int = 1, x=X):
    """The state and the metrics after two steps on all examples in order."""
    chosen = jax.local_devices()[:devices]
    step = partial(train_step, autoencoder, optimizer, accumulation_steps=accumulation_steps)
    state = replicate(create_state(autoencoder, optimizer, KEY, x[0]), chosen)
    positions = np.arange(N, dtype=np.int32).reshape(2, devices, -1).swapaxes(0, 1)
    return jax.device_get(make_train_steps(step, chosen)(state, replicate(jnp.asarray(x), chosen), positions)[:2])


@pytest.fixture(scope="module")
def on_one_device():
    return after_an_epoch(counting(), OPTIMIZER)


def test_the_optimizer_does_not_see_it(on_one_device):
    state, metrics = on_one_device
    assert state.params["state"]["seen"] == N
    np.testing.assert_allclose(state.params["state"]["total"], X[:16].mean(0) + X[16:].mean(0), rtol=1e-5)
    assert set(metrics) == {"loss", "reconstruction"}
    trained = jax.tree.structure(without_state(counting(), state.params))
    adam = state.opt_state[1][0]
    assert jax.tree.structure(adam.mu) == jax.tree.structure(adam.nu) == trained


@pytest.mark.parametrize(("devices", "accumulation_steps"), [(8, 1), pytest.param(2, 4, marks=pytest.mark.slow)])
def test_devices_and_parts_change_nothing(on_one_device, devices, accumulation_steps):
    other = after_an_epoch(counting(), OPTIMIZER, devices=devices, accumulation_steps=accumulation_steps)
    chex.assert_trees_all_close(other[0].params, on_one_device[0].params, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_members_of_a_population_have_it():
    autoencoder, devices = counting(), jax.local_devices()[:2]
    population = start_population(
        lambda _: autoencoder, OPTIMIZER, jnp.stack([KEY] * 3), jnp.zeros(3), X[0], devices=devices
    )
    train_epoch = make_train_epoch(lambda _: autoencoder, OPTIMIZER, batch_size=BATCH, devices=devices)
    population, metrics = train_epoch(population, X)
    states = members_of(population).params["state"]
    assert states["seen"].tolist() == [N] * 3
    np.testing.assert_allclose(states["total"], np.tile(2 * X.mean(0), (3, 1)), rtol=1e-5, atol=1e-6)
    assert "statistics" not in metrics


@pytest.mark.slow
def test_a_run_that_goes_on_is_one_that_never_stopped():
    """Bit for bit, with the state of the best parameters too."""
    autoencoder = counting()

    def run(snapshot, epochs):
        *_, last = train(autoencoder, OPTIMIZER, snapshot, X, X[:4], batch_size=BATCH, epochs=epochs, steps_per_call=1)
        return jax.tree.map(jnp.copy, last.snapshot)

    begun = start(autoencoder, OPTIMIZER, KEY, X[0])
    whole, parts = run(jax.tree.map(jnp.copy, begun), 3), run(run(begun, 1), 3)
    chex.assert_trees_all_equal(whole.state.params, parts.state.params)
    chex.assert_trees_all_equal(whole.best_params, parts.best_params)
    assert whole.best_params["state"]["seen"] == 3 * N


def dead_dictionary(every: int):
    """Two of eight units can never be active; resampled at the second step."""
    autoencoder = resampled(l1_dictionary(D, 8, weight=0.1), every=every, silent_for=BATCH)

    def init(key, example):
        params = autoencoder.init(key, example)
        params["encoder"]["bias"] = params["encoder"]["bias"].at[jnp.array([2, 5])].set(-100.0)
        return params

    return autoencoder._replace(init=init)


@pytest.mark.slow
def test_resampled_units_start_anew_and_nothing_else_changes():
    optimizer = optax.adam(1e-2)
    (state, _), (other, _) = (after_an_epoch(dead_dictionary(every), optimizer) for every in (1, 100))
    units, others = [2, 5], [0, 1, 3, 4, 6, 7]
    adam, untouched = state.opt_state[0], other.opt_state[0]
    for running_mean, same in ((adam.mu, untouched.mu), (adam.nu, untouched.nu)):
        for array, expected in (
            (running_mean["encoder"]["kernel"].T, same["encoder"]["kernel"].T),
            (running_mean["encoder"]["bias"], same["encoder"]["bias"]),
            (running_mean["decoder"]["kernel"], same["decoder"]["kernel"]),
        ):
            assert not array[units].any()
            np.testing.assert_array_equal(array[others], expected[others])
        np.testing.assert_array_equal(running_mean["decoder"]["bias"], same["decoder"]["bias"])
    params = state.params
    rows, columns = params["decoder"]["kernel"], params["encoder"]["kernel"].T
    np.testing.assert_array_equal(rows[others], other.params["decoder"]["kernel"][others])
    np.testing.assert_allclose(np.linalg.norm(rows[units], axis=1), 1, rtol=1e-5)
    mean_norm = np.linalg.norm(columns[others], axis=1).mean()
    np.testing.assert_allclose(columns[units], 0.2 * mean_norm * rows[units], rtol=1e-4)
    assert params["encoder"]["bias"][units].tolist() == [0, 0]
    assert params["state"]["silent"][units].tolist() == [0, 0]
    # each direction is that of an example of the second batch, from the bias before the step
    first = after_an_epoch(dead_dictionary(100), optimizer, x=X)[0]  # for its bias after both steps
    directions = X[16:] - first.params["decoder"]["bias"]
    cosines = rows[units] @ (directions / np.linalg.norm(directions, axis=1, keepdims=True)).T
    assert np.all(cosines.max(axis=1) > 0.999)
    eight, _ = after_an_epoch(dead_dictionary_over_devices(), optimizer, devices=8)
    chex.assert_trees_all_close(eight.params, state.params, rtol=1e-4, atol=1e-5)


def dead_dictionary_over_devices():
    inner = dead_dictionary(1)
    outer = resampled(l1_dictionary(D, 8, weight=0.1), every=1, silent_for=BATCH, axis_name="devices")
    return outer._replace(init=inner.init)


@pytest.mark.slow
def test_one_compiled_step_trains_a_population_over_k():
    """Members of one stream of examples learn what each learns alone."""

    def build(k):
        return top_k(D, 8, k=k, most=4)

    devices, numbers = jax.local_devices()[:1], [2, 4]
    members = start_population(build, OPTIMIZER, jnp.stack([KEY] * 2), jnp.array(numbers), X[0], devices=devices)
    train_epoch = make_train_epoch(build, OPTIMIZER, batch_size=BATCH, devices=devices)
    members, metrics = train_epoch(members, X)
    params = members_of(members).params
    for place, k in enumerate(numbers):
        alone = build(k)
        snapshot = start(alone, OPTIMIZER, KEY, X[0])
        *_, last = train(alone, OPTIMIZER, snapshot, X, X[:4], batch_size=BATCH, epochs=1, devices=devices)
        expected = jax.device_get(last.snapshot.state.params)
        member = jax.tree.map(lambda leaf, place=place: leaf[place], params)
        chex.assert_trees_all_close(member, expected, rtol=1e-4, atol=1e-5)
        assert metrics["l0"][place] <= k
