"""Families of dictionaries on activations: what they leave unexplained at which number of active units."""

import io
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from aejax.cli import command_line
from aejax.cli.figure_options import FigureOptions
from aejax.errors import UserError
from aejax.experiment.configuration import Data, Experiment, check, to_json
from aejax.experiment.dictionary_knobs import SELECTING
from aejax.experiment.dictionary_presets import own_dictionary
from aejax.experiment.knobs import with_knobs
from aejax.host.files import write_text
from aejax.host.optional import optional

if TYPE_CHECKING:  # imported where they are used, so that --help answers at once
    from rich.table import Table

    from aejax.studies.dictionaries.frontier import Point

DESCRIPTION = """Train dictionaries on activations of a network, and measure what they leave unexplained of test rows.

  aejax study dictionary-activations --dataset FOLDER --skip-positions 1 --max-norm 1000
  aejax study dictionary-activations --dataset FOLDER --families top_k --active-entries 16 32 --seeds 3

FOLDER holds activations as .npy, .npz or .safetensors files; any other data set works too. Each family is trained with
several strengths; its codes are those at use (of batch_top_k: by the threshold). PCA stands beside, with as many
components as units are active: a dictionary is worth its size where it leaves less. The folder written holds
points.json, config.json, report.txt and frontier.png."""

_TITLES = {"unexplained": "variance left", "relative_bias": "relative bias", "dead": "dead units"}


@dataclass(frozen=True)
class Options(FigureOptions):
    """What to train, how often, and where to write the results."""

    experiment: Experiment = field(default_factory=Experiment)
    families: tuple[Literal["top_k", "batch_top_k", "matryoshka", "jump_relu", "l1_dictionary", "gated"], ...] = (
        "top_k",
        "batch_top_k",
        "jump_relu",
        "l1_dictionary",
    )
    """The families of dictionaries."""
    strengths: tuple[int, ...] = (16, 32, 64)
    """top_k, batch_top_k, matryoshka: numbers of active units."""
    l1_weights: tuple[float, ...] = (1.0, 3.0, 10.0)
    """l1_dictionary and gated: weights of the penalty."""
    l0_weights: tuple[float, ...] = (0.5, 2.0, 5.0)
    """jump_relu: weights of the number of active units."""
    repetitions: int = 1
    """Number of seeds, from --seed."""
    run_dir: Path | None = None
    """The folder to write, which must not exist yet; runs/dictionary-activations-DATE-TIME if not given."""


def main(arguments: Sequence[str]) -> None:
    """Parse, train and measure, write, and print a table."""
    started = time.perf_counter()
    options = command_line.parse(Options, arguments, default=Options(experiment=_default()), description=DESCRIPTION)
    if options.repetitions < 1:
        raise UserError(f"--repetitions: must be at least 1, got {options.repetitions}")
    experiment = options.experiment
    folder = options.run_dir or Path("runs") / f"dictionary-activations-{datetime.now():%Y%m%d-%H%M%S}"
    command_line.check_free(folder)
    from aejax.studies.dictionaries.frontier import with_strength

    planned = [
        (with_strength(experiment, family, strength), strength)
        for family in options.families
        for strength in _strengths(options, family)
    ]
    for setting, _ in planned:
        check(setting)
    from aejax import plots
    from aejax.experiment.loading import bytes_of, load_splits, locate
    from aejax.experiment.progress import working
    from aejax.host.terminal import PlainConsole
    from aejax.studies.dictionaries.frontier import PCA, Point, frontier, measure_point, unexplained_by_components

    console = PlainConsole()
    splits = load_splits(locate(experiment.data), bytes_as=bytes_of(planned[0][0]))
    points: list[Point] = []
    with command_line.new_folder(folder) as written:
        for setting, strength in planned:
            for seed in range(experiment.training.seed, experiment.training.seed + options.repetitions):
                done = f"[{len(points) + 1}/{len(planned) * options.repetitions}]"
                with working(console, f"{done} {setting.model.family} {strength:g}, seed {seed}"):
                    points.append(measure_point(setting, strength, seed=seed, splits=splits))
        numbers = sorted({round(point.l0) for point in points} | {8, 16, 32, 64})
        components = unexplained_by_components(splits, numbers)
        write_text(written / "config.json", to_json(experiment))
        content = {"points": [point._asdict() for point in points], PCA: components}
        write_text(written / "points.json", json.dumps(content, indent=2) + "\n")
        table = _table(points, components, options.repetitions, len(splits.test.x))
        report = PlainConsole(file=io.StringIO(), record=True, width=110, soft_wrap=False)
        report.print(table)
        write_text(written / "report.txt", report.export_text())
        with optional("figures", console.print):
            of_components = [float(number) for number in components], list(components.values())
            curves = {**frontier(points), PCA: of_components}
            figure = plots.trade_offs(
                curves,
                title=f"{experiment.model.code_size:,} units",
                cost="active units, or components",
                gain="fraction of variance left",
            )
            plots.save_figure(figure, written, "frontier", file_format=options.format)
    console.print(table)
    console.print(f"{time.perf_counter() - started:.1f} s in all; the study is in {folder}")


def _default() -> Experiment:
    experiment = replace(own_dictionary("top_k"), data=Data(dataset="activations"))
    # few rows: small batches, since Adam moves a threshold by at most the learning rate at each step
    few_rows = {"code_size": 2304, "batch_size": 128, "epochs": 30, "dead_after": 50_000}
    return with_knobs(experiment, {**few_rows, "bandwidth": 0.5, "start_threshold": 0.5})


def _strengths(options: Options, family: str) -> Sequence[float]:
    if family in SELECTING:
        return options.strengths
    return options.l0_weights if family == "jump_relu" else options.l1_weights


def _table(points: "Sequence[Point]", components: dict[int, float], seeds: int, rows: int) -> "Table":
    """Returns a table with a row per family and strength: means over seeds, and PCA with as many components."""
    import numpy as np
    from rich.table import Table

    over = f"mean ± deviation over {seeds} seeds" if seeds > 1 else "one seed"
    table = Table(title=f"dictionaries of {rows:,} test rows; {over}", title_justify="left")
    table.add_column("family")
    for name in ("strength", "active units", *_TITLES.values(), "left by as many components"):
        table.add_column(name, justify="right")
    for family, strength in dict.fromkeys((point.family, point.strength) for point in points):
        group = [point for point in points if (point.family, point.strength) == (family, strength)]
        cells = []
        for name in ("l0", *_TITLES):
            values = [getattr(point, name) for point in group]
            digits = 1 if name == "l0" else 4
            deviation = f" ± {np.std(values, ddof=1):.{digits}f}" if len(values) > 1 else ""
            cells.append(f"{np.mean(values):.{digits}f}{deviation}")
        alike = components.get(round(float(np.mean([point.l0 for point in group]))))
        table.add_row(family, f"{strength:g}", *cells, "" if alike is None else f"{alike:.4f}")
    return table
