"""The training loop of a population: evaluation, best parameters and early stopping of every member by itself."""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Key, PyTree

from aejax.augmentation import Augmentation
from aejax.autoencoders import Examples
from aejax.training.early_stopping import EarlyStopping, is_exhausted, update
from aejax.training.population import (
    Build,
    Optimizer,
    Population,
    collect,
    lay_out,
    make_train_epoch,
    start_population,
)
from aejax.training.population_evaluate import make_evaluate_population


class Progress(NamedTuple):
    """A population between two epochs; training continued from it gives the same result as without a stop."""

    population: Population
    best_params: PyTree  # of every member at its evaluation with the lowest validation loss, laid out like the others
    stopping: tuple[EarlyStopping, ...]  # of every member
    diverged: tuple[int, ...]  # of every member: the epoch with a loss that is not finite; 0 if there was none
    epoch: int  # the number of epochs so far

    def is_finished(self, *, epochs: int, patience: int | None) -> bool:
        """Returns whether all epochs are over, or every member has exhausted its patience or diverged."""
        return self.epoch >= epochs or all(self.stopped(patience))

    def stopped(self, patience: int | None) -> list[bool]:
        """Returns whether each member has exhausted its patience or diverged: its best parameters stay as they are."""
        return [
            is_exhausted(stopping, patience=patience) or epoch > 0
            for stopping, epoch in zip(self.stopping, self.diverged, strict=True)
        ]


def start_progress(
    build: Build,
    optimizer: Optimizer,
    keys: Key[Array, "M"],
    hyperparameters: PyTree,
    *example: Array,
    devices: Sequence[jax.Device],
) -> Progress:
    """Returns the members before the first step; the arguments are those of `start_population`."""
    population = start_population(build, optimizer, keys, hyperparameters, *example, devices=devices)
    best_params = jax.tree.map(jnp.copy, population.states.params)
    members = population.members
    return Progress(population, best_params, (EarlyStopping(),) * members, (0,) * members, 0)


def train_population(
    build: Build,
    optimizer: Optimizer,
    progress: Progress,
    train_x: Examples,
    validation_x: Examples,
    *,
    batch_size: int,
    epochs: int,
    evaluate_every: int = 1,
    patience: int | None = None,
    min_delta: float = 0.0,
    devices: Sequence[jax.Device],
    augment: Augmentation | None = None,
    accumulation_steps: int = 1,
) -> Iterator[tuple[Progress, dict[str, np.ndarray]]]:
    """Trains all members until `epochs` epochs, or the patience of every one of them, are exhausted.

    A member's best parameters are those that `aejax.training.train` finds with its key and hyperparameters on one
    device, up to rounding error. A member whose patience is exhausted is trained on with the others, but its best
    parameters stay. A member whose loss is not finite has diverged; the others are not affected.

    Args:
      build: the function of `start_population`.
      optimizer: the optimizer of `start_population`.
      progress: returned by `start_progress` or yielded before; the buffers of its states are donated.
      train_x: (N, ...) examples.
      validation_x: (M, ...) examples.
      batch_size: the size of every member's batch.
      epochs: the total number of epochs, including those before `progress`.
      evaluate_every: the number of epochs between evaluations; the last epoch is always evaluated.
      patience: the number of evaluations in a row without improvement after which a member stops; None for no limit.
      min_delta: the decrease of the validation loss that counts as an improvement.
      devices: the devices of the population.
      augment: as for `aejax.training.train`.
      accumulation_steps: as for `aejax.training.train`.

    Yields:
      After every epoch the progress, and the mean of every metric over the epoch, (M,) each.
    """
    train_epoch = make_train_epoch(
        build,
        optimizer,
        batch_size=batch_size,
        devices=devices,
        augment=augment,
        accumulation_steps=accumulation_steps,
    )
    evaluate = make_evaluate_population(build, batch_size=batch_size, devices=devices)
    while not progress.is_finished(epochs=epochs, patience=patience):
        population, metrics = train_epoch(progress.population, train_x)
        epoch = progress.epoch + 1
        progress = _noting_divergence(progress._replace(population=population, epoch=epoch), metrics["loss"])
        if epoch % evaluate_every == 0 or epoch == epochs:
            losses = evaluate(population, population.states.params, validation_x)["loss"]
            progress = _noting_divergence(progress, losses)
            stopped = progress.stopped(patience)
            stopping = tuple(
                before if is_over else update(before, loss=float(loss), epoch=epoch, min_delta=min_delta)
                for before, is_over, loss in zip(progress.stopping, stopped, losses, strict=True)
            )
            improved = np.array([of_member.best_epoch == epoch for of_member in stopping])
            best_params = _where(lay_out(improved, devices), population.states.params, progress.best_params)
            progress = progress._replace(best_params=best_params, stopping=stopping)
        yield progress, metrics


def best_of(progress: Progress) -> PyTree:
    """Returns the best parameters of all members on the host, each leaf (M, ...)."""
    return collect(progress.best_params, progress.population.members)


def _noting_divergence(progress: Progress, losses: np.ndarray) -> Progress:
    """Returns the progress with the members noted whose loss is not finite, unless they had diverged before."""
    diverged = (
        before or (0 if math.isfinite(loss) else progress.epoch)
        for before, loss in zip(progress.diverged, losses.tolist(), strict=True)
    )
    return progress._replace(diverged=tuple(diverged))


@jax.jit
def _where(chosen: Bool[Array, "devices share"], params: PyTree, others: PyTree) -> PyTree:
    """Returns the parameters of the chosen members, and the others' of the rest."""
    return jax.tree.map(
        lambda one, other: jnp.where(chosen.reshape(*chosen.shape, *(1,) * (one.ndim - 2)), one, other), params, others
    )
