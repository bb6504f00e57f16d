"""A run: a job trained into a folder, with records, checkpoints and figures; stopped and continued at will."""

import contextlib
import signal
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import jax
from rich.console import Console

from aejax.datasets.dataset import fingerprint
from aejax.errors import ArgumentError
from aejax.evaluation import make_watch
from aejax.experiment.configuration import Experiment
from aejax.experiment.data_of_run import at_place, load_data_of_run
from aejax.experiment.job import Job, fit, make_job
from aejax.experiment.loading import bytes_of, conditions_of, load_splits, locate, notes_on
from aejax.experiment.own_autoencoder import with_own_copy
from aejax.experiment.plausibility import check_memory
from aejax.experiment.progress import TrainingProgress
from aejax.experiment.run_folder import RunFolder, check_absent, check_unchanged, discard_unbegun, read_experiment
from aejax.experiment.scaling import describe, make_facts
from aejax.experiment.summary import conclude, evaluate_best
from aejax.experiment.trained import TrainedRun
from aejax.host.commands import verb_command
from aejax.host.preemption import asked_to_stop
from aejax.host.terminal import PlainConsole
from aejax.training import Report, Snapshot, check_parameters, run_keys
from aejax.training.checkpoints import Checkpoints
from aejax.training.devices import check_batch_size, choose_devices
from aejax.training.distributed import any_process, check_same, is_writer
from aejax.training.profile import Profile


class StoppedError(KeyboardInterrupt):
    """Ctrl-C or SIGTERM has stopped a training; its checkpoint is written, and the message says how to continue."""

    def __init__(self, message: str, *, interrupted: bool) -> None:
        """The message; and whether it was Ctrl-C."""
        super().__init__(message)
        self.interrupted = interrupted


def train_run(
    job: Experiment | Job,
    folder: str | Path,
    *,
    resume: bool = False,
    data: str | Path | None = None,
    trust_code: bool = False,
    title: str | None = None,
    devices: Sequence[jax.Device] | None = None,
    streamed: bool | None = None,
    profile: str | Path | None = None,
    figures: bool = True,
    console: Console | None = None,
) -> TrainedRun:
    """Trains an experiment to its end into a run folder: records, checkpoints, figures.

    Ctrl-C or SIGTERM writes a checkpoint and stops. A run that is continued ends with the same bits as one that was
    never stopped. Of several processes that have met (`aejax.training.distributed`) all call this with equal arguments,
    and the first one writes.

    Args:
      job: what to train: an experiment, whose examples are loaded, or a job with its examples at hand.
      folder: of the run; a new one, unless a run is continued.
      resume: whether to continue the run in that folder, which must be of the same experiment.
      data: resume: the new place of the run's examples, where they have moved, as for `at_place`.
      trust_code: resume: whether to run the Python file in the folder of a run with an autoencoder of the user's own.
      title: what the first line calls the run; None for the folder's name.
      devices: all if not given; the result does not depend on them, up to rounding error.
      streamed: as for `train`.
      profile: a folder for a trace of some steps; None for no trace.
      figures: whether to draw the figures at the end.
      console: to show progress on and to print the summary to; None prints nothing.

    Returns:
      The run, as `open_run` opens it.

    Raises:
      UserError: a folder that exists or, to be continued, is not of this experiment; and all that `make_job` and `fit`
        refuse.
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
    if data is not None and (isinstance(job, Job) or not resume):
        raise ArgumentError("data", "is a new place of the examples of a run that is resumed from its folder alone")
    if resume:
        _check_resumed(job, folder)
    elif is_writer():
        check_absent(folder)
    if profile is not None and Path(profile).exists() and not Path(profile).is_dir():
        raise ArgumentError("profile", f"expects a folder, and {profile} is none")
    devices = choose_devices(None) if devices is None else list(devices)
    if isinstance(job, Experiment):
        job = replace(job, data=locate(job.data))
        if resume:
            job = with_own_copy(job, folder, trust_code=trust_code)
            splits, facts = load_data_of_run(folder, replace(job, data=at_place(job.data, data)), stored=streamed)
        else:
            splits = load_splits(job.data, stored=streamed, bytes_as=bytes_of(job))
            facts = make_facts(job, splits.train)
        for note in notes_on(splits.train, facts, job.data.dataset):
            console.print(note)
        job = make_job(job, splits, facts=facts, devices=len(devices))
    training = job.experiment.training
    check_batch_size(training.batch_size, len(job.splits.train.x), len(devices), training.accumulation_steps)
    snapshot = job.start()
    check_memory(job.autoencoder, snapshot.state.params, job.examples("train"), training, len(devices))
    data_fingerprint = fingerprint(job.splits)
    check_same(int(data_fingerprint[:15], 16), "the fingerprint of the data")
    run = None  # of a process that does not write
    if resume:
        run, snapshot = _continue(folder, job, snapshot, data_fingerprint, console)
    elif is_writer():
        run = RunFolder.create(folder, job.experiment, data_fingerprint, job.facts)
    _introduce(title or folder.name, job, snapshot, devices, console)
    with contextlib.nullcontext() if run is None else _closing(run, is_new=not resume):
        if run is not None and not resume:
            run.save(snapshot)
        snapshot = _train(
            run, job, snapshot, devices, folder=folder, streamed=streamed, profile_folder=profile, console=console
        )
        means = evaluate_best(job, snapshot, devices=devices, streamed=streamed)
        trained = TrainedRun(
            folder,
            job.experiment,
            job.autoencoder,
            jax.device_put(jax.device_get(snapshot.best_params), devices[0]),
            snapshot.stopping.best_epoch,
            job.facts,
            run_keys(snapshot.state),
            lambda: job.splits,
        )
        if run is not None:
            conclude(run, trained, means, step=int(snapshot.state.step), figures=figures, console=console)
    return trained


def _check_resumed(job: Experiment | Job, folder: Path) -> None:
    """Raise UserError where a run would be continued with another experiment than its own."""
    given = job.experiment if isinstance(job, Job) else job
    saved, given = (replace(each, data=locate(each.data)) for each in (read_experiment(folder), given))
    check_unchanged(saved, given, folder)


def _continue(
    folder: Path, job: Job, snapshot: Snapshot, data_fingerprint: str, console: Console
) -> tuple[RunFolder | None, Snapshot]:
    """The folder of a run that is continued, of the process that writes, and the snapshot that it continues from."""
    run = None
    if is_writer():
        run = RunFolder.resume(folder)
        run.check_data(data_fingerprint, job.experiment.data.dataset)
    checkpoints = Checkpoints(folder / "checkpoints", read_only=True) if run is None else run.checkpoints
    if checkpoints.has_begun:
        snapshot = checkpoints.restore(snapshot)
    step = int(snapshot.state.step)
    check_same(step, f"the newest checkpoint in {folder}")
    if run is None:
        checkpoints.close()
        return None, snapshot
    before = "the one before it" if checkpoints.has_begun else "the beginning"
    for fault in checkpoints.faults.values():
        console.print(f"{fault}; going on from {before}")
    checkpoints.remove_faulty()
    run.rewind(step, evaluating=snapshot.steps_summed > 0)
    run.save(snapshot)
    console.print(f"continuing {run.path} at step {step}")
    return run, snapshot


def _introduce(title: str, job: Job, snapshot: Snapshot, devices: Sequence[jax.Device], console: Console) -> None:
    """Print what is about to be trained: data, size, devices, scaling."""
    sizes = ", ".join(f"{len(part.x):,} {split}" for split, part in job.splits._asdict().items())
    parameters = sum(leaf.size for leaf in jax.tree.leaves(snapshot.state.params))
    where = f"{len(devices)} {devices[0].platform} device{'s' if len(devices) > 1 else ''}"
    if jax.process_count() > 1:
        where += f" of {jax.process_count()} processes"
    console.print(f"{title}: {job.experiment.data.dataset}, {sizes} examples; {parameters:,} parameters; {where}")
    if (scaling := describe(job.facts, job.experiment.model)) is not None:
        console.print(scaling)


@contextlib.contextmanager
def _closing(run: RunFolder, *, is_new: bool) -> Iterator[None]:
    """Close a run at the end; of a new one that fails before it has learned anything no folder is left."""
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
    """Train to the end, with records and checkpoints on the way.

    Of several processes all stop after the same step, whichever was asked to.
    """
    training = job.experiment.training
    validation = job.splits.validation
    watched = (validation.seen, *conditions_of(job.experiment.model, validation, job.facts))
    watch = make_watch(job.autoencoder, snapshot.state.params, *watched)
    steps_per_checkpoint = training.checkpoint_every * job.steps_per_epoch
    profile = Profile(profile_folder if is_writer() else None)
    done = int(snapshot.state.step) / job.steps_per_epoch
    with asked_to_stop() as stop, TrainingProgress(console, training.epochs, done) as progress, profile:

        def take_note(report: Report) -> bool:
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

        snapshot = fit(job, snapshot=snapshot, devices=devices, streamed=streamed, on_report=take_note)
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
