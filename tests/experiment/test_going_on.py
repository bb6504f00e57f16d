"""Going on from a run: a new run that begins where the old one ended; the old one stays as it is."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest

from aejax.errors import UserError
from aejax.experiment.configuration import Data, Experiment, Model, Optimization, Regularization, Training
from aejax.experiment.going_on import Origin, go_on, goes_on, read_origin
from aejax.experiment.run import train_run
from aejax.experiment.run_folder import is_unbegun, read_records

ONE = jax.local_devices()[:1]
SMALL = Experiment(
    model=Model(family="undercomplete", hidden=(), code_size=2),
    training=Training(epochs=2, batch_size=64, patience=None),
)


@pytest.fixture(autouse=True)
def dtype_promotion():
    """In place of the strict one: Optax mixes integer counts with floats."""
    with jax.numpy_dtype_promotion("standard"):
        yield


def with_training(experiment: Experiment, **changes: object) -> Experiment:
    return replace(experiment, training=replace(experiment.training, **changes))


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def assert_equal(one, other) -> None:
    for leaf, expected in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_array_equal(np.asarray(leaf), np.asarray(expected))


def test_the_parameters_at_the_start_are_the_last_ones_of_the_old_run(make_initial_run):
    """Of a run that has had no step: its parameters, with any optimizer, and a search for the best that is new."""
    folder = make_initial_run(SMALL)
    before = files_of(folder)
    other = replace(
        with_training(SMALL, batch_size=32, seed=5, patience=3),
        regularization=Regularization(contractive_weight=0.1),
        optimization=Optimization(learning_rate=0.1, schedule="cosine", clip_norm=1.0, warmup_steps=3),
    )
    old, new = go_on(folder, SMALL), go_on(folder, other)
    assert_equal(new.snapshot.state.params, old.snapshot.state.params)
    assert_equal(old.snapshot.state.opt_state, old.job.start().state.opt_state)
    assert new.snapshot.stopping.best_epoch == 0
    assert new.job.optimizer is not old.job.optimizer
    assert new.origin == Origin(str(folder.resolve()), 0, 0)
    assert files_of(folder) == before


@pytest.mark.slow
@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_more_epochs_are_those_of_a_longer_run(tmp_path, schedule):
    """To the bit with a constant learning rate, since noise and order follow from the seed and the step."""
    experiment = replace(SMALL, optimization=Optimization(schedule=schedule))
    longer = with_training(experiment, epochs=4)
    train_run(experiment, tmp_path / "old", devices=ONE, figures=False)
    before = files_of(tmp_path / "old")
    new = train_run(longer, tmp_path / "new", started_from=tmp_path / "old", devices=ONE, figures=False)
    whole = train_run(longer, tmp_path / "whole", devices=ONE, figures=False)
    assert files_of(tmp_path / "old") == before
    assert read_origin(tmp_path / "new") == Origin(str((tmp_path / "old").resolve()), 2, 38)
    assert read_origin(tmp_path / "old") is None
    assert [record["epoch"] for record in read_records(new.path)[:-1]] == [3, 4]
    same = read_records(new.path)[-1] == read_records(whole.path)[-1]
    assert same == (schedule == "constant")
    if same:
        assert_equal(new.params, whole.params)
    again = train_run(longer, tmp_path / "new", resume=True, devices=ONE, figures=False)
    assert_equal(again.params, new.params)


@pytest.mark.slow
def test_another_batch_size_counts_the_same_epochs(tmp_path):
    train_run(SMALL, tmp_path / "old", devices=ONE, figures=False)
    other = with_training(SMALL, epochs=3, batch_size=128)
    continuation = go_on(tmp_path / "old", other)
    assert int(continuation.snapshot.state.step) == 2 * continuation.job.steps_per_epoch == continuation.origin.step
    counts = {int(leaf) for leaf in jax.tree.leaves(continuation.snapshot.state.opt_state) if np.shape(leaf) == ()}
    assert counts == {continuation.origin.step}
    with pytest.raises(UserError, match=r"epochs: .*old has had 2 epochs, which count: give a larger number, got 2"):
        go_on(tmp_path / "old", SMALL)


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        (
            replace(SMALL, model=replace(SMALL.model, code_size=3)),
            "keeps the shapes of its parameters, and code_size was 2",
        ),
        (replace(SMALL, model=replace(SMALL.model, family="tied")), "and family was undercomplete and is now tied"),
        (replace(SMALL, data=Data(split_seed=1)), "keeps its data, and split_seed was 0 and is now 1"),
    ],
)
def test_what_cannot_change(make_initial_run, changed, complaint):
    folder = make_initial_run(SMALL)
    with pytest.raises(UserError) as raised:
        go_on(folder, changed)
    assert complaint in str(raised.value)
    assert str(raised.value).startswith(f"{folder}: ")
    assert "\n" not in str(raised.value)


def test_a_place_of_the_data_alone_needs_no_new_run():
    assert not goes_on(SMALL, replace(SMALL, data=Data(data_dir="elsewhere")))
    assert goes_on(SMALL, with_training(SMALL, epochs=3))


def test_a_run_that_was_stopped_before_its_first_checkpoint(make_initial_run, tmp_path):
    """It would begin with random parameters instead of those of the old run; and its folder may be written again."""
    shutil.copytree(make_initial_run(SMALL), tmp_path / "new")
    (tmp_path / "new" / "started_from.json").write_text(json.dumps({"run": "old", "epoch": 2, "step": 38}))
    assert is_unbegun(tmp_path / "new")
    shutil.rmtree(tmp_path / "new" / "checkpoints")
    assert is_unbegun(tmp_path / "new")
    with pytest.raises(UserError, match="was stopped before its first checkpoint; delete it, and go on from old once"):
        train_run(SMALL, tmp_path / "new", resume=True, devices=ONE)
    (tmp_path / "new" / "started_from.json").write_text('{"run": "old"}')
    with pytest.raises(UserError, match=r"started_from\.json: epoch"):
        read_origin(tmp_path / "new")
