"""A run folder that was moved, and whose data are gone: what works with it alone, and what needs the examples."""

import shutil
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
import pytest

from aejax.errors import UserError
from aejax.experiment.at_use import load_examples
from aejax.experiment.configuration import Data, Experiment, Model, Regularization, Training
from aejax.experiment.denoise import make_denoise
from aejax.experiment.detect import detect
from aejax.experiment.export import export_run
from aejax.experiment.generate import sample
from aejax.experiment.run import train_run
from aejax.experiment.run_folder import read_experiment
from aejax.experiment.scores import FILE, read_scores, score
from aejax.experiment.trained import open_run

X = np.random.default_rng(0).uniform(size=(90, 8, 8)).astype(np.float32)
KNOBS = {"corruption": "salt_and_pepper", "prior": "vamp", "prior_components": 3}


class Moved(NamedTuple):
    """A run folder at another place, the same data at another place, and what the run did before both were moved."""

    folder: Path
    data: Path
    x: Path  # examples to use the run on
    codes: np.ndarray
    samples: np.ndarray
    scores: np.ndarray  # of validation examples


@pytest.fixture(autouse=True)
def dtype_promotion():
    """In place of the strict one: Optax mixes integer counts with floats."""
    with jax.numpy_dtype_promotion("standard"):
        yield


@pytest.fixture(scope="module")
def moved(tmp_path_factory):
    here, there = (tmp_path_factory.mktemp(name) for name in ("here", "there"))
    np.save(here / "mine.npy", X)
    np.save(there / "x.npy", X[:5])
    experiment = Experiment(
        data=Data(dataset=str(here / "mine.npy")),
        model=Model(likelihood="gaussian", hidden=(), code_size=2),
        regularization=Regularization(**KNOBS),
        training=Training(epochs=2, batch_size=16),
    )
    with jax.numpy_dtype_promotion("standard"):
        run = train_run(experiment, here / "run", devices=jax.devices()[:1], figures=False)
        codes = run.encode(load_examples(run, there / "x.npy"))
        samples, scores = sample(run, rows=2, columns=3).examples, score(run, run.splits.validation)
    shutil.move(here / "run", there / "moved")
    shutil.move(here / "mine.npy", there / "mine.npy")
    return Moved(there / "moved", there / "mine.npy", there / "x.npy", codes, samples, scores)


@pytest.mark.slow
def test_its_folder_is_enough_to_encode_generate_denoise_and_export(moved):
    run = open_run(moved.folder)
    np.testing.assert_allclose(run.encode(load_examples(run, moved.x)), moved.codes, atol=1e-6)
    np.testing.assert_allclose(sample(run, rows=2, columns=3).examples, moved.samples, atol=1e-5)
    assert make_denoise(run)(X[0]).shape == (8, 8)
    np.testing.assert_allclose(export_run(run)["encode"].call(X[:5]), moved.codes, atol=1e-5)


@pytest.mark.slow
def test_its_thresholds_are_stored_with_it(moved):
    run = open_run(moved.folder)
    detected = detect(run, load_examples(run, moved.x))
    np.testing.assert_allclose(detected.validation_scores, moved.scores, rtol=1e-5)
    assert detected.scores.shape == (5,)
    with pytest.raises(UserError, match=r"needs the data .*mine\.npy does not exist any more"):
        detect(run, load_examples(run, moved.x), samples=3)  # the stored scores are of another number of samples


@pytest.mark.slow
def test_what_needs_examples_reads_them_at_their_new_place(moved):
    with pytest.raises(UserError, match=rf"^{moved.folder}: needs the data .* give their new place by data$"):
        open_run(moved.folder).load_splits()
    run = open_run(moved.folder, data=moved.data)
    np.testing.assert_allclose(score(run, run.splits.validation), moved.scores, rtol=1e-5)


@pytest.mark.slow
def test_it_is_continued_with_its_examples_at_their_new_place(moved, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(moved.folder, folder)
    (folder / FILE).unlink()
    experiment = read_experiment(folder)
    with pytest.raises(UserError, match="needs the data"):
        train_run(experiment, folder, resume=True)
    run = train_run(experiment, folder, resume=True, data=moved.data, devices=jax.devices()[:1], figures=False)
    assert run.experiment == experiment
    np.testing.assert_allclose(run.encode(load_examples(run, moved.x)), moved.codes, atol=1e-6)
    np.testing.assert_allclose(read_scores(folder), moved.scores, rtol=1e-5)
    assert (folder / "metrics.jsonl").read_text() == (moved.folder / "metrics.jsonl").read_text()


@pytest.mark.parametrize(
    "scores", [b"", b"x", np.zeros((2, 2)), np.zeros(0), np.array([np.nan]), np.array(["a"]), np.array([1, 2])]
)
def test_scores_that_were_damaged(scores, tmp_path):
    assert read_scores(tmp_path) is None
    if isinstance(scores, bytes):
        (tmp_path / FILE).write_bytes(scores)
    else:
        np.save(tmp_path / FILE, scores)
    with pytest.raises(UserError, match=rf"^{tmp_path / FILE}: [^\n]* changed or damaged") as error:
        read_scores(tmp_path)
    assert "\n" not in str(error.value)


def test_a_new_run_has_no_new_place_of_data(tmp_path):
    with pytest.raises(UserError, match=r"^data: expected only when a run is resumed"):
        train_run(Experiment(), tmp_path / "run", data=tmp_path)
