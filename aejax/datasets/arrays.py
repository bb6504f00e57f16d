"""The user's own arrays: .npy and .npz files with examples of any shape, never unpickled."""

import os
from pathlib import Path
from typing import Any

import numpy as np

from aejax.datasets.byte_values import BY_VALUES, BytesAs, ByteValues, divisor_of
from aejax.datasets.channels import Channels, are_first, channels_last
from aejax.datasets.dataset import Dataset, Factors, Splits, as_dataset, as_labels, take, with_input
from aejax.datasets.division import SplitOrder
from aejax.datasets.paths import is_array_file, refuse_path
from aejax.datasets.sequences import check_lengths, describe_lengths, is_padding
from aejax.datasets.source import Request, Source
from aejax.datasets.split_keys import check_no_groups, divide_files, divided
from aejax.datasets.stored import LARGE, FileRows, StoredArray, blocks_of
from aejax.errors import ArgumentError, UserError, knob_name
from aejax.host.files import check_regular, open_regular
from aejax.host.memory import check_fits


def load_arrays(
    path: Path,
    labels: Path | None = None,
    *,
    stored: bool | None = None,
    bytes_as: BytesAs = BY_VALUES,
    channels: Channels = "last",
    condition: tuple[str, ...] = (),
) -> Dataset:
    """Returns the examples of a .npy file, or of the entries `x` and (optional) `labels` and `input` of a .npz file.

    Sequences of unequal length (N, T) or (N, T, C) are padded with NaN, or with any values if the entry `lengths` of a
    .npz file says how many steps of each are real; they become NaN.

    The entry `input` holds the inputs of the encoder, such as noisy examples, and `x` the targets that are
    reconstructed from them. The entry `factors`, numbers (N, F), holds known factors of variation; `factor_names` may
    name them.

    A .npy file whose examples exceed one GiB as float32 is not read here: the examples stay in the file and are read
    when they are needed (`StoredArray`). A .npz file and labels are read into memory whatever their size.

    Args:
      path: the file of the examples, (N, ...).
      labels: a .npy file of N integers or strings; it replaces the labels of a .npz file.
      stored: whether the examples of a .npy file stay in it; None decides by their size.
      bytes_as: whether bytes are gray values, divided by 255. `auto` decides by their values (`divisor_of`), for inputs
        and targets together, unless one of them is a mask of 0 and 1.
      channels: first: examples are images (C, H, W), and are read as (H, W, C); last: their axes are kept; auto: first
        if they have the shape of an image with channels first (`has_channels_first`).
      condition: the entries of a .npz file that are the condition of every example (`condition_of`).

    Raises:
      UserError: the file is missing, is not an array file, or holds pickled objects; the entry `x` is missing; or the
        content is invalid (see `as_dataset` and `with_input`).
    """
    content = read_entries(path, stored=stored)
    if "x" not in content:
        raise UserError(f"{path}: no entry 'x' with the examples; it holds {sorted(content)}")
    is_first = are_first(content["x"].shape[1:], channels)
    if is_first:
        if content["x"].ndim != 4:
            shape = content["x"].shape
            raise ArgumentError("channels", f"first expects images (N, C, H, W), but {path} holds an array {shape}")
        content |= {name: channels_last(content[name]) for name in ("x", "input") if name in content}
    if "input" in content:
        bytes_as = _bytes_of_pairs(content["x"], content["input"], bytes_as)
    own_labels = content.get("labels") if labels is None else None
    if "lengths" in content:
        if "input" in content:
            raise UserError(f"{path}: lengths cannot be combined with input: sequences have no separate inputs")
        dataset = _cut_to_lengths(content["x"], content["lengths"], own_labels, path, bytes_as)
    else:
        dataset = as_dataset(
            content["x"], own_labels, name=str(path), byte_values=bytes_as.x, may_be_padded="input" not in content
        )
    if labels is not None:
        dataset = dataset._replace(labels=load_labels(labels, len(dataset.x)))
    if is_first and dataset.stored is not None:
        dataset = dataset._replace(stored=dataset.stored._replace(channels_first=True))
    if condition:
        dataset = dataset._replace(condition=condition_of(content, condition, len(dataset.x), path))
    if "factors" in content:
        dataset = dataset._replace(factors=factors_of(content, len(dataset.x), path))
    if "input" not in content:
        return dataset
    return with_input(dataset, content["input"], name=str(path), byte_values=bytes_as.input)


def condition_of(content: dict[str, Any], names: tuple[str, ...], examples: int, path: Path) -> np.ndarray:
    """Returns the entries of a .npz file that are the condition of every example, (N, ...) float32.

    One entry keeps its shape, (N,) as (N, 1); several are flattened and concatenated. Bytes that are gray values are
    divided by 255.

    Raises:
      UserError: an entry is missing, has another length than the examples, or does not hold finite numbers.
    """
    arrays = []
    for name in names:
        if name not in content or name in ("x", "labels", "input", "lengths"):
            others = sorted(set(content) - {"x", "labels", "input", "lengths"})
            advice = f"; it holds {', '.join(map(repr, others)) or 'no others'} besides the examples"
            raise ArgumentError("condition", f"{path} has no entry {name!r} for conditions{advice}")
        array = content[name]
        if array.shape[:1] != (examples,):
            raise UserError(f"{path}, {name}: expected the condition of {examples} examples, got shape {array.shape}")
        array = array[:, None] if array.ndim == 1 else array
        arrays.append(as_dataset(array, name=f"{path}, {name}").x)
    if len(arrays) == 1:
        return arrays[0]
    return np.concatenate([array.reshape(examples, -1) for array in arrays], axis=1)


def factors_of(content: dict[str, Any], examples: int, path: Path) -> Factors:
    """Returns the known factors of variation in the entries `factors` and (optional) `factor_names` of a .npz file.

    Args:
      content: the entries.
      examples: N.
      path: the file, for messages.

    Raises:
      UserError: the factors are not finite numbers (N, F), or there is not one name for each.

    >>> factors_of({"factors": np.array([[0, 3], [1, 3]])}, 2, Path("mine.npz")).names
    ('factor 1', 'factor 2')
    """
    values = content["factors"]
    if values.dtype.kind not in "buif" or values.ndim != 2 or len(values) != examples or not np.isfinite(values).all():
        raise UserError(
            f"{path}, factors: expected finite numbers, one row for each of {examples} examples and one column per "
            f"factor, got dtype {values.dtype} and shape {values.shape}"
        )
    count = values.shape[1]
    names = content.get("factor_names", np.array([f"factor {number}" for number in range(1, count + 1)]))
    if names.dtype.kind != "U" or names.shape != (count,):
        raise UserError(
            f"{path}, factor_names: expected {count} texts, one per factor, got dtype {names.dtype} and shape "
            f"{names.shape}"
        )
    return Factors(values, tuple(names.tolist()))


def _cut_to_lengths(
    x: np.ndarray, lengths: np.ndarray, labels: np.ndarray | None, path: Path, bytes_as: BytesAs
) -> Dataset:
    """Returns sequences whose steps after their length are NaN, whatever the file holds there."""
    lengths = check_lengths(lengths, x.shape, str(path))
    is_after = is_padding(lengths, x.shape[1])
    without = x.copy()
    without[is_after] = 0
    dataset = as_dataset(without, labels, name=str(path), byte_values=bytes_as.x)
    dataset.x[is_after] = np.nan
    return dataset._replace(notes=(*dataset.notes, describe_lengths(dataset.x, str(path))))


def load_labels(path: Path, examples: int) -> np.ndarray:
    """Returns one label for each of `examples` examples, read from a .npy file.

    Raises:
      UserError: the file is missing, is not a .npy file, or its labels are invalid (see `as_labels`).
    """
    if path.suffix.lower() != ".npy":
        raise UserError(f"{path}: labels must be in a .npy file")
    return as_labels(read_entries(path, stored=False)["x"], examples, str(path))


def _bytes_of_pairs(x: np.ndarray, inputs: np.ndarray, bytes_as: BytesAs) -> BytesAs:
    """Returns what bytes are: gray values in both arrays if they are in one, unless one is a mask of 0 and 1."""
    if bytes_as != BY_VALUES or not all(array.dtype == np.uint8 and array.size for array in (x, inputs)):
        return bytes_as
    if min(x.max(), inputs.max()) <= 1:
        return bytes_as
    is_gray = any(divisor_of(array.dtype, "auto", blocks_of(array)) == 255 for array in (x, inputs))
    return BytesAs("scaled", "scaled") if is_gray else BytesAs("as_is", "as_is")


def read_entries(path: Path, *, stored: bool | None = False) -> dict[str, Any]:
    """Returns the arrays in a .npz file by name, or the array of a .npy file as `x`.

    Args:
      path: the file.
      stored: whether the array of a .npy file stays in it; None: if it is large.

    Raises:
      UserError: the file is missing, damaged, no array file, too large for the memory or holds pickled objects.
    """
    if not is_array_file(path) or os.path.isdir(path):
        raise refuse_path(path)
    check_regular(path)
    try:
        may_be_large = StoredArray.dtype.itemsize * path.stat().st_size > LARGE  # true if its numbers are bytes
        if path.suffix.lower() == ".npy" and (stored or (stored is None and may_be_large)):
            mapped = np.load(path, mmap_mode="r", allow_pickle=False)
            if stored or StoredArray.dtype.itemsize * mapped.size > LARGE:
                return {"x": StoredArray(FileRows(mapped))}
            del mapped
        advice = "save fewer of them, or examples as a .npy file"
        check_fits(path.stat().st_size, f"{path}: the arrays in it", advice=advice, host=True)
        with open_regular(path) as file:
            content = np.load(file, allow_pickle=False)
            if isinstance(content, np.ndarray):
                return {"x": content}
            return {name: entry for name, entry in content.items() if isinstance(entry, np.ndarray)}  # no other files
    except UserError:
        raise
    except Exception as error:  # a damaged file raises errors of zipfile, zlib, tokenize, NumPy, without a common type
        is_pickled = "Object arrays" in str(error) or "Python objects" in str(error)
        reason = "it holds pickled objects" if is_pickled else "it is damaged or not an array file"
        raise UserError(f"{path}: cannot be read as an array: {reason}") from error


def _load_splits(
    request: Request,
    *,
    labels: str | None,
    byte_values: ByteValues,
    channels: Channels,
    split_by: str | None,
    split_order: SplitOrder,
    validation_data: str | None,
    test_data: str | None,
) -> Splits:
    files = {name: Path(path) for name, path in (("validation", validation_data), ("test", test_data)) if path}
    if files:
        check_no_groups(split_by)
    if files and labels is not None:
        held_out = f"{knob_name('validation_data')} and {knob_name('test_data')}"
        raise ArgumentError("labels", f"cannot be combined with {held_out}: save labels in .npz files")
    bytes_as = BytesAs(byte_values, byte_values) if request.bytes_as is None else request.bytes_as
    labels_path = None if labels is None else Path(labels)
    dataset = load_arrays(
        Path(request.dataset),
        labels_path,
        stored=request.stored,
        bytes_as=bytes_as,
        channels=channels,
        condition=request.condition,
    )
    if not files:
        return divided(dataset, request, split_by=split_by, split_order=split_order)
    others = {name: _load_like(path, dataset, request) for name, path in files.items()}
    positions = divide_files([len(dataset.x), *(len(other.x) for other in others.values())], tuple(others), request)
    train = take(dataset, positions.train)
    validation, test = (
        others[name] if name in others else take(dataset, place)
        for name, place in (("validation", positions.validation), ("test", positions.test))
    )
    return Splits(train, validation, test)


def _load_like(path: Path, train: Dataset, request: Request) -> Dataset:
    """Returns the held-out examples in a file, read in the same way as the training examples."""
    how: dict[int, ByteValues] = {1: "as_is", 255: "scaled"}
    stored = [train.stored, train.stored if train.stored_input is None else train.stored_input]
    bytes_as = BytesAs(*(how[1 if each is None else each.divided_by] for each in stored))
    is_first = train.stored is not None and train.stored.channels_first
    held_out = load_arrays(
        path,
        stored=request.stored,
        bytes_as=bytes_as,
        channels="first" if is_first else "last",
        condition=request.condition,
    )
    for name, of_train, own in (
        ("examples", train.x, held_out.x),
        ("inputs", train.input, held_out.input),
        ("conditions", train.condition, held_out.condition),
    ):
        shapes = [None if array is None else array.shape[1:] for array in (of_train, own)]
        if shapes[0] != shapes[1]:
            described = ["none" if shape is None else f"shape {shape}" for shape in shapes]
            raise UserError(f"{path}: {name}: expected {described[0]}, as in {request.dataset}, got {described[1]}")
    if (train.labels is None) != (held_out.labels is None):
        has, lacks = (request.dataset, path) if held_out.labels is None else (path, request.dataset)
        raise UserError(f"{lacks}: has no labels, but {has} has")
    return held_out


SOURCE = Source(
    _load_splits,
    layout=None,
    matches=is_array_file,
    reads_paths=True,
    has_conditions=True,
    knobs=(
        *("labels", "byte_values", "channels"),
        *("split_by", "split_order", "validation_data", "test_data"),
    ),
)
