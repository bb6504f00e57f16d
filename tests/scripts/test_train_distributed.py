"""The main job as a group of processes on one machine: one run folder, the result of one process, one end for all."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "train.py"
SMALL = ("--hidden", "16", "--code-size", "3", "--checkpoint-every", "1", "--patience", "None")
ENVIRONMENT = os.environ | {"XLA_FLAGS": ""}  # one device a process


@pytest.fixture
def launch(tmp_path: Path):
    """Starts the script as a group of so many processes; what is left of them at the end is killed."""
    started: list[subprocess.Popen[str]] = []

    def call(*arguments: str, processes: int = 2) -> list[subprocess.Popen[str]]:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{listener.getsockname()[1]}"
        group = []
        for process in range(processes):
            place = ["--coordinator", address, "--num-processes", str(processes), "--process-id", str(process)]
            command = [sys.executable, str(SCRIPT), *arguments, *(place if processes > 1 else [])]
            pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
            group.append(subprocess.Popen(command, cwd=tmp_path, env=ENVIRONMENT, text=True, **pipes))
        started.extend(group)
        return group

    yield call
    for process in started:
        process.kill()
        process.communicate()


def finish(group: list[subprocess.Popen[str]], code: int = 0) -> list[tuple[str, str]]:
    outputs = [process.communicate(timeout=300) for process in group]
    assert [process.returncode for process in group] == [code] * len(group), outputs
    return outputs


def records(run: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def wait_for_records(run: Path, number: int) -> None:
    deadline = time.monotonic() + 120
    while not ((run / "metrics.jsonl").exists() and len(records(run)) >= number):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def assert_equal_runs(run: Path, expected: Path) -> None:
    """Every record, of training, validation and test, but for the figures of the code, which rest on thresholds."""
    got, wanted = records(run), records(expected)
    assert len(got) == len(wanted)
    for one, other in zip(got, wanted, strict=True):
        assert one.keys() == other.keys()
        for name in (name for name in one if "code/" not in name):
            np.testing.assert_allclose(one[name], other[name], rtol=1e-4, atol=1e-5, err_msg=name)


@pytest.mark.slow
def test_a_group_stopped_by_a_signal_to_one_goes_on_and_ends_as_one_process_would(tmp_path: Path, launch) -> None:
    """SIGTERM reaches process 1 alone: both save, through process 0, and end with 75; the group resumes to the end."""
    finish(launch(*SMALL, "--epochs", "30", "--run-dir", "alone", processes=1))
    group = launch(*SMALL, "--epochs", "30", "--run-dir", "group")
    wait_for_records(tmp_path / "group", 2)
    group[1].send_signal(signal.SIGTERM)
    (output, _), (silent, _) = finish(group, code=75)
    assert "2 cpu devices of 2 processes" in output
    assert f"--resume {tmp_path / 'group'}" in output
    assert [line for line in silent.splitlines() if not line.startswith("[Gloo]")] == []
    stopped_after = len(records(tmp_path / "group"))
    finish(launch("--resume", "group"))
    assert stopped_after < len(records(tmp_path / "group"))
    assert_equal_runs(tmp_path / "group", tmp_path / "alone")
    assert (tmp_path / "group" / "figures" / "samples.png").exists()


@pytest.mark.slow
def test_a_group_whose_member_is_killed_stops_and_can_be_resumed_by_one_process(tmp_path: Path, launch) -> None:
    group = launch(*SMALL, "--epochs", "3000", "--run-dir", "run")
    wait_for_records(tmp_path / "run", 2)
    killed = time.monotonic()
    group[1].kill()
    _, errors = group[0].communicate(timeout=60)
    print(f"the survivor stopped after {time.monotonic() - killed:.1f} s")
    assert group[0].returncode == 1
    assert "process 1 has not answered" in errors
    launch("--resume", "run", processes=1)
    before = len(records(tmp_path / "run"))
    wait_for_records(tmp_path / "run", before + 2)


@pytest.mark.slow
def test_a_mistake_that_process_0_finds_ends_all_with_the_same_line(tmp_path: Path, launch) -> None:
    (tmp_path / "mine").mkdir()
    (_, first), (_, second) = finish(launch(*SMALL, "--run-dir", "mine"), code=2)
    assert "train.py: error: mine: exists already" in first
    assert "process 0 has failed: mine: exists already" in second


@pytest.mark.slow
def test_a_batch_that_does_not_divide_over_the_devices_of_all_is_refused(tmp_path: Path, launch) -> None:
    outputs = finish(launch(*SMALL, "--batch-size", "25", "--run-dir", "run"), code=2)
    for _, errors in outputs:
        assert "must be divisible by the 2 devices: 24 or 26, got 25" in errors
    assert not (tmp_path / "run").exists()
