"""How a process ends before its work is done: exit codes, and one line on stderr."""

import sys

from aejax.host.escaping import printable

INTERRUPTED = 130  # the exit code of a process ended by Ctrl-C
PREEMPTED = 75  # of one that was asked to end by SIGTERM, and can be continued: EX_TEMPFAIL of sysexits.h


def print_error(message: object) -> None:
    """Print the line on stderr that a user's mistake ends with, or goes on from."""
    program = sys.argv[0].rsplit("/", 1)[-1]
    print(printable(f"{program}: error: {message}"), file=sys.stderr, flush=True)
