"""Going on from a run: a new run that begins with the last parameters of another one, which stays as it is."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, PyTree
from pydantic import ConfigDict, NonNegativeInt, TypeAdapter, ValidationError

from aejax.datasets.dataset import Splits
from aejax.errors import ArgumentError, UserError, knob_name
from aejax.experiment.configuration import Experiment, differences
from aejax.experiment.data_of_run import at_place, load_data_of_run
from aejax.experiment.facts import Facts
from aejax.experiment.job import Job, make_job
from aejax.experiment.loading import locate
from aejax.experiment.own_autoencoder import with_own_copy
from aejax.experiment.run_folder import PLACES, STARTED_FROM, list_changes, read_experiment
from aejax.experiment.scaling import make_facts
from aejax.host.files import read_bytes
from aejax.host.schema import first_error
from aejax.training.checkpoints import Checkpoints
from aejax.training.early_stopping import EarlyStopping
from aejax.training.loop import Snapshot


@dataclass(frozen=True)
class Origin:
    """Where a run started from."""

    __pydantic_config__ = ConfigDict(strict=True, extra="forbid")

    run: str
    """The folder of the run whose last parameters were the first ones."""
    epoch: NonNegativeInt
    """The epochs that the parameters had been trained for."""
    step: NonNegativeInt
    """The steps of the new run that these epochs count as."""


class Continuation(NamedTuple):
    """A new run that goes on from another one."""

    job: Job
    snapshot: Snapshot  # before the first step of the new run
    origin: Origin


def read_origin(path: Path) -> Origin | None:
    """Returns where the run in a folder started from; None for a run that began with random parameters.

    Raises:
      UserError: the file was changed or damaged.
    """
    file = path / STARTED_FROM
    if not file.exists():
        return None
    try:
        return TypeAdapter(Origin).validate_json(read_bytes(file, limit=2**20))
    except ValidationError as error:
        raise UserError(f"{file}: {first_error(error)}") from error


def goes_on(saved: Experiment, given: Experiment) -> bool:
    """Returns whether an experiment differs from a run's in more than the place of the data: it needs a new run."""
    saved, given = (replace(each, data=locate(each.data)) for each in (saved, given))
    return bool(set(differences(saved, given)) - PLACES)


def go_on(
    folder: Path,
    experiment: Experiment,
    *,
    data: str | Path | None = None,
    trust_code: bool = False,
    devices: int = 1,
    stored: bool | None = None,
) -> Continuation:
    """Returns the job and the first snapshot of a new run that goes on from the end of another one.

    The new run begins with the last parameters, not with the best ones, with the moments of the optimizer and with the
    number of epochs so far: with the same knobs but more epochs, and a constant learning rate, it is the run that would
    have had that many epochs from the beginning. A schedule is that of the new run, from the same epoch on. Early
    stopping and the search for the best parameters start anew.

    Args:
      folder: the folder of the old run, which is only read.
      experiment: the experiment of the new run; `training.epochs` counts the old run's epochs too.
      data: the new place of the data, if they have moved, as for `at_place`.
      trust_code: whether the Python file in the folder of a run with the user's own autoencoder may run.
      devices: the number of devices, which must divide the batch size.
      stored: as for `load_splits`.

    Raises:
      UserError: the folder is not a run folder, or holds no complete checkpoint; the data, or the shapes of the
        parameters, differ; or the old run has had as many epochs already.
    """
    saved = read_experiment(folder)
    if not (folder / "checkpoints").is_dir():
        raise UserError(f"{folder}: holds no parameters: the folder checkpoints is missing")
    experiment = replace(experiment, data=at_place(locate(experiment.data), data))
    changes = differences(saved, experiment)
    splits, facts = _data_of(folder, saved, experiment, stored)
    old = make_job(with_own_copy(saved, folder, trust_code=trust_code), splits, facts=facts, devices=1)
    last = _restored(folder, old)
    if experiment.model.autoencoder == saved.model.autoencoder:
        experiment = with_own_copy(experiment, folder, trust_code=trust_code)
    if (experiment.model, experiment.regularization) != (old.experiment.model, saved.regularization):
        facts = make_facts(experiment, splits.train)
    new = make_job(experiment, splits, facts=facts, devices=devices)
    fresh = new.start()
    if _shapes(last.state.params) != _shapes(fresh.state.params):
        raise UserError(f"{folder}: a run that goes on keeps the shapes of its parameters, and {list_changes(changes)}")
    step = int(last.state.step)
    epoch = step // old.steps_per_epoch
    if old.steps_per_epoch != new.steps_per_epoch:
        step = epoch * new.steps_per_epoch
    if new.experiment.training.epochs <= epoch:
        raise ArgumentError(
            "epochs",
            f"{folder} has had {epoch} epochs, which count: give a larger number, got {experiment.training.epochs}",
        )
    opt_state = _continued(fresh.state.opt_state, last.state.opt_state, step)
    state = fresh.state._replace(params=last.state.params, opt_state=opt_state, step=_count(step))
    snapshot = Snapshot(state, jax.tree.map(jnp.copy, state.params), EarlyStopping(), {}, 0)
    return Continuation(new, snapshot, Origin(str(folder.resolve()), epoch, step))


def as_json(origin: Origin) -> str:
    """Returns where a run started from as a JSON document."""
    return json.dumps(origin.__dict__, indent=2) + "\n"


def _data_of(folder: Path, saved: Experiment, experiment: Experiment, stored: bool | None) -> tuple[Splits, Facts]:
    """Returns the old run's splits, read as the new experiment says, and the old run's facts."""
    try:
        return load_data_of_run(folder, replace(saved, data=experiment.data), stored=stored)
    except UserError as error:
        changed = {k: v for k, v in differences(saved, experiment).items() if hasattr(experiment.data, k)}
        if not changed:
            raise
        kept = f"{folder}: a run that goes on keeps its data, and {list_changes(changed)}"
        moved = f"; if the same data are now in another place, give it by {knob_name('data')}"
        raise UserError(kept + (moved if set(changed) <= PLACES else "")) from error


def _restored(folder: Path, job: Job) -> Snapshot:
    """Returns the last snapshot of a run."""
    checkpoints = Checkpoints(folder / "checkpoints", read_only=True)
    try:
        return checkpoints.restore(job.start())
    finally:
        checkpoints.close()


def _continued(fresh: optax.OptState, last: optax.OptState, step: int) -> optax.OptState:
    """Returns the state of a new optimizer with the moments of the old one, at a step.

    Whatever the schedule, the clipping and the weight decay, both are Adam.
    """
    counting = (optax.ScaleByAdamState, optax.ScaleByScheduleState)

    def is_counting(state: Any) -> bool:
        return isinstance(state, counting)

    adam = next(s for s in jax.tree.leaves(last, is_leaf=is_counting) if isinstance(s, optax.ScaleByAdamState))

    def continued(state: Any) -> Any:
        if isinstance(state, optax.ScaleByAdamState):
            return state._replace(count=_count(step), mu=adam.mu, nu=adam.nu)
        return state._replace(count=_count(step)) if is_counting(state) else state

    return jax.tree.map(continued, fresh, is_leaf=is_counting)


def _count(step: int) -> Array:
    """Returns a number of steps in a buffer of its own, since the state's buffers are donated."""
    return jnp.full((), step, jnp.int32)


def _shapes(params: PyTree) -> PyTree:
    return jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), params)
