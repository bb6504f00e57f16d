"""Tables as data sets: CSV, TSV and Parquet files and data frames, whose rows become vectors of numbers.

A row is a vector (D,) float32 in the table's own numbers: numbers as they are, the position of a category among the
column's classes, year, month, day and hour of a date, and NaN for a missing cell. What the columns hold is inferred
from training rows alone, or declared (`aejax.datasets.tables.inference`). Identifiers and constants are left out.
"""

import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np

from aejax.datasets.arrays import load_labels
from aejax.datasets.dataset import Dataset, Splits, as_labels, take
from aejax.datasets.division import Positions, SplitOrder, describe_division, divide
from aejax.datasets.source import Request, Source
from aejax.datasets.split_keys import check_no_groups, divide_files, is_key_file, read_keys
from aejax.datasets.stored import LARGE, FileRows, StoredArray
from aejax.datasets.tables.columns import TableColumn, UnknownCategories, model_columns
from aejax.datasets.tables.declarations import Declaration, check_columns, declarations_of, read_declarations
from aejax.datasets.tables.files import (
    Batch,
    Table,
    check_has,
    check_polars,
    is_table_file,
    joined,
    open_table,
    table_of,
)
from aejax.errors import ArgumentError, UserError, knob_name
from aejax.host.memory import check_fits

if TYPE_CHECKING:  # polars is an optional requirement
    from aejax.datasets.tables.inference import Inferred

OnRead = Callable[[str, int, int], None]
_SMALL = 2**24  # bytes or rows of a table that is read without showing progress
_IN_MEMORY = 2**26  # bytes of rows that are in memory while they are divided
_LISTED = 3  # categories that a note names


class Reading(NamedTuple):
    """How the cells of a table are read."""

    declared: Mapping[str, Declaration] = {}
    missing_values: tuple[str, ...] = ()  # texts of missing cells, besides those of `cells.MISSING`
    unknown_categories: UnknownCategories = "refuse"
    on_read: OnRead | None = None  # as in Request


def table_dataset(
    frame: Any,
    *,
    columns: Sequence[TableColumn] | Mapping[str, Any] = (),
    labels: str | None = None,
    missing_values: Sequence[str] = (),
) -> Dataset:
    """Returns the rows of a data frame of polars or pandas as examples (N, D), NaN for missing cells.

    Args:
      frame: the table.
      columns: the columns of another data set, by which rows are read (`Dataset.columns`); or a declaration of some
        columns, as in {"area": "log_normal", "quality": {"kind": "ordinal", "classes": ["low", "high"]}}. What is not
        declared is inferred from all rows: of rows to evaluate on, give the columns of the training rows.
      labels: a column with the labels of the rows, which is then no part of them.
      missing_values: texts of missing cells, besides NA, N/A, nan, null, ? and empty ones.

    Raises:
      UserError: polars is not installed; the columns cannot be read as declared; or there are no rows.

    >>> import polars as pl
    >>> frame = pl.DataFrame({"area": [81.5, None, 64.0, 70.5], "heating": ["gas", "oil", "gas", "gas"]})
    >>> dataset = table_dataset(frame)
    >>> dataset.x.tolist()
    [[81.5, 0.0], [nan, 1.0], [64.0, 0.0], [70.5, 0.0]]
    >>> [(column.name, column.kind) for column in dataset.columns]
    [('area', 'continuous'), ('heating', 'binary')]
    """
    table = table_of(frame)
    stored = not isinstance(columns, Mapping) and len(columns) > 0
    declared = {} if stored else declarations_of(dict(cast(Mapping[str, Any], columns)), name="columns")
    reading = Reading(declared, tuple(missing_values))
    if stored:
        return rows_of_table(table, cast(Sequence[TableColumn], columns), reading, labels=labels)
    sketch = _sketch(table, labels, None, reading)
    everything = np.arange(sketch.rows)
    return _read(table, sketch, Positions(everything, everything[:0], everything[:0]), reading, stored=None)


def split_table(
    frame: Any,
    *,
    fractions: tuple[float, float] = (0.1, 0.2),
    seed: int = 0,
    columns: Mapping[str, Any] | None = None,
    labels: str | None = None,
    split_by: str | None = None,
    split_order: SplitOrder = "random",
    missing_values: Sequence[str] = (),
) -> Splits:
    """Returns training, validation and test rows of a data frame; what columns hold is inferred from training rows.

    Args:
      frame: a data frame of polars or pandas.
      fractions: of validation and test rows.
      seed: of the random division.
      columns: declarations, as for `table_dataset`.
      labels: as for `table_dataset`.
      split_by: a column of groups, such as patients, none of which is in two splits.
      split_order: ascending: the smallest values of `split_by`, such as the oldest dates, are the training rows.
      missing_values: as for `table_dataset`.

    Raises:
      UserError: as for `table_dataset`, or there are too few rows or groups.
    """
    reading = Reading(declarations_of(columns or {}, name="columns"), tuple(missing_values))
    table = table_of(frame)
    sketch = _sketch(table, labels, split_by, reading)
    positions = divide(sketch.rows, sketch.keys, fractions=fractions, seed=seed, order=split_order)
    dataset = _read(table, sketch, positions, reading, stored=None)
    return Splits(*(take(dataset, each) for each in positions))


def load_table_rows(
    path: Path,
    columns: Sequence[TableColumn],
    *,
    labels: str | None = None,
    missing_values: Sequence[str] = (),
    unknown_categories: UnknownCategories = "refuse",
) -> Dataset:
    """Returns the rows of a table file as a trained model expects them, by the columns of its training rows.

    Args:
      path: a .csv, .tsv or .parquet file with the columns, in any order, and any others.
      columns: of the training rows, as stored with a run.
      labels: a column of labels.
      missing_values: as for `table_dataset`.
      unknown_categories: how categories that no training row has are read: `refuse` raises an error; otherwise they are
        missing. If the column has a class `(other)`, they belong to it.

    Raises:
      UserError: a column is missing, or a cell does not fit its column; the message names the file, row and column.
    """
    reading = Reading({}, tuple(missing_values), unknown_categories)
    return rows_of_table(open_table(path), columns, reading, labels=labels)


def rows_of_table(
    table: Table, columns: Sequence[TableColumn], reading: Reading, *, labels: str | None = None
) -> Dataset:
    """Returns the rows of a table by stored columns; the arguments are those of `load_table_rows`."""
    from aejax.datasets.tables.rows import names_in_table

    check_has(table, [*names_in_table(columns), *([labels] if labels is not None else [])])
    sketch = _sketch(table, labels, None, reading)
    x, notes = _convert(table, columns, sketch.rows, reading, stored=None)
    return Dataset(x, sketch.labels, columns=tuple(columns), notes=notes)


class _Sketch(NamedTuple):
    """What one pass over a table finds before rows are divided."""

    rows: int
    labels: np.ndarray | None  # (N,)
    keys: np.ndarray | None  # (N,) the group of every row
    left_out: tuple[str, ...]  # columns that are no part of the rows


def _sketch(table: Table, labels: str | None, groups: str | None, reading: Reading) -> _Sketch:
    """Counts and checks all rows, and reads the columns of labels and groups."""
    from aejax.datasets.tables.key_columns import as_classes, as_groups, read_key_columns

    names = [name for name in (labels, groups) if name is not None]
    rows, cells = read_key_columns(
        table,
        names,
        missing_values=reading.missing_values,
        on_batch=lambda end: _show(table, end, reading.on_read, "counting rows"),
    )
    texts = dict(zip(names, cells, strict=True))
    return _Sketch(
        rows,
        None if labels is None else as_labels(as_classes(texts[labels]), rows, table.name),
        None if groups is None else as_groups(texts[groups], f"{table.name}: column {groups!r}"),
        tuple(names),
    )


def _batches(table: Table, columns: Sequence[str], on_read: OnRead | None, what: str) -> Iterator[Batch]:
    for batch in table.batches(columns):
        yield batch
        _show(table, batch.end, on_read, what)


def _show(table: Table, end: int, on_read: OnRead | None, what: str) -> None:
    if on_read is not None and table.size > _SMALL:
        on_read(f"{what} of {Path(table.name).name}", end, table.size)


def infer_columns(table: Table, is_training: np.ndarray, left_out: Sequence[str], reading: Reading) -> "list[Inferred]":
    """Returns what the columns of a table hold, inferred from training rows or declared, in the table's order.

    Args:
      table: the table.
      is_training: (N,) whether each row is a training row.
      left_out: columns that are no part of the rows, unless they are declared.
      reading: declarations, and texts of missing cells.

    Raises:
      UserError: a declared column is not in the table, or `infer_column` refuses a column.
    """
    from aejax.datasets.tables.inference import infer_column
    from aejax.datasets.tables.statistics import ColumnStatistics

    declared = reading.declared
    check_columns(declared, table.columns, table.name)
    names = [name for name in table.columns if name not in left_out or name in declared]
    dropped = [name for name in names if name in declared and declared[name].kind in ("identifier", "leave_out")]
    statistics = {
        name: ColumnStatistics(
            reading.missing_values,
            kept=declared[name].classes or () if name in declared else (),
            form=declared[name].format if name in declared else None,
        )
        for name in names
    }
    read, start = [name for name in names if name not in dropped], 0
    for batch in _batches(table, read or table.columns[:1], reading.on_read, "inferring columns"):
        chosen = np.flatnonzero(is_training[start : start + batch.frame.height])
        start += batch.frame.height
        if len(chosen):
            rows = batch.frame if len(chosen) == batch.frame.height else batch.frame[chosen]
            for name in read:
                statistics[name].add(rows[name], batch.first + chosen)
    own_class = reading.unknown_categories == "own_class"
    return [
        infer_column(name, statistics[name], declared.get(name), own_class=own_class, table=table.name)
        for name in names
    ]


def _read(table: Table, sketch: _Sketch, positions: Positions, reading: Reading, *, stored: bool | None) -> Dataset:
    """Returns all rows by columns that are inferred from the training rows, with notes for the user."""
    from aejax.datasets.tables.inference import describe, describe_words

    is_training = np.zeros(sketch.rows, bool)
    is_training[positions.train] = True
    inferred = infer_columns(table, is_training, sketch.left_out, reading)
    columns = tuple(column for each in inferred for column in each.columns)
    names = Counter(column.name for column in columns)
    for column in columns:
        if column.date is not None and names[column.name] > 1:
            raise UserError(
                f"{table.name}: column {column.name!r} is also a part of the date {column.date!r}: rename it"
            )
    if not model_columns(columns):
        raise UserError(f"{table.name}: every column is left out: {inferred[0].name!r}: {inferred[0].holds}")
    if reading.unknown_categories == "refuse":  # of held-out rows, categories are missing
        reading = reading._replace(unknown_categories="missing")
    x, notes = _convert(table, columns, sketch.rows, reading, stored=stored)
    found = f"{table.name}: {sketch.rows:,} rows; its columns, as found in {len(positions.train):,} training rows:"
    lines = (found, *(f"  {line}" for line in describe(inferred)), *describe_words(inferred), *notes)
    return Dataset(x, sketch.labels, columns=columns, notes=lines)


def _convert(
    table: Table, columns: Sequence[TableColumn], rows: int, reading: Reading, *, stored: bool | None
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Returns all rows (N, D) and notes on categories that are missing.

    Rows above one GiB stay in a temporary file. Fewer, above `_IN_MEMORY`, are in one until they are divided, so that
    they are not in memory twice.
    """
    from aejax.datasets.tables.rows import RowConverter

    converter = RowConverter(
        columns, missing_values=reading.missing_values, unknown_categories=reading.unknown_categories
    )
    shape = (rows, len(model_columns(columns)))
    blocks = (converter.convert(batch) for batch in _batches(table, converter.names, reading.on_read, "reading rows"))
    size = 4 * rows * shape[1]
    if stored or (stored is None and size > LARGE):
        with _mapped(blocks, shape) as rows_in_file:
            x = cast(np.ndarray, StoredArray(FileRows(rows_in_file), may_be_missing=True))
    else:
        check_fits(size, f"{table.name}: its rows", advice="select fewer columns", host=True)
        if size > _IN_MEMORY:
            with _mapped(blocks, shape) as x:
                pass  # it stays readable
        else:
            x = _gathered(blocks, shape)
    converter.check(table.name)
    return x, tuple(_describe_unknown(name, counts) for name, counts in converter.unknown.items())


def _gathered(blocks: Iterable[np.ndarray], shape: tuple[int, int]) -> np.ndarray:
    """Returns rows in memory."""
    x, start = np.empty(shape, np.float32), 0
    for block in blocks:
        x[start : start + len(block)] = block
        start += len(block)
    return x


@contextmanager
def _mapped(blocks: Iterable[np.ndarray], shape: tuple[int, int]) -> Iterator[np.memmap]:
    """Yields rows in a temporary .npy file; its name is gone afterwards, and the file when no array uses it."""
    descriptor, name = tempfile.mkstemp(suffix=".npy", prefix="aejax-table-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            header = {"descr": "<f4", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_2_0(file, header)
            for block in blocks:
                file.write(np.ascontiguousarray(block, "<f4").data)
        yield np.load(name, mmap_mode="c")  # its pages are read again where memory is short
    finally:
        os.unlink(name)  # the open file remains readable


def separated(dataset: Dataset, names: Sequence[str], name: str) -> Dataset:
    """Returns rows without the columns that are their condition, which become `Dataset.condition`.

    Args:
      dataset: rows of a table, of which `names` are columns; a date's name stands for all its parts.
      names: the columns of the condition.
      name: what messages call the table.

    Raises:
      UserError: a column is not among the rows, no other column remains, or the rows stay in a temporary file.
    """
    assert dataset.columns is not None
    if isinstance(dataset.x, StoredArray):
        raise UserError(f"{name}: columns as the condition require rows in memory; use {knob_name('stream never')}")
    of_rows = model_columns(dataset.columns)
    known = {column.date or column.name for column in of_rows}
    for each in names:
        if each not in known:
            own = next((column for column in dataset.columns if column.name == each), None)
            why = "has no such column" if own is None else f"leaves this column out, as {own.kind}"
            raise ArgumentError("condition", f"{each!r}: {name} {why}")
    is_given = np.array([(column.date or column.name) in names for column in of_rows])
    if is_given.all():
        raise ArgumentError("condition", f"no column of {name} remains to be reconstructed; name fewer")
    given = tuple(column for column, chosen in zip(of_rows, is_given, strict=True) if chosen)
    rest = tuple(column for column in dataset.columns if column not in given)
    return dataset._replace(
        x=dataset.x[:, ~is_given], columns=rest, condition=dataset.x[:, is_given], condition_columns=given
    )


def _describe_unknown(name: str, counts: Mapping[str, int]) -> str:
    listed = ", ".join(map(repr, sorted(counts)[:_LISTED])) + ", ..." * (len(counts) > _LISTED)
    total = sum(counts.values())
    cells = "1 cell is" if total == 1 else f"{total:,} cells are"
    return f"column {name!r}: {listed}: no training row has this category, so {cells} read as missing"


def _load_splits(
    request: Request,
    *,
    labels: str | None,
    columns: Sequence[str],
    missing_values: Sequence[str],
    unknown_categories: UnknownCategories,
    split_by: str | None,
    split_order: SplitOrder,
    validation_data: str | None,
    test_data: str | None,
) -> Splits:
    check_polars()
    reading = Reading(read_declarations(columns), tuple(missing_values), unknown_categories, request.on_read)
    main = open_table(Path(request.dataset))
    files = {name: Path(path) for name, path in (("validation", validation_data), ("test", test_data)) if path}
    others = {name: open_table(path) for name, path in files.items()}
    table = joined([main, *others.values()]) if others else main
    key_column = split_by if split_by is not None and not is_key_file(split_by) else None
    if others:
        check_no_groups(split_by)
    label_column = None if labels is None or labels.lower().endswith(".npy") else labels
    sketch = _sketch(table, label_column, key_column, reading)
    if labels is not None and label_column is None:
        sketch = sketch._replace(labels=load_labels(Path(labels), sketch.rows))
    if split_by is not None and key_column is None:
        sketch = sketch._replace(keys=read_keys(Path(split_by)))
    if others:
        sizes = [_sketch(other, None, None, reading._replace(on_read=None)).rows for other in (main, *others.values())]
        positions = divide_files(sizes, tuple(others), request)
    else:
        name = knob_name("split_by") if split_by is None else f"{knob_name('split_by')} {split_by}"
        positions = divide(
            sketch.rows, sketch.keys, fractions=request.fractions, seed=request.seed, order=split_order, name=name
        )
    dataset = _read(table, sketch, positions, reading, stored=request.stored)
    if request.condition:
        dataset = separated(dataset, request.condition, table.name)
    if sketch.keys is not None:
        note = describe_division(positions, sketch.keys, f"{knob_name('split_by')} {split_by}")
        dataset = dataset._replace(notes=(*dataset.notes, note))
    return Splits(*(take(dataset, each) for each in positions))


SOURCE = Source(
    _load_splits,
    layout="row",
    matches=is_table_file,
    has_conditions=True,
    reads_paths=True,
    kind="a table",
    knobs=(
        "labels",
        "columns",
        "missing_values",
        "unknown_categories",
        "split_by",
        "split_order",
        "validation_data",
        "test_data",
    ),
)
