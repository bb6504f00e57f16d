"""Examples that stay in their file: rows of a large .npy file, read when they are asked for and not before."""

import copy
import functools
import os
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np

from aejax.datasets.byte_values import Divisor
from aejax.errors import UserError

LARGE = 2**30  # bytes of float32 from which on a .npy file is not read into memory
_BLOCK = 2**24  # bytes of float32 that a pass over the file holds at a time
_MAX_NAMED = 3  # features with missing values


def as_float32(x: np.ndarray, divided_by: Divisor = 1) -> np.ndarray:
    """A copy as examples hold numbers: float32, and bytes that are gray values divided by 255.

    >>> as_float32(np.array([0, 51, 255], np.uint8), 255).tolist()
    [0.0, 0.20000000298023224, 1.0]
    """
    with np.errstate(over="ignore"):
        converted = x.astype(np.float32)
    if divided_by != 1:
        converted /= np.float32(divided_by)
    return converted


def blocks_of(x: np.ndarray, index: np.ndarray | None = None) -> Iterator[np.ndarray]:
    """Examples (N, ...) in order, some at a time, so that a pass over an array makes no copy of all of it.

    Args:
      x: an array, or a StoredArray.
      index: of the examples; None for all.
    """
    count = len(x) if index is None else len(index)
    examples = max(1, _BLOCK * len(x) // max(4 * x.size, 1))
    for start in range(0, count, examples):
        part = slice(start, start + examples)
        yield x[part] if index is None else x[index[part]]


def describe_broken(x: np.ndarray, *, what: str = "examples") -> str | None:
    """How many examples (N, ...) hold NaN or infinity, in which features if these are few, and what to do; else None.

    >>> describe_broken(np.array([[0.0, np.nan], [1.0, 2.0]]))
    '1 of 2 examples hold NaN, infinity or values beyond float32, in feature 1 (from 0): leave them out or fill them in'
    """
    finite = np.isfinite(x).reshape(len(x), -1)
    if finite.all():
        return None
    broken, features = len(x) - int(finite.all(axis=1).sum()), np.flatnonzero(~finite.all(axis=0))
    where = ""
    if len(features) <= _MAX_NAMED:
        where = f", in feature{'s' * (len(features) > 1)} {', '.join(map(str, features))} (from 0)"
    found = f"{broken} of {len(x)} {what} hold NaN, infinity or values beyond float32"
    return f"{found}{where}: leave them out or fill them in"


class StoredArray:
    """Examples (N, ...) in a .npy file, float32 as `as_float32` has them, divided by `divided_by`.

    Indexing reads from the file and returns an array: by a number one example, by a slice or an array of numbers many.
    What is read is checked to be finite. Reading through the file and not through a mapping of it keeps the pages that
    were read out of this process's memory, and makes of a file that is cut short an error instead of a crash.
    """

    dtype = np.dtype(np.float32)

    def __init__(self, file: np.memmap) -> None:
        """The examples that `np.load(path, mmap_mode="r")` has found.

        Raises:
          UserError: examples that do not lie one after the other, or a file that cannot be opened.
        """
        assert file.filename is not None
        self.path = Path(file.filename)
        if not file.flags.c_contiguous:
            raise UserError(
                f"{self.path}: is read example by example, and in Fortran order none lies in one place; save "
                "numpy.ascontiguousarray of it, or take --stream never where memory suffices"
            )
        self.stored_dtype = file.dtype
        self.divided_by: Divisor = 1
        self._file = file  # for its header alone: where the numbers are, and of what kind
        self._rows: np.ndarray | None = None  # of the file; None for all
        self._stride = file[0].nbytes if len(file) else 0
        self._descriptor = os.open(self.path, os.O_RDONLY)
        weakref.finalize(file, os.close, self._descriptor)  # when no part of it is left

    def __len__(self) -> int:
        """N."""
        return len(self._file) if self._rows is None else len(self._rows)

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, ...)."""
        return (len(self), *self._file.shape[1:])

    @property
    def ndim(self) -> int:
        """Of N examples, so one more than an example has."""
        return self._file.ndim

    @property
    def size(self) -> int:
        """How many numbers there are."""
        return len(self) * (self._file.size // max(len(self._file), 1))

    @property
    def nbytes(self) -> int:
        """Bytes of the examples as float32, were they in memory."""
        return self.dtype.itemsize * self.size

    def select(self, index: np.ndarray) -> "StoredArray":
        """The examples at these positions, in this order; nothing is read."""
        part = copy.copy(self)
        part.__dict__.pop("_extremes", None)
        part._rows = self._places(index)
        return part

    def dividing_by(self, divisor: Divisor) -> "StoredArray":
        """The same examples, whose bytes are divided when they are read; nothing is read now."""
        divided = copy.copy(self)
        divided.__dict__.pop("_extremes", None)
        divided.divided_by = divisor
        return divided

    def __getitem__(self, index: Any) -> np.ndarray:
        """Read one example, or many.

        Raises:
          UserError: examples that hold NaN or infinity, or a file that is shorter than it was.
        """
        if isinstance(index, slice):
            index = np.arange(*index.indices(len(self)))
        positions = np.asarray(index)
        x = as_float32(self._read(self._places(positions.reshape(-1))), self.divided_by)
        if self.stored_dtype.kind == "f" and (broken := describe_broken(x, what="examples that were read")):
            raise UserError(f"{self.path}: {broken}")
        return x.reshape(*positions.shape, *self.shape[1:])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """All of it, in memory: a copy in any case."""
        return self[:].astype(dtype or self.dtype, copy=False)

    def stored_blocks(self) -> Iterator[np.ndarray]:
        """All examples in order and as they are stored, some at a time."""
        examples = max(1, _BLOCK * len(self) // max(self.nbytes, 1))
        for start in range(0, len(self), examples):
            yield self._read(self._places(np.arange(start, min(start + examples, len(self)))))

    def min(self) -> np.float32:
        """The least number; the first time by a pass over the file."""
        return self._extremes[0]

    def max(self) -> np.float32:
        """The greatest number; the first time by a pass over the file."""
        return self._extremes[1]

    @functools.cached_property
    def _extremes(self) -> tuple[np.float32, np.float32]:
        lows, highs = zip(*((block.min(), block.max()) for block in blocks_of(cast(np.ndarray, self))), strict=True)
        return np.float32(min(lows)), np.float32(max(highs))

    def _places(self, index: np.ndarray) -> np.ndarray:
        """The rows of the file that examples are."""
        if index.size and not -len(self) <= index.min() <= index.max() < len(self):
            raise IndexError(f"{self.path}: there are {len(self)} examples, and one of {index} is none of them")
        if index.size and index.min() < 0:
            index = np.where(index < 0, index.astype(np.int64) + len(self), index)
        return index if self._rows is None else self._rows[index]

    def _read(self, rows: np.ndarray) -> np.ndarray:
        """Rows of the file as they are stored; those that follow each other in one piece."""
        content = np.empty((len(rows), *self.shape[1:]), self.stored_dtype)
        view = content.reshape(-1).view(np.uint8).data
        ends = np.flatnonzero(np.diff(rows) != 1) + 1
        runs = zip([0, *ends.tolist()], [*ends.tolist(), len(rows)], strict=True) if len(rows) else ()
        for start, stop in runs:
            place = self._file.offset + int(rows[start]) * self._stride
            self._read_into(view[start * self._stride : stop * self._stride], place)
        return content

    def _read_into(self, view: memoryview, place: int) -> None:
        while view:
            if not (count := os.preadv(self._descriptor, [view], place)):
                raise UserError(f"{self.path}: is shorter than it was when it was opened")
            view, place = view[count:], place + count
