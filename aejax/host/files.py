"""Files that are named by a user or lie in a run folder: regular ones alone are opened, text is UTF-8 everywhere."""

import os
import stat
from pathlib import Path
from typing import BinaryIO

from aejax.errors import UserError
from aejax.host.suggestions import no_such_file

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}


def open_regular(path: Path) -> BinaryIO:
    """Opens a file to be read as bytes.

    A named pipe or a device would be waited for, or read, for ever.

    Raises:
      UserError: there is no such file, it cannot be opened, or it is not a regular file.
    """
    check_regular(path)
    try:
        # it may have been exchanged since: a pipe is not waited for
        file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb")
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error
    if not stat.S_ISREG(mode := os.fstat(file.fileno()).st_mode):
        file.close()
        raise UserError(f"{path}: {_expected(mode)}")
    return file


def check_regular(path: Path) -> None:
    """Raise UserError unless a path, or what a link there leads to, is a regular file."""
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError as error:
        raise UserError(no_such_file(path)) from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:  # a character that no path has
        raise UserError(f"{path}: cannot be the name of a file") from error
    if not stat.S_ISREG(mode):
        raise UserError(f"{path}: {_expected(mode)}")


def check_tree(folder: Path, *, links: bool = True) -> None:
    """Raise UserError where a folder holds, at any depth, what is neither a folder nor a regular file.

    Args:
      folder: which need not exist.
      links: whether links to files and folders are allowed.
    """
    for parent, folders, files in os.walk(folder):
        for entry in (Path(parent, name) for name in (*folders, *files)):
            if not links and entry.is_symlink():
                raise UserError(f"{entry}: is a link, expected a regular file or a folder in {folder}")
            if not entry.is_dir():
                check_regular(entry)


def read_bytes(path: Path, *, limit: int | None = None) -> bytes:
    """Reads a regular file.

    Args:
      path: of the file.
      limit: bytes that a file of its kind has at most.

    Raises:
      UserError: what `open_regular` refuses, a file that is larger, or an error in reading.
    """
    with open_regular(path) as file:
        try:
            content = file.read(-1 if limit is None else limit + 1)
        except OSError as error:
            raise UserError(f"{path}: cannot be read: {error.strerror}") from error
    if limit is not None and len(content) > limit:
        raise UserError(f"{path}: is larger than {limit:,} bytes, which no such file is; it was changed or damaged")
    return content


def read_text(path: Path, *, limit: int | None = None) -> str:
    """Reads a regular file of UTF-8 text, as `read_bytes`; UserError names the line that is not UTF-8."""
    return decode(read_bytes(path, limit=limit), name=str(path))


def decode(content: bytes, *, name: str) -> str:
    """Returns UTF-8 text; UserError names its file and the line that is not UTF-8."""
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UserError(f"{name}: line {line} is not UTF-8 text") from error


def write_text(path: Path, text: str) -> None:
    """Writes UTF-8 text over a regular file, or to a new one; UserError where something else is there."""
    if path.exists():
        check_regular(path)
    path.write_text(text, encoding="utf-8")


def _expected(mode: int) -> str:
    return f"is {_KINDS.get(stat.S_IFMT(mode), 'no regular file')}, expected a regular file"
