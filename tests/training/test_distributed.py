"""Several processes on this machine learn what one learns, and none waits for one that has gone."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from aejax.errors import UserError
from aejax.training.distributed import any_process, check_same, is_writer, together

PROGRAM = Path(__file__).with_name("train_families.py")
FAMILIES = "undercomplete variational denoising contractive sparse_kl free_bits mmd total_correlation conditional"
BY_TERMS_OF_THE_WHOLE_BATCH = ("denoising", "free_bits", "total_correlation")  # noise, a mean, all pairs


def free_address() -> str:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{listener.getsockname()[1]}"


def launch(folder: Path, *command: str | Path, processes: int, devices: int) -> list[subprocess.Popen[str]]:
    """The program, as one process or as a group, each with so many devices."""
    folder.mkdir()
    environment = os.environ | {"XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}"}
    address, group = free_address(), []
    for process in range(processes):
        place = ["--group", address, str(processes), str(process)] if processes > 1 else []
        arguments = [sys.executable, *map(str, command), *place]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        group.append(subprocess.Popen(arguments, cwd=folder, env=environment, text=True, **pipes))
    return group


def learn(
    folder: Path, processes: int, devices: int, families: list[str], *options: str
) -> list[dict[str, dict[str, np.ndarray]]]:
    """What each process has learned, by family."""
    command = (PROGRAM, folder, *options, "--families", *families)
    group = launch(folder, *command, processes=processes, devices=devices)
    for process in group:
        _, errors = process.communicate(timeout=600)
        assert process.returncode == 0, errors
    return [
        {family: dict(np.load(folder / f"{family}-{process}.npz")) for family in families}
        for process in range(processes)
    ]


def assert_close(learned: dict, expected: dict) -> None:
    for family, arrays in expected.items():
        assert learned[family].keys() == arrays.keys()
        for name, array in arrays.items():
            np.testing.assert_allclose(learned[family][name], array, atol=1e-5, rtol=1e-5, err_msg=f"{family} {name}")


@pytest.mark.slow
def test_two_processes_learn_what_one_device_learns(tmp_path: Path) -> None:
    """The order, the noise and the terms of the whole batch are those of one device, and both report the same."""
    families = list(BY_TERMS_OF_THE_WHOLE_BATCH)
    (expected,) = learn(tmp_path / "one", 1, 1, families)
    group = learn(tmp_path / "two", 2, 2, families)
    for learned in group:
        assert_close(learned, expected)
    np.testing.assert_equal(group[1], group[0])


@pytest.mark.slow
@pytest.mark.parametrize(("processes", "devices"), [(1, 8), (2, 4), (4, 2)])
def test_no_family_depends_on_the_topology(tmp_path: Path, processes: int, devices: int) -> None:
    families = FAMILIES.split()
    (expected,) = learn(tmp_path / "one", 1, 1, families)
    group = learn(tmp_path / "many", processes, devices, families)
    for learned in group:
        assert_close(learned, expected)
        np.testing.assert_equal(learned, group[0])


@pytest.mark.slow
def test_two_processes_that_stream_learn_what_resident_examples_teach(tmp_path: Path) -> None:
    """Each gathers its own share of every batch."""
    families = ["denoising", "conditional"]
    (expected,) = learn(tmp_path / "one", 1, 1, families)
    for learned in learn(tmp_path / "two", 2, 2, families, "--streamed"):
        assert_close(learned, expected)


WAITING = """
import sys, time
import jax
from aejax.errors import UserError
from aejax.training.distributed import any_process, together
_, _, coordinator, processes, process = sys.argv
with together(coordinator, int(processes), int(process)):
    any_process(False)
    print("met", flush=True)
    if process == "{who}":
        {deed}
    any_process(False)
"""


@pytest.fixture
def meet(tmp_path: Path):
    """Two processes that have met; one of them then does something, and the other waits for it."""
    group: list[subprocess.Popen[str]] = []

    def call(who: int, deed: str) -> list[subprocess.Popen[str]]:
        program = tmp_path / "waiting.py"
        program.write_text(WAITING.format(who=who, deed=deed))
        group.extend(launch(tmp_path / "group", program, processes=2, devices=1))
        for process in group:
            assert process.stdout is not None
            assert "met\n" in [process.stdout.readline() for _ in range(2)]  # the other one is Gloo's
        return group

    yield call
    for process in group:
        process.kill()
        process.communicate()


@pytest.mark.slow
@pytest.mark.parametrize("victim", [0, 1])
def test_a_process_that_is_killed_is_named_by_the_other_within_a_minute(meet, victim: int) -> None:
    group = meet(victim, "time.sleep(300)")
    killed = time.monotonic()
    group[victim].kill()
    _, errors = group[1 - victim].communicate(timeout=60)
    print(f"the survivor stopped after {time.monotonic() - killed:.1f} s: {errors}")
    assert group[1 - victim].returncode != 0
    if victim == 0:  # JAX's own message
        assert "Either the leader task was preempted/died/restarted" in errors
    else:
        assert errors.splitlines()[-1].startswith("waiting.py: error: process 1 has not answered for")
        assert "Traceback" not in errors


@pytest.mark.slow
@pytest.mark.parametrize(
    ("deed", "code", "message"),
    [
        ("raise UserError('the disk is full')", 2, "the disk is full"),
        ("raise RuntimeError('a defect')", 1, "a defect"),
    ],
)
def test_an_error_in_one_process_ends_all(meet, deed: str, code: int, message: str) -> None:
    group = meet(1, deed)
    errors = [process.communicate(timeout=30)[1] for process in group]
    assert [process.returncode for process in group] == [code, code]
    assert errors[0].splitlines()[-1] == f"waiting.py: error: process 1 has failed: {message}; process 0 stops"
    assert errors[1].splitlines()[-1] == f"waiting.py: error: {message}"


@pytest.mark.parametrize(
    ("place", "message"),
    [
        (("127.0.0.1:1234", None, 0), "go together"),
        (("127.0.0.1", 2, 0), "wants HOST:PORT, got 127.0.0.1"),
        (("127.0.0.1:1234", 2, 2), "between 0 and num_processes - 1, got 2 of 2"),
    ],
)
def test_places_that_cannot_be(place, message: str) -> None:
    with pytest.raises(UserError, match=message), together(*place):
        pass


def test_one_process_agrees_with_itself() -> None:
    assert is_writer()
    assert any_process(True)
    assert not any_process(False)
    check_same(3, "the step")
