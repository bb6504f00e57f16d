"""Train an autoencoder, and write its records, checkpoints and figures to a run folder."""

import contextlib
import dataclasses
import itertools
import os
import re
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal

from aejax.cli import command_line
from aejax.cli.figure_options import FigureOptions
from aejax.errors import UserError
from aejax.experiment.configuration import Data, Experiment, check
from aejax.experiment.presets import DEFAULT, PRESETS, default_for, without_model
from aejax.host import environment
from aejax.host.exits import INTERRUPTED, PREEMPTED, program
from aejax.host.preemption import preemptible
from aejax.host.suggestions import unknown

MAX_NAME = 100  # characters of a file's name that a run's name keeps
WIDTH = max(map(len, PRESETS)) + 2
DESCRIPTION = f"""Train an autoencoder, and write its records, checkpoints and figures to a run folder.

  aejax train                           train the preset {DEFAULT}
  aejax train mnist-vae --beta 4        train another preset with one value changed
  aejax train --dataset mine.npy        train on your own data; --dataset mine.npy --help shows the values
  aejax train --resume runs/NAME        continue a run that was stopped

The run folder holds config.json, facts.json (of the training examples), metrics.jsonl (the same as TensorBoard events
in events/), checkpoints/ and figures/.

Presets, with what they reach on test examples (error: squared error per pixel unless the line says otherwise; PCA: with
as many components as the code has units):
{chr(10).join(f"  {name:{WIDTH}}{description}" for name, (description, _) in PRESETS.items())}

The values shown below are those of the preset named before --help."""


@dataclass(frozen=True)
class Options(FigureOptions):
    """Where to run and what to write; the result does not depend on these, up to rounding error."""

    experiment: Experiment = field(default_factory=Experiment)
    run_dir: Path | None = None
    """The run folder to write, which must not exist yet; runs/NAME-DATE-TIME if not given, where NAME is the preset or
    the name of your own file."""
    resume: Path | None = None
    """A run folder to continue; the result is the same as without the interruption."""
    trust_code: bool = False
    """--resume: allow the Python file in the folder of a run that was trained with --autoencoder FILE to run."""
    data: Path | None = None
    """--resume: the new place of the run's data, if it has moved: the file, or the folder that contains it."""
    stream: Literal["auto", "always", "never"] = "auto"
    """Whether examples stay in the host's memory or in their .npy file, and each batch is transferred while the devices
    compute, instead of copying all examples to the devices; auto: if they need more than 1 GiB, or half of an
    accelerator's memory."""
    deterministic: bool = False
    """Make runs on a GPU bitwise reproducible, which is slower; runs on CPU and TPU always are."""
    compilation_cache: bool = True
    """Keep compiled programs in ~/.cache/aejax ($XDG_CACHE_HOME/aejax), so that the next run starts sooner."""
    profile: Path | None = None
    """A folder for a trace of some steps, for TensorBoard or https://ui.perfetto.dev."""
    devices: int | None = None
    """Number of devices to train on, per process; all if not given. The batch size must be a multiple of the number of
    all devices."""
    coordinator: str | None = None
    """HOST:PORT of process 0, for distributed training; requires --num-processes and --process-id."""
    num_processes: int | None = None
    """Number of processes of distributed training."""
    process_id: int | None = None
    """Index of this process, from 0; only process 0 writes."""
    distributed: bool = False
    """Distributed training in an environment that the scheduler describes (SLURM, Open MPI, TPU pods)."""


def main(arguments: Sequence[str]) -> None:
    """Parse, and train, alone or as one of several processes."""
    started = time.perf_counter()
    with preemptible():
        options, name = _parse(arguments)
        with _group(options):
            _run(options, name, started)


def _group(options: Options) -> contextlib.AbstractContextManager[None]:
    place = (options.coordinator, options.num_processes, options.process_id)
    if not options.distributed and place == (None, None, None):
        return contextlib.nullcontext()
    from aejax.training.distributed import join_processes

    return join_processes(*place)


def _run(options: Options, name: str, started: float) -> None:
    """Train, and print where the run is."""
    from aejax.experiment.run import StoppedError, train_run
    from aejax.host.terminal import PlainConsole
    from aejax.training.devices import choose_devices
    from aejax.training.distributed import is_writer

    run_dir = options.resume or options.run_dir or Path("runs") / f"{name}-{datetime.now():%Y%m%d-%H%M%S}"
    if options.resume is None and is_writer():
        command_line.check_can_be_made(run_dir)
    console = PlainConsole(quiet=not is_writer())
    try:
        train_run(
            options.experiment,
            run_dir,
            resume=options.resume is not None,
            data=options.data,
            trust_code=options.trust_code,
            title=name,
            devices=choose_devices(options.devices),
            streamed={"always": True, "never": False}.get(options.stream),
            profile=options.profile,
            figure_format=options.format,
            console=console,
        )
    except StoppedError as stop:
        sys.exit(INTERRUPTED if stop.interrupted else PREEMPTED)
    console.print(f"{time.perf_counter() - started:.1f} s in all; the run is in {run_dir}")


def _parse(arguments: Sequence[str]) -> tuple[Options, str]:
    """Returns the options, and the experiment's name: that of its preset, file or run folder."""
    preset = None
    if arguments and not arguments[0].startswith("-"):
        preset, *arguments = arguments
    if preset is not None and preset not in PRESETS:
        if os.path.lexists(preset):
            raise UserError(f"there is no preset {preset!r}; to train on your own data use --dataset {preset}")
        raise UserError(unknown("preset", preset, PRESETS, kinds="presets"))

    values = [value for option, value in itertools.pairwise(["", *arguments]) if not option.startswith("-")]
    if preset is None and (late := [value for value in values if value in PRESETS]):
        raise UserError(f"the preset must come before all options: {program()} {late[0]} ...")

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
    family = _value_of("--family", arguments)
    default = default_for(dataset, autoencoder, family) if preset is None else PRESETS[preset][1]
    options = parse(default if autoencoder is None else without_model(default))
    if options.deterministic:  # must be set before JAX is imported below
        environment.make_deterministic()
    if options.compilation_cache:
        environment.use_compilation_cache()
    folder = options.resume
    if folder is None:
        if autoencoder is not None:
            located = dataclasses.replace(options.experiment.model, autoencoder=str(Path(autoencoder).absolute()))
            options = dataclasses.replace(options, experiment=dataclasses.replace(options.experiment, model=located))
        check(options.experiment)
        if autoencoder is not None and preset is None:
            return options, _as_folder(Path(autoencoder).stem)
        experiment = options.experiment
        name = _name_of(preset or DEFAULT, experiment.data.dataset)
        if preset is None and name == DEFAULT and experiment.model.family != default_for(dataset).model.family:
            name = _as_folder(f"{dataset}-{experiment.model.family}")
        return options, name
    from aejax.experiment.run_folder import read_experiment

    if options.run_dir is not None:
        raise UserError("--run-dir and --resume: give only one of them; a run is continued in its own folder")
    saved = read_experiment(folder)
    if preset is None:
        options = dataclasses.replace(options, experiment=parse(saved).experiment)
    check(options.experiment)
    return options, folder.resolve().name


def _value_of(name: str, arguments: Sequence[str]) -> str | None:
    """Returns the value of an option that the defaults of others depend on, before parsing; None if it is not given."""
    given = [value for option, value in itertools.pairwise(arguments) if option == name]
    given += [option.partition("=")[2] for option in arguments if option.startswith(f"{name}=")]
    return given[-1] if given else None


def _name_of(preset: str, dataset: str) -> str:
    """Returns the preset's name if the data set is the preset's, else the data's name, as a folder name."""
    from aejax.datasets.paths import is_array_file

    if dataset == PRESETS[preset][1].data.dataset:
        return preset
    path = Path(dataset).absolute()
    return _as_folder(path.stem if is_array_file(path) else path.name)


def _as_folder(name: str) -> str:
    """Returns the name with all characters replaced that a folder's name cannot have on some system."""
    return re.sub(r"[^\w.-]+", "-", name).strip(".-")[:MAX_NAME] or "data"
