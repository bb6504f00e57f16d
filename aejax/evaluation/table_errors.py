"""Errors of reconstructed rows of a table, column by column in the table's units, beside a constant prediction."""

from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from aejax.likelihoods.columns import Binary, Categorical, Column, Ordinal, places_of
from aejax.likelihoods.table_inputs import encode_inputs, encode_targets
from aejax.precision import knob


class ColumnError(NamedTuple):
    """The error of one column over the rows in which its value is known."""

    name: str
    of_classes: bool  # whether the errors are fractions of wrong classes; otherwise RMSE, in the column's unit
    known: int  # rows
    error: float  # NaN if there are no such rows
    constant: float  # of predicting the mean, or the most frequent class, of the training rows

    @property
    def explained(self) -> float:
        """1 - MSE / MSE of the constant prediction, or 1 - the ratio of the fractions; NaN if the constant is right."""
        if not self.constant > 0:
            return float("nan")
        ratio = self.error / self.constant
        return 1 - (ratio if self.of_classes else ratio**2)


class TableError(NamedTuple):
    """Means over all columns: two numbers that are comparable between methods, and between tables."""

    numbers: float  # mean of MSE / variance of the training rows over the columns of numbers; NaN if there are none
    classes: float  # mean fraction of wrong classes over the columns of classes; NaN if there are none


def is_of_classes(column: Column) -> bool:
    """Returns whether a column's values are classes, not numbers.

    >>> is_of_classes(Binary("garden"))
    True
    """
    return isinstance(column, Binary | Categorical | Ordinal)


def constant_row(columns: Sequence[Column], train_x: Float[np.ndarray, "N D"]) -> Float[np.ndarray, "D"]:
    """Returns the best constant prediction: the mean of each column of numbers, the most frequent class of the others.

    >>> from aejax.likelihoods.columns import Continuous
    >>> constant_row([Continuous("area"), Binary("garden")], np.array([[1.0, 1.0], [3.0, np.nan], [5.0, 1.0]])).tolist()
    [3.0, 1.0]
    """
    row = np.zeros(len(columns))
    for place, column in enumerate(columns):
        values = np.asarray(train_x[:, place], np.float64)
        values = values[~np.isnan(values)]
        row[place] = np.bincount(values.astype(np.int64)).argmax() if is_of_classes(column) else values.mean()
    return row


def column_errors(
    columns: Sequence[Column],
    x: Float[np.ndarray, "N D"],
    reconstruction: Float[np.ndarray, "N D"],
    constant: Float[np.ndarray, "D"],
) -> list[ColumnError]:
    """Returns the error of every column, over the rows in which its value is known.

    Args:
      columns: the declarations of the table's columns.
      x: the rows; NaN is a missing value.
      reconstruction: the reconstructed rows.
      constant: the prediction to compare with, from `constant_row`.

    >>> from aejax.likelihoods.columns import Continuous
    >>> columns, x = [Continuous("area"), Binary("garden")], np.array([[1.0, 1.0], [3.0, np.nan]])
    >>> [error.error for error in column_errors(columns, x, np.zeros((2, 2)), constant_row(columns, x))]
    [2.23606797749979, 1.0]
    """
    errors = []
    for place, column in enumerate(columns):
        values, predicted = (np.asarray(array[:, place], np.float64) for array in (x, reconstruction))
        known = ~np.isnan(values)
        values, predicted = values[known], predicted[known]
        of_classes = is_of_classes(column)
        found = []
        for prediction in (predicted, constant[place]):
            if not len(values):
                found.append(float("nan"))
            elif of_classes:
                found.append(float(np.mean(values != prediction)))
            else:
                found.append(float(np.sqrt(np.mean(np.square(values - prediction)))))
        errors.append(ColumnError(column.name, of_classes, len(values), *found))
    return errors


def standardized_error(
    columns: Sequence[Column], x: Float[Array, "D"], reconstruction: Float[Array, "D"]
) -> Float[Array, ""]:
    """Returns the error of ONE row, summed over known values: (u - û)² of standardized numbers, 1 for a wrong class.

    Numbers are those of `encode_inputs`; an ordinal class counts by how many classes it is wrong.

    Args:
      columns: the declarations of the table's columns, with statistics of the training rows.
      x: the row; NaN is a missing value.
      reconstruction: the reconstructed row.

    >>> from aejax.likelihoods.columns import Continuous
    >>> columns = [Continuous("area", mean=80.0, standard_deviation=20.0), Categorical("heating", classes=3)]
    >>> standardized_error(columns, jnp.array([90.0, 2.0]), jnp.array([50.0, 1.0])).item()
    5.0
    """
    places = places_of(columns)
    targets = encode_targets(columns, x)
    difference = targets[: places.input_size] - encode_inputs(columns, reconstruction)
    weight = np.ones(places.input_size)
    weight[places.class_inputs] = 0.5  # a wrong class changes two of its inputs
    weight[places.indicator_inputs] = 0
    known = targets[places.input_size :][places.input_columns]
    return jnp.sum(jnp.where(known > 0, jnp.square(difference) * knob(weight, difference.dtype), 0))


def scale_of(columns: Sequence[Column], train_x: Float[np.ndarray, "N D"]) -> Float[np.ndarray, "D"]:
    """Returns the standard deviation of each column of numbers over the training rows; 1 for classes and constants."""
    deviations = np.nanstd(np.asarray(train_x, np.float64), axis=0)
    of_classes = np.array([is_of_classes(column) for column in columns])
    return np.where(of_classes | (deviations == 0), 1.0, deviations)


def table_error(errors: Sequence[ColumnError], scale: Float[np.ndarray, "D"]) -> TableError:
    """Returns the means of the columns' errors.

    Args:
      errors: of all columns, from `column_errors`.
      scale: from `scale_of`.

    >>> errors = [ColumnError("area", False, 9, 2.0, 4.0), ColumnError("garden", True, 9, 0.25, 0.5)]
    >>> table_error(errors, np.array([4.0, 1.0]))
    TableError(numbers=0.25, classes=0.25)
    """
    numbers = [(e.error / s) ** 2 for e, s in zip(errors, scale, strict=True) if not e.of_classes and e.known]
    classes = [e.error for e in errors if e.of_classes and e.known]
    return TableError(*(float(np.mean(each)) if each else float("nan") for each in (numbers, classes)))
