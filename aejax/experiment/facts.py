"""Facts of the training data that a run stores: shape, range, scaling of bytes, classes, and what follows from them."""

import dataclasses
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import ConfigDict, NonNegativeFloat, PositiveInt, TypeAdapter, ValidationError

from aejax.datasets.byte_values import BytesAs, ByteValues, Divisor
from aejax.datasets.dataset import AsStored, Dataset
from aejax.datasets.sequences import has_padding, lengths_of
from aejax.datasets.source import Layout
from aejax.datasets.stored import blocks_of
from aejax.datasets.tables.columns import TableColumn, model_columns
from aejax.errors import UserError, knob_name
from aejax.experiment.given_facts import Given
from aejax.experiment.upgrades import Upgrade, unchanged, upgraded
from aejax.host.files import read_bytes, write_text
from aejax.host.schema import first_error, parse_json

FILE = "facts.json"
MAX_CLASSES = 10_000  # labels with more distinct values are treated as identifiers
_SAMPLED = 2**22  # values of an array that are sampled
_MAX_LENGTHS = 1000  # of sequences that are stored
_STRICT = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)
_MAX_BYTES = 2**28  # of the file, which holds two numbers per feature if data are scaled


@dataclass(frozen=True)
class Values:
    """Statistics of an array's values, after division of bytes by 255 if they are gray values."""

    __pydantic_config__ = _STRICT

    dtype: str
    """NumPy's name of the type in the file: float32, uint8."""
    divided_by: Divisor
    """255 for bytes that are gray values; 1 for values that are used as they are in the file."""
    low: float
    """The smallest value."""
    high: float
    """The largest value."""
    mean: float
    """The mean of all values."""
    standard_deviation: NonNegativeFloat
    """The standard deviation of all values."""
    integers: bool
    """Whether all values are whole numbers."""
    magnitude: NonNegativeFloat
    """The 0.95 quantile of the absolute values that are not 0, from up to 4 million values of evenly spaced examples; 0
    if all are 0."""


@dataclass(frozen=True)
class Scaling:
    """The transform before the encoder, (transform(x) - shift) / scale, which is inverted after the decoder."""

    __pydantic_config__ = _STRICT

    transform: Literal["identity", "log1p"]
    """The function before the shift."""
    shift: tuple[float, ...]
    """One value for all features, or one per feature, in C order."""
    scale: tuple[float, ...]
    """Positive; one value for all features, or one per feature, in C order."""
    log_rate: tuple[float, ...] | None = None
    """log1p: the initial logarithm of the rates, one value for all features or one per feature; None means 0."""
    low: float | None = None
    """identity: the smallest value of the transformed training examples."""
    high: float | None = None
    """identity: the largest value of the transformed training examples."""


@dataclass(frozen=True)
class Facts:
    """Facts of the training split, from which an autoencoder is built and against which data are checked."""

    __pydantic_config__ = _STRICT

    shape: tuple[PositiveInt, ...]
    """The shape of one example."""
    targets: Values
    """Statistics of the targets, the examples that are reconstructed."""
    inputs: Values | None = None
    """Statistics of the inputs, the examples that are encoded, if they are not the targets: the noisy ones of pairs."""
    classes: tuple[int | str | None, ...] | None = None
    """The distinct labels of the training examples, sorted: class k of the model is classes[k]. None without labels, or
    if there are more than 10,000. For a run of an older version, class k is the label k, and an entry is None if no
    training example has that label."""
    class_names: tuple[str, ...] | None = None
    """The name of each class, if known."""
    scaling: Scaling | None = None
    """The transform of examples; None if they are not transformed."""
    log_variance: float | None = None
    """The initial logarithm of a learned global variance; None for a run of an older version, where it is 0."""
    examples: PositiveInt | None = None
    """The number of training examples; None for a run of an older version."""
    distinct_labels: PositiveInt | None = None
    """The number of distinct labels of the training examples, which has no limit; None without labels."""
    pseudo_inputs: tuple[float, ...] | None = None
    """The first training examples, flattened in C order and concatenated: the initial pseudo-inputs of a VampPrior.
    None without a VampPrior."""
    layout: Layout | None = None
    """The meaning of an example's axes: image, series, roll, row or vector; None if only the shape is known."""
    columns: tuple[TableColumn, ...] | None = None
    """The columns of a table, with statistics of the training rows; None if the data are no table."""

    lengths: tuple[PositiveInt, ...] | None = None
    """The lengths of training sequences that are padded with NaN, sorted; of more than 1,000, quantiles. None if no
    training example is padded."""

    given: Given | None = None
    """What encoder and decoder are conditioned on besides a class; None if nothing is."""

    @property
    def encoder_inputs(self) -> Values:
        """Statistics of the examples that are encoded: `inputs`, or `targets` if there are no other inputs."""
        return self.targets if self.inputs is None else self.inputs


def facts_of(train: Dataset) -> Facts:
    """Returns the facts of training examples; examples in a file are read one block at a time.

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
        columns=train.columns,
        lengths=None if train.columns is not None or not has_padding(train.x) else _lengths(train.x),
    )


def _lengths(x: np.ndarray) -> tuple[int, ...]:
    lengths = np.sort(lengths_of(x))
    places = np.linspace(0, len(lengths) - 1, min(len(lengths), _MAX_LENGTHS)).astype(np.int64)
    return tuple(lengths[places].tolist())


def facts_of_labels(labels: np.ndarray | None) -> dict[str, Any]:
    """Returns the fields `classes` and `distinct_labels` of `Facts`, by name; an empty dictionary without labels."""
    if labels is None or not len(labels):
        return {}
    distinct = np.unique(labels)
    classes = tuple(distinct.tolist()) if len(distinct) <= MAX_CLASSES else None
    return {"classes": classes, "distinct_labels": len(distinct)}


def values_of(x: np.ndarray, stored: AsStored | None = None) -> Values:
    """Returns the statistics of an array (N, ...), computed in one pass, a block at a time; NaN is ignored.

    Args:
      x: the array, or the examples in a file.
      stored: the type in the file and the divisor; None if the array has not been converted.
    """
    low, high, integers = np.inf, -np.inf, True
    count, mean, squares = 0, 0.0, 0.0  # squares: the sum of squared deviations from the mean
    for block in blocks_of(x):
        if np.isnan(block.min()):  # missing values of a table
            block = block[~np.isnan(block)]
            if not block.size:
                continue
        low, high = min(low, float(block.min())), max(high, float(block.max()))
        integers = integers and bool(np.all(block == np.round(block)))
        own_mean = float(block.mean(dtype=np.float64))
        own_squares = float(np.square(np.subtract(block, own_mean, dtype=np.float64)).sum())
        total = count + block.size
        squares += own_squares + (own_mean - mean) ** 2 * count * block.size / total  # Chan et al. (1979)
        mean += (own_mean - mean) * block.size / total
        count = total
    dtype, divided_by, _ = stored or AsStored(str(x.dtype))
    if not count:
        raise UserError("the training examples hold no value: all are missing")
    deviation = float(np.sqrt(squares / count))
    return Values(dtype, divided_by, low, high, mean, deviation, integers, magnitude_of(some_of(x), 0.95))


def some_of(x: np.ndarray) -> np.ndarray:
    """Returns evenly spaced examples of an array (N, ...), with up to 4 million values together, in memory."""
    rows = max(1, min(len(x), _SAMPLED * len(x) // max(x.size, 1)))
    return np.asarray(x[np.linspace(0, len(x) - 1, rows).astype(np.int64)])


def magnitude_of(x: np.ndarray, quantile: float) -> float:
    """Returns a quantile of the absolute values that are not 0; 0 if all are 0.

    >>> magnitude_of(np.array([0.0, 0.0, -1.0, 2.0, 900.0]), 0.5)
    2.0
    """
    numbers = x[(x != 0) & ~np.isnan(x)]
    return float(np.quantile(np.abs(numbers), quantile)) if numbers.size else 0.0


def as_older(facts: Facts) -> Facts:
    """Returns the facts with `classes` as versions without stored facts define them: class k is the label k."""
    if facts.classes is None or isinstance(facts.classes[0], str) or facts.classes[0] < 0:  # type: ignore[operator]
        return facts
    seen = set(facts.classes)
    classes = tuple(k if k in seen else None for k in range(facts.classes[-1] + 1))  # type: ignore[operator]
    return dataclasses.replace(facts, classes=classes)


def bytes_as(facts: Facts | None) -> BytesAs:
    """Returns how bytes in a run's data file were read in training.

    Args:
      facts: the run's facts; None for a run of a version without facts, which divided all bytes by 255.
    """
    if facts is None:
        return BytesAs("scaled", "scaled")
    how: dict[int, ByteValues] = {1: "as_is", 255: "scaled"}
    return BytesAs(how[facts.targets.divided_by], how[facts.encoder_inputs.divided_by])


def describe_bytes(facts: Facts, dataset: str) -> str | None:
    """Returns a line that says how bytes were read; None if the data are not bytes."""
    lines = []
    for name, values in {"": facts.targets, ", input": facts.inputs}.items():
        if values is None or values.dtype != "uint8":
            continue
        low, high = (round(end * values.divided_by) for end in (values.low, values.high))
        how = (
            f"gray values, divided by 255 ({knob_name('byte_values as_is')} keeps them unchanged)"
            if values.divided_by == 255
            else f"masks, classes or counts, kept unchanged ({knob_name('byte_values scaled')} divides them by 255)"
        )
        lines.append(f"{dataset}{name}: bytes from {low} to {high} are {how}")
    return "; ".join(lines) or None


_OLDEST = 1
_UPGRADES: tuple[Upgrade, ...] = (unchanged,)  # version 1 lacks fields, which are None by default


def to_json(facts: Facts) -> str:
    """Returns the facts as a JSON document, with the version of its schema.

    >>> facts = facts_of(Dataset(np.ones((2, 3), np.float32), np.array(["cat", "dog"])))
    >>> from_json(to_json(facts), name="facts.json") == facts
    True
    """
    version = _OLDEST + len(_UPGRADES)
    return json.dumps({"version": version, **dataclasses.asdict(facts)}, indent=2, ensure_ascii=False) + "\n"


def from_json(text: str | bytes, *, name: str) -> Facts:
    """Returns the facts in a JSON document, checked field by field.

    Args:
      text: the document.
      name: what error messages call the document.

    Raises:
      UserError: the document does not hold valid facts or is of a newer version.
    """
    content = upgraded(parse_json(text, name=name), "version", _UPGRADES, oldest=_OLDEST, name=name)
    try:
        facts = TypeAdapter(Facts).validate_json(json.dumps(content))
    except ValidationError as error:
        raise UserError(f"{name}: {first_error(error)}") from error
    _check(facts, name)
    return facts


def _check(facts: Facts, name: str) -> None:
    """Raise UserError if fields are valid alone but contradict each other."""
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
    if facts.columns is not None and (len(model_columns(facts.columns)),) != facts.shape:
        raise UserError(f"{name}: columns: must be one for each of the {facts.shape[0]} numbers of a row")
    if facts.lengths is not None and (len(facts.shape) > 2 or max(facts.lengths, default=0) > facts.shape[0]):
        raise UserError(f"{name}: lengths: must be at most the {facts.shape[0]} steps of an example")
    size = 1 if facts.columns is not None else int(np.prod(facts.shape))  # the inputs of a table have another size
    if facts.pseudo_inputs is not None and (not facts.pseudo_inputs or len(facts.pseudo_inputs) % size):
        raise UserError(f"{name}: pseudo_inputs: must be whole examples of shape {facts.shape}")


def write_facts(folder: Path, facts: Facts) -> None:
    """Write a run's facts into its folder."""
    write_text(folder / FILE, to_json(facts))


def read_facts(folder: Path) -> Facts | None:
    """Returns the facts in a run folder; None for a run of a version that did not write facts.

    Raises:
      UserError: the file cannot be read or does not hold valid facts.
    """
    path = folder / FILE
    if not os.path.lexists(path):
        return None
    return from_json(read_bytes(path, limit=_MAX_BYTES), name=str(path))


def check_shape(facts: Facts, train: Dataset, folder: Path) -> None:
    """Raise UserError if the shape in a run's facts is not that of its training examples."""
    if facts.shape != tuple(train.x.shape[1:]):
        raise UserError(
            f"{folder / FILE}: examples have shape {facts.shape} there, but {tuple(train.x.shape[1:])} in the run's "
            "data; the file was changed or damaged"
        )
