"""Stops a program on request: SIGTERM ends it with exit code 75 within seconds, and Ctrl-C lets it save its work."""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType

from aejax.host.exits import PREEMPTED

GRACE = 8.0  # seconds from SIGTERM until the process is ended by force


class PreemptedError(SystemExit):
    """Raised by SIGTERM when there is nothing to save; ends the program with exit code 75."""


@contextlib.contextmanager
def preemptible() -> Iterator[None]:
    """Context manager in which SIGTERM raises `PreemptedError`; `asked_to_stop` overrides that inside a training loop.

    Python handles a signal only between two of its own instructions, and a compiled call, or writing a checkpoint to a
    slow disk, may take long. Therefore the process is ended by force `GRACE` seconds after SIGTERM if it is still
    running; progress since the last complete checkpoint is lost. After the body SIGTERM is ignored, unless the body
    raised an exception.
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
        # once the work is done or saved, the process keeps its own exit code
        signal.signal(signal.SIGTERM, before if has_failed else signal.SIG_IGN)
        over.set()
        os.close(writer)  # ends the thread


@contextlib.contextmanager
def asked_to_stop() -> Iterator[list[int]]:
    """Context manager that records Ctrl-C and SIGTERM instead of acting on them; a second Ctrl-C interrupts as usual.

    Outside the main thread, which alone receives signals, it records none.

    Returns:
      A list of the signals received so far. The body checks it and stops when it is no longer empty.
    """
    received: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        received.append(number)
        # not print(), which the signal may have interrupted
        os.write(2, b"stopping: saving a checkpoint first; press Ctrl-C again to stop without it\n")
        signal.signal(signal.SIGINT, signal.default_int_handler)

    # only the main thread of a program receives signals
    numbers = (signal.SIGINT, signal.SIGTERM) if threading.current_thread() is threading.main_thread() else ()
    before = [(number, signal.signal(number, note)) for number in numbers]
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
