"""Predicts test examples from their condition, such as the lower half of images from the upper, beside baselines."""

import math
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree

from aejax.autoencoders import Autoencoder
from aejax.autoencoders.importance_weights import log_importance_weights
from aejax.datasets.dataset import Splits, in_memory
from aejax.errors import ArgumentError
from aejax.evaluation.conditional_baselines import bernoulli_nats, gaussian_nats, neighbor_means
from aejax.evaluation.representation import map_over_examples
from aejax.experiment.at_use import check_given, check_kind, check_no_padding
from aejax.experiment.generate import sample
from aejax.experiment.generated import Generated
from aejax.experiment.given import encode_given, whole
from aejax.experiment.trained import TrainedRun
from aejax.keys import named_key
from aejax.precision import widened

OURS, NEIGHBORS, MEAN = "autoencoder", "nearest neighbors", "mean of the training examples"
_SAMPLES = 64  # codes per example
_BATCH = 100  # examples at a time


class Completed(NamedTuple):
    """Predictions of the test examples from their conditions, and their errors, by method."""

    predictions: dict[str, np.ndarray]  # (N, ...)
    squared_errors: dict[str, float]  # mean over test examples and features, in the square of the data's unit
    nats: dict[str, float]  # log p(x | condition), mean over test examples; of the run, a lower bound
    neighbors: int  # whose mean is the prediction of the nearest neighbors, chosen by validation examples
    nearest: np.ndarray  # (N,) the training example with the nearest condition


def complete(run: TrainedRun, *, samples: int = _SAMPLES, seed: int = 0) -> Completed:
    """Returns predictions of a run's test examples from their conditions alone, beside baselines.

    The run's prediction is the mean of E[x | z, condition] over codes z of the prior. Its density is the importance
    weighted bound with as many samples of the posterior. The baselines' densities have the form of the run's
    likelihood: Gaussian with the variance of their validation errors, or Bernoulli with their predictions as
    probabilities, of which those of k neighbors are smoothed by one more neighbor, the mean of all training examples.

    Args:
      run: a variational run that was trained with a condition, not on a table.
      samples: codes per example.
      seed: of the codes.

    Raises:
      UserError: a run of another kind, or samples below 1.
    """
    check_given(run, what="completing examples")
    check_no_padding(run, what="completing examples")
    check_kind(
        run, run.facts.columns is None, "a run on examples of one unit, not on a table", what="completing examples"
    )
    check_kind(run, run.autoencoder.variational is not None, "a variational run", what="completing examples")
    if samples < 1:
        raise ArgumentError("samples", f"must be at least 1, got {samples}")
    splits = Splits(*map(in_memory, run.splits))
    x = [part.x.reshape(len(part.x), -1) for part in splits]
    assert run.facts.given is not None
    conditions = [encode_given(run.facts.given, np.asarray(part.condition)) for part in splits]
    flat = [condition.reshape(len(condition), -1) for condition in conditions]
    near = neighbor_means(flat[0], x[0], flat[2], (flat[1], x[1]))
    near_validation = neighbor_means(flat[0], x[0], flat[1], (flat[1], x[1])).predictions
    mean = x[0].mean(axis=0, dtype=np.float64)
    keys = jax.random.split(named_key(jax.random.key(seed), "completion"), len(x[2]))
    predicted, bounds = map_over_examples(
        partial(predict, run.autoencoder, samples), run.params, keys, splits.test.x, conditions[2], batch_size=_BATCH
    )
    predictions = {OURS: np.asarray(predicted).reshape(x[2].shape), NEIGHBORS: near.predictions}
    predictions |= {MEAN: np.broadcast_to(mean, x[2].shape)}
    errors = {name: float(np.mean(np.square(p - x[2], dtype=np.float64))) for name, p in predictions.items()}
    nats = {OURS: float(np.mean(np.asarray(bounds), dtype=np.float64))}
    likelihood = run.experiment.model.likelihood
    if likelihood == "bernoulli":
        smoothed = (near.neighbors * near.predictions + mean) / (near.neighbors + 1)
        nats |= {NEIGHBORS: bernoulli_nats(x[2], smoothed), MEAN: bernoulli_nats(x[2], predictions[MEAN])}
    elif likelihood.startswith("gaussian"):
        for name, of_validation in ((NEIGHBORS, near_validation), (MEAN, np.broadcast_to(mean, x[1].shape))):
            variance = float(np.mean(np.square(of_validation - x[1], dtype=np.float64)))
            nats[name] = gaussian_nats(x[2], predictions[name], variance) if variance > 0 else math.nan
    shaped = {name: p.reshape(splits.test.x.shape).astype(np.float32) for name, p in predictions.items()}
    return Completed(shaped, errors, nats, near.neighbors, near.places)


def predict(
    autoencoder: Autoencoder, samples: int, params: PyTree, key: Array, x: Array, condition: Array
) -> tuple[Array, Array]:
    """Returns E[x | condition] over codes of the prior, and the importance weighted bound on log p(x | condition)."""
    assert autoencoder.variational is not None
    prior_key, posterior_key = jax.random.split(key)
    prior, shape = autoencoder.variational.prior(params), jax.eval_shape(autoencoder.encode, params, x, condition).shape
    codes = jax.vmap(lambda key: prior.sample(key, shape))(jax.random.split(prior_key, samples))
    decoded = jax.vmap(lambda code: autoencoder.decode(params, code, condition))(codes)
    weights = widened(log_importance_weights(autoencoder, params, posterior_key, x, x, condition, samples=samples))
    return jnp.mean(decoded, axis=0), jax.nn.logsumexp(weights) - jnp.log(jnp.asarray(samples, weights.dtype))


def draw_completed(run: TrainedRun, completed: Completed, *, rows: int, columns: int, seed: int = 0) -> Generated:
    """Returns the first test examples, a row each: the nearest neighbor, the prediction, and decoded samples.

    Args:
      run: the run.
      completed: its predictions, from `complete`.
      rows: the number of test examples.
      columns: samples per row.
      seed: of the samples' codes.

    Raises:
      UserError: counts outside the ranges of `aejax.experiment.generate`.
    """
    sampled = sample(run, rows=rows, columns=columns, seed=seed)
    count = len(sampled.examples)
    test, train = run.splits.test, run.splits.train
    places = completed.nearest[:count]
    assert test.condition is not None
    assert train.condition is not None
    neighbors = whole(run.facts, train.condition[places], np.asarray(train.x[places]))
    predicted = whole(run.facts, test.condition[:count], completed.predictions[OURS][:count])
    examples = np.concatenate([neighbors[:, None], predicted[:, None], sampled.examples], axis=1)
    title = "test examples (left), the training example with the nearest condition, the mean given the condition, and "
    title += "decoded samples from the prior, not selected"
    return sampled._replace(
        examples=examples, title=title, columns=("nearest", "mean", "samples", *[""] * (columns - 1))
    )
