"""Generates examples with a run: samples, perturbed codes, interpolations, traversals of units, the code plane."""

import math
from collections.abc import Callable, Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from aejax.datasets.dataset import Dataset
from aejax.datasets.sequences import cut_like
from aejax.errors import ArgumentError, UserError
from aejax.experiment.arranged import (
    check_counts,
    check_number,
    check_prior,
    check_size,
    check_units,
    class_names,
    codes_of_examples,
    conditions_of_examples,
    cut_along,
    decoded,
    example_names,
    first_and_others,
    originals,
    perturbed,
    resampled,
    short_names,
    training_codes,
    two_ends,
    with_lengths,
)
from aejax.experiment.at_use import check_given, check_kind
from aejax.experiment.generated import MAX_UNITS_SHOWN, Generated
from aejax.experiment.trained import TrainedRun
from aejax.generation import interpolate, interpolate_spherically, normal_quantiles, plane, traversals
from aejax.jacobian import geodesic


def sample(
    run: TrainedRun, *, rows: int = 8, columns: int = 10, seed: int = 0, given: np.ndarray | None = None
) -> Generated:
    """Returns decoded samples from the prior; for a conditional run, of each class in turn.

    For a run that is conditioned on numbers, an image or columns of a table, each row has one condition.

    Args:
      run: a variational run, or one that was trained with the penalty `mmd_regularized`.
      rows: the number of rows.
      columns: samples per row.
      seed: the seed of the codes.
      given: (R, ...) a condition for each row, in the user's units; None for those of the first `rows` test examples.

    Raises:
      UserError: a run without a prior, counts outside `RANGES`, or conditions for a run without them.
    """
    check_prior(run)
    if run.facts.given is not None:
        return _sample_given(run, rows=rows, columns=columns, seed=seed, given=given)
    if given is not None:
        check_given(run, what="sampling under given conditions")
    check_size(run, rows=rows, columns=columns)
    labels = np.resize(run.classes, (rows, columns)) if run.experiment.model.conditional else None
    codes = run.sample_codes(rows * columns, seed=seed).reshape(rows, columns, *run.code_shape)
    return with_lengths(run, decoded(run, codes, labels, "decoded samples from the prior, not selected"), seed)


def _sample_given(run: TrainedRun, *, rows: int, columns: int, seed: int, given: np.ndarray | None) -> Generated:
    """Returns a row of decoded samples from the prior for each condition."""
    whose, before, names = (
        "as given",
        None,
        tuple(f"no. {place}" for place in range(0 if given is None else len(given))),
    )
    if given is None:
        places = range(min(rows, len(run.splits.test.x)))
        given = conditions_of_examples(run, places)
        assert given is not None
        whose, before, names = "of test examples (left)", originals(run, places), short_names(run, places)
    check_size(run, columns=columns, count=len(given) * columns)
    codes = run.sample_codes(len(given) * columns, seed=seed).reshape(len(given), columns, *run.code_shape)
    title = f"decoded samples from the prior, not selected; a row for each condition, {whose}"
    made = decoded(run, codes, None, title, names, conditions=np.repeat(given[:, None], columns, axis=1))
    return with_lengths(run, made._replace(before=before), seed)


def sample_classes(run: TrainedRun, *, columns: int = 10, seed: int = 0) -> Generated:
    """Returns a row of decoded samples from the prior for each class of a conditional run.

    Args:
      run: a run that is conditional and has a prior, as for `sample`.
      columns: samples per row.
      seed: the seed of the codes.

    Raises:
      UserError: a run of another kind, or a count outside `RANGES`.
    """
    check_prior(run)
    check_kind(run, run.experiment.model.conditional, "a conditional run", what="generating samples of each class")
    known = run.classes
    check_size(run, columns=columns, count=len(known) * columns)
    codes = run.sample_codes(len(known) * columns, seed=seed).reshape(len(known), columns, *run.code_shape)
    labels = np.repeat(known[:, None], columns, axis=1)
    title = "decoded samples from the prior, not selected; a class per row"
    return with_lengths(run, decoded(run, codes, labels, title, class_names(run, known), y_label="class"), seed)


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
    check_size(run, rows=rows, columns=columns)
    places = tuple(examples) or tuple(range(min(rows, len(run.splits.test.x))))
    codes, labels, conditions = codes_of_examples(run, places)
    title = (
        "test examples (left), their reconstructions (next), and decoded perturbations of their codes by "
        f"{spread:g} standard deviations of all codes"
    )
    if labels is not None:
        labels = np.repeat(labels[:, None], columns, axis=1)
    around = perturbed(run, codes, columns=columns, spread=spread, seed=seed)
    made = decoded(
        run,
        around,
        labels,
        title,
        short_names(run, places),
        first_and_others(columns),
        y_label="test example",
        conditions=None if conditions is None else np.repeat(conditions[:, None], columns, axis=1),
    )
    before = originals(run, places)
    if run.facts.lengths is not None:
        made = made._replace(examples=cut_like(made.examples, before[:, None]))
    return made._replace(before=before, family="around")


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
    check_kind(
        run, run.facts.given is None, "a run without a condition, or on classes", what="a mean code of each class"
    )
    if train.labels is None:
        what = "generating examples near each class expects a run whose data have labels"
        raise UserError(f"{run.path}: {what}, but these have none")
    codes, known = run.encode(train), np.unique(train.labels)
    check_size(run, columns=columns, count=len(known) * columns)
    means = np.stack([codes[train.labels == label].mean(axis=0) for label in known])
    title = (
        "the decoded mean code of each class (left), and decoded perturbations of it by "
        f"{spread:g} standard deviations of all codes"
    )
    labels = np.repeat(known[:, None], columns, axis=1) if run.experiment.model.conditional else None
    around = perturbed(run, means, columns=columns, spread=spread, seed=seed)
    names = class_names(run, known)
    made = decoded(run, around, labels, title, names, first_and_others(columns, first="mean"), y_label="class")
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
    check_size(run, columns=columns, frames=frames, count=3 * (columns + frames))
    if len(run.splits.test.x) < 2:
        raise UserError(f"{run.path}: an interpolation expects a run with at least two test examples")
    check_number("examples", examples, 2, "interpolation")
    places = tuple(examples) or two_ends(run)
    codes, labels, conditions = codes_of_examples(run, places)
    if conditions is not None:  # of the path's start
        conditions = conditions[:1]
    if labels is not None and labels[0] != labels[1]:
        classes = f"{labels[0]} and {labels[1]}"
        raise ArgumentError("examples", f"a conditional run expects examples of one class, got classes {classes}")
    condition = tuple(
        jnp.asarray(of_all[0]) for of_all in run.conditions_of(Dataset(codes[:1], labels, condition=conditions))
    )
    start, end = jnp.asarray(codes).reshape(2, -1)

    def decode(code: jax.Array) -> jax.Array:
        return run.autoencoder.decode(run.params, code.reshape(run.code_shape), *condition)

    shortest = jax.jit(partial(geodesic, decode, points=columns, steps=geodesic_steps))(start, end)
    paths: dict[str, Callable[..., np.ndarray | jax.Array]] = {
        "straight": partial(interpolate, start, end),
        "arc": partial(interpolate_spherically, start, end),
        "geodesic": partial(resampled, np.asarray(shortest)),
    }

    def along(points: int) -> Generated:
        codes = np.stack([np.asarray(path(points=points)) for path in paths.values()])
        all_labels = None if labels is None else np.full((3, points), labels[0])
        all_conditions = None if conditions is None else np.tile(conditions, (3, points, *(1,) * (conditions.ndim - 1)))
        codes = codes.reshape(3, points, *run.code_shape)
        return decoded(run, codes, all_labels, title, tuple(paths), conditions=all_conditions)

    names = example_names(run, places)
    title = f"paths from {names[0]} to {names[1]}"
    of_path = tuple("start" if k == 0 else "end" if k == columns - 1 else "" for k in range(columns))
    made = along(columns)._replace(columns=of_path, x_label="decoded codes along the path")
    before, after = (np.stack([original] * 3) for original in originals(run, places))
    moving = along(frames).examples
    if run.facts.lengths is not None:
        made = made._replace(examples=cut_along(made.examples, before, after))
        moving = cut_along(moving, before, after)
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
    check_number("examples", examples, 1, "traversals")
    check_units(run, units, columns)
    place = tuple(examples) or (0,)
    code, labels, conditions = codes_of_examples(run, place)
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
    all_conditions = None
    if conditions is not None:
        all_conditions = np.tile(conditions, (*made.shape[:2], *(1,) * (conditions.ndim - 1)))
    traversed = decoded(
        run, made, all_labels, title, *names, units=chosen, x_label=x_label, conditions=all_conditions
    )._replace(family="path")
    if run.facts.lengths is not None:
        traversed = traversed._replace(examples=cut_like(traversed.examples, originals(run, place)[:, None]))
    return traversed


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
    check_size(run, side=side, count=side**2)
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
    conditions = conditions_of_examples(run, [0])
    if conditions is not None:
        conditions, title = (
            np.tile(conditions, (side, side, *(1,) * (conditions.ndim - 1))),
            f"{title}, for test example 0",
        )
    return decoded(
        run, grid, labels, title, *names, x_label="code unit 1", y_label="code unit 2", conditions=conditions
    )
