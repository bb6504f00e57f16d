"""A sweep from its plan to the best setting; its folder holds what a stopped sweep continues from."""

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import jax
from filelock import FileLock, Timeout
from matplotlib.figure import Figure

from aejax.autoencoders import Term, as_batch
from aejax.autoencoders.learned_state import split_statistics
from aejax.datasets.dataset import Splits, fingerprint
from aejax.errors import UserError
from aejax.experiment.configuration import Experiment
from aejax.experiment.job import Job, make_job
from aejax.experiment.loading import bytes_of, load_splits, locate
from aejax.experiment.report import term_of
from aejax.host.files import read_bytes, write_text
from aejax.host.schema import parse_json
from aejax.studies.sweeps.figures import terms_against
from aejax.studies.sweeps.grouping import Group, can_be_traced, make_groups
from aejax.studies.sweeps.members import Member, Trained, train_group
from aejax.studies.sweeps.plan import Plan, Setting, make_plan, plan_from_json, settings_of, to_json
from aejax.studies.sweeps.table import Summary, choose, measure_of, summarize
from aejax.training.devices import AXIS

PLAN, DATA = "sweep.json", "data.sha256"
_MAX_BYTES = 2**28


class Sweep(NamedTuple):
    """A sweep that is ready to be trained; `prepare` returns it."""

    plan: Plan
    settings: list[Setting]
    groups: list[Group]  # settings that are trained at once
    jobs: list[Job]  # of every group
    measure: str  # the term that decides which setting is the best


class Outcome(NamedTuple):
    """What a sweep found."""

    members: list[Member]
    summaries: list[Summary]  # of every setting
    best: Summary  # the setting with the best mean of the measure on validation examples
    measure: str


class Step(NamedTuple):
    """The progress of a sweep."""

    group: int  # from 0
    groups: int
    members: int  # of the group
    epochs: int  # of the group at most
    trained: Trained


def sweep(
    experiment: Experiment,
    values: Mapping[str, Sequence[Any]],
    *,
    seeds: int = 3,
    choose_by: str | None = None,
    devices: Sequence[jax.Device] | None = None,
) -> Outcome:
    """Trains an experiment with all combinations of the values of some knobs, each with several seeds.

    Settings that differ only in real numbers, such as weights and the learning rate, are trained at once by one
    compiled step; their members are divided among the devices. A member learns what `aejax.experiment.train_run` learns
    with its knobs and seed on one device, up to rounding error.

    Args:
      experiment: the other knobs, and the first seed.
      values: knob -> its values.
      seeds: the number of seeds of every setting.
      choose_by: the term of the validation loss that decides which setting is the best; None as for `measure_of`.
      devices: the devices among which members are divided; the first one by default.

    Raises:
      UserError: values that knobs cannot have or that cannot be combined, or data that do not suit them.

    >>> from aejax.experiment.configuration import Model, Training
    >>> small = Experiment(model=Model(family="undercomplete", hidden=(), code_size=2), training=Training(epochs=1))
    >>> outcome = sweep(small, {"learning_rate": [1e-4, 1e-2]}, seeds=2)
    >>> outcome.measure, outcome.best.setting.knobs
    ('reconstruction', {'learning_rate': 0.01})
    """
    return run(prepare(make_plan(experiment, values, seeds=seeds, choose_by=choose_by)), devices=devices)


def prepare(plan: Plan) -> Sweep:
    """Returns a sweep after all checks that are possible before training.

    Raises:
      UserError: data that cannot be loaded or do not suit a setting, or validation examples that differ between
        settings.
    """
    plan = replace(plan, experiment=replace(plan.experiment, data=locate(plan.experiment.data)))
    settings = settings_of(plan)
    splits: dict[Any, Splits] = {}
    jobs: dict[int, Job] = {}

    def job_of(position: int) -> Job:
        if position not in jobs:
            experiment = settings[position].experiment
            source = (experiment.data, bytes_of(experiment))
            if source not in splits:
                splits[source] = load_splits(experiment.data, bytes_as=source[1])
            jobs[position] = make_job(experiment, splits[source])
        return jobs[position]

    def can_trace(setting: Setting, knob: str) -> bool:
        return can_be_traced(job_of(settings.index(setting)), knob)

    groups = make_groups(settings, can_trace)
    of_groups = [job_of(group.settings[0]) for group in groups]
    validations = {fingerprint(Splits(*(job.splits.validation,) * 3)) for job in of_groups}
    if len(validations) > 1:
        knobs = " and ".join(knob for knob in plan.values if hasattr(plan.experiment.data, knob)) or "the knobs"
        raise UserError(f"{knobs}: the values change the validation examples, by which settings are compared")
    measure = measure_of([_terms_of(job) for job in of_groups], plan.choose_by)
    return Sweep(plan, settings, groups, of_groups, measure)


def run(
    ready: Sweep,
    *,
    folder: Path | None = None,
    devices: Sequence[jax.Device] | None = None,
    on_step: Callable[[Step], None] | None = None,
) -> Outcome:
    """Trains all groups of a sweep, one after the other, and returns what it found.

    Args:
      ready: the sweep, from `prepare`.
      folder: the sweep's folder, from `create` or `open_sweep`, where progress is stored and from which a stopped sweep
        continues; None stores nothing.
      devices: the devices among which members are divided; the first one by default.
      on_step: a function that is called after every epoch.
    """
    devices = list(devices or jax.devices()[:1])
    members: list[Member] = []
    for number, (group, job) in enumerate(zip(ready.groups, ready.jobs, strict=True)):
        done = None if folder is None else folder / "groups" / f"{number}.json"
        if done is not None and done.exists():
            members += _read_members(done)
            continue

        def on_progress(trained: Trained, number: int = number, group: Group = group, job: Job = job) -> None:
            if on_step is not None:
                size = len(group.settings) * ready.plan.seeds
                on_step(Step(number, len(ready.groups), size, job.experiment.training.epochs, trained))

        found = train_group(
            job,
            group,
            ready.settings,
            seeds=ready.plan.seeds,
            devices=devices,
            checkpoints=None if done is None else done.with_suffix(""),
            on_progress=on_progress,
        )
        if done is not None:
            partial = done.with_suffix(".partial")  # renamed when complete: a sweep may be killed at any moment
            write_text(partial, json.dumps([member._asdict() for member in found], indent=1) + "\n")
            partial.replace(done)
            shutil.rmtree(done.with_suffix(""))  # the checkpoints, which are needed no more
        members += found
    members.sort(key=lambda member: (member.setting, member.seed))
    summaries = summarize(ready.settings, members)
    return Outcome(members, summaries, choose(summaries, ready.measure), ready.measure)


def create(folder: Path, ready: Sweep) -> None:
    """Creates the folder of a sweep, with its plan and the fingerprint of its data."""
    (folder / "groups").mkdir(parents=True)
    write_text(folder / DATA, _fingerprint_of(ready) + "\n")
    write_text(folder / PLAN, to_json(ready.plan))


def open_sweep(folder: Path) -> Sweep:
    """Returns the sweep of a folder, to continue it.

    Raises:
      UserError: the folder holds no sweep, or its data have changed.
    """
    if not (folder / PLAN).is_file():
        raise UserError(f"{folder}: is no folder of a sweep: there is no {PLAN} in it")
    plan = plan_from_json(read_bytes(folder / PLAN, limit=_MAX_BYTES), name=str(folder / PLAN))
    ready = prepare(plan)
    if read_bytes(folder / DATA, limit=_MAX_BYTES).decode(errors="replace").strip() != _fingerprint_of(ready):
        raise UserError(f"{plan.experiment.data.dataset}: is not the data that {folder} began with")
    return ready


def lock(folder: Path) -> FileLock:
    """Locks the folder of a sweep until the lock is released or the process ends.

    Raises:
      UserError: another process holds the lock.
    """
    held = FileLock(folder / ".lock", thread_local=False)
    try:
        held.acquire(timeout=0)
    except Timeout as error:
        raise UserError(f"{folder}: another process is running this sweep; stop it, or wait for its end") from error
    return held


def title_of(ready: Sweep) -> Callable[[str], Term]:
    """Returns a function that maps a term to its title and unit."""
    parts = tuple(part for job in ready.jobs for part in job.autoencoder.parts)
    return lambda name: term_of(name, parts)


def draw_figures(ready: Sweep, outcome: Outcome) -> dict[str, Figure]:
    """Returns a figure for every knob of a sweep: every term against the knob's values."""
    return {
        f"terms_against_{knob}": terms_against(knob, outcome.summaries, outcome.best, term_of=title_of(ready))
        for knob in ready.plan.values
    }


def _terms_of(job: Job) -> set[str]:
    """Returns the names of the terms of a job's loss."""
    snapshot = jax.eval_shape(lambda: job.start().state.params)
    one = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((1, 1, *leaf.shape[1:]), leaf.dtype), job.examples("train"))

    def metrics(params: Any, examples: Any) -> Any:
        return split_statistics(job.autoencoder.loss(params, jax.random.key(0), as_batch(examples))[1])[0]

    return set(jax.eval_shape(jax.vmap(metrics, in_axes=(None, 0), axis_name=AXIS), snapshot, one))


def _fingerprint_of(ready: Sweep) -> str:
    return fingerprint(ready.jobs[0].splits)


def _read_members(path: Path) -> list[Member]:
    """Returns the members of a group that was trained to its end."""
    content = parse_json(read_bytes(path, limit=_MAX_BYTES), name=str(path))
    try:
        members = [Member(**record) for record in content]
    except TypeError as error:
        raise UserError(f"{path}: is damaged; delete it, and its group is trained again") from error
    return members
