"""What the JSON files of a run folder hold, checked where they are read and where they are written."""

import json
import re
from typing import Annotated, Any, Final, TypeVar

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, ValidationError

from aejax.errors import UserError
from aejax.host.files import decode

MAX_STEPS: Final = 2**31 - 1  # a step is an int32 on the devices
MAX_TERMS: Final = 100  # of a split; divergences by unit of a code are not counted
MAX_VALUE: Final = 1e100  # of a mean: beyond it nothing can be drawn
Positive = Annotated[float, Field(gt=1e-30, lt=1e30)]  # of which single precision makes neither 0 nor infinity
NonNegative = Annotated[float, Field(ge=0, lt=1e30)]
_NAME = re.compile(r"(train|validation|test)/([^\W_][\w./ -]{0,99})")
_BY_UNIT = re.compile(r"code/kl/[1-9][0-9]*")


class _Checked(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")


Model = TypeVar("Model", bound=_Checked)


class _Place(_Checked):
    """Where in a run the means of a record are from."""

    step: Annotated[int, Field(ge=0, le=MAX_STEPS)]
    epoch: Annotated[float, Field(ge=0, le=MAX_STEPS, allow_inf_nan=False)]


class _Stopping(_Checked):
    best_loss: float  # infinite before the first evaluation
    best_epoch: Annotated[int, Field(ge=0, le=MAX_STEPS)]
    evaluations_since: NonNegativeInt


class CheckpointRecord(_Checked):
    """What a checkpoint holds besides arrays."""

    experiment: str
    stopping: _Stopping
    sums: dict[str, float]  # not finite where training diverged
    steps_summed: Annotated[int, Field(ge=0, le=MAX_STEPS)]


def parse_json(content: bytes | str, *, name: str) -> Any:
    """Returns what a JSON document holds.

    Raises:
      UserError: it is not UTF-8, no JSON, nested too deeply, or has a key twice; the message begins with `name`.

    >>> parse_json('{"a": 1, "a": 2}', name="x.json")
    Traceback (most recent call last):
    aejax.errors.UserError: x.json: is no JSON document: key 'a' stands twice in one object
    """
    text = decode(content, name=name) if isinstance(content, bytes) else content
    try:
        return json.loads(text, object_pairs_hook=_distinct)
    except RecursionError as error:
        raise UserError(f"{name}: is no JSON document: it is nested too deeply") from error
    except ValueError as error:
        raise UserError(f"{name}: is no JSON document: {str(error).splitlines()[0]}") from error


def check_keys(text: bytes | str) -> None:
    """Raise UserError where an object of a JSON document has a key twice, of which readers take different ones."""
    try:
        json.loads(text, object_pairs_hook=_distinct)
    except ValueError as error:
        raise UserError(str(error)) from error


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = set()
    for key, _ in pairs:
        if key in keys:
            raise ValueError(f"key {key[:100]!r} stands twice in one object")
        keys.add(key)
    return dict(pairs)


def check_record(record: Any) -> dict[str, int | float]:
    """Returns a line of metrics.jsonl as it is: step, epoch, and means named train/..., validation/... or test/....

    Raises:
      UserError: it is none; the message says what is wrong with it.

    >>> check_record({"step": 10, "epoch": 1.0, "test/loss": 0.5})
    {'step': 10, 'epoch': 1.0, 'test/loss': 0.5}
    >>> check_record({"step": 10, "epoch": 1.0, "test/loss": True})
    Traceback (most recent call last):
    aejax.errors.UserError: test/loss: must be a number of at most 1e+100 in magnitude, got True
    """
    if not isinstance(record, dict):
        raise UserError(f"must be an object, got {_short(record)}")
    terms = {name: value for name, value in record.items() if name not in ("step", "epoch")}
    validated(_Place, {name: value for name, value in record.items() if name not in terms})
    counts: dict[str, int] = {}
    for name, value in terms.items():
        if (parts := _NAME.fullmatch(name)) is None:
            raise UserError(f"{_short(name)}: must be a name such as validation/loss")
        if isinstance(value, bool) or not isinstance(value, int | float) or not -MAX_VALUE <= value <= MAX_VALUE:
            raise UserError(f"{name}: must be a number of at most {MAX_VALUE:g} in magnitude, got {_short(value)}")
        if not _BY_UNIT.fullmatch(parts[2]):
            counts[parts[1]] = counts.get(parts[1], 0) + 1
    for split, count in counts.items():
        if count > MAX_TERMS:
            raise UserError(f"must have at most {MAX_TERMS} terms of {split}, got {count:,}")
    return record


def validated(model: type[Model], content: Any) -> Model:
    """Returns the checked content of a document; UserError names the first field that is wrong."""
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise UserError(first_fault(error)) from error


def first_fault(error: ValidationError) -> str:
    """The field that pydantic names first, what is wrong with it, and what was got."""
    fault = error.errors()[0]
    knob = ".".join(str(part) for part in fault["loc"]).encode("unicode_escape").decode()
    message = re.sub("[0-9.]{20,}", lambda number: f"{float(number[0]):g}", fault["msg"][0].lower() + fault["msg"][1:])
    got = f", got {_short(fault['input'])}" if isinstance(fault["input"], str | int | float | None) else ""
    return f"{knob}: {message}{got}" if knob else message


def _short(value: Any) -> str:
    """A value in a message, which stays a line: of a long one its beginning."""
    try:
        text = repr(value)
    except (RecursionError, ValueError):  # an integer of more digits than Python writes
        text = f"a {type(value).__name__}"
    return text if len(text) <= 100 else f"{text[:100]}..."
