"""A folder with one file per sequence, of any lengths: .csv files, or subfolders of .csv and .npy files by class."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from aejax.datasets.activations.source import is_activations
from aejax.datasets.arrays import load_labels, read_entries
from aejax.datasets.dataset import AsStored, Dataset, Splits, take
from aejax.datasets.division import SplitOrder, describe_division, divide
from aejax.datasets.documents import folder_of_pages
from aejax.datasets.image_folder import is_image_folder
from aejax.datasets.sequences import describe_lengths, stacked
from aejax.datasets.source import Request, Source
from aejax.datasets.split_keys import read_keys
from aejax.errors import UserError, knob_name

SUFFIXES = (".npy", ".csv")


def is_sequence_folder(dataset: str, *, at_least: int = 3) -> bool:
    """Returns whether a data set is a folder with `at_least` .csv files, or .csv and .npy files in its subfolders.

    A folder with .npy files of its own holds activations.
    """
    folder = Path(dataset)
    if (
        not folder.is_dir()
        or is_activations(dataset)
        or is_image_folder(dataset)
        or folder_of_pages(dataset) is not None
    ):
        return False
    names = {path.name for path in folder.iterdir()}
    return not {"config.json", "checkpoints"} <= names and len(files_of(folder)) >= at_least


def files_of(folder: Path) -> list[Path]:
    """Returns the files of sequences in a folder and its subfolders, sorted by their path."""
    inside = [path for path in folder.iterdir() if not path.name.startswith(".")]
    paths = [*inside, *(path for each in inside if each.is_dir() for path in each.iterdir())]
    return sorted(path for path in paths if path.suffix.lower() in SUFFIXES and path.is_file())


def read_sequence(path: Path) -> np.ndarray:
    """Returns the sequence in a file, (T,) or (T, C) float32: an array, or rows of numbers after at most one header.

    Raises:
      UserError: the file cannot be read, is empty, or holds anything but finite numbers.
    """
    values = read_entries(path)["x"] if path.suffix.lower() == ".npy" else _numbers_of(path)
    if values.dtype.kind not in "buif" or values.ndim not in (1, 2) or not values.size:
        expected = "a sequence is numbers (T,) or (T, C)"
        advice = f"; if it holds all examples, use {knob_name(f'dataset {path}')}" if values.ndim > 2 else ""
        raise UserError(f"{path}: {expected}, got dtype {values.dtype} and shape {values.shape}{advice}")
    with np.errstate(over="ignore"):
        values = values.astype(np.float32)
    if (wrong := np.argwhere(~np.isfinite(values))).size:
        raise UserError(f"{path}: step {wrong[0][0]} (from 0) holds NaN, infinity or a value beyond float32")
    return values


def _numbers_of(path: Path) -> np.ndarray:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read as text in UTF-8") from error
    rows: list[list[float]] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        cells = line.split(",")
        try:
            row = [float(cell) for cell in cells]
        except ValueError as error:
            if not rows and number == 1:
                continue  # the names of the channels
            raise UserError(f"{path}, line {number}: expected numbers between commas, got {line[:60]!r}") from error
        if rows and len(row) != len(rows[0]):
            raise UserError(f"{path}, line {number}: {len(row)} numbers, but the lines above have {len(rows[0])}")
        rows.append(row)
    values = np.array(rows)
    return values[:, 0] if values.ndim == 2 and values.shape[1] == 1 else values


def load_sequences(folder: Path) -> tuple[list[np.ndarray], np.ndarray | None]:
    """Returns the sequences in a folder, sorted by path, and their classes, the names of their subfolders if any.

    Raises:
      UserError: a file cannot be read, the numbers of channels differ, or only some files are in subfolders.
    """
    paths = files_of(folder)
    sequences = [read_sequence(path) for path in paths]
    for path, sequence in zip(paths, sequences, strict=True):
        if sequence.shape[1:] != sequences[0].shape[1:]:
            channels = [each.shape[1] if each.ndim == 2 else 1 for each in (sequence, sequences[0])]
            raise UserError(f"{path}: has {channels[0]} channels, but {paths[0]} has {channels[1]}")
    classes = [path.parent.name if path.parent != folder else None for path in paths]
    if not any(classes):
        return sequences, None
    if None in classes:
        alone = paths[classes.index(None)]
        raise UserError(f"{alone}: is in no subfolder, but others are, whose names are classes: move it into one")
    return sequences, np.array(classes)


def stack_splits(
    sequences: Sequence[np.ndarray], labels: np.ndarray | None, positions: Sequence[np.ndarray], *, name: str
) -> Splits:
    """Returns splits of sequences, as long as the longest training sequence; longer ones held out are cut."""
    steps = max(len(sequences[place]) for place in positions[0])
    x = stacked(sequences, steps)
    notes = [describe_lengths(x, name)]
    if cut := sum(len(each) > steps for each in sequences):
        notes.append(f"{name}: {cut:,} held-out sequences are longer than all training ones, and are cut to {steps:,}")
    dataset = Dataset(x, labels, stored=AsStored("float32"), notes=tuple(notes))
    return Splits(*(take(dataset, each) for each in positions))


def load_folder(folder: Path, labels: Path | None = None, *, stored: bool | None = None) -> Dataset:
    """Returns the sequences in a folder as one array, as long as the longest, padded with NaN.

    Args:
      folder: the folder.
      labels: a .npy file of labels, in the order of the files' paths; None for the names of subfolders.
      stored: ignored; sequences are in memory.

    Raises:
      UserError: as for `load_sequences`, or the labels are invalid.
    """
    sequences, classes = load_sequences(folder)
    if labels is not None:
        classes = load_labels(labels, len(sequences))
    return Dataset(stacked(sequences, max(map(len, sequences))), classes, stored=AsStored("float32"))


def _load_splits(request: Request, *, labels: str | None, split_by: str | None, split_order: SplitOrder) -> Splits:
    folder = Path(request.dataset)
    sequences, classes = load_sequences(folder)
    if labels is not None:
        classes = load_labels(Path(labels), len(sequences))
    keys = None if split_by is None else read_keys(Path(split_by))
    by = knob_name("split_by") if split_by is None else f"{knob_name('split_by')} {split_by}"
    positions = divide(len(sequences), keys, fractions=request.fractions, seed=request.seed, order=split_order, name=by)
    splits = stack_splits(sequences, classes, positions, name=str(folder))
    if keys is None:
        return splits
    train = splits.train
    return splits._replace(train=train._replace(notes=(*train.notes, describe_division(positions, keys, by))))


SOURCE = Source(
    _load_splits,
    layout="series",
    matches=is_sequence_folder,
    reads_paths=True,
    kind="a folder of sequences",
    knobs=("labels", "split_by", "split_order"),
)
