"""Training of a study: the members of each method, a grid of strengths and seeds, are one population."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import PyTree

from aejax.autoencoders import Autoencoder, tied
from aejax.datasets.dataset import Dataset, Splits
from aejax.errors import UserError
from aejax.experiment.configuration import Data
from aejax.experiment.loading import load_splits
from aejax.experiment.optimizers import count_steps
from aejax.likelihoods import bernoulli, check_support
from aejax.studies.jacobian.methods import METHODS
from aejax.studies.jacobian.settings import MethodName, Study
from aejax.training import NonFiniteLossError
from aejax.training.population import make_train_epoch, members_of, start_population

VALIDATION_FRACTION = 1 / 6  # 10,000 of MNIST's 60,000 training examples, as in the paper's time


class Trained(NamedTuple):
    """Progress of training a method; the parameters are present after the last epoch only."""

    epoch: int
    loss: float  # mean over the members
    params: PyTree | None  # of all M members, each leaf (M, ...), in the order of `grid`


def load(study: Study) -> Splits:
    """Returns the study's data.

    Raises:
      UserError: the data have no labels or values outside [0, 1], or do not fit the study's settings.
    """
    data = Data(dataset=study.dataset, data_dir=study.data_dir, validation_fraction=VALIDATION_FRACTION)
    splits = load_splits(data)
    if any(part.labels is None for part in splits):
        raise UserError(f"{study.dataset} has no labels, but the study requires them to classify codes")
    for part in splits:
        check_support(bernoulli(), part.x, study.dataset, advice="scale them to [0, 1]")
    train, count = splits.train, study.train_examples or len(splits.train.x)
    if count > len(train.x):
        raise UserError(f"train_examples: must be at most {len(train.x)}, the number of training examples, got {count}")
    if study.batch_size > count:
        raise UserError(f"batch_size: must be at most the {count} training examples, got {study.batch_size}")
    count_steps(study.epochs, study.batch_size, count)
    assert train.labels is not None
    labels = train.labels[:count]
    if (labels == labels[0]).all():
        raise UserError(f"train_examples: the first {count} have one class, expected at least two; use more examples")
    return splits._replace(train=Dataset(train.x[:count], labels))


def plain_autoencoder(study: Study, splits: Splits) -> Autoencoder:
    """Returns the autoencoder that every method regularizes: one sigmoid layer, tied weights, cross-entropy."""
    return tied(splits.train.x.shape[1:], (study.units,))


def grid(study: Study, method: MethodName) -> list[tuple[float, int]]:
    """Returns the strength and seed of every member of a method, in order.

    >>> grid(Study(weight_decays=(0.1, 0.2), seeds=2), "weight-decay")
    [(0.1, 0), (0.1, 1), (0.2, 0), (0.2, 1)]
    """
    return [(strength, seed) for strength in study.strengths(method) for seed in range(study.seeds)]


def train_method(study: Study, method: MethodName, splits: Splits, devices: Sequence[jax.Device]) -> Iterator[Trained]:
    """Trains all members of a method at once and yields the progress after every epoch.

    Members with the same seed have the same initial parameters and the same order of examples, for any strength.

    Args:
      study: the configuration of the study.
      method: the method to train.
      splits: the study's data, from `load`.
      devices: the devices among which the members are divided.

    Raises:
      NonFiniteLossError: a member's loss is NaN or infinite.
    """
    plain = plain_autoencoder(study, splits)
    members = grid(study, method)
    steps = count_steps(study.epochs, study.batch_size, len(splits.train.x))
    optimizer = optax.adam(optax.cosine_decay_schedule(study.learning_rate, steps))
    build = partial(METHODS[method].build, plain)
    keys = jax.vmap(jax.random.key)(np.array([seed for _, seed in members], np.uint32))
    x = jnp.asarray(splits.train.x)
    strengths = jnp.array([strength for strength, _ in members], x.dtype)
    population = start_population(build, optimizer, keys, strengths, x[0], devices=devices)
    train_epoch = make_train_epoch(build, optimizer, batch_size=study.batch_size, devices=devices)
    for epoch in range(1, study.epochs + 1):
        population, metrics = train_epoch(population, x)
        finite = np.isfinite(metrics["loss"])
        if not finite.all():
            strength, seed = members[int(np.argmin(finite))]
            raise NonFiniteLossError(
                f"{method} with strength {strength:g} and seed {seed} has a loss that is not finite in epoch {epoch}; "
                "try a lower learning rate"
            )
        params = members_of(population).params if epoch == study.epochs else None
        yield Trained(epoch, float(np.mean(metrics["loss"], dtype=np.float64)), params)
