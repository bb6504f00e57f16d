"""Conventions of every command: one clear line and exit code 2 for a user's mistake, a traceback for a bug."""

import contextlib
import errno
import io
import json
import logging
import os
import re
import shutil
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import tyro

from aejax.errors import ArgumentError, UserError, knobs_as_options
from aejax.host.environment import avoid_slow_fusions
from aejax.host.exits import INTERRUPTED, print_error, program
from aejax.host.files import read_text, write_text
from aejax.host.streams import PipeSafeStream
from aejax.host.suggestions import did_you_mean, unknown

Options = TypeVar("Options")
_SYSTEM_ERRORS = (  # the user's machine is at fault, not the program
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EFBIG,
    errno.EROFS,
    errno.EACCES,
    errno.EPERM,
    errno.EIO,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.ENAMETOOLONG,
)


def parse(
    options: type[Options],
    arguments: Sequence[str],
    *,
    default: Options | None = None,
    names: str = "",
    description: str,
) -> Options:
    """Returns the options that a command's arguments set.

    Args:
      options: a dataclass; its fields are the options.
      arguments: the words after the command's name.
      default: values of options that are not given; None for those of the dataclass.
      names: positional words before the options, for the first line of the help, such as `[PRESET]`.
      description: the text at the beginning of the help.

    Raises:
      UserError: an unknown option or a value that it does not accept, in one line.
    """
    message = io.StringIO()
    try:
        with contextlib.redirect_stderr(message):
            return tyro.cli(
                tyro.conf.OmitArgPrefixes[options],  # type: ignore
                args=list(arguments),
                default=default,
                prog=f"{program()} {names}".strip(),
                description=description,
            )
    except SystemExit as stop:
        if stop.code == 0:
            raise
        raise UserError(_one_line(message.getvalue())) from stop


def take_name(
    arguments: Sequence[str], names: Collection[str], *, default: str, kind: str, kinds: str
) -> tuple[str, Sequence[str]]:
    """Returns the name that the arguments begin with, and the other arguments.

    Args:
      arguments: the words after the command's name.
      names: the names that are known.
      default: the name if the arguments begin with an option.
      kind: what messages call a name.
      kinds: its plural.

    Raises:
      UserError: an unknown name.

    >>> take_name(["mnist", "--seeds", "2"], ("digits", "mnist"), default="digits", kind="preset", kinds="presets")
    ('mnist', ['--seeds', '2'])
    """
    name = default
    if arguments and not arguments[0].startswith("-"):
        name, *arguments = arguments
    if name not in names:
        raise UserError(unknown(kind, name, names, kinds=kinds))
    return name, arguments


def check_free(path: Path) -> None:
    """Raise UserError if a file or folder that will be written exists already or cannot be created.

    Missing parent folders are no error: `new_folder` and `new_file` create them when there is something to write.
    """
    if os.path.lexists(path):
        raise UserError(f"{path}: exists already; choose another name")
    check_can_be_made(path)


def check_can_be_made(path: Path) -> None:
    """Raise UserError if the nearest existing parent of a path is not a folder, or is not writable."""
    above = next(folder for folder in path.absolute().parents if os.path.lexists(folder))
    if not above.is_dir():
        raise UserError(f"{path}: cannot be created: {above} is not a folder")
    if not os.access(above, os.W_OK | os.X_OK):
        raise UserError(f"{path}: cannot be created: {above} is not writable")


def open_folder(folder: Path, configuration: dict[str, Any], *, kind: str) -> None:
    """Makes a new folder with its configuration, or ensures that the folder holds the same one, to go on with.

    Args:
      folder: the value of --run-dir.
      configuration: what must be the same, as JSON can hold it.
      kind: a noun for what the folder holds.

    Raises:
      UserError: the folder cannot be made, holds something else, or was made with another configuration.
    """
    path = folder / "config.json"
    if not os.path.lexists(folder):
        check_can_be_made(folder)
        folder.mkdir(parents=True)
        write_text(path, json.dumps(configuration, indent=2) + "\n")
    elif not path.is_file():
        raise UserError(f"{folder}: exists, and is no folder of a {kind}; choose another --run-dir")
    elif (found := json.loads(read_text(path, limit=2**20))) != configuration:
        differing = ", ".join(f"{key} {value}" for key, value in found.items() if configuration.get(key) != value)
        raise UserError(f"{folder}: holds a {kind} with {differing}; choose another --run-dir")


@contextlib.contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Yields a folder to write into, which is renamed to `path` at the end; after an error it is removed.

    Missing parent folders are created.
    """
    partial = path.absolute().with_name(f".{path.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
        partial.rename(path)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


@contextlib.contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """Yields a file to write bytes into, which is renamed to `path` at the end; after an error it is removed.

    Missing parent folders are created.
    """
    partial = path.absolute().with_name(f".{path.name}.partial")
    partial.parent.mkdir(parents=True, exist_ok=True)
    try:
        with partial.open("wb") as file:
            yield file
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def check_seed(seed: int) -> None:
    """Raise UserError for a seed outside [0, 2**32), whose key would equal that of another seed."""
    if not 0 <= seed < 2**32:
        raise ArgumentError("seed", f"must be between 0 and {2**32 - 1}, got {seed}")


def run(main: Callable[[], None]) -> None:
    """Run a script's main function; a UserError becomes a line on stderr and exit code 2, Ctrl-C exit code 130.

    System errors such as a full disk or a folder without write permission are reported in the same way.
    """
    avoid_slow_fusions()  # before a script imports JAX
    sys.stdout = PipeSafeStream(sys.stdout)
    logging.getLogger("absl").setLevel(logging.CRITICAL)  # errors of Orbax are reported in one line of ours
    with knobs_as_options():
        try:
            main()
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
            sys.exit(INTERRUPTED)
        except (UserError, OSError) as error:
            if isinstance(error, OSError):
                if error.errno not in _SYSTEM_ERRORS:
                    raise
                error = UserError(f"{error.filename or 'a file'}: {error.strerror}")
            print_error(error)
            sys.exit(2)


def _one_line(box: str) -> str:
    """Returns the message in the box that tyro draws around an error, with the option that tyro suggests."""
    rows = [row.strip(" │") for row in box.splitlines()]
    rows = [row for row in rows if not row.startswith(("╭", "╰"))]
    ends = [number for number, row in enumerate(rows) if set(row) <= {"─"}]
    message = " ".join(rows[: ends[0]] if ends else rows)
    if unknown := re.match(r"Unrecognized options: (-.*)", message):  # leave out the values that follow the options
        message = "Unrecognized options: " + ", ".join(re.findall(r"-[^,\s]*[a-z][^,\s]*", unknown[1]))
    if choice := re.fullmatch(r"invalid choice '(.*)' for argument '(.*)'\. Expected one of \((.*)\)\.", message):
        given, option, known = choice[1], choice[2], re.findall(r"'([^']*)'", choice[3])
        return f"{option}: must be one of {', '.join(known)}, got {given!r}{did_you_mean(given, known)}"
    similar = re.search(r"Perhaps you meant:\n(--[\w-]+)", "\n".join(row for row in rows if set(row) - {"─"}))
    return f"{message} (perhaps you meant {similar[1]})" if similar else message
