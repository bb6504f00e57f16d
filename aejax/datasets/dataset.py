"""What every source of data returns: examples, their labels where known, and three disjoint parts of them."""

import hashlib
from collections.abc import Iterator
from typing import NamedTuple, cast

import numpy as np

from aejax.datasets.byte_values import ByteValues, Divisor, divisor_of
from aejax.datasets.stored import LARGE, StoredArray, as_float32, blocks_of, describe_broken
from aejax.errors import UserError

_SAMPLED, _SAMPLED_BYTES = 16384, 2**28  # examples that a fingerprint of large data takes, and their bytes


class AsStored(NamedTuple):
    """How an array lies in its file, and how it was read."""

    dtype: str  # as NumPy names it
    divided_by: Divisor = 1  # 255 where bytes were taken for gray values


class Dataset(NamedTuple):
    """Examples and, where they are known, their labels, or what is seen of them."""

    x: np.ndarray  # (N, ...) float32, or a StoredArray in place of it
    labels: np.ndarray | None = None  # (N,) the user's own: integers or text
    input: np.ndarray | None = None  # as x: of pairs of clean and noisy examples the noisy ones
    stored: AsStored | None = None  # of x; None where it comes from no array of numbers, but from images, say
    stored_input: AsStored | None = None  # of input

    @property
    def seen(self) -> np.ndarray:
        """What an encoder is given: the noisy examples of pairs, else the examples themselves."""
        return self.x if self.input is None else self.input


class Splits(NamedTuple):
    """Three parts that share no example; the test part is for evaluation only."""

    train: Dataset
    validation: Dataset
    test: Dataset


def as_dataset(
    x: np.ndarray | StoredArray,
    labels: np.ndarray | None = None,
    *,
    name: str,
    byte_values: ByteValues = "auto",
) -> Dataset:
    """Examples and labels, checked and converted: float32, and bytes that are gray values divided by 255.

    Args:
      x: (N, ...) booleans, integers or floats; those that stay in their file are looked at when they are read, bytes
        also here, unless `byte_values` says what they are.
      labels: (N,) integers, floats that are whole numbers, or text; None for none.
      name: what messages call the data: a file or a data set.
      byte_values: whether bytes (uint8) are gray values, divided by 255, or taken as they are; auto: as `divisor_of`
        decides by the values. Numbers of other types are always taken as they are.

    Raises:
      UserError: objects or text, no examples, NaN or infinity, one number per file instead of examples, or
        labels of another length, rank or type.
    """
    dtype = x.stored_dtype if isinstance(x, StoredArray) else x.dtype
    if dtype.kind not in "buif":
        raise UserError(f"{name}: examples must be numbers, got dtype {dtype}")
    if x.ndim < 2:
        raise UserError(f"{name}: examples must have shape (examples, features...), got {x.shape}")
    if x.size == 0:
        raise UserError(f"{name}: there are no examples, the shape is {x.shape}")
    labels = None if labels is None else as_labels(labels, len(x), name)
    divided_by = divisor_of(dtype, byte_values, x.stored_blocks() if isinstance(x, StoredArray) else blocks_of(x))
    stored = AsStored(str(dtype), divided_by)
    if isinstance(x, StoredArray):
        return Dataset(cast(np.ndarray, x.dividing_by(divided_by)), labels, stored=stored)
    scaled = as_float32(x, divided_by)
    if broken := describe_broken(scaled):
        raise UserError(f"{name}: {broken}")
    return Dataset(scaled, labels, stored=stored)


def with_input(dataset: Dataset, given: np.ndarray, *, name: str, byte_values: ByteValues = "auto") -> Dataset:
    """The same examples as those to be reconstructed from noisy ones, which are checked and converted likewise.

    Raises:
      UserError: noisy examples of another shape; and all that `as_dataset` refuses.
    """
    if given.shape != dataset.x.shape:
        raise UserError(f"{name}: noisy examples {given.shape} do not fit clean ones {dataset.x.shape}")
    noisy = as_dataset(given, name=f"{name}, input", byte_values=byte_values)
    return dataset._replace(input=noisy.x, stored_input=noisy.stored)


def as_labels(labels: np.ndarray, examples: int, name: str) -> np.ndarray:
    """Labels (N,) as the user's own classes: int32, int64 where they need it, or text.

    Raises:
      UserError: labels of another length or rank, of no such type, or floats that are not whole numbers.

    >>> as_labels(np.array([3.0, 7.0]), 2, "mine").tolist(), as_labels(np.array(["cat", "dog"]), 2, "mine").tolist()
    ([3, 7], ['cat', 'dog'])
    """
    if labels.dtype.kind not in "buifU" or labels.ndim != 1:
        raise UserError(
            f"{name}: labels must be a vector of integers or of text, got dtype {labels.dtype} and shape {labels.shape}"
        )
    if len(labels) != examples:
        raise UserError(f"{name}: {len(labels)} labels do not fit {examples} examples")
    if labels.dtype.kind == "U":
        return labels
    if labels.dtype.kind == "f" and (broken := labels[~(np.isfinite(labels) & (labels == np.round(labels)))]).size:
        raise UserError(f"{name}: labels must be whole numbers or text, and {len(broken)} are not, such as {broken[0]}")
    low, high = (int(labels.min()), int(labels.max())) if len(labels) else (0, 0)
    for dtype in (np.int32, np.int64):
        if np.iinfo(dtype).min <= low and high <= np.iinfo(dtype).max:
            return labels.astype(dtype)
    raise UserError(f"{name}: labels must fit 64 bits, got values from {low} to {high}")


def fingerprint(splits: Splits) -> str:
    """A SHA-256 of all examples, labels and inputs, in order: equal where a run sees equal data.

    Of examples of more than a GiB it takes 16,384 at equal distances (fewer, where they are larger than 16 KiB): what
    changes between them alone is not seen.

    >>> part = Dataset(np.zeros((2, 3), np.float32))
    >>> other = Dataset(np.ones((2, 3), np.float32))
    >>> fingerprint(Splits(part, part, part)) == fingerprint(Splits(part, part, other))
    False
    """
    digest = hashlib.sha256()
    for dataset in splits:
        for array in (dataset.x, dataset.labels, dataset.input):
            if array is not None:
                digest.update(f"{array.shape}{array.dtype}".encode())
                for block in sampled_blocks(array):
                    digest.update(np.ascontiguousarray(block).view(np.uint8).data)
    return digest.hexdigest()


def sampled_blocks(array: np.ndarray) -> Iterator[np.ndarray]:
    """All of an array up to a GiB, and of a larger one some rows at equal distances; a block of them at a time."""
    if array.nbytes <= LARGE:
        yield from blocks_of(array)
        return
    rows = max(1, min(_SAMPLED, _SAMPLED_BYTES * len(array) // array.nbytes))
    yield from blocks_of(array, np.linspace(0, len(array) - 1, rows).astype(np.int64))


def take(dataset: Dataset, index: np.ndarray) -> Dataset:
    """The examples at these positions, in this order, with all that belongs to them; of a file nothing is read."""
    x = cast(np.ndarray, dataset.x.select(index)) if isinstance(dataset.x, StoredArray) else dataset.x[index]
    labels, observed = (None if array is None else array[index] for array in (dataset.labels, dataset.input))
    return dataset._replace(x=x, labels=labels, input=observed)


def in_memory(dataset: Dataset) -> Dataset:
    """The examples as an array; of those that stay in their file the first, as many as a GiB holds as float32."""
    if not isinstance(dataset.x, StoredArray):
        return dataset
    few = take(dataset, np.arange(min(len(dataset.x), max(1, LARGE // (4 * dataset.x[0].size)))))
    return few._replace(x=np.asarray(few.x))


def split(dataset: Dataset, *, fractions: tuple[float, ...], seed: int) -> tuple[Dataset, ...]:
    """Disjoint random parts: one per fraction, in that order, and before them the rest.

    The same seed and size give the same parts, whatever else changes. A part keeps the data set's order.

    Args:
      dataset: N examples.
      fractions: each in (0, 1), their sum below 1; a part has round(fraction N) examples, at least 1.
      seed: of the permutation.

    Raises:
      UserError: too few examples for every part to have one.

    >>> rest, validation, test = split(Dataset(np.zeros((10, 2))), fractions=(0.2, 0.3), seed=0)
    >>> len(rest.x), len(validation.x), len(test.x)
    (5, 2, 3)
    """
    examples = len(dataset.x)
    sizes = [max(1, round(fraction * examples)) for fraction in fractions]
    if sum(sizes) >= examples:
        raise UserError(f"{examples} examples are too few to be split into {len(sizes) + 1} parts")
    order = np.arange(examples, dtype=np.min_scalar_type(-examples))  # in few bytes: there may be many millions
    np.random.default_rng(seed).shuffle(order)
    parts = np.split(order, np.cumsum(sizes))
    for part in parts:
        part.sort()
    return tuple(take(dataset, part) for part in (parts[-1], *parts[:-1]))
