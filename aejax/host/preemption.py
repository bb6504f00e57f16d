"""What asks a script to stop: SIGTERM ends it with exit code 75 within seconds, whatever it is doing; and Ctrl-C."""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType

from aejax.host.exits import PREEMPTED

GRACE = 8.0  # seconds from SIGTERM to the end by force


class PreemptedError(SystemExit):
    """Raised by SIGTERM where nothing is left to be saved; ends a script with exit code 75."""


@contextlib.contextmanager
def preemptible() -> Iterator[None]:
    """Within the body SIGTERM raises `PreemptedError`; a training loop takes the signal for itself while it runs.

    Neither may come to it in time: Python tells of a signal between two of its own instructions only, and a compiled
    call, or a checkpoint on a slow disk, may take long. After `GRACE` seconds the process ends as it is: what follows
    the last whole checkpoint is lost. After the body the signal is ignored, unless there was an error.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    over = threading.Event()
    before = signal.signal(signal.SIGTERM, _raise)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    threading.Thread(target=_end_by_force, args=(reader, over), daemon=True).start()
    has_failed = False
    try:
        yield
    except Exception:
        has_failed = True
        raise
    finally:
        signal.set_wakeup_fd(-1)
        # where the work is done, or saved, what ends by itself keeps its exit code
        signal.signal(signal.SIGTERM, before if has_failed else signal.SIG_IGN)
        over.set()
        os.close(writer)  # which ends the thread


@contextlib.contextmanager
def asked_to_stop() -> Iterator[list[int]]:
    """A list that is empty until Ctrl-C or SIGTERM; within the body these do nothing else, but for a second Ctrl-C."""
    received: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        received.append(number)
        # not print: the signal may have come within one
        os.write(2, b"asked to stop: a checkpoint follows; Ctrl-C once more stops without it\n")
        signal.signal(signal.SIGINT, signal.default_int_handler)

    before = [(number, signal.signal(number, note)) for number in (signal.SIGINT, signal.SIGTERM)]
    try:
        yield received
    finally:
        for number, handler in before:
            signal.signal(number, handler)


def _raise(_: int, __: FrameType | None) -> None:
    raise PreemptedError(PREEMPTED)


def _end_by_force(reader: int, over: threading.Event) -> None:
    while number := os.read(reader, 1):
        if number[0] == signal.SIGTERM and not over.wait(GRACE):
            program = os.path.basename(sys.argv[0])
            os.write(2, f"{program}: ended {GRACE:.0f} s after SIGTERM, without a new checkpoint\n".encode())
            os._exit(PREEMPTED)
    os.close(reader)
