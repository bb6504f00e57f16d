"""The signal-to-noise ratio of the gradients of importance weighted bounds, by the number of samples."""

import io
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from aejax.cli import command_line
from aejax.cli.figure_options import FigureOptions
from aejax.errors import UserError
from aejax.host.files import write_text
from aejax.host.optional import optional

if TYPE_CHECKING:  # imported where they are used, so that --help answers at once
    from rich.table import Table

    from aejax.studies.gradient_noise.measure import Exponent, Point, Setting

DESCRIPTION = """Measure the signal-to-noise ratio of the gradients of importance weighted bounds.

  aejax study gradient-noise                                     plain and doubly reparameterized gradients
  aejax study gradient-noise --gradients plain dreg stl          the path gradient too, which is biased
  aejax study gradient-noise --dimensions 20 --offset 0.01       as published: it needs more --repetitions

The model is a Gaussian one near its optimum (Rainforth et al. 2018). With K samples in each of M groups, the ratio of
the encoder's plain gradient goes like sqrt(M/K): more samples make the bound tighter and the encoder's gradient worse.
That of the doubly reparameterized gradient goes like sqrt(M K), as that of the prior does. The folder written holds
ratios.json, exponents.md, ratios.png and report.txt."""


@dataclass(frozen=True)
class Options(FigureOptions):
    """What to measure, and where to write the results."""

    gradients: tuple[Literal["plain", "dreg", "stl"], ...] = ("plain", "dreg")
    """The estimators of the gradient. dreg: doubly reparameterized; stl: path gradient."""
    samples: tuple[int, ...] = (1, 4, 16, 64, 256, 1024)
    """Numbers of samples K of one group."""
    groups: tuple[int, ...] = (1, 4, 16)
    """Numbers of groups M, each of --samples-of-groups samples."""
    samples_of_groups: int = 16
    """Samples of every group where the number of groups changes."""
    fit_from: int = 64
    """The smallest number of samples that the exponent of K is fitted to: it holds asymptotically."""
    repetitions: int = 16_000
    """Samples of every gradient. A ratio far below 1/sqrt(repetitions) cannot be measured, and is left out."""
    dimensions: int = 5
    """Dimension of data and codes."""
    offset: float = 0.1
    """Standard deviation of the parameters' distance from the optimum."""
    seed: int = 0
    """Seed of the data, the parameters and the codes."""
    run_dir: Path | None = None
    """The folder to write, which must not exist yet; runs/gradient-noise-DATE-TIME if not given."""


def main(arguments: Sequence[str]) -> None:
    """Parse, measure, write, and print a table."""
    started = time.perf_counter()
    options = command_line.parse(Options, arguments, default=Options(), description=DESCRIPTION)
    _check(options)
    folder = options.run_dir or Path("runs") / f"gradient-noise-{datetime.now():%Y%m%d-%H%M%S}"
    command_line.check_free(folder)
    from aejax import plots
    from aejax.host.terminal import PlainConsole
    from aejax.studies.gradient_noise.figure import panels_of
    from aejax.studies.gradient_noise.measure import Point, Setting, exponents, left_out, measure, planned
    from aejax.studies.progress import StudyProgress

    console = PlainConsole()
    setting = Setting(
        options.dimensions,
        options.offset,
        tuple(sorted(set(options.samples))),
        tuple(sorted(set(options.groups))),
        options.samples_of_groups,
        tuple(dict.fromkeys(options.gradients)),
        options.repetitions,
        options.seed,
    )
    points: list[Point] = []
    plan = planned(setting)
    with command_line.new_folder(folder) as written:
        with StudyProgress(console, "gradients", len(plan), "settings") as progress:
            for done, (gradient, groups, samples) in enumerate(plan):
                progress.show(done, f"{gradient}, M {groups}, K {samples}")
                points += measure(setting, gradient, groups, samples)
            progress.show(len(plan), "done")
        found = exponents(points, setting, fit_from=options.fit_from)
        small = left_out(points, setting, fit_from=options.fit_from)
        content = {
            "setting": setting._asdict(),
            "fit_from": options.fit_from,
            "points": [point._asdict() for point in points],
            "exponents": [exponent._asdict() for exponent in found],
            "left_out": [point._asdict() for point in small],
        }
        write_text(written / "ratios.json", json.dumps(content, indent=2) + "\n")
        write_text(written / "exponents.md", _markdown(found, setting, options.fit_from, _notes(small)))
        table = _table(found, setting, options.fit_from)
        report = PlainConsole(file=io.StringIO(), record=True, width=110, soft_wrap=False)
        for line in (table, *_notes(small)):
            report.print(line)
        write_text(written / "report.txt", report.export_text())
        with optional("figures", console.print):
            figure = plots.power_laws(panels_of(points, setting), y_label="signal-to-noise ratio")
            plots.save_figure(figure, written, "ratios", file_format=options.format)
    for line in (table, *_notes(small)):
        console.print(line)
    console.print(f"{time.perf_counter() - started:.1f} s in all; the study is in {folder}")


def _check(options: Options) -> None:
    for name in ("samples", "groups", "gradients"):
        if not getattr(options, name):
            raise UserError(f"--{name}: expected at least one value")
    counts = {"--samples": min(options.samples), "--groups": min(options.groups)}
    counts |= {"--samples-of-groups": options.samples_of_groups, "--dimensions": options.dimensions}
    for name, least in counts.items():
        if least < 1:
            raise UserError(f"{name}: must be at least 1, got {least}")
    if options.repetitions < 40:
        raise UserError(f"--repetitions: must be at least 40, got {options.repetitions}")
    if not 0 <= options.offset < float("inf"):
        raise UserError(f"--offset: must be at least 0 and finite, got {options.offset:g}")
    if not 0 <= options.seed < 2**32:
        raise UserError(f"--seed: must be between 0 and {2**32 - 1}, got {options.seed}")


_HEADS = ("gradient", "of", "exponent of", "measured", "expected")


def _rows(found: "Sequence[Exponent]", setting: "Setting", fit_from: int) -> list[tuple[str, ...]]:
    from aejax.studies.gradient_noise.measure import NETWORKS

    of = {"samples": f"K from {fit_from}, M = 1", "groups": f"M, K = {setting.samples_of_groups}"}
    return [
        (
            each.gradient,
            NETWORKS[each.network],
            of[each.of],
            f"{each.slope:+.3f} ± {each.error:.3f}",
            f"{each.expected:+.1f}",
        )
        for each in found
    ]


def _title(setting: "Setting") -> str:
    return (
        f"exponents of the signal-to-noise ratio: {setting.dimensions} dimensions, parameters {setting.offset:g} from "
        f"the optimum, {setting.repetitions:,} samples of each gradient, seed {setting.seed}"
    )


def _notes(small: "Sequence[Point]") -> list[str]:
    """Returns lines that name the ratios that no exponent is fitted to; none if there are none."""
    from aejax.studies.gradient_noise.measure import NETWORKS

    if not small:
        return []
    return [
        "left out of the fits: ratios below 2 standard errors; without them exponents are too near 0, so use more "
        "--repetitions:",
        *(
            f"  {each.gradient}, {NETWORKS[each.network]}, M {each.groups}, K {each.samples}: "
            f"{each.ratio:.2g} ± {each.error:.1g}"
            for each in small
        ),
    ]


def _markdown(found: "Sequence[Exponent]", setting: "Setting", fit_from: int, notes: list[str]) -> str:
    """Returns the exponents as a Markdown table, with notes below it."""
    lines = [
        f"{_title(setting).capitalize()}; measured ± standard error; expected for large K.",
        "",
        f"| {' | '.join(_HEADS)} |",
        "| --- " * 5 + "|",
    ]
    lines += [f"| {' | '.join(row)} |" for row in _rows(found, setting, fit_from)]
    lines += ["", *notes] if notes else []
    return "\n".join(lines) + "\n"


def _table(found: "Sequence[Exponent]", setting: "Setting", fit_from: int) -> "Table":
    """Returns the exponents as a table for the terminal."""
    from rich.table import Table

    table = Table(title=_title(setting), title_justify="left")
    for head in _HEADS:
        table.add_column(head, justify="right" if head in ("measured", "expected") else "left")
    for row in _rows(found, setting, fit_from):
        table.add_row(*row)
    return table
