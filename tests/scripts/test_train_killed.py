"""The main job killed at random moments: each run is resumed and ends with the same bits as one that never was.

AEJAX_KILLS says how many kills of each signal; 2 if not given.
"""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "train.py"
EPOCHS = 25
ARGUMENTS = ("--hidden", "16", "--code-size", "3", "--checkpoint-every", "1", "--patience", "None")
ENVIRONMENT = os.environ | {"XLA_FLAGS": ""}  # one device, as on a user's machine
KILLS = range(int(os.environ.get("AEJAX_KILLS", "2")))
pytestmark = pytest.mark.slow


class Whole(NamedTuple):
    """A run that was not stopped."""

    path: Path
    seconds: float


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, str(SCRIPT), *map(str, arguments)]


def records(run: Path) -> list[dict[str, float]]:
    """What had been written whole; the last line may be cut off."""
    metrics = run / "metrics.jsonl"
    return [json.loads(line) for line in metrics.read_text().split("\n")[:-1]] if metrics.exists() else []


def newest(run: Path) -> int | None:
    """The step of the newest checkpoint that is whole on disk."""
    steps = [int(path.parent.name) for path in (run / "checkpoints").glob("*/sha256sums")]
    return max(steps, default=None)


def arrays(run: Path) -> dict[str, np.ndarray]:
    """Every array of the newest checkpoint: parameters, optimizer, key and step."""
    import jax
    import orbax.checkpoint as ocp

    with ocp.StandardCheckpointer() as checkpointer:
        tree = checkpointer.restore(run / "checkpoints" / str(newest(run)) / "arrays")
    return {jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in jax.tree_util.tree_leaves_with_path(tree)}


def assert_same_bits(run: Path, whole: Path) -> None:
    got, expected = arrays(run), arrays(whole)
    assert got.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(got[name], array, err_msg=name)
    assert (run / "metrics.jsonl").read_bytes() == (whole / "metrics.jsonl").read_bytes()
    assert {path.name for path in (run / "figures").iterdir()} == {path.name for path in (whole / "figures").iterdir()}


def state_of(run: Path) -> str:
    """In what a run was stopped, as far as its folder tells."""
    if not run.exists():
        return "starting"
    if newest(run) is None:
        return "before the first checkpoint was whole"
    if any((run / "figures").iterdir()):
        return "drawing figures"
    steps = [path.name for path in (run / "checkpoints").iterdir()]
    writing = len(steps) > len(list((run / "checkpoints").glob("*/sha256sums")))
    return f"{'writing a checkpoint' if writing else 'between checkpoints'} at step {newest(run)}"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    folder = tmp_path_factory.mktemp("whole")
    arguments = (*ARGUMENTS, "--epochs", EPOCHS, "--run-dir")
    subprocess.run(command(*arguments, folder / "first"), env=ENVIRONMENT, check=True)  # fills the compilation cache
    started = time.monotonic()
    subprocess.run(command(*arguments, folder / "run"), env=ENVIRONMENT, check=True)
    seconds = time.monotonic() - started
    assert_same_bits(folder / "run", folder / "first")
    return Whole(folder / "run", seconds)


@pytest.fixture
def stopped(whole: Whole, tmp_path: Path) -> Iterator:
    """Starts a run, sends it a signal after a time, and returns how it ended, what it printed, how long it took.

    Where the run has ended before (a machine is not always as slow), once more, and earlier.
    """
    started: list[subprocess.Popen[str]] = []

    def stop(number: signal.Signals, seconds: float) -> tuple[int, str, float]:
        process = subprocess.Popen(
            command(*ARGUMENTS, "--epochs", EPOCHS, "--run-dir", tmp_path / "run"),
            env=ENVIRONMENT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        started.append(process)
        time.sleep(seconds)
        process.send_signal(number)
        sent = time.monotonic()
        output, _ = process.communicate(timeout=60)
        if process.returncode == 0 and "the run is in" in output:
            shutil.rmtree(tmp_path / "run")
            return stop(number, 0.8 * seconds)
        print(f"{number.name} after {seconds:.2f} s of about {whole.seconds:.2f}: {state_of(tmp_path / 'run')}")
        return process.returncode, output, time.monotonic() - sent

    yield stop
    for process in started:
        process.kill()
        process.communicate()


def moment(kill: int, whole: Whole) -> float:
    """A random moment in the kill's own stretch of a whole run, so that all kills together reach every part of it."""
    return whole.seconds * (kill + random.Random(kill).random()) / len(KILLS)


def resume_and_compare(run: Path, whole: Path, last: int | None) -> None:
    """At most what follows the last whole checkpoint is lost, and the end is the same to the bit."""
    if not run.exists():  # nothing had begun, and nothing is in the way of beginning
        result = subprocess.run(
            command(*ARGUMENTS, "--epochs", EPOCHS, "--run-dir", run), env=ENVIRONMENT, capture_output=True, text=True
        )
        assert result.returncode == 0, result.stderr
    else:
        result = subprocess.run(command("--resume", run), env=ENVIRONMENT, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stderr
        announced = re.search(r"at step (\d+)", result.stdout)
        assert announced is not None
        assert int(announced[1]) >= (last or 0)
    assert result.stderr == ""
    assert_same_bits(run, whole)
    shutil.rmtree(run)


@pytest.mark.parametrize("kill", KILLS)
def test_a_run_that_is_killed_loses_at_most_one_interval(whole: Whole, stopped, tmp_path: Path, kill: int) -> None:
    run = tmp_path / "run"
    seconds = moment(kill, whole)
    code, output, _ = stopped(signal.SIGKILL, seconds)
    last = newest(run)
    assert code == -signal.SIGKILL, output
    steps_per_epoch = records(whole.path)[0]["step"]
    reached = max((record["step"] for record in records(run)), default=0)
    assert (last or 0) >= reached - steps_per_epoch  # a checkpoint every epoch: at most one epoch is lost
    resume_and_compare(run, whole.path, last)


@pytest.mark.parametrize("kill", KILLS)
def test_a_run_that_is_preempted_ends_within_ten_seconds(whole: Whole, stopped, tmp_path: Path, kill: int) -> None:
    run = tmp_path / "run"
    seconds = moment(kill, whole)
    code, output, took = stopped(signal.SIGTERM, seconds)
    print(f"exit code {code} after {took:.2f} s")
    assert took < 10
    if code == -signal.SIGTERM:  # within the first imports: no line of the script had been reached
        assert not run.exists()
    else:
        assert code == 75, output
    assert "Traceback" not in output
    resume_and_compare(run, whole.path, newest(run))
