"""What a training may cost and what it must reach: refused before it begins, or reported as failed at its end."""

import math
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from aejax import likelihoods
from aejax.autoencoders import Autoencoder, Examples
from aejax.autoencoders.record import as_batch
from aejax.datasets.dataset import Dataset
from aejax.errors import UserError
from aejax.experiment.configuration import (
    Experiment,
    Model,
    Training,
    can_standardize,
    has_counts,
)
from aejax.experiment.facts import (
    Facts,
)
from aejax.experiment.objective import LOSSES, build_likelihood, statistics_of
from aejax.experiment.scaling import is_far
from aejax.host.memory import check_fits, largest_array
from aejax.training.devices import AXIS

_ABSURD = 100.0  # times the loss of predicting the mean, or so many nats per feature


_CONSTANT_EXAMPLES = 1000


def check_result(
    experiment: Experiment, train: Dataset, facts: Facts, means: Mapping[str, Mapping[str, float]]
) -> None:
    """Raise UserError where a trained autoencoder is worse than predicting the mean by orders of magnitude.

    Args:
      experiment: which was trained.
      train: the training examples, of which a thousand are looked at.
      facts: of the run.
      means: the terms of the loss of each split, by its name.
    """
    model = experiment.model
    if model.autoencoder is not None:
        return  # what its loss is for the mean is not known
    features = math.prod(facts.shape)
    constant, of_units = _constant_loss(model, train, facts)
    limit = _ABSURD * max(abs(constant), features if model.family == "variational" else 1e-6 * features)
    for name, terms in means.items():
        value = -terms["elbo"] if "elbo" in terms else terms["reconstruction"]
        if math.isfinite(value) and value - of_units > limit:
            unit = " nats" if model.family == "variational" else ""
            raise UserError(
                f"{experiment.data.dataset}: training failed: the loss of {name} examples is {value:.3g}{unit} per "
                f"example, where predicting their mean has {constant + of_units:.3g}; training examples of "
                f"{features:,} features range from {facts.targets.low:g} to {facts.targets.high:g}; "
                f"{scale_advice(experiment, facts)}"
            )


def scale_advice(experiment: Experiment, facts: Facts) -> str:
    """What may help a run whose loss has grown out of bounds."""
    rate = experiment.optimization.learning_rate
    lower = f"take a lower --learning-rate than {rate:g}"
    if facts.scaling is not None or not is_far(facts):
        return lower
    if can_standardize(experiment.model):
        return "they are far from unit scale: take --standardize auto"
    return f"they are far from unit scale: scale them, or {lower}"


def _constant_loss(model: Model, train: Dataset, facts: Facts) -> tuple[float, float]:
    """The mean loss of predicting the mean, in standardized units, and what the units of the data add to it.

    A bounded loss is that of the output 0: of bits that are all uncertain.
    """
    places = np.linspace(0, len(train.x) - 1, min(len(train.x), _CONSTANT_EXAMPLES)).astype(np.int64)
    x, of_units = jnp.asarray(train.x[places]), 0.0
    if (statistics := statistics_of(facts, "identity")) is not None:
        x = jax.vmap(statistics.forward)(x)
        if model.family == "variational":
            of_units = statistics.log_determinant(facts.shape)
    is_count = has_counts(model)
    if can_standardize(model) and not is_count:
        x = x - jnp.mean(x, axis=0, keepdims=True)
    if model.family != "variational":
        outputs = jnp.zeros(facts.shape, x.dtype)
        return float(jnp.mean(jax.vmap(lambda x: LOSSES[model.loss](x, outputs))(x))), of_units
    likelihood = build_likelihood(model)
    outputs = jnp.zeros(likelihoods.parameter_shape(likelihood, facts.shape), x.dtype)
    if is_count:
        outputs = jnp.log(jnp.maximum(jnp.mean(x, axis=0), 1 / len(x)))
    return float(-jnp.mean(jax.vmap(lambda x: likelihood.log_prob(x, outputs))(x))), of_units


def check_memory(
    autoencoder: Autoencoder, params: PyTree, examples: Examples, training: Training, devices: int
) -> None:
    """Raise UserError where an array of a training step would take more memory than there is; nothing is computed.

    Args:
      autoencoder: whose loss is looked at.
      params: its parameters.
      examples: to train on.
      training: for the size of a batch.
      devices: among which a batch is divided.
    """
    share = max(1, training.batch_size // (devices * training.accumulation_steps))
    batch = jax.tree.map(lambda array: jax.ShapeDtypeStruct((share, *array.shape[1:]), array.dtype), examples)
    key = jax.random.key(0)
    size = largest_array(
        lambda params, key, batch: autoencoder.loss(params, key, as_batch(batch)), params, key, batch, axis=AXIS
    )
    check_fits(
        size,
        f"the largest numbers of a step on {share:,} examples",
        advice="use a smaller batch_size, fewer importance_samples or contractive_projections, or narrower networks",
    )
