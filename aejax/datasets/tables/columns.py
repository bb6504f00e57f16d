"""The columns of a table: what each one holds, as inferred from training rows or declared by the user."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import ConfigDict

Kind = Literal[
    "continuous", "log_normal", "count", "binary", "categorical", "ordinal", "date", "identifier", "constant"
]
UnknownCategories = Literal["refuse", "missing", "own_class"]  # how a category that no training row has is read
_STRICT = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)
_LEFT_OUT: tuple[Kind, ...] = ("identifier", "constant")


@dataclass(frozen=True)
class TableColumn:
    """One column of a table, or one part of a date, with the statistics of the training rows."""

    __pydantic_config__ = _STRICT

    name: str
    """The name in the user's table; of a date's part: sold.year, sold.month, sold.day or sold.hour."""
    kind: Kind
    """What the column holds. identifier and constant are left out of the rows; date occurs only in a declaration, and
    its parts in the rows."""
    classes: tuple[str, ...] | None = None
    """binary, categorical, ordinal: the texts of classes 0, 1, ... in the user's table; constant: its only text, if it
    has one."""
    integers: bool = False
    """Whether all numbers of the training rows are whole: they are written without decimals."""
    may_be_missing: bool = False
    """Whether a training row lacks a value: the encoder then has an input that is 1 where the value is known."""
    mean: float | None = None
    """Of the known training values; log_normal: of their logarithms; count: of log(1 + count)."""
    standard_deviation: float | None = None
    """Of the known training values; log_normal: of their logarithms; count: of log(1 + count)."""
    date: str | None = None
    """Of a date's part: the name of the date in the user's table."""
    form: str | None = None
    """Of a date's part: how the date is written in the user's table, such as %Y-%m-%d."""
    reason: str | None = None
    """Why an identifier or a constant is left out."""


def model_columns(columns: Sequence[TableColumn]) -> tuple[TableColumn, ...]:
    """Returns the columns that a row of numbers has: all but identifiers and constants, in their order.

    >>> columns = (TableColumn("id", "identifier", reason="every row has another value"), TableColumn("rooms", "count"))
    >>> [column.name for column in model_columns(columns)]
    ['rooms']
    """
    return tuple(column for column in columns if column.kind not in _LEFT_OUT)
