"""Detection as a user runs it: on a file, on the run's own test examples, its refusals."""

import csv
import json

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image
from sklearn.metrics import roc_auc_score

from aejax import plots
from aejax.experiment.configuration import Data, Experiment, Model, Training
from aejax.experiment.trained import open_run

PLAIN = Experiment(
    model=Model(family="undercomplete", hidden=(), code_size=8), training=Training(epochs=10, patience=None)
)
VARIATIONAL = Experiment(model=Model(hidden=(16,), code_size=2), training=Training(epochs=2, patience=None))


def read(folder):
    with (folder / "scores.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return rows, json.loads((folder / "summary.json").read_text())


@pytest.mark.slow
def test_noise_among_digits(make_run, run_script, tmp_path, drawn_fraction):
    run = open_run(make_run(PLAIN))
    rng = np.random.default_rng(0)
    x = np.concatenate([run.splits.test.x[:50], rng.uniform(size=(30, 8, 8, 1)).astype(np.float32)])
    truth = np.repeat([0, 1], [50, 30])
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "truth.npy", truth)
    arguments = (run.path, tmp_path / "x.npy", tmp_path / "found", "--anomalies", tmp_path / "truth.npy")
    result = run_script("detect_anomalies", *arguments, "--quantile", "0.9")
    assert (result.code, result.errors) == (0, "")
    rows, summary = read(tmp_path / "found")
    expected = np.sum((x - run.reconstruct(run.splits.test._replace(x=x))) ** 2, axis=(1, 2, 3))
    scores = np.array([float(row["score"]) for row in rows])
    np.testing.assert_allclose(scores, expected, rtol=1e-4)
    validation = run.splits.validation
    errors = np.sum((validation.x - run.reconstruct(validation)) ** 2, axis=(1, 2, 3))
    assert summary["threshold"] == pytest.approx(np.sort(errors)[int(np.ceil(0.9 * len(errors))) - 1], rel=1e-4)
    assert summary["auroc"]["value"] == pytest.approx(roc_auc_score(truth, scores))
    assert summary["auroc"]["value"] > 0.95
    assert [int(row["above_threshold"]) for row in rows] == (scores > summary["threshold"]).astype(int).tolist()
    assert [int(row["is_anomaly"]) for row in rows] == truth.tolist()
    assert f"{summary['auroc']['value']:.4f}" in result.output
    assert drawn_fraction(tmp_path / "found" / "scores.png") > 0.015


@pytest.mark.slow
def test_a_variational_run_scores_the_same_every_time(make_run, run_script, tmp_path):
    run = open_run(make_run(VARIATIONAL))
    np.save(tmp_path / "x.npy", run.splits.test.x[:20])
    for name in ("one", "two"):
        assert run_script("detect_anomalies", run.path, tmp_path / "x.npy", tmp_path / name).code == 0
    assert (tmp_path / "one" / "scores.csv").read_text() == (tmp_path / "two" / "scores.csv").read_text()
    rows, summary = read(tmp_path / "one")
    assert summary["score"] == "negative bound, nats per example"
    assert "is_anomaly" not in rows[0]


@pytest.mark.slow
def test_classes_that_were_not_trained_on_are_the_anomalies_of_a_test(make_run, run_script, tmp_path):
    rng = np.random.default_rng(0)
    beats = np.column_stack([np.repeat([1, 2], [292, 208]), rng.normal(size=(500, 140))])
    beats[:292, 1:] = np.sin(np.linspace(0, 6, 140)) + 0.1 * beats[:292, 1:]
    (tmp_path / "ecg5000").mkdir()
    np.savetxt(tmp_path / "ecg5000" / "ECG5000_TRAIN.txt", beats)
    data = Data(dataset="ecg5000", data_dir=str(tmp_path), validation_fraction=0.2)
    model = Model(family="undercomplete", hidden=(), code_size=2)
    folder = make_run(Experiment(data=data, model=model, training=Training(epochs=20, batch_size=20)))
    result = run_script("detect_anomalies", folder, "--test", tmp_path / "found")
    assert (result.code, result.errors) == (0, "")
    _, summary = read(tmp_path / "found")
    assert (summary["scored"], summary["prevalence"]) == (300, pytest.approx(208 / 300))
    assert summary["auroc"]["value"] > 0.99


@pytest.mark.slow
def test_a_value_beyond_single_precision_is_the_strangest_of_all(make_run, run_script, tmp_path):
    run = open_run(make_run(PLAIN))
    x = run.splits.test.x[:20].copy()
    x[3] = 9.97e36  # where nothing was measured, by the convention of netCDF
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "truth.npy", np.isin(np.arange(20), [3, 4]).astype(int))
    arguments = (run.path, tmp_path / "x.npy", tmp_path / "found", "--anomalies", tmp_path / "truth.npy")
    result = run_script("detect_anomalies", *arguments)
    assert (result.code, result.errors) == (0, "")
    assert "1 scores exceed the range of single precision" in result.output
    rows, _ = read(tmp_path / "found")
    assert max(rows, key=lambda row: float(row["score"]))["index"] == "3"


@pytest.mark.slow
def test_a_test_part_of_known_classes_only_is_scored_without_a_verdict(make_run, run_script, tmp_path):
    result = run_script("detect_anomalies", make_run(PLAIN), "--test", tmp_path / "found")
    assert result.code == 0
    _, summary = read(tmp_path / "found")
    assert "auroc" not in summary
    assert summary["scored"] == 359
    assert "measures of detection: left out" in result.output


@pytest.mark.slow
@pytest.mark.parametrize("anomalies", [0, 1, 2, 4, 5])
def test_scores_are_written_however_few_anomalies_are_known(make_run, run_script, tmp_path, anomalies, drawn_fraction):
    run = open_run(make_run(VARIATIONAL))
    np.save(tmp_path / "x.npy", run.splits.test.x[:5])
    np.save(tmp_path / "truth.npy", (np.arange(5) < anomalies).astype(np.int8))
    arguments = (run.path, tmp_path / "x.npy", tmp_path / "found", "--anomalies", tmp_path / "truth.npy")
    result = run_script("detect_anomalies", *arguments)
    assert (result.code, result.errors) == (0, "")
    rows, summary = read(tmp_path / "found")
    assert [int(row["is_anomaly"]) for row in rows] == [1] * anomalies + [0] * (5 - anomalies)
    assert np.isfinite([float(row["score"]) for row in rows]).all()
    assert drawn_fraction(tmp_path / "found" / "scores.png") > 0.015
    note = "measures of detection: left out, measures of detection require at least two normal examples and two "
    note += f"anomalies, got {5 - anomalies} and {anomalies}"
    assert ("auroc" in summary) == (anomalies == 2)
    assert (note in result.output) == (note in summary.get("notes", [])) == (anomalies != 2)


@pytest.mark.slow
def test_a_figure_that_fails_leaves_the_scores(make_run, run_script, tmp_path, monkeypatch):
    monkeypatch.setattr(plots, "anomaly_scores", lambda *arguments, **options: 1 / 0)
    run = open_run(make_run(VARIATIONAL))
    np.save(tmp_path / "x.npy", run.splits.test.x[:5])
    result = run_script("detect_anomalies", run.path, tmp_path / "x.npy", tmp_path / "found")
    assert result.code == 0
    assert result.errors.endswith("ZeroDivisionError: division by zero\n")  # a bug keeps its traceback
    assert "figures: left out, division by zero" in result.output
    assert len(read(tmp_path / "found")[0]) == 5


@pytest.mark.slow
@pytest.mark.parametrize("script", ["detect_anomalies", "compress"])
def test_what_is_interrupted_leaves_no_folder_in_the_way(make_run, run_script, tmp_path, monkeypatch, script):
    def interrupted(self, *_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(Figure, "savefig", interrupted)
    arguments = {"detect_anomalies": ("--test", tmp_path / "out"), "compress": (tmp_path / "out", "--bits", "2")}
    run = make_run(VARIATIONAL)
    before = sorted(tmp_path.iterdir())
    assert run_script(script, run, *arguments[script]).code == 130
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.slow
@pytest.mark.parametrize(("quantile", "is_finer"), [("0.99", False), ("0.9999", True), ("1", False)])
def test_a_quantile_finer_than_the_sample_is_said_to_be(make_run, run_script, tmp_path, quantile, is_finer):
    run = open_run(make_run(VARIATIONAL))
    np.save(tmp_path / "x.npy", run.splits.test.x[:5])
    arguments = (run.path, tmp_path / "x.npy", tmp_path / "found", "--quantile", quantile)
    result = run_script("detect_anomalies", *arguments)
    note = f"validation examples are too few for the quantile {quantile}: the threshold is the largest of their scores"
    assert (result.code, note in result.output) == (0, is_finer)
    _, summary = read(tmp_path / "found")
    assert summary["validation_examples"] == len(run.splits.validation.x)
    assert any(note in line for line in summary.get("notes", [])) == is_finer


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "give a file and a folder to write, or --test FOLDER"),
        (["x.npy"], "name the folder to write after the file"),
        (["x.npy", "found", "--test", "found"], "give a file and a folder to write, or --test"),
        (["--test", "found", "--anomalies", "truth.npy"], "--test uses the run's own labels"),
        (["x.npy", "x.npy"], "x.npy: exists already"),
        (["x.npy", "found", "--quantile", "1.5"], "--quantile: must be above 0 and at most 1, got 1.5"),
        (["x.npy", "found", "--samples", "0"], "--samples: must be at least 1, got 0"),
        (
            ["x.npy", "found", "--anomalies", "truth.npy"],
            "truth.npy: expected one label per example, got 4 labels for 3 examples",
        ),
        (["wide.npy", "found"], "bernoulli expects values in [0, 1]"),
        (["other.npy", "found"], "other.npy: examples have shape (5,)"),
    ],
)
def test_mistakes(make_initial_run, complaint_of, tmp_path, arguments, complaint):
    np.save(tmp_path / "x.npy", np.zeros((3, 8, 8)))
    np.save(tmp_path / "wide.npy", np.full((3, 8, 8), 1.03))  # on the scale of the run, and beyond its likelihood
    np.save(tmp_path / "other.npy", np.zeros((3, 5)))
    np.save(tmp_path / "truth.npy", np.zeros(4, int))
    assert complaint in complaint_of("detect_anomalies", make_initial_run(VARIATIONAL), *arguments)


def test_the_files_of_a_folder_are_named(make_initial_run, run_script, tmp_path):
    """A folder of subfolders, in which one image is strange."""
    for number in range(6):
        (tmp_path / "images" / f"class{number % 2}").mkdir(parents=True, exist_ok=True)
        pixels = np.full((8, 8), 255 if number == 3 else 0, np.uint8)
        Image.fromarray(pixels).save(tmp_path / "images" / f"class{number % 2}" / f"{number}.png")
    result = run_script("detect_anomalies", make_initial_run(PLAIN), tmp_path / "images", tmp_path / "found")
    assert (result.code, result.errors) == (0, "")
    rows, _ = read(tmp_path / "found")
    assert [row["file"] for row in rows] == [f"class{n % 2}/{n}.png" for n in (0, 2, 4, 1, 3, 5)]
    assert max(rows, key=lambda row: float(row["score"]))["file"] == "class1/3.png"
    assert "  class1/3.png: " in result.output
