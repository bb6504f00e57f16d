"""Compress test examples with a trained autoencoder's quantized codes, beside principal components and image files."""

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

    from aejax.datasets.dataset import Splits
    from aejax.evaluation.compression import RatePoint
    from aejax.experiment.trained import TrainedRun

DESCRIPTION = """Compress test examples with a trained autoencoder's quantized codes, beside other ways.

  compress.py runs/NAME rates                        codes of 1 to 8 bits a unit, and of many steps
  compress.py runs/NAME rates --bits 4 6 --examples 500

Codes are quantized in two ways. "32 x 4": each of 32 units to 4 bits over its range in the training examples. "step
0.5": turned and scaled, by the decoder's Jacobian, so that errors are those of decoded examples, and rounded to
multiples of one step (codes of up to 1,024 units). Both cost what an arithmetic coder with the training examples'
frequencies would spend. Beside it stand PCA, its components quantized in both ways, the best at each rate (a quarter
to eight times as many as the code has units), and JPEG and WebP, a file for each image or one sheet with all. What
decoder, components and frequencies take is not counted, nor is what JPEG's decoder takes.

The folder written holds compression.json and rate_distortion.png."""

QUALITIES = (1, 2, 5, 10, 20, 40, 60, 80, 95)
STEPS = tuple(2 ** (-power / 2) for power in range(13))  # from 1 to 1/64
METRIC_EXAMPLES = 500  # to train on, over which the decoder's metric is averaged
MOST_UNITS = 1024  # of a code, for a metric of that many rows and columns
OURS = "autoencoder"


@dataclass(frozen=True)
class Options:
    """What to compress by which run."""

    run: tyro.conf.Positional[Path]
    """The run folder."""
    folder: tyro.conf.Positional[Path]
    """The folder to write, which must not exist yet."""
    bits: tuple[int, ...] = (1, 2, 3, 4, 5, 6, 8)
    """Of each unit of the code."""
    examples: int = 1000
    """Test examples at most, the first."""


def main() -> None:
    """Parse, measure, print and write."""
    options = command_line.parse(Options, sys.argv[1:], description=DESCRIPTION)
    _check(options)
    import numpy as np

    from aejax import plots
    from aejax.datasets.dataset import Splits, in_memory, take
    from aejax.evaluation.compression import best_settings
    from aejax.evaluation.denoising import peak_signal_to_noise_ratio
    from aejax.experiment.trained import check_no_pairs, open_run
    from aejax.host.terminal import PlainConsole

    console = PlainConsole()
    run = open_run(options.run)
    check_no_pairs(run, what="compress")
    some = take(run.splits.test, np.arange(min(options.examples, len(run.splits.test.x))))
    splits = Splits(*map(in_memory, run.splits._replace(test=some)))
    low, high = float(splits.train.x.min()), float(splits.train.x.max())
    if low == high:
        raise UserError(f"{run.experiment.data.dataset}: all numbers are {low:g}, there is nothing to compress")
    notes: list[str] = []
    ways = {OURS: _autoencoder(run, splits, options.bits)}
    with optional("PCA", notes.append):
        ways["PCA"] = _pca(run, splits, options.bits)
    if plots.is_image(run.example_shape) and low >= 0 and high <= 1:
        ways |= _image_files(splits.test.x, notes)
    numbers, peak = math.prod(run.example_shape), high - low
    report = {
        "run": str(run.path),
        "test_examples": len(splits.test.x),
        "numbers_per_example": numbers,
        "peak": peak,
        "ways": {name: [point._asdict() for point in points] for name, points in ways.items()},
        **({"notes": notes} if notes else {}),
    }
    curves = {}
    for name, points in ways.items():
        best = best_settings(points)
        ratios = [peak_signal_to_noise_ratio(point.squared_error, peak) for point in best]
        curves[name] = [point.bits / numbers for point in best], ratios
    title = f"{len(splits.test.x):,} test examples of {run.experiment.data.dataset}"
    with command_line.new_folder(options.folder) as folder:
        write_text(folder / "compression.json", json.dumps(report, indent=2) + "\n")
        with optional("figure", notes.append):
            plots.rate_distortion(curves, title=title).savefig(folder / "rate_distortion.png", dpi=150)
    console.print(_table(ways, numbers, peak, title))
    for line in _verdict(ways):
        console.print(line)
    for note in notes:
        console.print(note)
    console.print(f"the figures are in {options.folder}")


def _check(options: Options) -> None:
    """Raise UserError where an option cannot be, before anything is loaded."""
    if wrong := [bits for bits in options.bits if not 1 <= bits <= 16]:
        raise UserError(f"--bits: must be between 1 and 16, got {wrong[0]}")
    if not options.bits:
        raise UserError("--bits: give at least one number")
    if options.examples < 1:
        raise UserError(f"--examples: must be at least 1, got {options.examples}")
    command_line.check_free(options.folder)


def _autoencoder(run: "TrainedRun", splits: "Splits", bits: tuple[int, ...]) -> "list[RatePoint]":
    from aejax.datasets.dataset import Splits
    from aejax.evaluation.compression import rate_of_codes
    from aejax.evaluation.transform_coding import fit_transform, mean_pullback_metric, rate_of_transformed_codes

    codes = Splits(*(part._replace(x=run.encode(part)) for part in splits))

    def decode(codes: "np.ndarray") -> "np.ndarray":
        return run.decode(splits.test._replace(x=codes))

    points = rate_of_codes(codes, decode, splits.test.x, bits=bits)
    units = math.prod(run.code_shape)
    if units > MOST_UNITS:
        return points
    some = (codes.train.x[:METRIC_EXAMPLES], *(c[:METRIC_EXAMPLES] for c in run.conditions_of(splits.train)))
    metric = mean_pullback_metric(run.autoencoder, run.params, *some)
    transform = fit_transform(codes.train.x.reshape(-1, units), metric)
    return points + rate_of_transformed_codes(codes, transform, decode, splits.test.x, steps=STEPS)


def _pca(run: "TrainedRun", splits: "Splits", bits: tuple[int, ...]) -> "list[RatePoint]":
    import numpy as np

    from aejax.datasets.dataset import Splits
    from aejax.evaluation.compression import rate_of_codes
    from aejax.evaluation.principal import fit_pca
    from aejax.evaluation.transform_coding import fit_transform, rate_of_transformed_codes

    flat = Splits(*(part._replace(x=part.x.reshape(len(part.x), -1)) for part in splits))
    units, most = math.prod(run.code_shape), min(flat.train.x.shape)
    points = []
    for components in sorted({min(max(1, int(units * factor)), most) for factor in (0.25, 0.5, 1, 2, 4, 8)}):
        analysis = fit_pca(flat.train.x, components, random_state=0)
        codes = Splits(*(part._replace(x=analysis.transform(part.x)) for part in flat))
        points += rate_of_codes(codes, analysis.inverse_transform, flat.test.x, bits=bits)
    transform = fit_transform(codes.train.x, np.eye(components))
    return points + rate_of_transformed_codes(codes, transform, analysis.inverse_transform, flat.test.x, steps=STEPS)


def _image_files(images: "np.ndarray", notes: list[str]) -> "dict[str, list[RatePoint]]":
    """Of each format and way to lay images out; where one cannot hold these images, a note says why."""
    from aejax.evaluation.compression import rate_of_image_files

    ways = {}
    for name in ("JPEG", "WebP"):
        for what, as_sheet in (("a file each", False), ("one sheet", True)):
            with optional(f"{name}, {what}", notes.append):
                points = rate_of_image_files(images, file_format=name, qualities=QUALITIES, as_sheet=as_sheet)
                ways[f"{name}, {what}"] = points
    return ways


def _table(ways: "dict[str, list[RatePoint]]", numbers: int, peak: float, title: str) -> "Table":
    """A row for each setting of the autoencoder, and what the others reach with as many bits."""
    from rich.table import Table

    from aejax.evaluation.compression import error_at
    from aejax.evaluation.denoising import peak_signal_to_noise_ratio

    ours, *others = ways
    table = Table(
        title=f"{title}: peak signal-to-noise ratio in dB at equal bits (-: takes more)", title_justify="left"
    )
    table.add_column("setting", no_wrap=True)
    for name in ("bits per example", "per number", ours, *others):
        table.add_column(name, justify="right")
    for point in sorted(ways[ours], key=lambda point: point.bits):
        errors = [error_at(ways[name], point.bits) for name in others]
        table.add_row(
            point.setting,
            f"{point.bits:.1f}",
            f"{point.bits / numbers:.3f}",
            f"{peak_signal_to_noise_ratio(point.squared_error, peak):.2f}",
            *("-" if error is None else f"{peak_signal_to_noise_ratio(error, peak):.2f}" for error in errors),
        )
    return table


def _verdict(ways: "dict[str, list[RatePoint]]") -> list[str]:
    """In words: at which rates each of the others is better than the autoencoder, the best settings of both taken."""
    from aejax.evaluation.compression import rates_where_better

    lines = []
    ours, *others = ways
    for name in others:
        lowest, least = (min(point.bits for point in ways[way]) for way in (name, ours))
        line = f"{name}: takes {lowest:,.0f} bits per example at least; " if lowest > least else f"{name}: "
        better = rates_where_better(ways[name], ways[ours])
        if not better:
            line += "worse than the autoencoder at every rate that both reach"
        elif better == [(max(lowest, least), math.inf)]:
            line += "better than the autoencoder at every rate that both reach"
        else:
            stretches = [
                f"{low:,.0f} and more" if high == math.inf else f"{low:,.0f} to {high:,.0f}" for low, high in better
            ]
            line += f"better than the autoencoder at these bits per example: {', '.join(stretches)}"
        lines.append(line)
    return lines


if __name__ == "__main__":
    command_line.run(main)
