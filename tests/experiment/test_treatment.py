"""Runs on binarized and dequantized data: what each split holds, on any number of devices, and what is said of it."""

from dataclasses import replace

import jax
import numpy as np
import pytest

from aejax.datasets.stored import StoredArray
from aejax.errors import UserError
from aejax.experiment.build import build_augmentation
from aejax.experiment.configuration import Data, Experiment, Model, Training, check
from aejax.experiment.loading import as_evaluated, load_splits
from aejax.experiment.run import train_run
from aejax.experiment.trained import open_run
from aejax.experiment.treatment_notes import treatment_lines

SMALL = Experiment(
    data=Data(binarize="dynamic"),
    model=Model(hidden=(), code_size=2),
    training=Training(epochs=2, patience=None),
)


@pytest.fixture(autouse=True)
def dtype_promotion():
    with jax.numpy_dtype_promotion("standard"):
        yield


def is_binary(dataset):
    return bool(np.isin(dataset.x, [0, 1]).all())


@pytest.mark.parametrize("binarize", ["fixed", "stochastic", "dynamic"])
def test_splits_are_binary_but_training_examples_that_are_drawn_anew(binarize):
    splits, gray = load_splits(Data(binarize=binarize)), load_splits(Data())
    assert [is_binary(split) for split in splits] == [binarize != "dynamic", True, True]
    np.testing.assert_allclose(splits.test.x.mean(), gray.test.x.mean(), atol=0.05)
    assert (build_augmentation(Data(binarize=binarize)) is None) == (binarize != "dynamic")


def test_an_augmentation_is_the_same_object_again():
    """So that a second training compiles nothing."""
    data = Data(dequantize="uniform", levels=17, shift=1)
    assert build_augmentation(data) is build_augmentation(replace(data, validation_fraction=0.3))


@pytest.mark.slow
@pytest.mark.parametrize("stops", [False, True])
def test_devices_and_stops_do_not_change_what_is_drawn(stops, tmp_path, monkeypatch):
    """Training examples are drawn by seed, step and place in the batch: 8 devices learn what one learns."""
    one = train_run(SMALL, tmp_path / "one", devices=jax.devices()[:1], figures=False)
    if stops:
        folder, written = tmp_path / "stopped", []
        from aejax.experiment.run_folder import RunFolder

        write = RunFolder.write
        monkeypatch.setattr(RunFolder, "write", lambda run, record: write(run, record) or written.append(record))

        def stop_after_one(run, snapshot, save=RunFolder.save):
            save(run, snapshot)
            if int(snapshot.state.step) and not written[1:]:
                raise KeyboardInterrupt

        monkeypatch.setattr(RunFolder, "save", stop_after_one)
        with pytest.raises(KeyboardInterrupt):
            train_run(SMALL, folder, devices=jax.devices()[:1], figures=False)
        monkeypatch.undo()
        other = train_run(SMALL, folder, resume=True, devices=jax.devices()[:1], figures=False)
        jax.tree.map(np.testing.assert_array_equal, one.params, other.params)
        return
    other = train_run(SMALL, tmp_path / "eight", devices=jax.devices(), figures=False)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5), one.params, other.params)
    np.testing.assert_array_equal(open_run(tmp_path / "one").splits.test.x, other.splits.test.x)


def test_examples_that_stay_in_their_file_are_drawn_as_in_memory(tmp_path):
    np.save(tmp_path / "gray.npy", np.random.default_rng(0).random((50, 3), np.float32))
    for binarize in ("fixed", "stochastic", "dynamic"):
        data = Data(str(tmp_path / "gray.npy"), binarize=binarize)
        in_file, in_memory = (as_evaluated(load_splits(data, stored=stored), data) for stored in (True, False))
        for one, other in zip(in_file, in_memory, strict=True):
            assert isinstance(one.x, StoredArray)
            assert is_binary(other)
            np.testing.assert_array_equal(one.x, other.x)


@pytest.mark.slow
def test_an_opened_run_compares_bits_with_bits(make_initial_run):
    run = open_run(make_initial_run(SMALL))
    assert all(is_binary(part) for part in run.splits)
    assert run.splits.train.x is run.splits.train.x


@pytest.mark.slow
def test_lines_name_likelihood_and_treatment(make_initial_run):
    run = open_run(make_initial_run(SMALL))
    [line] = treatment_lines(run, run.splits.test.x)
    assert line.startswith("likelihood bernoulli; data binarized: training examples drawn in every epoch (dynamic)")
    gray = open_run(make_initial_run(replace(SMALL, data=Data())))
    line, warning = treatment_lines(gray, gray.splits.test.x)
    assert line == "likelihood bernoulli; data neither binarized nor dequantized"
    assert "these are no log-likelihoods: use binarize" in warning


@pytest.mark.parametrize(
    ("data", "model", "complaint"),
    [
        (Data(binarize="fixed", dequantize="uniform"), Model(), "binarize: cannot be combined with dequantize"),
        (Data(levels=17), Model(), "levels: has no effect without dequantize uniform"),
        (Data(noise_seed=1, binarize="fixed"), Model(), "noise_seed: has no effect without"),
        (Data(dequantize="uniform"), Model(likelihood="beta"), "dequantize: cannot be combined with likelihood beta"),
        (Data(dequantize="uniform"), Model(), "dequantize: requires a likelihood that is a density.*is bernoulli"),
        (
            Data(binarize="dynamic", condition=("upper_half",)),
            Model(),
            "binarize: dynamic cannot be combined with condition upper_half.*: use stochastic",
        ),
        (
            Data(dequantize="uniform", condition=("left_half",)),
            Model(likelihood="gaussian"),
            "dequantize: uniform cannot be combined with condition left_half",
        ),
        (Data(shift=1, condition=("lower_half",)), Model(), "shift: cannot be combined with condition lower_half"),
    ],
)
def test_what_cannot_be_combined(data, model, complaint):
    with pytest.raises(UserError, match=complaint):
        check(Experiment(data=data, model=model))


def test_a_half_is_of_bits_like_the_rest():
    """What is drawn once is drawn before images are cut; an entry of a file may be called like a half."""
    data = Data(binarize="stochastic", condition=("upper_half",))
    check(Experiment(data=data))
    check(Experiment(data=Data("mine.npz", binarize="dynamic", condition=("better_half",))))
    for part in load_splits(data):
        assert is_binary(part)
        assert np.isin(part.condition, [0, 1]).all()


def test_levels_of_digits_are_seventeen():
    splits = load_splits(Data(dequantize="uniform", levels=17))
    assert splits.test.x.max() < 1
    assert len(np.unique(splits.train.x)) == 17
    with pytest.raises(UserError, match="levels: of 256 levels the values are multiples of 1/255, but digits has"):
        load_splits(Data(dequantize="uniform"))
