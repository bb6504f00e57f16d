"""Dates in tables: the forms in which they are written, their parts, and the dates that parts stand for."""

from dataclasses import dataclass, field

import numpy as np
import polars as pl

from aejax.datasets.tables.cells import find_first
from aejax.errors import UserError

_DAYS = ("%Y-%m-%d", "%Y/%m/%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y")
_TIMES = ("", " %H:%M", " %H:%M:%S", "T%H:%M", "T%H:%M:%S")
FORMATS = tuple(day + time for day in _DAYS for time in _TIMES)
_LIKE_A_DATE = r"^\d{1,4}[-./]\d{1,2}[-./]\d{1,4}"
_MIN_SHARE = 0.9  # of the cells of a column of dates that are dates; fewer are text
PARTS = ("year", "month", "day", "hour")


def parse_dates(text: pl.Series, form: str) -> pl.Series:
    """Returns the dates and times in cells of text; null for others.

    >>> parse_dates(pl.Series(["31.1.2020", "x"]), "%d.%m.%Y").to_list()
    [datetime.datetime(2020, 1, 31, 0, 0), None]
    """
    if "%H" in form:
        return text.str.to_datetime(form, strict=False, time_unit="us")
    return text.str.to_date(form, strict=False).cast(pl.Datetime("us"))


def parts_of(dates: pl.Series) -> dict[str, np.ndarray]:
    """Returns the parts of dates by name, (N,) float64: year, month (1 to 12), day and hour; NaN for a missing date."""
    parts = {"year": dates.dt.year(), "month": dates.dt.month(), "day": dates.dt.day(), "hour": dates.dt.hour()}
    return {name: part.cast(pl.Float64).fill_null(float("nan")).to_numpy() for name, part in parts.items()}


@dataclass
class DateForm:
    """The cells of a column that are dates of one form, over all batches."""

    dates: int = 0
    other: str | None = None  # the place and text of the first cell that is no such date
    values: dict[str, dict[int, int]] = field(default_factory=lambda: {part: {} for part in PARTS})  # part -> counts

    def add(self, dates: pl.Series, text: pl.Series, rows: np.ndarray) -> None:
        """Adds the cells of a batch, as text and as dates."""
        self.dates += len(dates) - dates.null_count()
        if self.other is None:
            self.other = find_first(text.is_not_null() & dates.is_null(), text, rows)
        for name, part in parts_of(dates.drop_nulls()).items():
            counts = self.values[name]
            for value, count in zip(*np.unique(part.astype(int), return_counts=True), strict=True):
                counts[int(value)] = counts.get(int(value), 0) + int(count)


@dataclass
class DateForms:
    """The forms of dates that cells of a column have, over all batches."""

    declared: str | None = None  # the only form, if it is known
    forms: dict[str, DateForm] | None = None  # those that are still possible; None before the first cell

    def add(self, text: pl.Series, rows: np.ndarray) -> None:
        """Adds the cells of a batch; `rows` are the numbers of their rows."""
        if text.null_count() == len(text):
            return
        if self.forms is None and self.declared is not None:
            self.forms = {self.declared: DateForm()}
        if self.forms is None:
            likely = text.str.contains(_LIKE_A_DATE).sum() >= _MIN_SHARE * len(text.drop_nulls())
            self.forms = {form: DateForm() for form in FORMATS} if likely else {}
        for form, found in list(self.forms.items()):
            dates = parse_dates(text, form)
            if not found.dates and dates.null_count() == len(dates):
                del self.forms[form]
            else:
                found.add(dates, text, rows)

    def choose(self, observed: int, where: str) -> tuple[str, DateForm] | None:
        """Returns the form that most cells have; None if fewer than nine of ten cells are dates of one form.

        Args:
          observed: the number of cells that are not missing.
          where: the file and the column, for messages.

        Raises:
          UserError: a cell is no date of that form, or the order of day and month cannot be known.
        """
        if not self.forms:
            return None
        most = max(found.dates for found in self.forms.values())
        if most < _MIN_SHARE * observed:
            return None
        best = [form for form, found in self.forms.items() if found.dates == most]
        if len(best) > 1:
            raise UserError(
                f"{where}: day and month of its dates cannot be distinguished: declare the column with a format, as in "
                f'{{"kind": "date", "format": "{best[0]}"}}'
            )
        chosen = self.forms[best[0]]
        if chosen.other is not None:
            raise UserError(f"{where}: {chosen.other}, which is no date of the form {best[0]}, as the others are")
        return best[0], chosen


def combined(parts: dict[str, np.ndarray], form: str) -> pl.Series:
    """Returns the dates that parts stand for, as text; null where a part is missing.

    Parts are rounded; a day beyond its month's last one becomes the last one.

    Args:
      parts: year, month and day, (N,) each, and hour if the form has one.
      form: the form in which dates are written.

    >>> date = {"year": np.array([2021.2]), "month": np.array([2.0]), "day": np.array([30.0])}
    >>> combined(date, "%d.%m.%Y").to_list()
    ['28.02.2021']
    """
    is_known = np.all([np.isfinite(part) for part in parts.values()], axis=0)
    whole = {name: np.where(is_known, np.round(part), 1).astype(np.int64) for name, part in parts.items()}
    year, month = (np.clip(whole[name], 1, most) for name, most in (("year", 9999), ("month", 12)))
    first = (year - 1970).astype("datetime64[Y]").astype("datetime64[M]") + (month - 1).astype("timedelta64[M]")
    next_first = first + np.timedelta64(1, "M")
    last_day = (next_first.astype("datetime64[D]") - first.astype("datetime64[D]")).astype(np.int64)
    days = first.astype("datetime64[D]") + (np.clip(whole["day"], 1, last_day) - 1).astype("timedelta64[D]")
    hours = np.clip(whole.get("hour", np.zeros_like(year)), 0, 23)
    times = days.astype("datetime64[us]") + hours.astype("timedelta64[h]")
    text = pl.Series(times).dt.strftime(form)
    return pl.select(pl.when(pl.Series(is_known)).then(text)).to_series()
