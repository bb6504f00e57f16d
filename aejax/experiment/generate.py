"""Generates examples with a run: samples, perturbed codes, interpolations, traversals of units, the code plane."""

import math
from collections.abc import Callable, Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from aejax.datasets.dataset import Dataset
from aejax.errors import ArgumentError, UserError, knob_name
from aejax.experiment.arranged import class_names, decoded, example_names, originals, test_codes, training_codes
from aejax.experiment.at_use import check_kind
from aejax.experiment.generated import MAX_UNITS_SHOWN, Generated
from aejax.experiment.trained import TrainedRun
from aejax.generation import interpolate, interpolate_spherically, normal_quantiles, perturbations, plane, traversals
from aejax.host.memory import check_fits
from aejax.jacobian import geodesic
from aejax.keys import named_key

RANGES = {  # of arguments that are counts; figures cannot be drawn beyond these limits
    "rows": (1, 400),
    "columns": (3, 400),
    "side": (2, 400),
    "geodesic_steps": (1, 1_000_000),
    "frames": (3, 1000),
    "frames_per_second": (1, 50),
}
MAX_SPREAD = 1000.0
MAX_NUMBERS = 2**26  # values in the codes or the examples of traversals: 0.25 GiB


def check_counts(**counts: int) -> None:
    """Raise ArgumentError if one of these arguments is outside its range in `RANGES`.

    >>> check_counts(rows=0)
    Traceback (most recent call last):
    aejax.errors.ArgumentError: rows: must be between 1 and 400, got 0
    """
    for name, count in counts.items():
        least, most = RANGES[name]
        if not least <= count <= most:
            raise ArgumentError(name, f"must be between {least:,} and {most:,}, got {count:,}")


def check_spread(spread: float, name: str = "spread") -> None:
    """Raise ArgumentError if a spread or strength is negative, or too large for single precision."""
    if not 0 <= spread <= MAX_SPREAD:
        raise ArgumentError(name, f"must be between 0 and {MAX_SPREAD:g}, got {spread:g}")


def sample(run: TrainedRun, *, rows: int = 8, columns: int = 10, seed: int = 0) -> Generated:
    """Returns decoded samples from the prior; for a conditional run, of each class in turn.

    Args:
      run: a variational run, or one that was trained with the penalty `mmd_regularized`.
      rows: the number of rows.
      columns: samples per row.
      seed: the seed of the codes.

    Raises:
      UserError: a run without a prior, or counts outside `RANGES`.
    """
    _check_prior(run)
    _check_size(run, rows=rows, columns=columns)
    labels = np.resize(run.classes, (rows, columns)) if run.experiment.model.conditional else None
    codes = run.sample_codes(rows * columns, seed=seed).reshape(rows, columns, *run.code_shape)
    return decoded(run, codes, labels, "decoded samples from the prior, not selected")


def sample_classes(run: TrainedRun, *, columns: int = 10, seed: int = 0) -> Generated:
    """Returns a row of decoded samples from the prior for each class of a conditional run.

    Args:
      run: a run that is conditional and has a prior, as for `sample`.
      columns: samples per row.
      seed: the seed of the codes.

    Raises:
      UserError: a run of another kind, or a count outside `RANGES`.
    """
    _check_prior(run)
    check_kind(run, run.experiment.model.conditional, "a conditional run", what="generating samples of each class")
    known = run.classes
    _check_size(run, columns=columns, count=len(known) * columns)
    codes = run.sample_codes(len(known) * columns, seed=seed).reshape(len(known), columns, *run.code_shape)
    labels = np.repeat(known[:, None], columns, axis=1)
    title = "decoded samples from the prior, not selected; a class per row"
    return decoded(run, codes, labels, title, class_names(run, known), y_label="class")


def near_examples(
    run: TrainedRun,
    examples: Sequence[int] = (),
    *,
    rows: int = 8,
    columns: int = 10,
    spread: float = 0.5,
    seed: int = 0,
) -> Generated:
    """Returns a row for each of some test examples: its reconstruction, and decoded perturbations of its code.

    Args:
      run: a run of any kind.
      examples: indices of test examples, from 0; by default the first `rows` ones.
      rows: the number of examples if `examples` is empty.
      columns: examples per row.
      spread: the standard deviation of the perturbations, relative to that of all codes.
      seed: the seed of the perturbations.

    Raises:
      UserError: arguments outside `RANGES`, or indices beyond the test examples.
    """
    _check_size(run, rows=rows, columns=columns)
    places = tuple(examples) or tuple(range(min(rows, len(run.splits.test.x))))
    codes, labels = test_codes(run, places)
    title = (
        "test examples (left), their reconstructions (next), and decoded perturbations of their codes by "
        f"{spread:g} standard deviations of all codes"
    )
    if labels is not None:
        labels = np.repeat(labels[:, None], columns, axis=1)
    around = _around(run, codes, columns=columns, spread=spread, seed=seed)
    names = tuple(example_names(run, places, short=True))
    made = decoded(run, around, labels, title, names, _first_and_others(columns), y_label="test example")
    return made._replace(before=originals(run, places), family="around")


def near_classes(run: TrainedRun, *, columns: int = 10, spread: float = 0.5, seed: int = 0) -> Generated:
    """Returns a row for each class: the decoded mean code of its training examples, and perturbations of that code.

    Args:
      run: a run whose training examples have labels.
      columns: examples per row.
      spread: the standard deviation of the perturbations, relative to that of all codes.
      seed: the seed of the perturbations.

    Raises:
      UserError: a run without labels, or arguments outside `RANGES`.
    """
    train = run.splits.train
    if train.labels is None:
        what = "generating examples near each class expects a run whose data have labels"
        raise UserError(f"{run.path}: {what}, but these have none")
    codes, known = run.encode(train), np.unique(train.labels)
    _check_size(run, columns=columns, count=len(known) * columns)
    means = np.stack([codes[train.labels == label].mean(axis=0) for label in known])
    title = (
        "the decoded mean code of each class (left), and decoded perturbations of it by "
        f"{spread:g} standard deviations of all codes"
    )
    labels = np.repeat(known[:, None], columns, axis=1) if run.experiment.model.conditional else None
    around = _around(run, means, columns=columns, spread=spread, seed=seed)
    names = class_names(run, known)
    made = decoded(run, around, labels, title, names, _first_and_others(columns, first="mean"), y_label="class")
    return made._replace(family="around")


def interpolations(
    run: TrainedRun,
    examples: Sequence[int] = (),
    *,
    columns: int = 10,
    geodesic_steps: int = 300,
    frames: int = 60,
) -> Generated:
    """Returns three paths from one test example to another: straight, along an arc, and along a geodesic.

    Args:
      run: a run of any kind.
      examples: indices of the two test examples, from 0; by default the first one, and the next of another class (of
        the same class if the run is conditional).
      columns: points of a path.
      geodesic_steps: steps of the optimizer that shortens the geodesic.
      frames: points of a path for its animation, from one end to the other.

    Raises:
      UserError: arguments outside `RANGES`, not two examples, or examples of two classes if the run is conditional.
    """
    check_counts(geodesic_steps=geodesic_steps)
    _check_size(run, columns=columns, frames=frames, count=3 * (columns + frames))
    if len(run.splits.test.x) < 2:
        raise UserError(f"{run.path}: an interpolation expects a run with at least two test examples")
    _check_number("examples", examples, 2, "interpolation")
    places = tuple(examples) or _two_ends(run)
    codes, labels = test_codes(run, places)
    if labels is not None and labels[0] != labels[1]:
        classes = f"{labels[0]} and {labels[1]}"
        raise ArgumentError("examples", f"a conditional run expects examples of one class, got classes {classes}")
    condition = tuple(jnp.asarray(of_all[0]) for of_all in run.conditions_of(Dataset(codes, labels)))
    start, end = jnp.asarray(codes).reshape(2, -1)

    def decode(code: jax.Array) -> jax.Array:
        return run.autoencoder.decode(run.params, code.reshape(run.code_shape), *condition)

    shortest = jax.jit(partial(geodesic, decode, points=columns, steps=geodesic_steps))(start, end)
    paths: dict[str, Callable[..., np.ndarray | jax.Array]] = {
        "straight": partial(interpolate, start, end),
        "arc": partial(interpolate_spherically, start, end),
        "geodesic": partial(_resampled, np.asarray(shortest)),
    }

    def along(points: int) -> tuple[np.ndarray, np.ndarray | None]:
        codes = np.stack([np.asarray(path(points=points)) for path in paths.values()])
        all_labels = None if labels is None else np.full((3, points), labels[0])
        return codes.reshape(3, points, *run.code_shape), all_labels

    names = example_names(run, places)
    title = f"paths from {names[0]} to {names[1]}"
    of_path = tuple("start" if k == 0 else "end" if k == columns - 1 else "" for k in range(columns))
    made = decoded(run, *along(columns), title, tuple(paths), of_path, x_label="decoded codes along the path")
    before, after = (np.stack([original] * 3) for original in originals(run, places))
    moving = decoded(run, *along(frames), title).examples
    ends = names[0].replace(" (", "\n("), names[1].replace(" (", "\n(")
    return made._replace(before=before, after=after, frames=moving, ends=ends, family="path")


def traverse(
    run: TrainedRun, examples: Sequence[int] = (), *, units: Sequence[int] = (), columns: int = 10
) -> Generated:
    """Returns a row for each unit of a test example's code: only that unit changes, over quantiles of its values.

    Args:
      run: a run of any kind.
      examples: the index of one test example, from 0; the first by default.
      units: the units, from 1, in the order of the rows; by default all, in order of decreasing variance over the
        training examples.
      columns: the number of quantiles, from 1 % to 99 %.

    Raises:
      UserError: arguments outside `RANGES`, units that the code does not have, or more values than `MAX_NUMBERS`.
    """
    check_counts(columns=columns)
    _check_number("examples", examples, 1, "traversals")
    _check_units(run, units, columns)
    place = tuple(examples) or (0,)
    code, labels = test_codes(run, place)
    chosen = np.array(units or range(1, code.size + 1))
    codes = training_codes(run, chosen - 1)
    if not units:
        order = np.argsort(-codes.var(axis=0))
        chosen, codes = chosen[order], codes[:, order]
    fractions = np.linspace(0.01, 0.99, columns)
    values = jnp.asarray(np.quantile(codes, fractions, axis=0).T)
    moved = np.asarray(traversals(jnp.asarray(code.reshape(-1)), values, jnp.asarray(chosen - 1)))
    made = moved.reshape(len(chosen), columns, *run.code_shape)
    all_labels = None if labels is None else np.full(made.shape[:2], labels[0])
    which = f"{len(chosen)} of {code.size:,} units, as given" if units else "all units, greatest variance first"
    some = f", the first {MAX_UNITS_SHOWN} of {len(chosen)} shown" if len(chosen) > MAX_UNITS_SHOWN else ""
    title = f"{example_names(run, place)[0]}, one unit of its code changed: {which}{some}"
    names = tuple(f"unit {unit}" for unit in chosen), tuple(f"{fraction:.0%}" for fraction in fractions)
    x_label = "quantile of the unit over the training examples"
    return decoded(run, made, all_labels, title, *names, units=chosen, x_label=x_label)._replace(family="path")


def manifold(run: TrainedRun, *, side: int = 20) -> Generated:
    """Returns a decoded grid over the plane of a 2-dimensional code.

    The grid lies at quantiles of the prior N(0, I), or at quantiles of the training examples' codes if the run has
    another prior or none.

    Args:
      run: a run with a 2-dimensional code; a conditional run decodes its first class.
      side: the number of rows and of columns.

    Raises:
      UserError: a code of another dimension, or a count outside `RANGES`.
    """
    expected = f"a run with a 2-dimensional code, not a {math.prod(run.code_shape):,}-dimensional one"
    check_kind(run, run.code_shape == (2,), expected, what="generating the code plane")
    _check_size(run, side=side, count=side**2)
    is_normal = run.prior is not None and run.experiment.regularization.prior == "normal"
    if is_normal:
        across = up = np.asarray(normal_quantiles(side))
    else:
        across, up = np.quantile(training_codes(run), (np.arange(side) + 0.5) / side, axis=0).T
    whose = "a normal prior" if is_normal else "the codes"
    labels, of_class = None, ""
    if run.experiment.model.conditional:
        first = run.classes[0]
        labels, of_class = np.full((side, side), first), f" of class {class_names(run, [first])[0]}"
    names = tuple(f"{value:.1f}" for value in up[::-1]), tuple(f"{value:.1f}" for value in across)
    grid = np.asarray(plane(jnp.asarray(across), jnp.asarray(up)))
    title = f"decoded plane of the code{of_class}, at quantiles of {whose}"
    return decoded(run, grid, labels, title, *names, x_label="code unit 1", y_label="code unit 2")


def _check_prior(run: TrainedRun) -> None:
    expected = f"a variational run, or one trained with {knob_name('mmd_weight')}"
    check_kind(run, run.prior is not None, expected, what="sampling from the prior")


def _check_size(run: TrainedRun, *, count: int | None = None, **counts: int) -> None:
    """Raise UserError for counts outside their ranges, or for examples that do not fit into memory."""
    check_counts(**counts)
    count = math.prod(counts.values()) if count is None else count
    numbers = count * max(math.prod(run.code_shape), math.prod(run.example_shape))
    check_fits(12 * numbers, f"{count:,} examples and their figure", advice="use fewer examples", host=True)


def _check_number(name: str, values: Sequence[int], expected: int, what: str) -> None:
    if values and len(values) != expected:
        raise ArgumentError(name, f"{what} expects {expected}, got {len(values)}")


def _check_units(run: TrainedRun, units: Sequence[int], columns: int) -> None:
    """Raise UserError for a unit that the code does not have, or for more values than `MAX_NUMBERS`."""
    size = math.prod(run.code_shape)
    if beyond := [unit for unit in units if not 1 <= unit <= size]:
        raise ArgumentError("units", f"the code has units 1 to {size:,}, got {beyond[0]}")
    count = len(units) or size
    numbers = count * columns * max(size, math.prod(run.example_shape))
    if numbers > MAX_NUMBERS:
        complaint = f"{count:,} units of {size:,} at {columns} quantiles are {numbers:,} values, more than "
        raise ArgumentError("units", f"{complaint}{MAX_NUMBERS:,}; give fewer units")


def _first_and_others(columns: int, *, first: str = "decoded") -> tuple[str, ...]:
    """Returns names of columns: the first one is a decoded code, the others decoded perturbations of it."""
    return (first, *[""] * (columns - 2), "perturbed")


def _resampled(path: np.ndarray, *, points: int) -> np.ndarray:
    """Returns equally many steps along the polygon through the points of a path (P, K): (points, K)."""
    times, wanted = np.linspace(0, 1, len(path)), np.linspace(0, 1, points)
    return np.stack([np.interp(wanted, times, unit) for unit in path.T], axis=1).astype(path.dtype)


def _around(run: TrainedRun, codes: np.ndarray, *, columns: int, spread: float, seed: int) -> np.ndarray:
    """Returns each code (R, ...) and perturbations of it: (R, columns, ...)."""
    check_spread(spread)
    deviations = jnp.asarray(spread * training_codes(run).std(axis=0))
    rows = []
    keys = jax.random.split(named_key(jax.random.key(seed), "perturbations"), len(codes))
    for key, code in zip(keys, codes, strict=True):
        flat = jnp.asarray(code).reshape(-1)
        rows.append(np.concatenate([flat[None], perturbations(key, flat, deviations, count=columns - 1)]))
    return np.stack(rows).reshape(len(codes), columns, *run.code_shape)


def _two_ends(run: TrainedRun) -> tuple[int, int]:
    """Returns the first test example and the next of another class, or of the same class if the run is conditional."""
    labels = run.splits.test.labels
    if labels is None:
        return 0, 1
    fits = (labels[1:] == labels[0]) == run.experiment.model.conditional
    if fits.any():
        return 0, 1 + int(fits.argmax())
    if run.experiment.model.conditional:
        raise ArgumentError("examples", f"{run.path} has one test example of class {labels[0]}; give two of one class")
    return 0, 1
