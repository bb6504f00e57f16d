"""Reads and writes .safetensors files, with single arrays mapped where they are; no package is needed for that.

The format: 8 bytes with the length of a header, the header as JSON (name -> dtype, shape, place), then the numbers in C
order, little-endian.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np

from aejax.errors import UserError
from aejax.host.files import open_regular
from aejax.host.schema import parse_json

SUFFIX = ".safetensors"
_MAX_HEADER = 10**8  # bytes, as the format has it
_DTYPES = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "BF16": np.dtype(ml_dtypes.bfloat16),
    "I64": np.dtype("<i8"),
    "I32": np.dtype("<i4"),
    "I16": np.dtype("<i2"),
    "I8": np.dtype("i1"),
    "U64": np.dtype("<u8"),
    "U32": np.dtype("<u4"),
    "U16": np.dtype("<u2"),
    "U8": np.dtype("u1"),
    "BOOL": np.dtype(bool),
}
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}


class Stored(NamedTuple):
    """Where an array lies in its file."""

    dtype: np.dtype
    shape: tuple[int, ...]
    offset: int  # bytes from the begin of the file


def read_header(path: Path) -> tuple[dict[str, Stored], dict[str, str]]:
    """Returns where the arrays of a file lie, by name, and the file's metadata; no numbers are read.

    Raises:
      UserError: the file is missing, damaged or cut off, or has an array of a dtype that NumPy and JAX do not have.
    """
    with open_regular(path) as file:
        size = file.seek(0, 2)
        file.seek(0)
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or not 2 <= length <= min(_MAX_HEADER, size - 8):
            raise UserError(f"{path}: is not a safetensors file, or is cut off")
        header = parse_json(file.read(length), name=f"{path}: its header")
    if not isinstance(header, dict):
        raise UserError(f"{path}: is not a safetensors file: its header is no JSON object")
    metadata = header.pop("__metadata__", {})
    start, arrays = 8 + length, {}
    for name, entry in header.items():
        stored = _entry(entry, start)
        if stored is None:
            raise UserError(f"{path}: array {name}: cannot be read: {json.dumps(entry)[:200]}")
        if stored.offset + stored.dtype.itemsize * math.prod(stored.shape) > size:
            raise UserError(f"{path}: array {name} of shape {stored.shape} ends beyond the file, which is cut off")
        arrays[name] = stored
    return arrays, metadata if isinstance(metadata, dict) else {}


def _entry(entry: Any, start: int) -> Stored | None:
    try:
        dtype, shape = _DTYPES[entry["dtype"]], tuple(entry["shape"])
        begin, end = entry["data_offsets"]
    except (KeyError, TypeError, ValueError):
        return None
    if not all(type(number) is int and number >= 0 for number in (*shape, begin, end)):
        return None
    return Stored(dtype, shape, start + begin) if end - begin == dtype.itemsize * math.prod(shape) else None


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Returns all arrays of a file by name, in memory.

    Raises:
      UserError: `read_header` refuses the file.
    """
    arrays, _ = read_header(path)
    with open_regular(path) as file:
        content = {}
        for name, stored in arrays.items():
            file.seek(stored.offset)
            numbers = file.read(stored.dtype.itemsize * math.prod(stored.shape))
            content[name] = np.frombuffer(numbers, stored.dtype).reshape(stored.shape)
    return content


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str] | None = None) -> None:
    """Writes arrays by name into one file.

    Args:
      path: the file, which is replaced.
      arrays: of the dtypes of the format: integers, booleans, float16 to float64 and bfloat16.
      metadata: texts by name.

    Raises:
      UserError: an array has another dtype.
    """
    header: dict[str, Any] = {} if metadata is None else {"__metadata__": dict(metadata)}
    parts, offset = [], 0
    # wide types first, as the format's own package does, so that all numbers are aligned
    for name, array in sorted(arrays.items(), key=lambda item: (-item[1].dtype.itemsize, item[0])):
        little = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False).reshape(array.shape)
        if (kind := _NAMES.get(little.dtype)) is None:
            raise UserError(f"{path}: array {name}: safetensors has no dtype {array.dtype}")
        header[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": [offset, offset + array.nbytes]}
        parts.append(little)
        offset += array.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little"))
        file.write(text)
        for part in parts:
            file.write(part.tobytes())
