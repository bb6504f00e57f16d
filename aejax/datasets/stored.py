"""Examples that stay in their files, such as rows of a large .npy file, and are read when they are indexed."""

import copy
import functools
import math
import os
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np

from aejax.datasets.byte_values import Divisor
from aejax.errors import UserError, knob_name

LARGE = 2**30  # bytes as float32, above which a .npy file is not read into memory
_BLOCK = 2**24  # bytes as float32 that a pass over the file holds in memory at a time
_MAX_NAMED = 3  # features with missing values that a message names


def as_float32(x: np.ndarray, divided_by: Divisor = 1) -> np.ndarray:
    """Returns a copy in float32, divided by `divided_by` (255 for bytes that are gray values).

    >>> as_float32(np.array([0, 51, 255], np.uint8), 255).tolist()
    [0.0, 0.20000000298023224, 1.0]
    """
    with np.errstate(over="ignore"):
        converted = x.astype(np.float32)
    if divided_by != 1:
        converted /= np.float32(divided_by)
    return converted


def blocks_of(x: np.ndarray, index: np.ndarray | None = None) -> Iterator[np.ndarray]:
    """Yields examples (N, ...) in order in blocks of bounded size, so that a pass over an array does not copy it all.

    Args:
      x: an array, or a StoredArray.
      index: the positions of the examples; None for all.
    """
    count = len(x) if index is None else len(index)
    examples = max(1, _BLOCK * len(x) // max(4 * x.size, 1))
    for start in range(0, count, examples):
        block = slice(start, start + examples)
        yield x[block] if index is None else x[index[block]]


def describe_nonfinite(x: np.ndarray, *, what: str = "examples", may_be_missing: bool = False) -> str | None:
    """Returns a message about examples (N, ...) with NaN or infinity and their features; None if all are finite.

    Args:
      x: the examples.
      what: what the message calls them.
      may_be_missing: whether NaN is allowed, which stands for a missing value.

    >>> describe_nonfinite(np.array([[0.0, np.nan], [1.0, 2.0]]))
    '1 of 2 examples hold NaN, infinity or values beyond float32, in feature 1 (from 0): remove them or replace the ...'
    """
    finite = (~np.isinf(x) if may_be_missing else np.isfinite(x)).reshape(len(x), -1)
    if finite.all():
        return None
    count, features = len(x) - int(finite.all(axis=1).sum()), np.flatnonzero(~finite.all(axis=0))
    where = ""
    if len(features) <= _MAX_NAMED:
        where = f", in feature{'s' * (len(features) > 1)} {', '.join(map(str, features))} (from 0)"
    found = f"{count} of {len(x)} {what} hold NaN, infinity or values beyond float32"
    return f"{found}{where}: remove them or replace the values"


class Rows(Protocol):
    """The rows of a file or of many files, which are read when they are needed."""

    path: Path  # for messages
    shape: tuple[int, ...]  # of all rows, (N, ...)
    dtype: np.dtype  # in which rows are read

    def read(self, index: np.ndarray) -> np.ndarray:
        """Returns the rows at positions `index`, each in [0, N), in this order."""


class FileRows:
    """Rows of a .npy file. They are read instead of mapped, so that its pages do not count as this process's memory.

    A file that has been truncated raises an error instead of a crash.
    """

    def __init__(self, file: np.memmap) -> None:
        """Opens the file of the array that `np.load(path, mmap_mode="r")` returns.

        Raises:
          UserError: the array is in Fortran order.
        """
        assert file.filename is not None
        self.path = Path(file.filename)
        if not file.flags.c_contiguous:
            raise UserError(
                f"{self.path}: is in Fortran order, in which single examples cannot be read; save "
                f"numpy.ascontiguousarray of it, or use {knob_name('stream never')} if it fits into memory"
            )
        self.shape, self.dtype = file.shape, file.dtype
        self._offset = file.offset  # only the header of the mapped file is used
        self._stride = file[0].nbytes if len(file) else 0
        self._descriptor = os.open(self.path, os.O_RDONLY)
        weakref.finalize(self, os.close, self._descriptor)

    def read(self, index: np.ndarray) -> np.ndarray:
        """Returns the rows at positions `index`; consecutive rows are read at once."""
        content = np.empty((len(index), *self.shape[1:]), self.dtype)
        view = content.reshape(-1).view(np.uint8).data
        ends = np.flatnonzero(np.diff(index) != 1) + 1
        runs = zip([0, *ends.tolist()], [*ends.tolist(), len(index)], strict=True) if len(index) else ()
        for start, stop in runs:
            offset = self._offset + int(index[start]) * self._stride
            self._read_into(view[start * self._stride : stop * self._stride], offset)
        return content

    def _read_into(self, view: memoryview, offset: int) -> None:
        while view:
            if not (count := os.preadv(self._descriptor, [view], offset)):
                raise UserError(f"{self.path}: is shorter than it was when it was opened")
            view, offset = view[count:], offset + count


class StoredArray:
    """Examples (N, ...) in files, converted to float32 and divided by `divided_by` when they are read.

    Indexing reads from the files and returns an array: one example for an integer, many for a slice or an array of
    integers. Values that are read are checked to be finite.
    """

    dtype = np.dtype(np.float32)

    def __init__(self, source: Rows, *, may_be_missing: bool = False) -> None:
        """Takes the rows of `source`, such as `FileRows`, as examples; none is read.

        Args:
          source: the rows.
          may_be_missing: whether NaN is allowed, which stands for a missing value.
        """
        self.divided_by: Divisor = 1
        self.may_be_missing = may_be_missing
        self._source = source
        self._rows: np.ndarray | None = None  # of the source; None for all

    @property
    def path(self) -> Path:
        """The file or folder, for messages."""
        return self._source.path

    @property
    def stored_dtype(self) -> np.dtype:
        """The dtype in the files."""
        return self._source.dtype

    def __len__(self) -> int:
        """The number of examples, N."""
        return self._source.shape[0] if self._rows is None else len(self._rows)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of all examples, (N, ...)."""
        return (len(self), *self._source.shape[1:])

    @property
    def ndim(self) -> int:
        """The number of axes, one more than those of an example."""
        return len(self._source.shape)

    @property
    def size(self) -> int:
        """The number of values in all examples."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """The bytes of all examples as float32, if they were in memory."""
        return self.dtype.itemsize * self.size

    def select(self, index: np.ndarray) -> "StoredArray":
        """Returns the examples at positions `index`, in this order, without reading them."""
        selected = copy.copy(self)
        selected.__dict__.pop("_extremes", None)
        selected._rows = self._rows_at(index)
        return selected

    def dividing_by(self, divisor: Divisor) -> "StoredArray":
        """Returns the same examples with another divisor, without reading them."""
        divided = copy.copy(self)
        divided.__dict__.pop("_extremes", None)
        divided.divided_by = divisor
        return divided

    def reading_through(self, change: Callable[[Rows], Rows]) -> "StoredArray":
        """Returns the same examples, whose source is `change(source)`, without reading them."""
        changed = copy.copy(self)
        changed.__dict__.pop("_extremes", None)
        changed._source = change(self._source)
        return changed

    def __getitem__(self, index: Any) -> np.ndarray:
        """Reads one example or several.

        Raises:
          UserError: examples hold NaN or infinity, or a file cannot be read.
        """
        if isinstance(index, slice):
            index = np.arange(*index.indices(len(self)))
        positions = np.asarray(index)
        x = as_float32(self._read(self._rows_at(positions.reshape(-1))), self.divided_by)
        if self.stored_dtype.kind == "f":
            what = "examples that were read"
            if problem := describe_nonfinite(x, what=what, may_be_missing=self.may_be_missing):
                raise UserError(f"{self.path}: {problem}")
        return x.reshape(*positions.shape, *self.shape[1:])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """Returns all examples in memory, always as a copy."""
        return self[:].astype(dtype or self.dtype, copy=False)

    def stored_blocks(self) -> Iterator[np.ndarray]:
        """Yields all examples in order, in blocks of the stored dtype."""
        examples = max(1, _BLOCK * len(self) // max(self.nbytes, 1))
        for start in range(0, len(self), examples):
            yield self._read(self._rows_at(np.arange(start, min(start + examples, len(self)))))

    def min(self) -> np.float32:
        """Returns the smallest value; the first call reads the whole file."""
        return self._extremes[0]

    def max(self) -> np.float32:
        """Returns the largest value; the first call reads the whole file."""
        return self._extremes[1]

    @functools.cached_property
    def _extremes(self) -> tuple[np.float32, np.float32]:
        lows, highs = zip(*((block.min(), block.max()) for block in blocks_of(cast(np.ndarray, self))), strict=True)
        return np.float32(min(lows)), np.float32(max(highs))

    def _rows_at(self, index: np.ndarray) -> np.ndarray:
        """Returns the rows of the file at positions `index`."""
        if index.size and not -len(self) <= index.min() <= index.max() < len(self):
            raise IndexError(f"{self.path}: index out of range for {len(self)} examples, got {index}")
        if index.size and index.min() < 0:
            index = np.where(index < 0, index.astype(np.int64) + len(self), index)
        return index if self._rows is None else self._rows[index]

    def _read(self, rows: np.ndarray) -> np.ndarray:
        """Returns rows of the source in the stored dtype."""
        return self._source.read(rows)
