"""Checks of training: the memory of a step before it begins, and the plausibility of its losses at the end."""

import math
from collections.abc import Mapping
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from aejax import likelihoods
from aejax.autoencoders import Autoencoder, Examples
from aejax.autoencoders.record import as_batch
from aejax.datasets.dataset import Dataset
from aejax.errors import UserError, knob_name
from aejax.experiment.configuration import Experiment, Model, Training, can_standardize, has_counts
from aejax.experiment.facts import Facts
from aejax.experiment.objective import build_likelihood, columns_of, loss_of, statistics_of
from aejax.experiment.scaling import is_far
from aejax.host.memory import check_fits, largest_array
from aejax.likelihoods.table_inputs import encode_targets
from aejax.likelihoods.tables import TableLoss, target_likelihood
from aejax.training.devices import AXIS

_IMPLAUSIBLE = 100.0  # times the loss of predicting the mean, or nats per feature
_CONSTANT_EXAMPLES = 1000  # training examples that the loss of predicting the mean is computed from


def check_result(
    experiment: Experiment, train: Dataset, facts: Facts, means: Mapping[str, Mapping[str, float]]
) -> None:
    """Raise UserError if a trained autoencoder is orders of magnitude worse than predicting the mean.

    Args:
      experiment: the configuration.
      train: the training examples; up to 1,000 are used.
      facts: the facts of the training examples.
      means: split -> term of the loss -> mean over examples.
    """
    model = experiment.model
    if model.autoencoder is not None:
        return  # the loss of predicting the mean is not known
    features = math.prod(facts.shape)
    constant, of_units = _constant_loss(model, train, facts)
    limit = _IMPLAUSIBLE * max(abs(constant), features if model.family == "variational" else 1e-6 * features)
    for name, terms in means.items():
        value = -terms["elbo"] if "elbo" in terms else terms["reconstruction"]
        if math.isfinite(value) and value - of_units > limit:
            unit = " nats" if model.family == "variational" else ""
            raise UserError(
                f"{experiment.data.dataset}: training failed: the loss of {name} examples is {value:.3g}{unit} per "
                f"example, while predicting the mean has a loss of {constant + of_units:.3g}; training examples of "
                f"{features:,} features range from {facts.targets.low:g} to {facts.targets.high:g}; "
                f"{scale_advice(experiment, facts)}"
            )


def scale_advice(experiment: Experiment, facts: Facts) -> str:
    """Returns advice for a run whose loss has diverged."""
    rate = experiment.optimization.learning_rate
    lower = f"use a lower {knob_name('learning_rate')} than {rate:g}"
    if facts.scaling is not None or not is_far(facts):
        return lower
    if can_standardize(experiment.model):
        return f"they are far from unit scale: use {knob_name('standardize auto')}"
    return f"they are far from unit scale: scale them, or {lower}"


def _constant_loss(model: Model, train: Dataset, facts: Facts) -> tuple[float, float]:
    """Returns the mean loss of predicting the mean, for standardized data, and what the data's units add to it.

    For a loss of bounded data it is the loss of the output 0, a probability of 0.5 for every feature.
    """
    places = np.linspace(0, len(train.x) - 1, min(len(train.x), _CONSTANT_EXAMPLES)).astype(np.int64)
    x, of_units = jnp.asarray(train.x[places]), 0.0
    if (statistics := statistics_of(facts, "identity")) is not None:
        x = jax.vmap(statistics.forward)(x)
        if model.family == "variational":
            of_units = float(jnp.mean(jax.vmap(statistics.log_determinant_of)(x)))
    if (columns := columns_of(facts, variance=model.likelihood_variance)) is not None:
        targets = jax.vmap(partial(encode_targets, columns))(x)
        if model.family != "variational":
            loss = TableLoss(columns)
            return float(jnp.mean(jax.vmap(loss, (0, None))(targets, jnp.zeros(loss.output_size)))), 0.0
        likelihood = target_likelihood(columns)
        outputs = likelihoods.constrain(likelihood, jnp.zeros(likelihoods.parameter_shape(likelihood, facts.shape)))
        return float(-jnp.mean(jax.vmap(likelihood.log_prob, (0, None))(targets, outputs))), 0.0
    is_count = has_counts(model)
    if can_standardize(model) and not is_count:
        axes = 0 if facts.lengths is None else (0, 1)
        x = x - jnp.nanmean(x, axis=axes, keepdims=True)
    if model.family != "variational":
        outputs = jnp.zeros(facts.shape, x.dtype)
        of_example = loss_of(model, facts)
        return float(jnp.mean(jax.vmap(lambda x: of_example(x, outputs))(x))), of_units
    likelihood = build_likelihood(model)
    likelihood = likelihood if facts.lengths is None else likelihoods.over_known(likelihood)
    outputs = jnp.zeros(likelihoods.parameter_shape(likelihood, facts.shape), x.dtype)
    if is_count:
        mean = jnp.mean(x, axis=0) if facts.lengths is None else jnp.nanmean(x, axis=(0, 1)) + jnp.zeros(x.shape[1:])
        outputs = jnp.log(jnp.maximum(mean, 1 / len(x)))
    return float(-jnp.mean(jax.vmap(lambda x: likelihood.log_prob(x, outputs))(x))), of_units


def check_memory(
    autoencoder: Autoencoder, params: PyTree, examples: Examples, training: Training, devices: int
) -> None:
    """Raise UserError if an array of a training step would not fit into memory; nothing is computed.

    Args:
      autoencoder: the autoencoder, whose loss is traced.
      params: its parameters.
      examples: the training examples.
      training: the configuration with the batch size.
      devices: the number of devices that a batch is divided among.
    """
    share = max(1, training.batch_size // (devices * training.accumulation_steps))
    batch = jax.tree.map(lambda array: jax.ShapeDtypeStruct((share, *array.shape[1:]), array.dtype), examples)
    key = jax.random.key(0)
    size = largest_array(
        lambda params, key, batch: autoencoder.loss(params, key, as_batch(batch)), params, key, batch, axis=AXIS
    )
    check_fits(
        size,
        f"the largest array of a step on {share:,} examples",
        advice="use a smaller batch_size, fewer importance_samples or contractive_projections, or narrower networks",
    )
