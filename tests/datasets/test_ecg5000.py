"""Heartbeats: the counts of the archive, a split that trains on normal beats alone, refusals."""

import os
from pathlib import Path

import numpy as np
import pytest

from aejax.datasets.dataset import Dataset
from aejax.datasets.ecg5000 import FILE, load_ecg5000, normal_beats
from aejax.errors import UserError
from aejax.experiment.configuration import Data
from aejax.experiment.loading import load_splits

ROOT = Path(os.environ.get("AEJAX_DATA_DIR") or ".")
real = pytest.mark.skipif(not (ROOT / FILE).is_file(), reason=f"no {FILE} in AEJAX_DATA_DIR")


def table(rows: int = 500, normal: int = 292) -> np.ndarray:
    """Beats that are told apart by their first sample."""
    samples = np.random.default_rng(0).normal(size=(rows, 140))
    samples[:, 0] = np.arange(rows)
    return np.column_stack([np.where(np.arange(rows) < normal, 1, 2), samples])


def write(folder: Path, content: np.ndarray) -> Path:
    (folder / "ecg5000").mkdir()
    np.savetxt(folder / FILE, content)
    return folder


@real
def test_the_beats_have_the_counts_of_the_source_and_are_standardized():
    x, labels, *_ = load_ecg5000()
    assert x.shape == (500, 140)
    assert np.bincount(labels).tolist() == [0, 292, 177, 10, 19, 2]
    np.testing.assert_allclose(x.mean(axis=1), 0, atol=1e-5)
    np.testing.assert_allclose(x.std(axis=1, ddof=1), 1, atol=1e-4)


def test_a_file_is_read_as_it_was_written(tmp_path):
    content = table()
    x, labels, *_ = load_ecg5000(write(tmp_path, content))
    np.testing.assert_allclose(x, content[:, 1:], rtol=1e-6)
    np.testing.assert_array_equal(labels, content[:, 0])


@pytest.mark.parametrize("seed", range(3))
def test_no_test_beat_and_no_abnormal_beat_is_trained_on(seed, tmp_path):
    data = Data(dataset="ecg5000", data_dir=str(write(tmp_path, table())), validation_fraction=0.2, split_seed=seed)
    splits = load_splits(data)
    assert [len(part.x) for part in splits] == [160, 40, 300]
    assert set(splits.train.labels) == set(splits.validation.labels) == {1}
    beats = [set(part.x[:, 0].tolist()) for part in splits]
    assert len(set.union(*beats)) == sum(map(len, beats)) == 500
    assert np.sum(splits.test.labels != 1) == 208


def test_the_seed_chooses_the_beats():
    beats = Dataset(table()[:, 1:], table()[:, 0])
    first, again, other = (normal_beats(beats, validation_fraction=0.2, seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first.train.x, again.train.x)
    assert set(first.test.x[:, 0]) != set(other.test.x[:, 0])


def test_refusals(tmp_path):
    with pytest.raises(UserError, match=r"there is no .*ECG5000_TRAIN.txt: fetch .*data_dir or AEJAX_DATA_DIR"):
        load_ecg5000(tmp_path)
    write(tmp_path, table()[:, :100])
    with pytest.raises(UserError, match="expected a class and 140 numbers per row, got 100 columns"):
        load_ecg5000(tmp_path)
    (tmp_path / FILE).write_text("1 2 heart\n")
    with pytest.raises(UserError, match="cannot be read as rows of numbers"):
        load_ecg5000(tmp_path)
    few = Dataset(table(250, 200)[:, 1:], table(250, 200)[:, 0])
    with pytest.raises(UserError, match="200 normal beats are too few"):
        normal_beats(few, validation_fraction=0.2, seed=0)
