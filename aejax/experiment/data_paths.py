"""The files that a data configuration names besides its data set; they move with it, and their paths are absolute."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from aejax.experiment.configuration import Data

_TABLES = (".csv", ".tsv", ".parquet", ".pq")
_SUFFIXES = {  # knob -> suffixes of values that are files; other values are names of columns, or declarations
    "labels": (".npy",),
    "columns": (".json",),
    "split_by": (".npy", *_TABLES),
    "validation_data": (".npy", ".npz", *_TABLES),
    "test_data": (".npy", ".npz", *_TABLES),
}


def files_of(data: Data) -> Iterator[str]:
    """Yields the files that knobs name besides the data set itself.

    >>> list(files_of(Data("mine.csv", labels="species", columns=("area=log_normal", "columns.json"))))
    ['columns.json']
    """
    for knob in _SUFFIXES:
        value = getattr(data, knob)
        values = value if isinstance(value, tuple) else () if value is None else (value,)
        yield from (each for each in values if _is_file(knob, each))


def with_files(data: Data, change: Callable[[str], str]) -> Data:
    """Returns the configuration with every file that a knob names replaced by `change(file)`.

    >>> with_files(Data("mine.npy", labels="classes.npy"), lambda file: f"/data/{file}").labels
    '/data/classes.npy'
    """

    def changed(knob: str, value: str) -> str:
        return change(value) if _is_file(knob, value) else value

    values: dict[str, str | tuple[str, ...] | None] = {}
    for knob in _SUFFIXES:
        value = getattr(data, knob)
        if isinstance(value, tuple):
            values[knob] = tuple(changed(knob, each) for each in value)
        else:
            values[knob] = None if value is None else changed(knob, value)
    return replace(data, **values)  # type: ignore[arg-type]


def _is_file(knob: str, value: str) -> bool:
    path = Path(value)
    return path.suffix.lower() in _SUFFIXES[knob] and not (knob == "columns" and "=" in path.name)
