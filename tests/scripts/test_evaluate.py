"""The page about a run: whole, with its numbers, for families with and without a prior."""

import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.decomposition import PCA

from aejax import plots
from aejax.datasets.dataset import Dataset, Splits
from aejax.experiment import evaluate
from aejax.experiment.configuration import Data, Experiment, Model, Training
from aejax.experiment.reconstruction_error import errors_by_class, squared_errors
from aejax.experiment.run_folder import read_records
from aejax.experiment.trained import open_run

SHORT = Training(epochs=2, patience=None)
LINEAR = Experiment(model=Model(family="undercomplete", hidden=(), code_size=4), training=SHORT)
CONDITIONAL = Experiment(model=Model(hidden=(), code_size=3, conditional=True), training=SHORT)


@pytest.mark.slow
def test_the_page_has_the_numbers_of_the_run(make_run, run_script, tmp_path):
    folder = make_run(LINEAR)
    result = run_script("evaluate", folder, "--output", tmp_path / "page.html")
    assert (result.code, result.errors) == (0, "")
    text = (tmp_path / "page.html").read_text()
    run = open_run(folder)
    error = np.mean(np.square(run.splits.test.x - run.reconstruct(run.splits.test)))
    principal = PCA(4).fit(run.splits.train.x.reshape(-1, 64))
    test = run.splits.test.x.reshape(-1, 64)
    baseline = np.mean(np.square(test - principal.inverse_transform(principal.transform(test))))
    assert f"<b>{error:.4f}</b>" in text
    assert f"<b>{baseline:.4f}</b><span>the same error of PCA with 4 components</span>" in text
    best = min(record["validation/loss"] for record in read_records(folder)[:-1])
    assert f"<td>{best:.3f}</td>" in text
    assert '<td>loss<span class="unit">(unit of data)² per example</span></td>' in text
    assert "not trained on" not in text
    assert "The run is not finished" not in text
    assert "Samples" not in text
    assert text.count("data:image/png") == 4
    assert f"aejax explore {folder}</pre>" in text
    assert "train digits-linear --code-size 4" in text


@pytest.mark.slow
def test_a_run_that_was_stopped_has_a_page_without_measures_of_test_examples(make_run, run_script, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(make_run(LINEAR), folder)
    *records, _ = (folder / "metrics.jsonl").read_text().splitlines(keepends=True)
    (folder / "metrics.jsonl").write_text("".join(records))
    assert run_script("evaluate", folder).code == 0
    assert "The run is not finished" in (folder / "report.html").read_text()


@pytest.mark.slow
def test_a_conditional_run_shows_samples_of_each_class(make_run, run_script):
    folder = make_run(CONDITIONAL)
    result = run_script("evaluate", folder)
    assert (result.code, result.errors) == (0, "")
    assert "a row for each class" in (folder / "report.html").read_text()
    (folder / "report.html").unlink()


@pytest.mark.slow
def test_the_numbers_are_of_the_epoch_that_the_run_has_kept(make_run, run_script, tmp_path):
    """Which is not that of the least loss, where an improvement has to be large."""
    few = Experiment(model=LINEAR.model, training=Training(epochs=4, patience=None, min_delta=5.0))
    folder = make_run(few)
    losses = {record["epoch"]: record["validation/loss"] for record in read_records(folder)[:-1]}
    best = open_run(folder).best_epoch
    assert losses[best] > min(losses.values())
    assert run_script("evaluate", folder, "--output", tmp_path / "page.html").code == 0
    text = (tmp_path / "page.html").read_text()
    assert f"<td>{losses[best]:.3f}</td>" in text
    assert f"<td>{min(losses.values()):.3f}</td>" not in text


def test_errors_are_listed_by_class(make_initial_run):
    run = open_run(make_initial_run(LINEAR))
    test, errors = run.splits.test, squared_errors(run)
    rows = errors_by_class(test.labels, errors)
    assert [row.label for row in rows] == [str(digit) for digit in range(10)]
    assert sum(row.examples for row in rows) == len(test.x)
    of_three = np.mean(np.square(test.x - run.reconstruct(test))[test.labels == 3])
    assert rows[3].mean == pytest.approx(of_three, rel=1e-5)
    text = evaluate._by_class(run, errors)
    assert f"<td>3</td><td>{rows[3].examples}</td><td>{rows[3].mean:.3f}"[:-1] in text
    assert evaluate._by_class(SimpleNamespace(splits=Splits(test, test, Dataset(test.x))), errors) == ""
    named = run._replace(experiment=replace(run.experiment, data=Data(dataset="ecg5000")))
    assert "<td>R-on-T</td>" in evaluate._by_class(named, errors)  # the name of class 2 there


def test_series_have_no_peak(make_initial_run):
    """A signal-to-noise ratio of piano rolls or heartbeats would mean nothing."""
    run = open_run(make_initial_run(LINEAR))
    assert evaluate.holds_images(run)
    for data in (Data(dataset="jsb_chorales"), Data(dataset="ecg5000")):
        assert not evaluate.holds_images(run._replace(experiment=replace(run.experiment, data=data)))
    sequence = replace(run.experiment, model=replace(run.experiment.model, network="sequence"))
    assert not evaluate.holds_images(run._replace(experiment=sequence))


@pytest.mark.parametrize(
    ("train", "test", "sentence"),
    [([1, 1], [1, 2, 3], "2 of 3 test examples"), ([1, 2, 3], [1, 2], ""), (None, [1, 2], ""), ([1], None, "")],
)
def test_classes_that_were_not_trained_on_are_reported(train, test, sentence):
    parts = [Dataset(np.zeros((3, 2)), None if labels is None else np.array(labels)) for labels in (train, train, test)]
    text = evaluate._unseen_classes(SimpleNamespace(splits=Splits(*parts)))
    assert sentence in text
    assert bool(text) == bool(sentence)


def test_a_run_without_records(make_initial_run, complaint_of, tmp_path):
    shutil.copytree(make_initial_run(LINEAR), tmp_path / "run")
    (tmp_path / "run" / "metrics.jsonl").unlink(missing_ok=True)
    assert "metrics.jsonl holds no evaluation" in complaint_of("evaluate", "run")


def test_mistakes(complaint_of, make_initial_run, tmp_path):
    assert ".: is a folder; expected a file" in complaint_of("evaluate", make_initial_run(LINEAR), "--output", ".")
    assert "is no run folder" in complaint_of("evaluate", tmp_path)
    (tmp_path / "afile").touch()
    assert "is not a folder" in complaint_of("evaluate", make_initial_run(LINEAR), "--output", "afile/page.html")


@pytest.mark.slow
def test_a_section_that_fails_is_named_and_the_others_are_written(make_run, run_script, tmp_path, monkeypatch):
    monkeypatch.setattr(plots, "latent_space", lambda *arguments, **options: 1 / 0)
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
    assert f"<td>{final['test/elbo']:.3f}</td>" in text
    assert f"at least {final['test/code/mutual_information']:.2f} nats of information" in text
    norm = f"{final['test/code/frobenius_norm']:.3g}"
    assert f"The Frobenius norm of the encoder&#x27;s Jacobian is {norm} per unit of data" in text
    assert f"{final['test/code/active_units']} of the {final['test/code/units']} code units are active" in text
    assert "Preset digits-vae with epochs 2" in text


@pytest.mark.slow
def test_a_run_without_statistics_of_its_code_has_a_page(make_run, run_script, tmp_path):
    shutil.copytree(make_run(LINEAR), tmp_path / "run")
    with (tmp_path / "run" / "metrics.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"step": 1, "epoch": 1, "test/loss": 0.5, "test/reconstruction": 0.5}\n')
    result = run_script("evaluate", tmp_path / "run")
    assert (result.code, result.errors) == (0, "")
    assert "left out" not in result.output
