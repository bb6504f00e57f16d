"""Results in a run folder: dataclasses as JSON documents with a version, checked when they are read."""

import dataclasses
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from aejax.errors import UserError
from aejax.experiment.upgrades import Upgrade, upgraded
from aejax.host.files import read_bytes
from aejax.host.schema import first_error, parse_json

Record = TypeVar("Record")


def finite(number: float) -> float | None:
    """Returns a number as JSON can hold it: None for NaN and infinity.

    >>> finite(0.5), finite(math.nan), finite(-math.inf)
    (0.5, None, None)
    """
    return float(number) if math.isfinite(number) else None


def record_to_json(record: Any, *, upgrades: Sequence[Upgrade] = ()) -> str:
    """Returns a dataclass as a JSON document with the version of its schema.

    Args:
      record: a dataclass, whose numbers are finite.
      upgrades: those of `read_record`.

    Raises:
      ValueError: a number is NaN or infinite.
    """
    content = {"version": 1 + len(upgrades), **dataclasses.asdict(record)}
    return json.dumps(content, indent=2, allow_nan=False) + "\n"


def read_record(path: Path, kind: type[Record], *, limit: int, upgrades: Sequence[Upgrade] = ()) -> Record | None:
    """Returns the dataclass in a JSON document of any version; None if there is no such file.

    Args:
      path: the file.
      kind: a pydantic dataclass.
      limit: maximum number of bytes.
      upgrades: from the content of each version to that of the next, from version 1 on.

    Raises:
      UserError: the file cannot be read, or holds no such document.
    """
    if not path.exists() and not path.is_symlink():
        return None
    content = parse_json(read_bytes(path, limit=limit), name=str(path))
    content = upgraded(content, "version", upgrades, oldest=1, name=str(path))
    try:
        return TypeAdapter(kind).validate_json(json.dumps(content))
    except ValidationError as error:
        raise UserError(f"{path}: {first_error(error)}") from error
