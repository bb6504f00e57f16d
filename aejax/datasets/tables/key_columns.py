"""Columns of a table that are no part of its rows: labels, and the groups by which rows are divided."""

from collections.abc import Callable, Sequence

import numpy as np
import polars as pl

from aejax.datasets.tables.cells import CODE, as_numbers, as_text
from aejax.datasets.tables.dates import DateForms, parse_dates
from aejax.datasets.tables.files import Table, check_has
from aejax.errors import UserError


def read_key_columns(
    table: Table,
    names: Sequence[str],
    *,
    missing_values: Sequence[str] = (),
    on_batch: Callable[[int], None] = lambda end: None,
) -> tuple[int, list[pl.Series]]:
    """Returns the number of a table's rows, and the cells of some columns as text; checks the form of all rows.

    Args:
      table: the table.
      names: of the columns, in which no cell may be missing.
      missing_values: as in `as_text`.
      on_batch: called with how much of `table.size` has been read.

    Raises:
      UserError: a column is not in the table, a cell of it is missing, or there are no rows.
    """
    check_has(table, names)
    found: list[list[pl.Series]] = [[] for _ in names]
    rows = 0
    for batch in table.batches(list(dict.fromkeys(names)) or table.columns[:1]):
        rows += batch.frame.height
        for name, cells in zip(names, found, strict=True):
            text = as_text(batch.frame[name], missing_values)
            if text.null_count():
                row = batch.first + text.is_null().arg_true()[0]
                raise UserError(
                    f"{batch.name}: column {name!r}: data row {row:,} is missing, but labels and groups must be known"
                )
            cells.append(text)
        on_batch(batch.end)
    if not rows:
        raise UserError(f"{table.name}: has columns, but no rows")
    return rows, [pl.concat(cells) for cells in found]


def as_classes(text: pl.Series) -> np.ndarray:
    """Returns labels (N,) as whole numbers if all are, and none has leading zeros, else as texts.

    >>> as_classes(pl.Series(["3", "7.0"])).tolist(), as_classes(pl.Series(["03", "7"])).tolist()
    ([3, 7], ['03', '7'])
    """
    numbers = as_numbers(text)
    if numbers.null_count() or not (numbers == numbers.round()).all() or text.str.contains(CODE).any():
        return np.array(text.to_list())
    return numbers.to_numpy().astype(np.int64)


def as_groups(text: pl.Series, where: str) -> np.ndarray:
    """Returns groups (N,) as numbers or dates if all are, so that they have an order, else as texts.

    Args:
      text: the cells.
      where: the file and the column, for messages.

    Raises:
      UserError: most cells are dates, but one is not.

    >>> as_groups(pl.Series(["10", "9"]), "mine.csv").tolist()
    [10.0, 9.0]
    """
    numbers = as_numbers(text)
    if not numbers.null_count():
        return numbers.to_numpy()
    forms = DateForms()
    forms.add(text, np.arange(1, len(text) + 1))
    chosen = forms.choose(len(text), where)
    return np.array(text.to_list()) if chosen is None else parse_dates(text, chosen[0]).to_numpy()
