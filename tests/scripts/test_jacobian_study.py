"""The study of Jacobians as a user runs it: its folder, its report, its refusals."""

import csv
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from aejax.studies.jacobian.measure import Measurement
from aejax.studies.jacobian.settings import PRESETS
from aejax.studies.jacobian.study import load, run_study

SCRIPT = Path(__file__).parents[2] / "scripts" / "jacobian_study.py"
TINY = ("--units", "9", "--epochs", "2", "--seeds", "2", "--train-examples", "150", "--spectrum-examples", "5")
TINY += ("--methods", "ae", "dae-gaussian", "cae", "--contractive-weights", "0", "3", "--gaussian-deviations", "0.3")
ENVIRONMENT = os.environ | {"XLA_FLAGS": ""}  # one device, as on a user's machine


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), *arguments]
    return subprocess.run(command, cwd=cwd, env=ENVIRONMENT, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A whole study, with what it printed."""
    folder = tmp_path_factory.mktemp("study")
    result = run(*TINY, "--run-dir", "study", cwd=folder)
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    return folder / "study", result.stdout


@pytest.mark.slow
def test_the_library_gives_the_members_of_the_script(finished: tuple[Path, str]) -> None:
    folder, _ = finished
    study = replace(
        PRESETS["digits"][1],
        units=9,
        epochs=2,
        seeds=2,
        train_examples=150,
        spectrum_examples=5,
        methods=("ae", "dae-gaussian", "cae"),
        contractive_weights=(0.0, 3.0),
        gaussian_deviations=(0.3,),
    )
    outcome = run_study(study, load(study))
    for summary, written in zip(outcome.summaries, rows(folder / "grid.csv"), strict=True):
        assert summary.setting.knobs["method"] == written["method"]
        for term, mean in summary.mean.items():
            np.testing.assert_allclose(mean, float(written[term]), rtol=1e-3, err_msg=term)  # other fusions
    assert list(outcome.chosen) == ["ae", "dae-gaussian", "cae"]


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_the_folder_holds_all_that_it_should(finished: tuple[Path, str], drawn_fraction) -> None:
    folder, _ = finished
    files = {"config.json", "members.csv", "grid.csv", "grid.json", "report.txt", "figures", "groups", "data.sha256"}
    assert {path.name for path in folder.iterdir()} == files | {".lock"}
    assert json.loads((folder / "config.json").read_text())["units"] == 9
    members = rows(folder / "members.csv")
    assert len(members) == 2 * (1 + 1 + 2)
    assert all(np.isfinite(float(row[measure])) for row in members for measure in Measurement._fields)
    assert {path.name for path in (folder / "figures").iterdir()} == {
        "contraction.png",
        "error_against_strength.png",
        "filters.png",
        "spectra.png",
    }
    for path in (folder / "figures").iterdir():
        assert drawn_fraction(path) > 0.015, path.name


@pytest.mark.slow
def test_the_tables_agree(finished: tuple[Path, str]) -> None:
    """The grid is the members' means, each method is chosen once, and the report shows the chosen rows."""
    folder, output = finished
    members, grid = rows(folder / "members.csv"), rows(folder / "grid.csv")
    for row in grid:
        own = [m for m in members if (m["method"], m["strength"]) == (row["method"], row["strength"])]
        norms = np.array([float(m["jacobian_norm"]) for m in own])
        np.testing.assert_allclose(float(row["jacobian_norm"]), norms.mean())
        np.testing.assert_allclose(float(row["jacobian_norm_deviation"]), norms.std(ddof=1))
    chosen = [row for row in grid if row["chosen"] == "True"]
    assert [row["method"] for row in chosen] == list(dict.fromkeys(row["method"] for row in grid))
    report = (folder / "report.txt").read_text()
    for row in chosen:
        assert f"{float(row['jacobian_norm']):.3f} ± {float(row['jacobian_norm_deviation']):.3f}" in report
    records = json.loads((folder / "grid.json").read_text())
    assert [record["jacobian_norm"] for record in records["grid"]] == [float(row["jacobian_norm"]) for row in grid]
    for claim in records["claims"]:
        assert f"{'held' if claim['held'] else 'did not hold'}: {claim['text']}" in output
    for line in report.splitlines():
        assert line.strip() in output
    assert "\x1b" not in output  # plain lines where there is no terminal


@pytest.mark.slow
def test_the_contractive_norm_is_the_lower_for_the_greater_weight(finished: tuple[Path, str]) -> None:
    without, strong = (row for row in rows(finished[0] / "grid.csv") if row["method"] == "cae")
    assert float(strong["jacobian_norm"]) < float(without["jacobian_norm"])


@pytest.mark.slow
def test_progress_and_summary_are_printed(finished: tuple[Path, str]) -> None:
    _, output = finished
    assert "150 train, 300 validation, 359 test examples" in output
    assert "[1/3] training: 2/2 epochs, 4 autoencoders" in output  # the plain one, and that with a weight of 0
    assert "[3/3] measuring: 2/2 autoencoders" in output
    assert "s in all; the study is in study" in output


def test_help_names_the_presets(tmp_path: Path) -> None:
    result = run("--help", cwd=tmp_path)
    assert result.returncode == 0
    for word in ("digits", "mnist", "--contractive-weights", "report.txt", "Rifai"):
        assert word in result.stdout


# --- refusals: one line that names the culprit, exit code 2, nothing written -------------------------------------


@pytest.fixture
def refused(complaint_of: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Runs the script in this process and returns its one line of complaint."""
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")  # so that the script need not set it for the tests after this one
    return partial(complaint_of, "jacobian_study")


@pytest.mark.parametrize(
    ("arguments", "culprit"),
    [
        (["no-such-preset"], "there is no preset 'no-such-preset'; the presets are digits, mnist"),
        (["--contractive-weights", "-1"], "contractive_weights: input should be greater than or equal to 0, got -1.0"),
        (["--contractive-weights", "0.1", "nan"], "contractive_weights"),
        (["--masking-amounts", "2"], "masking_amounts: input should be less than or equal to 1, got 2.0"),
        (["--methods", "rbm"], "--methods"),
        (["--methods"], "methods: must have at least one value and no duplicates, got none"),
        (["--methods", "ae", "ae"], "methods: must have at least one value and no duplicates, got ae, ae"),
        (["--seeds", "0"], "seeds: input should be greater than 0, got 0"),
        (["--seeds", "none"], "--seeds"),
        (["--batch-size", "5000"], "batch_size: must be at most the 1138 training examples, got 5000"),
        (
            ["--train-examples", "99999"],
            "train_examples: must be at most 1138, the number of training examples, got 99999",
        ),
        (["--devices", "100"], "devices"),
        (["--dataset", "no_such_set"], "no_such_set"),
        (["mnist", "--data-dir", "missing"], "mnist is not prepared"),
        (["--no-such-flag", "1"], "--no-such-flag"),
    ],
)
def test_mistakes_on_the_command_line(refused, arguments: list[str], culprit: str) -> None:
    assert culprit in refused(*arguments)


def test_a_folder_that_exists(refused, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    assert "mine: exists already" in refused("--run-dir", "mine")


@pytest.mark.parametrize(
    ("arguments", "culprit"),
    [
        (["--dataset", "mine.npz"], "expects values in [0, 1], but they range from -1 to 2; scale them"),
        (["--dataset", "mine.npy"], "mine.npy has no labels, but the study requires them to classify codes"),
    ],
)
def test_data_that_do_not_fit(refused, tmp_path: Path, arguments: list[str], culprit: str) -> None:
    np.savez(tmp_path / "mine.npz", x=np.linspace(-1, 2, 400).reshape(100, 4), labels=np.arange(100) % 2)
    np.save(tmp_path / "mine.npy", np.linspace(0, 1, 400).reshape(100, 4))
    assert culprit in refused(*arguments)


@pytest.mark.slow
def test_training_that_diverges_names_the_member(tmp_path: Path) -> None:
    result = run(*TINY, "--methods", "weight-decay", "--weight-decays", "0.1", "--learning-rate", "9e29", cwd=tmp_path)
    assert result.returncode == 2
    assert "weight-decay with strength 0.1 and seed 0 has a loss that is not finite" in result.stderr
    assert result.stderr.count("\n") == 1
