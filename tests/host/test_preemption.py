"""SIGTERM ends a program with exit code 75, by an exception where Python can be reached, by force where it cannot."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from aejax.errors import UserError
from aejax.host.preemption import GRACE, PreemptedError, asked_to_stop, preemptible

PROGRAM = """
import os, signal, sys, time
from aejax.host import preemption
preemption.GRACE = 0.5
with preemption.preemptible():
    {body}
"""


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Restores the signal handlers of the test run."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def run(body: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", PROGRAM.format(body=body)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_sigterm_raises_an_exception() -> None:
    with pytest.raises(PreemptedError) as stop, preemptible():  # noqa: PT012
        os.kill(os.getpid(), signal.SIGTERM)
        signal.pause()
    assert stop.value.code == 75
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_IGN


def test_an_error_leaves_the_signal_as_it_was() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(UserError), preemptible():
        raise UserError("a mistake")
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_signal_that_comes_when_all_is_done_changes_nothing() -> None:
    result = run("pass\nos.kill(os.getpid(), signal.SIGTERM)\nprint('whole')")
    assert (result.returncode, result.stdout) == (0, "whole\n"), result.stderr


def test_a_program_that_ignores_the_exception_is_ended_by_force() -> None:
    """The program suppresses the exception and would never end."""
    endless = "import contextlib\n    with contextlib.suppress(SystemExit): os.kill(os.getpid(), signal.SIGTERM)\n"
    result = run(endless + "    time.sleep(50)")
    assert result.returncode == 75
    assert "after SIGTERM, without a new checkpoint" in result.stderr
    assert GRACE < 10


def test_a_program_that_ends_in_time_is_not_ended_by_force() -> None:
    """The body ends within the grace period, the program after it."""
    asked = "with preemption.asked_to_stop(): os.kill(os.getpid(), signal.SIGTERM)\ntime.sleep(1.0)\nprint('whole')"
    result = run(asked)
    assert (result.returncode, result.stdout) == (0, "whole\n"), result.stderr


def test_a_training_loop_handles_the_signal_itself() -> None:
    with preemptible():
        with asked_to_stop() as stop:
            assert stop == []
            os.kill(os.getpid(), signal.SIGTERM)
            while not stop:
                pass
            assert stop == [signal.SIGTERM]
        with pytest.raises(PreemptedError):  # noqa: PT012
            os.kill(os.getpid(), signal.SIGTERM)
            signal.pause()
