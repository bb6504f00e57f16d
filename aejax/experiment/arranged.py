"""Codes in rows and columns: decodes them, and names the examples and classes that they come from."""

import math
from collections.abc import Iterable, Sequence

import numpy as np

from aejax.datasets.dataset import Dataset, take
from aejax.errors import ArgumentError
from aejax.experiment.generated import Generated
from aejax.experiment.loading import names_of_classes
from aejax.experiment.trained import TrainedRun

_ENCODED_AT_ONCE = 10_000  # training examples


def decoded(
    run: TrainedRun,
    codes: np.ndarray,
    labels: np.ndarray | None,
    title: str,
    rows: tuple[str, ...] = (),
    columns: tuple[str, ...] = (),
    *,
    units: np.ndarray | None = None,
    x_label: str = "",
    y_label: str = "",
) -> Generated:
    """Returns codes (R, C, ...) and the examples that they are decoded to, with the names of rows and columns."""
    count = codes.shape[0] * codes.shape[1]
    flat = Dataset(codes.reshape(count, *run.code_shape), None if labels is None else labels.reshape(-1))
    examples = run.decode(flat).reshape(*codes.shape[:2], *run.example_shape)
    return Generated(codes, examples, labels, title, rows, columns, units, x_label, y_label)


def class_names(run: TrainedRun, labels: Iterable[int | str]) -> tuple[str, ...]:
    """Returns the name of each class, or its label if it has no name."""
    names = names_of_classes(run.experiment.data, run.facts)
    return tuple(names.get(label, str(label)) for label in labels)


def example_names(run: TrainedRun, places: Sequence[int], *, short: bool = False) -> list[str]:
    """Returns what test examples are called: by their index, from 0, with the class if it is known."""
    labels = run.splits.test.labels
    classes = None if labels is None else class_names(run, labels[list(places)].tolist())
    named = ["no. {}", " ({})"] if short else ["test example {}", " (class {})"]  # short: the rows are test examples
    return [
        named[0].format(place) + ("" if classes is None else named[1].format(classes[k]))
        for k, place in enumerate(places)
    ]


def originals(run: TrainedRun, places: Sequence[int]) -> np.ndarray:
    """Returns the test examples at these places, which reconstructions are compared with."""
    return np.asarray(take(run.splits.test, np.asarray(places)).x)


def training_codes(run: TrainedRun, units: np.ndarray | slice = slice(None)) -> np.ndarray:
    """Returns units (N, U) of the training examples' codes; only a block of whole codes is held at a time."""
    train = run.splits.train
    blocks = np.array_split(np.arange(len(train.x)), math.ceil(len(train.x) / _ENCODED_AT_ONCE))
    return np.concatenate([run.encode(take(train, block)).reshape(len(block), -1)[:, units] for block in blocks])


def test_codes(run: TrainedRun, places: Sequence[int]) -> tuple[np.ndarray, np.ndarray | None]:
    """Returns the codes of test examples, and their labels if the run is conditional."""
    test = run.splits.test
    if beyond := [place for place in places if not 0 <= place < len(test.x)]:
        raise ArgumentError("examples", f"the run has test examples 0 to {len(test.x) - 1}, got {beyond[0]}")
    some = take(test, np.asarray(places))
    return run.encode(some), some.labels if run.experiment.model.conditional else None
