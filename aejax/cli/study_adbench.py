"""Anomalies in tables by an autoencoder and four baselines, over tables and seeds."""

import csv
import io
import json
import math
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from aejax.cli import command_line
from aejax.errors import UserError
from aejax.experiment.configuration import Experiment, Model, Optimization, Regularization, Training, check, to_json
from aejax.experiment.presets import ADBENCH
from aejax.host import environment
from aejax.host.files import write_text

if TYPE_CHECKING:  # imported where they are used, so that --help answers at once
    from rich.table import Table

    from aejax.studies.adbench import Mean, Protocol

DESCRIPTION = """Detect anomalous rows of tables by an autoencoder and by four baselines, on the same rows.

  aejax study adbench                                     all tables in the folder adbench of --data-dir
  aejax study adbench --tables cardio vowels --seeds 2    two of them
  aejax study adbench --tables mine.npz                   your own: rows X and labels y, 1 for an anomaly

Two protocols. normal: half of the normal rows are fitted to; the other half and all anomalies are tested.
contaminated: all rows are fitted to, anomalies among them, and all are tested. Labels are used for nothing else: rows
are standardized by the rows that are fitted to, a fifth of which is held out and decides the autoencoder's best epoch,
and all tables are trained with the same options. The code has a quarter of the table's columns, if --code-size is not
given, and PCA as many components.

Scores: the squared error of the autoencoder (of a variational one, the negative evidence lower bound) and of PCA, the
Mahalanobis distance, an isolation forest's, and the norm of the standardized row, which is the simplest of all. A
detector that does not exceed the norm has found nothing but large values. A network that is large enough to reconstruct
the anomalies among its training rows does not detect them: on contaminated rows a smaller one (--hidden 16) is better.

The folder written holds trials.csv, summary.json, report.txt and config.json."""

MAX_SEEDS = 1000
WIDTH = 140  # of a table, which a narrower terminal wraps
_MEASURES = {"auroc": "AUROC", "average_precision": "average precision"}


@dataclass(frozen=True)
class Options:
    """What to train, on which tables, how often, and where to write the results."""

    model: Model = field(default_factory=lambda: ADBENCH.model)
    regularization: Regularization = field(default_factory=lambda: ADBENCH.regularization)
    optimization: Optimization = field(default_factory=lambda: ADBENCH.optimization)
    training: Training = field(default_factory=lambda: ADBENCH.training)
    tables: tuple[str, ...] = ()
    """Names of tables in the folder adbench, such as cardio, or your own .npz files; all in the folder if not
    given."""
    data_dir: Path | None = None
    """The folder that contains the folder adbench; AEJAX_DATA_DIR if not given."""
    protocols: tuple[Literal["normal", "contaminated"], ...] = ("normal", "contaminated")
    """Which rows are fitted to: half of the normal ones, or all with the anomalies."""
    seeds: int = 5
    """Number of seeds, consecutive from --seed; each draws the rows and trains anew."""
    compilation_cache: bool = True
    """Store compiled programs in a cache folder of the user, so that later studies begin sooner; no result depends on
    it."""
    run_dir: Path | None = None
    """The folder to write, which must not exist yet; runs/adbench-study-DATE-TIME if not given."""


def main(arguments: Sequence[str]) -> None:
    """Parse, train and measure, write, and print a table of every protocol and measure."""
    started = time.perf_counter()
    options = command_line.parse(Options, arguments, description=DESCRIPTION)
    experiment = _checked(options)
    if options.compilation_cache:
        environment.use_compilation_cache()
    folder = options.run_dir or Path("runs") / f"adbench-study-{datetime.now():%Y%m%d-%H%M%S}"
    command_line.check_free(folder)
    protocols: list[Protocol] = list(dict.fromkeys(options.protocols))

    from aejax.datasets.adbench import find_tables, read_table
    from aejax.host.terminal import PlainConsole
    from aejax.studies.adbench import METHODS, PROTOCOLS, Trial, run_trials, summarize
    from aejax.studies.progress import StudyProgress

    console = PlainConsole()
    tables = [read_table(path) for path in find_tables(options.tables, options.data_dir)]
    first = experiment.training.seed
    work = [(t, p, s) for t in tables for p in protocols for s in range(first, first + options.seeds)]
    trials: list[Trial] = []
    folder.mkdir(parents=True)
    try:
        write_text(folder / "config.json", to_json(experiment))
        with (
            StudyProgress(console, "adbench", len(work), "trainings") as progress,
            (folder / "trials.csv").open(
                "w", newline="", buffering=1, encoding="utf-8"
            ) as file,  # line-buffered, so that finished trials are kept if a later one fails
        ):
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(Trial._fields)
            for done, (table, protocol, seed) in enumerate(work, start=1):
                found = run_trials(table, protocol, seed=seed, experiment=experiment)
                writer.writerows(found)
                trials += found
                areas = ", ".join(f"{trial.method} {trial.auroc:.3f}" for trial in found)
                progress.show(done, f"{table.name}, {protocol}, seed {seed}: AUROC {areas}")
    except BaseException:
        if not trials:  # nothing to keep, and the folder would block another study
            shutil.rmtree(folder)
        raise
    summary = {
        protocol: {
            measure: summarize([trial for trial in trials if trial.protocol == protocol], attrgetter(measure))
            for measure in _MEASURES
        }
        for protocol in protocols
    }
    write_text(folder / "summary.json", json.dumps(_as_json(summary), indent=2) + "\n")
    report = PlainConsole(file=io.StringIO(), record=True, width=WIDTH, soft_wrap=False)
    seeds = f"mean ± deviation over {options.seeds} seeds" if options.seeds > 1 else "1 seed"
    for out in (PlainConsole(width=max(console.width, WIDTH)), report):
        for protocol, of_measures in summary.items():
            for measure, rows in of_measures.items():
                title = f"{protocol}, {_MEASURES[measure]}: {PROTOCOLS[protocol]}; {seeds}; * best"
                out.print(_table(title, METHODS, rows))
    write_text(folder / "report.txt", report.export_text())
    console.print(f"{time.perf_counter() - started:.1f} s in all; the study is in {folder}")


def _checked(options: Options) -> Experiment:
    """Returns the experiment of the options, which have been checked."""
    experiment = Experiment(
        model=options.model,
        regularization=options.regularization,
        optimization=options.optimization,
        training=options.training,
    )
    check(replace(experiment, model=replace(options.model, code_size=options.model.code_size or 1)))  # None: a quarter
    if options.model.conditional:
        raise UserError("conditional: has no effect, because rows have no classes to train on; leave it out")
    if not options.protocols:
        raise UserError("--protocols: expected normal, contaminated or both")
    if not 1 <= options.seeds <= MAX_SEEDS:
        raise UserError(f"--seeds: must be between 1 and {MAX_SEEDS:,}, got {options.seeds:,}")
    if (last := options.training.seed + options.seeds - 1) >= 2**32:
        raise UserError(f"--seed: the last seed must be below {2**32:,}, got {last:,}")
    return experiment


def _as_json(summary: "Mapping[Protocol, Mapping[str, Mapping[str, Mapping[str, Mean]]]]") -> dict[str, Any]:
    """Returns protocol -> measure -> table -> method -> mean and deviation; JSON has null for that of one seed."""

    def of_methods(methods: "Mapping[str, Mean]") -> dict[str, dict[str, float | None]]:
        return {
            method: {"mean": value.mean, "deviation": None if math.isnan(value.deviation) else value.deviation}
            for method, value in methods.items()
        }

    return {
        protocol: {
            measure: {table: of_methods(methods) for table, methods in rows.items()}
            for measure, rows in of_measures.items()
        }
        for protocol, of_measures in summary.items()
    }


def _table(title: str, methods: Sequence[str], rows: "Mapping[str, Mapping[str, Mean]]") -> "Table":
    """Returns a table: a row per table of data and one of means, a column per method; the best is bold, with a star."""
    from rich.table import Table
    from rich.text import Text

    from aejax.studies.adbench import MEAN

    table = Table(title=title, title_justify="left")
    table.add_column("table")
    for method in methods:
        table.add_column(method, justify="right")
    for name in rows:
        if name == MEAN:
            table.add_section()
        shown = {method: f"{value.mean:.3f}" for method, value in rows[name].items()}
        cells = []
        for method, value in rows[name].items():
            is_best = shown[method] == max(shown.values())  # equal digits are equally good
            deviation = "" if math.isnan(value.deviation) else f" ± {value.deviation:.3f}"
            star = "*" if is_best else " "
            cells.append(Text(f"{shown[method]}{deviation}{star}", style="bold" if is_best else ""))
        table.add_row(name, *cells)
    return table
