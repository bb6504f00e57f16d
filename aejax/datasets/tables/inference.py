"""Infers what a table's columns hold from training rows alone; declarations replace the inference column by column.

The rules, in this order, for a column that is not declared:

- constant: all observed cells are equal, or all are missing. It is left out.
- date: at least nine of ten cells have one common form of a date; another cell in such a column is an error.
- numbers, if all cells are numbers (a few other cells are an error, more make the column text):
  identifier: whole numbers that count rows in order; or whole numbers that are all distinct, if the column's name
  contains id, key, index, uuid, ..., or if all have the same number of digits, at least 8. It is left out.
  binary: two distinct numbers.
  categorical: months, whole numbers from 1 to 12 in a column whose name contains mo, month, ...
  ordinal: a rating, whole numbers from 1 to at most 10 of which each occurs, with a variance below half the mean.
  count: whole numbers from 0, 1 or 2 to at most 50.
  log_normal: positive numbers with a skewness above 1, whose logarithms have less than half of it in absolute value.
  continuous: all others.
- text, and codes with leading zeros such as 020:
  identifier: no text occurs twice, or more than half of the texts, and more than 20, are distinct. It is left out.
  binary: two distinct texts.
  ordinal: at least three distinct texts, all of one known scale, such as Po, Fa, TA, Gd, Ex or low, medium, high.
  categorical: all others, up to 10,000 texts.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import polars as pl

from aejax.datasets.tables.cells import number_text
from aejax.datasets.tables.columns import Kind, TableColumn
from aejax.datasets.tables.dates import DateForm
from aejax.datasets.tables.declarations import Declaration
from aejax.datasets.tables.statistics import MAX_CLASSES, ColumnStatistics, Moments
from aejax.errors import UserError, knob_name

OTHER = "(other)"  # the class of categories that are rare or unknown, where the user asks for one
_MIN_FREQUENCY = 5  # training rows of a category with a class of its own, where there is a class of others
_MIN_NUMBERS = 0.9  # of the cells of a column of numbers
_MANY_ZEROS = 0.1  # of the numbers of a column, which are then said
_MIN_ROWS = 10  # of whole numbers in order that count rows
_MIN_DIGITS = 8
_MAX_RATING, _MAX_COUNT, _MAX_FIRST_COUNT = 10, 50, 2
_MIN_SKEWNESS = 1.0
_LISTED, _MAX_NAME = 5, 30  # classes, and characters of a name, that are printed
_MANY_MISSING = 0.5  # of the cells of a column
_MIN_FREE_SHARE = 0.5  # of the cells of free text that are distinct
_MAX_FREE_TEXTS = 20  # distinct texts, above which a column of which most texts are distinct is free text
_IDENTIFIER = re.compile(r"(^|[\W_])(id|p?key|pid|uid|uuid|guid|index|identifier|ssn)s?($|[\W_\d])|[a-z]I[dD]$", re.I)
_MONTH = re.compile(r"(^|[\W_])(mo|mon|months?)($|[\W_])", re.I)
_SCALES = (
    ("po", "fa", "ta", "gd", "ex"),
    ("very poor", "poor", "fair", "average", "good", "very good", "excellent"),
    ("very low", "low", "medium", "high", "very high"),
    ("low", "moderate", "high", "very high"),
    ("none", "mild", "moderate", "severe", "very severe"),
    ("never", "rarely", "sometimes", "often", "always"),
    ("strongly disagree", "disagree", "neutral", "agree", "strongly agree"),
    ("very dissatisfied", "dissatisfied", "neutral", "satisfied", "very satisfied"),
    ("xxs", "xs", "s", "m", "l", "xl", "xxl", "xxxl"),
    ("small", "medium", "large", "extra large"),
    ("first", "second", "third", "fourth", "fifth"),
)


class Inferred(NamedTuple):
    """One column of the user's table: what it holds."""

    name: str
    columns: tuple[TableColumn, ...]  # one, or the parts of a date
    holds: str  # the range, the classes or why it is left out, for the user
    missing: float  # fraction of the training rows
    word: str | None = None  # how most training cells are written that are missing, if it is a word such as NA


def infer_column(
    name: str, statistics: ColumnStatistics, declared: Declaration | None, *, own_class: bool, table: str
) -> Inferred:
    """Returns what a column holds.

    Args:
      name: of the column.
      statistics: of its training rows.
      declared: the user's declaration; None to infer the kind.
      own_class: whether categories of fewer than 5 training rows become one class, `(other)`, which also holds
        categories that no training row has.
      table: the file, for messages.

    Raises:
      UserError: cells that contradict the declaration or all other cells, a category with 10,000 values or more, mixed
        decimal marks, or numbers beyond float32. The message names the row.
    """
    inferred = _infer(name, statistics, declared, own_class=own_class, table=table)
    return inferred._replace(word=statistics.words.most_common(1)[0][0] if statistics.words else None)


def _infer(
    name: str, statistics: ColumnStatistics, declared: Declaration | None, *, own_class: bool, table: str
) -> Inferred:
    where = f"{table}: column {name!r}"
    missing = statistics.missing / statistics.rows if statistics.rows else 0.0
    if declared is not None and declared.kind in ("identifier", "leave_out"):
        kind: Kind = "identifier"
        return _left_out(name, kind, f"declared {declared.kind}", missing)
    if constant := _constant(name, statistics, missing):
        return constant
    is_missing = statistics.missing > 0
    if declared is None or declared.kind == "date":
        chosen = statistics.forms.choose(statistics.observed, where)
        if chosen is not None:
            return _date(name, *chosen, missing)
        if declared is not None:
            example = statistics.other or "its cells are numbers"
            raise UserError(
                f"{declared.place}: {table} holds no dates of {declared.format or 'a common form'}: {example}"
            )
    kind = _kind(name, statistics, where) if declared is None else declared.kind  # type: ignore[assignment]
    if kind == "identifier":
        return _left_out(name, kind, _reason(statistics), missing)
    if kind in ("binary", "categorical", "ordinal"):
        return _classes(name, kind, statistics, declared, missing, own_class=own_class, table=table)
    _check_numbers(kind, statistics, declared, where=where, table=table)
    moments = {"log_normal": statistics.logs, "count": statistics.log1ps}.get(kind, statistics.numbers)
    column = TableColumn(
        name,
        kind,
        integers=statistics.all_whole,
        may_be_missing=is_missing,
        mean=moments.mean,
        standard_deviation=moments.standard_deviation,
    )
    return Inferred(name, (column,), _range(statistics), missing)


def _constant(name: str, statistics: ColumnStatistics, missing: float) -> Inferred | None:
    if not statistics.observed:
        return _left_out(name, "constant", "all training cells are missing", missing)
    if statistics.texts is None or len(counts := statistics.counts()) > 1:
        return None
    (text,) = counts
    besides = "except for missing cells " if statistics.missing else ""
    reason = f"all training cells {besides}are {text!r}"
    column = TableColumn(name, "constant", classes=(text,), may_be_missing=statistics.missing > 0, reason=reason)
    return Inferred(name, (column,), reason, missing)


def _left_out(name: str, kind: Kind, reason: str, missing: float) -> Inferred:
    return Inferred(name, (TableColumn(name, kind, reason=reason),), reason, missing)


def _kind(name: str, statistics: ColumnStatistics, where: str) -> Kind:
    """Returns the kind of a column that is neither constant nor a date."""
    numbers, observed, marks = statistics.numbers, statistics.observed, statistics.marks
    if statistics.infinite is not None and statistics.other is None:
        raise UserError(f"{where}: {statistics.infinite}, which is infinite or beyond float32")
    if marks.separated and numbers.count + marks.separated >= _MIN_NUMBERS * observed:
        raise UserError(f"{where}: {marks.thousands}: write thousands without a separator")
    if _MIN_NUMBERS * observed <= numbers.count < observed and statistics.other is not None:
        raise UserError(
            f"{where}: {statistics.other}, which is no number, unlike {numbers.count:,} of {observed:,} cells: correct "
            f"it, add it to {knob_name('missing_values')}, or declare the column categorical"
        )
    counts = None if statistics.texts is None else statistics.counts()
    if numbers.count < observed or statistics.codes:
        return _kind_of_text(statistics, counts, where)
    if statistics.all_whole and _counts_rows_or_names(name, statistics):
        return "identifier"
    if counts is not None and len(counts) == 2:
        return "binary"
    if statistics.all_whole and numbers.low >= 1 and numbers.high <= 12 and _MONTH.search(name):
        return "categorical"
    if statistics.all_whole and 0 <= numbers.low <= _MAX_FIRST_COUNT and numbers.high <= _MAX_COUNT:
        levels = len(counts or ())
        is_rating = numbers.low == 1 and numbers.high == levels <= _MAX_RATING
        return "ordinal" if is_rating and numbers.standard_deviation**2 < numbers.mean / 2 else "count"
    if numbers.low > 0 and numbers.skewness > _MIN_SKEWNESS:
        return "log_normal" if abs(statistics.logs.skewness) < numbers.skewness / 2 else "continuous"
    return "continuous"


def _kind_of_text(statistics: ColumnStatistics, counts: dict[str, int] | None, where: str) -> Kind:
    if not statistics.repeats:
        return "identifier"
    if counts is None and statistics.distinct_share > _MIN_FREE_SHARE:
        return "identifier"
    if counts is None:
        raise UserError(
            f"{where}: holds {MAX_CLASSES:,} different texts or more, too many for categories: declare it leave_out"
        )
    if len(counts) == 2:
        return "binary"
    if len(counts) > max(_MAX_FREE_TEXTS, _MIN_FREE_SHARE * statistics.observed):
        return "identifier"
    return "categorical" if _scale_of(counts) is None else "ordinal"


def _scale_of(texts: dict[str, int]) -> list[str] | None:
    """Returns the texts in the order of a known scale that has them all; None if there is none."""
    by_lower = {text.lower(): text for text in texts}
    if len(by_lower) < max(3, len(texts)):
        return None
    for scale in _SCALES:
        if set(by_lower) <= set(scale):
            return [by_lower[level] for level in scale if level in by_lower]
    return None


def _counts_rows_or_names(name: str, statistics: ColumnStatistics) -> bool:
    if statistics.in_order and statistics.rows >= _MIN_ROWS:
        return True
    has_same_digits = len(statistics.digits) == 1 and min(statistics.digits) >= _MIN_DIGITS
    return not statistics.repeats and (has_same_digits or _IDENTIFIER.search(name) is not None)


def _reason(statistics: ColumnStatistics) -> str:
    if statistics.in_order and statistics.numbers.count == statistics.rows:
        return "it numbers the rows"
    if not statistics.repeats:
        return "identifiers, no value occurs twice"
    if statistics.texts is None:
        return f"free text, {MAX_CLASSES:,} texts or more are distinct"
    return f"free text, {len(statistics.texts):,} of {statistics.observed:,} cells are distinct"


def _classes(
    name: str,
    kind: Kind,
    statistics: ColumnStatistics,
    declared: Declaration | None,
    missing: float,
    *,
    own_class: bool,
    table: str,
) -> Inferred:
    where = f"{table}: column {name!r}"
    if statistics.texts is None:
        raise UserError(
            f"{where}: holds {MAX_CLASSES:,} different values or more, too many for {kind}: declare another"
        )
    counts = statistics.counts()
    classes = list(counts)
    if declared is not None and declared.classes is not None:
        classes = list(declared.classes)
        if unknown := [text for text in counts if text not in classes]:
            raise UserError(
                f"{declared.place}: training rows of {table} hold {unknown[0]!r}, which is not among the declared "
                f"classes {', '.join(map(repr, classes))}"
            )
    elif kind == "ordinal":
        scale = _scale_of(counts)
        is_numeric = statistics.numbers.count == statistics.observed
        if scale is None and not is_numeric:
            raise UserError(
                f"{where}: is ordinal, but the order of its texts is not known: declare its classes in order, from the "
                "lowest to the highest"
            )
        classes = scale or classes
    if kind == "binary" and len(classes) != 2:
        raise UserError(f"{where}: is binary, but its training rows hold {len(classes):,} values: declare another kind")
    if own_class and kind == "categorical" and (declared is None or declared.classes is None):
        classes = [text for text in classes if counts[text] >= _MIN_FREQUENCY] + [OTHER]
    column = TableColumn(name, kind, classes=tuple(classes), may_be_missing=statistics.missing > 0)
    return Inferred(name, (column,), _list_classes(classes), missing)


def _check_numbers(
    kind: Kind, statistics: ColumnStatistics, declared: Declaration | None, *, where: str, table: str
) -> None:
    statistics.marks.check(where)
    if statistics.infinite is not None:
        raise UserError(f"{where}: {statistics.infinite}, which is infinite or beyond float32")
    if statistics.other is not None:
        assert declared is not None
        raise UserError(f"{declared.place}: {kind} expects numbers, but {table}: {statistics.other}")
    low = statistics.numbers.low
    if kind == "log_normal" and low <= 0:
        raise UserError(f"{where}: log_normal expects positive numbers, but training rows hold {low:g}")
    if kind == "count" and (low < 0 or not statistics.all_whole):
        raise UserError(f"{where}: count expects whole numbers of at least 0, but training rows hold others")


def _date(name: str, form: str, found: DateForm, missing: float) -> Inferred:
    """Returns the parts of a date: year and day as numbers, month and hour as classes."""
    parts = ["year", "month", "day"] + ["hour"] * (set(found.values["hour"]) != {0})
    columns = []
    for part in parts:
        values, full = found.values[part], f"{name}.{part}"
        if len(values) == 1:
            text = str(*values)
            reason = f"all training dates have {part} {text}"
            column = TableColumn(full, "constant", classes=(text,), date=name, form=form, reason=reason)
        elif part in ("month", "hour"):
            numbers = range(1, 13) if part == "month" else range(24)
            texts = tuple(map(str, numbers))
            column = TableColumn(full, "categorical", texts, may_be_missing=missing > 0, date=name, form=form)
        else:
            moments = Moments()
            moments.add(np.repeat(np.array([*values], np.float64), [*values.values()]))
            column = TableColumn(
                full,
                "continuous",
                integers=True,
                may_be_missing=missing > 0,
                mean=moments.mean,
                standard_deviation=moments.standard_deviation,
                date=name,
                form=form,
            )
        columns.append(column)
    low, high = min(found.values["year"]), max(found.values["year"])
    years = f"in {low}" if low == high else f"from {low} to {high}"
    return Inferred(name, tuple(columns), f"dates {years} as {form}: {', '.join(parts)}", missing)


def _range(statistics: ColumnStatistics) -> str:
    numbers = statistics.numbers
    low, high = number_text(pl.Series([numbers.low, numbers.high])).to_list()
    whole = ", whole" if statistics.all_whole else ""
    comma = ", decimal commas" if statistics.marks.comma is not None else ""
    share = statistics.zeros / max(numbers.count, 1)
    zeros = f", {100 * share:.3g} % zeros" if share >= _MANY_ZEROS else ""
    return f"{low} to {high}{whole}{zeros}{comma}"


def _list_classes(classes: list[str]) -> str:
    shown = ", ".join(" ".join(text.split()) for text in classes[:_LISTED])
    others = len(classes) - _LISTED
    more = f", and {others:,} other{'s' * (others > 1)}" if others > 0 else ""
    return f"{len(classes):,} classes: {shown}{more}"


def describe(inferred: Sequence[Inferred]) -> list[str]:
    """Returns lines for the user, one a column: its name, its kind, missing cells, and what it holds.

    >>> describe([Inferred("rooms", (TableColumn("rooms", "count"),), "0 to 4, whole", 0.25)])
    ['column  kind   missing  holds', 'rooms   count     25 %  0 to 4, whole']
    """
    rows = [("column", "kind", "missing", "holds")]
    for column in inferred:
        kinds = {"date" if part.date is not None else part.kind for part in column.columns}
        kind = "left out" if kinds <= {"identifier", "constant"} else " ".join(sorted(kinds))
        missing = f"{100 * column.missing:.3g} %" if column.missing else ""
        rows.append((_shortened(column.name), kind, missing, column.holds))
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    return [f"{row[0]:{widths[0]}}  {row[1]:{widths[1]}}  {row[2]:>{widths[2]}}  {row[3]}" for row in rows]


def describe_words(inferred: Sequence[Inferred]) -> list[str]:
    """Returns lines on categories of which most cells are a word such as NA, which may be a category of its own.

    >>> column = TableColumn("pool", "binary", ("no", "yes"), may_be_missing=True)
    >>> describe_words([Inferred("pool", (column,), "", missing=0.9, word="NA")])
    ["NA is read as missing, in most rows of pool; if it is a category there, declare it, as in columns 'pool=..."]
    """
    lines = []
    of_classes = [each for each in inferred if each.missing > _MANY_MISSING and each.columns[0].classes is not None]
    for word in sorted({each.word for each in of_classes if each.word is not None}):
        columns = [each for each in of_classes if each.word == word]
        shown = ", ".join(_shortened(each.name) for each in columns[:_LISTED])
        more = f" and {len(columns) - _LISTED} others" if len(columns) > _LISTED else ""
        first = columns[0].columns[0]
        example = f"{first.name}=categorical:{','.join([word, *(first.classes or ())])}"
        lines.append(
            f"{word} is read as missing, in most rows of {shown}{more}; if it is a category there, declare it, as in "
            f"{knob_name('columns')} {example!r}"
        )
    return lines


def _shortened(name: str) -> str:
    one_line = " ".join(name.split())
    return one_line if len(one_line) <= _MAX_NAME else f"{one_line[: _MAX_NAME - 3]}..."
