"""Families of dictionaries on activations: what they leave unexplained at which number of active units."""

import io
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from aejax.cli import command_line
from aejax.cli.figure_options import FigureOptions
from aejax.errors import UserError
from aejax.experiment.configuration import Data, Experiment, check, to_json
from aejax.experiment.dictionary_knobs import SELECTING
from aejax.experiment.dictionary_presets import own_dictionary
from aejax.experiment.knobs import with_knobs
from aejax.host.files import write_text
from aejax.host.optional import optional

if TYPE_CHECKING:  # imported where they are used, so that --help answers at once
    from rich.table import Table

    from aejax.studies.dictionaries.frontier import Point
    from aejax.studies.dictionaries.spliced import RestOfNetwork

DESCRIPTION = """Train dictionaries on activations of a network, and measure what they leave unexplained of test rows.

  aejax study dictionary-activations --dataset FOLDER --skip-positions 1 --max-norm 1000
  aejax study dictionary-activations --dataset FOLDER --families top_k --strengths 16 32 --repetitions 3
  aejax study dictionary-activations --dataset FOLDER --rest-of-network FILE --contexts held_out.npy

FOLDER holds activations as .npy, .npz or .safetensors files; any other data set works too. Each family is trained with
several strengths; its codes are those at use (of batch_top_k: by the threshold). PCA stands beside, with as many
components as units are active: a dictionary is worth its size where it leaves less. The folder written holds
points.json, config.json, report.txt and frontier.png.

With --rest-of-network and --contexts the study also measures the loss of the network when reconstructions replace its
activations, and the fraction recovered: 1 is the loss without a replacement, 0 that with zeros in its place."""

_TITLES = {"unexplained": "variance left", "relative_bias": "relative bias", "dead": "dead units"}


@dataclass(frozen=True)
class Options(FigureOptions):
    """What to train, how often, and where to write the results."""

    experiment: Experiment = field(default_factory=Experiment)
    families: tuple[Literal["top_k", "batch_top_k", "matryoshka", "jump_relu", "l1_dictionary", "gated"], ...] = (
        "top_k",
        "batch_top_k",
        "jump_relu",
        "l1_dictionary",
    )
    """The families of dictionaries."""
    strengths: tuple[int, ...] = (16, 32, 64)
    """top_k, batch_top_k, matryoshka: numbers of active units."""
    l1_weights: tuple[float, ...] = (1.0, 3.0, 10.0)
    """l1_dictionary and gated: weights of the penalty."""
    l0_weights: tuple[float, ...] = (0.5, 2.0, 5.0)
    """jump_relu: weights of the number of active units."""
    repetitions: int = 1
    """Number of seeds, from --seed."""
    rest_of_network: Path | None = None
    """A Python file, which runs with your rights, that defines next_token_losses(activations, number): activations
    (C, T, D) of the contexts with these numbers (C,) in --contexts -> the losses of the rest of your network, in
    nats."""
    contexts: Path | None = None
    """A .npy or .npz file of activations (contexts, positions, features) that are not in --dataset. --skip-positions
    and --max-norm name those that are not replaced."""
    run_dir: Path | None = None
    """The folder to write, which must not exist yet; runs/dictionary-activations-DATE-TIME if not given."""


def main(arguments: Sequence[str]) -> None:
    """Parse, train and measure, write, and print a table."""
    started = time.perf_counter()
    options = command_line.parse(Options, arguments, default=Options(experiment=_default()), description=DESCRIPTION)
    if options.repetitions < 1:
        raise UserError(f"--repetitions: must be at least 1, got {options.repetitions}")
    if (options.rest_of_network is None) != (options.contexts is None):
        raise UserError("--rest-of-network and --contexts: give both or neither")
    experiment = options.experiment
    folder = options.run_dir or Path("runs") / f"dictionary-activations-{datetime.now():%Y%m%d-%H%M%S}"
    command_line.check_free(folder)
    from aejax.studies.dictionaries.frontier import with_strength

    planned = [
        (with_strength(experiment, family, strength), strength)
        for family in options.families
        for strength in _strengths(options, family)
    ]
    for setting, _ in planned:
        check(setting)
    from aejax import plots
    from aejax.experiment.loading import bytes_of, load_splits, locate
    from aejax.experiment.progress import working
    from aejax.host.terminal import PlainConsole
    from aejax.studies.dictionaries.frontier import PCA, Point, frontier, measure_point, unexplained_by_components
    from aejax.studies.dictionaries.spliced import open_network

    console = PlainConsole()
    splits = load_splits(locate(experiment.data), bytes_as=bytes_of(planned[0][0]))
    network = None
    if options.rest_of_network is not None and options.contexts is not None:
        with working(console, "the network without a dictionary"):
            network = open_network(
                options.rest_of_network,
                options.contexts,
                skip_positions=experiment.data.skip_positions,
                max_norm=experiment.data.max_norm,
            )
    points: list[Point] = []
    with command_line.new_folder(folder) as written:
        for setting, strength in planned:
            for seed in range(experiment.training.seed, experiment.training.seed + options.repetitions):
                done = f"[{len(points) + 1}/{len(planned) * options.repetitions}]"
                with working(console, f"{done} {setting.model.family} {strength:g}, seed {seed}"):
                    points.append(measure_point(setting, strength, seed=seed, splits=splits, network=network))
        numbers = sorted({round(point.l0) for point in points} | {8, 16, 32, 64})
        components = unexplained_by_components(splits, numbers)
        write_text(written / "config.json", to_json(experiment))
        content = {"points": [_as_json(point) for point in points], PCA: components}
        if network is not None:
            content["network"] = {name: getattr(network, name) for name in ("clean", "zero", "mean")}
        write_text(written / "points.json", json.dumps(content, indent=2) + "\n")
        table = _table(points, components, network, options.repetitions, len(splits.test.x))
        report = PlainConsole(file=io.StringIO(), record=True, width=110, soft_wrap=False)
        report.print(table)
        write_text(written / "report.txt", report.export_text())
        with optional("figures", console.print):
            of_components = [float(number) for number in components], list(components.values())
            curves = {**frontier(points), PCA: of_components}
            figure = plots.trade_offs(
                curves,
                title=f"{experiment.model.code_size:,} units",
                cost="active units, or components",
                gain="fraction of variance left",
            )
            plots.save_figure(figure, written, "frontier", file_format=options.format)
    console.print(table)
    console.print(f"{time.perf_counter() - started:.1f} s in all; the study is in {folder}")


def _default() -> Experiment:
    experiment = replace(own_dictionary("top_k"), data=Data(dataset="activations"))
    # few rows: small batches, since Adam moves a threshold by at most the learning rate at each step
    few_rows = {"code_size": 2304, "batch_size": 128, "epochs": 30, "dead_after": 50_000}
    return with_knobs(experiment, {**few_rows, "bandwidth": 0.5, "start_threshold": 0.5})


def _strengths(options: Options, family: str) -> Sequence[float]:
    if family in SELECTING:
        return options.strengths
    return options.l0_weights if family == "jump_relu" else options.l1_weights


def _as_json(point: "Point") -> dict[str, object]:
    return point._asdict() | {"recovered": None if point.recovered is None else point.recovered._asdict()}


def _table(
    points: "Sequence[Point]", components: dict[int, float], network: "RestOfNetwork | None", seeds: int, rows: int
) -> "Table":
    """Returns a table with a row per family and strength: means over seeds, and PCA with as many components."""
    from rich.table import Table

    over = f"mean ± deviation over {seeds} seeds" if seeds > 1 else "one seed"
    title = f"dictionaries of {rows:,} test rows; {over}"
    if network is not None:
        title += (
            f"\nthe network's loss is {network.clean:.3f} nats, with zeros {network.zero:.3f}, with the mean "
            f"{network.mean:.3f}"
        )
    table = Table(title=title, title_justify="left")
    table.add_column("family")
    of_loss = [] if network is None else ["loss, nats", "recovered over zeros", "over the mean"]
    for name in ("strength", "active units", *_TITLES.values(), "left by as many components", *of_loss):
        table.add_column(name, justify="right")
    for family, strength in dict.fromkeys((point.family, point.strength) for point in points):
        group = [point for point in points if (point.family, point.strength) == (family, strength)]
        cells = [_mean([point.l0 for point in group], digits=1)]
        cells += [_mean([getattr(point, name) for point in group]) for name in _TITLES]
        alike = components.get(round(sum(point.l0 for point in group) / len(group)))
        cells.append("" if alike is None else f"{alike:.4f}")
        found = [point.recovered for point in group if point.recovered is not None]
        if found:
            cells += [_mean([getattr(each, name) for each in found]) for name in ("loss", "over_zero", "over_mean")]
        table.add_row(family, f"{strength:g}", *cells)
    return table


def _mean(values: list[float], *, digits: int = 4) -> str:
    import numpy as np

    deviation = f" ± {np.std(values, ddof=1):.{digits}f}" if len(values) > 1 else ""
    return f"{np.mean(values):.{digits}f}{deviation}"
