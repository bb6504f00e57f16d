"""Exit codes and the error line of a process that ends early."""

import sys

from aejax.host.escaping import printable

INTERRUPTED = 130  # exit code after Ctrl-C
PREEMPTED = 75  # exit code after SIGTERM, when the work can be resumed: EX_TEMPFAIL of sysexits.h


def program() -> str:
    """Returns the name of the running program, with which errors begin: `train.py`, or `aejax train`."""
    return sys.argv[0].rsplit("/", 1)[-1]


def print_error(message: object) -> None:
    """Prints "PROGRAM: error: MESSAGE" to stderr, as one line."""
    print(printable(f"{program()}: error: {message}"), file=sys.stderr, flush=True)
