"""A study trained as a sweep: equalities between members, divergence, what is refused."""

import dataclasses

import jax
import numpy as np
import pytest

from aejax.errors import UserError
from aejax.studies.jacobian.settings import Study
from aejax.studies.jacobian.study import conclude, load, make_measure_of, prepare
from aejax.studies.sweeps.members import Member
from aejax.studies.sweeps.study import create, train_members
from aejax.training import NonFiniteLossError

TINY = Study(
    seeds=2,
    units=12,
    epochs=10,
    train_examples=200,
    batch_size=50,
    learning_rate=0.02,
    spectrum_examples=5,
    contractive_weights=(0.0, 1.0, 30.0, 1000.0),
)


def members_of(study: Study, devices: int = 1) -> list[Member]:
    ready = prepare(study, load(study))
    devices = jax.local_devices()[:devices]
    return train_members(ready, devices=devices, measure=make_measure_of(study, ready))


@pytest.mark.slow
def test_the_norm_falls_as_the_weight_grows_from_that_of_the_plain_autoencoder() -> None:
    """On digits, for every seed; a weight of 0 trains the plain autoencoder with the same seed."""
    members = members_of(dataclasses.replace(TINY, methods=("ae", "cae")))
    np.testing.assert_array_equal(members[0].arrays["weights"], members[2].arrays["weights"])
    by_seed = np.reshape([member.terms["jacobian_norm"] for member in members], (1 + 4, 2))[1:]
    assert (np.diff(by_seed, axis=0) < 0).all(), by_seed
    assert (by_seed[-1] < 0.5 * by_seed[0]).all(), by_seed


@pytest.mark.slow
def test_a_study_continues_and_does_not_depend_on_the_number_of_devices(tmp_path) -> None:
    """Its first group is read from the folder: terms and arrays; the second one was stopped while it was measured."""
    study = dataclasses.replace(TINY, methods=("ae", "cae-estimator"), contractive_weights=(1.0,), epochs=3)
    ready = prepare(study, load(study))
    measure = make_measure_of(study, ready)
    create(tmp_path / "study", ready, name="config.json")

    def stop(step) -> None:
        if (step.group, step.trained.measured) == (1, 1):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_members(ready, folder=tmp_path / "study", measure=measure, on_step=stop)
    steps = []
    found = train_members(
        ready,
        folder=tmp_path / "study",
        measure=measure,
        on_step=lambda step: steps.append((step.group, step.trained.epoch, step.trained.measured)),
    )
    assert steps == [(1, 3, 1), (1, 3, 2)]  # its last epoch was kept
    for member, other in zip(found, members_of(study, devices=8), strict=True):
        assert member[:4] == other[:4]
        for name, array in other.arrays.items():
            np.testing.assert_allclose(member.arrays[name], array, atol=1e-4, rtol=1e-3, err_msg=name)


@pytest.mark.slow
def test_a_loss_that_is_not_finite_names_its_member() -> None:
    study = dataclasses.replace(TINY, methods=("weight-decay",), weight_decays=(0.1, 1e38), epochs=2)
    members = members_of(study)
    with pytest.raises(
        NonFiniteLossError,
        match=r"weight-decay with strength 1e\+38 and seed 0 has a loss that is not finite in epoch 1",
    ):
        conclude(prepare(study, load(study)), members)


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
