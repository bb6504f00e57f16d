"""Training of a sweep's groups: each is one population, whose progress can be stored and continued."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from aejax.experiment.build import build_augmentation
from aejax.experiment.job import Job
from aejax.experiment.knobs import value_of
from aejax.experiment.loading import example_of
from aejax.studies.sweeps.grouping import Group, constructors_of
from aejax.studies.sweeps.plan import Setting
from aejax.training.checkpoints import Checkpoints
from aejax.training.early_stopping import EarlyStopping
from aejax.training.loop import Snapshot
from aejax.training.population import lay_out, members_of
from aejax.training.population_evaluate import make_evaluate_population
from aejax.training.population_loop import Progress, best_of, start_progress, train_population
from aejax.training.state import TrainState


class Measured(NamedTuple):
    """What is measured of one trained autoencoder besides the terms of its loss."""

    terms: dict[str, float]  # named like those of the loss, such as validation/code/mig, or without a split
    arrays: dict[str, np.ndarray]  # such as curves


Measure = Callable[[PyTree], Measured]  # of the best parameters


class Member(NamedTuple):
    """One trained autoencoder of a sweep."""

    setting: int  # its position among the settings
    seed: int
    best_epoch: int
    diverged: int  # the epoch with a loss that is not finite; 0 if there was none
    terms: dict[str, float]  # means named train/... and so on with the best parameters; none if it diverged
    arrays: Mapping[str, np.ndarray] = MappingProxyType({})  # what is measured besides; none if it diverged


class Trained(NamedTuple):
    """The progress of a group."""

    epoch: int
    loss: float  # mean over the members that have not diverged
    finished: bool
    measured: int = 0  # number of members, after the last epoch


def train_group(
    job: Job,
    group: Group,
    settings: Sequence[Setting],
    *,
    seeds: int,
    devices: Sequence[jax.Device],
    checkpoints: Path | None = None,
    on_progress: Callable[[Trained], None] | None = None,
    measure: Measure | None = None,
) -> list[Member]:
    """Trains all members of a group at once, and returns them with what their best parameters reach.

    Args:
      job: the job of the group's first setting.
      group: the settings that are trained.
      settings: all settings of the sweep.
      seeds: the number of seeds of every setting.
      devices: the devices among which the members are divided; each holds all examples.
      checkpoints: the folder of checkpoints, from which a stopped group is continued; None writes none.
      on_progress: a function that is called after every epoch, and whenever a member was measured.
      measure: what is measured of every member besides the terms of its loss; None for nothing.
    """
    first, training = job.experiment.training.seed, job.experiment.training
    places = [(position, first + seed) for position in group.settings for seed in range(seeds)]
    keys = jax.vmap(jax.random.key)(np.array([seed for _, seed in places], np.uint32))
    values = {
        knob: jnp.array([value_of(settings[p].experiment, knob) for p, _ in places], jnp.float32)
        for knob in group.traced
    }
    build, optimizer = constructors_of(job, group.traced)
    example = example_of(job.experiment.model, job.facts)
    progress = start_progress(build, optimizer, keys, values, *example, devices=devices)
    report = on_progress or (lambda trained: None)
    mean = math.nan
    kept = None if checkpoints is None else Checkpoints(checkpoints)
    try:
        if kept is not None and kept.has_begun:
            progress = _restored(kept, progress, devices)
        for now, metrics in train_population(
            build,
            optimizer,
            progress,
            job.examples("train"),
            job.examples("validation"),
            batch_size=training.batch_size,
            epochs=training.epochs,
            evaluate_every=training.evaluate_every,
            patience=training.patience,
            min_delta=training.min_delta,
            devices=devices,
            augment=build_augmentation(job.experiment.data),
            accumulation_steps=training.accumulation_steps,
        ):
            progress = now
            finished = progress.is_finished(epochs=training.epochs, patience=training.patience)
            if kept is not None and (finished or progress.epoch % training.checkpoint_every == 0):
                _save(kept, progress)
            losses = metrics["loss"][np.array(progress.diverged) == 0]
            mean = float(np.mean(losses, dtype=np.float64)) if losses.size else math.nan
            report(Trained(progress.epoch, mean, finished))
    finally:
        if kept is not None:
            kept.close()
    evaluate = make_evaluate_population(build, batch_size=training.batch_size, devices=devices)
    means = {
        f"{name}/{term}": values
        for name, of_split in job.evaluated_examples().items()
        for term, values in evaluate(progress.population, progress.best_params, of_split).items()
    }
    best = best_of(progress) if measure is not None else None
    members = []
    for m, ((position, seed), stopping, diverged) in enumerate(
        zip(places, progress.stopping, progress.diverged, strict=True)
    ):
        terms = {} if diverged else {term: float(of_members[m]) for term, of_members in means.items()}
        others = Measured({}, {})
        if measure is not None and not diverged:
            others = measure(jax.tree.map(lambda leaf, m=m: leaf[m], best))
        members.append(Member(position, seed, stopping.best_epoch, diverged, {**terms, **others.terms}, others.arrays))
        if measure is not None:
            report(Trained(progress.epoch, mean, finished=True, measured=len(members)))
    return members


def _save(checkpoints: Checkpoints, progress: Progress) -> None:
    """Writes the progress of a group as a checkpoint."""
    record = {"epoch": progress.epoch, "stopping": progress.stopping, "diverged": progress.diverged}
    checkpoints.save(_snapshot_of(progress), json.dumps(record))


def _restored(checkpoints: Checkpoints, progress: Progress, devices: Sequence[jax.Device]) -> Progress:
    """Returns the progress in the newest complete checkpoint, for any number of devices.

    Args:
      checkpoints: those of the group.
      progress: the group's progress before the first step.
      devices: the devices of the population.
    """
    snapshot = checkpoints.restore(_snapshot_of(progress))
    record: dict[str, Any] = json.loads(checkpoints.experiment()[0])
    members = progress.population.members
    states = snapshot.state._replace(step=jnp.full(members, snapshot.state.step, jnp.int32))
    return Progress(
        progress.population._replace(states=lay_out(states, devices)),
        lay_out(snapshot.best_params, devices),
        tuple(EarlyStopping(*stopping) for stopping in record["stopping"]),
        tuple(record["diverged"]),
        record["epoch"],
    )


def _snapshot_of(progress: Progress) -> Snapshot:
    """Returns the members as the snapshot of one run whose arrays have a leading axis of members."""
    states: PyTree = members_of(progress.population)
    key = jax.random.wrap_key_data(states.key)
    # all members have taken the same number of steps, by which a checkpoint is named
    state = TrainState(states.params, states.opt_state, jnp.asarray(states.step[0]), key)
    return Snapshot(state, best_of(progress), EarlyStopping(), {}, 0)
