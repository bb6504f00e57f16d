"""From configuration to data, autoencoder and optimizer."""

from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aejax.configuration import Data, Experiment, Model, Optimization, Training, check
from aejax.datasets.dataset import Dataset, Splits
from aejax.errors import UserError
from aejax.experiment import build_autoencoder, build_optimizer, check_data, load_splits
from aejax.presets import DEFAULT, PRESETS


def test_splits_are_disjoint_and_fixed_by_their_seed(tmp_path: Path) -> None:
    x = np.arange(200, dtype=np.float32).reshape(100, 2)
    np.savez(tmp_path / "x.npz", x=x, labels=np.arange(100))
    data = Data(dataset=str(tmp_path / "x.npz"), validation_fraction=0.2, test_fraction=0.3)
    splits, again, other = load_splits(data), load_splits(data), load_splits(replace(data, split_seed=1))
    assert [len(part.x) for part in splits] == [50, 20, 30]
    labels = np.concatenate([part.labels for part in splits])
    assert sorted(labels) == list(range(100))
    np.testing.assert_array_equal(np.concatenate([part.x for part in splits]), x[labels])
    np.testing.assert_array_equal(splits.test.labels, again.test.labels)
    assert set(splits.test.labels) != set(other.test.labels)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (Data(validation_fraction=0.5, test_fraction=0.5), "leave nothing to train on"),
        (Data(labels="labels.npy"), "labels: go with a file of your own"),
        (Data(dataset="missing.npy"), "missing.npy: no such file"),
    ],
)
def test_data_that_cannot_be_had(data: Data, message: str) -> None:
    with pytest.raises(UserError, match=message):
        load_splits(data)


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_builds_and_learns_one_step(name: str) -> None:
    """On a batch of two examples of its shape, gradients reach every parameter but those of dead units."""
    _, experiment = PRESETS[name]
    check(experiment)
    shape = (8, 8, 1) if experiment.data.dataset == "digits" else (28, 28, 1)
    autoencoder = build_autoencoder(experiment.model, shape)
    params = jax.jit(autoencoder.init)(jax.random.key(0), jnp.zeros(shape))
    x = jax.random.uniform(jax.random.key(1), (2, *shape))
    gradient, metrics = jax.jit(jax.grad(autoencoder.loss, has_aux=True))(params, jax.random.key(2), x)
    assert all(np.isfinite(value) for value in metrics.values())
    assert all(np.abs(leaf).max() > 0 for leaf in jax.tree.leaves(gradient))
    code = jax.eval_shape(autoencoder.encode, params, x[0])
    assert jax.eval_shape(autoencoder.decode, params, code).shape == shape


def test_the_default_is_a_preset() -> None:
    assert DEFAULT in PRESETS


def test_knobs_compose() -> None:
    model = Model(family="variational", hidden=(5,), corruption="masking", contractive_weight=0.1, code_size=3)
    autoencoder = build_autoencoder(model, (7,))
    params = autoencoder.init(jax.random.key(0), jnp.zeros(7))
    _, metrics = autoencoder.loss(params, jax.random.key(1), jnp.ones((4, 7)))
    assert set(metrics) == {"loss", "reconstruction", "kl", "elbo", "contractive_penalty"}
    weighted = metrics["reconstruction"] + metrics["kl"] + 0.1 * metrics["contractive_penalty"]
    assert metrics["loss"] == pytest.approx(float(weighted), rel=1e-6)


def test_feature_maps_may_be_codes() -> None:
    model = Model(family="undercomplete", network="conv", hidden=(4, 2), code_size=None)
    autoencoder = build_autoencoder(model, (9, 9, 1))
    params = autoencoder.init(jax.random.key(0), jnp.zeros((9, 9, 1)))
    assert autoencoder.encode(params, jnp.zeros((9, 9, 1))).shape == (3, 3, 2)


def test_convolutions_want_images() -> None:
    with pytest.raises(UserError, match=r"takes images .* shape \(140,\)"):
        build_autoencoder(Model(network="conv"), (140,))


@pytest.mark.parametrize(
    ("optimization", "expected"),
    [
        (Optimization(learning_rate=0.1), [0.1, 0.1, 0.1, 0.1]),
        (Optimization(learning_rate=0.1, warmup_steps=2), [0.0, 0.05, 0.1, 0.1]),
        (Optimization(learning_rate=0.1, schedule="cosine"), [0.1, 0.05 * (1 + 0.5**0.5), 0.05, 0.05 * (1 - 0.5**0.5)]),
    ],
)
def test_learning_rates_follow_the_schedule(optimization: Optimization, expected: list[float]) -> None:
    """Adam's step on a constant gradient is the learning rate itself."""
    experiment = Experiment(optimization=optimization, training=Training(batch_size=10, epochs=2))
    with jax.numpy_dtype_promotion("standard"):
        optimizer = build_optimizer(experiment, training_examples=25)  # 2 steps an epoch, 4 in all
        params = jnp.zeros(1)
        state = optimizer.init(params)
        for rate in expected:
            update, state = optimizer.update(jnp.ones(1), state, params)
            assert -update[0] == pytest.approx(rate, rel=1e-4)


def test_gradients_are_clipped_before_adam_sees_them() -> None:
    experiment = Experiment(optimization=Optimization(clip_norm=1.0), training=Training(batch_size=1, epochs=1))
    with jax.numpy_dtype_promotion("standard"):
        optimizer = build_optimizer(experiment, 10)
        _, state = optimizer.update(jnp.full(4, 100.0), optimizer.init(jnp.zeros(4)), jnp.zeros(4))
    first_moment = next(leaf for leaf in jax.tree.leaves(state) if leaf.shape == (4,))
    np.testing.assert_allclose(first_moment, 0.1 * 0.5, rtol=1e-5)  # (1 - 0.9) times a gradient of norm 1


def test_warmup_longer_than_training_is_refused() -> None:
    experiment = Experiment(optimization=Optimization(warmup_steps=100), training=Training(batch_size=5, epochs=2))
    with pytest.raises(UserError, match="below the 4 steps"):
        build_optimizer(experiment, 10)


def splits_between(low: float, high: float) -> Splits:
    part = Dataset(np.linspace(low, high, 6, dtype=np.float32).reshape(3, 2))
    return Splits(part, part, part)


@pytest.mark.parametrize("model", [Model(), Model(family="undercomplete", loss="binary_cross_entropy")])
def test_bernoulli_wants_values_in_the_unit_interval(model: Model) -> None:
    check_data(model, splits_between(0, 1), "data")
    with pytest.raises(UserError, match=r"data: .* wants values in \[0, 1\].* from -0.5 to 2"):
        check_data(model, splits_between(-0.5, 2), "data")


def test_other_losses_take_any_values() -> None:
    check_data(Model(likelihood="gaussian"), splits_between(-5, 5), "data")
    check_data(Model(family="undercomplete"), splits_between(-5, 5), "data")
