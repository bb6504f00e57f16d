"""The errors of a run on a table: column by column in the user's units, beside PCA and FAMD with as many components."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Array, Float, PyTree

from aejax.datasets.dataset import Dataset
from aejax.evaluation.representation import map_over_examples
from aejax.evaluation.table_baselines import fit_linear_code
from aejax.evaluation.table_errors import (
    ColumnError,
    TableError,
    column_errors,
    constant_row,
    scale_of,
    standardized_error,
    table_error,
)
from aejax.experiment.facts import some_of
from aejax.experiment.objective import columns_of
from aejax.experiment.trained import TrainedRun
from aejax.likelihoods.columns import Column, places_of

_BATCH = 500  # rows at a time
OURS = "autoencoder"
BASELINES: tuple[Literal["PCA", "FAMD"], ...] = ("PCA", "FAMD")


class TableResult(NamedTuple):
    """Errors of the autoencoder and of baselines, by the name of the method; all of the same rows."""

    rows: int  # test rows
    components: int  # units of a code
    errors: Mapping[str, Sequence[ColumnError]]
    means: Mapping[str, TableError]


def table_columns(run: TrainedRun) -> tuple[Column, ...]:
    """Returns the likelihoods' declarations of a run's columns; the run must be on a table."""
    columns = columns_of(run.facts, corruption=run.experiment.regularization.corruption)
    assert columns is not None, "the run is not on a table"
    return columns


def table_result(run: TrainedRun, test: Dataset | None = None) -> TableResult:
    """Returns the errors of test rows by column, of the run and, if they can be fitted, of PCA and FAMD.

    Args:
      run: a run on a table.
      test: the rows; None for all test rows of the run.
    """
    test = run.splits.test if test is None else test
    train_x, components = some_of(run.splits.train.x), int(np.prod(run.code_shape))
    return compare_methods(table_columns(run), train_x, np.asarray(test.x), run.reconstruct(test), components)


def compare_methods(
    columns: Sequence[Column],
    train_x: Float[np.ndarray, "N D"],
    x: Float[np.ndarray, "M D"],
    reconstruction: Float[np.ndarray, "M D"],
    components: int,
) -> TableResult:
    """Returns the errors of an autoencoder and, if they can be fitted, of PCA and FAMD with as many components.

    Args:
      columns: the declarations of the table's columns, with statistics of the training rows.
      train_x: the training rows, for the baselines and the constant prediction.
      x: the rows that are reconstructed.
      reconstruction: the autoencoder's reconstruction.
      components: the number of units of a code.
    """
    constant, scale = constant_row(columns, train_x), scale_of(columns, train_x)
    reconstructions = {OURS: reconstruction}
    if components < min(places_of(columns).input_size, len(train_x)):
        for method in BASELINES:
            reconstructions[method] = fit_linear_code(columns, train_x, components, method=method).reconstruct(x)
    errors = {name: column_errors(columns, x, decoded, constant) for name, decoded in reconstructions.items()}
    return TableResult(len(x), components, errors, {name: table_error(each, scale) for name, each in errors.items()})


def errors_of_rows(
    run: TrainedRun, x: Float[np.ndarray, "N D"], reconstruction: Float[np.ndarray, "N D"]
) -> Float[np.ndarray, "N"]:
    """Returns the `standardized_error` of every row, divided by the number of its known values."""
    errors = map_over_examples(partial(_error, table_columns(run)), {}, x, reconstruction, batch_size=_BATCH)
    return np.asarray(errors, np.float64) / np.maximum(np.isfinite(x).sum(axis=1), 1)


def _error(columns: Sequence[Column], params: PyTree, x: Array, reconstruction: Array) -> Array:
    del params  # a row and its reconstruction suffice
    return standardized_error(columns, x, reconstruction)


def describe_result(result: TableResult) -> list[str]:
    """Returns lines for the terminal: the means of the columns' errors by method."""
    lines = []
    for what, unit in (("numbers", "mean squared error, in variances"), ("classes", "fraction of wrong classes")):
        values = {name: getattr(mean, what) for name, mean in result.means.items()}
        if np.isfinite(list(values.values())).all():
            texts = ", ".join(f"{name} {value:.4f}" for name, value in values.items())
            lines.append(f"columns of {what}, {unit}, mean over columns and {result.rows:,} test rows: {texts}")
    return lines
