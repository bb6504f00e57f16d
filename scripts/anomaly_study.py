"""Train on normal examples alone and tell anomalies, over classes or splits, beside PCA and an isolation forest."""

import csv
import dataclasses
import io
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from aejax import command_line
from aejax.configuration import Experiment, check, to_json
from aejax.errors import UserError
from aejax.presets import ONE_CLASS

if TYPE_CHECKING:  # imported where they are used, so that --help answers at once
    from rich.table import Table

    from aejax.datasets.dataset import Splits
    from aejax.one_class import Trial

DEFAULT = "ecg5000"
DESCRIPTION = f"""Train on normal examples alone and tell anomalies, beside PCA and an isolation forest.

  anomaly_study.py                         ECG5000: 200 normal beats, 5 splits
  anomaly_study.py mnist                   each class of MNIST against the rest, in turn
  anomaly_study.py mnist --classes 3 8     some of them

The test part is neither trained on nor used to choose the best epoch. PCA has as many components as a code has numbers.
The folder written holds trials.csv, report.txt and config.json.

Studies:
{chr(10).join(f"  {name:15}{description}" for name, (description, _) in ONE_CLASS.items())}

The values shown below are those of the study named before --help."""

WIDTH = 140  # of the table, which a narrower terminal wraps


@dataclass(frozen=True)
class Options:
    """What to train, how often, and where to write."""

    experiment: Experiment = field(default_factory=Experiment)
    classes: tuple[int, ...] = ()
    """Each in turn is normal, the others are anomalies; all if not given. Of ecg5000 normal beats are normal."""
    repetitions: int | None = None
    """ecg5000: splits, each with a seed of its own; 5 if not given. Others: training seeds for every class; 1."""
    resamples: int = 200
    """Of the bootstrap that the intervals are from."""
    run_dir: Path | None = None
    """The folder to write, which must not exist yet; runs/anomaly-study-NAME-DATE-TIME if not given."""


def main() -> None:
    """Parse, train and measure, write, and tell."""
    started = time.perf_counter()
    options, name = _parse(sys.argv[1:])
    folder = options.run_dir or Path("runs") / f"anomaly-study-{name}-{datetime.now():%Y%m%d-%H%M%S}"
    if folder.exists():
        raise UserError(f"{folder}: exists already; take another --run-dir")

    from rich.console import Console

    from aejax.one_class import compare

    console = Console(highlight=False, soft_wrap=True)
    components = options.experiment.model.code_size
    if components is None:
        raise UserError("code_size: PCA has as many components as the code has numbers: give one")
    trials: list[Trial] = []
    for normal, experiment, splits in _tasks(options):
        trials += compare(experiment, splits, normal=normal, components=components, resamples=options.resamples)
        found = ", ".join(f"{trial.method} {trial.detection.auroc.value:.4f}" for trial in trials[-3:])
        console.print(f"{normal}, seed {experiment.training.seed}: AUROC {found}", markup=False)
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(to_json(options.experiment))
    (folder / "trials.csv").write_text(_to_csv(trials))
    report = Console(file=io.StringIO(), record=True, width=WIDTH, highlight=False)
    for out in (Console(width=max(console.width, WIDTH), highlight=False, soft_wrap=True), report):
        out.print(_table(name, trials))
    (folder / "report.txt").write_text(report.export_text())
    console.print(f"{time.perf_counter() - started:.1f} s in all; the study is in {folder}", markup=False)


def _parse(arguments: Sequence[str]) -> tuple[Options, str]:
    """The options and the study's name."""
    name, arguments = command_line.take_name(arguments, ONE_CLASS, default=DEFAULT, kind="study", kinds="studies")
    options = command_line.parse(
        Options,
        arguments,
        default=Options(ONE_CLASS[name][1]),
        program=f"anomaly_study.py [{name}]",
        description=DESCRIPTION,
    )
    check(options.experiment)
    if options.repetitions is not None and options.repetitions < 1:
        raise UserError(f"--repetitions: must be at least 1, got {options.repetitions}")
    if options.classes and options.experiment.data.dataset == "ecg5000":
        raise UserError("--classes: normal beats of ecg5000 are those of class 1")
    if options.resamples < 1:
        raise UserError(f"--resamples: must be at least 1, got {options.resamples}")
    return options, name


def _tasks(options: Options) -> "Iterator[tuple[str, Experiment, Splits]]":
    """What is normal, how to train, and the data, for every trial."""
    import numpy as np

    from aejax.experiment import load_splits
    from aejax.one_class import one_class

    experiment = options.experiment
    data, first = experiment.data, experiment.training.seed
    if data.dataset == "ecg5000":
        for seed in range(first, first + (options.repetitions or 5)):
            data = dataclasses.replace(data, split_seed=seed)
            training = dataclasses.replace(experiment.training, seed=seed)
            yield "normal beats", dataclasses.replace(experiment, data=data, training=training), load_splits(data)
        return
    splits = load_splits(data)
    if splits.train.labels is None:
        raise UserError(f"{data.dataset}: has no labels, and one class is to be told from the others")
    for label in options.classes or np.unique(splits.train.labels).tolist():
        for seed in range(first, first + (options.repetitions or 1)):
            training = dataclasses.replace(experiment.training, seed=seed)
            yield f"class {label}", dataclasses.replace(experiment, training=training), one_class(splits, label)


def _to_csv(trials: "list[Trial]") -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    figures = ("auroc", "average_precision")
    limits = [f"{figure}{end}" for figure in figures for end in ("", "_low", "_high")]
    others = ("prevalence", "recall", "false_positive_rate", "precision")
    writer.writerow(["normal", "seed", "method", *limits, *others])
    for trial in trials:
        values = [value for figure in figures for value in getattr(trial.detection, figure)]
        values += [getattr(trial.detection, other) for other in others]
        writer.writerow([trial.normal, trial.seed, trial.method, *values])
    return text.getvalue()


def _table(name: str, trials: "list[Trial]") -> "Table":
    """A row per trial: AUROC of every method with its interval; the means, with the deviation over the trials."""
    import numpy as np
    from rich.table import Table

    from aejax.one_class import METHODS

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
    means = []
    for place in range(len(METHODS)):
        values = [[row[place].detection.auroc.value, row[place].detection.average_precision.value] for row in rows]
        (auroc, precision), (deviation, _) = np.mean(values, axis=0), np.std(values, axis=0, ddof=len(rows) > 1)
        means.append(f"{auroc:.4f} ± {deviation:.4f}, {precision:.4f}")
    table.add_section()
    table.add_row("mean", "", *means)
    return table


if __name__ == "__main__":
    command_line.run(main)
