"""Train on normal examples alone and detect anomalies, over classes or splits; baselines: PCA, isolation forest."""

import csv
import io
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aejax.cli import command_line
from aejax.errors import UserError
from aejax.experiment.configuration import Experiment, check, to_json
from aejax.experiment.presets import ONE_CLASS
from aejax.host.files import write_text

if TYPE_CHECKING:  # imported where they are used, so that --help answers at once
    from rich.table import Table

    from aejax.studies.one_class import Trial

DEFAULT = "ecg5000"
DESCRIPTION = f"""Train on normal examples alone and detect anomalies, compared with PCA and an isolation forest.

  aejax study one-class                         ECG5000: 200 normal beats, 5 splits
  aejax study one-class mnist                   each class of MNIST against the rest, in turn
  aejax study one-class mnist --classes 3 8     only classes 3 and 8 in turn

The test split is neither trained on nor used to choose the best epoch. PCA has as many components as the code has
units. The folder written holds trials.csv, report.txt and config.json.

Studies:
{chr(10).join(f"  {name:15}{description}" for name, (description, _) in ONE_CLASS.items())}

The values shown below are those of the study named before --help."""

MAX_REPETITIONS, MAX_RESAMPLES = 1000, 100_000
WIDTH = 140  # of the table, which a narrower terminal wraps


@dataclass(frozen=True)
class Options:
    """What to train, how often, and where to write the results."""

    experiment: Experiment = field(default_factory=Experiment)
    classes: tuple[str, ...] = ()
    """Classes that are normal in turn, while all others are anomalies; all classes if not given. Not for ecg5000, whose
    normal class is fixed."""
    repetitions: int | None = None
    """ecg5000: number of splits, each with its own seed; 5 if not given. Other data: number of training seeds per
    class; 1 if not given."""
    resamples: int = 200
    """Bootstrap resamples for the intervals of the average precision."""
    run_dir: Path | None = None
    """The folder to write, which must not exist yet; runs/anomaly-study-NAME-DATE-TIME if not given."""


def main(arguments: Sequence[str]) -> None:
    """Parse, train and measure, write, and print a table."""
    started = time.perf_counter()
    options, name = _parse(arguments)
    folder = options.run_dir or Path("runs") / f"anomaly-study-{name}-{datetime.now():%Y%m%d-%H%M%S}"
    command_line.check_free(folder)

    from aejax.experiment.loading import notes_on
    from aejax.experiment.progress import working
    from aejax.host.terminal import PlainConsole
    from aejax.studies.one_class import compare, make_jobs

    console = PlainConsole()
    components = options.experiment.model.code_size
    assert components is not None  # _parse has seen to it
    jobs = make_jobs(options.experiment, classes=options.classes, repetitions=options.repetitions)
    first = jobs[0][1]
    for note in notes_on(first.splits.train, first.facts, options.experiment.data.dataset):
        console.print(note)
    folder.mkdir(parents=True)
    trials: list[Trial] = []
    try:
        write_text(folder / "config.json", to_json(options.experiment))
        with (folder / "trials.csv").open(
            "w", newline="", buffering=1, encoding="utf-8"
        ) as file:  # line-buffered, so that finished trials are kept if a later one fails
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(_HEADER)
            for number, (normal, job) in enumerate(jobs, start=1):
                with working(console, f"[{number}/{len(jobs)}] {normal}, seed {job.experiment.training.seed}"):
                    found = compare(job, normal=normal, components=components, resamples=options.resamples)
                writer.writerows(map(_row, found))
                trials += found
                areas = ", ".join(f"{trial.method} {trial.detection.auroc.value:.4f}" for trial in found)
                console.print(f"{normal}, seed {job.experiment.training.seed}: AUROC {areas}")
    except BaseException:
        if not trials:  # nothing to keep, and the folder would block another run
            shutil.rmtree(folder)
        raise
    report = PlainConsole(file=io.StringIO(), record=True, width=WIDTH, soft_wrap=False)
    for out in (PlainConsole(width=max(console.width, WIDTH)), report):
        out.print(_table(name, trials))
    write_text(folder / "report.txt", report.export_text())
    console.print(f"{time.perf_counter() - started:.1f} s in all; the study is in {folder}")


def _parse(arguments: Sequence[str]) -> tuple[Options, str]:
    """Returns the options and the study's name."""
    name, arguments = command_line.take_name(arguments, ONE_CLASS, default=DEFAULT, kind="study", kinds="studies")
    options = command_line.parse(
        Options,
        arguments,
        default=Options(ONE_CLASS[name][1]),
        names=f"[{name}]",
        description=DESCRIPTION,
    )
    check(options.experiment)
    from aejax.datasets.sources import source_of
    from aejax.studies.one_class import count_seeds

    if options.experiment.model.code_size is None:
        raise UserError("code_size: expected a number, since PCA uses as many components")
    if options.experiment.model.conditional:
        raise UserError("conditional: has no effect, because only one class is trained on; leave it out")
    if options.repetitions is not None and not 1 <= options.repetitions <= MAX_REPETITIONS:
        raise UserError(f"--repetitions: must be between 1 and {MAX_REPETITIONS:,}, got {options.repetitions:,}")
    if (last := options.experiment.training.seed + count_seeds(options.experiment, options.repetitions) - 1) >= 2**32:
        raise UserError(f"--seed: the seed of the last repetition must be below {2**32:,}, got {last:,}")
    dataset = options.experiment.data.dataset
    if options.classes and (normal := source_of(dataset).normal) is not None:
        raise UserError(f"--classes: has no effect on {dataset}, whose training examples are {normal} alone")
    if not 2 <= options.resamples <= MAX_RESAMPLES:
        raise UserError(f"--resamples: must be between 2 and {MAX_RESAMPLES:,}, got {options.resamples:,}")
    return options, name


_FIGURES, _OTHERS = ("auroc", "average_precision"), ("prevalence", "recall", "false_positive_rate", "precision")
_LIMITS = tuple(f"{figure}{end}" for figure in _FIGURES for end in ("", "_low", "_high"))
_HEADER = ("normal", "seed", "method", *_LIMITS, *_OTHERS)


def _row(trial: "Trial") -> list[Any]:
    """Returns a row of trials.csv."""
    values = [value for figure in _FIGURES for value in getattr(trial.detection, figure)]
    return [trial.normal, trial.seed, trial.method, *values, *(getattr(trial.detection, other) for other in _OTHERS)]


def _table(name: str, trials: "list[Trial]") -> "Table":
    """Returns a table: the AUROC of every method per trial, with its interval, and the means over all trials."""
    import numpy as np
    from rich.table import Table

    from aejax.studies.one_class import METHODS

    title = f"{name}: AUROC (95 % interval), and average precision, of test examples"
    table = Table(title=title, title_justify="left")
    table.add_column("normal")
    table.add_column("seed", justify="right")
    for method in METHODS:
        table.add_column(method, justify="right")
    rows = [trials[start : start + len(METHODS)] for start in range(0, len(trials), len(METHODS))]
    for row in rows:
        cells = [
            f"{d.auroc.value:.4f} ({d.auroc.low:.4f} to {d.auroc.high:.4f}), {d.average_precision.value:.4f}"
            for d in (trial.detection for trial in row)
        ]
        table.add_row(row[0].normal, str(row[0].seed), *cells)
    seeds = sorted({trial.seed for trial in trials})
    means = []
    for method in METHODS:
        of_method = [trial for trial in trials if trial.method == method]
        precision = np.mean([trial.detection.average_precision.value for trial in of_method])
        of_seeds = [np.mean([t.detection.auroc.value for t in of_method if t.seed == seed]) for seed in seeds]
        deviation = f" ± {np.std(of_seeds, ddof=1):.4f}" if len(seeds) > 1 else ""
        means.append(f"{np.mean(of_seeds):.4f}{deviation}, {precision:.4f}")
    table.add_section()
    table.add_row("mean" if len(seeds) == 1 else f"mean ± deviation over {len(seeds)} seeds", "", *means)
    return table
