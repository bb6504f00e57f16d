"""Tables with known anomalies: how files are found and read, and what is refused."""

from pathlib import Path

import numpy as np
import pytest

from aejax.datasets.adbench import find_tables, read_table
from aejax.errors import UserError

X, Y = np.arange(12).reshape(6, 2), np.array([0, 0, 0, 0, 1, 1])


def save(path, **arrays):
    path.parent.mkdir(exist_ok=True)
    np.savez(path, **arrays)
    return path


def test_a_table_has_its_files_name_without_the_number(tmp_path):
    table = read_table(save(tmp_path / "6_cardio.npz", X=X, y=Y.astype(np.int32)))
    assert (table.name, table.x.dtype, table.is_anomaly.tolist()) == ("cardio", np.float64, [False] * 4 + [True] * 2)
    np.testing.assert_array_equal(table.x, X)


@pytest.mark.parametrize(
    ("arrays", "complaint"),
    [
        ({"X": X}, r"t.npz: expected arrays X .* but it has no y"),
        ({"x": X}, "it has no X and no y"),
        ({"X": X[0], "y": Y}, r"expected X of shape \(rows, columns\) .* got \(2,\) and \(6,\)"),
        ({"X": X, "y": Y[1:]}, r"got \(6, 2\) and \(5,\)"),
        ({"X": np.where(X == 3, np.nan, X), "y": Y}, "finite numbers; fill or leave out missing values"),
        ({"X": X.astype(str), "y": Y}, "expected X to hold finite numbers"),
        ({"X": X, "y": Y + 1}, "t.npz: y must hold booleans, or 0 and 1, got 2"),
        ({"X": X, "y": 1 - Y}, "expected at least 4 normal rows and one anomaly, got 2 and 4"),
        ({"X": X, "y": 0 * Y}, "got 6 and 0"),
        ({"X": X.astype(object), "y": Y}, "it holds pickled objects"),
    ],
)
def test_refused_tables(tmp_path, arrays, complaint):
    with pytest.raises(UserError, match=complaint):
        read_table(save(tmp_path / "t.npz", **arrays))


def test_tables_are_found_by_name_or_path(tmp_path, monkeypatch):
    paths = [save(tmp_path / "adbench" / name, X=X, y=Y) for name in ("40_vowels.npz", "6_cardio.npz")]
    monkeypatch.setenv("AEJAX_DATA_DIR", str(tmp_path))
    assert find_tables() == paths[::-1]  # in the order of the names
    assert find_tables(["vowels"]) == paths[:1]
    assert find_tables(["mine.npz", "cardio"]) == [Path("mine.npz"), paths[1]]
    with pytest.raises(UserError, match="tables: there is no table 'vowel'; did you mean vowels"):
        find_tables(["vowel"])
    with pytest.raises(UserError, match="tables: two tables have the name cardio"):
        find_tables(["cardio", "1_cardio.npz"])
    with pytest.raises(UserError, match=r"no .npz files in nowhere/adbench: fetch .* set data_dir or AEJAX_DATA_DIR"):
        find_tables(data_dir=Path("nowhere"))
