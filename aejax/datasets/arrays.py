"""The user's own arrays: .npy and .npz files, of any shape, never unpickled."""

import os
from pathlib import Path
from typing import Any

import numpy as np

from aejax.datasets.dataset import Dataset, as_dataset, with_input, with_labels
from aejax.datasets.paths import is_array_file, refuse_path
from aejax.datasets.stored import LARGE, StoredArray
from aejax.errors import UserError
from aejax.files import check_regular, open_regular


def load_arrays(path: Path, labels: Path | None = None, *, stored: bool | None = None) -> Dataset:
    """Examples from a .npy file, or from the entries `x` and (optional) `labels` and `input` of a .npz file.

    `input` are noisy examples, of which those in `x` are what they ought to be: an encoder is given the one and learns
    to return the other.

    A .npy file whose examples take more than a GiB as float32 is not read here: they stay in it, and are read when
    they are needed (`StoredArray`). A .npz file, and labels, are read into memory whatever their size.

    Args:
      path: the examples, (N, ...); bytes (uint8) are divided by 255.
      labels: a .npy file of N integers; for a .npz file it takes the place of its entry.
      stored: whether the examples of a .npy file stay in it; None leaves it to their size.

    Raises:
      UserError: a file that is missing, no such array file, or one that would have to be unpickled; an entry
        that is missing; and all that `as_dataset` and `with_input` refuse.
    """
    content = _load(path, stored=stored)
    if "x" not in content:
        raise UserError(f"{path}: no entry 'x' with the examples; it holds {sorted(content)}")
    dataset = as_dataset(content["x"], content.get("labels") if labels is None else None, name=str(path))
    if labels is not None:
        if labels.suffix.lower() != ".npy":
            raise UserError(f"{labels}: labels are read from a .npy file")
        dataset = with_labels(dataset, _load(labels, stored=False)["x"], name=str(labels))
    return dataset if "input" not in content else with_input(dataset, content["input"], name=str(path))


def holds_bytes(path: Path) -> bool:
    """Whether the examples in a .npy or .npz file are bytes, which are divided by 255 when they are read."""
    check_regular(path)
    content = np.load(path, mmap_mode="r", allow_pickle=False)
    return (content if isinstance(content, np.ndarray) else content["x"]).dtype == np.uint8


def _load(path: Path, *, stored: bool | None) -> dict[str, Any]:
    if not is_array_file(path) or os.path.isdir(path):
        raise refuse_path(path)
    check_regular(path)
    try:
        may_be_large = StoredArray.dtype.itemsize * path.stat().st_size > LARGE  # if it holds bytes
        if path.suffix.lower() == ".npy" and (stored or (stored is None and may_be_large)):
            mapped = np.load(path, mmap_mode="r", allow_pickle=False)
            if stored or StoredArray.dtype.itemsize * mapped.size > LARGE:
                return {"x": StoredArray(mapped)}
            del mapped
        with open_regular(path) as file:
            content = np.load(file, allow_pickle=False)
            if isinstance(content, np.ndarray):
                return {"x": content}
            return {name: entry for name, entry in content.items() if isinstance(entry, np.ndarray)}  # not other files
    except UserError:
        raise
    except Exception as error:  # a damaged file ends in errors of zipfile, zlib, tokenize, NumPy: of no common type
        is_pickled = "Object arrays" in str(error) or "Python objects" in str(error)
        reason = "it holds pickled objects" if is_pickled else "it is damaged or no array file"
        raise UserError(f"{path}: cannot be read as an array: {reason}") from error
