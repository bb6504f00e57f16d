"""Tables of mixed columns: one declaration per column defines the likelihood of a row and the encoder's inputs.

A row is a vector (D,) of floats in the table's own units; classes and counts are numbers. The rows of a data set are
an array (N, D), lists, or columns by name in any order: a DataFrame, a dictionary or a structured array. Tables of half
precision are computed and returned in float32, as bfloat16 cannot represent most years, incomes and classes above 256.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from aejax.checks import check_count, check_floating
from aejax.errors import UserError
from aejax.likelihoods import (
    Likelihood,
    Support,
    bernoulli,
    categorical,
    check_support,
    constrain,
    gaussian,
    gaussian_with_predicted_variance,
    parameter_shape,
    poisson,
    standardized,
)
from aejax.likelihoods.record import numbers_of
from aejax.precision import knob, widened


class Continuous(NamedTuple):
    """A real number, Gaussian after standardization.

    Its parameters are μ and log σ² of the standardized value, so that the decoder can give an outlier a large variance;
    if `variance` is set, only μ.
    """

    name: str
    mean: float = 0.0  # of the training rows; `with_statistics` sets it
    standard_deviation: float = 1.0  # of the training rows; `with_statistics` sets it
    variance: float | None = None  # σ² of the standardized value; None: the decoder predicts it


class Binary(NamedTuple):
    """0 or 1, with one logit as its parameter."""

    name: str


class Categorical(NamedTuple):
    """A class, 0 to classes - 1, with one logit per class."""

    name: str
    classes: int


class Count(NamedTuple):
    """A whole number of at least 0, Poisson distributed, with its log-rate as its parameter."""

    name: str


Column = Continuous | Binary | Categorical | Count


def table_likelihood(columns: Sequence[Column]) -> Likelihood:
    """Returns the likelihood of a row whose columns are independent given the code: log p(x) = Σ꜀ log p꜀(x꜀).

    The densities of continuous columns are in the table's own units. The parameters are one vector, the concatenation
    of all columns' parameters. In the mean row, a categorical column holds its most probable class, as classes have no
    mean.

    Args:
      columns: the declarations of the row's columns, in order.

    Returns:
      A likelihood of rows (D,) with parameters of shape (`parameter_size(columns)`,).

    Raises:
      UserError: there are no columns, two have the same name, or a column's setting is out of range.
      ValueError: in `log_prob`, the shapes do not match.

    Source: A. Nazábal et al. (2020), Handling Incomplete Heterogeneous Data Using VAEs, section 2.

    >>> likelihood = table_likelihood([Binary("garden"), Categorical("heating", classes=3), Count("rooms")])
    >>> x, parameters = jnp.array([1.0, 2.0, 0.0]), jnp.zeros(1 + 3 + 1)
    >>> round(likelihood.log_prob(x, parameters).item(), 4)  # -log 2 - log 3 - 1
    -2.7918
    """
    _check_columns(columns)
    likelihoods = [_likelihood_of(column) for column in columns]
    size = parameter_size(columns)

    def log_prob(x: Array, parameters: Array) -> Array:
        check_floating(x=x)
        if x.shape != (len(columns),):
            raise ValueError(f"a row of this table must have shape {(len(columns),)}, got {x.shape}")
        terms = zip(likelihoods, widened(x), _split(columns, parameters), strict=True)
        return jnp.sum(jnp.stack([p.log_prob(value, own) for p, value, own in terms]))

    def mean(parameters: Array) -> Array:
        means = [p.mean(own) for p, own in zip(likelihoods, _split(columns, parameters), strict=True)]
        return jnp.stack([jnp.argmax(m).astype(m.dtype) if m.ndim else m for m in means])

    def sample(key: Array, parameters: Array) -> Array:
        terms = zip(likelihoods, jax.random.split(key, len(columns)), _split(columns, parameters), strict=True)
        return jnp.stack([p.sample(key, own) for p, key, own in terms])

    def constrained(output: Array) -> Array:
        outputs = _split(columns, output)
        return jnp.concatenate([constrain(p, own).ravel() for p, own in zip(likelihoods, outputs, strict=True)])

    support = Support(float("-inf"), float("inf"))  # `check_rows` checks each column's own
    return Likelihood(log_prob, mean, sample, support, "table_likelihood", lambda shape: (size,), constrained)


def encode_inputs(columns: Sequence[Column], x: Float[Array, "D"]) -> Float[Array, "I"]:
    """Returns the encoder's inputs for one row: standardized values, bits, one-hot classes, and log(1 + count).

    Args:
      columns: the declarations of the columns, with the statistics of the training rows (see `with_statistics`).
      x: one row.

    Returns:
      A vector of length `input_size(columns)`; a class out of range becomes zeros.

    Raises:
      UserError: the columns are invalid, as in `table_likelihood`.
      ValueError: x has another shape than (D,).
      TypeError: x is not of a floating type.

    >>> columns = [Continuous("area", mean=80.0, standard_deviation=20.0), Categorical("heating", classes=3)]
    >>> encode_inputs(columns, jnp.array([90.0, 2.0])).tolist()
    [0.5, 0.0, 0.0, 1.0]
    """
    _check_columns(columns)
    check_floating(x=x)
    if x.shape != (len(columns),):
        raise ValueError(f"a row of this table must have shape {(len(columns),)}, got {x.shape}")

    def encode(column: Column, value: Array) -> Array:
        if isinstance(column, Continuous):
            return (value[None] - knob(column.mean, value.dtype)) / knob(column.standard_deviation, value.dtype)
        if isinstance(column, Categorical):
            return (value == jnp.arange(column.classes, dtype=value.dtype)).astype(value.dtype)
        return jnp.log1p(value[None]) if isinstance(column, Count) else value[None]

    return jnp.concatenate([encode(column, value) for column, value in zip(columns, widened(x), strict=True)])


def encode_means(columns: Sequence[Column], parameters: Float[Array, "P"]) -> Float[Array, "I"]:
    """Returns the mean of each column in the space of `encode_inputs`: μ, probabilities, and log(1 + rate).

    Args:
      columns: the declarations of the columns.
      parameters: the decoder's output, constrained, (`parameter_size(columns)`,).

    Returns:
      A vector of length `input_size(columns)`, comparable with `encode_inputs` of a row.

    Raises:
      UserError: the columns are invalid, as in `table_likelihood`.
      ValueError: parameters has another shape.
      TypeError: parameters is not of a floating type.

    >>> encode_means([Binary("garden"), Categorical("heating", classes=2)], jnp.zeros(3)).tolist()
    [0.5, 0.5, 0.5]
    """
    _check_columns(columns)

    def encode(column: Column, own: Array) -> Array:
        if isinstance(column, Continuous):
            return jnp.atleast_1d(own)[:1]
        mean = jnp.atleast_1d(_likelihood_of(column).mean(own))
        return jnp.log1p(mean) if isinstance(column, Count) else mean

    by_column = zip(columns, _split(columns, parameters), strict=True)
    return jnp.concatenate([encode(column, own) for column, own in by_column])


def with_statistics(columns: Sequence[Column], train_x: Any) -> list[Column]:
    """Returns the columns with the continuous ones' mean and standard deviation set to those of the training rows.

    Args:
      columns: the declarations of the table's columns.
      train_x: the N training rows only: an array (N, D), lists, or columns by name as in a DataFrame.

    Raises:
      UserError: the rows do not match the columns, there is no row, or a continuous column is constant.

    >>> with_statistics([Continuous("area")], np.array([[60.0], [100.0]]))
    [Continuous(name='area', mean=80.0, standard_deviation=20.0, variance=None)]
    """
    by_column = _checked_columns(columns, train_x, "training rows")
    if not by_column[0].size:
        raise UserError("training rows: expected at least two rows to compute statistics, got none")
    result: list[Column] = []
    for column, train_values in zip(columns, by_column, strict=True):
        if isinstance(column, Continuous):
            values = train_values.astype(np.float64)
            deviation, largest = float(np.std(values)), float(np.max(np.abs(values)))
            if deviation <= max(1e-6 * largest, 1e-37):  # float32 resolves no finer differences
                raise UserError(
                    f"column {column.name}: it is {values[0]:g} in every training row, up to rounding; remove it, or "
                    "subtract an offset"
                )
            column = column._replace(mean=float(np.mean(values)), standard_deviation=deviation)
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


def parameter_size(columns: Sequence[Column]) -> int:
    """Returns the number of parameters that the decoder must return for one row.

    >>> parameter_size([Continuous("area"), Categorical("heating", classes=3), Count("rooms")])
    6
    """
    _check_columns(columns)
    return sum(_parameters_of(column) for column in columns)


def input_size(columns: Sequence[Column]) -> int:
    """Returns the number of inputs that `encode_inputs` returns for one row.

    >>> input_size([Continuous("area"), Categorical("heating", classes=3), Count("rooms")])
    5
    """
    _check_columns(columns)
    return sum(column.classes if isinstance(column, Categorical) else 1 for column in columns)


def _checked_columns(columns: Sequence[Column], x: Any, name: str) -> list[np.ndarray]:
    """Returns the values of each column; raises UserError, as `check_rows`, if the rows do not match the columns."""
    _check_columns(columns)
    if isinstance(x, Mapping) or hasattr(x, "columns") or getattr(getattr(x, "dtype", None), "names", None):
        by_column = _by_name(columns, x, name)
    else:
        rows = numbers_of(x, name)
        if rows.ndim != 2 or rows.shape[1] != len(columns):
            raise UserError(f"{name}: {len(columns)} columns are declared, but the data have shape {rows.shape}")
        by_column = list(rows.T)
    for column, values in zip(columns, by_column, strict=True):
        likelihood = _likelihood_of(column)
        if isinstance(column, Binary):
            likelihood = likelihood._replace(support=Support(0.0, 1.0, integers=True))
        called = f"{name}, column {column.name}"
        check_support(likelihood, values, called, advice="correct them, or declare the column otherwise")
        if values.size and (largest := max(float(np.max(values)), -float(np.min(values)))) > 1e37:
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


def _likelihood_of(column: Column) -> Likelihood:
    """Returns the likelihood of the column's value, a scalar in the table's units."""
    if isinstance(column, Continuous):
        return _continuous(column)
    if isinstance(column, Categorical):
        return categorical(classes=column.classes)
    return bernoulli() if isinstance(column, Binary) else poisson()


def _continuous(column: Continuous) -> Likelihood:
    inner = gaussian_with_predicted_variance() if column.variance is None else gaussian(variance=column.variance)
    return standardized(inner, mean=column.mean, standard_deviation=column.standard_deviation)


def _parameters_of(column: Column) -> int:
    return int(np.prod(parameter_shape(_likelihood_of(column), ())))


def _split(columns: Sequence[Column], parameters: Array) -> list[Array]:
    """Returns the parameters of each column, in the dtype to compute in."""
    check_floating(parameters=parameters)
    sizes = [_parameters_of(column) for column in columns]
    if parameters.shape != (sum(sizes),):
        raise ValueError(f"the parameters of this table must have shape {(sum(sizes),)}, got {parameters.shape}")
    by_column = jnp.split(widened(parameters), np.cumsum(sizes)[:-1])
    shapes = [parameter_shape(_likelihood_of(column), ()) for column in columns]
    return [own.reshape(shape) for own, shape in zip(by_column, shapes, strict=True)]


def _check_columns(columns: Sequence[Column]) -> None:
    if not columns:
        raise UserError("a table needs at least one column")
    for column in columns:
        if not isinstance(column, Column):
            raise UserError(f"a column must be Continuous, Binary, Categorical or Count, got {column!r:.80}")
    names = [column.name for column in columns]
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise UserError(f"column names must differ, but more than one column is called {', '.join(repeated)}")
    for column in columns:
        if isinstance(column, Categorical):
            try:
                check_count("classes", column.classes, 2)
            except (TypeError, ValueError) as error:
                raise UserError(f"column {column.name}: {error}") from error
        if isinstance(column, Continuous):
            for option in ("standard_deviation", "variance"):
                value = getattr(column, option)
                if value is not None and not 0 < value < float("inf"):
                    raise UserError(f"column {column.name}: {option} must be positive and finite, got {value}")
            if not np.isfinite(column.mean):
                raise UserError(f"column {column.name}: mean must be finite, got {column.mean}")
