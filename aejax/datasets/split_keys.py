"""Divisions that the user gives: a file with the group or the split of every example, or one file a split."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from aejax.datasets.dataset import Dataset, Splits, split_positions, take
from aejax.datasets.division import Positions, SplitOrder, describe_division, divide
from aejax.datasets.source import Request
from aejax.datasets.tables.files import is_table_file, open_table
from aejax.errors import ArgumentError, UserError, knob_name
from aejax.host.files import open_regular


def is_key_file(value: str) -> bool:
    """Returns whether a value of `split_by` is a file, not the name of a column.

    >>> is_key_file("groups.npy"), is_key_file("patient")
    (True, False)
    """
    return value.lower().endswith(".npy") or is_table_file(value)


def read_keys(path: Path) -> np.ndarray:
    """Returns the group of every example, (N,), in a .npy file, or in the only column of a table with a header.

    Raises:
      UserError: the file cannot be read, or does not hold one number or text for every example.
    """
    if not is_key_file(path.name):
        raise UserError(f"{path}: groups must be in a .npy file, or in the only column of a .csv or .parquet file")
    if is_table_file(path):
        return _keys_of_table(path)
    with open_regular(path) as file:
        try:
            keys = np.load(file, allow_pickle=False)
        except (ValueError, EOFError, OSError) as error:
            raise UserError(f"{path}: cannot be read as an array of numbers or texts") from error
    if not isinstance(keys, np.ndarray) or keys.ndim != 1 or keys.dtype.kind not in "biufUM":
        raise UserError(f"{path}: expected a vector with the group of every example, as numbers or texts")
    is_missing = np.isnan(keys) if keys.dtype.kind == "f" else np.isnat(keys) if keys.dtype.kind == "M" else keys == ""
    if keys.dtype.kind in "fMU" and is_missing.any():
        place = np.flatnonzero(is_missing)[0]
        raise UserError(f"{path}: entry {place} (from 0) is missing, but every example needs a group")
    return keys


def _keys_of_table(path: Path) -> np.ndarray:
    table = open_table(path)
    if len(table.columns) != 1:
        raise UserError(f"{path}: expected one column with the group of every example, got {len(table.columns)}")
    from aejax.datasets.tables.key_columns import as_groups, read_key_columns

    _, (text,) = read_key_columns(table, table.columns)
    return as_groups(text, f"{path}: column {table.columns[0]!r}")


def divided(dataset: Dataset, request: Request, *, split_by: str | None, split_order: SplitOrder) -> Splits:
    """Returns the splits of a data set by groups in a file, or at random, with a note on the division.

    Args:
      dataset: all examples.
      request: names the fractions and the seed.
      split_by: the file of the groups, as for `read_keys`; None divides single examples at random.
      split_order: as for `divide`.

    Raises:
      UserError: the file cannot be read, or `divide` refuses its groups.
    """
    keys = None if split_by is None else read_keys(Path(split_by))
    name = f"{knob_name('split_by')} {split_by}"
    fractions = request.fractions
    positions = divide(len(dataset.x), keys, fractions=fractions, seed=request.seed, order=split_order, name=name)
    if keys is not None:
        dataset = dataset._replace(notes=(*dataset.notes, describe_division(positions, keys, name)))
    return Splits(*(take(dataset, each) for each in positions))


def divide_files(sizes: Sequence[int], names: Sequence[str], request: Request) -> Positions:
    """Returns the positions of splits in files of their own; the first file is also divided if one of them has none.

    Args:
      sizes: the numbers of examples in the files, of which the first one holds the training examples.
      names: the splits that the other files are: `validation`, `test` or both.
      request: names the fractions, of the examples in the first file, and the seed.

    >>> positions = divide_files([10, 4], ["test"], Request("mine.npy"))
    >>> [len(each) for each in positions], positions.test.tolist()
    ([9, 1, 4], [10, 11, 12, 13])
    """
    starts = np.cumsum([0, *sizes])
    found = {name: np.arange(start, stop) for name, start, stop in zip(names, starts[1:], starts[2:], strict=False)}
    validation_fraction, test_fraction = request.fractions
    fraction = {"validation": validation_fraction, "test": test_fraction}
    drawn = [name for name in fraction if name not in found]
    rest, *others = (
        split_positions(sizes[0], fractions=tuple(fraction[name] for name in drawn), seed=request.seed)
        if drawn
        else (np.arange(sizes[0]),)
    )
    found |= dict(zip(drawn, others, strict=True))
    return Positions(rest, found["validation"], found["test"])


def check_no_groups(split_by: str | None) -> None:
    """Raise UserError if examples of files of their own are to be divided by groups too."""
    if split_by is not None:
        raise ArgumentError(
            "split_by",
            f"cannot be combined with {knob_name('validation_data')} and {knob_name('test_data')}, which divide the "
            "examples",
        )
