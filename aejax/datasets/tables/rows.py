"""Converts the cells of tables to rows of numbers by stored columns, and rows back to tables in the user's form."""

from collections.abc import Iterator, Sequence
from itertools import groupby

import numpy as np
import polars as pl

from aejax.datasets.tables.cells import DecimalMarks, as_numbers, as_text, canonical, find_first
from aejax.datasets.tables.columns import TableColumn, UnknownCategories, model_columns
from aejax.datasets.tables.dates import combined, parse_dates, parts_of
from aejax.datasets.tables.files import Batch
from aejax.datasets.tables.inference import OTHER
from aejax.errors import UserError, knob_name

_MAX_INTEGER = 2.0**63 - 1024  # the largest float64 below the largest int64


def names_in_table(columns: Sequence[TableColumn]) -> list[str]:
    """Returns the names that the columns of a row have in the user's table, in their order; a date has one.

    >>> names_in_table([TableColumn("sold.year", "continuous", date="sold"), TableColumn("id", "identifier")])
    ['sold']
    """
    return list(dict.fromkeys(column.date or column.name for column in model_columns(columns)))


class RowConverter:
    """Converts the batches of a table to rows of numbers (N, D), NaN for a missing cell, and checks every cell."""

    def __init__(
        self,
        columns: Sequence[TableColumn],
        *,
        missing_values: tuple[str, ...] = (),
        unknown_categories: UnknownCategories = "refuse",
    ) -> None:
        """Prepares the conversion.

        Args:
          columns: all columns of the table, as stored with a run.
          missing_values: further texts of missing cells, as in `as_text`.
          unknown_categories: what a category is that the column's classes lack, unless they have a class `(other)`, to
            which it then belongs. refuse: an error; otherwise: missing.
        """
        self._columns = tuple(columns)
        self._missing_values = missing_values
        self._unknown_categories = unknown_categories
        self._marks = {name: DecimalMarks() for name in names_in_table(columns)}
        self.unknown: dict[str, dict[str, int]] = {}  # column -> category that is missing -> how often it occurs

    @property
    def names(self) -> list[str]:
        """The names of the columns that a table must have."""
        return names_in_table(self._columns)

    def convert(self, batch: Batch) -> np.ndarray:
        """Returns the rows of a batch, (N, D) float32, NaN for a missing cell.

        Args:
          batch: rows with the columns `names`, in any order, and any others.

        Raises:
          UserError: a cell does not fit its column; the message names the file, the row and the column.
        """
        rows = batch.first + np.arange(batch.frame.height)
        values: list[np.ndarray] = []
        for name, group in groupby(self._columns, key=lambda column: column.date or column.name):
            columns = tuple(group)
            if not model_columns(columns):
                continue
            kept = columns[0].classes or () if columns[0].date is None else ()
            text = as_text(batch.frame[name], self._missing_values, kept=kept)
            where = f"{batch.name}: column {name!r}"
            if columns[0].date is not None:
                values += self._dates(columns, text, rows, where)
            elif columns[0].classes is not None:
                values.append(self._classes(columns[0], text, rows, where))
            else:
                values.append(self._numbers(columns[0], text, rows, where))
        return np.stack(values, axis=1) if values else np.empty((batch.frame.height, 0), np.float32)

    def check(self, name: str) -> None:
        """Raise UserError if a column of the table `name`, over all batches, has an unclear decimal mark."""
        for column, marks in self._marks.items():
            marks.check(f"{name}: column {column!r}")

    def _numbers(self, column: TableColumn, text: pl.Series, rows: np.ndarray, where: str) -> np.ndarray:
        numbers = as_numbers(text)
        if numbers.null_count() > text.null_count():
            other = find_first(text.is_not_null() & numbers.is_null(), text, rows)
            raise UserError(f"{where}: {other}, expected a number ({column.kind})")
        self._marks[column.name].add(text, rows)
        for is_wrong, expected in (
            (numbers.abs() > float(np.finfo(np.float32).max), "a number within float32"),
            (numbers <= 0 if column.kind == "log_normal" else None, "a positive number (log_normal)"),
            (
                (numbers < 0) | (numbers != numbers.round()) if column.kind == "count" else None,
                "a whole number of at least 0 (count)",
            ),
        ):
            if is_wrong is not None and (found := find_first(is_wrong, text, rows)):
                advice = "" if column.kind == "continuous" else f"; {knob_name('columns')} can declare it continuous"
                raise UserError(f"{where}: {found}, expected {expected}{advice}")
        return numbers.fill_null(float("nan")).to_numpy().astype(np.float32)

    def _classes(self, column: TableColumn, text: pl.Series, rows: np.ndarray, where: str) -> np.ndarray:
        assert column.classes is not None
        places = {name: float(number) for number, name in enumerate(column.classes)}
        found = _places_of(text, column.classes)
        is_unknown = text.is_not_null() & found.is_null()
        if is_unknown.any():
            if OTHER in places:
                found = pl.select(pl.when(is_unknown).then(pl.lit(places[OTHER])).otherwise(found)).to_series()
            elif self._unknown_categories == "refuse":
                known = ", ".join(map(repr, column.classes[:5])) + ", ..." * (len(column.classes) > 5)
                raise UserError(
                    f"{where}: {find_first(is_unknown, text, rows)}, a category that no training row has; known are "
                    f"{known} ({knob_name('unknown_categories missing')} reads it as missing)"
                )
            else:
                of_column = self.unknown.setdefault(column.name, {})
                for category, count in text.filter(is_unknown).value_counts().iter_rows():
                    of_column[category] = of_column.get(category, 0) + count
        return found.fill_null(float("nan")).to_numpy().astype(np.float32)

    def _dates(self, columns: Sequence[TableColumn], text: pl.Series, rows: np.ndarray, where: str) -> list[np.ndarray]:
        form = columns[0].form
        assert form is not None
        dates = parse_dates(text, form)
        if (other := find_first(text.is_not_null() & dates.is_null(), text, rows)) is not None:
            raise UserError(f"{where}: {other}, expected a date of the form {form}")
        parts = parts_of(dates)
        values = []
        for column in model_columns(columns):
            part = parts[column.name.rpartition(".")[2]]
            if column.classes is not None:
                part = part - float(column.classes[0])  # months from 1, hours from 0
            values.append(part.astype(np.float32))
        return values


def _places_of(text: pl.Series, classes: tuple[str, ...]) -> pl.Series:
    """Returns the number of every text's class; null for missing and unknown ones.

    A text that is no class is compared as a number (1.0 is the class 1) and, for true and false, in lower case.
    """
    places = {name: float(number) for number, name in enumerate(classes)}
    distinct = text.unique().drop_nulls()
    by_text: dict[str, float] = {}
    for given, same in zip(distinct, canonical(distinct), strict=True):
        for candidate in (given, same, given.lower(), given.capitalize()):
            is_allowed = candidate in (given, same) or given.lower() in ("true", "false")
            if is_allowed and candidate in places:
                by_text[given] = places[candidate]
                break
    return text.replace_strict(by_text, default=None, return_dtype=pl.Float64)


def as_table(columns: Sequence[TableColumn], rows: np.ndarray) -> pl.DataFrame:
    """Returns rows of numbers as a table in the form of the user's: names, texts of classes, dates, missing cells.

    Numbers of a column that was whole in training are rounded, counts to at least 0. Columns that are left out are
    missing, except for constants, which have their value.

    Args:
      columns: all columns of the table, as stored with a run.
      rows: (N, D) floats; NaN is a missing cell.

    >>> columns = [TableColumn("rooms", "count", integers=True), TableColumn("fuel", "binary", classes=("gas", "oil"))]
    >>> as_table(columns, np.array([[3.2, 1.0], [2.0, np.nan]])).rows()
    [(3, 'oil'), (2, None)]
    """
    rows = np.asarray(rows)
    expected = len(model_columns(columns))
    if rows.ndim != 2 or rows.shape[1] != expected:
        raise ValueError(f"rows of this table must have shape (N, {expected}), got {rows.shape}")
    return pl.DataFrame({cells.name: cells for cells in _cells(columns, rows)})


def _cells(columns: Sequence[TableColumn], rows: np.ndarray) -> Iterator[pl.Series]:
    place = 0
    for name, group in groupby(columns, key=lambda column: column.date or column.name):
        of_name = tuple(group)
        parts: dict[str, np.ndarray] = {}
        for column in of_name:
            if column.kind == "identifier" or (column.kind == "constant" and column.classes is None):
                continue
            if column.kind == "constant":
                assert column.classes is not None
                if column.date is None:
                    yield pl.Series(name, [column.classes[0]] * len(rows), dtype=pl.String)
                else:
                    parts[column.name.rpartition(".")[2]] = np.full(len(rows), float(column.classes[0]))
                continue
            values = rows[:, place]
            place += 1
            if column.date is not None:
                first = float(column.classes[0]) if column.classes is not None else 0.0
                parts[column.name.rpartition(".")[2]] = values + first
            elif column.classes is not None:
                yield _texts_of(column, values).alias(name)
            else:
                yield _numbers_of(column, values).alias(name)
        if parts:
            form = of_name[0].form
            assert form is not None
            yield combined(parts, form).alias(name)


def _texts_of(column: TableColumn, values: np.ndarray) -> pl.Series:
    assert column.classes is not None
    is_known = np.isfinite(values)
    numbers = np.clip(np.round(np.where(is_known, values, 0)), 0, len(column.classes) - 1).astype(np.int64)
    texts = pl.Series(column.classes, dtype=pl.String).gather(numbers)
    return pl.select(pl.when(pl.Series(is_known)).then(texts)).to_series()


def _numbers_of(column: TableColumn, values: np.ndarray) -> pl.Series:
    if column.kind == "count":
        values = np.maximum(values, 0)
    if not column.integers:
        return pl.Series(values.astype(np.float32)).fill_nan(None)
    is_known = np.isfinite(values)
    whole = np.clip(np.round(np.where(is_known, values, 0).astype(np.float64)), -_MAX_INTEGER, _MAX_INTEGER)
    return pl.select(pl.when(pl.Series(is_known)).then(pl.Series(whole.astype(np.int64)))).to_series()
