"""Shards of activations: where their numbers lie in .npy, .npz and .safetensors files; rows are read when needed."""

import functools
import math
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import ml_dtypes
import numpy as np

from aejax.datasets.stored import FileRows
from aejax.errors import UserError, knob_name
from aejax.host.files import check_regular, open_regular
from aejax.host.safetensors import read_header

SUFFIXES = (".npy", ".npz", ".safetensors")
DTYPES = tuple(map(np.dtype, (np.float32, np.float16, np.float64, ml_dtypes.bfloat16)))
_NAMES = ("activations", "x", "X")  # of the entry with activations, in a file with several
_OPEN = 64  # files at the same time
_LOCAL_HEADER = 30  # bytes in a zip file before the name of an entry


class Shard(NamedTuple):
    """An array in a file: (rows, D), or (sequences, positions, D)."""

    path: Path
    entry: str | None  # of a file with names
    dtype: np.dtype
    shape: tuple[int, ...]
    offset: int  # bytes from the begin of the file
    is_fortran: bool = False

    @property
    def width(self) -> int:
        """D."""
        return self.shape[-1]

    @property
    def rows(self) -> int:
        """The number of rows."""
        return math.prod(self.shape[:-1])

    @property
    def name(self) -> str:
        """The file, and the entry in it, for messages."""
        return str(self.path) if self.entry is None else f"{self.path}, entry {self.entry}"


def find_arrays(path: Path) -> list[Shard]:
    """Returns the arrays in a file that may be activations: of floating-point numbers, with at least two axes.

    Args:
      path: a .npy, .npz or .safetensors file.

    Raises:
      UserError: the file is damaged, or is a compressed .npz file.
    """
    check_regular(path)
    suffix = path.suffix.lower()
    if suffix == ".safetensors":
        arrays, _ = read_header(path)
        found = [Shard(path, name, stored.dtype, stored.shape, stored.offset) for name, stored in arrays.items()]
    elif suffix == ".npz":
        found = _find_in_zip(path)
    else:
        with open_regular(path) as file:
            found = [_npy_header(path, None, file, 0)]
    return [each for each in found if _is_floating(each.dtype) and len(each.shape) >= 2]


def _npy_header(path: Path, entry: str | None, file: object, start: int) -> Shard:
    """Returns the array whose .npy header begins at the file's position, which is byte `start` of the whole file."""
    try:
        version = np.lib.format.read_magic(file)  # type: ignore[arg-type]
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, is_fortran, dtype = read(file)  # type: ignore[arg-type]
        offset = start + file.tell()  # type: ignore[attr-defined]
    except Exception as error:  # a damaged header raises errors without a common type
        raise UserError(f"{path}: cannot be read as an array: it is damaged or not an array file") from error
    return Shard(path, entry, dtype, shape, offset, is_fortran)


def _find_in_zip(path: Path) -> list[Shard]:
    found = []
    try:
        with open_regular(path) as file, zipfile.ZipFile(file) as archive:
            for info in archive.infolist():
                if not info.filename.endswith(".npy"):
                    continue
                name = info.filename.removesuffix(".npy")
                if info.compress_type != zipfile.ZIP_STORED:
                    raise UserError(
                        f"{path}: is compressed, so its rows cannot be read one by one; save it by numpy.savez, or "
                        "as .npy"
                    )
                file.seek(info.header_offset)
                header = file.read(_LOCAL_HEADER)
                lengths = int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
                start = info.header_offset + _LOCAL_HEADER + lengths
                with archive.open(info) as content:
                    found.append(_npy_header(path, name, content, start))
    except UserError:
        raise
    except Exception as error:  # a damaged file raises errors of zipfile and zlib, without a common type
        raise UserError(f"{path}: cannot be read as an array: it is damaged or not an array file") from error
    return found


def find_shards(paths: Sequence[Path]) -> tuple[list[Shard], list[str]]:
    """Returns the shards in files, and the names of files that hold something else, such as token ids.

    Shards are the arrays of floating-point numbers with the largest number of axes; of a file with several, the entry
    `activations` or `x`.

    Args:
      paths: the files, in order.

    Raises:
      UserError: a file cannot be read, or no array is of floating-point numbers; shards differ in their number of
        features or in their dtype, or hold no rows; or a file has several arrays of which none has the name.
    """
    found: list[Shard] = []
    others: list[str] = []
    for path in paths:
        arrays = find_arrays(path)
        if len(arrays) > 1:
            arrays = [each for each in arrays if each.entry in _NAMES]
            if len(arrays) != 1:
                raise UserError(f"{path}: holds several arrays: name the activations {_NAMES[0]}")
        found += arrays
        others += [] if arrays else [path.name]
    axes = max((len(shard.shape) for shard in found), default=0)
    others += [shard.path.name for shard in found if len(shard.shape) < axes]
    shards = [shard for shard in found if len(shard.shape) == axes]
    if not shards:
        raise UserError(f"{paths[0].parent}: no file holds an array of floating-point numbers with at least two axes")
    first = shards[0]
    advice = f"choose files by {knob_name('shards')}, such as {knob_name('shards')} '{first.path.stem[:4]}*'"
    for shard in shards:
        if shard.width != first.width:
            raise UserError(
                f"{shard.name}: has {shard.width:,} features, but {first.name} has {first.width:,}; {advice}"
            )
        if shard.dtype != first.dtype:
            raise UserError(f"{shard.name}: has dtype {shard.dtype}, but {first.name} has {first.dtype}; {advice}")
        if len(shard.shape) > 3:
            raise UserError(
                f"{shard.name}: has shape {shard.shape}, but activations are (rows, features) or (sequences, "
                "positions, features)"
            )
        if shard.dtype not in DTYPES:
            raise UserError(f"{shard.name}: has dtype {shard.dtype}, expected float32, float16, bfloat16 or float64")
        if shard.rows == 0 or shard.width == 0:
            raise UserError(f"{shard.name}: holds no rows, its shape is {shard.shape}")
        if shard.is_fortran:
            raise UserError(
                f"{shard.name}: is in Fortran order, in which single rows cannot be read; save "
                "numpy.ascontiguousarray of it"
            )
        size = shard.offset + shard.dtype.itemsize * math.prod(shard.shape)
        if size > shard.path.stat().st_size:
            raise UserError(f"{shard.name}: is cut off: its header says {shard.shape}")
    return shards, sorted(others)


class ShardRows:
    """The rows (N, D) of all shards one after the other, as `StoredArray` reads them; bfloat16 is read as float32."""

    def __init__(self, path: Path, shards: Sequence[Shard]) -> None:
        """Describes the rows; none is read.

        Args:
          path: the folder or file, for messages.
          shards: of the same width and dtype.
        """
        self.path = path
        self.shards = tuple(shards)
        self.ends = np.cumsum([shard.rows for shard in shards])
        self.shape: tuple[int, ...] = (int(self.ends[-1]), shards[0].width)
        stored = shards[0].dtype
        self.dtype = np.dtype(np.float32) if stored == ml_dtypes.bfloat16 else stored
        self._opened = functools.lru_cache(maxsize=_OPEN)(self._open)

    def _open(self, number: int) -> FileRows:
        shard = self.shards[number]
        shape = (shard.rows, shard.width)
        return FileRows(np.memmap(shard.path, shard.dtype, mode="r", offset=shard.offset, shape=shape))

    def read(self, index: np.ndarray) -> np.ndarray:
        """Returns the rows at positions `index`.

        Raises:
          UserError: a row holds NaN or infinity; the message names its shard and its place there.
        """
        rows = np.empty((len(index), self.shape[1]), self.dtype)
        which = np.searchsorted(self.ends, index, side="right")
        for number in np.unique(which):
            of_shard = np.flatnonzero(which == number)
            first = self.ends[number] - self.shards[number].rows
            places = index[of_shard] - first
            numbers = self._opened(int(number)).read(places).astype(self.dtype, copy=False)
            wrong = np.flatnonzero(~np.isfinite(numbers).all(axis=1))
            if wrong.size:
                raise UserError(
                    f"{self.shards[number].name}: row {self.place(number, int(places[wrong[0]]))} holds NaN or "
                    "infinity: leave it out of the file, or replace the values"
                )
            rows[of_shard] = numbers
        return rows

    def place(self, number: int, row: int) -> str:
        """Returns the place of a row in its shard, for messages: its indices from 0."""
        indices = np.unravel_index(row, self.shards[number].shape[:-1])
        return ", ".join(str(each) for each in indices)


def _is_floating(dtype: np.dtype) -> bool:
    return dtype == ml_dtypes.bfloat16 or np.issubdtype(dtype, np.floating)
