"""What every source of data returns: examples, their labels where known, and three disjoint parts of them."""

import hashlib
from typing import NamedTuple

import numpy as np

from aejax.errors import UserError


class Dataset(NamedTuple):
    """Examples and, where they are known, their labels."""

    x: np.ndarray  # (N, ...) float32; integers of one byte have been scaled to [0, 1]
    labels: np.ndarray | None = None  # (N,) int32


class Splits(NamedTuple):
    """Three parts that share no example; the test part is for evaluation only."""

    train: Dataset
    validation: Dataset
    test: Dataset


def as_dataset(x: np.ndarray, labels: np.ndarray | None = None, *, name: str) -> Dataset:
    """Examples and labels, checked and converted: float32, bytes divided by 255.

    Args:
      x: (N, ...) booleans, integers or floats.
      labels: (N,) integers, or None.
      name: what messages call the data: a file or a data set.

    Raises:
      UserError: objects or text, no examples, NaN or infinity, one number per file instead of examples, or
        labels of another length, rank or type.
    """
    if x.dtype.kind not in "buif":
        raise UserError(f"{name}: examples must be numbers, got dtype {x.dtype}")
    if x.ndim < 2:
        raise UserError(f"{name}: examples must have shape (examples, features...), got {x.shape}")
    if x.size == 0:
        raise UserError(f"{name}: there are no examples, the shape is {x.shape}")
    with np.errstate(over="ignore"):
        scaled = x.astype(np.float32) / np.float32(255) if x.dtype == np.uint8 else x.astype(np.float32)
    broken = len(scaled) - np.isfinite(scaled).reshape(len(scaled), -1).all(axis=1).sum()
    if broken:
        raise UserError(f"{name}: {broken} of {len(x)} examples hold NaN, infinity or values beyond float32")
    return Dataset(scaled, None if labels is None else _as_labels(labels, len(x), name))


def _as_labels(labels: np.ndarray, examples: int, name: str) -> np.ndarray:
    if labels.dtype.kind not in "bui" or labels.ndim != 1:
        raise UserError(f"{name}: labels must be a vector of integers, got {labels.dtype} {labels.shape}")
    if len(labels) != examples:
        raise UserError(f"{name}: {len(labels)} labels do not fit {examples} examples")
    if len(labels) and (labels.max() > np.iinfo(np.int32).max or labels.min() < np.iinfo(np.int32).min):
        raise UserError(f"{name}: labels must fit 32 bits, got values from {labels.min()} to {labels.max()}")
    return labels.astype(np.int32)


def fingerprint(splits: Splits) -> str:
    """A SHA-256 of every example and label, in order: equal where a run sees equal data.

    >>> part = Dataset(np.zeros((2, 3), np.float32))
    >>> other = Dataset(np.ones((2, 3), np.float32))
    >>> fingerprint(Splits(part, part, part)) == fingerprint(Splits(part, part, other))
    False
    """
    digest = hashlib.sha256()
    for dataset in splits:
        for array in dataset:
            if array is not None:
                digest.update(f"{array.shape}{array.dtype}".encode())
                digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def take(dataset: Dataset, index: np.ndarray) -> Dataset:
    """The examples at these positions, in this order, with their labels."""
    return Dataset(dataset.x[index], None if dataset.labels is None else dataset.labels[index])


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
    order = np.random.default_rng(seed).permutation(examples)
    parts = np.split(order, np.cumsum(sizes))
    return tuple(take(dataset, np.sort(part)) for part in (parts[-1], *parts[:-1]))
