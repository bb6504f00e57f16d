"""The record that every source of data returns: examples, their labels if known, in three disjoint splits."""

import hashlib
from collections.abc import Iterator
from typing import NamedTuple, cast

import numpy as np

from aejax.datasets.byte_values import ByteValues, Divisor, divisor_of
from aejax.datasets.sequences import check_padding, describe_lengths, has_padding
from aejax.datasets.stored import LARGE, StoredArray, as_float32, blocks_of, describe_nonfinite
from aejax.datasets.tables.columns import TableColumn
from aejax.errors import UserError

_MAX_SAMPLED, _MAX_SAMPLED_BYTES = 16384, 2**28  # examples of large data that are hashed, and their bytes


class AsStored(NamedTuple):
    """The dtype of an array in its file, and the divisor with which it was read."""

    dtype: str  # NumPy's name
    divided_by: Divisor = 1  # 255 if bytes were read as gray values
    channels_first: bool = False  # whether examples are images (C, H, W) in the file; they are read as (H, W, C)


class Factors(NamedTuple):
    """Known factors of variation of N examples, such as their scale and their position."""

    values: np.ndarray  # (N, F) numbers, of which each factor has a few
    names: tuple[str, ...]  # of the F factors
    categorical: tuple[str, ...] = ()  # names of those whose values have no order


class Dataset(NamedTuple):
    """Examples with labels, if they are known, and with inputs, if they differ from the examples."""

    x: np.ndarray  # (N, ...) float32, an array or a StoredArray: the targets, which are reconstructed
    labels: np.ndarray | None = None  # (N,) the user's own: integers or strings
    input: np.ndarray | None = None  # (N, ...) float32, what is encoded, such as noisy examples; None: x itself
    stored: AsStored | None = None  # of x; None if x was not read from an array, but from images, for instance
    stored_input: AsStored | None = None  # of input
    columns: tuple[TableColumn, ...] | None = None  # of a table, whose examples are rows with NaN for missing cells
    notes: tuple[str, ...] = ()  # lines for the user on how the data were read
    condition: np.ndarray | None = None  # (N, ...) float32, numbers or images that encoder and decoder are given
    condition_columns: tuple[TableColumn, ...] | None = None  # of a condition that is columns of a table
    factors: Factors | None = None  # of variation, if they are known; for the evaluation of codes

    @property
    def encoder_inputs(self) -> np.ndarray:
        """The inputs of the encoder, (N, ...): `input`, or x if there are no separate inputs."""
        return self.x if self.input is None else self.input


class Splits(NamedTuple):
    """Three splits that share no example; the test split is for evaluation only."""

    train: Dataset
    validation: Dataset
    test: Dataset


def as_dataset(
    x: np.ndarray | StoredArray,
    labels: np.ndarray | None = None,
    *,
    name: str,
    byte_values: ByteValues = "auto",
    may_be_padded: bool = False,
) -> Dataset:
    """Returns examples and labels, checked and converted to float32, with gray values in bytes divided by 255.

    Args:
      x: (N, ...) booleans, integers or floats. Examples that stay in their file are checked when they are read; their
        bytes are also read here if `byte_values` is `auto`.
      labels: (N,) integers, floats that are whole numbers, or strings; None for no labels.
      name: the name of the data in messages: a file or a data set.
      byte_values: whether bytes (uint8) are gray values, divided by 255, or kept as they are; `auto` decides by the
        values (`divisor_of`). Numbers of other types are always kept.
      may_be_padded: whether NaN is allowed after the end of sequences (N, T) or (N, T, C) in memory.

    Raises:
      UserError: x does not hold numbers, has no examples, has only one axis, or holds NaN or infinity; or the labels
        are invalid (see `as_labels`).
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
    if may_be_padded and has_padding(scaled):
        check_padding(scaled, name)
        notes = (describe_lengths(scaled, name),)
        if problem := describe_nonfinite(scaled, may_be_missing=True):
            raise UserError(f"{name}: {problem}")
        return Dataset(scaled, labels, stored=stored, notes=notes)
    if problem := describe_nonfinite(scaled):
        raise UserError(f"{name}: {problem}")
    return Dataset(scaled, labels, stored=stored)


def with_input(dataset: Dataset, inputs: np.ndarray, *, name: str, byte_values: ByteValues = "auto") -> Dataset:
    """Returns the data set with separate inputs of the encoder, checked and converted as by `as_dataset`.

    Raises:
      UserError: the inputs have another shape than the examples, or are invalid (see `as_dataset`).
    """
    if inputs.shape != dataset.x.shape:
        raise UserError(f"{name}: input must have the shape of x, {dataset.x.shape}, got {inputs.shape}")
    noisy = as_dataset(inputs, name=f"{name}, input", byte_values=byte_values)
    return dataset._replace(input=noisy.x, stored_input=noisy.stored)


def as_labels(labels: np.ndarray, examples: int, name: str) -> np.ndarray:
    """Returns labels (N,) with the user's own classes: int32, int64 for larger numbers, or strings.

    Raises:
      UserError: labels is not a vector of `examples` integers, whole numbers or strings.

    >>> as_labels(np.array([3.0, 7.0]), 2, "mine").tolist(), as_labels(np.array(["cat", "dog"]), 2, "mine").tolist()
    ([3, 7], ['cat', 'dog'])
    """
    if labels.dtype.kind not in "buifU" or labels.ndim != 1:
        raise UserError(
            f"{name}: labels must be a vector of integers or text, got dtype {labels.dtype} and shape {labels.shape}"
        )
    if len(labels) != examples:
        raise UserError(f"{name}: expected one label per example, got {len(labels)} labels for {examples} examples")
    if labels.dtype.kind == "U":
        return labels
    if labels.dtype.kind == "f" and (wrong := labels[~(np.isfinite(labels) & (labels == np.round(labels)))]).size:
        raise UserError(f"{name}: labels must be whole numbers or text, but {len(wrong)} are not, such as {wrong[0]}")
    low, high = (int(labels.min()), int(labels.max())) if len(labels) else (0, 0)
    for dtype in (np.int32, np.int64):
        if np.iinfo(dtype).min <= low and high <= np.iinfo(dtype).max:
            return labels.astype(dtype)
    raise UserError(f"{name}: labels must fit into 64 bits, got values from {low} to {high}")


def fingerprint(splits: Splits) -> str:
    """Returns a SHA-256 of all examples, labels and inputs, in order; equal data have equal fingerprints.

    Of arrays above one GiB, 16,384 examples at equal distances are hashed (fewer if one exceeds 16 KiB), so a change in
    other examples is not detected.

    >>> zeros = Dataset(np.zeros((2, 3), np.float32))
    >>> ones = Dataset(np.ones((2, 3), np.float32))
    >>> fingerprint(Splits(zeros, zeros, zeros)) == fingerprint(Splits(zeros, zeros, ones))
    False
    """
    digest = hashlib.sha256()
    for dataset in splits:
        for array in (dataset.x, dataset.labels, dataset.input, dataset.condition):
            if array is not None:
                digest.update(f"{array.shape}{array.dtype}".encode())
                for block in sampled_blocks(array):
                    digest.update(np.ascontiguousarray(block).view(np.uint8).data)
    return digest.hexdigest()


def sampled_blocks(array: np.ndarray) -> Iterator[np.ndarray]:
    """Yields the rows of an array in blocks: all rows up to one GiB, of a larger array a sample at equal distances."""
    if array.nbytes <= LARGE:
        yield from blocks_of(array)
        return
    rows = max(1, min(_MAX_SAMPLED, _MAX_SAMPLED_BYTES * len(array) // array.nbytes))
    yield from blocks_of(array, np.linspace(0, len(array) - 1, rows).astype(np.int64))


def take(dataset: Dataset, index: np.ndarray) -> Dataset:
    """Returns the examples at positions `index`, in this order, with labels, inputs and factors; files are not read."""
    x = cast(np.ndarray, dataset.x.select(index)) if isinstance(dataset.x, StoredArray) else dataset.x[index]
    labels, inputs, condition = (
        None if array is None else array[index] for array in (dataset.labels, dataset.input, dataset.condition)
    )
    factors = None if dataset.factors is None else dataset.factors._replace(values=dataset.factors.values[index])
    return dataset._replace(x=x, labels=labels, input=inputs, condition=condition, factors=factors)


def in_memory(dataset: Dataset) -> Dataset:
    """Returns the examples in memory; of those that stay in their file, the first ones, at most one GiB as float32."""
    if not isinstance(dataset.x, StoredArray):
        return dataset
    few = take(dataset, np.arange(min(len(dataset.x), max(1, LARGE // (4 * dataset.x[0].size)))))
    return few._replace(x=np.asarray(few.x))


def split(dataset: Dataset, *, fractions: tuple[float, ...], seed: int) -> tuple[Dataset, ...]:
    """Returns disjoint random splits: first the remaining examples, then one split per fraction.

    The splits depend only on the seed, the fractions and N. Each keeps the order of the data set.

    Args:
      dataset: N examples.
      fractions: each in (0, 1), their sum below 1; a split has round(fraction N) examples, at least 1.
      seed: the seed of the permutation.

    Raises:
      UserError: there are too few examples for every split to have one.

    >>> rest, validation, test = split(Dataset(np.zeros((10, 2))), fractions=(0.2, 0.3), seed=0)
    >>> len(rest.x), len(validation.x), len(test.x)
    (5, 2, 3)
    """
    return tuple(take(dataset, each) for each in split_positions(len(dataset.x), fractions=fractions, seed=seed))


def split_positions(examples: int, *, fractions: tuple[float, ...], seed: int) -> tuple[np.ndarray, ...]:
    """Returns the positions of disjoint random splits, each sorted, in the order of `split`.

    Args:
      examples: the number of examples, N.
      fractions: as for `split`.
      seed: the seed of the permutation.

    Raises:
      UserError: there are too few examples for every split to have one.

    >>> [len(each) for each in split_positions(10, fractions=(0.2, 0.3), seed=0)]
    [5, 2, 3]
    """
    sizes = [max(1, round(fraction * examples)) for fraction in fractions]
    if sum(sizes) >= examples:
        raise UserError(f"{examples} examples are too few for {len(sizes) + 1} splits with at least one example each")
    order = np.arange(examples, dtype=np.min_scalar_type(-examples))  # a small dtype: there may be many millions
    np.random.default_rng(seed).shuffle(order)
    positions = np.split(order, np.cumsum(sizes))
    for each in positions:
        each.sort()
    return positions[-1], *positions[:-1]
