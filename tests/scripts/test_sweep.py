"""`aejax sweep`: what it writes, that it continues after it was killed, and its complaints."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from aejax.cli import sweep
from aejax.experiment.preset_file import read_preset

SCRIPT = Path(__file__).parents[2] / "scripts" / "sweep.py"
SMALL = ("digits-contractive", "--code-size", "4", "--batch-size", "128", "--seeds", "2", "--devices", "1")


@pytest.fixture
def refused(complaint_of):
    """`refused(argument, ...)`: the one line of a sweep that ends with exit code 2."""
    return lambda *arguments: complaint_of("sweep", *arguments)


def test_every_word_is_a_value():
    arguments = ["digits-vae", "--beta", "0.5", "1", "--hidden", "8,4", "16", "--clip-norm=1", "--no-conditional"]
    options, plan, name = sweep._parse([*arguments, "--seeds", "4"])
    assert (options.seeds, name) == (4, "digits-vae")
    assert plan is not None
    assert plan.values == {"beta": (0.5, 1.0), "hidden": ((8, 4), (16,))}
    assert plan.experiment.optimization.clip_norm == 1.0
    assert not plan.experiment.model.conditional


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["digits-contractive", "--contractive-weight", "0.1", "x"], "--contractive-weight"),
        (["digits-contractive", "--beta", "1", "2"], "beta: requires family variational"),
        (["digits-contractive", "--learning-rate", "0.1", "0.1"], "--learning-rate: expected at least one value"),
        (["--seed", "1", "2"], "--seed: is not swept"),
        (["digit-vae"], "did you mean digits-vae"),
        (["--resume", "nothing"], "nothing: is no folder of a sweep: there is no sweep.json in it"),
        (["--resume", "nothing", "--beta", "1", "2"], "--resume: a sweep continues with the values that it began with"),
        (["--split-seed", "0", "1"], "split_seed: the values change the validation examples"),
        (["--choose-by", "elb", "--beta", "1", "2"], "--choose-by: there is no term of every setting 'elb'"),
    ],
)
def test_mistakes_in_sweeps(refused, arguments: list[str], complaint: str) -> None:
    assert complaint in refused(*arguments, "--devices", "1")


@pytest.mark.slow
def test_what_a_sweep_writes(run_script, drawn_fraction, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    values = ("--learning-rate", "1e-4", "1e-2", "--epochs", "2")
    result = run_script("sweep", *SMALL, *values, "--run-dir", "sweep")
    assert (result.code, result.errors) == (0, "")
    folder = tmp_path / "sweep"
    settings = list(csv.DictReader((folder / "settings.csv").read_text().splitlines()))
    assert [row["best"] for row in settings] == ["False", "True"]
    members = list(csv.DictReader((folder / "members.csv").read_text().splitlines()))
    assert [(row["learning_rate"], row["seed"]) for row in members] == [
        (rate, seed) for rate in ("0.0001", "0.01") for seed in ("0", "1")
    ]
    mean = sum(float(row["validation/contractive_penalty"]) for row in members[2:]) / 2
    assert float(settings[1]["validation/contractive_penalty"]) == pytest.approx(mean)
    best = read_preset(folder / "best.json")
    assert (best.optimization.learning_rate, best.model.code_size, best.training.epochs) == (1e-2, 4, 2)
    report = (folder / "report.txt").read_text()
    assert "best by validation/reconstruction: learning_rate 0.01" in report
    assert "aejax train --preset-file" in report
    assert drawn_fraction(folder / "figures" / "terms_against_learning_rate.png") > 0.015
    assert "4 autoencoders, trained together" in result.output


@pytest.mark.slow
def test_a_sweep_that_is_killed_continues(tmp_path: Path) -> None:
    """By SIGKILL, in its second group: the first one is not trained again."""
    environment = os.environ | {"XLA_FLAGS": ""}
    values = ("--code-size", "3", "4", "--epochs", "400", "--checkpoint-every", "5", "--patience", "None")
    command = [sys.executable, str(SCRIPT), "digits-contractive", *values, "--seeds", "2", "--run-dir", "sweep"]
    process = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 300
    while not list(tmp_path.glob("sweep/groups/1/*/sha256sums")) and time.monotonic() < deadline:
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    first = (tmp_path / "sweep" / "groups" / "0.json").stat()
    assert not (tmp_path / "sweep" / "groups" / "1.json").exists()
    command = [sys.executable, str(SCRIPT), "--resume", "sweep"]
    resumed = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert (resumed.returncode, resumed.stderr) == (0, "")
    assert (tmp_path / "sweep" / "groups" / "0.json").stat().st_mtime_ns == first.st_mtime_ns
    assert len(json.loads((tmp_path / "sweep" / "groups" / "1.json").read_text())) == 2
    assert (tmp_path / "sweep" / "best.json").exists()
