"""Codes of a table's rows beside PCA and FAMD, over seeds."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aejax.cli import command_line
from aejax.cli.figure_options import FigureOptions
from aejax.errors import UserError
from aejax.experiment.configuration import Data, Experiment, check, to_json
from aejax.experiment.presets import OWN_TABLE
from aejax.host.files import write_text
from aejax.host.optional import optional

if TYPE_CHECKING:  # imported where they are used, so that --help answers at once
    from rich.table import Table

    from aejax.studies.tables import Trial

DESCRIPTION = """Encode the rows of a table by an autoencoder, PCA and FAMD, and compare what the codes hold.

  aejax study tables --dataset houses.csv                              errors of every column on test rows
  aejax study tables --dataset houses.csv --labels price --predict-log  and R² of log price, predicted from the codes

Every seed divides the rows anew. The column of --labels is no part of the rows; it is predicted by ridge regression on
the codes, their squares and products, and by gradient boosting on the codes. The folder written holds trials.json,
config.json, explained.png (how much of each column each method explains) and units.png (what of each column is lost
without a unit of the code), both of the first seed."""

MAX_REPETITIONS = 1000
_MEASURES = {
    "numbers": "numbers: mean squared error, in variances",
    "classes": "classes: fraction wrong",
    "predicted": "R² of the predicted column, by ridge regression",
    "boosted": "R² of the predicted column, by gradient boosting",
}


@dataclass(frozen=True)
class Options(FigureOptions):
    """What to train, how often, and where to write the results."""

    experiment: Experiment = field(default_factory=Experiment)
    repetitions: int = 5
    """Number of seeds, from --seed."""
    predict_log: bool = False
    """Predict the logarithm of the column of --labels."""
    run_dir: Path | None = None
    """The folder to write, which must not exist yet; runs/tables-study-DATE-TIME if not given."""


def main(arguments: Sequence[str]) -> None:
    """Parse, train and measure, write, and print a table."""
    started = time.perf_counter()
    default = Options(experiment=replace(OWN_TABLE, data=Data(dataset="table.csv")))
    options = command_line.parse(Options, arguments, default=default, description=DESCRIPTION)
    check(options.experiment)
    first = options.experiment.training.seed
    if not 1 <= options.repetitions <= MAX_REPETITIONS:
        raise UserError(f"--repetitions: must be between 1 and {MAX_REPETITIONS:,}, got {options.repetitions:,}")
    folder = options.run_dir or Path("runs") / f"tables-study-{datetime.now():%Y%m%d-%H%M%S}"
    command_line.check_free(folder)
    from aejax import plots
    from aejax.experiment.figures import draw_columns
    from aejax.experiment.progress import working
    from aejax.host.terminal import PlainConsole
    from aejax.studies.tables import run_trial, summarize

    console = PlainConsole()
    trials: list[Trial] = []
    with command_line.new_folder(folder) as written:
        write_text(written / "config.json", to_json(options.experiment))
        for seed in range(first, first + options.repetitions):
            with working(console, f"[{len(trials) + 1}/{options.repetitions}] seed {seed}"):
                trials.append(run_trial(options.experiment, seed=seed, predict_log=options.predict_log))
        content = json.dumps([_as_json(trial) for trial in trials], indent=2, allow_nan=True)
        write_text(written / "trials.json", content + "\n")
        with optional("figures", console.print):
            result = trials[0].result
            plots.save_figure(draw_columns(result), written, "explained", file_format=options.format)
            names = [error.name for error in next(iter(result.errors.values()))]
            figure = plots.units_by_column(trials[0].by_unit, names)
            plots.save_figure(figure, written, "units", file_format=options.format)
    console.print(_table(summarize(trials), trials))
    console.print(f"{time.perf_counter() - started:.1f} s in all; the study is in {folder}")


def _as_json(trial: "Trial") -> dict[str, Any]:
    result = trial.result
    errors = {method: [error._asdict() for error in of_method] for method, of_method in result.errors.items()}
    means = {method: mean._asdict() for method, mean in result.means.items()}
    return {
        "seed": trial.seed,
        "means": means,
        "predicted": dict(trial.predicted),
        "boosted": dict(trial.boosted),
        "errors": errors,
    }


def _table(summary: dict[str, dict[str, list[float]]], trials: "list[Trial]") -> "Table":
    """Returns a table: each measure's mean and deviation over seeds, a column per method."""
    import numpy as np
    from rich.table import Table

    result = trials[0].result
    seeds = f"{len(trials)} seed{'s' if len(trials) > 1 else ''}"
    title = f"codes of {result.components} numbers, {result.rows:,} test rows; mean ± deviation over {seeds}"
    table = Table(title=title, title_justify="left")
    table.add_column("")
    for method in summary:
        table.add_column(method, justify="right")
    for measure, name in _MEASURES.items():
        cells = []
        for values in summary.values():
            if measure in values:
                deviation = f" ± {np.std(values[measure], ddof=1):.4f}" if len(trials) > 1 else ""
                cells.append(f"{np.mean(values[measure]):.4f}{deviation}")
        if cells:
            table.add_row(name, *cells)
    return table
