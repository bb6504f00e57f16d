"""A dictionary on patches of natural images: its filters as a figure, and how many of them are oriented edges."""

import io
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from aejax.cli import command_line
from aejax.cli.figure_options import FigureOptions
from aejax.experiment.configuration import Experiment, check, to_json
from aejax.experiment.dictionary_presets import DICTIONARIES_OF_DATA
from aejax.experiment.knobs import value_of, with_knobs
from aejax.host.files import write_text
from aejax.host.optional import optional

if TYPE_CHECKING:  # imported where they are used, so that --help answers at once
    from rich.table import Table

    from aejax.studies.dictionaries.patches import LearnedFilters

DESCRIPTION = """Train a dictionary on patches of whitened photographs, and draw what its units have become.

  aejax study dictionary-patches                                    the preset patches-l1
  aejax study dictionary-patches --code-size 512 --crop 16          more units, larger patches
  aejax study dictionary-patches --dataset mine.npy                 your own gray patches, which are not whitened

Localization is the share of a filter's energy in the best window of half the patch's side, a quarter of its pixels.
Orientation is 1 for a grating and 0 for a filter that a quarter turn does not change. Principal components of the same
patches and the filters before training stand beside. The folder written holds units.png, components.png, filters.npz,
measures.json, config.json and report.txt."""


@dataclass(frozen=True)
class Options(FigureOptions):
    """What to train, and where to write the results."""

    experiment: Experiment = field(default_factory=Experiment)
    run_dir: Path | None = None
    """The folder to write, which must not exist yet; runs/dictionary-patches-DATE-TIME if not given."""


def main(arguments: Sequence[str]) -> None:
    """Parse, train and measure, write, and print a table."""
    started = time.perf_counter()
    default = DICTIONARIES_OF_DATA["patches-l1"][1]
    options = command_line.parse(Options, arguments, default=Options(experiment=default), description=DESCRIPTION)
    experiment = _without_crops(options.experiment, default)
    folder = options.run_dir or Path("runs") / f"dictionary-patches-{datetime.now():%Y%m%d-%H%M%S}"
    command_line.check_free(folder)
    check(experiment)
    import numpy as np

    from aejax import plots
    from aejax.experiment.loading import bytes_of, load_splits, locate
    from aejax.experiment.progress import working
    from aejax.host.terminal import PlainConsole
    from aejax.studies.dictionaries.patches import PCA, UNITS, as_grid, learn_filters

    console = PlainConsole()
    splits = load_splits(locate(experiment.data), bytes_as=bytes_of(experiment))
    with command_line.new_folder(folder) as written:
        with working(console, f"{experiment.model.family}, {experiment.model.code_size} units"):
            learned = learn_filters(experiment, splits)
        write_text(written / "config.json", to_json(experiment))
        measures = {name: each._asdict() for name, each in learned.measures.items()}
        write_text(written / "measures.json", json.dumps({**measures, "l0": learned.l0}, indent=2) + "\n")
        arrays = {name.replace(" ", "_"): each for name, each in learned.filters.items()}
        np.savez_compressed(written / "filters.npz", allow_pickle=False, **arrays)
        table = _table(learned, len(splits.test.x))
        report = PlainConsole(file=io.StringIO(), record=True, width=110, soft_wrap=False)
        report.print(table)
        write_text(written / "report.txt", report.export_text())
        with optional("figures", console.print):
            for name, title, file in (
                (UNITS, "the decoder's rows, by firing rate, not selected", "units"),
                (PCA, "principal components, by variance", "components"),
            ):
                grid = as_grid(learned.filters[name])
                plots.save_figure(
                    plots.mosaic(grid, limits=(-1, 1), title=title), written, file, file_format=options.format
                )
    console.print(table)
    console.print(f"{time.perf_counter() - started:.1f} s in all; the study is in {folder}")


def _without_crops(experiment: Experiment, default: Experiment) -> Experiment:
    """Returns the experiment without the default's crops if its data are not cropped."""
    from aejax.datasets.sources import source_of  # it imports NumPy, which --help does without

    data, crops = experiment.data, {"crop": default.data.crop, "crops_per_page": default.data.crops_per_page}
    if "crop" in source_of(data.dataset).knobs or crops != {name: getattr(data, name) for name in crops}:
        return experiment
    return with_knobs(experiment, {name: value_of(Experiment(), name) for name in crops})


def _table(learned: "LearnedFilters", patches: int) -> "Table":
    """Returns a table with a row per set of filters."""
    from rich.table import Table

    dead = sum(rate == 0 for rate in learned.firing_rates)
    title = f"filters; {learned.l0:.1f} active units per patch, {dead} units silent on {patches:,} test patches"
    table = Table(title=title, title_justify="left")
    table.add_column("filters")
    for name in ("number", "localization (median)", "orientation (median)", "oriented edges (fraction)"):
        table.add_column(name, justify="right")
    for name, measured in learned.measures.items():
        table.add_row(name, str(len(learned.filters[name])), *(f"{value:.3f}" for value in measured))
    return table
