"""Schemas of the JSON files in a run folder, checked on reading and on writing."""

import json
import re
from typing import Annotated, Any, Final, TypeVar

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, ValidationError

from aejax.errors import UserError
from aejax.host.files import decode

MAX_STEPS: Final = 2**31 - 1  # devices count steps in int32
MAX_TERMS: Final = 100  # of one split; the divergences of single code units (code/kl/1, ...) are not counted
MAX_VALUE: Final = 1e100  # of a mean; larger values cannot be drawn
Positive = Annotated[float, Field(gt=1e-30, lt=1e30)]  # single precision rounds these to neither 0 nor infinity
NonNegative = Annotated[float, Field(ge=0, lt=1e30)]
Fraction = Annotated[float, Field(gt=0, lt=1)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]  # JAX's keys repeat for larger seeds
_NAME = re.compile(r"(train|validation|test)/([^\W_][\w./ -]{0,99})")
_BY_UNIT = re.compile(r"code/kl/[1-9][0-9]*")


class _Checked(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")


Model = TypeVar("Model", bound=_Checked)


class _Place(_Checked):
    """The position in a run at which a record's means were computed."""

    step: Annotated[int, Field(ge=0, le=MAX_STEPS)]
    epoch: Annotated[float, Field(ge=0, le=MAX_STEPS, allow_inf_nan=False)]


class _Stopping(_Checked):
    best_loss: float  # infinity before the first evaluation
    best_epoch: Annotated[int, Field(ge=0, le=MAX_STEPS)]
    evaluations_since: NonNegativeInt


class CheckpointRecord(_Checked):
    """The content of a checkpoint other than arrays."""

    experiment: str
    stopping: _Stopping
    sums: dict[str, float]  # not finite if training diverged
    steps_summed: Annotated[int, Field(ge=0, le=MAX_STEPS)]


def parse_json(content: bytes | str, *, name: str) -> Any:
    """Returns the parsed content of a JSON document.

    Args:
      content: the document; bytes are decoded as UTF-8.
      name: of its file, for the error message.

    Raises:
      UserError: the document is not valid UTF-8 or JSON, is nested too deeply, or has a duplicate key.

    >>> parse_json('{"a": 1, "a": 2}', name="x.json")
    Traceback (most recent call last):
    aejax.errors.UserError: x.json: is not a valid JSON document: key 'a' appears twice in one object
    """
    text = decode(content, name=name) if isinstance(content, bytes) else content
    try:
        return json.loads(text, object_pairs_hook=_distinct)
    except RecursionError as error:
        raise UserError(f"{name}: is not a valid JSON document: it is nested too deeply") from error
    except ValueError as error:
        raise UserError(f"{name}: is not a valid JSON document: {str(error).splitlines()[0]}") from error


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = set()
    for key, _ in pairs:
        if key in keys:
            raise ValueError(f"key {key[:100]!r} appears twice in one object")
        keys.add(key)
    return dict(pairs)


def check_record(record: Any) -> dict[str, int | float]:
    """Returns a record of metrics.jsonl unchanged if it is valid.

    Args:
      record: the parsed line: step, epoch, and means named train/..., validation/... or test/....

    Raises:
      UserError: the record is not valid; the message says why.

    >>> check_record({"step": 10, "epoch": 1.0, "test/loss": 0.5})
    {'step': 10, 'epoch': 1.0, 'test/loss': 0.5}
    >>> check_record({"step": 10, "epoch": 1.0, "test/loss": True})
    Traceback (most recent call last):
    aejax.errors.UserError: test/loss: must be a number between -1e+100 and 1e+100, got True
    """
    if not isinstance(record, dict):
        raise UserError(f"must be an object, got {_short(record)}")
    terms = {name: value for name, value in record.items() if name not in ("step", "epoch")}
    validated(_Place, {name: value for name, value in record.items() if name not in terms})
    counts: dict[str, int] = {}
    for name, value in terms.items():
        if (match := _NAME.fullmatch(name)) is None:
            raise UserError(f"{_short(name)}: must be a name such as validation/loss")
        if isinstance(value, bool) or not isinstance(value, int | float) or not -MAX_VALUE <= value <= MAX_VALUE:
            raise UserError(f"{name}: must be a number between {-MAX_VALUE:g} and {MAX_VALUE:g}, got {_short(value)}")
        if not _BY_UNIT.fullmatch(match[2]):
            counts[match[1]] = counts.get(match[1], 0) + 1
    for split, count in counts.items():
        if count > MAX_TERMS:
            raise UserError(f"must have at most {MAX_TERMS} terms of {split}, got {count:,}")
    return record


def validated(model: type[Model], content: Any) -> Model:
    """Returns parsed content validated by a pydantic model.

    Args:
      model: the model.
      content: what `parse_json` has returned.

    Raises:
      UserError: the content does not match the model; the message describes the first error.
    """
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise UserError(first_error(error)) from error


def first_error(error: ValidationError) -> str:
    """Returns pydantic's first error as one line: the field, what is wrong with it, and the value."""
    first = error.errors()[0]
    knob = ".".join(str(part) for part in first["loc"]).encode("unicode_escape").decode()
    message = re.sub("[0-9.]{20,}", lambda number: f"{float(number[0]):g}", first["msg"][0].lower() + first["msg"][1:])
    got = f", got {_short(first['input'])}" if isinstance(first["input"], str | int | float | None) else ""
    return f"{knob}: {message}{got}" if knob else message


def _short(value: Any) -> str:
    """Returns the repr of a value, truncated to fit a one-line message."""
    try:
        text = repr(value)
    except (RecursionError, ValueError):  # an integer with more digits than Python prints
        text = f"a {type(value).__name__}"
    return text if len(text) <= 100 else f"{text[:100]}..."
