"""What every source of data returns: examples, their labels where known, and three disjoint parts of them."""

import hashlib
from typing import Literal, NamedTuple, cast

import numpy as np

from aejax.datasets.stored import LARGE, StoredArray, as_float32, count_broken
from aejax.errors import UserError

_SAMPLED, _SAMPLED_BYTES = 16384, 2**28  # examples that a fingerprint of large data takes, and their bytes


class AsStored(NamedTuple):
    """How an array lies in its file, and how it was read."""

    dtype: str  # as NumPy names it
    divided_by: Literal[1, 255] = 1  # 255 where bytes were taken for gray values


class Dataset(NamedTuple):
    """Examples and, where they are known, their labels, or what is seen of them."""

    x: np.ndarray  # (N, ...) float32, or a StoredArray in place of it; integers of one byte are scaled to [0, 1]
    labels: np.ndarray | None = None  # (N,) int32
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


def as_dataset(x: np.ndarray | StoredArray, labels: np.ndarray | None = None, *, name: str) -> Dataset:
    """Examples and labels, checked and converted: float32, bytes divided by 255.

    Args:
      x: (N, ...) booleans, integers or floats; those that stay in their file are looked at when they are read.
      labels: (N,) integers, or None.
      name: what messages call the data: a file or a data set.

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
    labels = None if labels is None else _as_labels(labels, len(x), name)
    stored = AsStored(str(dtype), 255 if dtype == np.uint8 else 1)
    if isinstance(x, StoredArray):
        return Dataset(cast(np.ndarray, x), labels, stored=stored)
    scaled = as_float32(x)
    if broken := count_broken(scaled):
        raise UserError(f"{name}: {broken} of {len(x)} examples hold NaN, infinity or values beyond float32")
    return Dataset(scaled, labels, stored=stored)


def with_labels(dataset: Dataset, labels: np.ndarray, *, name: str) -> Dataset:
    """The same examples with other labels, which are checked and converted as `as_dataset` does."""
    return dataset._replace(labels=_as_labels(labels, len(dataset.x), name))


def with_input(dataset: Dataset, given: np.ndarray, *, name: str) -> Dataset:
    """The same examples as those to be reconstructed from noisy ones, which are checked and converted likewise.

    Raises:
      UserError: noisy examples of another shape; and all that `as_dataset` refuses.
    """
    if given.shape != dataset.x.shape:
        raise UserError(f"{name}: noisy examples {given.shape} do not fit clean ones {dataset.x.shape}")
    noisy = as_dataset(given, name=f"{name}, input")
    return dataset._replace(input=noisy.x, stored_input=noisy.stored)


def _as_labels(labels: np.ndarray, examples: int, name: str) -> np.ndarray:
    if labels.dtype.kind not in "bui" or labels.ndim != 1:
        raise UserError(f"{name}: labels must be a vector of integers, got {labels.dtype} {labels.shape}")
    if len(labels) != examples:
        raise UserError(f"{name}: {len(labels)} labels do not fit {examples} examples")
    if len(labels) and (labels.max() > np.iinfo(np.int32).max or labels.min() < np.iinfo(np.int32).min):
        raise UserError(f"{name}: labels must fit 32 bits, got values from {labels.min()} to {labels.max()}")
    return labels.astype(np.int32)


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
                digest.update(np.ascontiguousarray(sample(array)).data)
    return digest.hexdigest()


def sample(array: np.ndarray) -> np.ndarray:
    """All of an array up to a GiB, and of a larger one some rows at equal distances, of all parts of it."""
    if array.nbytes <= LARGE:
        return np.asarray(array)
    rows = max(1, min(_SAMPLED, _SAMPLED_BYTES * len(array) // array.nbytes))
    return array[np.linspace(0, len(array) - 1, rows).astype(np.int64)]


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
