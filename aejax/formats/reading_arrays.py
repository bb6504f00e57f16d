"""Arrays by the names of their fields, and configurations, of a dictionary's files."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from aejax.errors import UserError
from aejax.host.files import read_bytes
from aejax.host.safetensors import read_arrays
from aejax.host.schema import parse_json

_MAX_BYTES = 2**24  # of a configuration


def read_configuration(path: Path) -> dict[str, Any]:
    """Returns the JSON object in a file.

    Raises:
      UserError: the file is missing or is no JSON object.
    """
    content = parse_json(read_bytes(path, limit=_MAX_BYTES), name=str(path))
    if not isinstance(content, dict):
        raise UserError(f"{path}: expected a JSON object with the configuration of a dictionary")
    return content


def named_arrays(
    path: Path, names: Mapping[str, str], arrays: Mapping[str, np.ndarray] | None = None
) -> dict[str, Any]:
    """Returns the arrays of a safetensors file by the names of their fields.

    Args:
      path: the file.
      names: field -> name in the file.
      arrays: what the file holds, if it was already read.

    Raises:
      UserError: the file cannot be read, or an array is missing; the message says which, and the shapes of the others.
    """
    found = read_arrays(path) if arrays is None else arrays
    if missing := [name for name in names.values() if name not in found]:
        there = ", ".join(f"{name} {array.shape}" for name, array in sorted(found.items())) or "nothing"
        raise UserError(f"{path}: array {missing[0]} is missing; the file holds {there}")
    return {field: found[name] for field, name in names.items()}
