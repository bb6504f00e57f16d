"""The chorales: their numbers as published where the file is at hand, a small file of the same form everywhere."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from aejax.datasets.jsb_chorales import FILE, load_jsb_chorales
from aejax.errors import UserError

SMALL = {"train": [[[60], [60, 64], []], [[62]] * 5], "valid": [[[21]] * 2], "test": [[[108]] * 4]}


def write(folder, content):
    (folder / FILE).parent.mkdir(exist_ok=True)
    (folder / FILE).write_text(content if isinstance(content, str) else json.dumps(content))
    return folder


def test_windows_stay_within_a_chorale(tmp_path):
    splits = load_jsb_chorales(write(tmp_path, SMALL), steps=2)
    assert [part.x.shape for part in splits] == [(3, 2, 88), (1, 2, 88), (2, 2, 88)]
    assert np.argwhere(splits.train.x[0]).tolist() == [[0, 39], [1, 39], [1, 43]]
    assert np.argwhere(splits.train.x[1]).tolist() == [[0, 41], [1, 41]]
    assert splits.train.x.dtype == np.float32


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("no json", "does not hold chorales"),
        ({"train": []}, "does not hold chorales: 'valid'"),
        ({**SMALL, "test": [[[5]]]}, "a piano has the notes 21 to 108, got 5"),
        ({**SMALL, "test": [[["C"]]]}, "does not hold chorales"),
        ([1, 2], "does not hold chorales"),
    ],
)
def test_a_file_of_another_form(tmp_path, content, complaint):
    with pytest.raises(UserError, match=complaint):
        load_jsb_chorales(write(tmp_path, content), steps=1)


def test_no_file_and_windows_that_are_too_long(tmp_path, monkeypatch):
    with pytest.raises(UserError, match=r"there is no .*jsb-chorales-quarter.json: fetch"):
        load_jsb_chorales(tmp_path)
    monkeypatch.setenv("AEJAX_DATA_DIR", str(write(tmp_path, SMALL)))
    with pytest.raises(UserError, match="a window of 3 steps is longer than every chorale of a split"):
        load_jsb_chorales(steps=3)


@pytest.mark.skipif(
    not (Path(os.environ.get("AEJAX_DATA_DIR", "/nowhere")) / FILE).is_file(), reason="the chorales are not at hand"
)
def test_the_published_parts():
    splits = load_jsb_chorales(steps=1)
    assert [len(part.x) for part in splits] == [13807, 4602, 4725]
    assert all(part.x.sum(axis=-1).max() == 4 for part in splits)
