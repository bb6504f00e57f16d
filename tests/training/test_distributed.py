"""Several processes on this machine learn what one learns, and none waits for one that has gone."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from aejax.errors import UserError
from aejax.training.distributed import any_process, check_same, is_writer, join_processes

PROGRAM = Path(__file__).with_name("train_families.py")
BY_TERMS_OF_THE_WHOLE_BATCH = ["denoising", "free_bits", "total_correlation"]  # noise, a mean, all pairs
FAMILIES = [*BY_TERMS_OF_THE_WHOLE_BATCH, *("undercomplete", "variational", "contractive", "sparse_kl", "mmd")]
FAMILIES += ["conditional"]


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


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, np.ndarray]]:
    """What one device learns, by family."""
    return learn(tmp_path_factory.mktemp("topology") / "one", 1, 1, FAMILIES)[0]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("processes", "devices", "families"),
    [(1, 8, FAMILIES), (2, 4, BY_TERMS_OF_THE_WHOLE_BATCH), (4, 2, ["total_correlation"])],
    ids=lambda value: str(value) if isinstance(value, int) else f"{len(value)} families",
)
def test_no_family_depends_on_the_topology(
    tmp_path: Path, expected: dict[str, dict[str, np.ndarray]], processes: int, devices: int, families: list[str]
) -> None:
    """The order, the noise and the terms of the whole batch are those of one device, and all report the same."""
    group = learn(tmp_path / "many", processes, devices, families)
    for learned in group:
        assert_close(learned, {family: expected[family] for family in families})
        np.testing.assert_equal(learned, group[0])


@pytest.mark.slow
def test_two_processes_that_stream_learn_what_resident_examples_teach(
    tmp_path: Path, expected: dict[str, dict[str, np.ndarray]]
) -> None:
    """Each gathers its own share of every batch."""
    families = ["denoising", "conditional"]
    for learned in learn(tmp_path / "two", 2, 2, families, "--streamed"):
        assert_close(learned, {family: expected[family] for family in families})


WAITING = """
import sys, time
import jax
from aejax.errors import UserError
from aejax.host.preemption import PreemptedError
from aejax.training.distributed import any_process, join_processes
_, _, coordinator, processes, process = sys.argv
with join_processes(coordinator, int(processes), int(process)):
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
@pytest.mark.parametrize(
    ("victim", "end", "message"),
    [
        (1, signal.SIGKILL, "process 1 has not answered for 30 s: it has died, or its machine has"),
        (0, signal.SIGKILL, "process 0 has died: the coordinator no longer answers"),
        (0, signal.SIGSTOP, "process 0 has not answered for 30 s: it has died, or its machine has"),
    ],
)
def test_a_process_that_dies_is_named_by_the_other_within_a_minute(
    meet, victim: int, end: signal.Signals, message: str
) -> None:
    """Killed, or as a machine that hangs: then its coordinator hangs, too."""
    group = meet(victim, "time.sleep(300)")
    ended = time.monotonic()
    coordinator = int(Path(f"/proc/{group[0].pid}/task/{group[0].pid}/children").read_text().split()[0])
    if end == signal.SIGSTOP:
        os.kill(coordinator, end)
    group[victim].send_signal(end)
    try:
        _, errors = group[1 - victim].communicate(timeout=60)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(coordinator, signal.SIGCONT)
    print(f"the survivor stopped after {time.monotonic() - ended:.1f} s: {errors}")
    assert group[1 - victim].returncode == 1
    assert errors.splitlines()[-1] == f"waiting.py: error: {message}; process {1 - victim} stops"
    assert "Traceback" not in errors


@pytest.mark.slow
def test_the_port_is_free_when_process_0_has_been_killed(meet) -> None:
    """The coordinator outlives it by seconds only: the group can meet again at the same address."""
    group = meet(0, "time.sleep(300)")
    address = group[0].args[-3]
    group[0].kill()
    group[1].communicate(timeout=60)
    deadline = time.monotonic() + 20
    while is_taken(address):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def is_taken(address: str) -> bool:
    host, _, port = address.rpartition(":")
    with socket.socket() as client:
        return client.connect_ex((host, int(port))) == 0


@pytest.mark.slow
def test_a_preemption_of_one_where_nothing_is_to_be_saved_ends_all(meet) -> None:
    group = meet(1, "raise PreemptedError(75)")
    errors = [process.communicate(timeout=30)[1] for process in group]
    assert [process.returncode for process in group] == [75, 75]
    assert "process 1 was asked to stop by SIGTERM; process 0 stops" in errors[0]


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
        (("127.0.0.1", 2, 0), "expects HOST:PORT, got 127.0.0.1"),
        (("127.0.0.1:1234", 2, 2), "between 0 and num_processes - 1, got 2 of 2"),
    ],
)
def test_places_that_cannot_be(place, message: str) -> None:
    with pytest.raises(UserError, match=message), join_processes(*place):
        pass


def test_one_process_agrees_with_itself() -> None:
    assert is_writer()
    assert any_process(True)
    assert not any_process(False)
    check_same(3, "the step")
