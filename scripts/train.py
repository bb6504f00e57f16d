"""Train an autoencoder on real data and write what it learned into a run folder."""

import contextlib
import dataclasses
import itertools
import math
import os
import re
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from aejax.cli import command_line
from aejax.errors import UserError
from aejax.experiment.configuration import Data, Experiment, check
from aejax.experiment.presets import DEFAULT, PRESETS, default_for, without_model
from aejax.host import environment
from aejax.host.commands import script_command
from aejax.host.exits import INTERRUPTED, PREEMPTED
from aejax.host.optional import optional
from aejax.host.preemption import asked_to_stop, preemptible
from aejax.host.suggestions import unknown

if TYPE_CHECKING:  # imported where they are used, so that --help answers at once
    import jax
    import optax

    from aejax.autoencoders import Autoencoder
    from aejax.datasets.dataset import Splits
    from aejax.experiment.facts import Facts
    from aejax.experiment.run_folder import RunFolder
    from aejax.host.terminal import PlainConsole
    from aejax.training import Snapshot

MOST_SHOWN = 10_000  # test examples
LONGEST_NAME = 100  # letters of a file's name in that of a run
WIDTH = max(map(len, PRESETS)) + 2
DESCRIPTION = f"""Train an autoencoder on real data and write what it learned into a run folder.

  train.py                              train the preset {DEFAULT}
  train.py mnist-vae --beta 4           train another preset with one value changed
  train.py --dataset mine.npy           train on data of your own; --dataset mine.npy --help shows the values
  train.py --resume runs/NAME           continue a run that was stopped

The run folder holds config.json, facts.json (of the training examples), metrics.jsonl (the same as TensorBoard events
in events/), checkpoints/ and figures/.

Presets:
{chr(10).join(f"  {name:{WIDTH}}{description}" for name, (description, _) in PRESETS.items())}

The values shown below are those of the preset named before --help."""


@dataclass(frozen=True)
class Options:
    """Where and on what to run; the result does not depend on these, but for rounding."""

    experiment: Experiment = field(default_factory=Experiment)
    run_dir: Path | None = None
    """The run folder to write, which must not exist yet; runs/NAME-DATE-TIME if not given, NAME being the preset's, or
    that of a file of your own."""
    resume: Path | None = None
    """A run folder to continue to its end, as if it had never been stopped."""
    trust_code: bool = False
    """With --resume of a run with an --autoencoder of your own: run the Python file in its folder."""
    stream: Literal["auto", "always", "never"] = "auto"
    """Whether examples stay in memory or in their .npy file, and batches are gathered while the devices work, instead
    of lying on the devices; auto: where they take more than a GiB, or half of an accelerator's memory."""
    deterministic: bool = False
    """Ask for the same bits in every run on a GPU, at some cost of time; on CPU and TPU they are the same anyway."""
    compilation_cache: bool = True
    """Keep what is compiled in ~/.cache/aejax ($XDG_CACHE_HOME/aejax), so that the next run starts sooner."""
    profile: Path | None = None
    """A folder for a trace of some steps, which TensorBoard and https://ui.perfetto.dev show."""
    devices: int | None = None
    """How many devices to train on; all if not given. The batch size must be a multiple of it. Of several processes:
    of each."""
    coordinator: str | None = None
    """HOST:PORT of process 0, for several processes that train as one; with --num-processes and --process-id."""
    num_processes: int | None = None
    """How many processes train as one."""
    process_id: int | None = None
    """Which of them this is, from 0 on; process 0 alone writes."""
    distributed: bool = False
    """Train as one of several processes that the scheduler's environment describes (SLURM, Open MPI, TPU pods)."""


def main() -> None:
    """Parse, and train alone or as one of several processes."""
    started = time.perf_counter()
    with preemptible():
        options, name = _parse(sys.argv[1:])
        with _group(options):
            _run(options, name, started)


def _group(options: Options) -> contextlib.AbstractContextManager[None]:
    place = (options.coordinator, options.num_processes, options.process_id)
    if not options.distributed and place == (None, None, None):
        return contextlib.nullcontext()
    from aejax.training.distributed import together

    return together(*place)


def _run(options: Options, name: str, started: float) -> None:
    """Train, and write."""
    import jax

    from aejax.datasets.dataset import fingerprint
    from aejax.experiment.build import build_autoencoder
    from aejax.experiment.data_of_run import load_data_of_run
    from aejax.experiment.loading import as_examples, bytes_of, check_data, example_of, load_splits, locate, notes_on
    from aejax.experiment.optimizers import build_optimizer
    from aejax.experiment.plausibility import check_memory
    from aejax.experiment.run_folder import RunFolder, check_absent
    from aejax.experiment.scaling import describe, make_facts
    from aejax.host.terminal import PlainConsole
    from aejax.training import start
    from aejax.training.checkpoints import Checkpoints
    from aejax.training.devices import check_batch_size, choose_devices
    from aejax.training.distributed import check_same, is_writer

    experiment = dataclasses.replace(options.experiment, data=locate(options.experiment.data))
    run_dir = options.run_dir or Path("runs") / f"{name}-{datetime.now():%Y%m%d-%H%M%S}"
    if options.resume is None and is_writer():
        check_absent(run_dir)
        command_line.check_can_be_made(run_dir)
    if options.profile is not None and options.profile.exists() and not options.profile.is_dir():
        raise UserError(f"--profile {options.profile}: is no folder")
    devices = choose_devices(options.devices)
    if options.resume is None:
        splits = load_splits(experiment.data, stored=_streamed(options), bytes_as=bytes_of(experiment))
        facts = make_facts(experiment, splits.train)
    else:
        splits, facts = load_data_of_run(options.resume, experiment, stored=_streamed(options))
    console = PlainConsole(quiet=not is_writer())
    for note in notes_on(splits.train, facts, experiment.data.dataset):
        console.print(note)
    check_data(experiment.model, splits, experiment.data.dataset, facts)
    training = experiment.training
    check_batch_size(training.batch_size, len(splits.train.x), len(devices), training.accumulation_steps)
    autoencoder = build_autoencoder(experiment, facts)
    optimizer = build_optimizer(experiment, len(splits.train.x))
    example = example_of(experiment.model, facts)
    snapshot = start(autoencoder, optimizer, jax.random.key(training.seed), *example)
    examples = as_examples(experiment.model, splits.train, facts)
    check_memory(autoencoder, snapshot.state.params, examples, training, len(devices))

    run = None  # of a process that does not write
    fingerprint_of_data = fingerprint(splits)
    check_same(int(fingerprint_of_data[:15], 16), "the fingerprint of the data")
    if options.resume is None:
        if is_writer():
            run = RunFolder.create(run_dir, experiment, fingerprint_of_data, facts)
    else:
        if is_writer():
            run = RunFolder.resume(options.resume)
            run.check_data(fingerprint_of_data, experiment.data.dataset)
        checkpoints = Checkpoints(options.resume / "checkpoints", read_only=True) if run is None else run.checkpoints
        if checkpoints.has_begun:
            snapshot = checkpoints.restore(snapshot)
        check_same(int(snapshot.state.step), f"the newest checkpoint in {options.resume}")
        if run is None:
            checkpoints.close()
        else:
            before = "the one before it" if checkpoints.has_begun else "the beginning"
            for fault in checkpoints.faults.values():
                console.print(f"{fault}; going on from {before}")
            checkpoints.remove_faulty()
            run.rewind(int(snapshot.state.step), evaluating=snapshot.steps_summed > 0)
            run.save(snapshot)
            console.print(f"continuing {run.path} at step {int(snapshot.state.step)}")
    sizes = ", ".join(f"{len(part.x):,} {split}" for split, part in zip(splits._fields, splits, strict=True))
    parameters = sum(leaf.size for leaf in jax.tree.leaves(snapshot.state.params))
    where = f"{len(devices)} {devices[0].platform} device{'s' if len(devices) > 1 else ''}"
    if jax.process_count() > 1:
        where += f" of {jax.process_count()} processes"
    console.print(f"{name}: {experiment.data.dataset}, {sizes} examples; {parameters:,} parameters; {where}")
    if (scaling := describe(facts, experiment.model)) is not None:
        console.print(scaling)
    with contextlib.nullcontext() if run is None else _closing(run, is_new=options.resume is None):
        if run is not None and options.resume is None:
            run.save(snapshot)
        snapshot = _train(run, options, experiment, autoencoder, optimizer, snapshot, splits, facts, devices, console)
        _conclude(run, options, experiment, autoencoder, snapshot, splits, facts, devices, console)
    if run is not None:
        console.print(f"{time.perf_counter() - started:.1f} s in all; the run is in {run.path}")


@contextlib.contextmanager
def _closing(run: "RunFolder", *, is_new: bool) -> Iterator[None]:
    """Close a run at the end; of a new one that fails before it has learned anything no folder is left."""
    from aejax.experiment.run_folder import discard_unbegun

    try:
        try:
            yield
        finally:
            run.close()
    except Exception:
        if is_new:
            discard_unbegun(run.path)
        raise


def _parse(arguments: Sequence[str]) -> tuple[Options, str]:
    """The options, and the name of the experiment: its preset's or its run folder's."""
    preset = None
    if arguments and not arguments[0].startswith("-"):
        preset, *arguments = arguments
    if preset is not None and preset not in PRESETS:
        if os.path.lexists(preset):
            raise UserError(f"there is no preset {preset!r}; data of your own are given by --dataset {preset}")
        raise UserError(unknown("preset", preset, PRESETS, kinds="presets"))

    values = [value for option, value in itertools.pairwise(["", *arguments]) if not option.startswith("-")]
    if preset is None and (late := [value for value in values if value in PRESETS]):
        raise UserError(f"the preset comes first: train.py {late[0]} ...")

    def parse(experiment: Experiment) -> Options:
        return command_line.parse(
            Options,
            arguments,
            default=Options(experiment),
            names=f"[{preset or 'PRESET'}]",
            description=DESCRIPTION,
        )

    autoencoder = _value_of("--autoencoder", arguments)
    dataset = _value_of("--dataset", arguments) or Data.dataset
    begun = default_for(dataset, autoencoder) if preset is None else PRESETS[preset][1]
    options = parse(begun if autoencoder is None else without_model(begun))
    if options.deterministic:  # before anything that follows imports JAX
        environment.make_deterministic()
    if options.compilation_cache:
        environment.use_compilation_cache()
    folder = options.resume
    if folder is None:
        if autoencoder is not None:
            located = dataclasses.replace(options.experiment.model, autoencoder=str(Path(autoencoder).absolute()))
            options = dataclasses.replace(options, experiment=dataclasses.replace(options.experiment, model=located))
        check(options.experiment)
        return options, _name_of(preset or DEFAULT, options.experiment.data.dataset)
    from aejax.experiment.loading import locate
    from aejax.experiment.own_autoencoder import with_own_copy
    from aejax.experiment.run_folder import check_unchanged, read_experiment

    if options.run_dir is not None:
        raise UserError("--run-dir and --resume: take one of them; a run is continued in its own folder")
    saved = read_experiment(folder)
    if preset is None:
        options = dataclasses.replace(options, experiment=parse(saved).experiment)
    check(options.experiment)
    saved, given = (dataclasses.replace(e, data=locate(e.data)) for e in (saved, options.experiment))
    check_unchanged(saved, given, folder)
    experiment = with_own_copy(options.experiment, folder, trust_code=options.trust_code)
    return dataclasses.replace(options, experiment=experiment), folder.resolve().name


def _value_of(name: str, arguments: Sequence[str]) -> str | None:
    """The value of an option before all are parsed, whose defaults depend on it; None where it is not given."""
    given = [value for option, value in itertools.pairwise(arguments) if option == name]
    given += [option.partition("=")[2] for option in arguments if option.startswith(f"{name}=")]
    return given[-1] if given else None


def _name_of(preset: str, dataset: str) -> str:
    """The preset's name, or, of other data than its own, that of the data, as the name of a folder."""
    from aejax.datasets.paths import is_array_file

    if dataset == PRESETS[preset][1].data.dataset:
        return preset
    path = Path(dataset).absolute()
    name = path.stem if is_array_file(path) else path.name
    return re.sub(r"[^\w.-]+", "-", name).strip(".-")[:LONGEST_NAME] or "data"


def _streamed(options: Options) -> bool | None:
    return {"always": True, "never": False}.get(options.stream)


def _train(
    run: "RunFolder | None",
    options: Options,
    experiment: Experiment,
    autoencoder: "Autoencoder",
    optimizer: "optax.GradientTransformation",
    snapshot: "Snapshot",
    splits: "Splits",
    facts: "Facts",
    devices: "list[jax.Device]",
    console: "PlainConsole",
) -> "Snapshot":
    """Train to the end, with records and checkpoints on the way; Ctrl-C saves a checkpoint and exits.

    Of several processes all stop after the same step, whichever was asked to.
    """
    from aejax.evaluation import make_watch
    from aejax.experiment.build import build_augmentation
    from aejax.experiment.loading import as_examples, conditions_of
    from aejax.experiment.progress import TrainingProgress
    from aejax.training import check_parameters, train
    from aejax.training.distributed import any_process, is_writer
    from aejax.training.profile import Profile

    training, model = experiment.training, experiment.model
    steps_per_epoch = len(splits.train.x) // training.batch_size
    reports = train(
        autoencoder,
        optimizer,
        snapshot,
        as_examples(model, splits.train, facts),
        as_examples(model, splits.validation, facts),
        batch_size=training.batch_size,
        epochs=training.epochs,
        evaluate_every=training.evaluate_every,
        patience=training.patience,
        min_delta=training.min_delta,
        devices=devices,
        augment=build_augmentation(experiment.data),
        accumulation_steps=training.accumulation_steps,
        streamed=_streamed(options),
    )
    watched = (splits.validation.seen, *conditions_of(model, splits.validation, facts))
    watch = make_watch(autoencoder, snapshot.state.params, *watched)
    done = int(snapshot.state.step) / steps_per_epoch
    profile = Profile(options.profile if is_writer() else None)
    with asked_to_stop() as stop, TrainingProgress(console, training.epochs, done) as progress, profile:
        for report in reports:
            snapshot = report.snapshot
            progress.show(report)
            profile.note(report)
            if run is not None and report.evaluation is not None:
                measured = {f"validation/{term}": value for term, value in watch(snapshot.state.params).items()}
                run.write({"step": report.step, "epoch": report.epoch, **report.evaluation, **measured})
            due = report.step % (training.checkpoint_every * steps_per_epoch) == 0
            stopped = any_process(bool(stop))
            if (due and not report.evaluating) or report.finished or stopped:
                check_parameters(snapshot.state, autoencoder, splits.train.x)
                if run is not None:
                    run.save(snapshot)
            if stopped and not report.finished:
                break
    if profile.steps:
        console.print(f"a trace of {profile.steps} steps is in {profile.folder}")
    if any_process(bool(stop)):
        if run is not None:
            run.checkpoints.wait()
            command = script_command("train.py", "--resume", run.path)
            console.print(f"stopped at step {int(snapshot.state.step)}; continue with: {command}")
        interrupted = any_process(signal.SIGINT in stop[:1])
        sys.exit(INTERRUPTED if interrupted else PREEMPTED)
    return snapshot


def _conclude(
    run: "RunFolder | None",
    options: Options,
    experiment: Experiment,
    autoencoder: "Autoencoder",
    snapshot: "Snapshot",
    splits: "Splits",
    facts: "Facts",
    devices: "list[jax.Device]",
    console: "PlainConsole",
) -> None:
    """Evaluate the best parameters on every split, and write the last record and the figures.

    The statistics of the code and the figures are those of the first `MOST_SHOWN` test examples.
    """
    import numpy as np

    from aejax.datasets.dataset import take
    from aejax.evaluation import as_terms, code_statistics
    from aejax.experiment.build import bounds_of_code
    from aejax.experiment.figures import draw_figures
    from aejax.experiment.loading import as_examples, conditions_of
    from aejax.experiment.plausibility import check_result
    from aejax.experiment.progress import describe_code, summary_table
    from aejax.experiment.report import loss_note
    from aejax.training import make_evaluate, run_keys
    from aejax.training.devices import replicate
    from aejax.training.plan import choose_plan

    params = snapshot.best_params
    keys = run_keys(snapshot.state)
    parts = {name: as_examples(experiment.model, part, facts) for name, part in splits._asdict().items()}
    size, streamed = experiment.training.batch_size, _streamed(options)
    plan = choose_plan(
        autoencoder, params, parts["train"], parts["test"], batch_size=size, devices=devices, streamed=streamed
    )
    evaluate = make_evaluate(
        autoencoder,
        batch_size=size,
        devices=devices,
        streamed=plan.streamed,
        batches_per_call=plan.batches_per_call,
    )
    replicated = replicate(params, devices)
    means = {name: evaluate(replicated, keys.evaluation, part) for name, part in parts.items()}
    check_result(experiment, splits.train, facts, means)
    if run is None:
        return
    few = take(splits.test, np.arange(min(len(splits.test.x), MOST_SHOWN)))
    splits = splits._replace(test=few._replace(x=np.asarray(few.x)))
    conditions = conditions_of(experiment.model, splits.test, facts)
    bounds = bounds_of_code(experiment.model)
    code = None
    with optional("statistics of the code", console.print):
        code = code_statistics(autoencoder, params, keys.statistics, splits.test.seen, *conditions, bounds=bounds)
    step, epoch = int(snapshot.state.step), snapshot.stopping.best_epoch
    steps_per_epoch = len(splits.train.x) // experiment.training.batch_size
    terms = means["test"] | ({} if code is None else as_terms(code))
    run.write({"step": step, "epoch": epoch, **{f"test/{term}": value for term, value in terms.items()}})
    title = f"best epoch {epoch} of {step // steps_per_epoch}; means per example, of the parameters after that epoch"
    console.print(summary_table(title, means))
    console.print(loss_note(autoencoder.parts))
    if broken := [term for term, value in terms.items() if not math.isfinite(value)]:
        console.print(f"not finite on test examples, and not in the record: {', '.join(broken)}")
    if code is not None:
        for line in describe_code(code).splitlines():
            console.print(line)
    with optional("figures", console.print):
        drawn = draw_figures(experiment, autoencoder, params, keys.figures, splits, facts, code, run.records(), epoch)
        for name, figure in drawn.items():
            figure.savefig(run.figures / f"{name}.png", dpi=150)


if __name__ == "__main__":
    command_line.run(main)
