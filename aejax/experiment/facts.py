"""What a run knows of its training data besides the configuration: their shape, range, how bytes were read, classes."""

import dataclasses
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import ConfigDict, NonNegativeFloat, PositiveInt, TypeAdapter, ValidationError

from aejax.datasets.byte_values import BytesAs, ByteValues, Divisor
from aejax.datasets.dataset import AsStored, Dataset
from aejax.datasets.source import Layout
from aejax.datasets.stored import blocks_of
from aejax.errors import UserError
from aejax.experiment.upgrades import Upgrade, unchanged, upgraded
from aejax.host.files import read_bytes, write_text
from aejax.host.schema import first_error, parse_json

FILE = "facts.json"
MAX_CLASSES = 10_000  # more distinct labels are taken for identifiers
_NUMBERS = 2**22  # that a look at an array takes
_LISTED = 10  # labels in a message
_STRICT = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)
_MAX_BYTES = 2**28  # of the file, which has two numbers for every feature of scaled data


@dataclass(frozen=True)
class Values:
    """The numbers of an array, as an autoencoder is given them: bytes already divided."""

    __pydantic_config__ = _STRICT

    dtype: str
    """Of the array in its file, as NumPy names it: float32, uint8."""
    divided_by: Divisor
    """255 where bytes were taken for gray values; 1 where numbers are as they are in their file."""
    low: float
    """The smallest number."""
    high: float
    """The largest number."""
    mean: float
    """Of all numbers together."""
    standard_deviation: NonNegativeFloat
    """Of all numbers together."""
    integers: bool
    """Whether all are whole numbers."""
    magnitude: NonNegativeFloat
    """The 0.95 quantile of the magnitudes of those that are not 0, of up to 4 million numbers of examples at equal
    distances; 0 where all are 0."""


@dataclass(frozen=True)
class Scaling:
    """How examples are transformed before the encoder and back after the decoder: (transformed - shift) / scale."""

    __pydantic_config__ = _STRICT

    transform: Literal["identity", "log1p"]
    """What is done before the shift."""
    shift: tuple[float, ...]
    """One number for all features, or one for each, in C order."""
    scale: tuple[float, ...]
    """As for shift; positive."""
    log_rate: tuple[float, ...] | None = None
    """log1p: what the logarithm of each rate starts from, as for shift; None starts it at 0."""
    low: float | None = None
    """identity: the smallest number of the transformed training examples."""
    high: float | None = None
    """identity: the largest number of them."""


@dataclass(frozen=True)
class Facts:
    """What an autoencoder is built from and data are checked against, made once from the training split."""

    __pydantic_config__ = _STRICT

    shape: tuple[PositiveInt, ...]
    """Of one example."""
    targets: Values
    """The numbers of the examples that are reconstructed."""
    inputs: Values | None = None
    """The numbers of the examples that are encoded, where they are others: the noisy ones of pairs."""
    classes: tuple[int | str | None, ...] | None = None
    """The labels of the training examples, sorted: class k of the model is classes[k]. None without labels, or where
    they are more than 10,000. An entry is None only for a run of an older version, whose class k is the label k, where
    no training example had it."""
    class_names: tuple[str, ...] | None = None
    """What each class is called, where that is known."""
    scaling: Scaling | None = None
    """None where examples are taken as they are."""
    log_variance: float | None = None
    """Where a learned global variance starts, its logarithm; None for a run of an older version, where that is 0."""
    examples: PositiveInt | None = None
    """The number of training examples; None for a run of an older version."""
    distinct_labels: PositiveInt | None = None
    """The number of distinct labels of the training examples, however many; None without labels."""
    pseudo_inputs: tuple[float, ...] | None = None
    """The first training examples, one after the other in C order, from which a VampPrior learns its pseudo-inputs;
    None without one."""
    layout: Layout | None = None
    """What the axes of an example are: image, series, roll, row or vector; None where only its shape is known."""

    @property
    def seen(self) -> Values:
        """The numbers of the examples that are encoded."""
        return self.targets if self.inputs is None else self.inputs


def facts_of(train: Dataset) -> Facts:
    """The facts of training examples; of those in a file one block is held at a time.

    >>> facts = facts_of(Dataset(np.array([[0.0, 2.0], [4.0, 2.0]], np.float32), np.array([7, 3])))
    >>> facts.shape, facts.classes
    ((2,), (3, 7))
    >>> facts.targets.low, facts.targets.high, facts.targets.mean, facts.targets.integers
    (0.0, 4.0, 2.0, True)
    """
    return Facts(
        shape=tuple(train.x.shape[1:]),
        targets=values_of(train.x, train.stored),
        inputs=None if train.input is None else values_of(train.input, train.stored_input),
        **facts_of_labels(train.labels),
        examples=len(train.x),
    )


def facts_of_labels(labels: np.ndarray | None) -> dict[str, Any]:
    if labels is None or not len(labels):
        return {}
    distinct = np.unique(labels)
    classes = tuple(distinct.tolist()) if len(distinct) <= MAX_CLASSES else None
    return {"classes": classes, "distinct_labels": len(distinct)}


def unseen_labels(labels: np.ndarray, classes: Sequence[int | str | None]) -> list[int | str]:
    """The labels, sorted, that are none of the classes.

    >>> unseen_labels(np.array([3, 4, 7, 9]), (3, 7))
    [4, 9]
    """
    known = set(classes)
    return [label for label in np.unique(labels).tolist() if label not in known]


def positions_of(labels: np.ndarray, classes: Sequence[int | str | None], *, name: str) -> np.ndarray:
    """The place of every label (N,) among the classes, int32.

    Raises:
      UserError: a label that is none of the classes; the message begins with `name`.

    >>> positions_of(np.array([7, 3, 7]), (3, 7), name="mine.npy").tolist()
    [1, 0, 1]
    """
    if unseen := unseen_labels(labels, classes):
        raise UserError(
            f"{name}: expected labels that were trained on, {list_labels(classes)}, got {list_labels(unseen)}"
        )
    place = {label: number for number, label in enumerate(classes)}
    distinct, inverse = np.unique(labels, return_inverse=True)
    return np.array([place[label] for label in distinct.tolist()], np.int32)[inverse]


def list_labels(labels: Sequence[int | str | None]) -> str:
    """Labels in words: consecutive integers by their ends, of others the first ten.

    >>> list_labels((0, 1, 2, 3)), list_labels((3, 7)), list_labels(("cat",))
    ('classes 0 to 3', 'classes 3, 7', "class 'cat'")
    """
    shown = [label for label in labels if label is not None]
    noun = "class" if len(shown) == 1 else "classes"
    if len(shown) > 2 and all(isinstance(label, int) for label in shown) and shown == [*range(shown[0], shown[-1] + 1)]:  # type: ignore[operator,arg-type]
        return f"{noun} {shown[0]} to {shown[-1]}"
    more = f" and {len(shown) - _LISTED:,} others" if len(shown) > _LISTED else ""
    return f"{noun} {', '.join(map(repr, shown[:_LISTED]))}{more}"


def values_of(x: np.ndarray, stored: AsStored | None = None) -> Values:
    """The facts of an array (N, ...), in one pass that holds a block of it at a time."""
    low, high, integers = np.inf, -np.inf, True
    count, mean, squares = 0, 0.0, 0.0  # squares: the sum of squared deviations from the mean
    for block in blocks_of(x):
        low, high = min(low, float(block.min())), max(high, float(block.max()))
        integers = integers and bool(np.all(block == np.round(block)))
        own_mean = float(block.mean(dtype=np.float64))
        own_squares = float(np.square(np.subtract(block, own_mean, dtype=np.float64)).sum())
        total = count + block.size
        squares += own_squares + (own_mean - mean) ** 2 * count * block.size / total  # Chan et al. (1979)
        mean += (own_mean - mean) * block.size / total
        count = total
    dtype, divided_by = stored or AsStored(str(x.dtype))
    deviation = float(np.sqrt(squares / count))
    return Values(dtype, divided_by, low, high, mean, deviation, integers, magnitude_of(some_of(x), 0.95))


def some_of(x: np.ndarray) -> np.ndarray:
    """Up to 4 million numbers of an array (N, ...): those of examples at equal distances, in memory."""
    rows = max(1, min(len(x), _NUMBERS * len(x) // max(x.size, 1)))
    return np.asarray(x[np.linspace(0, len(x) - 1, rows).astype(np.int64)])


def magnitude_of(x: np.ndarray, quantile: float) -> float:
    """A quantile of the magnitudes of the numbers that are not 0; 0 where all are.

    >>> magnitude_of(np.array([0.0, 0.0, -1.0, 2.0, 900.0]), 0.5)
    2.0
    """
    numbers = x[x != 0]
    return float(np.quantile(np.abs(numbers), quantile)) if numbers.size else 0.0


def as_older(facts: Facts) -> Facts:
    """The facts of a run of a version that wrote none: class k of its model is the label k."""
    if facts.classes is None or isinstance(facts.classes[0], str) or facts.classes[0] < 0:  # type: ignore[operator]
        return facts
    seen = set(facts.classes)
    classes = tuple(k if k in seen else None for k in range(facts.classes[-1] + 1))  # type: ignore[operator]
    return dataclasses.replace(facts, classes=classes)


def bytes_as(facts: Facts | None) -> BytesAs:
    """What bytes stand for in the file of a run, as it was trained; None for the facts of an older version."""
    if facts is None:
        return BytesAs("scaled", "scaled")
    how: dict[int, ByteValues] = {1: "as_is", 255: "scaled"}
    return BytesAs(how[facts.targets.divided_by], how[facts.seen.divided_by])


def describe_bytes(facts: Facts, dataset: str) -> str | None:
    """In a line, what bytes were taken for; None where there are none."""
    said = []
    for name, values in {"": facts.targets, ", input": facts.inputs}.items():
        if values is None or values.dtype != "uint8":
            continue
        low, high = (round(end * values.divided_by) for end in (values.low, values.high))
        how = (
            "gray values, divided by 255 (--byte-values as_is takes them as they are)"
            if values.divided_by == 255
            else "masks, classes or counts, taken as they are (--byte-values scaled divides them by 255)"
        )
        said.append(f"{dataset}{name}: bytes from {low} to {high} are {how}")
    return "; ".join(said) or None


_OLDEST = 1
_UPGRADES: tuple[Upgrade, ...] = (unchanged,)  # of version 1: what it does not hold is None


def to_json(facts: Facts) -> str:
    """The facts as a JSON document, with the version of its schema.

    >>> facts = facts_of(Dataset(np.ones((2, 3), np.float32), np.array(["cat", "dog"])))
    >>> from_json(to_json(facts), name="facts.json") == facts
    True
    """
    version = _OLDEST + len(_UPGRADES)
    return json.dumps({"version": version, **dataclasses.asdict(facts)}, indent=2, ensure_ascii=False) + "\n"


def from_json(text: str | bytes, *, name: str) -> Facts:
    """The facts in a JSON document, checked field by field.

    Raises:
      UserError: no such document, or one of a newer version; the message begins with `name`.
    """
    content = upgraded(parse_json(text, name=name), "version", _UPGRADES, oldest=_OLDEST, name=name)
    try:
        facts = TypeAdapter(Facts).validate_json(json.dumps(content))
    except ValidationError as error:
        raise UserError(f"{name}: {first_error(error)}") from error
    _check(facts, name)
    return facts


def _check(facts: Facts, name: str) -> None:
    """Raise UserError where single fields are valid and do not fit together."""
    for field in ("targets", "inputs"):
        values: Values | None = getattr(facts, field)
        if values is not None and not values.low <= values.mean <= values.high:
            raise UserError(f"{name}: {field}.mean: must lie between low and high, got {values.mean:g}")
    if facts.classes is not None:
        distinct = set(facts.classes)
        if not 0 < len(distinct) <= MAX_CLASSES or len(distinct) < len(facts.classes) or None in distinct:
            raise UserError(f"{name}: classes: must be distinct labels, from 1 to {MAX_CLASSES:,}")
        if len({type(label) for label in facts.classes}) > 1 or list(facts.classes) != sorted(facts.classes):  # type: ignore[type-var]
            raise UserError(f"{name}: classes: must be integers or texts in order")
    if facts.class_names is not None and len(facts.class_names) != len(facts.classes or ()):
        raise UserError(f"{name}: class_names: must be one for each class")
    if (scaling := facts.scaling) is not None:
        sizes = {1, int(np.prod(facts.shape))}
        lengths = {len(numbers) for numbers in (scaling.shift, scaling.scale, scaling.log_rate) if numbers is not None}
        if not lengths <= sizes or not all(scale > 0 for scale in scaling.scale):
            raise UserError(f"{name}: scaling: must be positive scales, one number for all features or one for each")
    if facts.pseudo_inputs is not None and (
        not facts.pseudo_inputs or len(facts.pseudo_inputs) % int(np.prod(facts.shape))
    ):
        raise UserError(f"{name}: pseudo_inputs: must be whole examples of shape {facts.shape}")


def write_facts(folder: Path, facts: Facts) -> None:
    """Write the facts of a run into its folder."""
    write_text(folder / FILE, to_json(facts))


def read_facts(folder: Path) -> Facts | None:
    """The facts in the folder of a run; None for a run of a version that wrote none.

    Raises:
      UserError: a file that cannot be read, or no facts in it.
    """
    path = folder / FILE
    if not os.path.lexists(path):
        return None
    return from_json(read_bytes(path, limit=_MAX_BYTES), name=str(path))


def check_shape(facts: Facts, train: Dataset, folder: Path) -> None:
    """Raise UserError where the facts of a run are of other examples than it was trained on."""
    if facts.shape != tuple(train.x.shape[1:]):
        raise UserError(
            f"{folder / FILE}: examples have shape {facts.shape} there, and {tuple(train.x.shape[1:])} in the run's "
            "data; the file was changed or damaged"
        )
