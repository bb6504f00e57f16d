"""The page about a run: whole, with its numbers, for families with and without a prior."""

import shutil
from types import SimpleNamespace

import numpy as np
import pytest

from aejax import plots
from aejax.datasets.dataset import Dataset, Splits
from aejax.experiment import evaluate
from aejax.experiment.configuration import Experiment, Model, Training
from aejax.experiment.run_folder import read_records
from aejax.experiment.trained import open_run

SHORT = Training(epochs=2, patience=None)
LINEAR = Experiment(model=Model(family="undercomplete", hidden=(), code_size=4), training=SHORT)
CONDITIONAL = Experiment(model=Model(hidden=(), code_size=3, conditional=True), training=SHORT)


def test_the_page_has_the_numbers_of_the_run(make_run, run_script, tmp_path):
    folder = make_run(LINEAR)
    result = run_script("evaluate", folder, "--output", tmp_path / "page.html")
    assert (result.code, result.errors) == (0, "")
    text = (tmp_path / "page.html").read_text()
    run = open_run(folder)
    error = np.mean(np.square(run.splits.test.x - run.reconstruct(run.splits.test)))
    assert f"<b>{error:.4g}</b>" in text
    best = min(record["validation/loss"] for record in read_records(folder)[:-1])
    assert f"<td>{best:.6g}</td>" in text
    assert "<td>loss, (unit of data)² per example</td>" in text
    assert "not trained on" not in text
    assert "The run is not finished" not in text
    assert "Samples" not in text
    assert text.count("data:image/png") == 5  # curves for a narrow screen besides
    assert "--family undercomplete" in text


def test_a_run_that_was_stopped_has_a_page_without_measures_of_test_examples(make_run, run_script, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(make_run(LINEAR), folder)
    *records, _ = (folder / "metrics.jsonl").read_text().splitlines(keepends=True)
    (folder / "metrics.jsonl").write_text("".join(records))
    assert run_script("evaluate", folder).code == 0
    assert "The run is not finished" in (folder / "report.html").read_text()


def test_a_conditional_run_shows_samples_of_each_class(make_run, run_script):
    folder = make_run(CONDITIONAL)
    result = run_script("evaluate", folder)
    assert (result.code, result.errors) == (0, "")
    assert "a row for each class" in (folder / "report.html").read_text()
    (folder / "report.html").unlink()


def test_the_numbers_are_of_the_epoch_that_the_run_has_kept(make_run, run_script, tmp_path):
    """Which is not that of the least loss, where an improvement has to be large."""
    few = Experiment(model=LINEAR.model, training=Training(epochs=4, patience=None, min_delta=5.0))
    folder = make_run(few)
    losses = {record["epoch"]: record["validation/loss"] for record in read_records(folder)[:-1]}
    best = open_run(folder).best_epoch
    assert losses[best] > min(losses.values())
    assert run_script("evaluate", folder, "--output", tmp_path / "page.html").code == 0
    text = (tmp_path / "page.html").read_text()
    assert f"<td>{losses[best]:.6g}</td>" in text
    assert f"<td>{min(losses.values()):.6g}</td>" not in text


def test_counts_are_whole_and_small_numbers_are_distinguished():
    shown = evaluate._shown
    assert [shown(50688), shown(1.0), shown(0.00021234), shown(0.00021236)] == [
        "50,688",
        "1",
        "0.00021234",
        "0.00021236",
    ]


@pytest.mark.parametrize(
    ("train", "test", "sentence"),
    [([1, 1], [1, 2, 3], "2 of 3 test examples"), ([1, 2, 3], [1, 2], ""), (None, [1, 2], ""), ([1], None, "")],
)
def test_classes_that_were_not_trained_on_are_reported(train, test, sentence):
    parts = [Dataset(np.zeros((3, 2)), None if labels is None else np.array(labels)) for labels in (train, train, test)]
    text = evaluate._unseen_classes(SimpleNamespace(splits=Splits(*parts)))
    assert sentence in text
    assert bool(text) == bool(sentence)


def test_a_run_without_records(make_run, complaint_of, tmp_path):
    shutil.copytree(make_run(LINEAR), tmp_path / "run")
    (tmp_path / "run" / "metrics.jsonl").unlink()
    assert "metrics.jsonl holds no evaluation" in complaint_of("evaluate", "run")


def test_mistakes(complaint_of, make_run, tmp_path):
    assert ".: is a folder; expected a file" in complaint_of("evaluate", make_run(LINEAR), "--output", ".")
    assert "is no run folder" in complaint_of("evaluate", tmp_path)
    (tmp_path / "afile").touch()
    assert "is not a folder" in complaint_of("evaluate", make_run(LINEAR), "--output", "afile/page.html")


def test_a_section_that_fails_is_named_and_the_others_are_written(make_run, run_script, tmp_path, monkeypatch):
    monkeypatch.setattr(plots, "latent_space", lambda *arguments: 1 / 0)
    result = run_script("evaluate", make_run(LINEAR), "--output", tmp_path / "page.html")
    assert result.code == 0
    assert result.errors.endswith("ZeroDivisionError: division by zero\n")  # a bug keeps its traceback
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "Codes: left out, division by zero" in result.output
    assert "<h2>Codes</h2><p>Codes: left out, division by zero</p>" in text
    assert "<h2>Configuration</h2>" in text
    assert "<th>train, during the epoch</th>" in text
    assert "The loss = reconstruction" in text


@pytest.mark.slow
def test_the_page_of_a_finished_run(run_script, tmp_path):
    run_script("train", "--epochs", "2", "--run-dir", tmp_path / "run")
    result = run_script("evaluate", tmp_path / "run")
    assert (result.code, result.errors) == (0, "")
    text = (tmp_path / "run" / "report.html").read_text()
    final = read_records(tmp_path / "run")[-1]
    assert f"<td>{final['test/elbo']:.6g}</td>" in text
    assert "<td>mutual information with the example, a lower bound, nats</td>" in text
    assert "<td>mean norm of the encoder&#x27;s Jacobian, 1 / (unit of data)</td>" in text
    assert f"<td>units, count</td><td>{final['test/code/units']}</td>" in text


def test_a_run_without_statistics_of_its_code_has_a_page(make_run, run_script, tmp_path):
    shutil.copytree(make_run(LINEAR), tmp_path / "run")
    with (tmp_path / "run" / "metrics.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"step": 1, "epoch": 1, "test/loss": 0.5, "test/reconstruction": 0.5}\n')
    result = run_script("evaluate", tmp_path / "run")
    assert (result.code, result.errors) == (0, "")
    assert "left out" not in result.output
