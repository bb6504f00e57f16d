"""Conditions that are not classes: their facts, their encoding for the networks, and files of them."""

from functools import partial
from pathlib import Path

import jax
import numpy as np

from aejax.datasets.arrays import condition_of, read_entries
from aejax.datasets.dataset import Dataset, Splits, as_dataset
from aejax.datasets.halves import cut_half, joined
from aejax.datasets.image_folder import load_images
from aejax.datasets.images import FORMATS
from aejax.datasets.stored import StoredArray
from aejax.datasets.tables.columns import TableColumn
from aejax.errors import ArgumentError, UserError, knob_name
from aejax.experiment.facts import Facts
from aejax.experiment.given_facts import Given
from aejax.experiment.objective import as_likelihood_columns
from aejax.likelihoods.columns import Column
from aejax.likelihoods.table_inputs import encode_inputs, input_size

_FAR = 10.0  # larger values of images are standardized


def with_half_given(splits: Splits, half: str, *, name: str) -> Splits:
    """Returns splits of images of which one half is the condition, and the rest the examples.

    Raises:
      UserError: the examples are no images, stay in their file, or have separate inputs.
    """
    if any(isinstance(part.x, StoredArray) for part in splits):
        raise UserError(f"{name}: a half as the condition requires images in memory; use {knob_name('stream never')}")
    if splits.train.input is not None:
        raise UserError(f"{name}: a half as the condition cannot be combined with pairs of inputs and targets")
    return Splits(*(_cut(part, half, name) for part in splits))


def _cut(part: Dataset, half: str, name: str) -> Dataset:
    given, rest = cut_half(np.asarray(part.x), half, name=name)  # type: ignore[arg-type]
    return part._replace(x=np.ascontiguousarray(rest), condition=np.ascontiguousarray(given))


def given_of(train: Dataset, names: tuple[str, ...], columns: tuple[TableColumn, ...] | None) -> Given | None:
    """Returns the facts of the training examples' conditions; None if they have none.

    Vectors are standardized by number, images by all values if they are far from unit scale, and the columns of a table
    by their own statistics.

    Args:
      train: the training examples.
      names: of the conditions, as in the configuration.
      columns: of a table, with statistics of the training rows.
    """
    if train.condition is None:
        return None
    x, shape = train.condition, tuple(train.condition.shape[1:])
    if columns is not None:
        return Given(names, shape, columns=columns)
    values = x.astype(np.float64)
    if len(shape) > 1 and np.abs(values).max() <= _FAR:
        return Given(names, shape)
    axis = 0 if len(shape) == 1 else None
    mean, deviation = np.atleast_1d(values.mean(axis=axis)), np.atleast_1d(values.std(axis=axis))
    return Given(names, shape, tuple(mean.tolist()), tuple(np.where(deviation > 0, deviation, 1.0).tolist()))


def _columns(given: Given) -> tuple[Column, ...]:
    assert given.columns is not None
    return as_likelihood_columns(given.columns)


def encoded_shape(given: Given) -> tuple[int, ...]:
    """Returns the shape of the condition that the networks receive for one example."""
    return given.shape if given.columns is None else (input_size(_columns(given)),)


def encode_given(given: Given, condition: np.ndarray) -> np.ndarray:
    """Returns conditions (N, ...) as the networks receive them: standardized numbers, classes as one-hot vectors.

    Args:
      given: facts of the conditions of the training examples.
      condition: in the user's units; in columns of a table, NaN is a missing value.

    Raises:
      UserError: the conditions have another shape.

    >>> encode_given(Given(("x",), (1,), (5.0,), (2.0,)), np.array([[9.0]], np.float32)).tolist()
    [[2.0]]
    """
    if condition.shape[1:] != given.shape:
        raise UserError(f"condition: expected shape {given.shape} for each example, got {condition.shape[1:]}")
    if given.columns is not None:
        return np.asarray(jax.jit(jax.vmap(partial(encode_inputs, _columns(given))))(condition))
    mean, deviation = (
        np.reshape(np.array(values, np.float32), () if len(values) == 1 else given.shape)
        for values in (given.mean, given.standard_deviation)
    )
    return (np.asarray(condition, np.float32) - mean) / deviation


def whole_shape(facts: Facts) -> tuple[int, ...]:
    """Returns the shape of the user's examples: of images with a given half, that of whole images."""
    if facts.given is None or facts.given.half is None:
        return facts.shape
    return joined(np.empty((1, *facts.given.shape)), np.empty((1, *facts.shape)), facts.given.half).shape[1:]


def whole(facts: Facts, given: np.ndarray, rest: np.ndarray) -> np.ndarray:
    """Returns whole images (N, ...) of given halves and the rest; other examples are returned unchanged."""
    if facts.given is None or facts.given.half is None:
        return rest
    return joined(given.reshape(-1, *facts.given.shape), rest, facts.given.half)


def without_half(facts: Facts, dataset: Dataset, name: str) -> Dataset:
    """Returns the user's whole images as examples whose condition is the given half; other data are unchanged."""
    if facts.given is None or facts.given.half is None:
        return dataset
    shape = whole_shape(facts)
    x = np.asarray(dataset.x)
    if [side for side in x.shape[1:] if side != 1] == [side for side in shape if side != 1]:
        x = x.reshape(-1, *shape)
    if x.shape[1:] != shape:
        raise UserError(
            f"{name}: expected whole images {shape}, of which the {facts.given.half} is given, got {x.shape[1:]}"
        )
    return _cut(dataset._replace(x=x), facts.given.half, name)


def load_given(facts: Facts, path: Path) -> np.ndarray:
    """Returns the conditions (N, ...) in the user's file, in the user's units.

    Args:
      facts: of the training examples of a run with such a condition.
      path: a table with the columns; a .npz file with the entries, or a .npy file of them; or a file or folder of whole
        images, or of the half that is given.

    Raises:
      UserError: the file cannot be read or holds other conditions.
    """
    given = facts.given
    assert given is not None, "the run is not conditioned on numbers"
    if given.columns is not None:
        from aejax.datasets.tables.source import load_table_rows

        return np.asarray(load_table_rows(path, given.columns).x)
    if path.is_dir() or path.suffix.lower() in FORMATS:
        folder, paths = (path, None) if path.is_dir() else (path.parent, [path])
        x = np.asarray(load_images(folder, paths=paths, stored=False).x)
    elif given.half is None and path.suffix.lower() == ".npz":
        x = condition_of(read_entries(path), given.names, len(next(iter(read_entries(path).values()))), path)
    else:
        x = as_dataset(read_entries(path)["x"], name=str(path)).x
    if given.half is not None and x.size == len(x) * np.prod(whole_shape(facts)):
        x = cut_half(x.reshape(-1, *whole_shape(facts)), given.half, name=str(path))[0]
    if x.size != len(x) * np.prod(given.shape):
        raise UserError(f"{path}: expected conditions of shape {given.shape} for each example, got {x.shape[1:]}")
    return x.reshape(-1, *given.shape)


def no_condition() -> ArgumentError:
    """Returns the error about data without the condition that the model expects."""
    return ArgumentError("condition", f"the examples have no condition; give it by {knob_name('given')}")
