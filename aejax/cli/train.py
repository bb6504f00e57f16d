"""Train an autoencoder, and write its records, checkpoints and figures to a run folder."""

import contextlib
import dataclasses
import re
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal

from aejax.cli import command_line
from aejax.cli.base import name_of, take_base, with_own_located
from aejax.cli.figure_options import FigureOptions
from aejax.errors import UserError
from aejax.experiment.configuration import Experiment, check
from aejax.experiment.presets import DEFAULT, PRESETS
from aejax.host import environment
from aejax.host.exits import INTERRUPTED, PREEMPTED
from aejax.host.preemption import preemptible

WIDTH = max(map(len, PRESETS)) + 2
DESCRIPTION = f"""Train an autoencoder, and write its records, checkpoints and figures to a run folder.

  aejax train                           train the preset {DEFAULT}
  aejax train mnist-vae --beta 4        train another preset with one value changed
  aejax train --dataset mine.npy        train on your own data; --dataset mine.npy --help shows the values
  aejax train --preset-file mine.json   train with the knobs in a file, such as a run's config.json
  aejax train --resume runs/NAME        continue a run that was stopped
  aejax train --resume runs/NAME --epochs 500 --learning-rate 1e-4
                                        go on from a run with other values, in a new run folder

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
    preset_file: Path | None = None
    """A JSON file of knobs in place of a preset, such as {"family": "tied", "learning_rate": 0.003}, the best.json of a
    sweep or the config.json of a run. Knobs that it leaves out have their defaults; options override it."""
    resume: Path | None = None
    """A run folder to continue; the result is the same as without the interruption. With other values, such as more
    --epochs (which count those of the run) or another --learning-rate, a new run goes on from its last parameters; the
    old run stays as it is. The data, and what decides the shapes of parameters, cannot change."""
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
    from aejax.experiment.going_on import goes_on
    from aejax.experiment.run import StoppedError, train_run
    from aejax.experiment.run_folder import read_experiment
    from aejax.host.terminal import PlainConsole
    from aejax.training.devices import choose_devices
    from aejax.training.distributed import is_writer

    resumes = options.resume is not None and not goes_on(read_experiment(options.resume), options.experiment)
    if resumes and options.run_dir is not None:
        raise UserError("--run-dir and --resume: give only one of them, unless another value makes a new run")
    new = options.run_dir or Path("runs") / f"{name}-{datetime.now():%Y%m%d-%H%M%S}"
    run_dir = options.resume if options.resume is not None and resumes else new
    if not resumes and is_writer():
        command_line.check_can_be_made(run_dir)
    console = PlainConsole(quiet=not is_writer())
    try:
        train_run(
            options.experiment,
            run_dir,
            resume=resumes,
            started_from=None if resumes else options.resume,
            data=options.data,
            trust_code=options.trust_code,
            title=options.resume.resolve().name if options.resume is not None and resumes else name,
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
    base, arguments = take_base(arguments)

    def parse(experiment: Experiment) -> Options:
        return command_line.parse(
            Options, arguments, default=Options(experiment), names=base.described, description=DESCRIPTION
        )

    options = parse(base.experiment)
    if options.deterministic:  # must be set before JAX is imported below
        environment.make_deterministic()
    if options.compilation_cache:
        environment.use_compilation_cache()
    folder = options.resume
    if folder is None:
        options = dataclasses.replace(options, experiment=with_own_located(options.experiment))
        check(options.experiment)
        return options, name_of(base, options.experiment)
    from aejax.experiment.run_folder import read_experiment

    if base.is_file:
        raise UserError("--preset-file and --resume: give only one of them")
    saved = read_experiment(folder)
    if base.name is None:
        options = dataclasses.replace(options, experiment=parse(saved).experiment)
    check(options.experiment)
    return options, re.sub(r"-\d{8}-\d{6}$", "", folder.resolve().name)
