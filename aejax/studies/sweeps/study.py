"""A sweep from its plan to the best setting; its folder holds what a stopped sweep continues from."""

import json
import shutil
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from filelock import FileLock, Timeout
from matplotlib.figure import Figure

from aejax.autoencoders import Term, as_batch
from aejax.autoencoders.learned_state import split_statistics
from aejax.datasets.dataset import Splits, fingerprint
from aejax.errors import UserError
from aejax.experiment.configuration import Experiment
from aejax.experiment.job import Job, make_job
from aejax.experiment.knobs import GROUP_OF
from aejax.experiment.loading import bytes_of, load_splits, locate
from aejax.experiment.report import term_of
from aejax.host.files import read_bytes, write_text
from aejax.host.schema import parse_json
from aejax.studies.sweeps.factors import measure_of_factors
from aejax.studies.sweeps.figures import terms_against
from aejax.studies.sweeps.grouping import Group, can_be_traced, make_groups
from aejax.studies.sweeps.members import Measure, Member, Trained, train_group
from aejax.studies.sweeps.plan import Plan, Setting, make_plan, plan_from_json, settings_of, to_json
from aejax.studies.sweeps.rate_distortion import draw_rate_distortion
from aejax.studies.sweeps.table import Summary, choose, measure_of, summarize
from aejax.training.devices import AXIS

PLAN, DATA, GROUPS = "sweep.json", "data.sha256", "groups"
_MAX_BYTES = 2**28


class Sweep(NamedTuple):
    """A sweep that is ready to be trained; `prepare` and `arrange` return it."""

    settings: list[Setting]
    seeds: int  # of every setting
    groups: list[Group]  # settings that are trained at once
    jobs: list[Job]  # of every group
    measure: str  # the term that decides which setting is the best
    document: str  # JSON of the plan that it was made from


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
    measure: Measure | None = None,
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
      measure: maps a member's best parameters to what is measured of it besides the terms of its loss, which then
        stands with them in the outcome.

    Raises:
      UserError: values that knobs cannot have or that cannot be combined, or data that do not suit them.

    >>> from aejax.experiment.configuration import Model, Training
    >>> small = Experiment(model=Model(family="undercomplete", hidden=(), code_size=2), training=Training(epochs=1))
    >>> outcome = sweep(small, {"learning_rate": [1e-4, 1e-2]}, seeds=2)
    >>> outcome.measure, outcome.best.setting.knobs
    ('reconstruction', {'learning_rate': 0.01})
    """
    return run(
        prepare(make_plan(experiment, values, seeds=seeds, choose_by=choose_by)), devices=devices, measure=measure
    )


def prepare(plan: Plan) -> Sweep:
    """Returns a sweep after all checks that are possible before training.

    Raises:
      UserError: data that cannot be loaded or do not suit a setting, or validation examples that differ between
        settings.
    """
    plan = replace(plan, experiment=replace(plan.experiment, data=locate(plan.experiment.data)))
    return arrange(settings_of(plan), seeds=plan.seeds, choose_by=plan.choose_by, document=to_json(plan))


def arrange(
    settings: Sequence[Setting],
    *,
    seeds: int,
    document: str,
    choose_by: str | None = None,
    splits: Splits | None = None,
) -> Sweep:
    """Returns a sweep over any settings, in groups that are trained at once.

    Args:
      settings: experiments, which may differ in any knob that leaves the validation examples as they are.
      seeds: the number of seeds of every setting.
      document: JSON of the plan, from which a stopped sweep continues.
      choose_by: the term of the validation loss that decides which setting is the best; None as for `measure_of`.
      splits: the examples of all settings; None to load what each names.

    Raises:
      UserError: as `prepare`.
    """
    settings = list(settings)
    loaded: dict[Any, Splits] = {}
    jobs: dict[int, Job] = {}

    def job_of(position: int) -> Job:
        if position not in jobs:
            experiment = settings[position].experiment
            source = (experiment.data, bytes_of(experiment))
            if splits is None and source not in loaded:
                loaded[source] = load_splits(experiment.data, bytes_as=source[1])
            jobs[position] = make_job(experiment, loaded[source] if splits is None else splits)
        return jobs[position]

    def can_trace(setting: Setting, knob: str) -> bool:
        return can_be_traced(job_of(settings.index(setting)), knob)

    groups = make_groups(settings, can_trace)
    of_groups = [job_of(group.settings[0]) for group in groups]
    validations = {fingerprint(Splits(*(job.splits.validation,) * 3)) for job in of_groups}
    if len(validations) > 1:
        knobs = " and ".join(knob for knob in settings[0].knobs if GROUP_OF.get(knob) == "data") or "the knobs"
        raise UserError(f"{knobs}: the values change the validation examples, by which settings are compared")
    measure = measure_of([_terms_of(job) for job in of_groups], choose_by)
    return Sweep(settings, seeds, groups, of_groups, measure, document)


def run(
    ready: Sweep,
    *,
    folder: Path | None = None,
    devices: Sequence[jax.Device] | None = None,
    on_step: Callable[[Step], None] | None = None,
    measure: Measure | None = None,
) -> Outcome:
    """Trains all groups of a sweep, one after the other, and returns what it found.

    The arguments are those of `train_members`.
    """
    return conclude(ready, train_members(ready, folder=folder, devices=devices, on_step=on_step, measure=measure))


def train_members(
    ready: Sweep,
    *,
    folder: Path | None = None,
    devices: Sequence[jax.Device] | None = None,
    on_step: Callable[[Step], None] | None = None,
    measure: Measure | None = None,
) -> list[Member]:
    """Trains all groups of a sweep, one after the other, and returns their members by setting and seed.

    Args:
      ready: the sweep, from `prepare` or `arrange`.
      folder: the sweep's folder, from `create`, where progress is stored and from which a stopped sweep continues; None
        stores nothing.
      devices: the devices among which members are divided; the first one by default.
      on_step: a function that is called after every epoch, and whenever a member was measured.
      measure: what is measured of every member besides the terms of its loss; None for the scores of disentanglement if
        the data have known factors, and for nothing otherwise.
    """
    devices = list(devices or jax.devices()[:1])
    members: list[Member] = []
    for number, (group, job) in enumerate(zip(ready.groups, ready.jobs, strict=True)):
        done = None if folder is None else folder / GROUPS / f"{number}.json"
        if done is not None and done.exists():
            members += _read_members(done)
            continue

        def on_progress(trained: Trained, number: int = number, group: Group = group, job: Job = job) -> None:
            if on_step is not None:
                size = len(group.settings) * ready.seeds
                on_step(Step(number, len(ready.groups), size, job.experiment.training.epochs, trained))

        found = train_group(
            job,
            group,
            ready.settings,
            seeds=ready.seeds,
            devices=devices,
            checkpoints=None if done is None else done.with_suffix(""),
            on_progress=on_progress,
            measure=measure or measure_of_factors(job),
        )
        if done is not None:
            _write_members(done, found)
            shutil.rmtree(done.with_suffix(""))  # the checkpoints, which are needed no more
        members += found
    return sorted(members, key=lambda member: (member.setting, member.seed))


def conclude(ready: Sweep, members: Sequence[Member]) -> Outcome:
    """Returns what the members of a sweep show."""
    summaries = summarize(ready.settings, members)
    return Outcome(list(members), summaries, choose(summaries, ready.measure), ready.measure)


def create(folder: Path, ready: Sweep, *, name: str = PLAN) -> None:
    """Creates the folder of a sweep, with its plan in a file of this name and the fingerprint of its data."""
    (folder / GROUPS).mkdir(parents=True)
    write_text(folder / DATA, _fingerprint_of(ready) + "\n")
    write_text(folder / name, ready.document)


def open_sweep(folder: Path) -> Sweep:
    """Returns the sweep of a folder, to continue it.

    Raises:
      UserError: the folder holds no sweep, or its data have changed.
    """
    if not (folder / PLAN).is_file():
        raise UserError(f"{folder}: is no folder of a sweep: there is no {PLAN} in it")
    plan = plan_from_json(read_bytes(folder / PLAN, limit=_MAX_BYTES), name=str(folder / PLAN))
    ready = prepare(plan)
    check_same_data(folder, ready)
    return ready


def check_same_data(folder: Path, ready: Sweep) -> None:
    """Raise UserError if the data of a sweep are not those that its folder began with."""
    path = folder / DATA
    if not path.is_file() or read_bytes(path, limit=_MAX_BYTES).decode(errors="replace").strip() != _fingerprint_of(
        ready
    ):
        raise UserError(f"{ready.settings[0].experiment.data.dataset}: is not the data that {folder} began with")


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
    """Returns a figure for every knob of a sweep, every term against its values; over β also rate and distortion."""
    figures = {
        f"terms_against_{knob}": terms_against(knob, outcome.summaries, outcome.best, term_of=title_of(ready))
        for knob in ready.settings[0].knobs
    }
    if (plane := draw_rate_distortion(outcome.summaries, outcome.members)) is not None:
        figures["rate_distortion"] = plane
    return figures


def _terms_of(job: Job) -> set[str]:
    """Returns the names of the terms of a job's loss."""
    snapshot = jax.eval_shape(lambda: job.start().state.params)
    one = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((1, 1, *leaf.shape[1:]), leaf.dtype), job.examples("train"))

    def metrics(params: Any, examples: Any) -> Any:
        return split_statistics(job.autoencoder.loss(params, jax.random.key(0), as_batch(examples))[1])[0]

    return set(jax.eval_shape(jax.vmap(metrics, in_axes=(None, 0), axis_name=AXIS), snapshot, one))


def _fingerprint_of(ready: Sweep) -> str:
    return fingerprint(ready.jobs[0].splits)


def _write_members(path: Path, members: Sequence[Member]) -> None:
    """Writes a group that was trained to its end: as JSON, and its arrays beside it; the JSON says that it is done."""
    arrays = {f"{place}.{name}": own for place, member in enumerate(members) for name, own in member.arrays.items()}
    if arrays:
        np.savez(path.with_suffix(".npz"), **arrays)  # type: ignore[arg-type]
    records = [{name: value for name, value in member._asdict().items() if name != "arrays"} for member in members]
    partial = path.with_suffix(".partial")  # renamed when complete: a sweep may be killed at any moment
    write_text(partial, json.dumps(records, indent=1) + "\n")
    partial.replace(path)


def _read_members(path: Path) -> list[Member]:
    """Returns the members of a group that was trained to its end."""
    content = parse_json(read_bytes(path, limit=_MAX_BYTES), name=str(path))
    arrays: dict[int, dict[str, np.ndarray]] = {}
    try:
        if path.with_suffix(".npz").is_file():
            with np.load(path.with_suffix(".npz")) as stored:
                for name in stored.files:
                    place, own = name.split(".", 1)
                    arrays.setdefault(int(place), {})[own] = stored[name]
        return [Member(**record, arrays=arrays.get(place, {})) for place, record in enumerate(content)]
    except (TypeError, ValueError, OSError, zipfile.BadZipFile) as error:
        raise UserError(f"{path}: is damaged; delete it, and its group is trained again") from error
