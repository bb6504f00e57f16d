"""Train regularized autoencoders over a grid of strengths and seeds, and compare their encoders' Jacobians."""

import io
import json
import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from aejax.cli import command_line
from aejax.cli.figure_options import FigureOptions
from aejax.errors import UserError
from aejax.host.files import FigureFormat, write_text
from aejax.studies.jacobian.settings import PRESETS, MethodName, Study, check, to_json

if TYPE_CHECKING:  # imported where they are used, so that --help answers at once
    import jax

    from aejax.datasets.dataset import Splits
    from aejax.host.terminal import PlainConsole
    from aejax.studies.jacobian.measure import Measure
    from aejax.studies.jacobian.table import Member

DEFAULT = "digits"
DESCRIPTION = f"""Train regularized autoencoders over a grid of strengths and seeds; compare their encoders' Jacobians.

  aejax study jacobian                                      every method on digits
  aejax study jacobian mnist --train-examples 10000         after Rifai et al. (2011), on 10,000 examples of MNIST
  aejax study jacobian digits --methods ae cae --seeds 3    some methods, fewer seeds

The methods are the plain autoencoder (ae), weight decay, denoising autoencoders (Gaussian noise, masking) and
contractive autoencoders (exact Jacobian, random projections of it), all with one sigmoid layer, tied weights and
cross-entropy. The autoencoders of a method are trained together as one population, divided among the devices.

The folder written holds report.txt (each method at the strength with the least validation error, mean ± deviation over
the seeds), grid.csv and grid.json (every setting), members.csv (every autoencoder), config.json, and figures/.

Presets:
{chr(10).join(f"  {name:10}{description}" for name, (description, _) in PRESETS.items())}

The values shown below are those of the preset named before --help."""

WIDTH = 152  # of the tables, which a narrower terminal wraps


@dataclass(frozen=True)
class Options(FigureOptions):
    """The study, where to write it and on which devices to run it."""

    study: Study = field(default_factory=Study)
    run_dir: Path | None = None
    """The folder to write, which must not exist yet; runs/jacobian-study-PRESET-DATE-TIME if not given."""
    devices: int | None = None
    """Number of devices to divide the autoencoders among; all if not given."""


def main(arguments: Sequence[str]) -> None:
    """Parse, train, measure, and write."""
    started = time.perf_counter()
    options, name = _parse(arguments)
    study = options.study
    run_dir = options.run_dir or Path("runs") / f"jacobian-study-{name}-{datetime.now():%Y%m%d-%H%M%S}"
    command_line.check_free(run_dir)
    # The classifier of codes is small: with several threads, its linear algebra spends most of its time waiting.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

    from aejax.host.terminal import PlainConsole
    from aejax.studies.jacobian.study import make_measure_of
    from aejax.studies.jacobian.table import member_records
    from aejax.studies.jacobian.train import load
    from aejax.studies.records import to_csv
    from aejax.training.devices import choose_devices

    devices = choose_devices(options.devices)
    splits = load(study)
    try:
        (run_dir / "figures").mkdir(parents=True)
        write_text(run_dir / "config.json", to_json(study))
    except OSError as error:
        raise UserError(f"{run_dir}: cannot be written: {error.strerror}") from error

    console = PlainConsole()
    sizes = ", ".join(f"{len(part.x):,} {split}" for split, part in zip(splits._fields, splits, strict=True))
    where = f"{len(devices)} {devices[0].platform} device{'s' if len(devices) > 1 else ''}"
    console.print(f"{study.dataset}: {sizes} examples; {study.units} units, {study.epochs} epochs; {where}")
    measure = make_measure_of(study, splits)
    members: list[Member] = []
    try:
        for number, method in enumerate(study.methods, start=1):
            console.print(f"[{number}/{len(study.methods)}] {method}")
            members += _run_method(study, method, splits, measure, devices, console)
            write_text(run_dir / "members.csv", to_csv(member_records(members)))  # keeps results if the next one fails
    except BaseException:
        if not members:  # nothing to keep, and the folder would block another run
            shutil.rmtree(run_dir)
        raise
    _conclude(study, splits, members, run_dir, console, options.format)
    console.print(f"{time.perf_counter() - started:.1f} s in all; the study is in {run_dir}")


def _parse(arguments: Sequence[str]) -> tuple[Options, str]:
    """Returns the options and the preset's name."""
    preset, arguments = command_line.take_name(arguments, PRESETS, default=DEFAULT, kind="preset", kinds="presets")
    options = command_line.parse(
        Options,
        arguments,
        default=Options(PRESETS[preset][1]),
        names=f"[{preset}]",
        description=DESCRIPTION,
    )
    check(options.study)
    return options, preset


def _run_method(
    study: Study,
    method: MethodName,
    splits: "Splits",
    measure: "Measure",
    devices: "list[jax.Device]",
    console: "PlainConsole",
) -> "list[Member]":
    """Train and measure all members of a method, with progress."""
    from aejax.studies.jacobian.study import measure_members
    from aejax.studies.jacobian.train import grid, train_method
    from aejax.studies.progress import StudyProgress

    count = len(grid(study, method))
    with StudyProgress(console, "training", study.epochs, "epochs") as progress:
        for trained in train_method(study, method, splits, devices):
            progress.show(trained.epoch, f"{count} autoencoders, mean loss {trained.loss:.2f}")
    members: list[Member] = []
    with StudyProgress(console, "measuring", count, "autoencoders") as progress:
        for member in measure_members(study, method, trained, measure):
            members.append(member)
            progress.show(len(members), f"probe error {member.measurement.probe_error_percent:.2f} %")
    return members


def _conclude(
    study: Study,
    splits: "Splits",
    members: "list[Member]",
    run_dir: Path,
    console: "PlainConsole",
    figure_format: FigureFormat,
) -> None:
    """Write tables, figures and the report, and print the report."""
    from aejax.host.terminal import PlainConsole
    from aejax.plots import save_figure
    from aejax.studies.jacobian.published import comparison_table
    from aejax.studies.jacobian.study import conclude, draw_figures
    from aejax.studies.jacobian.table import study_table
    from aejax.studies.records import to_csv

    outcome = conclude(members)
    write_text(run_dir / "grid.csv", to_csv(outcome.records))
    grid = {"grid": outcome.records, "claims": [claim._asdict() for claim in outcome.claims]}
    write_text(run_dir / "grid.json", json.dumps(grid, indent=2) + "\n")

    seeds = f"{study.seeds} seeds" if study.seeds > 1 else "1 seed"
    title = (
        f"{study.dataset}, per test example, in nats; mean ± deviation over {seeds}; strengths chosen on validation "
        f"data; noise of deviation {study.input_noise:g}"
    )
    report = PlainConsole(file=io.StringIO(), record=True, width=WIDTH, soft_wrap=False)
    for out in (PlainConsole(width=max(console.width, WIDTH)), report):
        out.print(study_table(outcome.chosen, title=title))
        out.print()
        if study.dataset == "mnist":
            against = comparison_table(outcome.chosen, title="Rifai et al. (2011), Table 1, and what was measured here")
            out.print(against)
            out.print()
        out.print("Claims of Rifai et al. (2011) on MNIST, and what was measured here:")
        for claim in outcome.claims:
            out.print(f"  {'held' if claim.held else 'did not hold'}: {claim.text} ({claim.measured})")
    write_text(run_dir / "report.txt", report.export_text())
    for file, figure in draw_figures(study, splits, members, outcome).items():
        save_figure(figure, run_dir / "figures", file, file_format=figure_format)
