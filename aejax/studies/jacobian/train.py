"""Training every member of a study: one population a method, the grid of strengths and seeds its members."""

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

VALIDATION_FRACTION = 1 / 6  # 10,000 of MNIST's 60,000 training examples, as usual then


class Trained(NamedTuple):
    """How far a method has come; the parameters come with the last epoch."""

    epoch: int
    loss: float  # mean over the members
    params: PyTree | None  # of all members, each leaf (M, ...), strength by strength and in each seed by seed


def load(study: Study) -> Splits:
    """The study's data, with labels and in [0, 1]; UserError where they are not."""
    data = Data(dataset=study.dataset, data_dir=study.data_dir, validation_fraction=VALIDATION_FRACTION)
    splits = load_splits(data)
    if any(part.labels is None for part in splits):
        raise UserError(f"{study.dataset} has no labels, and the study classifies codes")
    for part in splits:
        check_support(bernoulli(), part.x, study.dataset, advice="scale them")
    train, wanted = splits.train, study.train_examples or len(splits.train.x)
    if wanted > len(train.x):
        raise UserError(f"train_examples: there are {len(train.x)}, got {wanted}")
    if study.batch_size > wanted:
        raise UserError(f"batch_size: must be at most the {wanted} training examples, got {study.batch_size}")
    count_steps(study.epochs, study.batch_size, wanted)
    assert train.labels is not None
    labels = train.labels[:wanted]
    if (labels == labels[0]).all():
        raise UserError(f"train_examples: the first {wanted} are of one class, and the study tells classes; take more")
    return splits._replace(train=Dataset(train.x[:wanted], labels))


def plain_autoencoder(study: Study, splits: Splits) -> Autoencoder:
    """One sigmoid layer, tied weights, cross-entropy: what every method of the study regularizes."""
    return tied(splits.train.x.shape[1:], (study.units,))


def grid(study: Study, method: MethodName) -> list[tuple[float, int]]:
    """Strength and seed of every member of a method, in order.

    >>> grid(Study(weight_decays=(0.1, 0.2), seeds=2), "weight-decay")
    [(0.1, 0), (0.1, 1), (0.2, 0), (0.2, 1)]
    """
    return [(strength, seed) for strength in study.strengths(method) for seed in range(study.seeds)]


def train_method(study: Study, method: MethodName, splits: Splits, devices: Sequence[jax.Device]) -> Iterator[Trained]:
    """Train all members of a method at once, and report after every epoch.

    Members of one seed start alike and meet the same order of examples, whatever their strength.

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
                "a lower learning rate may help"
            )
        params = members_of(population).params if epoch == study.epochs else None
        yield Trained(epoch, float(np.mean(metrics["loss"], dtype=np.float64)), params)
