"""Training from a program: in memory by `fit`, into a folder by `train_run`, stopped and continued."""

import os
import signal
import threading
from dataclasses import replace

import jax
import numpy as np
import pytest

from aejax.datasets.dataset import Dataset, Splits
from aejax.errors import UserError
from aejax.experiment.configuration import Experiment, Model, Training
from aejax.experiment.job import fit, make_job
from aejax.experiment.run import StoppedError, train_run
from aejax.experiment.run_folder import read_records
from aejax.experiment.trained import open_run

MODEL = Model(family="undercomplete", hidden=(), code_size=2)
EXPERIMENT = Experiment(model=MODEL, training=Training(epochs=3, batch_size=16))
X = np.random.default_rng(0).uniform(size=(3, 40, 5)).astype(np.float32)
SPLITS = Splits(*map(Dataset, X))
ONE = jax.devices()[:1]


@pytest.fixture(autouse=True)
def dtype_promotion():
    """In place of the strict one: Optax mixes integer counts with floats."""
    with jax.numpy_dtype_promotion("standard"):
        yield


def same(one, other):
    jax.tree.map(np.testing.assert_array_equal, one, other)


@pytest.mark.slow
def test_a_run_is_returned_as_it_is_opened_and_has_printed_nothing(tmp_path, capfd):
    job = make_job(EXPERIMENT, SPLITS)
    run = train_run(job, tmp_path / "run", devices=ONE, figures=False)
    assert capfd.readouterr() == ("", "")
    opened = open_run(tmp_path / "run")
    same(opened.params, run.params)
    same(jax.random.key_data(opened.keys.evaluation), jax.random.key_data(run.keys.evaluation))
    assert (opened.best_epoch, opened.facts, opened.experiment) == (run.best_epoch, run.facts, run.experiment)
    assert run.splits is SPLITS
    same(fit(job, devices=ONE).best_params, run.params)  # the trainer in memory is the same one


@pytest.mark.slow
def test_a_run_is_trained_outside_the_main_thread(tmp_path):
    found = []

    def train():
        with jax.numpy_dtype_promotion("standard"):
            found.append(train_run(make_job(EXPERIMENT, SPLITS), tmp_path / "run", devices=ONE, figures=False))

    thread = threading.Thread(target=train)
    thread.start()
    thread.join()
    assert found[0].encode(SPLITS.test).shape == (40, 2)


def test_a_report_may_stop_the_training():
    job = make_job(EXPERIMENT, SPLITS)
    snapshot = fit(job, devices=ONE, on_report=lambda report: report.epoch >= 1)
    assert int(snapshot.state.step) == job.steps_per_epoch == 2
    whole = fit(job, devices=ONE, snapshot=snapshot)
    same(whole.best_params, fit(job, devices=ONE).best_params)


@pytest.mark.slow
@pytest.mark.parametrize(("number", "interrupted"), [(signal.SIGINT, True), (signal.SIGTERM, False)])
def test_a_signal_stops_a_run_and_it_is_continued(tmp_path, monkeypatch, number, interrupted):
    import aejax.experiment.run as running

    job, folder = make_job(EXPERIMENT, SPLITS), tmp_path / "run"
    whole = train_run(job, tmp_path / "whole", devices=ONE, figures=False)

    def watch(*arguments):
        def measure(params):
            os.kill(os.getpid(), number)
            return {}

        return measure

    with monkeypatch.context() as patched:
        patched.setattr(running, "make_watch", watch)
        with pytest.raises(StoppedError, match=r"^stopped at step 2; continue with: ") as stop:
            train_run(job, folder, devices=ONE, figures=False)
    assert stop.value.interrupted == interrupted
    with pytest.raises(UserError, match="began with other values: seed was 0 and is now 1"):
        train_run(
            make_job(replace(EXPERIMENT, training=replace(EXPERIMENT.training, seed=1)), SPLITS), folder, resume=True
        )
    same(train_run(job, folder, resume=True, devices=ONE, figures=False).params, whole.params)
    last = [read_records(path)[-1] for path in (folder, whole.path)]
    assert last[0] == last[1]


def test_other_examples_do_not_continue_a_run(tmp_path):
    train_run(make_job(EXPERIMENT, SPLITS), tmp_path / "run", devices=ONE, figures=False)
    others = SPLITS._replace(train=Dataset(1 - X[0]))
    with pytest.raises(UserError, match=r"is not the data that .* began with"):
        train_run(make_job(EXPERIMENT, others), tmp_path / "run", resume=True, devices=ONE)
    with pytest.raises(UserError, match="exists already"):
        train_run(make_job(EXPERIMENT, SPLITS), tmp_path / "run", devices=ONE)


def test_a_folder_for_a_trace_is_none(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"^profile: expected a folder, but .*file is a file$"):
        train_run(make_job(EXPERIMENT, SPLITS), tmp_path / "run", devices=ONE, profile=tmp_path / "file")
    assert not (tmp_path / "run").exists()
