"""The user's own arrays: .npy and .npz files, of any shape, never unpickled."""

from pathlib import Path

import numpy as np

from aejax.datasets.dataset import Dataset, as_dataset
from aejax.errors import UserError

SUFFIXES = (".npy", ".npz")


def load_arrays(path: Path, labels: Path | None = None) -> Dataset:
    """Examples from a .npy file, or from the entries `x` and (optional) `labels` of a .npz file.

    Args:
      path: the examples, (N, ...); bytes (uint8) are divided by 255.
      labels: a .npy file of N integers; for a .npz file it takes the place of its entry.

    Raises:
      UserError: a file that is missing, no such array file, or one that would have to be unpickled; an entry
        that is missing; and all that `as_dataset` refuses.
    """
    content = _load(path)
    if "x" not in content:
        raise UserError(f"{path}: no entry 'x' with the examples; it holds {sorted(content)}")
    if labels is not None:
        if labels.suffix != ".npy":
            raise UserError(f"{labels}: labels are read from a .npy file")
        content["labels"] = _load(labels)["x"]
    return as_dataset(content["x"], content.get("labels"), name=str(path))


def _load(path: Path) -> dict[str, np.ndarray]:
    if path.suffix not in SUFFIXES:
        raise UserError(f"{path}: arrays are read from .npy and .npz files")
    try:
        with path.open("rb") as file:
            content = np.load(file, allow_pickle=False)
            if isinstance(content, np.ndarray):
                return {"x": content}
            return {name: entry for name, entry in content.items() if isinstance(entry, np.ndarray)}  # not other files
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file") from error
    except Exception as error:  # a damaged file ends in errors of zipfile, zlib, tokenize, NumPy: of no common type
        reason = "it holds pickled objects" if "Object arrays" in str(error) else "it is damaged or no array file"
        raise UserError(f"{path}: cannot be read as an array: {reason}") from error
