"""What the training rows of a table hold in one column, accumulated batch by batch in bounded memory."""

import math
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from aejax.datasets.tables.cells import CODE, DecimalMarks, as_numbers, as_text, canonical, find_first
from aejax.datasets.tables.dates import DateForms

MAX_CLASSES = 10_000  # distinct values of a column that are counted


@dataclass
class Moments:
    """Count, range, mean, standard deviation and skewness of numbers, with sums about a number near the mean."""

    count: int = 0
    low: float = math.inf
    high: float = -math.inf
    near: float = 0.0
    sums: np.ndarray = field(default_factory=lambda: np.zeros(3))  # of the first three powers of deviations from `near`

    def add(self, numbers: np.ndarray) -> None:
        """Adds numbers (N,), N > 0."""
        if not self.count:
            self.near = float(numbers.mean())
        deviations = numbers - self.near
        self.sums = self.sums + np.array([deviations.sum(), np.square(deviations).sum(), (deviations**3).sum()])
        self.count += len(numbers)
        self.low, self.high = min(self.low, float(numbers.min())), max(self.high, float(numbers.max()))

    @property
    def mean(self) -> float:
        """The mean of all numbers."""
        return self.near + float(self.sums[0]) / self.count

    @property
    def standard_deviation(self) -> float:
        """The standard deviation of all numbers, with division by their count."""
        shift = self.sums[0] / self.count
        return math.sqrt(max(0.0, float(self.sums[1] / self.count - shift**2)))

    @property
    def skewness(self) -> float:
        """The third moment of the standardized numbers; 0 if all are equal.

        >>> moments = Moments()
        >>> moments.add(np.array([1.0, 1.0, 4.0]))
        >>> round(moments.skewness, 4)
        0.7071
        """
        shift, second, third = self.sums / self.count
        deviation = self.standard_deviation
        return 0.0 if deviation == 0 else float(third - 3 * shift * second + 2 * shift**3) / deviation**3


class ColumnStatistics:
    """What the training rows hold in one column: missing cells, texts, numbers, dates, decimal marks."""

    def __init__(
        self, missing_values: tuple[str, ...] = (), kept: tuple[str, ...] = (), form: str | None = None
    ) -> None:
        """Starts without rows.

        Args:
          missing_values: as in `as_text`.
          kept: as in `as_text`.
          form: the form of dates, if it is declared.
        """
        self._missing_values, self._kept = missing_values, kept
        self.rows = 0
        self.missing = 0
        self.words: Counter[str] = Counter()  # missing cells that are not empty
        self.texts: dict[str, int] | None = {}  # how often each text occurs; None if there are 10,000 or more
        self.distinct_share = 0.0  # of the observed cells, when there were 10,000 texts
        self.repeats = False  # whether a text occurs twice, as far as they are counted
        self.zeros = 0
        self.codes = 0  # cells such as 020, which are numbers with a leading zero
        self.all_whole = True
        self.digits: set[int] = set()  # the numbers of digits of whole numbers
        self.steps: float | None = None  # number minus row, if it is the same in all rows
        self.in_order = True
        self.numbers, self.logs, self.log1ps = Moments(), Moments(), Moments()  # logs, log1ps: if all are in the domain
        self.other: str | None = None  # the place and text of the first cell that is no number
        self.infinite: str | None = None  # of the first number beyond float32
        self.marks = DecimalMarks()
        self.forms = DateForms(form)

    @property
    def observed(self) -> int:
        """The number of cells that are not missing."""
        return self.rows - self.missing

    def add(self, cells: pl.Series, rows: np.ndarray) -> None:
        """Adds the cells of a batch.

        Args:
          cells: the cells of the training rows.
          rows: the numbers of these rows in the file.
        """
        text, cells = as_text(cells, self._missing_values, kept=self._kept), cells.alias("cells")
        self.rows += len(text)
        self.missing += text.null_count()
        if text.null_count() > cells.null_count():
            words = cells.filter(text.is_null() & cells.is_not_null()).cast(pl.String).str.strip_chars()
            self.words.update(dict(words.filter(words != "").value_counts().iter_rows()))
        if text.null_count() == len(text):
            self.in_order = False
            return
        self._count_texts(text)
        numbers = as_numbers(text)
        if numbers.null_count() < len(numbers):
            self._add_numbers(numbers, text, rows)
        if numbers.null_count() > text.null_count():
            self.other = self.other or find_first(text.is_not_null() & numbers.is_null(), text, rows)
        if numbers.null_count() > text.null_count() or self.forms.declared is not None:
            self.forms.add(text, rows)
        if text.null_count() or numbers.null_count():
            self.in_order = False
        self.marks.add(text, rows)

    def _count_texts(self, text: pl.Series) -> None:
        if self.texts is None:
            return
        observed = text.drop_nulls()
        for value, count in observed.value_counts().iter_rows():
            self.repeats |= count > 1 or value in self.texts
            self.texts[value] = self.texts.get(value, 0) + count
        if len(self.texts) >= MAX_CLASSES:
            self.distinct_share = len(self.texts) / self.observed
            self.texts = None

    def _add_numbers(self, numbers: pl.Series, text: pl.Series, rows: np.ndarray) -> None:
        values = numbers.drop_nulls().to_numpy()
        if np.abs(values).max() > np.finfo(np.float32).max:
            is_infinite = numbers.abs() > float(np.finfo(np.float32).max)
            self.infinite = self.infinite or find_first(is_infinite, text, rows)
            values = values[np.abs(values) <= np.finfo(np.float32).max]
            if not len(values):
                return
        self.numbers.add(values)
        self.zeros += int(np.sum(values == 0))
        if self.numbers.low > 0:
            self.logs.add(np.log(values))
        if self.numbers.low >= 0:
            self.log1ps.add(np.log1p(values))
        self.all_whole = self.all_whole and bool(np.all(values == np.round(values)))
        self.codes += int(text.str.contains(CODE).sum())
        if self.all_whole:
            self.digits |= set(text.str.len_chars().drop_nulls().unique().to_list())
        if self.in_order and len(values) == len(rows):
            steps = values - rows
            self.steps = float(steps[0]) if self.steps is None else self.steps
            self.in_order = bool(np.all(steps == self.steps))

    def counts(self) -> dict[str, int]:
        """Returns how often each value occurs, in order; equal numbers count as one value, unless they are codes.

        Raises:
          ValueError: there are 10,000 texts or more.
        """
        if self.texts is None:
            raise ValueError(f"there are {MAX_CLASSES:,} texts or more")
        texts, is_number = self.texts, self.numbers.count == self.observed and not self.codes
        if not is_number:
            return dict(sorted(texts.items()))
        counts: Counter[str] = Counter()
        for value, count in zip(canonical(pl.Series(list(texts), dtype=pl.String)), texts.values(), strict=True):
            counts[value] += count
        return dict(sorted(counts.items(), key=lambda item: float(item[0])))
