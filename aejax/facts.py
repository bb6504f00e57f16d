"""What a run knows of its training data besides the configuration: their shape, range, how bytes were read, classes."""

import dataclasses
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import ConfigDict, NonNegativeFloat, PositiveInt, TypeAdapter, ValidationError

from aejax.configuration import first_fault
from aejax.datasets.dataset import AsStored, Dataset
from aejax.datasets.stored import StoredArray
from aejax.errors import UserError

FILE = "facts.json"
_STRICT = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)
_BLOCK = 2**22  # numbers that a pass over the data looks at at a time


@dataclass(frozen=True)
class Values:
    """The numbers of an array, as an autoencoder is given them: bytes already divided."""

    __pydantic_config__ = _STRICT

    dtype: str
    """Of the array in its file, as NumPy names it: float32, uint8."""
    divided_by: Literal[1, 255]
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
    """The labels of the training examples, sorted: class k of the model is classes[k]. None without labels. An entry is
    None only for a run of an older version, whose class k is the label k, where no training example had it."""
    class_names: tuple[str, ...] | None = None
    """What each class is called, where that is known."""
    scaling: Scaling | None = None
    """None where examples are taken as they are."""

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
        classes=None if train.labels is None else tuple(np.unique(train.labels).tolist()),
    )


def values_of(x: np.ndarray, stored: AsStored | None = None) -> Values:
    """The facts of an array (N, ...), in one pass that holds a block of it at a time."""
    low, high, integers = np.inf, -np.inf, True
    count, mean, squares = 0, 0.0, 0.0  # squares: the sum of squared deviations from the mean
    for block in _blocks(x):
        low, high = min(low, float(block.min())), max(high, float(block.max()))
        integers = integers and bool(np.all(block == np.round(block)))
        own_mean = float(block.mean(dtype=np.float64))
        own_squares = float(np.square(block - own_mean, dtype=np.float64).sum())
        total = count + block.size
        squares += own_squares + (own_mean - mean) ** 2 * count * block.size / total  # Chan et al. (1979)
        mean += (own_mean - mean) * block.size / total
        count = total
    dtype, divided_by = stored or AsStored(str(x.dtype))
    deviation = float(np.sqrt(squares / count))
    return Values(dtype, divided_by, low, high, mean, deviation, integers)


def _blocks(x: np.ndarray) -> Iterator[np.ndarray]:
    if isinstance(x, StoredArray):
        yield from x.blocks()
        return
    examples = max(1, _BLOCK * len(x) // max(x.size, 1))
    for start in range(0, len(x), examples):
        yield x[start : start + examples]


_VERSION = 1


def to_json(facts: Facts) -> str:
    """The facts as a JSON document, with the version of its schema.

    >>> facts = facts_of(Dataset(np.ones((2, 3), np.float32), np.array(["cat", "dog"])))
    >>> from_json(to_json(facts), name="facts.json") == facts
    True
    """
    return json.dumps({"version": _VERSION, **dataclasses.asdict(facts)}, indent=2, ensure_ascii=False) + "\n"


def from_json(text: str | bytes, *, name: str) -> Facts:
    """The facts in a JSON document, checked field by field.

    Raises:
      UserError: no such document, or one of another version; the message begins with `name`.
    """
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{name}: is no JSON document; it was changed or damaged") from error
    version = content.pop("version", None) if isinstance(content, dict) else None
    if not isinstance(version, int) or version != _VERSION:
        raise UserError(f"{name}: must be facts of a run with version {_VERSION}, got version {version!r}")
    try:
        facts = TypeAdapter(Facts).validate_json(json.dumps(content))
    except ValidationError as error:
        raise UserError(f"{name}: {first_fault(error)}") from error
    _check(facts, name)
    return facts


def _check(facts: Facts, name: str) -> None:
    """Raise UserError where single fields are valid and do not fit together."""
    for field in ("targets", "inputs"):
        values: Values | None = getattr(facts, field)
        if values is not None and not values.low <= values.mean <= values.high:
            raise UserError(f"{name}: {field}.mean: must lie between low and high, got {values.mean:g}")
    if facts.classes is not None:
        if not facts.classes or len(set(facts.classes)) < len(facts.classes) or None in facts.classes:
            raise UserError(f"{name}: classes: must be distinct labels, at least one")
        if len({type(label) for label in facts.classes}) > 1 or list(facts.classes) != sorted(facts.classes):  # type: ignore[type-var]
            raise UserError(f"{name}: classes: must be integers or texts in order")
    if facts.class_names is not None and len(facts.class_names) != len(facts.classes or ()):
        raise UserError(f"{name}: class_names: must be one for each class")
    if (scaling := facts.scaling) is not None:
        sizes = {1, int(np.prod(facts.shape))}
        if not {len(scaling.shift), len(scaling.scale)} <= sizes or not all(scale > 0 for scale in scaling.scale):
            raise UserError(f"{name}: scaling: must be positive scales, one number for all features or one for each")


def write_facts(folder: Path, facts: Facts) -> None:
    """Write the facts of a run into its folder."""
    (folder / FILE).write_text(to_json(facts), encoding="utf-8")


def read_facts(folder: Path) -> Facts | None:
    """The facts in the folder of a run; None for a run of a version that wrote none.

    Raises:
      UserError: a file that cannot be read, or no facts in it.
    """
    path = folder / FILE
    if not path.exists() and not path.is_symlink():
        return None
    if not path.is_file():  # a device may be read for ever
        raise UserError(f"{path}: is no file; it was changed or damaged")
    try:
        return from_json(path.read_bytes(), name=str(path))
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error


def check_shape(facts: Facts, train: Dataset, folder: Path) -> None:
    """Raise UserError where the facts of a run are of other examples than it was trained on."""
    if facts.shape != tuple(train.x.shape[1:]):
        raise UserError(
            f"{folder / FILE}: examples have shape {facts.shape} there, and {tuple(train.x.shape[1:])} in the run's "
            "data; the file was changed or damaged"
        )
