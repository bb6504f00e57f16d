"""The study of anomalies in tables as a user runs it: its files, its tables, its refusals."""

import csv
import json
import math

import numpy as np
import pytest

from aejax.cli import study_adbench
from aejax.studies.adbench import MEAN, METHODS, PROTOCOLS, Mean

RNG = np.random.default_rng(0)


@pytest.fixture
def mine(tmp_path):
    """The file of a table of 40 rows, 6 of them anomalies with large values."""
    x, y = RNG.normal(size=(40, 3)), np.arange(40) >= 34
    np.savez(tmp_path / "mine.npz", X=x + 5 * y[:, None], y=y)
    return tmp_path / "mine.npz"


@pytest.mark.slow
def test_a_table_of_ones_own(run_script, mine, tmp_path):
    folder = tmp_path / "study"
    arguments = ("--tables", mine, "--seeds", "2", "--epochs", "2", "--hidden", "4", "--run-dir", folder)
    result = run_script("adbench_study", *arguments, "--no-compilation-cache")
    assert (result.code, result.errors) == (0, "")
    with (folder / "trials.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    key = [(row["table"], row["protocol"], row["seed"], row["method"]) for row in rows]
    assert key == [("mine", protocol, seed, method) for protocol in PROTOCOLS for seed in "01" for method in METHODS]
    summary = json.loads((folder / "summary.json").read_text())
    of_norm = [float(row["auroc"]) for row in rows if row["method"] == "norm" and row["protocol"] == "normal"]
    assert min(of_norm) > 0.95
    assert summary["normal"]["auroc"]["mine"]["norm"]["mean"] == pytest.approx(np.mean(of_norm))
    report = (folder / "report.txt").read_text()
    assert f"{np.mean(of_norm):.3f} ± " in report
    for protocol, description in PROTOCOLS.items():
        assert f"{protocol}, average precision: {description}; mean ± deviation over 2 seeds" in report
    assert json.loads((folder / "config.json").read_text())["training"]["epochs"] == 2


def test_the_best_of_every_row_is_marked():
    rows = {
        name: {"PCA": Mean(one, 0.25), "norm": Mean(other, math.nan)}
        for name, one, other in (("a", 0.5, 0.75), ("b", 0.5, 0.5001), (MEAN, 0.5, 0.3))
    }
    table = study_adbench._table("made up", ("PCA", "norm"), rows)
    of_names, pca, norm = ([str(cell) for cell in column.cells] for column in table.columns)
    assert of_names == ["a", "b", MEAN]
    assert pca == ["0.500 ± 0.250 ", "0.500 ± 0.250*", "0.500 ± 0.250*"]
    assert norm == ["0.750*", "0.500*", "0.300 "]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--tables", "nothing.npz"], "nothing.npz: no such file"),
        (["--tables", "cardio", "--data-dir", "."], "there are no .npz files in adbench: fetch"),
        (["--tables", "mine.npz", "mine.npz"], "--tables: two tables have the name mine"),
        (["--tables", "mine.npz", "--seeds", "0"], "--seeds: must be between 1 and 1,000, got 0"),
        (
            ["--tables", "mine.npz", "--seed", "4294967295"],
            "--seed: the last seed must be below 4,294,967,296, got 4,29",
        ),
        (["--tables", "mine.npz", "--protocols"], "--protocols: expected normal, contaminated or both"),
        (["--tables", "mine.npz", "--conditional"], "conditional: has no effect"),
        (["--tables", "mine.npz", "--epochs", "0"], "epochs: input should be greater than 0"),
        (["--tables", "mine.npz", "--hidden", "0"], "hidden.0: input should be greater than 0"),
        (["--tables", "mine.npz", "--run-dir", "."], ".: exists already"),
    ],
)
def test_mistakes(complaint_of, mine, arguments, complaint):
    assert complaint in complaint_of("adbench_study", *arguments)
