"""What the explorer computes with: a run's examples and codes; of a table, the standardized inputs of its rows."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from aejax.datasets.tables.columns import model_columns
from aejax.experiment.at_use import check_kind, check_no_padding
from aejax.experiment.build import build_autoencoder_of_inputs
from aejax.experiment.table_results import table_columns
from aejax.experiment.trained import TrainedRun
from aejax.host.escaping import printable
from aejax.likelihoods.columns import inputs_of, places_of
from aejax.likelihoods.table_inputs import decode_inputs, encode_inputs

_FLOAT32_DIGITS = 6  # decimal digits that every float32 resolves


class Explored(NamedTuple):
    """The space in which examples are compared, and the run's functions to and from it.

    It is the space of the data. Of a table, whose columns have no common unit, it is that of the encoder's inputs,
    without those that mark missing values: numbers in standard deviations, and probabilities of classes.
    """

    shape: tuple[int, ...]  # of an example in this space
    decode: Callable[..., Any]  # from a code and the condition to an example
    encode: Callable[..., Any]  # from an example and the condition to a code
    row: Callable[[Any], Any] | None  # of a table: from an example to the row (D,) in the user's units
    values: Callable[[np.ndarray], np.ndarray]  # from the data (N, ...) to examples; NaN where a row lacks a value

    def decode_row(self, code: Any, *condition: Any) -> tuple[Any, ...]:
        """Returns the decoded example and, of a table, its row."""
        example = self.decode(code, *condition)
        return (example,) if self.row is None else (example, self.row(example))


def can_explore(run: TrainedRun) -> bool:
    """Returns whether examples can be explored: of a table, those of a built-in autoencoder; no padded sequences."""
    if run.facts.lengths is not None or run.facts.given is not None:
        return False
    return run.facts.columns is None or run.experiment.model.autoencoder is None


def explored(run: TrainedRun) -> Explored:
    """Returns the space in which the explorer compares a run's examples.

    Raises:
      UserError: a run on a table with the user's own autoencoder, whose decoder of inputs is not known.
    """
    check_no_padding(run, what="the explorer")
    check_kind(run, run.facts.given is None, "a run without a condition, or on classes", what="the explorer")
    if run.facts.columns is None:
        decode, encode = (partial(f, run.params) for f in (run.autoencoder.decode, run.autoencoder.encode))
        return Explored(run.example_shape, decode, encode, None, lambda x: x)
    check_kind(run, can_explore(run), "a built-in autoencoder for a table's rows, not your own", what="the explorer")
    columns, inner = table_columns(run), build_autoencoder_of_inputs(run.experiment, run.facts)
    places = places_of(columns)
    kept = np.setdiff1d(np.arange(places.input_size), places.indicator_inputs)

    def inputs(example: Array) -> Array:  # all values of an explored row are known
        return jnp.ones(places.input_size, example.dtype).at[kept].set(example)

    def values(x: Float[np.ndarray, "N D"]) -> Float[np.ndarray, "N V"]:
        of_rows = np.asarray(jax.jit(jax.vmap(partial(encode_inputs, columns)))(x))[:, kept]
        return np.where(np.isnan(x)[:, places.input_columns[kept]], np.float32(np.nan), of_rows)

    return Explored(
        (len(kept),),
        lambda code, *condition: inner.decode(run.params, code, *condition)[kept],
        lambda example, *condition: inner.encode(run.params, inputs(example), *condition),
        lambda example: decode_inputs(columns, inputs(example)),
        values,
    )


def columns_as_json(run: TrainedRun, rows: Float[np.ndarray, "N D"]) -> list[dict[str, Any]] | None:
    """Returns how a page shows the columns of a table, in the order of its rows; None if the run is not on a table.

    Args:
      run: the run.
      rows: training rows, of which numbers have their decimals.

    Returns:
      Of every column: its name, its kind, the place of its first value in an explored example and their number, the
      names of its classes, and the decimals of its numbers.
    """
    if run.facts.columns is None:
        return None
    described, first = [], 0
    for declared, of_table, values in zip(table_columns(run), model_columns(run.facts.columns), rows.T, strict=True):
        described.append(
            {
                "name": printable(of_table.name),
                "kind": of_table.kind,
                "first": first,
                "size": inputs_of(declared),
                "classes": None if of_table.classes is None else [printable(name) for name in of_table.classes],
                "decimals": 0 if of_table.integers else decimals_of(values),
            }
        )
        first += inputs_of(declared)
    return described


def decimals_of(values: Float[np.ndarray, "N"]) -> int:
    """Returns the smallest number of decimals with which all numbers are written, up to the precision of float32.

    >>> decimals_of(np.float32([81.5, 64.25, np.nan])), decimals_of(np.float32([1 / 3])), decimals_of(np.float32([1e9]))
    (2, 6, 0)
    """
    known = values[np.isfinite(values)].astype(np.float64)
    largest = np.abs(known).max(initial=0)
    most = max(0, _FLOAT32_DIGITS - 1 - int(np.floor(np.log10(largest)))) if largest else 0
    for decimals in range(most):
        if np.all(np.abs(known.round(decimals) - known) <= 1e-6 * largest):
            return decimals
    return most
