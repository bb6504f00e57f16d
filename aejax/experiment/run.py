"""Runs: train a job into a folder with records, checkpoints and figures; a run can be stopped and continued."""

import contextlib
import functools
import signal
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import jax
from rich.console import Console

from aejax.autoencoders.learned_state import without_state
from aejax.datasets.dataset import fingerprint
from aejax.errors import ArgumentError, UserError
from aejax.evaluation import make_watch
from aejax.experiment.configuration import Experiment
from aejax.experiment.data_of_run import at_place, load_data_of_run
from aejax.experiment.going_on import Continuation, as_json, go_on, read_origin
from aejax.experiment.introduction import introduce
from aejax.experiment.job import Job, fit, make_job
from aejax.experiment.loading import as_evaluated, bytes_of, conditions_of, load_splits, locate, notes_on
from aejax.experiment.own_autoencoder import with_own_copy
from aejax.experiment.plausibility import check_memory
from aejax.experiment.progress import TrainingProgress, reading
from aejax.experiment.run_folder import RunFolder, check_absent, check_unchanged, discard_unbegun, read_experiment
from aejax.experiment.scaling import make_facts
from aejax.experiment.summary import conclude, evaluate_best
from aejax.experiment.trained import TrainedRun
from aejax.host.commands import verb_command
from aejax.host.files import FigureFormat
from aejax.host.preemption import asked_to_stop
from aejax.host.terminal import PlainConsole
from aejax.training import Report, Snapshot, check_parameters, run_keys
from aejax.training.checkpoints import Checkpoints
from aejax.training.devices import check_batch_size, choose_devices
from aejax.training.distributed import any_process, check_same, is_writer
from aejax.training.profile import Profile


class StoppedError(KeyboardInterrupt):
    """Training was stopped by Ctrl-C or SIGTERM; the checkpoint is written, and the message says how to continue."""

    def __init__(self, message: str, *, interrupted: bool) -> None:
        """Store the message, and whether Ctrl-C stopped the training."""
        super().__init__(message)
        self.interrupted = interrupted


def train_run(
    job: Experiment | Job,
    folder: str | Path,
    *,
    resume: bool = False,
    started_from: str | Path | None = None,
    data: str | Path | None = None,
    trust_code: bool = False,
    title: str | None = None,
    devices: Sequence[jax.Device] | None = None,
    streamed: bool | None = None,
    profile: str | Path | None = None,
    figures: bool = True,
    figure_format: FigureFormat = "png",
    console: Console | None = None,
) -> TrainedRun:
    """Trains an experiment to its end, and writes records, checkpoints and figures to a run folder.

    Ctrl-C or SIGTERM writes a checkpoint and stops. A continued run gives bitwise the same result as one that was not
    stopped. In distributed training (`aejax.training.distributed`), all processes call this function with equal
    arguments, and only the first one writes.

    Args:
      job: an experiment, whose data are loaded, or a job, which holds its data.
      folder: the run folder; it must not exist, unless a run is continued.
      resume: whether to continue the run in the folder, which must be of the same experiment.
      started_from: the folder of another run, whose last parameters are the first ones of the new run, as for `go_on`;
        None to begin with random parameters.
      data: for resume and started_from: the new place of the data, if they have moved, as for `at_place`.
      trust_code: for resume and started_from: whether the Python file in the folder of a run with the user's own
        autoencoder may run.
      title: the run's name in the first line of output; None for the folder's name.
      devices: the devices to train on; None for all. The result does not depend on them, up to rounding error.
      streamed: as for `train`.
      profile: a folder for a trace of some steps; None for no trace.
      figures: whether to draw figures at the end.
      figure_format: the format of their files.
      console: the console for progress and the summary; None prints nothing.

    Returns:
      The trained run, as `open_run` returns it.

    Raises:
      UserError: the folder exists or, with resume, belongs to another experiment; or `make_job` or `fit` refuses the
        job.
      StoppedError: the training was stopped by Ctrl-C or SIGTERM.

    >>> import tempfile
    >>> from aejax.experiment.configuration import Model, Training
    >>> small = Experiment(model=Model(family="undercomplete", hidden=(), code_size=2), training=Training(epochs=1))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     run = train_run(small, Path(folder) / "run", devices=jax.devices()[:1], figures=False)
    ...     run.encode(run.splits.test).shape
    (359, 2)
    """
    folder = Path(folder)
    console = PlainConsole(quiet=True) if console is None or not is_writer() else console
    if data is not None and (isinstance(job, Job) or not (resume or started_from)):
        raise ArgumentError("data", "expected only when a run is resumed from its folder, without a job")
    if started_from is not None and (isinstance(job, Job) or resume):
        raise ArgumentError("started_from", "expected only for a new run of an experiment, not of a job")
    if resume:
        _check_resumed(job, folder)
    elif is_writer():
        check_absent(folder)
    if profile is not None and Path(profile).exists() and not Path(profile).is_dir():
        raise ArgumentError("profile", f"expected a folder, but {profile} is a file")
    devices = choose_devices(None) if devices is None else list(devices)
    begun: Continuation | None = None
    if isinstance(job, Experiment) and started_from is not None:
        begun = go_on(Path(started_from), job, data=data, trust_code=trust_code, devices=len(devices), stored=streamed)
        job = begun.job
    elif isinstance(job, Experiment):
        job = replace(job, data=locate(job.data))
        with reading(console) as on_read:
            if resume:
                job = with_own_copy(job, folder, trust_code=trust_code)
                at_new_place = replace(job, data=at_place(job.data, data))
                splits, facts = load_data_of_run(folder, at_new_place, stored=streamed, on_read=on_read)
            else:
                splits = load_splits(job.data, stored=streamed, bytes_as=bytes_of(job), on_read=on_read)
        if not resume:
            facts = make_facts(job, splits.train)
        for note in notes_on(splits.train, facts, job.data.dataset):
            console.print(note)
        job = make_job(job, splits, facts=facts, devices=len(devices))
    training = job.experiment.training
    check_batch_size(training.batch_size, len(job.splits.train.x), len(devices), training.accumulation_steps)
    snapshot = job.start() if begun is None else begun.snapshot
    check_memory(job.autoencoder, snapshot.state.params, job.examples("train"), training, len(devices))
    data_fingerprint = fingerprint(job.splits)
    check_same(int(data_fingerprint[:15], 16), "the fingerprint of the data")
    run = None  # stays None in a process that does not write
    if resume:
        run, snapshot = _continue(folder, job, snapshot, data_fingerprint, console)
    elif is_writer():
        origin = None if begun is None else as_json(begun.origin)
        run = RunFolder.create(folder, job.experiment, data_fingerprint, job.facts, started_from=origin)
    _introduce(title or folder.name, job, snapshot, devices, console)
    if begun is not None:
        console.print(f"going on from {started_from} after {begun.origin.epoch} epochs; that run stays as it is")
    with contextlib.nullcontext() if run is None else _closing(run, is_new=not resume):
        if run is not None and not resume:
            run.save(snapshot)
        snapshot = _train(
            run, job, snapshot, devices, folder=folder, streamed=streamed, profile_folder=profile, console=console
        )
        means = evaluate_best(job, snapshot, devices=devices)
        trained = TrainedRun(
            folder,
            job.experiment,
            job.autoencoder,
            jax.device_put(jax.device_get(snapshot.best_params), devices[0]),
            snapshot.stopping.best_epoch,
            job.facts,
            run_keys(snapshot.state),
            functools.cache(lambda: as_evaluated(job.splits, job.experiment.data)),
        )
        if run is not None:
            drawn = figure_format if figures else None
            conclude(run, trained, means, step=int(snapshot.state.step), figure_format=drawn, console=console)
    return trained


def _check_resumed(job: Experiment | Job, folder: Path) -> None:
    """Raise UserError if a run would be continued with another experiment than its own."""
    given = job.experiment if isinstance(job, Job) else job
    saved, given = (replace(each, data=locate(each.data)) for each in (read_experiment(folder), given))
    check_unchanged(saved, given, folder)


def _continue(
    folder: Path, job: Job, snapshot: Snapshot, data_fingerprint: str, console: Console
) -> tuple[RunFolder | None, Snapshot]:
    """Returns the run folder (None in a process that does not write) and the snapshot to continue from."""
    run = None
    if is_writer():
        run = RunFolder.resume(folder)
        run.check_data(data_fingerprint, job.experiment.data.dataset)
    checkpoints = Checkpoints(folder / "checkpoints", read_only=True) if run is None else run.checkpoints
    if checkpoints.has_begun:
        snapshot = checkpoints.restore(snapshot)
    elif (origin := read_origin(folder)) is not None:
        if run is not None:
            run.close()
        raise UserError(
            f"{folder}: was stopped before its first checkpoint; delete it, and go on from {origin.run} once more"
        )
    step = int(snapshot.state.step)
    check_same(step, f"the newest checkpoint in {folder}")
    if run is None:
        checkpoints.close()
        return None, snapshot
    before = "the one before it" if checkpoints.has_begun else "the beginning"
    for fault in checkpoints.faults.values():
        console.print(f"{fault}; continuing from {before}")
    checkpoints.remove_faulty()
    run.rewind(step, evaluating=snapshot.steps_summed > 0)
    run.save(snapshot)
    console.print(f"continuing {run.path} at step {step}")
    return run, snapshot


def _introduce(title: str, job: Job, snapshot: Snapshot, devices: Sequence[jax.Device], console: Console) -> None:
    """Print the data, the number of parameters, the devices, what the data hold and how the model takes them."""
    sizes = ", ".join(f"{len(split.x):,} {name}" for name, split in job.splits._asdict().items())
    parameters = sum(leaf.size for leaf in jax.tree.leaves(without_state(job.autoencoder, snapshot.state.params)))
    where = f"{len(devices)} {devices[0].platform} device{'s' if len(devices) > 1 else ''}"
    if jax.process_count() > 1:
        where += f" of {jax.process_count()} processes"
    console.print(f"{title}: {job.experiment.data.dataset}, {sizes} examples; {parameters:,} parameters; {where}")
    for line in introduce(job.splits.train, job.facts, job.experiment.model):
        console.print(line)


@contextlib.contextmanager
def _closing(run: RunFolder, *, is_new: bool) -> Iterator[None]:
    """Close a run at the end; remove the folder of a new run that fails before its first checkpoint after a step."""
    try:
        try:
            yield
        finally:
            run.close()
    except Exception:
        if is_new:
            discard_unbegun(run.path)
        raise


def _train(
    run: RunFolder | None,
    job: Job,
    snapshot: Snapshot,
    devices: list[jax.Device],
    *,
    folder: Path,
    streamed: bool | None,
    profile_folder: str | Path | None,
    console: Console,
) -> Snapshot:
    """Train to the end, and write records and checkpoints.

    If one of several processes is asked to stop, all stop after the same step.
    """
    training = job.experiment.training
    validation = job.splits.validation
    watched = (validation.encoder_inputs, *conditions_of(job.experiment.model, validation, job.facts))
    watch = make_watch(job.autoencoder, snapshot.state.params, *watched)
    steps_per_checkpoint = training.checkpoint_every * job.steps_per_epoch
    profile = Profile(profile_folder if is_writer() else None)
    done = int(snapshot.state.step) / job.steps_per_epoch
    with asked_to_stop() as stop, TrainingProgress(console, training.epochs, done) as progress, profile:

        def on_report(report: Report) -> bool:
            progress.show(report)
            profile.note(report)
            if run is not None and report.evaluation is not None:
                measured = watch(report.snapshot.state.params)
                of_code = {f"validation/{term}": value for term, value in measured.items()}
                run.write({"step": report.step, "epoch": report.epoch, **report.evaluation, **of_code})
            due = report.step % steps_per_checkpoint == 0 and not report.evaluating
            stopped = any_process(bool(stop))
            if due or report.finished or stopped:
                check_parameters(report.snapshot.state, job.autoencoder, job.splits.train.x)
                if run is not None:
                    run.save(report.snapshot)
            return stopped and not report.finished

        snapshot = fit(job, snapshot=snapshot, devices=devices, streamed=streamed, on_report=on_report)
    if profile.steps:
        console.print(f"a trace of {profile.steps} steps is in {profile.folder}")
    if any_process(bool(stop)):
        if run is not None:
            run.checkpoints.wait()
        command = verb_command("train", "--resume", folder)
        message = f"stopped at step {int(snapshot.state.step)}; continue with: {command}"
        console.print(message)
        raise StoppedError(message, interrupted=any_process(signal.SIGINT in stop[:1]))
    return snapshot
