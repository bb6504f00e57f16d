"""The inputs of an autoencoder of a table's rows: standardized values, bits and one-hot classes, and their inverse.

A row is a vector (D,) of floats in the table's own units; classes and counts are numbers, and NaN is a missing value.
Tables of half precision are computed and returned in float32, as bfloat16 cannot represent most years, incomes and
classes above 256.
"""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from aejax.checks import check_floating
from aejax.likelihoods.columns import Column, Places, places_of
from aejax.precision import knob, widened

MAX_LOG = 80.0  # of a positive number: the exponential is finite in float32


def encode_inputs(columns: Sequence[Column], x: Float[Array, "D"]) -> Float[Array, "I"]:
    """Returns the encoder's inputs for one row: standardized values, bits, one-hot classes, and log(1 + count).

    An ordinal class y is encoded as the bits y > 0, y > 1, .... A missing value is encoded as zeros; a column with
    `may_be_missing` is followed by an input that is 1 where its value is known.

    Args:
      columns: the declarations of the columns, with the statistics of the training rows (see `with_statistics`).
      x: one row; NaN is a missing value.

    Returns:
      A vector of length `input_size(columns)`; a class out of range becomes zeros.

    Raises:
      UserError: the columns are invalid, as in `table_likelihood`.
      ValueError: x has another shape than (D,).
      TypeError: x is not of a floating type.

    >>> from aejax.likelihoods.columns import Categorical, Continuous
    >>> columns = [Continuous("area", mean=80.0, standard_deviation=20.0), Categorical("heating", classes=3)]
    >>> encode_inputs(columns, jnp.array([90.0, 2.0])).tolist()
    [0.5, 0.0, 0.0, 1.0]
    """
    return encode_targets(columns, x)[: places_of(columns).input_size]


def encode_targets(columns: Sequence[Column], x: Float[Array, "D"]) -> Float[Array, "T"]:
    """Returns `encode_inputs` of a row, followed by one number per column: 1 if its value is known, 0 if it is missing.

    Raises:
      UserError, ValueError, TypeError: as in `encode_inputs`.

    >>> from aejax.likelihoods.columns import Binary, Count
    >>> encode_targets([Binary("garden"), Count("rooms")], jnp.array([1.0, jnp.nan])).tolist()
    [1.0, 0.0, 1.0, 0.0]
    """
    places = places_of(columns)
    check_floating(x=x)
    if x.shape != (len(columns),):
        raise ValueError(f"a row of this table must have shape {(len(columns),)}, got {x.shape}")
    x = widened(x)
    known = ~jnp.isnan(x)
    x = jnp.where(known, x, jnp.ones_like(x))  # any value in the support of every column, so that no derivative is NaN
    dtype = x.dtype
    gaussian, counts = x[places.gaussian], x[places.counts]
    positive = jnp.where(places.is_log_normal, jnp.maximum(gaussian, jnp.finfo(dtype).tiny), 1)
    gaussian = jnp.where(places.is_log_normal, jnp.log(positive), gaussian)
    blocks = [
        (places.gaussian_inputs, standardized_values(places, places.gaussian, gaussian)),
        (places.count_inputs, standardized_values(places, places.counts, jnp.log1p(jnp.maximum(counts, 0)))),
        (places.bit_inputs, x[places.bits]),
        (
            places.class_inputs,
            (x[places.categorical][places.class_columns] == places.class_numbers.astype(dtype)).astype(dtype),
        ),
    ]
    ranks = np.arange(places.ordinal_inputs.shape[1])[None]
    blocks.append((places.ordinal_inputs, (x[places.ordinal][:, None] > ranks.astype(dtype)).astype(dtype)))
    inputs = assembled(places, blocks, dtype)
    inputs = jnp.where(known[places.input_columns], inputs, 0)
    inputs = with_indicators(places, inputs, known[places.indicators].astype(dtype))
    return jnp.concatenate([inputs, known.astype(dtype)])


def decode_inputs(columns: Sequence[Column], inputs: Float[Array, "I"]) -> Float[Array, "D"]:
    """Returns the row of some inputs: the inverse of `encode_inputs` for a row of which nothing is missing.

    Inputs that are means, or predictions by any method, become the most probable class; of an ordinal column, whose
    bits are probabilities p(y > r), the median. No value is missing, and all are in the support of their columns.

    Args:
      columns: the declarations of the columns.
      inputs: (`input_size(columns)`,).

    Raises:
      UserError: the columns are invalid, as in `table_likelihood`.
      ValueError: inputs has another shape.
      TypeError: inputs is not of a floating type.

    >>> from aejax.likelihoods.columns import Categorical, LogNormal
    >>> columns = [LogNormal("price", mean=2.0), Categorical("heating", classes=3)]
    >>> decode_inputs(columns, jnp.array([0.0, 0.2, 0.5, 0.3])).round(3).tolist()
    [7.38900..., 1.0]
    """
    places = places_of(columns)
    check_floating(inputs=inputs)
    if inputs.shape != (places.input_size,):
        raise ValueError(f"the inputs of this table must have shape {(places.input_size,)}, got {inputs.shape}")
    inputs = widened(inputs)
    gaussian = values_in_units(places, places.gaussian, inputs[places.gaussian_inputs])
    logarithms = jnp.clip(jnp.where(places.is_log_normal, gaussian, 0), -MAX_LOG, MAX_LOG)
    gaussian = jnp.where(places.is_log_normal, jnp.exp(logarithms), gaussian)
    counts = values_in_units(places, places.counts, inputs[places.count_inputs])
    row = jnp.zeros(len(columns), inputs.dtype)
    row = row.at[places.gaussian].set(gaussian)
    row = row.at[places.counts].set(jnp.expm1(jnp.clip(counts, 0, MAX_LOG)))
    row = row.at[places.bits].set((inputs[places.bit_inputs] > 0.5).astype(inputs.dtype))
    row = row.at[places.categorical].set(largest_class(places, inputs[places.class_inputs]))
    bits = with_zero(inputs)[places.ordinal_inputs]
    return row.at[places.ordinal].set(jnp.sum(bits > 0.5, axis=1).astype(inputs.dtype))


def input_size(columns: Sequence[Column]) -> int:
    """Returns the number of inputs that `encode_inputs` returns for one row.

    >>> from aejax.likelihoods.columns import Categorical, Continuous, Count
    >>> input_size([Continuous("area"), Categorical("heating", classes=3), Count("rooms")])
    5
    """
    return places_of(columns).input_size


def standardized_values(places: Places, which: np.ndarray, values: Array) -> Array:
    means, deviations = (knob(each, values.dtype) for each in places.statistics(which))
    return (values - means) / deviations


def values_in_units(places: Places, which: np.ndarray, values: Array) -> Array:
    means, deviations = (knob(each, values.dtype) for each in places.statistics(which))
    return means + deviations * values


def assembled(places: Places, blocks: list[tuple[np.ndarray, Array]], dtype: np.dtype) -> Array:
    """Returns the inputs (I,) from the blocks of each kind of column and their places; all others are 0."""
    source = np.full(places.input_size + 1, sum(where.size for where, _ in blocks), np.int32)  # of every input
    places_of_blocks = np.concatenate([where.ravel() for where, _ in blocks])
    source[places_of_blocks] = np.arange(len(places_of_blocks))
    values = jnp.concatenate([block.ravel().astype(dtype) for _, block in blocks])
    return with_zero(values)[source[:-1]]


def with_zero(values: Array) -> Array:
    """Returns a vector followed by a 0, to which indices of padding point."""
    return jnp.concatenate([values, jnp.zeros(1, values.dtype)])


def with_indicators(places: Places, inputs: Array, indicators: Array) -> Array:
    return inputs.at[places.indicator_inputs].set(indicators) if len(places.indicators) else inputs


def by_class(places: Places, values: Array) -> Array:
    """Returns the values (L,) of all classes as one row for every categorical column, padded with -infinity."""
    shape = (len(places.categorical), int(places.class_numbers.max(initial=0)) + 1)
    where = np.full(shape, len(values), np.int32)
    where[places.class_columns, places.class_numbers] = np.arange(len(values))
    return jnp.concatenate([values, jnp.full(1, -jnp.inf, values.dtype)])[where]


def largest_class(places: Places, values: Array) -> Array:
    return jnp.argmax(by_class(places, values), axis=1).astype(values.dtype)
