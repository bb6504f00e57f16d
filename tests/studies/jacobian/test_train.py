"""Populations trained by a method: equalities between members, devices, what is refused."""

import dataclasses
from functools import partial

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aejax.errors import UserError
from aejax.jacobian import contractive_penalty
from aejax.studies.jacobian.settings import Study
from aejax.studies.jacobian.train import load, plain_autoencoder, train_method
from aejax.training import NonFiniteLossError

TINY = Study(
    seeds=2, units=12, epochs=3, train_examples=200, batch_size=50, contractive_weights=(0.0, 1.0, 30.0, 1000.0)
)


def last(study: Study, method: str, devices: int = 1):
    *_, trained = train_method(study, method, load(study), jax.local_devices()[:devices])
    return trained


@pytest.mark.slow
def test_a_contractive_weight_of_zero_trains_the_plain_autoencoder() -> None:
    """With the same seeds, for any position of the weight in the grid."""
    contractive, plain = last(dataclasses.replace(TINY, contractive_weights=(5.0, 0.0)), "cae"), last(TINY, "ae")
    without = jax.tree.map(lambda leaf: leaf[2:], contractive.params)
    chex.assert_trees_all_close(without, plain.params, atol=1e-5, rtol=1e-5)


@pytest.mark.slow
def test_the_norm_falls_as_the_weight_grows() -> None:
    """On digits, for every seed."""
    method = "cae"
    study = dataclasses.replace(TINY, learning_rate=0.02, epochs=10)
    splits, params = load(study), last(study, method).params
    encode = plain_autoencoder(study, splits).encode

    def mean_norm(own) -> jax.Array:
        return jnp.mean(
            jnp.sqrt(jax.vmap(lambda x: contractive_penalty(partial(encode, own), x))(jnp.asarray(splits.test.x)))
        )

    norms = jax.vmap(mean_norm)(jax.tree.map(jnp.asarray, params))
    by_seed = np.asarray(norms).reshape(len(study.contractive_weights), study.seeds)
    assert (np.diff(by_seed, axis=0) < 0).all(), by_seed
    assert (by_seed[-1] < 0.5 * by_seed[0]).all(), by_seed


@pytest.mark.slow
def test_the_study_does_not_depend_on_the_number_of_devices() -> None:
    method = "cae-estimator"
    one, eight = last(TINY, method), last(TINY, method, devices=8)
    chex.assert_trees_all_close(eight.params, one.params, atol=1e-5, rtol=1e-5)
    np.testing.assert_allclose(eight.loss, one.loss, rtol=1e-5)


@pytest.mark.slow
def test_a_loss_that_is_not_finite_names_its_member() -> None:
    study = dataclasses.replace(TINY, weight_decays=(0.1, 1e38))
    with pytest.raises(
        NonFiniteLossError, match=r"weight-decay with strength 1e\+38 and seed 0 has a loss that is not"
    ):
        last(study, "weight-decay")


@pytest.mark.parametrize(
    ("change", "culprit"),
    [
        ({"train_examples": 1, "batch_size": 1}, "train_examples: the first 1 have one class"),
        ({"epochs": 10**12}, "epochs: must be below 2,147,483,648 steps, got 4,000,000,000,000: use fewer"),
        ({"train_examples": 5000}, "train_examples: must be at most 1138, the number of training examples, got 5000"),
        ({"batch_size": 300}, "batch_size: must be at most the 200 training examples, got 300"),
    ],
)
def test_settings_that_do_not_fit_the_data(change: dict, culprit: str) -> None:
    with pytest.raises(UserError, match=culprit):
        load(dataclasses.replace(TINY, **change))


def test_data_without_labels(examples, tmp_path) -> None:
    np.save(tmp_path / "mine.npy", examples)
    with pytest.raises(UserError, match="has no labels"):
        load(dataclasses.replace(TINY, dataset=str(tmp_path / "mine.npy")))
