"""Detects training data far from unit scale, and chooses the standardization inside the model."""

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from aejax.datasets.dataset import Dataset
from aejax.datasets.sequences import has_padding, real_steps
from aejax.datasets.source import Layout
from aejax.datasets.sources import source_of
from aejax.datasets.stored import blocks_of
from aejax.datasets.tables.columns import TableColumn, model_columns
from aejax.errors import UserError, knob_name
from aejax.experiment.configuration import Experiment, Model, can_standardize, has_counts
from aejax.experiment.dictionary_knobs import DICTIONARIES
from aejax.experiment.facts import Facts, Scaling, facts_of, facts_of_labels, some_of
from aejax.experiment.given import given_of
from aejax.experiment.loading import check_is_table, names_of_classes
from aejax.experiment.objective import as_likelihood_columns, columns_of, statistics_of
from aejax.likelihoods.table_inputs import encode_inputs
from aejax.likelihoods.table_rows import with_statistics

FAR, NEAR = 10.0, 0.01  # networks are initialized for inputs of about 1
MAX_COUNT = 100.0  # if any count is larger, the encoder reads the logarithms of counts


def is_far(facts: Facts) -> bool:
    """Returns whether the largest absolute training value is far from unit scale: above `FAR` or below `NEAR`."""
    largest = max(abs(facts.targets.low), abs(facts.targets.high))
    return largest > FAR or 0 < largest < NEAR


class Moments(NamedTuple):
    """Statistics of every feature over the training examples: (D,) float64."""

    mean: np.ndarray
    variance: np.ndarray  # exactly 0 for a constant feature


def make_facts(experiment: Experiment, train: Dataset) -> Facts:
    """Returns the facts of training examples, including the scaling that the configuration or the data require.

    Args:
      experiment: the configuration; standardize="auto" scales only data that are far from unit scale.
      train: the training examples; examples in a file are read one block at a time.

    Raises:
      UserError: a VampPrior with more components than training examples, or a table and a model of other data.
    """
    facts = facts_of(train)
    given_columns = None
    if train.condition is not None and train.condition_columns is not None:
        given_columns = _with_statistics(train.condition_columns, train.condition)
    facts = replace(facts, given=given_of(train, experiment.data.condition, given_columns))
    if facts.columns is not None:
        check_is_table(experiment.model, train, experiment.data.dataset)
        return completed(replace(facts, columns=_with_statistics(facts.columns, train.x)), experiment, train)
    facts = replace(facts, scaling=_scaling(experiment.model, train, facts))
    if facts.classes is not None and (names := names_of_classes(experiment.data)):
        facts = replace(facts, class_names=tuple(names.get(label, str(label)) for label in facts.classes))
    if experiment.model.family == "variational" and experiment.model.likelihood == "gaussian_with_global_variance":
        facts = replace(facts, log_variance=_log_variance(train.x, facts.scaling))
    return completed(facts, experiment, train)


def completed(facts: Facts, experiment: Experiment, train: Dataset) -> Facts:
    """Returns the facts with the fields that facts of an older version lack and an autoencoder is built from.

    Args:
      facts: facts of the training examples, whose scaling is kept.
      experiment: the configuration, which names the prior.
      train: the training examples.

    Raises:
      UserError: a VampPrior with more components than training examples.
    """
    of_labels = facts_of_labels(train.labels)
    facts = replace(
        facts,
        examples=len(train.x),
        distinct_labels=of_labels.get("distinct_labels"),
        layout=_layout(facts, source_of(experiment.data.dataset).layout),
    )
    if (statistics := statistics_of(facts, "identity")) is not None:
        assert facts.scaling is not None
        some = some_of(train.x)
        deviations = (some - statistics.mean) / statistics.standard_deviation
        low, high = (float(end(deviations, axis=None)) for end in (np.fmin.reduce, np.fmax.reduce))  # but for NaN
        facts = replace(facts, scaling=replace(facts.scaling, low=low, high=high))
    if experiment.model.family == "variational" and experiment.regularization.prior == "vamp":
        components = experiment.regularization.prior_components
        if components > len(train.x):
            raise UserError(
                f"prior_components: must be at most the number of training examples, {len(train.x)}, got {components}"
            )
        # the first examples in the order of the files; training changes their values
        first = np.asarray(train.x[:components])
        if facts.lengths is not None:  # pseudo-inputs have all steps
            first = np.where(np.isnan(first), np.float32(facts.targets.mean), first)
        if (columns := columns_of(facts, corruption=experiment.regularization.corruption)) is not None:
            first = np.asarray(jax.vmap(partial(encode_inputs, columns))(jnp.asarray(first)))
        facts = replace(facts, pseudo_inputs=tuple(first.ravel().tolist()))
    return facts


def _layout(facts: Facts, of_source: Layout | None) -> Layout | None:
    if facts.columns is not None:
        return "row"
    return "series" if facts.lengths is not None and of_source is None else of_source


def _with_statistics(columns: Sequence[TableColumn], train_x: np.ndarray) -> tuple[TableColumn, ...]:
    """Returns the columns with the statistics of the training rows where they are not given, as in Python."""
    if all(c.mean is not None for c in model_columns(columns) if c.kind in ("continuous", "log_normal", "count")):
        return tuple(columns)
    computed = with_statistics(as_likelihood_columns(columns), np.asarray(train_x))
    found = {column.name: column for column in computed}
    result = []
    for column in columns:
        if column.name in found:
            own = found[column.name]
            column = replace(
                column,
                may_be_missing=column.may_be_missing or own.may_be_missing,
                mean=getattr(own, "mean", None),
                standard_deviation=getattr(own, "standard_deviation", None),
            )
        result.append(column)
    return tuple(result)


def describe(facts: Facts, model: Model) -> str | None:
    """Returns a line for the user on the scaling of a run; None if examples are not scaled."""
    scaling, values = facts.scaling, facts.targets
    if scaling is None:
        return None
    found = f"values from {values.low:g} to {values.high:g}"
    is_centered = len(scaling.shift) > len(scaling.scale) == 1
    if model.standardize == "auto" and not is_centered:
        found += ", far from unit scale"
    if scaling.transform == "log1p":
        done = "the encoder reads log(1 + count), standardized, and rates start at the mean"
    else:
        done = "the model standardizes them by the mean and standard deviation of "
        done += "all values" if len(scaling.shift) == 1 else "each feature"
        if is_centered:
            done = "the model subtracts the mean of each feature and divides by one scale"
        done += ", and decodes to their own units"
    advice = f"; {knob_name('standardize none')} disables this" if model.standardize == "auto" else ""
    return f"{found}: {done}{advice}"


def moments(x: np.ndarray, *, log1p: bool = False) -> Moments:
    """Returns mean and variance of every feature of examples (N, ...), computed in float64 in one pass over blocks.

    Args:
      x: the examples, in memory or in a file.
      log1p: whether to return the moments of log(1 + x) instead.

    >>> moments(np.array([[1.0, 3.0], [1.0, 5.0]], np.float32))
    Moments(mean=array([1., 4.]), variance=array([0., 1.]))
    """
    features = math.prod(x.shape[1:])
    count, mean, squares = 0, np.zeros(features), np.zeros(features)  # squares: sums of squared deviations
    low, high = np.full(features, np.inf), np.full(features, -np.inf)
    for block in blocks_of(x):
        values = block.reshape(len(block), features).astype(np.float64)
        if log1p:
            values = np.log1p(values)
        own_mean = values.mean(axis=0)
        own_squares = np.square(values - own_mean).sum(axis=0)
        total = count + len(values)
        squares += own_squares + np.square(own_mean - mean) * (count * len(values) / total)  # Chan et al. (1979)
        mean += (own_mean - mean) * (len(values) / total)
        low, high = np.minimum(low, values.min(axis=0)), np.maximum(high, values.max(axis=0))
        count = total
    return Moments(np.where(low == high, low, mean), np.where(low == high, 0.0, squares / count))


def _scaling(model: Model, train: Dataset, facts: Facts) -> Scaling | None:
    if model.standardize == "none" or not can_standardize(model):
        return None
    standardize = model.standardize
    if standardize == "auto" and model.family in DICTIONARIES:
        standardize = "centered"
    if standardize == "auto" and not is_far(facts):
        return None
    largest = max(abs(facts.targets.low), abs(facts.targets.high))
    is_count = has_counts(model)
    x = train.x if facts.lengths is None else real_steps(train.x)  # of sequences, a channel is a feature
    by_feature = moments(x)
    steps = 1 if facts.lengths is None else facts.shape[0]
    if standardize == "centered":
        size = math.sqrt(np.mean(by_feature.variance)) or 1.0
        return Scaling("identity", tuple(by_feature.mean.tolist()) * steps, (size,))
    if standardize == "auto":
        sizes = np.square(by_feature.mean) + by_feature.variance
        size = math.sqrt(np.mean(sizes) if x.ndim > 2 else np.max(sizes))
        if size <= FAR and (largest <= MAX_COUNT if is_count else largest >= NEAR):
            return None
    if standardize == "auto":
        is_global = x.ndim > 2 or (not is_count and _shares_scale(by_feature))
    else:
        is_global = standardize == "global"
    steps = 1 if is_global else steps
    if not is_count:
        shift, deviation = _statistics(by_feature, is_global)
        return Scaling("identity", shift * steps, deviation * steps)
    rates = np.mean(by_feature.mean, keepdims=True) if is_global else by_feature.mean
    log_rate = tuple(np.log(np.maximum(rates, 0.5 / len(train.x))).tolist())  # a feature of zeros counts half an event
    shift, deviation = _statistics(moments(x, log1p=True), is_global)
    return Scaling("log1p", shift * steps, deviation * steps, log_rate * steps)


def _statistics(by_feature: Moments, is_global: bool) -> tuple[tuple[float, ...], tuple[float, ...]]:
    mean, variance = by_feature
    if is_global:
        variance = np.atleast_1d(np.mean(variance) + np.var(mean))
        mean = np.atleast_1d(np.mean(mean))
    deviation = np.sqrt(variance)
    return tuple(mean.tolist()), tuple(np.where(deviation == 0, 1.0, deviation).tolist())


def _shares_scale(by_feature: Moments) -> bool:
    """Returns whether one mean and one standard deviation suit all features, as for pixels."""
    mean, variance = by_feature
    deviations = np.sqrt(variance[variance > 0])
    if not len(deviations):
        return True
    return bool(np.mean(variance) >= np.var(mean) and np.median(deviations) >= np.max(deviations) / 10)


def _log_variance(x: np.ndarray, scaling: Scaling | None) -> float:
    """Returns the log of the features' mean variance after scaling, the initial value of a learned global variance."""
    is_padded = has_padding(x)
    variance = moments(real_steps(x) if is_padded else x).variance
    if scaling is not None:
        scale = scaling.scale[: len(variance)] if is_padded else scaling.scale  # the same in every step
        variance = variance / np.square(scale)
    mean = float(np.mean(variance))
    return math.log(mean) if mean > 0 else 0.0
