"""Cuts a CSV file into blocks of whole records and checks the number of cells of each, in bounded memory.

Parsers of CSV fill short records with missing cells in silence; here every record is counted before it is parsed.
"""

import codecs
import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from aejax.errors import UserError
from aejax.host.files import open_regular

DELIMITERS = (",", ";", "\t")
_BLOCK = 2**24  # bytes that are read at a time
_HEAD = 2**20  # bytes in which the header and some records are looked for
_MAX_RECORD = 2**26  # bytes of one record
_QUOTING = 'a cell that contains one is written with all of them doubled and in quotation marks: "5"" pipe"'
_SAMPLED = 100  # records from which the delimiter is guessed
_NEWLINE, _QUOTE, _RETURN = b'\n"\r'
_MARKS_OF_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class Header(NamedTuple):
    """The first record of a CSV file."""

    columns: tuple[str, ...]
    delimiter: str
    size: int  # bytes before the first record of data


class Records(NamedTuple):
    """Consecutive records of a CSV file."""

    content: bytes  # whole records, each with its line break
    first: int  # the number of the first one, from 1 below the header; blank lines do not count
    is_blank: np.ndarray  # (records,) whether the line is blank; none is, if there is one column


def read_header(path: Path) -> Header:
    """Returns the names of a CSV file's columns, and the delimiter: comma, semicolon or tab.

    The delimiter is the one that occurs equally often in each of the first 100 records, and most often; of a .tsv file,
    a tab if it does. A column without a name is called `column N`, with N from 1.

    Raises:
      UserError: the file is empty or is no UTF-8 text; the first record holds numbers instead of names; or two columns
        have the same name.
    """
    with open_regular(path) as file:
        start = file.read(_HEAD)
    if not start.strip():
        raise UserError(f"{path}: is empty")
    _check_text(start, path)
    mark = len(codecs.BOM_UTF8) if start.startswith(codecs.BOM_UTF8) else 0
    start = start[mark:]
    if len(start) < _HEAD - mark and not start.endswith(b"\n"):
        start += b"\n"
    ends = _ends_of(np.frombuffer(start, np.uint8))[:_SAMPLED]
    if not len(ends):
        reason = "a quotation mark is never closed" if b"\n" in start else "there are no line breaks"
        raise UserError(f"{path}: the header cannot be read: {reason}")
    delimiter = _guess_delimiter(start[: ends[-1] + 1], ends, prefers_tabs=path.suffix.lower() == ".tsv")
    text = _decoded(start[: ends[0] + 1], path, "the header")
    cells = [cell.strip() for cell in next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), [])]
    if cells and all(_is_number(cell) for cell in cells):
        raise UserError(
            f"{path}: the first line, {text.strip()[:60]!r}, holds numbers, expected the names of the columns: add a "
            "header"
        )
    columns = tuple(cell or f"column {number}" for number, cell in enumerate(cells or [""], start=1))
    check_names(columns, str(path))
    return Header(columns, delimiter, mark + int(ends[0]) + 1)


def check_names(columns: tuple[str, ...], name: str) -> None:
    """Raise UserError if two columns of a table have the same name."""
    places: dict[str, int] = {}
    for number, column in enumerate(columns, start=1):
        if column in places:
            raise UserError(f"{name}: columns {places[column]} and {number} are both called {column!r}: rename one")
        places[column] = number


def read_records(path: Path, header: Header) -> Iterator[Records]:
    """Yields all records below the header, in blocks of about 16 MiB.

    Raises:
      UserError: a record has another number of cells than the header, is not UTF-8 text, or has a quotation mark inside
        of a cell that is not quoted, or one that is never closed. The message names the record.
    """
    with open_regular(path) as file:
        file.seek(header.size)
        first, rest, is_end = 1, b"", False
        while not is_end:
            read = file.read(_BLOCK)
            is_end, content = not read, rest + read
            if is_end and content and not content.endswith(b"\n"):
                content += b"\n"
            ends = _ends_of(np.frombuffer(content, np.uint8))
            end = int(ends[-1]) + 1 if len(ends) else 0
            if end:
                records = _checked(content[:end], first, path, header)
                yield records
                first += int((~records.is_blank).sum())
            rest = content[end:]
            if len(rest) > _MAX_RECORD or (is_end and rest):
                raise UserError(
                    f"{path}: data row {first:,} or a later one has a quotation mark that is never closed; {_QUOTING}"
                )


def _ends_of(block: np.ndarray) -> np.ndarray:
    """Returns the positions of line breaks outside of quotation marks."""
    return _outside(np.flatnonzero(block == _NEWLINE), np.flatnonzero(block == _QUOTE))


def _outside(positions: np.ndarray, quotes: np.ndarray) -> np.ndarray:
    """Returns the positions before which the number of quotation marks is even."""
    return positions[np.searchsorted(quotes, positions) % 2 == 0] if len(quotes) else positions


def _checked(content: bytes, first: int, path: Path, header: Header) -> Records:
    block = np.frombuffer(content, np.uint8)
    quotes = np.flatnonzero(block == _QUOTE)
    ends = _outside(np.flatnonzero(block == _NEWLINE), quotes)
    starts = np.concatenate([[0], ends[:-1] + 1])
    lengths = ends - starts
    is_blank = (lengths == 0) | ((lengths == 1) & (block[starts] == _RETURN))
    if len(header.columns) == 1:
        is_blank = np.zeros_like(is_blank)  # a blank line is a missing cell
    numbers = first + np.cumsum(~is_blank) - 1

    def number_at(position: int) -> int:
        return int(numbers[np.searchsorted(ends, position)])

    try:
        content.decode()
    except UnicodeDecodeError as error:
        raise _not_text(path, f"data row {number_at(error.start):,}", content, error) from error
    delimiter = ord(header.delimiter)
    before = np.append(_NEWLINE, block)[quotes[::2]]  # of marks that open a cell
    after = np.append(block, _NEWLINE)[quotes[1::2] + 1]
    wrong = [
        *quotes[::2][~np.isin(before, (delimiter, _NEWLINE, _QUOTE))][:1],
        *quotes[1::2][~np.isin(after, (delimiter, _NEWLINE, _RETURN, _QUOTE))][:1],
    ]
    if wrong:
        raise UserError(f"{path}: data row {number_at(min(wrong)):,} has a quotation mark inside of a cell; {_QUOTING}")
    delimiters = _outside(np.flatnonzero(block == delimiter), quotes)
    cells = 1 + np.diff(np.searchsorted(delimiters, ends), prepend=0)
    ragged = np.flatnonzero((cells != len(header.columns)) & ~is_blank)
    if len(ragged):
        raise UserError(
            f"{path}: data row {numbers[ragged[0]]:,} has {cells[ragged[0]]} cells, but the header has "
            f"{len(header.columns)} columns (delimiter {header.delimiter!r})"
        )
    return Records(content, first, is_blank)


def _guess_delimiter(start: bytes, ends: np.ndarray, *, prefers_tabs: bool) -> str:
    """Returns the delimiter that occurs equally often in all records, and most often; else the header's."""
    block = np.frombuffer(start, np.uint8)
    quotes = np.flatnonzero(block == _QUOTE)
    ranks = []
    for delimiter in DELIMITERS:
        positions = _outside(np.flatnonzero(block == ord(delimiter)), quotes)
        counts = np.diff(np.searchsorted(positions, ends), prepend=0)
        lengths = np.diff(ends, prepend=-1)
        is_equal = bool(counts[0] and np.all((counts == counts[0]) | (lengths <= 2)))
        ranks.append((is_equal, prefers_tabs and delimiter == "\t", int(counts[0])))
    return DELIMITERS[max(range(len(DELIMITERS)), key=lambda place: (ranks[place], -place))]


def _check_text(start: bytes, path: Path) -> None:
    if start.startswith(_MARKS_OF_UTF_16):
        raise UserError(f"{path}: is UTF-16 text, expected UTF-8: convert it by iconv -f UTF-16 -t UTF-8")
    if b"\0" in start:
        raise UserError(f"{path}: is no text file, expected a table as comma, semicolon or tab separated text")


def _decoded(content: bytes, path: Path, what: str) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise _not_text(path, what, content, error) from error


def _not_text(path: Path, what: str, content: bytes, error: UnicodeDecodeError) -> UserError:
    """Returns the error about bytes that are not UTF-8, with the text that they are in the encoding of Windows."""
    around = content[max(0, error.start - 10) : error.start + 10].decode("cp1252", errors="replace")
    shown = around.replace("\r", " ").replace("\n", " ").strip()
    return UserError(
        f"{path}: {what} is not UTF-8 text; in the encoding Windows-1252 it holds {shown!r}: if that is right, convert "
        "the file by iconv -f WINDOWS-1252 -t UTF-8"
    )


def _is_number(cell: str) -> bool:
    try:
        float(cell.replace(",", ".", 1))
    except ValueError:
        return False
    return True
