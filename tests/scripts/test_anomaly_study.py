"""The study of anomalies as a user runs it: its table, its files, its refusals."""

import csv

import numpy as np
import pytest

from aejax.cli import study_one_class
from aejax.evaluation.anomaly import Detection, Interval
from aejax.studies.one_class import METHODS, Trial

SMALL = ("--epochs", "2", "--hidden", "8", "--resamples", "5")


@pytest.mark.slow
def test_two_classes_of_digits(run_script, tmp_path):
    arguments = ("digits", *SMALL, "--classes", "0", "1", "--run-dir", tmp_path / "study")
    result = run_script("anomaly_study", *arguments)
    assert (result.code, result.errors) == (0, "")
    with (tmp_path / "study" / "trials.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["normal"] for row in rows] == ["class 0"] * 3 + ["class 1"] * 3
    for row in rows:
        assert float(row["auroc_low"]) <= float(row["auroc"]) <= float(row["auroc_high"])
        assert f"{float(row['auroc']):.4f}" in result.output
    pca = [float(row["auroc"]) for row in rows if row["method"] == "PCA"]
    assert min(pca) > 0.95
    report = (tmp_path / "study" / "report.txt").read_text()
    assert f"{np.mean(pca):.4f}, " in report  # of one seed, which does not deviate
    assert (tmp_path / "study" / "config.json").is_file()


def test_means_are_over_classes_and_deviations_over_seeds():
    def trial(normal, seed, method, auroc):
        interval = Interval(auroc, auroc, auroc)
        return Trial(normal, seed, method, Detection(interval, interval, 0.5, 0.5, 0.5, 0.5))

    values = {("a", 0): 0.9, ("b", 0): 0.5, ("a", 1): 0.92, ("b", 1): 0.52}
    trials = [trial(*of, method, value) for of, value in values.items() for method in METHODS]
    table = study_one_class._table("made up", trials)
    *_, means = ([*column.cells][-1] for column in table.columns)
    assert [*table.columns[0].cells][-1] == "mean ± deviation over 2 seeds"
    assert means == "0.7100 ± 0.0141, 0.7100"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["no-such-study"], "there is no study 'no-such-study'; the studies are ecg5000, digits"),
        (["ecg5000", "--classes", "2"], "--classes: has no effect on ecg5000, whose training examples are normal"),
        (["digits", "--classes", "0", "12"], "there is no class 12"),
        (["digits", "--conditional"], "conditional: has no effect, because only one class"),
        (["digits", "--batch-size", "2000"], "batch_size must be at most the"),
        (["digits", "--shift", "8"], "shift: expects images with sides of more than 8 pixels"),
        (["digits", "--repetitions", "0"], "--repetitions: must be between 1 and 1,000, got 0"),
        (["digits", "--repetitions", "1000000000"], "--repetitions: must be between 1 and 1,000, got 1,000,000,000"),
        (
            ["digits", "--seed", "4294967295", "--repetitions", "2"],
            "--seed: the seed of the last repetition must be below",
        ),
        (["ecg5000", "--seed", "4294967292"], "repetition must be below 4,294,967,296, got 4,29"),
        (["digits", "--resamples", "0"], "--resamples: must be between 2 and 100,000, got 0"),
        (["digits", "--resamples", "1000000000000"], "--resamples: must be between 2 and 100,000, got 1,000,000,"),
        (["digits", "--epochs", "0"], "epochs: input should be greater than 0"),
        (["digits", "--run-dir", "."], ".: exists already"),
        (["digits", *SMALL, "--run-dir", "afile/study"], "afile/study: cannot be created"),
        (["ecg5000", "--data-dir", "nowhere"], "there is no nowhere/ecg5000/ECG5000_TRAIN.txt"),
    ],
)
def test_mistakes(complaint_of, tmp_path, arguments, complaint):
    (tmp_path / "afile").touch()
    assert complaint in complaint_of("anomaly_study", *arguments)


@pytest.mark.slow
def test_a_study_that_fails_at_once_leaves_nothing_behind(complaint_of, tmp_path):
    arguments = ("digits", *SMALL, "--classes", "3", "--learning-rate", "1e29", "--run-dir", tmp_path / "study")
    assert "training stopped at step" in complaint_of("anomaly_study", *arguments)
    assert list(tmp_path.iterdir()) == []
