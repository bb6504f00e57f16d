"""Tables in files or data frames, read in batches: CSV, TSV and Parquet files, and frames of polars or pandas."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

import numpy as np

from aejax.datasets.tables.csv_records import Header, check_names, read_header, read_records
from aejax.errors import UserError
from aejax.host.files import check_regular
from aejax.host.suggestions import did_you_mean

if TYPE_CHECKING:  # an optional requirement
    import polars as pl

TEXT, PARQUET = (".csv", ".tsv"), (".parquet", ".pq")
SUFFIXES = (*TEXT, *PARQUET)
_ROWS = 2**17  # of a batch of a Parquet file or a data frame


class Batch(NamedTuple):
    """Consecutive rows of a table."""

    frame: "pl.DataFrame"  # all columns are text if the table is a text file
    first: int  # the number of the first row in its file, from 1 below the header
    name: str  # of the file, for messages
    end: int  # how much of the table has been read with this batch, of `Table.size`


class Table(NamedTuple):
    """A table whose rows are read in batches, as often as needed."""

    name: str  # of the file, for messages
    columns: tuple[str, ...]
    size: int  # rows, or bytes of a text file
    batches: Callable[[Sequence[str]], Iterator[Batch]]  # names of columns -> all rows of these columns, in order


def is_table_file(path: str | Path) -> bool:
    """Whether a path has the suffix of a table, in lower or upper case.

    >>> is_table_file("houses.CSV"), is_table_file("x.npy")
    (True, False)
    """
    return Path(path).suffix.lower() in SUFFIXES


def check_polars() -> None:
    """Raise UserError if polars is not installed, by which tables are parsed."""
    try:
        import polars  # noqa: F401
    except ImportError as error:
        raise UserError("tables require polars, which is not installed: pip install 'aejax[tables]'") from error


def open_table(path: Path) -> Table:
    """Returns the table in a .csv, .tsv or .parquet file; its rows are read and checked by `batches`.

    The cells of text files are separated by commas, semicolons or tabs; the first line holds the columns' names.

    Raises:
      UserError: polars is not installed; or the file is missing, is empty, is no table, or has no names of columns.
    """
    check_polars()
    check_regular(path)
    return _parquet_table(path) if path.suffix.lower() in PARQUET else _text_table(path)


def table_of(frame: Any, *, name: str = "the data frame") -> Table:
    """Returns the table in a data frame of polars or pandas.

    Args:
      frame: the data frame; an index of pandas is left out.
      name: what messages call it.

    Raises:
      UserError: polars is not installed, two columns have the same name, or frame is no data frame.
    """
    check_polars()
    import polars as pl

    if isinstance(frame, pl.LazyFrame):
        frame = frame.collect()
    if not isinstance(frame, pl.DataFrame):
        if not hasattr(frame, "columns") or not hasattr(frame, "iloc"):
            raise UserError(f"{name}: expected a DataFrame of polars or pandas, got {type(frame).__name__}")
        check_names(tuple(map(str, frame.columns)), name)
        frame = _from_pandas(frame, name)
    whole: pl.DataFrame = frame

    def batches(columns: Sequence[str]) -> Iterator[Batch]:
        chosen = pl.DataFrame({name: whole.get_column(name) for name in columns})  # select would expand a *
        for start in range(0, chosen.height, _ROWS):
            yield Batch(chosen.slice(start, _ROWS), start + 1, name, min(start + _ROWS, chosen.height))

    return Table(name, tuple(whole.columns), whole.height, batches)


def read_frame(table: Table) -> "pl.DataFrame":
    """Returns all rows and columns of a table in memory; those of a text file are text, as they are written there."""
    import polars as pl

    frames = [batch.frame for batch in table.batches(table.columns)]
    return pl.concat(frames) if frames else pl.DataFrame(schema=dict.fromkeys(table.columns, pl.String()))


def write_frame(frame: "pl.DataFrame", file: BinaryIO, suffix: str) -> None:
    r"""Writes a table with the names of its columns; missing cells are empty.

    Args:
      frame: the table.
      file: a file that is open for writing bytes.
      suffix: of the file's name: .csv for commas, .tsv for tabs, or .parquet.

    Raises:
      UserError: another suffix.

    >>> import io
    >>> import polars as pl
    >>> write_frame(pl.DataFrame({"rooms": [3, None]}), file := io.BytesIO(), ".csv")
    >>> file.getvalue()
    b'rooms\n3\n\n'
    """
    if suffix.lower() in PARQUET:
        frame.write_parquet(file)
    elif suffix.lower() in TEXT:
        frame.write_csv(file, separator="\t" if suffix.lower() == ".tsv" else ",")
    else:
        raise UserError(f"tables are written to {', '.join(SUFFIXES)} files, got {suffix or 'a name without a suffix'}")


def joined(tables: Sequence[Table]) -> Table:
    """Returns the rows of several tables with the same columns, in any order, one table after the other.

    Raises:
      UserError: a table lacks a column of the first one, or has another.
    """
    first, *others = tables
    for other in others:
        for name in other.columns:
            if name not in first.columns:
                raise UserError(f"{other.name}: column {name!r} is not in {first.name}")
        check_has(other, first.columns)

    def batches(columns: Sequence[str]) -> Iterator[Batch]:
        before = 0
        for table in tables:
            for batch in table.batches(columns):
                yield batch._replace(end=before + batch.end)
            before += table.size

    return Table(first.name, first.columns, sum(table.size for table in tables), batches)


def check_has(table: Table, columns: Sequence[str]) -> None:
    """Raise UserError, with the most similar name, if a table lacks a column."""
    for name in columns:
        if name not in table.columns:
            raise UserError(f"{table.name}: there is no column {name!r}{did_you_mean(name, table.columns)}")


def _text_table(path: Path) -> Table:
    header = read_header(path)
    return Table(str(path), header.columns, path.stat().st_size, lambda names: _text_batches(path, header, names))


def _text_batches(path: Path, header: Header, columns: Sequence[str]) -> Iterator[Batch]:
    import polars as pl

    places = [header.columns.index(name) for name in columns]
    schema = {str(number): pl.String() for number in range(len(header.columns))}
    end = header.size
    for records in read_records(path, header):
        end += len(records.content)
        try:
            frame = pl.read_csv(
                records.content,
                has_header=False,
                separator=header.delimiter,
                infer_schema=False,
                schema=schema,
            )
        except pl.exceptions.PolarsError as error:
            last = records.first + len(records.is_blank) - 1
            reason = str(error).splitlines()[0]
            raise UserError(
                f"{path}: data rows {records.first:,} to {last:,} cannot be read as a table: {reason}"
            ) from error
        frame = frame.select(pl.col(str(place)).alias(name) for place, name in zip(places, columns, strict=True))
        if records.is_blank.any():
            frame = frame.filter(pl.Series(~records.is_blank))
        yield Batch(frame, records.first, str(path), end)


def _parquet_table(path: Path) -> Table:
    import polars as pl

    try:
        lazy = pl.scan_parquet(path, glob=False)
        names, size = tuple(lazy.collect_schema().names()), lazy.select(pl.len()).collect().item()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise UserError(f"{path}: cannot be read as a Parquet file; it is damaged or of another kind") from error
    check_names(names, str(path))

    def batches(columns: Sequence[str]) -> Iterator[Batch]:
        first = 1
        chosen = lazy.select(pl.nth([names.index(name) for name in columns]))
        try:
            for frame in chosen.collect_batches(chunk_size=_ROWS, maintain_order=True, lazy=True):
                yield Batch(frame, first, str(path), first - 1 + frame.height)
                first += frame.height
        except (pl.exceptions.PolarsError, OSError) as error:
            reason = str(error).splitlines()[0]
            raise UserError(f"{path}: cannot be read after data row {first - 1:,}: {reason}") from error

    return Table(str(path), names, size, batches)


def _from_pandas(frame: Any, name: str) -> "pl.DataFrame":
    import polars as pl

    try:
        return pl.DataFrame(
            {str(column): pl.Series(_values(frame.iloc[:, place])) for place, column in enumerate(frame.columns)}
        )
    except (TypeError, pl.exceptions.PolarsError) as error:
        raise UserError(f"{name}: cannot be read as a table: {str(error).splitlines()[0]}") from error


def _values(series: Any) -> Any:
    """Returns a pandas column's numbers as they are, and other columns as a list with None for missing cells."""
    if isinstance(series.dtype, np.dtype) and series.dtype.kind in "biuf":
        return series.to_numpy()
    return [None if is_missing else value for value, is_missing in zip(series.tolist(), series.isna(), strict=True)]
