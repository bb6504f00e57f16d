"""Cells of a table as text and as numbers: missing cells, decimal commas, and the texts of numbers that are classes."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from aejax.errors import UserError

MISSING = ("", "NA", "N/A", "nan", "null", "?")  # cells that are missing, in upper or lower case
_COMMA = r"^[+-]?\d*,\d+(?:[eE][+-]?\d+)?$"
_POINT = r"^[+-]?\d*\.\d+(?:[eE][+-]?\d+)?$"
_THOUSANDS = r"^[+-]?[1-9]\d{0,2}(?:,\d{3})+(?:\.\d*)?$"
CODE = r"^0\d+$"  # a number with a leading zero, such as 020, which is a code
_MAX_WHOLE = 2.0**53  # above it, not every whole number is a float64


def as_text(cells: pl.Series, missing_values: Sequence[str] = (), *, kept: Collection[str] = ()) -> pl.Series:
    """Returns cells as text without spaces at their ends; null for a missing cell.

    A cell is missing if it is empty, NA, N/A, nan, null or ?, in upper or lower case, or one of `missing_values`. These
    words may also stand for a category, as "NA" in the Ames housing data stands for a house without a garage: they are
    missing nevertheless, unless `kept` has them.

    Args:
      cells: a column of a table.
      missing_values: further texts of missing cells; a number such as -99 stands for equal numbers, such as -99.0, too.
      kept: texts that are never missing: those that the user declared as classes.

    Raises:
      UserError: the cells hold lists or something else without a text.

    >>> as_text(pl.Series([" a", "NA", "", None])).to_list(), as_text(pl.Series([1.0, 0.5, float("nan")])).to_list()
    (['a', None, None, None], ['1', '0.5', None])
    """
    name, cells = cells.name, cells.alias("cells")  # polars would expand a name such as ^a$
    text = _text_of(cells, name).str.strip_chars()
    words = [word.strip().lower() for word in (*MISSING, *missing_values)]
    is_missing = text.str.to_lowercase().is_in(words)
    if numbers := as_numbers(pl.Series(missing_values, dtype=pl.String)).drop_nulls().to_list():
        is_missing |= as_numbers(text).is_in(numbers).fill_null(False)
    if kept:
        is_missing &= ~text.is_in(list(kept))
    return pl.select(pl.when(~is_missing).then(text)).to_series()


def _text_of(cells: pl.Series, name: str) -> pl.Series:
    dtype = cells.dtype
    if dtype.is_float() or dtype.is_decimal():
        return number_text(cells.cast(pl.Float64))
    if isinstance(dtype, pl.Datetime):
        return cells.dt.strftime("%Y-%m-%d %H:%M:%S")
    if dtype.is_integer() or isinstance(dtype, pl.String | pl.Boolean | pl.Categorical | pl.Enum | pl.Date | pl.Null):
        return cells.cast(pl.String)
    raise UserError(
        f"column {name!r} holds {str(dtype).lower()} cells, expected numbers, text or dates: declare it leave_out"
    )


def number_text(numbers: pl.Series) -> pl.Series:
    """Returns the shortest text of every number, without decimals if it is whole; null for NaN.

    >>> number_text(pl.Series([2.0, 0.1, float("nan")])).to_list()
    ['2', '0.1', None]
    """
    is_whole = (numbers == numbers.floor()) & (numbers.abs() < _MAX_WHOLE)
    whole = pl.select(pl.when(is_whole).then(numbers)).to_series().cast(pl.Int64, strict=False).cast(pl.String)
    return whole.zip_with(is_whole.fill_null(False), numbers.fill_nan(None).cast(pl.String))


def as_numbers(text: pl.Series) -> pl.Series:
    """Returns the numbers that cells of text hold, with a decimal point or comma; null for missing cells and others.

    >>> as_numbers(pl.Series(["1.5", "1,5", "1e3", "one", None])).to_list()
    [1.5, 1.5, 1000.0, None, None]
    """
    numbers = text.cast(pl.Float64, strict=False)
    if numbers.null_count() > text.null_count():
        with_point = pl.when(text.str.contains(_COMMA)).then(text.str.replace(",", ".", literal=True))
        numbers = numbers.fill_null(pl.select(with_point).to_series().cast(pl.Float64, strict=False))
    return numbers.fill_nan(None)


def canonical(text: pl.Series) -> pl.Series:
    """Returns the text of the same number without needless digits, so that 1, 1.0 and 1e0 are one class.

    >>> canonical(pl.Series(["1.0", "1", "2.50", "x"])).to_list()
    ['1', '1', '2.5', 'x']
    """
    return number_text(as_numbers(text)).fill_null(text)


def find_first(is_chosen: pl.Series, text: pl.Series, rows: np.ndarray) -> str | None:
    """Returns the place and the text of the first chosen cell, for a message; None if there is none.

    >>> find_first(pl.Series([False, True]), pl.Series(["1", "one"]), np.array([7, 8]))
    "data row 8 holds 'one'"
    """
    places = is_chosen.fill_null(False).arg_true()
    return None if not len(places) else f"data row {rows[places[0]]:,} holds {text[places[0]]!r}"


@dataclass
class DecimalMarks:
    """Which decimal marks the cells of a column have, over all batches."""

    comma: str | None = None  # the place and text of the first cell with a decimal comma
    point: str | None = None  # of the first cell with a decimal point
    thousands: str | None = None  # of the first cell whose comma may separate thousands
    separated: int = 0  # cells whose commas surely separate thousands
    is_clear: bool = False  # whether a comma is surely a decimal mark

    def add(self, text: pl.Series, rows: np.ndarray) -> None:
        """Adds the cells of a batch.

        Args:
          text: the cells.
          rows: the number of each cell's row in its file.
        """
        if text.str.contains(",", literal=True).any():
            commas, thousands = (text.str.contains(pattern) for pattern in (_COMMA, _THOUSANDS))
            self.comma = self.comma or find_first(commas, text, rows)
            self.thousands = self.thousands or find_first(thousands, text, rows)
            self.separated += int((thousands & ~commas).sum())
            self.is_clear |= bool((commas & ~thousands).any())
        if self.point is None:
            self.point = find_first(text.str.contains(_POINT), text, rows)

    def check(self, where: str) -> None:
        """Raise UserError for commas beside points, and for commas that may separate thousands, as in 1,234.

        Args:
          where: the file and the column, for the message.
        """
        if self.thousands is not None and not self.is_clear:
            raise UserError(
                f"{where}: {self.thousands}, whose comma may separate thousands or decimals: write thousands without a "
                "separator"
            )
        if self.comma is not None and self.point is not None:
            raise UserError(f"{where}: mixes decimal marks: {self.comma}, but {self.point}: write one kind")
