"""Builds the loss or the likelihood of an experiment, and the standardization of its data."""

import math
from typing import Literal

import jax.numpy as jnp
import numpy as np

from aejax import likelihoods, losses
from aejax.experiment.configuration import Model
from aejax.experiment.facts import Facts
from aejax.likelihoods import Likelihood, constrain
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


def build_likelihood(model: Model) -> Likelihood:
    """Returns the likelihood that a configuration names."""
    if model.likelihood == "gaussian":
        return likelihoods.gaussian(variance=model.likelihood_variance)
    if model.likelihood == "laplace":
        return likelihoods.laplace(scale=math.sqrt(model.likelihood_variance / 2))
    if model.likelihood == "gaussian_with_global_variance":  # the decoder outputs the variance, which it learns
        return likelihoods.gaussian_with_predicted_variance()
    return getattr(likelihoods, model.likelihood)()
