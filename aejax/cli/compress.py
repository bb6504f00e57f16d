"""Compress test examples with a trained autoencoder's quantized codes; PCA and image files are baselines."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from aejax.cli import command_line
from aejax.cli.figure_options import FigureOptions
from aejax.cli.opened import RunOptions
from aejax.host.files import write_text
from aejax.host.optional import optional

if TYPE_CHECKING:  # imported where they are used, so that --help answers at once
    from rich.table import Table

    from aejax.evaluation.compression import RatePoint
    from aejax.experiment.compress import Compression

DESCRIPTION = """Compress test examples with a trained autoencoder's quantized codes, and compare with other methods.

  aejax compress runs/NAME rates                        1 to 8 bits per unit of the code, and a range of step sizes
  aejax compress runs/NAME rates --bits 4 6 --examples 500

Codes are quantized by two methods. "32 x 4": each of 32 units to 4 bits over its range in the training examples. "step
0.5": rotated and scaled by the decoder's Jacobian, so that errors are those of decoded examples, and rounded to
multiples of one step (codes of up to 1,024 units). The rate of both is the length that an arithmetic coder with the
training examples' frequencies would need. Baselines are PCA and, for images, JPEG and WebP. PCA's components (a quarter
to eight times the number of the code's units, the best number at each rate) are quantized by both methods. JPEG and
WebP write one file per image, or one sheet with all images. The rates do not include decoders, components and
frequencies.

The folder written holds compression.json and rate_distortion.png."""


@dataclass(frozen=True)
class Options(FigureOptions, RunOptions):
    """What to compress, and with which run."""

    folder: tyro.conf.Positional[Path]
    """The folder to write, which must not exist yet."""
    bits: tuple[int, ...] = (1, 2, 3, 4, 5, 6, 8)
    """Bits per unit of the code."""
    examples: int = 1000
    """Maximum number of test examples; the first ones are used."""


def main(arguments: Sequence[str]) -> None:
    """Parse, measure, print and write."""
    options = command_line.parse(Options, arguments, description=DESCRIPTION)
    from aejax.experiment.compress import check_compression, compress, draw_rate_distortion
    from aejax.experiment.progress import working
    from aejax.host.terminal import PlainConsole
    from aejax.plots import save_figure

    check_compression(bits=options.bits, examples=options.examples)
    command_line.check_free(options.folder)
    console = PlainConsole()
    with working(console, "opening the run"):
        run = options.open_run()
    with working(console, "compressing by every method"):
        compression = compress(run, bits=options.bits, examples=options.examples)
    notes = list(compression.notes)
    methods = {name: [point._asdict() for point in points] for name, points in compression.methods.items()}
    report = {
        "run": str(run.path),
        "test_examples": compression.test_examples,
        "numbers_per_example": compression.numbers,
        "peak": compression.peak,
        "methods": methods,
        **({"notes": notes} if notes else {}),
    }
    title = f"{compression.test_examples:,} test examples of {run.experiment.data.dataset}"
    with command_line.new_folder(options.folder) as folder:
        write_text(folder / "compression.json", json.dumps(report, indent=2) + "\n")
        with optional("figure", notes.append):
            figure = draw_rate_distortion(compression, title=title)
            save_figure(figure, folder, "rate_distortion", file_format=options.format)
    console.print(_table(compression, title))
    for line in (*_verdict(compression.methods), *notes):
        console.print(line)
    console.print(f"the figures are in {options.folder}")


def _table(compression: "Compression", title: str) -> "Table":
    """Returns a table: a row for each setting of the autoencoder, with the baselines' results at the same rate."""
    from rich.table import Table

    from aejax.evaluation.compression import error_at
    from aejax.evaluation.denoising import peak_signal_to_noise_ratio

    methods, peak = compression.methods, compression.peak
    ours, *others = methods
    table = Table(
        title=f"{title}: peak signal-to-noise ratio in dB at equal bits (-: needs more bits)", title_justify="left"
    )
    table.add_column("setting", no_wrap=True)
    for name in ("bits per example", "bits per value", ours, *others):
        table.add_column(name, justify="right")
    for point in sorted(methods[ours], key=lambda point: point.bits):
        errors = [error_at(methods[name], point.bits) for name in others]
        table.add_row(
            point.setting,
            f"{point.bits:.1f}",
            f"{point.bits / compression.numbers:.3f}",
            f"{peak_signal_to_noise_ratio(point.squared_error, peak):.2f}",
            *("-" if error is None else f"{peak_signal_to_noise_ratio(error, peak):.2f}" for error in errors),
        )
    return table


def _verdict(methods: "dict[str, list[RatePoint]]") -> list[str]:
    """Returns a line for each baseline: the rates at which it is better than the autoencoder, each at its best."""
    from aejax.evaluation.compression import rates_where_better

    lines = []
    ours, *others = methods
    for name in others:
        lowest, least = (min(point.bits for point in methods[method]) for method in (name, ours))
        line = f"{name}: needs at least {lowest:,.0f} bits per example; " if lowest > least else f"{name}: "
        better = rates_where_better(methods[name], methods[ours])
        if not better:
            line += "worse than the autoencoder at every rate that both reach"
        elif better == [(max(lowest, least), math.inf)]:
            line += "better than the autoencoder at every rate that both reach"
        else:
            ranges = [
                f"from {low:,.0f} on" if high == math.inf else f"{low:,.0f} to {high:,.0f}" for low, high in better
            ]
            line += f"better than the autoencoder at these bits per example: {', '.join(ranges)}"
        lines.append(line)
    return lines
