"""Declarations of a table's columns, and the places of each column in a row, in the inputs and in the parameters.

The inputs u of a row are, column by column: a standardized value, a bit, one-hot classes, or the bits of an ordinal
class; and, if the column may be missing, a number that is 1 where its value is known.
"""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from aejax.checks import check_count
from aejax.errors import UserError


class Continuous(NamedTuple):
    """A real number, Gaussian after standardization.

    Its parameters are μ and log σ² of the standardized value, so that the decoder can give an outlier a large variance;
    if `variance` is set, only μ.
    """

    name: str
    mean: float = 0.0  # of the training rows; `with_statistics` sets it
    standard_deviation: float = 1.0  # of the training rows; `with_statistics` sets it
    variance: float | None = None  # σ² of the standardized value; None: the decoder predicts it
    may_be_missing: bool = False  # whether a training row lacks it; `with_statistics` sets it


class LogNormal(NamedTuple):
    """A positive number whose logarithm is Gaussian; its parameters are those of a `Continuous` logarithm."""

    name: str
    mean: float = 0.0  # of the logarithms of the training rows; `with_statistics` sets it
    standard_deviation: float = 1.0  # of these logarithms; `with_statistics` sets it
    variance: float | None = None  # σ² of the standardized logarithm; None: the decoder predicts it
    may_be_missing: bool = False  # whether a training row lacks it; `with_statistics` sets it


class Count(NamedTuple):
    """A whole number of at least 0, Poisson distributed, with its log-rate as its parameter.

    The encoder reads the standardized log(1 + count). A decoder's output of 0 means the typical training rate,
    exp(mean) - 1, if the mean has been set.
    """

    name: str
    mean: float = 0.0  # of log(1 + count) of the training rows; `with_statistics` sets it
    standard_deviation: float = 1.0  # of log(1 + count); `with_statistics` sets it
    may_be_missing: bool = False  # whether a training row lacks it; `with_statistics` sets it


class Binary(NamedTuple):
    """0 or 1, with one logit as its parameter."""

    name: str
    may_be_missing: bool = False  # whether a training row lacks it; `with_statistics` sets it


class Categorical(NamedTuple):
    """A class, 0 to classes - 1, with one logit per class."""

    name: str
    classes: int
    may_be_missing: bool = False  # whether a training row lacks it; `with_statistics` sets it


class Ordinal(NamedTuple):
    """A class, 0 to classes - 1, whose order has a meaning: p(y <= r) = s(θᵣ - h), s the logistic function.

    Its parameters are h and the outputs a₁, ... of which the steps between thresholds are made, θ₀ = 0 and
    θᵣ = θᵣ₋₁ + softplus(aᵣ): classes - 1 numbers. The encoder reads the bits y > 0, y > 1, ..., y > classes - 2.
    """

    name: str
    classes: int
    may_be_missing: bool = False  # whether a training row lacks it; `with_statistics` sets it


Column = Continuous | LogNormal | Count | Binary | Categorical | Ordinal


class Places(NamedTuple):
    """Where the columns are; arrays hold indices, columns of one kind are together in the order of the table."""

    columns: tuple[Column, ...]
    gaussian: np.ndarray  # (G,) continuous and log-normal columns in the row
    gaussian_inputs: np.ndarray  # (G,) in the inputs
    gaussian_means: np.ndarray  # (G,) in the parameters
    gaussian_log_variances: np.ndarray  # (G,) in the parameters followed by `fixed_log_variances`
    fixed_log_variances: np.ndarray  # of the columns with a fixed variance
    is_log_normal: np.ndarray  # (G,)
    counts: np.ndarray  # (N,) in the row
    count_inputs: np.ndarray
    count_parameters: np.ndarray
    bits: np.ndarray  # (B,) binary columns in the row
    bit_inputs: np.ndarray
    bit_parameters: np.ndarray
    categorical: np.ndarray  # (C,) in the row
    class_inputs: np.ndarray  # (L,) all classes of all categorical columns in the inputs
    class_parameters: np.ndarray  # (L,) in the parameters
    class_columns: np.ndarray  # (L,) the place of the column in `categorical`
    class_numbers: np.ndarray  # (L,) the number of the class in its column
    ordinal: np.ndarray  # (O,) in the row
    ordinal_inputs: np.ndarray  # (O, R) in the inputs followed by a 0: padded, as columns differ in their classes
    ordinal_parameters: np.ndarray  # (O, R) in the parameters followed by a 0
    indicators: np.ndarray  # (M,) columns that may be missing in the row
    indicator_inputs: np.ndarray
    input_columns: np.ndarray  # (I,) the column of every input
    input_size: int
    parameter_size: int

    def statistics(self, which: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns mean and standard deviation of these columns, float64."""
        chosen = [self.columns[place] for place in which]
        means, deviations = (
            np.array([getattr(column, name) for column in chosen], np.float64)
            for name in ("mean", "standard_deviation")
        )
        return means, deviations


def places_of(columns: Sequence[Column]) -> Places:
    """Returns the places of checked columns.

    Raises:
      UserError: there are no columns, two have the same name, or a column's setting is out of range.

    >>> places = places_of([Continuous("area", may_be_missing=True), Categorical("heating", classes=3)])
    >>> places.input_columns.tolist(), places.parameter_size
    ([0, 0, 1, 1, 1], 5)
    """
    # tuples with the same fields are equal, so the cache needs their kinds too: Continuous("a") == LogNormal("a")
    kinds = tuple(type(column) for column in columns)
    try:
        return _places(tuple(columns), kinds)
    except TypeError:  # a setting that cannot be hashed, such as an array
        return _places.__wrapped__(tuple(columns), kinds)


@functools.lru_cache(maxsize=64)
def _places(columns: tuple[Column, ...], kinds: tuple[type, ...]) -> Places:
    del kinds
    check_columns(columns)
    found: dict[str, list[int]] = {name: [] for name in Places._fields}
    fixed: list[float] = []
    bits: list[tuple[range, range]] = []  # of ordinal columns, in the inputs and in the parameters
    inputs, parameters = 0, sum(parameters_of(column) for column in columns)
    size, begin = parameters, 0
    for place, column in enumerate(columns):
        width = inputs_of(column)
        if isinstance(column, Continuous | LogNormal):
            found["gaussian"].append(place)
            found["gaussian_inputs"].append(inputs)
            found["gaussian_means"].append(begin)
            found["is_log_normal"].append(isinstance(column, LogNormal))
            found["gaussian_log_variances"].append(begin + 1 if column.variance is None else size + len(fixed))
            fixed += [] if column.variance is None else [float(np.log(float(column.variance)))]
        elif isinstance(column, Count | Binary):
            names = ("counts", "count") if isinstance(column, Count) else ("bits", "bit")
            found[names[0]].append(place)
            found[f"{names[1]}_inputs"].append(inputs)
            found[f"{names[1]}_parameters"].append(begin)
        elif isinstance(column, Categorical):
            found["class_columns"] += [len(found["categorical"])] * column.classes
            found["categorical"].append(place)
            found["class_inputs"] += range(inputs, inputs + column.classes)
            found["class_parameters"] += range(begin, begin + column.classes)
            found["class_numbers"] += range(column.classes)
        else:
            found["ordinal"].append(place)
            bits.append((range(inputs, inputs + width), range(begin, begin + width)))
        if column.may_be_missing:
            found["indicators"].append(place)
            found["indicator_inputs"].append(inputs + width)
        found["input_columns"] += [place] * (width + column.may_be_missing)
        inputs += width + column.may_be_missing
        begin += parameters_of(column)
    most = max((len(each) for each, _ in bits), default=0)
    padded = [
        np.array([[*own, *[end] * (most - len(own))] for own in owns], np.int32).reshape(len(bits), most)
        for owns, end in zip(zip(*bits, strict=True) if bits else ((), ()), (inputs, parameters), strict=True)
    ]
    arrays = {name: np.array(numbers, np.int32) for name, numbers in found.items()}
    arrays["is_log_normal"] = arrays["is_log_normal"].astype(bool)
    return Places(
        **arrays
        | {  # type: ignore[arg-type]
            "columns": columns,
            "fixed_log_variances": np.array(fixed, np.float64),
            "ordinal_inputs": padded[0],
            "ordinal_parameters": padded[1],
            "input_size": inputs,
            "parameter_size": size,
        }
    )


def inputs_of(column: Column) -> int:
    """Returns the number of inputs of a column, without that for missing values."""
    if isinstance(column, Categorical):
        return column.classes
    return column.classes - 1 if isinstance(column, Ordinal) else 1


def parameters_of(column: Column) -> int:
    """Returns the number of parameters of a column's likelihood."""
    if isinstance(column, Continuous | LogNormal):
        return 2 if column.variance is None else 1
    return inputs_of(column)


def check_columns(columns: Sequence[Column]) -> None:
    """Raise UserError unless there are columns, with different names and settings in their ranges."""
    if not columns:
        raise UserError("a table needs at least one column")
    for column in columns:
        if not isinstance(column, Column):
            kinds = "Continuous, LogNormal, Count, Binary, Categorical or Ordinal"
            raise UserError(f"a column must be {kinds}, got {column!r:.80}")
    names = [column.name for column in columns]
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise UserError(f"column names must differ, but more than one column is called {', '.join(repeated)}")
    for column in columns:
        if isinstance(column, Categorical | Ordinal):
            try:
                check_count("classes", column.classes, 2)
            except (TypeError, ValueError) as error:
                raise UserError(f"column {column.name}: {error}") from error
        if isinstance(column, Continuous | LogNormal | Count):
            for option in ("standard_deviation", "variance"):
                value = getattr(column, option, None)
                if value is not None and not 0 < value < float("inf"):
                    raise UserError(f"column {column.name}: {option} must be positive and finite, got {value}")
            if not np.isfinite(column.mean):
                raise UserError(f"column {column.name}: mean must be finite, got {column.mean}")
