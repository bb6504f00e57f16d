"""`aejax train --resume RUN` with other values: a new run, and what cannot change in one line."""

from pathlib import Path

import pytest

from aejax.experiment import run as runs
from aejax.experiment.configuration import Experiment, Model, Training


@pytest.fixture
def old(make_initial_run) -> Path:
    """A run whose initial parameters are its last ones."""
    model = Model(family="undercomplete", hidden=(), code_size=2)
    return make_initial_run(Experiment(model=model, training=Training(epochs=1, batch_size=64, patience=None)))


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[tuple]:
    """What would be trained: every experiment, its folder and its options."""
    calls: list[tuple] = []
    monkeypatch.setattr(runs, "train_run", lambda job, folder, **options: calls.append((job, folder, options)))
    return calls


def test_other_values_make_a_new_run(run_script, trained, old: Path, tmp_path: Path) -> None:
    new = tmp_path / "new"
    result = run_script("train", "--resume", old, "--epochs", "3", "--learning-rate", "0.25", "--run-dir", new)
    assert (result.code, result.errors) == (0, "")
    [(experiment, folder, options)] = trained
    assert (experiment.training.epochs, experiment.optimization.learning_rate) == (3, 0.25)
    assert experiment.model.code_size == 2  # as in the old run
    assert (folder, options["resume"], options["started_from"]) == (new, False, old)


def test_a_new_run_is_called_by_the_old_one(run_script, trained, old: Path) -> None:
    assert run_script("train", "--resume", old, "--epochs", "3").code == 0
    assert trained[0][1].parts[0] == "runs"
    assert trained[0][1].name.startswith("run-2")


def test_without_other_values_the_run_is_continued(run_script, trained, old: Path) -> None:
    assert run_script("train", "--resume", old, "--epochs", "1").code == 0
    [(_, folder, options)] = trained
    assert (folder, options["resume"], options["started_from"]) == (old, True, None)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--run-dir", "new"], "--run-dir and --resume: give only one of them, unless another value makes a new run"),
        (
            ["--code-size", "3"],
            "keeps the shapes of its parameters, and code_size was 2 and is now 3",
        ),
        (["--split-seed", "3"], "a run that goes on keeps its data, and split_seed was 0 and is now 3"),
        (["--preset-file", "mine.json"], "--preset-file and --resume: give only one of them"),
    ],
)
def test_mistakes_in_going_on(complaint_of, old: Path, tmp_path: Path, arguments: list[str], complaint: str) -> None:
    (tmp_path / "mine.json").write_text("{}")
    assert complaint in complaint_of("train", "--resume", old, *arguments, "--devices", "1")
