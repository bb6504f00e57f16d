"""Train regularized autoencoders over a grid of strengths and seeds, and compare their encoders' Jacobians."""

import io
import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from aejax.cli import command_line
from aejax.cli.figure_options import FigureOptions
from aejax.cli.swept import train_all
from aejax.errors import UserError
from aejax.host.files import FigureFormat, write_text
from aejax.studies.jacobian.settings import PRESETS, Study, check, from_json

if TYPE_CHECKING:  # imported where they are used, so that --help answers at once
    from aejax.datasets.dataset import Splits
    from aejax.host.terminal import PlainConsole
    from aejax.studies.sweeps.members import Member
    from aejax.studies.sweeps.study import Sweep

DEFAULT = "digits"
DESCRIPTION = f"""Train regularized autoencoders over a grid of strengths and seeds; compare their encoders' Jacobians.

  aejax study jacobian                                      every method on digits
  aejax study jacobian mnist --train-examples 10000         after Rifai et al. (2011), on 10,000 examples of MNIST
  aejax study jacobian digits --methods ae cae --seeds 3    some methods, fewer seeds
  aejax study jacobian --resume runs/NAME                   continue a study that was stopped or killed

The methods are the plain autoencoder (ae), weight decay, denoising autoencoders (Gaussian noise, masking) and
contractive autoencoders (exact Jacobian, random projections of it), all with one sigmoid layer, tied weights and
cross-entropy. It is a sweep over methods and strengths (`aejax sweep`): settings that differ only in real numbers are
trained together, divided among the devices.

The folder written holds report.txt (each method at the strength with the least validation error, mean ± deviation over
the seeds), grid.csv and grid.json (every setting), members.csv (every autoencoder), config.json, figures/, and what a
stopped study continues from.

Presets:
{chr(10).join(f"  {name:10}{description}" for name, (description, _) in PRESETS.items())}

The values shown below are those of the preset named before --help."""

CONFIGURATION = "config.json"
WIDTH = 152  # of the tables, which a narrower terminal wraps


@dataclass(frozen=True)
class Options(FigureOptions):
    """The study, where to write it and on which devices to run it."""

    study: Study = field(default_factory=Study)
    run_dir: Path | None = None
    """The folder to write, which must not exist yet; runs/jacobian-study-PRESET-DATE-TIME if not given."""
    resume: Path | None = None
    """The folder of a study to continue, with the values that it began with."""
    devices: int | None = None
    """Number of devices to divide the autoencoders among; all if not given."""


def main(arguments: Sequence[str]) -> None:
    """Parse, train, measure, and write."""
    started = time.perf_counter()
    options, name = _parse(arguments)
    # The classifier of codes is small: with several threads, its linear algebra spends most of its time waiting.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

    from aejax.host.terminal import PlainConsole
    from aejax.studies.jacobian.study import load, make_measure_of, prepare
    from aejax.studies.sweeps.study import check_same_data, create
    from aejax.training.devices import choose_devices

    devices = choose_devices(options.devices)
    splits = load(study := options.study)
    ready = prepare(study, splits)
    if options.resume is not None:
        folder = options.resume
        check_same_data(folder, ready)
    else:
        folder = options.run_dir or Path("runs") / f"jacobian-study-{name}-{datetime.now():%Y%m%d-%H%M%S}"
        command_line.check_free(folder)
        create(folder, ready, name=CONFIGURATION)
    console = PlainConsole()
    sizes = ", ".join(f"{len(part.x):,} {split}" for split, part in zip(splits._fields, splits, strict=True))
    where = f"{len(devices)} {devices[0].platform} device{'s' if len(devices) > 1 else ''}"
    console.print(f"{study.dataset}: {sizes} examples; {study.units} units, {study.epochs} epochs; {where}")
    console.print(f"{len(ready.settings)} settings, {len(ready.settings) * ready.seeds} autoencoders")
    measure = make_measure_of(study, ready)
    resume = ("study", "jacobian", "--resume")
    members = train_all(ready, folder, resume=resume, devices=devices, console=console, measure=measure)
    _conclude(study, ready, splits, members, folder, console, options.format)
    console.print(f"{time.perf_counter() - started:.1f} s in all; the study is in {folder}")


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
    if options.resume is not None:
        if (options.study, options.run_dir) != (PRESETS[preset][1], None):
            raise UserError("--resume: a study continues with the values that it began with; leave the others out")
        return replace(options, study=_begun(options.resume)), preset
    check(options.study)
    return options, preset


def _begun(folder: Path) -> Study:
    """Returns the study of a folder, to continue it."""
    path = folder / CONFIGURATION
    if not path.is_file() or not (folder / "groups").is_dir():
        raise UserError(f"{folder}: is no folder of a study of Jacobians that can be continued")
    return from_json(path.read_bytes(), name=str(path))


def _conclude(
    study: Study,
    ready: "Sweep",
    splits: "Splits",
    members: "list[Member]",
    folder: Path,
    console: "PlainConsole",
    figure_format: FigureFormat,
) -> None:
    """Write tables, figures and the report, and print the report."""
    from aejax.host.terminal import PlainConsole
    from aejax.plots import save_figure
    from aejax.studies.claims import claim_lines
    from aejax.studies.jacobian.published import comparison_table
    from aejax.studies.jacobian.study import conclude, draw_figures
    from aejax.studies.jacobian.table import study_table
    from aejax.studies.records import to_csv
    from aejax.studies.sweeps.table import member_records, setting_records

    outcome = conclude(ready, members)
    records = setting_records(outcome.summaries, chosen=[*outcome.chosen.values()])
    write_text(folder / "members.csv", to_csv(member_records(ready.settings, members)))
    write_text(folder / "grid.csv", to_csv(records))
    grid = {"grid": records, "claims": [claim._asdict() for claim in outcome.claims]}
    write_text(folder / "grid.json", json.dumps(grid, indent=2) + "\n")

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
        for line in claim_lines(outcome.claims):
            out.print(line)
    write_text(folder / "report.txt", report.export_text())
    (folder / "figures").mkdir(exist_ok=True)
    for file, figure in draw_figures(study, splits, outcome).items():
        save_figure(figure, folder / "figures", file, file_format=figure_format)
