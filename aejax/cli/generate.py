"""Generate with a trained autoencoder: samples, neighborhoods, interpolations, latent traversals, the code plane."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import tyro

from aejax.cli import command_line
from aejax.cli.figure_options import FigureOptions
from aejax.cli.opened import RunOptions
from aejax.errors import UserError
from aejax.host.optional import optional

if TYPE_CHECKING:  # imported where they are used, so that --help answers at once
    from rich.table import Table

    from aejax.experiment.complete import Completed
    from aejax.experiment.generated import Generated
    from aejax.experiment.trained import TrainedRun

DESCRIPTION = """Generate with a trained autoencoder, and write figures and arrays into a folder.

  aejax generate runs/NAME made                       decoded samples from the prior of a variational run, or from
                                                      N(0, I) for a run trained with --mmd-weight
  aejax generate runs/NAME made --given mine.csv      for a run with --condition: a row of samples for each condition
                                                      in a file; without --given for those of test examples
  aejax generate runs/NAME made --what completions    test examples predicted from their condition alone, such as the
                                                      lower half of images from the upper one, beside nearest neighbors
  aejax generate runs/NAME made --what classes        a row of samples for each class of a conditional run
  aejax generate runs/NAME made --what near-example   perturbations of the codes of test examples
  aejax generate runs/NAME made --what near-class     perturbations of the mean code of each class
  aejax generate runs/NAME made --what interpolation  paths from one test example to another: straight, along an arc,
                                                      and along a geodesic of the decoder; also as animations
  aejax generate runs/NAME made --what traversals     one unit of the code changed at a time, over its quantiles among
                                                      the training examples' codes; units of greatest variance first
  aejax generate runs/NAME made --what attributes     a test example moved along the mean code of each class minus that
                                                      of all others, as from one person to another
  aejax generate runs/NAME made --what manifold       a grid over the plane of a 2-dimensional code

The folder holds WHAT.png, examples.npy and codes.npy (rows, columns, ...). An interpolation adds .gif files, a manifold
latent_space.png (the test examples' codes), traversals units.npy (the unit of each row, from 1). --format writes
figures as PDF or SVG instead. The figure shows the
first 16 rows of traversals, the arrays hold all rows."""

What = Literal[
    "samples",
    "completions",
    "classes",
    "near-example",
    "near-class",
    "interpolation",
    "traversals",
    "attributes",
    "manifold",
]


@dataclass(frozen=True)
class Options(FigureOptions, RunOptions):
    """What to generate, and with which run."""

    folder: tyro.conf.Positional[Path]
    """The folder to write, which must not exist yet."""
    what: What = "samples"
    """What to generate, as described above."""
    rows: int = 8
    """samples: number of rows; near-example: number of examples; attributes: number of classes."""
    columns: int = 10
    """Number of columns: samples or perturbations, points of a path, quantiles of a unit, steps of an attribute."""
    side: int = 20
    """manifold: rows and columns of the grid."""
    examples: tuple[int, ...] = ()
    """Indices of test examples, from 0: the examples to perturb, the two ends of a path, the example to traverse or to
    move. By default the first ones; for a path the first and the next of another class (of the same class for a
    conditional run)."""
    given: Path | None = None
    """samples: a file with the conditions of the rows, for a run with --condition: a table with these columns, a .npz
    file with these entries or a .npy file; of images with a given half, an image, a folder or an array."""
    units: tuple[int, ...] = ()
    """traversals: the units to change, from 1, in the order of the rows. By default all, in order of decreasing
    variance."""
    classes: tuple[str, ...] = ()
    """attributes: names or labels of classes, in the order of the rows. By default the first ones."""
    strength: float = 1.0
    """attributes: the largest multiple of a class's direction, to either side."""
    spread: float = 0.5
    """Standard deviation of perturbations, relative to that of all codes."""
    geodesic_steps: int = 300
    """Steps of the optimizer that shortens a geodesic."""
    frames: int = 60
    """Frames of an animation from one end of a path to the other."""
    frames_per_second: int = 20
    """Speed of animations."""
    seed: int = 0
    """Seed of samples and perturbations."""


def main(arguments: Sequence[str]) -> None:
    """Parse, generate, draw and write."""
    options = command_line.parse(Options, arguments, description=DESCRIPTION)
    _check(options)
    import numpy as np

    from aejax import plots
    from aejax.experiment.generated import animate, draw, draw_codes
    from aejax.experiment.progress import working
    from aejax.host.terminal import PlainConsole

    console = PlainConsole()
    with working(console, "opening the run"):
        run = options.open_run()
    with working(console, f"generating: {options.what}"):
        generated, completed = _generate(run, options), None
        if options.what == "completions":
            from aejax.experiment.complete import complete, draw_completed

            completed = complete(run, seed=options.seed)
            generated = draw_completed(run, completed, rows=options.rows, columns=options.columns, seed=options.seed)
    with working(console, "writing arrays and figures"), command_line.new_folder(options.folder) as folder:
        np.save(folder / "examples.npy", generated.examples)
        np.save(folder / "codes.npy", generated.codes)
        if run.facts.columns is not None:
            _write_rows(run, generated, folder / "rows.csv")
        if generated.units is not None:
            np.save(folder / "units.npy", generated.units)
        if options.what == "interpolation" and run.facts.columns is None:
            with optional("animations", console.print):
                speed = options.frames_per_second
                for name, animation in animate(run, generated, frames_per_second=speed).items():
                    first, *others = animation.images
                    path, durations = folder / f"{name}.gif", animation.durations
                    first.save(path, save_all=True, append_images=others, duration=durations, loop=0)
        with optional("figures", console.print):
            if run.facts.columns is None:
                plots.save_figure(draw(run, generated), folder, options.what, file_format=options.format)
            if options.what == "manifold":
                plots.save_figure(draw_codes(run), folder, "latent_space", file_format=options.format)
    if completed is not None:
        console.print(_table(completed))
    count, title = generated.codes.shape[0] * generated.codes.shape[1], generated.title.replace("\n", "; ")
    console.print(f"{count:,} examples: {title}; in {options.folder}")


def _table(completed: "Completed") -> "Table":
    """Returns a table of the errors of predictions from the condition, a row for each method."""
    from rich.table import Table

    count = len(completed.nearest)
    table = Table(title=f"{count:,} test examples, predicted from their condition alone", title_justify="left")
    table.add_column("")
    table.add_column("mean squared error per feature", justify="right")
    table.add_column("log p(x | condition), nats", justify="right")
    for name, error in completed.squared_errors.items():
        label = f"mean of {completed.neighbors} nearest neighbors" if name == "nearest neighbors" else name
        nats = completed.nats.get(name)
        table.add_row(label, f"{error:.5g}", "" if nats is None else f"{nats:.2f}")
    return table


def _write_rows(run: "TrainedRun", generated: "Generated", path: Path) -> None:
    """Write generated rows of a table, row by row of the arrangement, with the user's columns."""
    from aejax.experiment.tables_at_use import rows_as_frame, write_frame

    rows, given = generated.examples, generated.conditions
    flat = None if given is None else given.reshape(-1, given.shape[-1])
    with path.open("wb") as file:
        write_frame(rows_as_frame(run, rows.reshape(-1, rows.shape[-1]), flat), file, path)


def _check(options: Options) -> None:
    """Raise UserError for an invalid option, before anything is loaded."""
    from aejax.experiment.arranged import RANGES, check_counts, check_spread

    check_counts(**{name: getattr(options, name) for name in RANGES})
    command_line.check_seed(options.seed)
    check_spread(options.spread)
    check_spread(options.strength, "strength")
    if options.examples and options.what not in ("near-example", "interpolation", "traversals", "attributes"):
        users = "near-example, interpolation, traversals or attributes"
        raise UserError(f"--examples: requires --what {users}, got {options.what}")
    if options.given is not None and options.what != "samples":
        raise UserError(f"--given: requires --what samples, got {options.what}")
    if options.units and options.what != "traversals":
        raise UserError(f"--units: requires --what traversals, got {options.what}")
    if options.classes and options.what != "attributes":
        raise UserError(f"--classes: requires --what attributes, got {options.what}")
    command_line.check_free(options.folder)


def _generate(run: "TrainedRun", options: Options) -> "Generated":
    from aejax.experiment import generate

    rows, columns, seed, spread = options.rows, options.columns, options.seed, options.spread
    match options.what:
        case "samples" | "completions":
            given = None
            if options.given is not None:
                from aejax.experiment.at_use import check_given
                from aejax.experiment.given import load_given

                check_given(run, what="--given")
                given = load_given(run.facts, options.given)
            return generate.sample(run, rows=rows, columns=columns, seed=seed, given=given)
        case "classes":
            return generate.sample_classes(run, columns=columns, seed=seed)
        case "near-example":
            return generate.near_examples(run, options.examples, rows=rows, columns=columns, spread=spread, seed=seed)
        case "near-class":
            return generate.near_classes(run, columns=columns, spread=spread, seed=seed)
        case "interpolation":
            steps = options.geodesic_steps
            return generate.interpolations(
                run, options.examples, columns=columns, geodesic_steps=steps, frames=options.frames
            )
        case "traversals":
            return generate.traverse(run, options.examples, units=options.units, columns=columns)
        case "attributes":
            from aejax.experiment.attributes import attributes

            return attributes(
                run,
                options.examples,
                classes=options.classes,
                rows=rows,
                columns=columns + 1 - columns % 2,
                strength=options.strength,
            )
        case "manifold":
            return generate.manifold(run, side=options.side)
