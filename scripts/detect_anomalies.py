"""Score examples by how little they are like those that an autoencoder was trained on, and say which are anomalies."""

import csv
import json
import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from aejax.cli import command_line
from aejax.errors import UserError
from aejax.host.files import write_text
from aejax.host.optional import optional

if TYPE_CHECKING:  # imported where they are used, so that --help answers at once
    import numpy as np
    from rich.table import Table

    from aejax.datasets.dataset import Dataset
    from aejax.evaluation.anomaly import Detection
    from aejax.experiment.trained import TrainedRun

DESCRIPTION = """Score examples by how little they are like those that an autoencoder was trained on.

  detect_anomalies.py runs/NAME data.npy found                          score examples of your own
  detect_anomalies.py runs/NAME data.npy found --anomalies truth.npy    and tell how well that went
  detect_anomalies.py runs/NAME --test found                            the run's test examples: those of a class that
                                                                        it was not trained on are anomalies

The score is the squared error of the reconstruction, of a variational run the negative evidence lower bound; the same
run gives the same example the same score every time. What scores above a quantile of the run's validation examples is
taken for an anomaly.

The folder written holds scores.csv, summary.json and scores.png."""


@dataclass(frozen=True)
class Options:
    """What to score by which run."""

    run: tyro.conf.Positional[Path]
    """The run folder."""
    input: tyro.conf.Positional[Path | None] = None
    """Examples: a .npy file, or a .npz file with an entry x."""
    folder: tyro.conf.Positional[Path | None] = None
    """The folder to write, which must not exist yet."""
    test: Path | None = None
    """Score the run's own test examples, and write this folder."""
    anomalies: Path | None = None
    """A .npy file that holds 0 for every normal example and another integer for every anomaly."""
    labels: Path | None = None
    """A .npy file with the class of every example, for a conditional run."""
    any_scale: bool = False
    """Take examples though their values are not on the scale of the training data, as anomalies may be."""
    quantile: float = 0.95
    """Of the validation examples' scores: the part of normal examples that is to stay unsuspected. N validation
    examples have quantiles up to 1 - 1/N; a finer one is their largest score, and the output says so."""
    samples: int = 16
    """Of the posterior of a variational run, for every example."""


def main() -> None:
    """Parse, score, write, and tell."""
    options = command_line.parse(Options, sys.argv[1:], description=DESCRIPTION)
    folder = _check(options)

    from aejax import plots
    from aejax.datasets.stored import blocks_of
    from aejax.evaluation.anomaly import MAX_SCORE, anomaly_scores, is_finer_than, measure_detection, threshold_of
    from aejax.experiment.trained import load_examples, open_run
    from aejax.host.memory import check_fits
    from aejax.host.terminal import PlainConsole
    from aejax.likelihoods import check_support

    console = PlainConsole()
    run = open_run(options.run)
    if options.input is None:
        examples, name = run.splits.test, f"the test examples of {run.path}"
    else:
        examples, name = (
            load_examples(run, options.input, options.labels, any_scale=options.any_scale),
            str(options.input),
        )
    truth = _truth(run, options, len(examples.x))
    distributions = run.autoencoder.variational
    if distributions is not None:
        for block in blocks_of(examples.x):
            check_support(distributions.likelihood, block, name, advice="scale them as those of the run")

    # a score takes the samples of up to 500 examples at once
    size = 4 * options.samples * min(500, len(examples.x)) * math.prod(run.example_shape)
    check_fits(size, f"{options.samples:,} samples of every example", advice="use fewer --samples")

    def scores_of(part: "Dataset") -> "np.ndarray":
        conditions = run.conditions_of(part)
        key, samples = run.keys.evaluation, options.samples
        return anomaly_scores(run.autoencoder, run.params, key, part.x, *conditions, inputs=part.input, samples=samples)

    validation_scores = scores_of(run.splits.validation)
    threshold = threshold_of(validation_scores, quantile=options.quantile)
    scores = scores_of(examples)
    unit = "squared error per example" if distributions is None else "negative bound, nats per example"
    summary = {"run": str(run.path), "examples": name, "score": unit, "quantile": options.quantile}
    summary |= {"threshold": threshold, "above": int((scores > threshold).sum()), "scored": len(scores)}
    summary |= {"validation_examples": len(validation_scores)}
    detection: Detection | None = None
    notes: list[str] = []
    if truth is not None:
        with optional("measures of detection", notes.append):
            detection = measure_detection(scores, truth, threshold=threshold)
    if detection is not None:
        summary |= {name: getattr(v, "_asdict", lambda v=v: v)() for name, v in detection._asdict().items()}
    if is_finer_than(options.quantile, len(validation_scores)):
        notes.append(
            f"{len(validation_scores):,} validation examples have no quantile {options.quantile:g}: the threshold is "
            "the largest of their scores"
        )
    with command_line.new_folder(folder) as written:
        _write_scores(written / "scores.csv", scores, threshold, truth)
        write_text(written / "summary.json", json.dumps(summary | ({"notes": notes} if notes else {}), indent=2) + "\n")
        with optional("figures", notes.append):
            kinds = None if detection is None else truth
            figure = plots.anomaly_scores(validation_scores, scores, kinds, threshold=threshold, unit=unit)
            figure.savefig(written / "scores.png", dpi=150)
    if beyond := int((scores >= MAX_SCORE).sum()):
        console.print(f"{beyond:,} scores exceed single precision and are replaced by {MAX_SCORE:.4g}")

    console.print(
        f"{name}: {summary['above']:,} of {len(scores):,} score above {threshold:.4g}, the {options.quantile:g} "
        f"quantile of {len(validation_scores):,} validation examples ({unit})",
    )
    if detection is not None:
        console.print(_table(detection, len(scores)))
    for note in notes:
        console.print(note)
    console.print(f"scores and figures are in {folder}")


def _check(options: Options) -> Path:
    """The folder to write; UserError where the options do not go together, before anything is loaded."""
    if (options.test is None) == (options.input is None):
        raise UserError("give a file and a folder to write, or --test FOLDER for the run's own test examples")
    if options.test is not None and (options.anomalies is not None or options.labels is not None):
        raise UserError("--test takes the run's own labels: leave --anomalies and --labels out")
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


def _truth(run: "TrainedRun", options: Options, examples: int) -> "np.ndarray | None":
    """Whether each example is an anomaly, where that is known: by file, or by a class that was not trained on."""
    import numpy as np

    from aejax.datasets.arrays import load_labels

    if options.anomalies is not None:
        given = load_labels(options.anomalies, examples)
        if given.dtype.kind == "U":
            raise UserError(f"{options.anomalies}: must hold 0 for every normal example and another integer, got text")
        return np.not_equal(given, 0)
    train, test = run.splits.train.labels, run.splits.test.labels
    if options.input is not None or train is None or test is None:
        return None
    return ~np.isin(test, np.unique(train))


def _write_scores(path: Path, scores: "np.ndarray", threshold: float, truth: "np.ndarray | None") -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["index", "score", "above_threshold", *([] if truth is None else ["is_anomaly"])])
        for index, score in enumerate(scores):
            known = [] if truth is None else [int(truth[index])]
            writer.writerow([index, f"{score:.9g}", int(score > threshold), *known])


def _table(detection: "Detection", examples: int) -> "Table":
    from rich.table import Table

    anomalies = round(detection.prevalence * examples)
    table = Table(title=f"{anomalies:,} anomalies among {examples:,} examples", title_justify="left")
    table.add_column("")
    table.add_column("value", justify="right")
    table.add_column("95 % interval", justify="right")
    for name, interval in {"AUROC": detection.auroc, "average precision": detection.average_precision}.items():
        table.add_row(name, f"{interval.value:.4f}", f"{interval.low:.4f} to {interval.high:.4f}")
    table.add_row("average precision of no knowledge", f"{detection.prevalence:.4f}", "")
    table.add_row("anomalies above the threshold", f"{detection.recall:.4f}", "")
    table.add_row("normal examples above it", f"{detection.false_positive_rate:.4f}", "")
    precision = "none above" if detection.precision is None else f"{detection.precision:.4f}"
    table.add_row("anomalies among all above it", precision, "")
    return table


if __name__ == "__main__":
    command_line.run(main)
