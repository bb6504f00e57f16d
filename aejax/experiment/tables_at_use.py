"""Tables at use of a trained run: the user's files are read by the run's columns, and results are written as tables."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import IO

import jax
import numpy as np
import polars as pl
from jaxtyping import Array, Float, PyTree

from aejax.autoencoders import Autoencoder
from aejax.autoencoders.record import posterior_of
from aejax.datasets.dataset import Dataset
from aejax.datasets.tables.columns import TableColumn, UnknownCategories, model_columns
from aejax.datasets.tables.files import PARQUET, SUFFIXES, is_table_file, open_table
from aejax.datasets.tables.rows import as_table
from aejax.datasets.tables.source import load_table_rows
from aejax.errors import UserError
from aejax.evaluation.representation import map_over_examples
from aejax.experiment.trained import TrainedRun
from aejax.keys import named_key

_BATCH = 500  # rows at a time
_UNIT = "unit_"  # the names of a code's columns are unit_1, unit_2, ...


def load_rows(
    run: TrainedRun, path: Path, labels: str | None = None, *, unknown_categories: UnknownCategories | None = None
) -> Dataset:
    """Returns the rows of a table file as a run on a table expects them.

    Args:
      run: a run on a table.
      path: a .csv, .tsv or .parquet file.
      labels: the column of labels, for a conditional run; None for that of the run's training rows.
      unknown_categories: how categories that no training row has are read; None as in the run's configuration.

    Raises:
      UserError: the file is no table, a column is missing, or a cell does not fit its column; the message names the
        file, the row and the column.
    """
    columns, data = run.facts.columns, run.experiment.data
    assert columns is not None, "the run is not on a table"
    if not is_table_file(path):
        raise UserError(f"{path}: {run.path} was trained on a table; expected a {' or '.join(SUFFIXES[:3])} file")
    is_column = data.labels is not None and not data.labels.endswith(".npy") and run.experiment.model.conditional
    given = run.facts.given
    rows = load_table_rows(
        path,
        columns if given is None or given.columns is None else (*given.columns, *columns),
        labels=labels or (data.labels if is_column else None),
        missing_values=data.missing_values,
        unknown_categories=unknown_categories or data.unknown_categories,
    )
    if given is None or given.columns is None:
        return rows
    places = len(given.columns)
    return rows._replace(
        x=rows.x[:, places:], columns=columns, condition=rows.x[:, :places], condition_columns=given.columns
    )


def read_frame(path: Path) -> pl.DataFrame:
    """Returns all columns of a table file as they are; those of a text file are text."""
    table = open_table(path)
    return pl.concat([batch.frame for batch in table.batches(table.columns)])


def write_frame(frame: pl.DataFrame, file: IO[bytes], path: Path) -> None:
    r"""Write a table in the format that the path names.

    >>> import io
    >>> file = io.BytesIO()
    >>> write_frame(codes_as_frame(np.array([[0.5, 1.0]])), file, Path("codes.csv"))
    >>> file.getvalue()
    b'unit_1,unit_2\n0.5,1.0\n'
    """
    if path.suffix.lower() in PARQUET:
        frame.write_parquet(file)
    else:
        frame.write_csv(file, separator="\t" if path.suffix.lower() == ".tsv" else ",")


def codes_as_frame(codes: Float[np.ndarray, "N K"]) -> pl.DataFrame:
    """Returns codes as a table with the columns unit_1, unit_2, ...."""
    return pl.DataFrame({f"{_UNIT}{number}": unit for number, unit in enumerate(codes.T, 1)})


def load_code_table(run: TrainedRun, path: Path) -> Dataset:
    """Returns the codes in a table with the columns unit_1, unit_2, ... as `codes_as_frame` makes it.

    Raises:
      UserError: a column is missing, or a cell is no number.
    """
    frame = read_frame(path)
    names = [f"{_UNIT}{number}" for number in range(1, run.code_shape[0] + 1)]
    if missing := [name for name in names if name not in frame.columns]:
        raise UserError(
            f"{path}: it has no column {missing[0]!r}; the codes of {run.path} have {names[0]} to {names[-1]}"
        )
    numbers = frame.select(pl.col(names).cast(pl.Float32, strict=False))
    for name in names:
        if (row := numbers[name].is_null().arg_max()) is not None and numbers[name].is_null().any():
            raise UserError(f"{path}: column {name!r}: row {row + 1}: expected a number, got {frame[name][row]!r}")
    return Dataset(numbers.to_numpy())


def rows_as_frame(
    run: TrainedRun, rows: Float[np.ndarray, "N D"], condition: Float[np.ndarray, "N E"] | None = None
) -> pl.DataFrame:
    """Returns decoded rows as a table with the user's columns, classes and dates; columns of their condition first."""
    facts = run.facts
    assert facts.columns is not None, "the run is not on a table"
    frame = as_table(facts.columns, rows)
    if condition is None or facts.given is None or facts.given.columns is None:
        return frame
    return pl.concat([as_table(facts.given.columns, condition), frame], how="horizontal")


def impute(
    run: TrainedRun, frame: pl.DataFrame, examples: Dataset, *, samples: int | None = None, seed: int = 0
) -> Iterator[pl.DataFrame]:
    """Yields the table with its missing cells filled by the run; known cells stay as they are.

    Args:
      run: a run on a table.
      frame: the table as it is, from `read_frame`.
      examples: its rows, from `load_rows`.
      samples: number of tables whose missing cells are drawn at random, from the posterior of each row's code and the
        distributions of the columns; None for one table with the mean of each missing cell, or its most probable class.
      seed: of the random draws.

    Raises:
      UserError: samples of a run that is not variational.
    """
    columns, x = run.facts.columns, np.asarray(examples.x)
    assert columns is not None, "the run is not on a table"
    conditions = run.conditions_of(examples)
    if samples is None:
        yield _filled(columns, frame, x, run.reconstruct(examples))
        return
    if run.autoencoder.variational is None:
        raise UserError(f"{run.path}: samples of missing cells require a variational run; leave samples out")
    for number in range(samples):
        keys = jax.random.split(jax.random.fold_in(named_key(jax.random.key(seed), "imputation"), number), len(x))
        drawn = map_over_examples(partial(_draw, run.autoencoder), run.params, keys, x, *conditions, batch_size=_BATCH)
        yield _filled(columns, frame, x, np.asarray(drawn))


def _draw(autoencoder: Autoencoder, params: PyTree, key: Array, x: Array, *condition: Array) -> Array:
    assert autoencoder.variational is not None
    _, _, likelihood, decode_parameters, _ = autoencoder.variational
    code_key, row_key = jax.random.split(key)
    code = posterior_of(autoencoder.variational, params, x, *condition).sample(code_key)
    return likelihood.sample(row_key, decode_parameters(params, code, *condition))


def _filled(columns: tuple[TableColumn, ...], frame: pl.DataFrame, x: np.ndarray, decoded: np.ndarray) -> pl.DataFrame:
    """Returns the table with the cells of missing values replaced by those of the decoded rows."""
    of_row = model_columns(columns)
    missing: dict[str, np.ndarray] = {}
    for place, column in enumerate(of_row):
        name = column.date or column.name
        missing[name] = missing.get(name, np.zeros(len(x), bool)) | np.isnan(x[:, place])
    made = as_table(columns, np.where(np.isnan(x), decoded, x))
    filled = []
    for name, where in missing.items():
        if where.any():
            cells = made[name].cast(frame[name].dtype, strict=False)
            filled.append(pl.select(pl.when(pl.Series(where)).then(cells).otherwise(frame[name]).alias(name)))
    return frame.with_columns(*(each.to_series() for each in filled))
