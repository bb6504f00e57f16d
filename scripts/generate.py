"""Generate with a trained autoencoder: samples, neighbors of an example, ways between two, what each unit does."""

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import tyro

from aejax.cli import command_line
from aejax.errors import UserError
from aejax.host.optional import optional

if TYPE_CHECKING:  # imported where they are used, so that --help answers at once
    import numpy as np

    from aejax.experiment.trained import TrainedRun

DESCRIPTION = """Generate with a trained autoencoder, and write pictures and arrays into a folder.

  generate.py runs/NAME made                          decoded samples of the prior of a variational run, or of N(0, I)
                                                      of one trained with --mmd-weight
  generate.py runs/NAME made --what classes           a row of samples for each class of a conditional run
  generate.py runs/NAME made --what near-example      around the codes of test examples
  generate.py runs/NAME made --what near-class        around the mean code of each class
  generate.py runs/NAME made --what interpolation     from one test example to another: straight, along an arc, and
                                                      along a geodesic of the decoder; also as moving pictures
  generate.py runs/NAME made --what traversals        one unit of the code at a time, over its quantiles among the codes
                                                      of the training examples; the units of greatest variance first
  generate.py runs/NAME made --what manifold          the plane of a code of two numbers, and the codes in it

The folder holds WHAT.png, examples.npy and codes.npy (rows, columns, ...); of an interpolation also .gif files, of a
manifold latent_space.png, of traversals units.npy, the unit of each row from 1. The picture shows the first 16 rows of
traversals, the arrays hold all."""

What = Literal["samples", "classes", "near-example", "near-class", "interpolation", "traversals", "manifold"]
MOST_UNITS_SHOWN = 16  # in the picture of traversals
MOST_NUMBERS = 2**26  # in the codes or the examples of traversals: a quarter of a GiB
ENCODED_AT_A_TIME = 10_000  # training examples
_RANGES = {  # of options that count something: beyond them no picture can be drawn
    "rows": (1, 400),
    "columns": (3, 400),
    "side": (2, 400),
    "geodesic_steps": (1, 1_000_000),
    "frames_per_second": (1, 100),
}
MAX_SPREAD = 1000.0
SMALLEST_FRAME = 320  # pixels of the shorter side of a moving picture


@dataclass(frozen=True)
class Options:
    """What to generate with which run."""

    run: tyro.conf.Positional[Path]
    """The run folder."""
    folder: tyro.conf.Positional[Path]
    """The folder to write, which must not exist yet."""
    what: What = "samples"
    """What to generate, as above."""
    rows: int = 8
    """Of samples, and of examples to look around."""
    columns: int = 10
    """Of samples, and of steps on a way or along a unit."""
    side: int = 20
    """Of the square grid of a manifold."""
    examples: tuple[int, ...] = ()
    """Test examples by their place, from 0: those to look around, the two ends of a way, the one to change units of. By
    default the first, and for a way the first and the next of another class (of a conditional run: the same)."""
    units: tuple[int, ...] = ()
    """Of traversals, from 1, in the order to show them. By default all, those of greatest variance first."""
    spread: float = 0.5
    """How far around a code: this part of the deviation of all codes."""
    geodesic_steps: int = 300
    """Of the optimizer that shortens a way on the decoder's surface."""
    frames_per_second: int = 12
    """Of moving pictures."""
    seed: int = 0
    """Of all that is drawn."""


class Generated(NamedTuple):
    """Codes in rows and columns, what they stand for, and what each row and column is called."""

    codes: "np.ndarray"  # (R, C, ...code)
    labels: "np.ndarray | None"  # (R, C) the condition that each is decoded with
    title: str
    rows: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    units: "np.ndarray | None" = None  # from 1, that each row of traversals changes


def main() -> None:
    """Parse, generate, draw and write."""
    options = command_line.parse(Options, sys.argv[1:], description=DESCRIPTION)
    _check(options)
    import numpy as np

    from aejax import plots
    from aejax.datasets.dataset import Dataset
    from aejax.experiment.figures import as_drawn
    from aejax.experiment.trained import open_run
    from aejax.host.terminal import PlainConsole

    console = PlainConsole()
    run = open_run(options.run)
    _check_run(run, options)
    made = WAYS[options.what](run, options)
    count = made.codes.shape[0] * made.codes.shape[1]
    labels = None if made.labels is None else made.labels.reshape(-1)
    flat = run.decode(Dataset(made.codes.reshape(count, *run.code_shape), labels))
    limits = float(run.splits.train.x.min()), float(run.splits.train.x.max())
    drawn = as_drawn(run.experiment, flat)
    drawn = drawn.reshape(*made.codes.shape[:2], *drawn.shape[1:])
    with command_line.new_folder(options.folder) as folder:
        np.save(folder / "examples.npy", flat.reshape(*made.codes.shape[:2], *run.example_shape))
        np.save(folder / "codes.npy", made.codes)
        if made.units is not None:
            np.save(folder / "units.npy", made.units)
        if options.what == "interpolation":
            with optional("moving pictures", console.print):
                for name, frames in zip(made.rows, drawn, strict=True):
                    _write_moving_picture(folder / f"{name}.gif", frames, limits, options.frames_per_second)
        most = MOST_UNITS_SHOWN if options.what == "traversals" else _RANGES["rows"][1]
        drawn, made = drawn[:most], made._replace(rows=made.rows[:most])
        gap = 0 if options.what == "manifold" else None
        with optional("figures", console.print):
            figure = plots.gallery(
                drawn, limits=limits, title=made.title, rows=made.rows, columns=made.columns, gap=gap
            )
            figure.savefig(folder / f"{options.what}.png", dpi=150)
            if options.what == "manifold":
                picture = plots.latent_space(run.encode(run.splits.test), run.splits.test.labels)
                picture.savefig(folder / "latent_space.png", dpi=150)
    title = made.title.replace("\n", "; ")
    console.print(f"{count:,} examples: {title}; in {options.folder}")


def _check(options: Options) -> None:
    """Raise UserError where an option cannot be, before anything is loaded."""
    for name, (least, most) in _RANGES.items():
        if not least <= getattr(options, name) <= most:
            knob = name.replace("_", "-")
            raise UserError(f"--{knob}: must be between {least:,} and {most:,}, got {getattr(options, name):,}")
    command_line.check_seed(options.seed)
    if not 0 <= options.spread <= MAX_SPREAD:
        raise UserError(f"--spread: must be between 0 and {MAX_SPREAD:g}, got {options.spread:g}")
    if options.examples and options.what not in ("near-example", "interpolation", "traversals"):
        raise UserError(f"--examples: goes with near-example, interpolation and traversals, not with {options.what}")
    if options.units and options.what != "traversals":
        raise UserError(f"--units: goes with traversals, not with {options.what}")
    wanted = {"interpolation": 2, "traversals": 1}.get(options.what)
    if options.examples and wanted and len(options.examples) != wanted:
        raise UserError(f"--examples: {options.what} takes {wanted}, got {len(options.examples)}")
    command_line.check_free(options.folder)


def _check_run(run: "TrainedRun", options: Options) -> None:
    """Raise UserError where a run cannot do what is asked of it."""
    from aejax.experiment.trained import check_kind
    from aejax.host.memory import check_fits

    what = f"generate --what {options.what}"
    count = options.side**2 if options.what == "manifold" else options.rows * options.columns
    numbers = count * max(math.prod(run.code_shape), math.prod(run.example_shape))
    check_fits(12 * numbers, f"{count:,} examples and their picture", advice="take fewer of them", host=True)
    conditional = run.experiment.model.conditional
    if options.what in ("samples", "classes"):
        check_kind(run, run.prior is not None, "a variational run, or one trained with --mmd-weight", what=what)
    if options.what == "classes":
        check_kind(run, conditional, "a conditional run", what=what)
    if options.what == "near-class" and run.splits.train.labels is None:
        raise UserError(f"{run.path}: {what} expects a run whose data have labels, and these have none")
    if options.what == "manifold":
        wanted = f"a run with a code of 2 numbers, not of {math.prod(run.code_shape):,}"
        check_kind(run, run.code_shape == (2,), wanted, what=what)
    if options.what == "traversals":
        _check_units(run, options)
    if options.what == "interpolation" and len(run.splits.test.x) < 2:
        raise UserError(f"{run.path}: {what} expects a run with two test examples at least")
    if beyond := [place for place in options.examples if not 0 <= place < len(run.splits.test.x)]:
        raise UserError(f"--examples: the run has test examples 0 to {len(run.splits.test.x) - 1}, got {beyond[0]}")


def _check_units(run: "TrainedRun", options: Options) -> None:
    """Raise UserError for a unit that the code has not, and where all that is made would not fit into memory."""
    size = math.prod(run.code_shape)
    if beyond := [unit for unit in options.units if not 1 <= unit <= size]:
        raise UserError(f"--units: the code has units 1 to {size:,}, got {beyond[0]}")
    count = len(options.units) or size
    numbers = count * options.columns * max(size, math.prod(run.example_shape))
    if numbers > MOST_NUMBERS:
        raise UserError(
            f"--units: {count:,} units of {size:,} at {options.columns} quantiles make {numbers:,} numbers, more than "
            f"{MOST_NUMBERS:,}; name fewer units"
        )


def samples(run: "TrainedRun", options: Options) -> Generated:
    """Samples of the prior; of a conditional run of each class in turn."""
    labels = None
    if run.experiment.model.conditional:
        import numpy as np

        labels = np.resize(run.classes, (options.rows, options.columns))
    codes = run.sample_codes(options.rows * options.columns, seed=options.seed)
    codes = codes.reshape(options.rows, options.columns, *run.code_shape)
    return Generated(codes, labels, "samples from the prior")


def classes(run: "TrainedRun", options: Options) -> Generated:
    """A row of samples for each class that a conditional run knows."""
    import numpy as np

    known = run.classes
    codes = run.sample_codes(len(known) * options.columns, seed=options.seed)
    codes = codes.reshape(len(known), options.columns, *run.code_shape)
    labels = np.repeat(known[:, None], options.columns, axis=1)
    return Generated(codes, labels, "samples of each class", tuple(map(str, known)))


def near_example(run: "TrainedRun", options: Options) -> Generated:
    """Around the codes of test examples: each reconstruction first."""
    import numpy as np

    places = options.examples or range(min(options.rows, len(run.splits.test.x)))
    codes, labels = _test_codes(run, places)
    title = f"around test examples, {options.spread:g} of the codes' deviation; the reconstruction first"
    columns = ("itself", *[""] * (options.columns - 1))
    if labels is not None:
        labels = np.repeat(labels[:, None], options.columns, axis=1)
    return Generated(_around(run, options, codes), labels, title, tuple(map(str, places)), columns)


def near_class(run: "TrainedRun", options: Options) -> Generated:
    """Around the mean code of each class of the training examples."""
    import numpy as np

    train = run.splits.train
    assert train.labels is not None  # _check_run has seen to it
    codes, known = run.encode(train), np.unique(train.labels)
    means = np.stack([codes[train.labels == label].mean(axis=0) for label in known])
    title = f"around the mean code of each class, {options.spread:g} of the codes' deviation; the mean first"
    labels = np.repeat(known[:, None], options.columns, axis=1) if run.experiment.model.conditional else None
    columns = ("mean", *[""] * (options.columns - 1))
    return Generated(_around(run, options, means), labels, title, tuple(map(str, known)), columns)


def interpolation(run: "TrainedRun", options: Options) -> Generated:
    """From one test example to another by three ways."""
    from functools import partial

    import jax
    import jax.numpy as jnp
    import numpy as np

    from aejax.datasets.dataset import Dataset
    from aejax.generation import interpolate, interpolate_spherically
    from aejax.jacobian import geodesic

    places = options.examples or _two_ends(run)
    codes, labels = _test_codes(run, places)
    if labels is not None and labels[0] != labels[1]:
        raise UserError(
            f"--examples: a conditional run decodes codes of one class, and these are of {labels[0]} and {labels[1]}"
        )
    condition = tuple(jnp.asarray(of_all[0]) for of_all in run.conditions_of(Dataset(codes, labels)))
    start, end = jnp.asarray(codes).reshape(2, -1)

    def decode(code: jax.Array) -> jax.Array:
        return run.autoencoder.decode(run.params, code.reshape(run.code_shape), *condition)

    steps = options.geodesic_steps
    shortest = jax.jit(partial(geodesic, decode, points=options.columns, steps=steps))(start, end)
    ways = {
        "straight": interpolate(start, end, points=options.columns),
        "arc": interpolate_spherically(start, end, points=options.columns),
        "geodesic": shortest,
    }
    made = np.stack([np.asarray(way) for way in ways.values()]).reshape(3, options.columns, *run.code_shape)
    all_labels = None if labels is None else np.full((3, options.columns), labels[0])
    return Generated(made, all_labels, f"from test example {places[0]} to {places[1]}", tuple(ways))


def traverse(run: "TrainedRun", options: Options) -> Generated:
    """One unit of the code of a test example at a time, over quantiles of it: the units of greatest variance first."""
    import jax.numpy as jnp
    import numpy as np

    from aejax.generation import traversals

    place = options.examples or (0,)
    code, labels = _test_codes(run, place)
    units = np.array(options.units or range(1, code.size + 1))
    codes = _training_codes(run, units - 1)
    if not options.units:
        order = np.argsort(-codes.var(axis=0))
        units, codes = units[order], codes[:, order]
    parts = np.linspace(0.01, 0.99, options.columns)
    values = jnp.asarray(np.quantile(codes, parts, axis=0).T)
    moved = np.asarray(traversals(jnp.asarray(code.reshape(-1)), values, jnp.asarray(units - 1)))
    made = moved.reshape(len(units), options.columns, *run.code_shape)
    all_labels = None if labels is None else np.full(made.shape[:2], labels[0])
    which = f"{len(units)} of {code.size:,} units, as named" if options.units else "all units, greatest variance first"
    some = f", the first {MOST_UNITS_SHOWN} of {len(units)} shown" if len(units) > MOST_UNITS_SHOWN else ""
    title = (
        f"test example {place[0]}, one unit changed: {which}{some}\n"
        "columns: quantiles of that unit among the codes of the training examples"
    )
    names = tuple(f"unit {unit}" for unit in units), tuple(f"{part:.0%}" for part in parts)
    return Generated(made, all_labels, title, *names, units)


def manifold(run: "TrainedRun", options: Options) -> Generated:
    """The plane of a code of two numbers: at the quantiles of a normal prior, else at those of the codes."""
    import jax.numpy as jnp
    import numpy as np

    from aejax.generation import normal_quantiles, plane

    is_normal = run.prior is not None and run.experiment.regularization.prior == "normal"
    if is_normal:
        across = up = np.asarray(normal_quantiles(options.side))
    else:
        across, up = np.quantile(_training_codes(run), (np.arange(options.side) + 0.5) / options.side, axis=0).T
    whose = "a normal prior" if is_normal else "the codes"
    labels, of_class = None, ""
    if run.experiment.model.conditional:
        first = run.classes[0]
        labels, of_class = np.full((options.side, options.side), first), f" of class {first}"
    names = tuple(f"{value:.1f}" for value in up[::-1]), tuple(f"{value:.1f}" for value in across)
    grid = np.asarray(plane(jnp.asarray(across), jnp.asarray(up)))
    return Generated(grid, labels, f"the plane of the code{of_class}, at quantiles of {whose}", *names)


WAYS: dict[str, Callable[["TrainedRun", Options], Generated]] = {
    "samples": samples,
    "classes": classes,
    "near-example": near_example,
    "near-class": near_class,
    "interpolation": interpolation,
    "traversals": traverse,
    "manifold": manifold,
}


def _training_codes(run: "TrainedRun", units: "np.ndarray | slice" = slice(None)) -> "np.ndarray":
    """Those units (N, U) of the codes of the training examples, of which only a part is held whole at a time."""
    import numpy as np

    from aejax.datasets.dataset import take

    train = run.splits.train
    parts = np.array_split(np.arange(len(train.x)), math.ceil(len(train.x) / ENCODED_AT_A_TIME))
    return np.concatenate([run.encode(take(train, part)).reshape(len(part), -1)[:, units] for part in parts])


def _test_codes(run: "TrainedRun", places: "tuple[int, ...] | range") -> "tuple[np.ndarray, np.ndarray | None]":
    """The codes of test examples, and their labels if the run is conditional."""
    import numpy as np

    from aejax.datasets.dataset import take

    test = run.splits.test
    some = take(test, np.asarray(places))
    return run.encode(some), some.labels if run.experiment.model.conditional else None


def _around(run: "TrainedRun", options: Options, codes: "np.ndarray") -> "np.ndarray":
    """Each code (R, ...) and others around it: (R, columns, ...)."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    from aejax.generation import perturbations
    from aejax.keys import named_key

    deviations = jnp.asarray(options.spread * _training_codes(run).std(axis=0))
    rows = []
    keys = jax.random.split(named_key(jax.random.key(options.seed), "perturbations"), len(codes))
    for key, code in zip(keys, codes, strict=True):
        flat = jnp.asarray(code).reshape(-1)
        others = perturbations(key, flat, deviations, count=options.columns - 1)
        rows.append(np.concatenate([flat[None], others]))
    return np.stack(rows).reshape(len(codes), options.columns, *run.code_shape)


def _two_ends(run: "TrainedRun") -> tuple[int, int]:
    """The first test example and the next of another class; of a conditional run the next of the same class."""
    labels = run.splits.test.labels
    if labels is None:
        return 0, 1
    fits = (labels[1:] == labels[0]) == run.experiment.model.conditional
    if fits.any():
        return 0, 1 + int(fits.argmax())
    if run.experiment.model.conditional:
        raise UserError(f"{run.path}: no two test examples are of one class, {labels[0]}; name two by --examples")
    return 0, 1


def _write_moving_picture(
    path: Path, frames: "np.ndarray", limits: tuple[float, float], frames_per_second: int
) -> None:
    """Images (T, H, W) or (T, H, W, channels) there and back, enlarged pixel by pixel; others as curves."""
    import numpy as np
    from PIL import Image

    from aejax import plots

    if not plots.is_image(frames.shape[1:]):
        frames, limits = plots.frames_of_curves(frames, limits=limits), (0, 255)
    low, high = limits
    scaled = np.clip((frames - low) / ((high - low) or 1.0), 0, 1)
    bytes_ = np.round(255 * scaled).astype(np.uint8)
    if bytes_.shape[3:] == (1,):
        bytes_ = bytes_[..., 0]
    factor = math.ceil(SMALLEST_FRAME / min(frames.shape[1:3]))
    size = (factor * frames.shape[2], factor * frames.shape[1])
    pictures = [Image.fromarray(frame).resize(size, Image.Resampling.NEAREST) for frame in bytes_]
    pictures += pictures[-2:0:-1]
    duration = round(1000 / frames_per_second)
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=duration, loop=0)


if __name__ == "__main__":
    command_line.run(main)
