"""A folder of shards of activations as one data set, with rows left out by their position or their norm."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np

from aejax.datasets.activations.shards import SUFFIXES, ShardRows, find_shards
from aejax.datasets.dataset import AsStored, Dataset, Splits, take
from aejax.datasets.division import divide
from aejax.datasets.source import Request, Source
from aejax.datasets.stored import LARGE, StoredArray, as_float32
from aejax.errors import ArgumentError, UserError, knob_name

_BLOCK = 2**26  # bytes as float32 that are read at a time
_OUTLIER = 20  # a row whose norm exceeds the median by this factor is reported

Progress = Callable[[str, int, int], None]


class Activations(NamedTuple):
    """Rows of activations that are kept, and the sequence of each."""

    dataset: Dataset
    sequences: np.ndarray | None  # (N,); None if shards are matrices, whose rows have no sequence


def is_activations(dataset: str) -> bool:
    """Returns whether a data set is a .safetensors file, or a folder with arrays in files that is not that of a run.

    >>> is_activations("layer_3.safetensors"), is_activations("x.npy")
    (True, False)
    """
    path = Path(dataset)
    if path.suffix.lower() == SUFFIXES[-1]:
        return True
    if not path.is_dir():
        return False
    names = os.listdir(path)
    return not {"config.json", "checkpoints"} <= set(names) and any(_is_shard(name) for name in names)


def _is_shard(name: str) -> bool:
    return Path(name).suffix.lower() in SUFFIXES and not name.startswith(".")


def load_activations(
    path: Path,
    *,
    shards: str | None = None,
    skip_positions: int = 0,
    max_norm: float | None = None,
    stored: bool | None = None,
    on_read: Progress | None = None,
) -> Activations:
    """Returns rows (N, D) of a folder's .npy, .npz and .safetensors files as one data set, in the order of their names.

    Arrays (sequences, positions, D) are rows one after the other. Activations above one GiB as float32 stay in their
    files and are read when they are needed.

    Args:
      path: the folder, or one .safetensors file.
      shards: a pattern of the names of files, such as `layer_3*`; None for all with activations.
      skip_positions: rows at the first positions of every sequence that are left out, such as 1: language models have
        huge activations there.
      max_norm: rows with a larger norm are left out, for which all rows are read once; None keeps all.
      stored: whether rows stay in their files; None decides by their size.
      on_read: called with what is done, how many rows of it, and of how many.

    Raises:
      UserError: there is no such file, `find_shards` refuses one, a row holds NaN or infinity, or no row is left; or
        positions are to be skipped of matrices.
    """
    paths = _paths_of(path, shards)
    found, others = find_shards(paths)
    rows = ShardRows(path, found)
    total, width = rows.shape
    positions = _positions(rows) if len(found[0].shape) > 2 else None
    kept = np.arange(total)
    if skip_positions:
        if positions is None:
            raise ArgumentError(
                "skip_positions", f"requires arrays (sequences, positions, features), but {found[0].name} is a matrix"
            )
        kept = kept[positions[1] >= skip_positions]
    skipped = total - len(kept)
    in_memory = stored is False or (stored is None and 4 * total * width <= LARGE)
    norms = _norms(rows, kept, on_read) if in_memory or max_norm is not None else None
    notes = [f"{path}: {total:,} rows of {width:,} numbers ({found[0].dtype}) in {_number(len(found), 'shard')}"]
    if max_norm is not None and norms is not None:
        large = norms > max_norm
        kept, norms = kept[~large], norms[~large]
        notes.append(
            f"{path}: left out {_number(skipped, 'row')} at first positions, {large.sum():,} with a norm above "
            f"{max_norm:g}"
        )
    elif skipped:
        notes.append(f"{path}: left out {_number(skipped, 'row')} at first positions")
    if not len(kept):
        raise UserError(f"{path}: no row of {total:,} is left: change skip_positions or max_norm")
    if others:
        notes.append(f"{path}: {', '.join(others)} hold{'s' * (len(others) == 1)} no activations")
    if norms is not None and (huge := int((norms > _OUTLIER * np.median(norms)).sum())):
        notes.append(
            f"{path}: {_number(huge, 'row')} with a norm above {_OUTLIER} times the median, {np.median(norms):.4g}: "
            f"leave them out by {knob_name(f'max_norm {_OUTLIER * np.median(norms):.3g}')}, or by "
            f"{knob_name('skip_positions 1')} if they are first positions"
        )
    x = StoredArray(rows).select(kept)
    content = cast(np.ndarray, as_float32(rows.read(kept)) if in_memory else x)
    dataset = Dataset(content, stored=AsStored(str(found[0].dtype)), notes=tuple(notes))
    return Activations(dataset, None if positions is None else positions[0][kept])


def _paths_of(path: Path, pattern: str | None) -> list[Path]:
    if not path.is_dir():
        if not path.exists():
            raise UserError(f"{path}: there is no such file or folder")
        return [path]
    paths = sorted(each for each in path.glob(pattern or "*") if _is_shard(each.name))
    if not paths:
        which = "" if pattern is None else f" whose name matches {pattern!r}"
        raise UserError(f"{path}: there is no {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]} file in it{which}")
    return paths


def _positions(rows: ShardRows) -> tuple[np.ndarray, np.ndarray]:
    """Returns the number of the sequence of every row, and its position there."""
    sequences, positions, before = [], [], 0
    for shard in rows.shards:
        length = shard.shape[-2]
        number = np.arange(shard.rows)
        sequences.append(before + number // length)
        positions.append(number % length)
        before += shard.rows // length
    return np.concatenate(sequences), np.concatenate(positions)


def _norms(rows: ShardRows, index: np.ndarray, on_read: Progress | None) -> np.ndarray:
    """Returns the norms of rows, in float64; all of them are read."""
    norms = np.empty(len(index))
    block = max(1, _BLOCK // (4 * rows.shape[1]))
    for start in range(0, len(index), block):
        some = rows.read(index[start : start + block]).astype(np.float64)
        norms[start : start + len(some)] = np.sqrt(np.sum(some**2, axis=1))
        if on_read is not None:
            on_read("reading activations", min(start + block, len(index)), len(index))
    return norms


def _number(count: int, what: str) -> str:
    return f"{count:,} {what}{'s' * (count != 1)}"


def _load_splits(request: Request, *, shards: str | None, skip_positions: int, max_norm: float | None) -> Splits:
    path = Path(request.dataset)
    dataset, sequences = load_activations(
        path,
        shards=shards,
        skip_positions=skip_positions,
        max_norm=max_norm,
        stored=request.stored,
        on_read=request.on_read,
    )
    positions = divide(len(dataset.x), sequences, fractions=request.fractions, seed=request.seed, name=str(path))
    if sequences is not None:
        dataset = dataset._replace(notes=(*dataset.notes, f"{path}: no sequence is in two splits"))
    return Splits(*(take(dataset, each) for each in positions))


SOURCE = Source(
    _load_splits,
    layout="vector",
    matches=is_activations,
    reads_paths=True,
    knobs=("shards", "skip_positions", "max_norm"),
    kind="a folder of activations",
)
