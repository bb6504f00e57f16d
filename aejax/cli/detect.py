"""Score examples by how much they differ from an autoencoder's training data, and detect anomalies."""

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import tyro

from aejax.cli import command_line
from aejax.cli.figure_options import FigureOptions
from aejax.cli.opened import RunOptions
from aejax.errors import UserError
from aejax.host.files import write_text
from aejax.host.optional import optional

if TYPE_CHECKING:  # imported where they are used, so that --help answers at once
    import numpy as np
    from rich.table import Table

    from aejax.evaluation.anomaly import Detection
    from aejax.experiment.detect import Detected

DESCRIPTION = """Score examples by how much they differ from the training data, and detect anomalies.

  aejax detect runs/NAME data.npy found                         score your own examples
  aejax detect runs/NAME data.npy found --anomalies truth.npy   and measure how well anomalies are detected
  aejax detect runs/NAME --test found                           score the run's test examples; those of a class that it
                                                                was not trained on are anomalies

The score is the squared error of the reconstruction, or the negative evidence lower bound of a variational run. It is
deterministic: the same run gives the same example the same score. An example is detected as an anomaly if its score is
above a quantile of the validation examples' scores.

The folder written holds scores.csv, summary.json and scores.png; for a table also rows.csv, its rows with their
scores. Of a folder of images, scores.csv has the names of the files, and the highest scores are printed."""

_MAX_LISTED = 10  # files that are printed


@dataclass(frozen=True)
class Options(FigureOptions, RunOptions):
    """What to score, and with which run."""

    input: tyro.conf.Positional[Path | None] = None
    """Examples: a .npy file, a .npz file with an entry x, a folder of images, or an image; for a run on a
    table a .csv, .tsv or .parquet file."""
    folder: tyro.conf.Positional[Path | None] = None
    """The folder to write, which must not exist yet."""
    test: Path | None = None
    """Score the run's own test examples, and write the results to this folder."""
    anomalies: Path | None = None
    """A .npy file that holds 0 for every normal example and another integer for every anomaly."""
    labels: Path | None = None
    """A .npy file with the class of every example, for a conditional run."""
    any_scale: bool = False
    """Accept examples whose values are not on the scale of the training data, as those of anomalies may be."""
    unknown_categories: Literal["refuse", "missing"] | None = None
    """A table: how a category that no training row has is read; as in the run's configuration if not given."""
    quantile: float = 0.95
    """Quantile of the validation examples' scores that is the threshold: the fraction of normal examples below it. N
    validation examples have quantiles up to 1 - 1/N; above that the threshold is their largest score, and the output
    says so."""
    samples: int = 16
    """Samples of a variational run's posterior, per example."""


def main(arguments: Sequence[str]) -> None:
    """Parse, score, write, and print how many are anomalies."""
    options = command_line.parse(Options, arguments, description=DESCRIPTION)
    folder = _check(options)

    from aejax.evaluation.anomaly import MAX_SCORE
    from aejax.experiment.at_use import load_examples
    from aejax.experiment.detect import detect, draw_scores
    from aejax.experiment.progress import working
    from aejax.host.terminal import PlainConsole
    from aejax.plots import save_figure

    console = PlainConsole()
    with working(console, "opening the run"):
        run = options.open_run()
    if options.input is None:
        name = f"the test examples of {run.path}"
        with working(console, "scoring examples"):
            detected = detect(run, quantile=options.quantile, samples=options.samples, name=name)
    else:
        name = str(options.input)
        examples = load_examples(
            run,
            options.input,
            options.labels,
            any_scale=options.any_scale,
            unknown_categories=options.unknown_categories,
        )
        anomalies = None if options.anomalies is None else _load_anomalies(options.anomalies, len(examples.x))
        with working(console, "scoring examples"):
            detected = detect(run, examples, anomalies, quantile=options.quantile, samples=options.samples, name=name)
    scores, threshold, detection = detected.scores, detected.threshold, detected.detection
    validation_examples, notes = len(detected.validation_scores), list(detected.notes)
    summary = {"run": str(run.path), "examples": name, "score": detected.unit, "quantile": options.quantile}
    summary |= {"threshold": threshold, "above": int((scores > threshold).sum()), "scored": len(scores)}
    summary |= {"validation_examples": validation_examples}
    if detection is not None:
        summary |= {name: getattr(v, "_asdict", lambda v=v: v)() for name, v in detection._asdict().items()}
    files = _names_of_files(options.input)
    with command_line.new_folder(folder) as written:
        _write_scores(written / "scores.csv", detected, files)
        if run.facts.columns is not None and options.input is not None:
            _write_table(written / "rows.csv", options.input, detected)
        write_text(written / "summary.json", json.dumps(summary | ({"notes": notes} if notes else {}), indent=2) + "\n")
        with optional("figures", notes.append):
            save_figure(draw_scores(detected), written, "scores", file_format=options.format)
    if beyond := int((scores >= MAX_SCORE).sum()):
        console.print(f"{beyond:,} scores exceed the range of single precision and are replaced by {MAX_SCORE:.4g}")

    console.print(
        f"{name}: {summary['above']:,} of {len(scores):,} score above {threshold:.4g}, the {options.quantile:g} "
        f"quantile of {validation_examples:,} validation examples ({detected.unit})",
    )
    for line in _highest(detected, files):
        console.print(line)
    if detection is not None:
        console.print(_table(detection, len(scores)))
    for note in notes:
        console.print(note)
    console.print(f"scores and figures are in {folder}")


def _check(options: Options) -> Path:
    """Returns the folder to write; UserError for options that cannot be combined, before anything is loaded."""
    if (options.test is None) == (options.input is None):
        raise UserError("give a file and a folder to write, or --test FOLDER for the run's own test examples")
    if options.test is not None and (options.anomalies is not None or options.labels is not None):
        raise UserError("--test uses the run's own labels: leave --anomalies and --labels out")
    if options.test is None and options.folder is None:
        raise UserError("name the folder to write after the file")
    if not 0 < options.quantile <= 1:
        raise UserError(f"--quantile: must be above 0 and at most 1, got {options.quantile:g}")
    if options.samples < 1:
        raise UserError(f"--samples: must be at least 1, got {options.samples}")
    folder = options.test or options.folder
    assert folder is not None
    command_line.check_free(folder)
    return folder


def _load_anomalies(path: Path, examples: int) -> "np.ndarray":
    """Returns whether each example is an anomaly, from a file of integers."""
    import numpy as np

    from aejax.datasets.arrays import load_labels

    labels = load_labels(path, examples)
    if labels.dtype.kind == "U":
        raise UserError(f"{path}: must hold 0 for every normal example and another integer, got text")
    return np.not_equal(labels, 0)


def _names_of_files(given: Path | None) -> list[str] | None:
    """Returns the names of the images in a folder, in the order of the scores; None if no folder is given."""
    if given is None or not given.is_dir():
        return None
    from aejax.datasets.image_folder import files_of

    return [path.relative_to(given).as_posix() for path in files_of(given)[0]]


def _highest(detected: "Detected", files: list[str] | None) -> list[str]:
    """Returns lines with the files that score above the threshold, the highest first."""
    if files is None:
        return []
    order = sorted(range(len(files)), key=lambda index: -detected.scores[index])
    above = [index for index in order if detected.scores[index] > detected.threshold]
    lines = [f"  {files[index]}: {detected.scores[index]:.4g}" for index in above[:_MAX_LISTED]]
    more = len(above) - len(lines)
    return lines + ([f"  and {more:,} others, in scores.csv"] if more else [])


def _write_scores(path: Path, detected: "Detected", files: list[str] | None) -> None:
    truth = detected.anomalies
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        named, known = [] if files is None else ["file"], [] if truth is None else ["is_anomaly"]
        writer.writerow(["index", *named, "score", "above_threshold", *known])
        for index, score in enumerate(detected.scores):
            name, label = [] if files is None else [files[index]], [] if truth is None else [int(truth[index])]
            writer.writerow([index, *name, f"{score:.9g}", int(score > detected.threshold), *label])


def _write_table(path: Path, table: Path, detected: "Detected") -> None:
    """Write the user's table with the score of every row."""
    import polars as pl

    from aejax.experiment.tables_at_use import read_frame, write_frame

    frame = read_frame(table)
    columns = [pl.Series("score", detected.scores), pl.Series("above_threshold", detected.scores > detected.threshold)]
    with path.open("wb") as file:
        write_frame(frame.with_columns(*columns), file, path)


def _table(detection: "Detection", examples: int) -> "Table":
    from rich.table import Table

    anomalies = round(detection.prevalence * examples)
    table = Table(title=f"{anomalies:,} anomalies among {examples:,} examples", title_justify="left")
    table.add_column("")
    table.add_column("value", justify="right")
    table.add_column("95 % interval", justify="right")
    for name, interval in {"AUROC": detection.auroc, "average precision": detection.average_precision}.items():
        table.add_row(name, f"{interval.value:.4f}", f"{interval.low:.4f} to {interval.high:.4f}")
    table.add_row("average precision of random scores", f"{detection.prevalence:.4f}", "")
    table.add_row("recall: anomalies above the threshold", f"{detection.recall:.4f}", "")
    table.add_row("false positive rate: normal examples above it", f"{detection.false_positive_rate:.4f}", "")
    precision = "none above" if detection.precision is None else f"{detection.precision:.4f}"
    table.add_row("precision: anomalies among examples above it", precision, "")
    return table
