"""Generate with a trained autoencoder: samples, neighbors of an example, paths between two, what each unit does."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import tyro

from aejax.cli import command_line
from aejax.cli.opened import RunOptions
from aejax.errors import UserError
from aejax.host.optional import optional

if TYPE_CHECKING:  # imported where they are used, so that --help answers at once
    from aejax.experiment.generated import Generated
    from aejax.experiment.trained import TrainedRun

DESCRIPTION = """Generate with a trained autoencoder, and write figures and arrays into a folder.

  aejax generate runs/NAME made                       decoded samples of the prior of a variational run, or of N(0, I)
                                                      of one trained with --mmd-weight
  aejax generate runs/NAME made --what classes        a row of samples for each class of a conditional run
  aejax generate runs/NAME made --what near-example   around the codes of test examples
  aejax generate runs/NAME made --what near-class     around the mean code of each class
  aejax generate runs/NAME made --what interpolation  from one test example to another: straight, along an arc, and
                                                      along a geodesic of the decoder; also as animations
  aejax generate runs/NAME made --what traversals     one unit of the code at a time, over its quantiles among the codes
                                                      of the training examples; the units of greatest variance first
  aejax generate runs/NAME made --what manifold       the plane of a 2-dimensional code, and the codes in it

The folder holds WHAT.png, examples.npy and codes.npy (rows, columns, ...); of an interpolation also .gif files, of a
manifold latent_space.png, of traversals units.npy, the unit of each row from 1. The figure shows the first 16 rows of
traversals, the arrays hold all."""

What = Literal["samples", "classes", "near-example", "near-class", "interpolation", "traversals", "manifold"]


@dataclass(frozen=True)
class Options(RunOptions):
    """What to generate with which run."""

    folder: tyro.conf.Positional[Path]
    """The folder to write, which must not exist yet."""
    what: What = "samples"
    """What to generate, as above."""
    rows: int = 8
    """Of samples, and of examples to look around."""
    columns: int = 10
    """Of samples, and of points on a path or along a unit."""
    side: int = 20
    """Of the square grid of a manifold."""
    examples: tuple[int, ...] = ()
    """Test examples by their place, from 0: those to look around, the two ends of a path, the one to change units of.
    By default the first, and for a path the first and the next of another class (of a conditional run: the same)."""
    units: tuple[int, ...] = ()
    """Of traversals, from 1, in the order to show them. By default all, those of greatest variance first."""
    spread: float = 0.5
    """How far around a code, relative to the deviation of all codes."""
    geodesic_steps: int = 300
    """Of the optimizer that shortens a path on the decoder's surface."""
    frames_per_second: int = 12
    """Of animations."""
    seed: int = 0
    """Of all that is drawn."""


def main(arguments: Sequence[str]) -> None:
    """Parse, generate, draw and write."""
    options = command_line.parse(Options, arguments, description=DESCRIPTION)
    _check(options)
    import numpy as np

    from aejax.experiment.generated import animate, draw, draw_codes
    from aejax.host.terminal import PlainConsole

    console = PlainConsole()
    run = options.open_run()
    generated = _generate(run, options)
    with command_line.new_folder(options.folder) as folder:
        np.save(folder / "examples.npy", generated.examples)
        np.save(folder / "codes.npy", generated.codes)
        if generated.units is not None:
            np.save(folder / "units.npy", generated.units)
        if options.what == "interpolation":
            with optional("animations", console.print):
                duration = round(1000 / options.frames_per_second)
                for name, (first, *others) in animate(run, generated).items():
                    path = folder / f"{name}.gif"
                    first.save(path, save_all=True, append_images=others, duration=duration, loop=0)
        with optional("figures", console.print):
            is_manifold = options.what == "manifold"
            draw(run, generated, gap=0 if is_manifold else None).savefig(folder / f"{options.what}.png", dpi=150)
            if is_manifold:
                draw_codes(run).savefig(folder / "latent_space.png", dpi=150)
    count, title = generated.codes.shape[0] * generated.codes.shape[1], generated.title.replace("\n", "; ")
    console.print(f"{count:,} examples: {title}; in {options.folder}")


def _check(options: Options) -> None:
    """Raise UserError where an option cannot be, before anything is loaded."""
    from aejax.experiment.generate import RANGES, check_counts, check_spread

    check_counts(**{name: getattr(options, name) for name in RANGES})
    command_line.check_seed(options.seed)
    check_spread(options.spread)
    if options.examples and options.what not in ("near-example", "interpolation", "traversals"):
        raise UserError(f"--examples: goes with near-example, interpolation and traversals, not with {options.what}")
    if options.units and options.what != "traversals":
        raise UserError(f"--units: goes with traversals, not with {options.what}")
    command_line.check_free(options.folder)


def _generate(run: "TrainedRun", options: Options) -> "Generated":
    from aejax.experiment import generate

    rows, columns, seed, spread = options.rows, options.columns, options.seed, options.spread
    match options.what:
        case "samples":
            return generate.sample(run, rows=rows, columns=columns, seed=seed)
        case "classes":
            return generate.sample_classes(run, columns=columns, seed=seed)
        case "near-example":
            return generate.near_examples(run, options.examples, rows=rows, columns=columns, spread=spread, seed=seed)
        case "near-class":
            return generate.near_classes(run, columns=columns, spread=spread, seed=seed)
        case "interpolation":
            steps = options.geodesic_steps
            return generate.interpolations(run, options.examples, columns=columns, geodesic_steps=steps)
        case "traversals":
            return generate.traverse(run, options.examples, units=options.units, columns=columns)
        case "manifold":
            return generate.manifold(run, side=options.side)
