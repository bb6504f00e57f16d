"""Tables with known anomalies, in the form of ADBench: .npz files with rows `X` and labels `y`, 1 for an anomaly."""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from aejax.checks import as_booleans
from aejax.datasets.arrays import read_entries
from aejax.errors import ArgumentError, UserError, knob_name
from aejax.host.suggestions import unknown

FOLDER = "adbench"
FEWEST = 4  # normal rows: two to fit to, of which one is held out, and two to test


class LabeledTable(NamedTuple):
    """The rows of a table, and which of them are anomalies."""

    name: str
    x: Float[np.ndarray, "N D"]
    is_anomaly: Bool[np.ndarray, "N"]


def read_table(path: Path) -> LabeledTable:
    """Returns the table in a .npz file with `X` (N, D) and `y` (N,), 1 for an anomaly and 0 for a normal row.

    The table's name is the file's, without ADBench's number: cardio for 6_cardio.npz.

    Raises:
      UserError: the file cannot be read, has no `X` or `y`, values are not finite numbers, a label is neither 0 nor 1,
        or there are fewer than four normal rows or no anomaly.

    Source: S. Han, X. Hu, H. Huang, M. Jiang, Y. Zhao (2022), ADBench: Anomaly Detection Benchmark.
    """
    content = read_entries(path)
    if missing := [name for name in ("X", "y") if name not in content]:
        raise UserError(
            f"{path}: expected arrays X (rows, columns) and y (1 for an anomaly), but it has no "
            f"{' and no '.join(missing)}"
        )
    x, labels = content["X"], content["y"]
    if x.ndim != 2 or 0 in x.shape or labels.shape != x.shape[:1]:
        raise UserError(
            f"{path}: expected X of shape (rows, columns) and y of shape (rows,), got {x.shape} and {labels.shape}"
        )
    if x.dtype.kind not in "uifb" or not np.isfinite(x).all():
        raise UserError(f"{path}: expected X to hold finite numbers; fill or leave out missing values")
    try:
        is_anomaly = as_booleans("y", labels)
    except (TypeError, ValueError) as error:
        raise UserError(f"{path}: {error}") from error
    normal, anomalies = int(np.sum(~is_anomaly)), int(np.sum(is_anomaly))
    if normal < FEWEST or not anomalies:
        raise UserError(
            f"{path}: expected at least {FEWEST} normal rows and one anomaly, got {normal} and {anomalies} "
            "(in y, 1 is an anomaly and 0 a normal row)"
        )
    return LabeledTable(_name_of(path), x.astype(np.float64), is_anomaly)


def find_tables(names: Sequence[str] = (), data_dir: Path | None = None) -> list[Path]:
    """Returns the files of tables.

    Args:
      names: names of ADBench's tables, such as cardio, or paths of .npz files; all tables in the folder if empty.
      data_dir: the folder that contains the folder `adbench`; None for $AEJAX_DATA_DIR.

    Raises:
      UserError: there is no such folder, it has no tables, there is no table of a name, or two have the same name.
    """
    folder = (data_dir or Path(os.environ.get("AEJAX_DATA_DIR") or ".")) / FOLDER
    is_path = [name.lower().endswith(".npz") for name in names]
    known: dict[str, Path] = {}
    if not all(is_path) or not names:
        known = {_name_of(path): path for path in sorted(folder.glob("*.npz"), key=_name_of)}
        if not known:
            raise UserError(
                f"there are no .npz files in {folder}: fetch the folder Classical of ADBench's repository, and set "
                f"{knob_name('data_dir')} or AEJAX_DATA_DIR to the folder that contains {FOLDER}; or name files by "
                f"{knob_name('tables')}"
            )
    for name, own in zip(names, is_path, strict=True):
        if not own and name not in known:
            raise ArgumentError("tables", unknown("table", name, list(known), kinds="tables"))
    paths = [Path(name) if own else known[name] for name, own in zip(names, is_path, strict=True)]
    found = paths or list(known.values())
    titles = [_name_of(path) for path in found]
    if twice := [title for title in titles if titles.count(title) > 1]:
        raise ArgumentError("tables", f"two tables have the name {twice[0]}; rename one of the files")
    return found


def _name_of(path: Path) -> str:
    return re.sub(r"^\d+_", "", path.stem)
