"""Reads and writes files that a user names or that a run folder contains: only regular files, and text as UTF-8."""

import os
import stat
from pathlib import Path
from typing import BinaryIO, Literal

from aejax.errors import UserError
from aejax.host.suggestions import no_such_file

FigureFormat = Literal["png", "pdf", "svg"]  # of the files of figures
_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}


def open_regular(path: Path) -> BinaryIO:
    """Opens a regular file for reading and returns a binary file object.

    Named pipes and devices are refused, because reading them may block or never end.

    Raises:
      UserError: the file does not exist, cannot be opened, or is not a regular file.
    """
    check_regular(path)
    try:
        # the file may have been replaced since the check: do not block on a pipe
        file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb")
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error
    if not stat.S_ISREG(mode := os.fstat(file.fileno()).st_mode):
        file.close()
        raise UserError(f"{path}: {_expected(mode)}")
    return file


def check_regular(path: Path) -> None:
    """Raises UserError unless a path is a regular file or a link to one."""
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError as error:
        raise UserError(no_such_file(path)) from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:  # a character that paths cannot contain
        raise UserError(f"{path}: is not a valid file name") from error
    if not stat.S_ISREG(mode):
        raise UserError(f"{path}: {_expected(mode)}")


def check_tree(folder: Path, *, links: bool = True) -> None:
    """Raises UserError if a folder contains, at any depth, anything but folders and regular files.

    Args:
      folder: the folder, which need not exist.
      links: whether links to files and folders are allowed.
    """
    for parent, folders, files in os.walk(folder):
        for entry in (Path(parent, name) for name in (*folders, *files)):
            if not links and entry.is_symlink():
                raise UserError(f"{entry}: is a link, expected only regular files and folders in {folder}")
            if not entry.is_dir():
                check_regular(entry)


def read_bytes(path: Path, *, limit: int | None = None) -> bytes:
    """Returns the content of a regular file.

    Args:
      path: the file.
      limit: the largest allowed size in bytes; None allows any.

    Raises:
      UserError: `open_regular` refuses the file, it is larger than `limit`, or reading fails.
    """
    with open_regular(path) as file:
        try:
            content = file.read(-1 if limit is None else limit + 1)
        except OSError as error:
            raise UserError(f"{path}: cannot be read: {error.strerror}") from error
    if limit is not None and len(content) > limit:
        raise UserError(f"{path}: is larger than {limit:,} bytes, expected at most that; it was changed or damaged")
    return content


def read_text(path: Path, *, limit: int | None = None) -> str:
    """Returns the text of a regular UTF-8 file.

    Args:
      path: the file.
      limit: the largest allowed size in bytes; None allows any.

    Raises:
      UserError: `read_bytes` refuses the file, or a line is not UTF-8; the message gives the line's number.
    """
    return decode(read_bytes(path, limit=limit), name=str(path))


def decode(content: bytes, *, name: str) -> str:
    """Returns bytes decoded as UTF-8 text.

    Args:
      content: the bytes.
      name: of their file, for the error message.

    Raises:
      UserError: a line is not UTF-8; the message gives the line's number.
    """
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UserError(f"{name}: line {line} is not UTF-8 text") from error


def write_text(path: Path, text: str) -> None:
    """Writes UTF-8 text to a new file, or replaces the content of a regular file.

    Raises:
      UserError: the path exists and is not a regular file.
    """
    if path.exists():
        check_regular(path)
    path.write_text(text, encoding="utf-8")


def _expected(mode: int) -> str:
    return f"is {_KINDS.get(stat.S_IFMT(mode), 'not a regular file')}, expected a regular file"
