"""Tables of mixed columns: one declaration per column defines the likelihood of a row and the encoder's inputs.

A row is a vector (D,) of floats in the table's own units; classes and counts are numbers, and NaN is a missing value:
it has no term in a log-probability. The rows of a data set are an array (N, D), lists, or columns by name in any order:
a DataFrame, a dictionary or a structured array. Tables of half precision are computed and returned in float32, as
bfloat16 cannot represent most years, incomes and classes above 256.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from aejax.checks import check_floating
from aejax.likelihoods.bounded import bounded_log
from aejax.likelihoods.columns import Column, Continuous, LogNormal, Places, places_of
from aejax.likelihoods.continuous import gaussian_with_predicted_variance
from aejax.likelihoods.discrete import bernoulli, poisson
from aejax.likelihoods.record import Likelihood, Support
from aejax.likelihoods.table_inputs import (
    MAX_LOG,
    assembled,
    by_class,
    decode_inputs,
    encode_inputs,
    encode_targets,
    largest_class,
    standardized_values,
    values_in_units,
    with_indicators,
    with_zero,
)
from aejax.losses import binary_cross_entropy
from aejax.precision import knob, widened

_REAL = Support(float("-inf"), float("inf"), missing=True)  # `check_rows` checks each column's own


def table_likelihood(columns: Sequence[Column]) -> Likelihood:
    """Returns the likelihood of a row whose columns are independent given the code: log p(x) = Σ꜀ log p꜀(x꜀).

    The sum is over the columns that are not missing, so it is the log-probability of the known values. The densities of
    continuous and log-normal columns are in the table's own units. The parameters are one vector, the concatenation of
    all columns' parameters. In the mean row, a column of classes holds its most probable class (an ordinal one its
    median), as classes have no mean, and a log-normal column its median, as its mean grows without bound in σ².

    Args:
      columns: the declarations of the row's columns, in order.

    Returns:
      A likelihood of rows (D,) with parameters of shape (`parameter_size(columns)`,).

    Raises:
      UserError: there are no columns, two have the same name, or a column's setting is out of range.
      ValueError: in `log_prob`, the shapes do not match.

    Source: A. Nazábal et al. (2020), Handling Incomplete Heterogeneous Data Using VAEs, section 2.

    >>> from aejax.likelihoods.columns import Binary, Categorical, Count
    >>> likelihood = table_likelihood([Binary("garden"), Categorical("heating", classes=3), Count("rooms")])
    >>> x, parameters = jnp.array([1.0, 2.0, 0.0]), jnp.zeros(1 + 3 + 1)
    >>> round(likelihood.log_prob(x, parameters).item(), 4)  # -log 2 - log 3 - 1
    -2.7918
    >>> round(likelihood.log_prob(x.at[1].set(jnp.nan), parameters).item(), 4)  # heating is missing: -log 2 - 1
    -1.6931
    """
    places, of_targets = places_of(columns), target_likelihood(columns)
    return of_targets._replace(
        log_prob=lambda x, parameters: of_targets.log_prob(encode_targets(columns, x), parameters),
        mean=lambda parameters: decode_inputs(columns, of_targets.mean(parameters)),
        sample=lambda key, parameters: _sample(places, key, _checked_parameters(places, parameters)),
        name="table_likelihood",
    )


def target_likelihood(columns: Sequence[Column]) -> Likelihood:
    """Returns the likelihood of a row as a function of its `encode_targets`, for an autoencoder of `encode_inputs`.

    Its log-probability is that of the row, as by `table_likelihood`; its mean and its samples are inputs (I,).

    Raises:
      UserError: the columns are invalid, as in `table_likelihood`.
      ValueError: in `log_prob`, the shapes do not match.

    >>> from aejax.likelihoods.columns import Binary, Continuous
    >>> columns = [Continuous("area", mean=80.0, standard_deviation=20.0), Binary("garden")]
    >>> x, parameters = jnp.array([90.0, 1.0]), jnp.array([0.5, 0.0, 1.0])
    >>> by_row = table_likelihood(columns).log_prob(x, parameters)
    >>> (target_likelihood(columns).log_prob(encode_targets(columns, x), parameters) == by_row).item()
    True
    """
    places = places_of(columns)

    def log_prob(targets: Array, parameters: Array) -> Array:
        inputs, known = _checked_targets(places, targets)
        terms = _log_probabilities(places, inputs, _checked_parameters(places, parameters))
        return jnp.sum(jnp.where(known > 0, terms, 0))

    def sample(key: Array, parameters: Array) -> Array:
        return encode_inputs(columns, _sample(places, key, _checked_parameters(places, parameters)))

    return Likelihood(
        log_prob,
        lambda parameters: encode_means(columns, parameters),
        sample,
        _REAL,
        "target_likelihood",
        lambda shape: (places.parameter_size,),
        lambda output: _constrained(places, output),
    )


@dataclass(frozen=True, eq=False)
class TableLoss:
    """The loss of a table's columns: Σ (u - û)² of standardized numbers, and the cross-entropy of classes, in nats.

    Numbers are those of `encode_inputs`: standardized values, logarithms, and log(1 + count). The sum is over the
    columns whose value is known. The function expects `encode_targets` of a row, and a decoder's output of
    `output_size` numbers: one for each continuous, log-normal or count column, and the logits of classes.

    >>> from aejax.likelihoods.columns import Binary, Continuous
    >>> loss = TableLoss((Continuous("area", mean=80.0, standard_deviation=20.0), Binary("garden")))
    >>> round(loss(encode_targets(loss.columns, jnp.array([100.0, 1.0])), jnp.zeros(2)).item(), 4)  # 1 + log 2
    1.6931
    """

    columns: tuple[Column, ...]
    unit: str = "standardized squares and nats, per row"

    @property
    def output_size(self) -> int:
        """The number of outputs that the decoder must have."""
        return self._places.parameter_size

    @property
    def _places(self) -> Places:
        with_one_parameter = (
            column._replace(variance=1.0) if isinstance(column, Continuous | LogNormal) else column
            for column in self.columns
        )
        return places_of(tuple(with_one_parameter))

    def __call__(self, targets: Float[Array, "T"], output: Float[Array, "P"]) -> Float[Array, ""]:
        """Returns the loss of one row.

        Raises:
          ValueError: the shapes do not match the columns.
          TypeError: an argument is not of a floating type.
        """
        places = self._places
        inputs, known = _checked_targets(places, targets)
        output = _checked_parameters(places, output)
        errors = jnp.zeros(len(self.columns), output.dtype)
        numbers = inputs[places.gaussian_inputs] - output[places.gaussian_means]
        errors = errors.at[places.gaussian].set(jnp.square(numbers))
        numbers = inputs[places.count_inputs] - output[places.count_parameters]
        errors = errors.at[places.counts].set(jnp.square(numbers))
        errors = _with_class_errors(places, errors, inputs, output)
        return jnp.sum(jnp.where(known > 0, errors, 0))

    def link(self, output: Float[Array, "P"]) -> Float[Array, "I"]:
        """Returns a decoder's output in the space of `encode_inputs`: numbers as they are, logits as probabilities."""
        places = self._places
        output = _checked_parameters(places, output)
        return _means(places, output, output[places.count_parameters])


def encode_means(columns: Sequence[Column], parameters: Float[Array, "P"]) -> Float[Array, "I"]:
    """Returns the mean of each column in the space of `encode_inputs`: μ, probabilities, and the log(1 + rate).

    Args:
      columns: the declarations of the columns.
      parameters: the decoder's output, constrained, (`parameter_size(columns)`,).

    Returns:
      A vector of length `input_size(columns)`, comparable with `encode_inputs` of a row of which nothing is missing.

    Raises:
      UserError: the columns are invalid, as in `table_likelihood`.
      ValueError: parameters has another shape.
      TypeError: parameters is not of a floating type.

    >>> from aejax.likelihoods.columns import Binary, Categorical
    >>> encode_means([Binary("garden"), Categorical("heating", classes=2)], jnp.zeros(3)).tolist()
    [0.5, 0.5, 0.5]
    """
    places = places_of(columns)
    parameters = _checked_parameters(places, parameters)
    rates = jnp.exp(parameters[places.count_parameters])
    return _means(places, parameters, standardized_values(places, places.counts, jnp.log1p(rates)))


def parameter_size(columns: Sequence[Column]) -> int:
    """Returns the number of parameters that the decoder must return for one row.

    >>> from aejax.likelihoods.columns import Categorical, Continuous, Count
    >>> parameter_size([Continuous("area"), Categorical("heating", classes=3), Count("rooms")])
    6
    """
    return places_of(columns).parameter_size


def _means(places: Places, parameters: Array, counts: Array) -> Array:
    """Returns the mean inputs (I,), of which those of the count columns are given."""
    logits = parameters[places.class_parameters]
    blocks = [
        (places.gaussian_inputs, parameters[places.gaussian_means]),
        (places.count_inputs, counts),
        (places.bit_inputs, jax.nn.sigmoid(parameters[places.bit_parameters])),
        (places.class_inputs, jnp.exp(logits - _log_normalizers(places, logits)[places.class_columns])),
        (places.ordinal_inputs, jax.nn.sigmoid(_ordinal_logits(places, parameters))),
    ]
    means = assembled(places, blocks, parameters.dtype)
    return with_indicators(places, means, jnp.ones(len(places.indicators), means.dtype))


def _checked_targets(places: Places, targets: Array) -> tuple[Array, Array]:
    """Returns the inputs, and whether each column is known."""
    check_floating(targets=targets)
    if targets.shape != (expected := (places.input_size + len(places.columns),)):
        raise ValueError(f"the targets of this table must have shape {expected}, got {targets.shape}")
    return widened(targets)[: places.input_size], widened(targets)[places.input_size :]


def _checked_parameters(places: Places, parameters: Array) -> Array:
    """Returns the parameters in the dtype to compute in."""
    check_floating(parameters=parameters)
    if parameters.shape != (expected := (places.parameter_size,)):
        raise ValueError(f"the parameters of this table must have shape {expected}, got {parameters.shape}")
    return widened(parameters)


def _constrained(places: Places, output: Array) -> Array:
    """Returns a decoder's output as parameters: logarithms are bounded, and counts start at their typical rate."""
    predicted = places.gaussian_log_variances[places.gaussian_log_variances < places.parameter_size]
    is_logarithm = np.zeros(places.parameter_size, bool)
    is_logarithm[predicted] = is_logarithm[places.count_parameters] = True
    means, _ = places.statistics(places.counts)
    log_rates = np.zeros(places.parameter_size)
    log_rates[places.count_parameters] = np.log(np.expm1(np.where(means > 0, means, np.log(2))))
    return jnp.where(is_logarithm, bounded_log(output), output) + knob(log_rates, output.dtype)


def _log_probabilities(places: Places, inputs: Array, parameters: Array) -> Array:
    """Returns log p꜀(x꜀) of every column (D,), also of missing ones, which are to be ignored."""
    dtype = parameters.dtype
    inputs = inputs.astype(dtype)
    result = jnp.zeros(len(places.columns), dtype)
    if len(places.gaussian):
        z = inputs[places.gaussian_inputs]
        extended = jnp.concatenate([parameters, knob(places.fixed_log_variances, dtype)])
        moments = jnp.stack([parameters[places.gaussian_means], extended[places.gaussian_log_variances]], axis=-1)
        terms = jax.vmap(gaussian_with_predicted_variance().log_prob)(z, moments)
        logarithms = jnp.where(places.is_log_normal, values_in_units(places, places.gaussian, z), 0)
        log_deviations = knob(np.log(places.statistics(places.gaussian)[1]), dtype)
        result = result.at[places.gaussian].set(terms - log_deviations - logarithms)
    if len(places.counts):
        counts = jnp.expm1(values_in_units(places, places.counts, inputs[places.count_inputs]))
        counts = jnp.maximum(jnp.round(counts), 0)
        terms = jax.vmap(poisson().log_prob)(counts, parameters[places.count_parameters])
        result = result.at[places.counts].set(terms)
    return -_with_class_errors(places, -result, inputs, parameters)


def _with_class_errors(places: Places, errors: Array, inputs: Array, parameters: Array) -> Array:
    """Returns the errors (D,) with the cross-entropy, in nats, in the places of binary and other classes."""
    bits = jax.vmap(binary_cross_entropy)(inputs[places.bit_inputs], parameters[places.bit_parameters])
    errors = errors.at[places.bits].set(bits)
    classes = _class_errors(places, inputs[places.class_inputs], parameters[places.class_parameters])
    errors = errors.at[places.categorical].set(classes)
    return errors.at[places.ordinal].set(_ordinal_errors(places, inputs, parameters))


def _class_errors(places: Places, one_hot: Array, logits: Array) -> Array:
    """Returns -Σₖ one_hotₖ log pₖ of every categorical column (C,)."""
    chosen = _sum_by_column(places, one_hot * logits)
    return _sum_by_column(places, one_hot) * _log_normalizers(places, logits) - chosen


def _log_normalizers(places: Places, logits: Array) -> Array:
    """Returns log Σₖ exp(logitₖ) over the classes of every categorical column (C,)."""
    if not len(places.categorical):
        return jnp.zeros(0, logits.dtype)
    largest = jax.lax.stop_gradient(jnp.max(by_class(places, logits), axis=1))
    shifted = jnp.exp(logits - largest[places.class_columns])
    return jnp.log(_sum_by_column(places, shifted)) + largest


def _sum_by_column(places: Places, values: Array) -> Array:
    """Returns the sum over the classes of every categorical column, as a product with a matrix: no scatter."""
    member = places.class_columns[:, None] == np.arange(len(places.categorical))
    return jnp.matmul(values, knob(member, values.dtype), precision="highest")


def _ordinal_logits(places: Places, parameters: Array) -> Array:
    """Returns h - θᵣ, the logits of p(y > r), of every ordinal column (O, R)."""
    outputs = with_zero(parameters)[places.ordinal_parameters]
    steps = jax.nn.softplus(outputs).at[:, :1].set(0)
    return outputs[:, :1] - jnp.cumsum(steps, axis=1)


def _ordinal_errors(places: Places, inputs: Array, parameters: Array) -> Array:
    """Returns -log p(y) of every ordinal column's class (O,).

    p(y) = s(b) - s(a) = s(b) s(-a) (1 - e⁻⁽ᵇ⁻ᵃ⁾) with b, a = h - θ of the thresholds below and above y, and the last
    factor is s(output of that step), because the step b - a is its softplus: no difference of close numbers.
    """
    bits, outputs = with_zero(inputs)[places.ordinal_inputs], with_zero(parameters)[places.ordinal_parameters]
    logits = _ordinal_logits(places, parameters)
    exists = places.ordinal_parameters < places.parameter_size
    zero = jnp.zeros((len(bits), 1), logits.dtype)
    above = jnp.concatenate([zero + 1, bits, zero], axis=1)
    is_class = above[:, :-1] - above[:, 1:]  # one-hot (O, R + 1)
    log_below = jnp.concatenate([zero, jax.nn.log_sigmoid(logits)], axis=1)
    log_not_above = jnp.concatenate([jnp.where(exists, jax.nn.log_sigmoid(-logits), 0), zero], axis=1)
    log_steps = jnp.where(exists, jax.nn.log_sigmoid(outputs), 0)[:, 1:]
    log_steps = jnp.concatenate([zero, log_steps, zero], axis=1) if bits.shape[1] else zero
    return -jnp.sum(is_class * (log_below + log_not_above + log_steps), axis=1)


def _sample(places: Places, key: Array, parameters: Array) -> Array:
    """Returns a random row (D,)."""
    gaussian_key, count_key, bit_key, class_key, ordinal_key = jax.random.split(key, 5)
    row = jnp.zeros(len(places.columns), parameters.dtype)
    extended = jnp.concatenate([parameters, knob(places.fixed_log_variances, parameters.dtype)])
    moments = jnp.stack([parameters[places.gaussian_means], extended[places.gaussian_log_variances]], axis=-1)
    values = values_in_units(places, places.gaussian, gaussian_with_predicted_variance().sample(gaussian_key, moments))
    logarithms = jnp.clip(jnp.where(places.is_log_normal, values, 0), -MAX_LOG, MAX_LOG)
    row = row.at[places.gaussian].set(jnp.where(places.is_log_normal, jnp.exp(logarithms), values))
    row = row.at[places.counts].set(poisson().sample(count_key, parameters[places.count_parameters]))
    row = row.at[places.bits].set(bernoulli().sample(bit_key, parameters[places.bit_parameters]))
    if len(places.categorical):
        logits = parameters[places.class_parameters]
        noise = jax.random.gumbel(class_key, logits.shape, logits.dtype)
        row = row.at[places.categorical].set(largest_class(places, logits + noise))
    levels = jax.random.logistic(ordinal_key, (len(places.ordinal), 1), parameters.dtype)
    # y > r where the level is below h - θᵣ
    is_above = (levels < _ordinal_logits(places, parameters)) & (places.ordinal_parameters < places.parameter_size)
    return row.at[places.ordinal].set(jnp.sum(is_above, axis=1).astype(row.dtype))
