"""Rows of a table against the declarations of its columns: their checks, and the statistics of training rows."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from aejax.errors import UserError
from aejax.likelihoods.columns import Binary, Categorical, Column, Continuous, Count, LogNormal, Ordinal, places_of
from aejax.likelihoods.continuous import gaussian_with_predicted_variance
from aejax.likelihoods.discrete import bernoulli, categorical, poisson
from aejax.likelihoods.record import Likelihood, Support, check_support, numbers_of


def with_statistics(columns: Sequence[Column], train_x: Any) -> list[Column]:
    """Returns the columns with the statistics of the training rows: mean, standard deviation, and `may_be_missing`.

    Args:
      columns: the declarations of the table's columns.
      train_x: the N training rows only: an array (N, D), lists, or columns by name as in a DataFrame; NaN is missing.

    Raises:
      UserError: the rows do not match the columns, there is no row, or a continuous column is constant or missing in
        every row.

    >>> with_statistics([Continuous("area")], np.array([[60.0], [100.0]]))
    [Continuous(name='area', mean=80.0, standard_deviation=20.0, variance=None, may_be_missing=False)]
    """
    by_column = _checked_columns(columns, train_x, "training rows")
    if not by_column[0].size:
        raise UserError("training rows: expected at least two rows to compute statistics, got none")
    result: list[Column] = []
    for column, train_values in zip(columns, by_column, strict=True):
        values = train_values.astype(np.float64)
        known = values[~np.isnan(values)]
        if not known.size:
            raise UserError(f"column {column.name}: it is missing in every training row; remove it")
        column = column._replace(may_be_missing=bool(known.size < values.size))
        if isinstance(column, Continuous | LogNormal):
            known = np.log(known) if isinstance(column, LogNormal) else known
            deviation, largest = float(np.std(known)), float(np.max(np.abs(known)))
            if deviation <= max(1e-6 * largest, 1e-37):  # float32 resolves no finer differences
                raise UserError(
                    f"column {column.name}: it is {values[~np.isnan(values)][0]:g} in every training row, up to "
                    "rounding; remove it, or subtract an offset"
                )
            column = column._replace(mean=float(np.mean(known)), standard_deviation=deviation)
        elif isinstance(column, Count):
            logarithms = np.log1p(known)
            column = column._replace(mean=float(logarithms.mean()), standard_deviation=float(logarithms.std()) or 1.0)
        result.append(column)
    return result


def check_rows(columns: Sequence[Column], x: Any, name: str) -> None:
    """Raise UserError if rows (N, D) do not match the columns; it names the data, the column and what it expects.

    >>> check_rows([Binary("garden"), Categorical("heating", classes=3)], np.array([[1.0, 3.0]]), "houses.npy")
    Traceback (most recent call last):
    ...
    aejax.errors.UserError: houses.npy, column heating: categorical(classes=3) expects values in [0, 2], but they
    range from 3 to 3; correct them, or declare the column otherwise
    """
    _checked_columns(columns, x, name)


def _checked_columns(columns: Sequence[Column], x: Any, name: str) -> list[np.ndarray]:
    """Returns the values of each column; raises UserError, as `check_rows`, if the rows do not match the columns."""
    places_of(columns)
    if isinstance(x, Mapping) or hasattr(x, "columns") or getattr(getattr(x, "dtype", None), "names", None):
        by_column = _by_name(columns, x, name)
    else:
        rows = numbers_of(x, name)
        if rows.ndim != 2 or rows.shape[1] != len(columns):
            raise UserError(f"{name}: {len(columns)} columns are declared, but the data have shape {rows.shape}")
        by_column = list(rows.T)
    for column, values in zip(columns, by_column, strict=True):
        called = f"{name}, column {column.name}"
        known = values[~np.isnan(values)] if jnp.issubdtype(values.dtype, jnp.floating) else values
        check_support(_described(column), known, called, advice="correct them, or declare the column otherwise")
        if known.size and (largest := max(float(np.max(known)), -float(np.min(known)))) > 1e37:
            raise UserError(f"{called}: it reaches {largest:g}, near the limit of float32; use another unit")
    return by_column


def _by_name(columns: Sequence[Column], x: Any, name: str) -> list[np.ndarray]:
    """Returns the columns of a DataFrame, a dictionary or a structured array in the order of their declaration."""
    found = list(x) if isinstance(x, Mapping) else list(x.columns if hasattr(x, "columns") else x.dtype.names)
    declared = [column.name for column in columns]
    missing = [column for column in declared if column not in found]
    other = [str(column) for column in found if column not in declared]
    if missing or other or len(found) != len(declared):
        reasons = [f"it has no column {', '.join(missing)}"] if missing else []
        reasons += [f"no column {', '.join(other)} is declared"] if other else []
        raise UserError(f"{name}: {'; '.join(reasons) or 'it has columns of the same name'}")
    result = [numbers_of(x[column], f"{name}, column {column}") for column in declared]
    shapes = {column: values.shape for column, values in zip(declared, result, strict=True)}
    if len(set(shapes.values())) > 1 or result[0].ndim != 1:
        raise UserError(f"{name}: the columns must be vectors of the same length, but they have shapes {shapes}")
    return result


def _described(column: Column) -> Likelihood:
    """Returns a likelihood with the name and the support of the column, for messages."""
    if isinstance(column, Count):
        return poisson()
    if isinstance(column, Binary):
        return bernoulli()._replace(support=Support(0.0, 1.0, integers=True))
    if isinstance(column, Categorical | Ordinal):
        named = categorical(classes=column.classes)
        return named if isinstance(column, Categorical) else named._replace(name=f"ordinal(classes={column.classes})")
    if isinstance(column, LogNormal):
        return gaussian_with_predicted_variance()._replace(support=Support(0.0, np.inf, open=True), name="log_normal")
    return gaussian_with_predicted_variance()
