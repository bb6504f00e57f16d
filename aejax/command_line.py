"""The manners of every script: one clear line for a user's mistake, exit code 2; a traceback for a mistake of ours."""

import contextlib
import io
import re
import sys
from collections.abc import Callable, Sequence
from typing import TypeVar

import tyro

from aejax.errors import UserError

Options = TypeVar("Options")
INTERRUPTED = 130  # the exit code of a process ended by Ctrl-C


def parse(
    options: type[Options],
    arguments: Sequence[str],
    *,
    default: Options | None = None,
    program: str,
    description: str,
) -> Options:
    """Options from the command line; UserError in one line where they cannot be understood."""
    message = io.StringIO()
    try:
        with contextlib.redirect_stderr(message):
            return tyro.cli(
                tyro.conf.OmitArgPrefixes[options],  # type: ignore
                args=list(arguments),
                default=default,
                prog=program,
                description=description,
            )
    except SystemExit as stop:
        if stop.code == 0:
            raise
        raise UserError(_one_line(message.getvalue())) from stop


def run(main: Callable[[], None]) -> None:
    """Run a script's main function; a UserError becomes a line on stderr and exit code 2, Ctrl-C exit code 130."""
    try:
        main()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except UserError as error:
        program = sys.argv[0].rsplit("/", 1)[-1]
        print(f"{program}: error: {error}", file=sys.stderr)
        sys.exit(2)


def _one_line(box: str) -> str:
    """The message of the box that tyro draws around an error, and the option it suggests."""
    rows = [row.strip(" │") for row in box.splitlines()]
    rows = [row for row in rows if not row.startswith(("╭", "╰"))]
    ends = [number for number, row in enumerate(rows) if set(row) <= {"─"}]
    message = " ".join(rows[: ends[0]] if ends else rows)
    similar = re.search(r"Perhaps you meant:\n(--[\w-]+)", "\n".join(row for row in rows if set(row) - {"─"}))
    return f"{message} (perhaps you meant {similar[1]})" if similar else message
