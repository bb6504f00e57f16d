"""Generates along attributes: the direction from the mean code of all other examples to that of a class."""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np

from aejax.datasets.sequences import cut_like
from aejax.errors import ArgumentError, UserError
from aejax.experiment.arranged import (
    check_counts,
    check_spread,
    class_names,
    codes_of_examples,
    decoded,
    example_names,
    originals,
    training_codes,
)
from aejax.experiment.generated import Generated
from aejax.experiment.trained import TrainedRun
from aejax.generation import along, group_direction
from aejax.host.suggestions import unknown


def attributes(
    run: TrainedRun,
    examples: Sequence[int] = (),
    *,
    classes: Sequence[str] = (),
    rows: int = 8,
    columns: int = 9,
    strength: float = 1.0,
) -> Generated:
    """Returns a row for each class: a test example whose code is moved against and along the direction of the class.

    The direction is the mean code of the class's training examples minus that of all others. The middle column, of an
    odd number, is the example's reconstruction; at strength 1 an average example of the others has the mean code of the
    class.

    Args:
      run: a run whose training examples have labels.
      examples: the index of one test example, from 0; the first by default.
      classes: names or labels of classes; by default the first `rows` ones.
      rows: the number of classes if none are given.
      columns: steps from -strength to strength.
      strength: in units of the direction.

    Raises:
      UserError: a run without labels, or of one class; a class that no training example has; arguments out of range.

    Source: A. B. L. Larsen et al. (2016), Autoencoding beyond Pixels Using a Learned Similarity Metric, section 4.1.
    """
    check_counts(rows=rows, columns=columns)
    check_spread(strength, "strength")
    if len(examples) > 1:
        raise ArgumentError("examples", f"attributes expects 1, got {len(examples)}")
    labels = run.splits.train.labels
    known = np.unique(labels) if labels is not None else np.array([])
    if len(known) < 2:
        what = "generating along attributes expects a run whose data have labels of at least two classes"
        raise UserError(f"{run.path}: {what}, but these have {'none' if labels is None else 'one class'}")
    chosen = _chosen(run, known.tolist(), classes, rows)
    place = tuple(examples) or (0,)
    code, of_class, conditions = codes_of_examples(run, place)
    codes = jnp.asarray(training_codes(run))
    steps = strength * (2 * np.arange(columns) / (columns - 1) - 1)  # exactly 0 in the middle
    start, multiples = jnp.asarray(code.reshape(-1)), jnp.asarray(steps, jnp.float32)
    moved = [along(start, group_direction(codes, labels == label), multiples) for label in chosen]
    made = np.stack(moved).reshape(len(chosen), columns, *run.code_shape)
    all_labels = None if of_class is None else np.full(made.shape[:2], of_class[0])
    all_conditions = None
    if conditions is not None:
        all_conditions = np.tile(conditions, (*made.shape[:2], *(1,) * (conditions.ndim - 1)))
    title = f"{example_names(run, place)[0]}, its code moved along the mean of a class minus that of all others"
    names = class_names(run, chosen), tuple(f"{step:+.2g}" if step else "0" for step in steps.tolist())
    x_label = "multiple of the direction; 0: the reconstruction of the example on the left"
    result = decoded(run, made, all_labels, title, *names, x_label=x_label, y_label="class", conditions=all_conditions)
    before = originals(run, place)
    if run.facts.lengths is not None:
        result = result._replace(examples=cut_like(result.examples, before[:, None]))
    return result._replace(before=np.repeat(before, len(chosen), axis=0), family="path")


def _chosen(run: TrainedRun, known: list[int | str], classes: Sequence[str], rows: int) -> list[int | str]:
    """Returns the labels that names, or labels as text, stand for."""
    if not classes:
        return known[:rows]
    by_text = {str(label): label for label in known} | dict(zip(class_names(run, known), known, strict=True))
    if wrong := [text for text in classes if text not in by_text]:
        raise ArgumentError("classes", unknown("class", wrong[0], by_text, kinds="classes"))
    return [by_text[text] for text in classes]
