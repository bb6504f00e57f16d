"""Builds the loss or the likelihood of an experiment, and the standardization of its data."""

import math
from collections.abc import Sequence
from typing import Literal

import jax.numpy as jnp
import numpy as np

from aejax import likelihoods, losses
from aejax.datasets.tables.columns import TableColumn, model_columns
from aejax.experiment.configuration import Model
from aejax.experiment.facts import Facts
from aejax.likelihoods import Likelihood, constrain
from aejax.likelihoods.columns import Binary, Categorical, Column, Continuous, Count, LogNormal, Ordinal
from aejax.standardization import Standardization, standardization

LOSSES = {
    loss.__name__: loss
    for loss in (
        losses.squared_error,
        losses.absolute_error,
        losses.huber,
        losses.binary_cross_entropy,
        losses.structural_dissimilarity,
    )
}


def loss_of(model: Model, facts: Facts) -> losses.ReconstructionLoss:
    """Returns the loss that a configuration names; of sequences that are padded, it is that of their real steps."""
    loss = LOSSES[model.loss]
    return loss if facts.lengths is None else losses.OverKnown(loss)


def as_likelihood_columns(columns: Sequence[TableColumn], *, any_missing: bool = False) -> tuple[Column, ...]:
    """Returns the likelihoods' declarations of a table's columns; those that are left out of the rows are left out.

    Args:
      columns: the columns, with statistics of the training rows.
      any_missing: whether every column has an input that says whether its value is known, as for values that are
        removed at random.

    >>> as_likelihood_columns([TableColumn("id", "identifier"), TableColumn("fuel", "binary", classes=("gas", "oil"))])
    (Binary(name='fuel', may_be_missing=False),)
    """
    result: list[Column] = []
    for column in model_columns(columns):
        missing = column.may_be_missing or any_missing
        mean, deviation = column.mean or 0.0, column.standard_deviation or 1.0
        if column.kind in ("continuous", "log_normal"):
            make = Continuous if column.kind == "continuous" else LogNormal
            result.append(make(column.name, mean, deviation, may_be_missing=missing))
        elif column.kind == "count":
            result.append(Count(column.name, mean, deviation, missing))
        elif column.kind == "binary":
            result.append(Binary(column.name, missing))
        elif column.kind in ("categorical", "ordinal"):
            assert column.classes is not None
            of_classes = Categorical if column.kind == "categorical" else Ordinal
            result.append(of_classes(column.name, len(column.classes), missing))
        else:
            raise ValueError(
                f"column {column.name}: a {column.kind} has no likelihood; it must be expanded to its parts"
            )
    return tuple(result)


def columns_of(facts: Facts, *, corruption: str = "none", variance: float | None = None) -> tuple[Column, ...] | None:
    """Returns the likelihoods' declarations of the columns in a run's facts; None if the data are no table.

    Args:
      facts: the facts of the training examples.
      corruption: the configured corruption; masking removes values of every column.
      variance: the likelihood's variance of standardized numbers; None if it is predicted. The encoder's inputs do not
        depend on it.
    """
    if facts.columns is None:
        return None
    columns = as_likelihood_columns(facts.columns, any_missing=corruption == "masking")
    return tuple(c._replace(variance=variance) if isinstance(c, Continuous | LogNormal) else c for c in columns)


def statistics_of(facts: Facts, transform: Literal["identity", "log1p"]) -> Standardization | None:
    """Returns the standardization that follows the given transform; None if the run's data are not scaled so."""
    if facts.scaling is None or facts.scaling.transform != transform:
        return None
    shift, scale = (
        np.reshape(numbers, () if len(numbers) == 1 else facts.shape)
        for numbers in (facts.scaling.shift, facts.scaling.scale)
    )
    return standardization(mean=shift, standard_deviation=scale)


def starting_at_rate(likelihood: Likelihood, facts: Facts) -> Likelihood:
    """Returns the likelihood of counts, changed so that a decoder's output of 0 means the training examples' mean rate.

    Args:
      likelihood: any likelihood; it is returned unchanged if the facts hold no rates.
      facts: the facts of the training examples.
    """
    if facts.scaling is None or facts.scaling.log_rate is None:
        return likelihood
    rates = facts.scaling.log_rate
    log_rate = np.reshape(rates, () if len(rates) == 1 else facts.shape)
    return likelihood._replace(
        constrain=lambda output: constrain(likelihood, output) + jnp.asarray(log_rate, output.dtype)
    )


def starting_at_moments(likelihood: Likelihood, facts: Facts) -> Likelihood:
    """Returns the likelihood of levels, changed so that a decoder's output of 0 has the training examples' moments.

    Without it, the first hundreds of steps only find the mean and the scale of all values.

    Args:
      likelihood: any likelihood; only one of levels, with a location and a log-scale of a logistic variable, is
        changed.
      facts: the facts of the training examples.
    """
    if likelihood.support.levels is None:
        return likelihood
    deviation = max(facts.targets.standard_deviation, 1e-3)  # of a logistic variable of scale s it is s π / √3
    moments = np.array([facts.targets.mean, math.log(deviation * math.sqrt(3) / math.pi)])
    return likelihood._replace(
        constrain=lambda output: (
            constrain(likelihood, output) + jnp.asarray(moments.reshape((1,) * (output.ndim - 1) + (2,)), output.dtype)
        )
    )


def build_likelihood(model: Model) -> Likelihood:
    """Returns the likelihood that a configuration names."""
    if model.likelihood == "gaussian":
        return likelihoods.gaussian(variance=model.likelihood_variance)
    if model.likelihood == "laplace":
        return likelihoods.laplace(scale=math.sqrt(model.likelihood_variance / 2))
    if model.likelihood == "gaussian_with_global_variance":  # the decoder outputs the variance, which it learns
        return likelihoods.gaussian_with_predicted_variance()
    return getattr(likelihoods, model.likelihood)()
