"""Large .npy files are read example by example, as if they were arrays in memory."""

import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aejax.datasets import arrays, dataset, stored
from aejax.datasets.arrays import load_arrays
from aejax.datasets.dataset import Splits, fingerprint, sampled_blocks, split
from aejax.datasets.stored import StoredArray, blocks_of
from aejax.errors import UserError

NUMBER = 40
CONTENT = np.random.default_rng(0).integers(0, 256, (NUMBER, 3, 2), np.uint8)
X = CONTENT.astype(np.float32) / np.float32(255)


def store(folder, content=CONTENT) -> StoredArray:
    np.save(folder / "x.npy", content)
    x = load_arrays(folder / "x.npy", stored=True).x
    assert isinstance(x, StoredArray)
    return x


@pytest.fixture(scope="module")
def x(tmp_path_factory) -> StoredArray:
    return store(tmp_path_factory.mktemp("stored"))


@given(st.lists(st.integers(-NUMBER, NUMBER - 1), max_size=60))
def test_reads_what_an_array_would_return(x, index) -> None:
    index = np.array(index, np.int64)
    np.testing.assert_array_equal(x[index], X[index])
    rows = x.select(index)
    np.testing.assert_array_equal(np.asarray(rows), X[index])
    assert (len(rows), rows.shape, rows.size, rows.nbytes) == (
        len(index),
        X[index].shape,
        X[index].size,
        X[index].nbytes,
    )


@pytest.mark.parametrize("index", [0, -1, slice(3), slice(None, None, -7), slice(30, 99), [[1, 2], [3, 4]]])
def test_indices_of_all_kinds(x, index) -> None:
    np.testing.assert_array_equal(x[index], X[index])
    np.testing.assert_array_equal(x.select(np.arange(NUMBER)[::-1])[index], X[::-1][index])


@pytest.mark.parametrize("index", [NUMBER, -NUMBER - 1, [0, NUMBER]])
def test_there_are_no_examples_beyond_the_last(x, index) -> None:
    with pytest.raises(IndexError, match="40 examples"):
        x[index]


@pytest.mark.parametrize("dtype", [bool, np.int16, np.float16, np.float32, np.float64, ">f4"])
def test_numbers_of_any_kind_are_read_as_they_are_loaded(tmp_path, dtype) -> None:
    content = (CONTENT % 7).astype(dtype)
    np.testing.assert_array_equal(store(tmp_path, content)[:], load_arrays(tmp_path / "x.npy", stored=False).x)


def test_extremes_are_those_of_all_blocks(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(stored, "_BLOCK", 50)
    x = store(tmp_path, np.random.default_rng(0).normal(size=(11, 3)))
    assert [len(block) for block in blocks_of(x)] == [4, 4, 3]
    assert [len(block) for block in blocks_of(x[:])] == [4, 4, 3]
    assert [len(block) for block in x.stored_blocks()] == [4, 4, 3]
    np.testing.assert_array_equal(np.concatenate([*blocks_of(x, np.arange(9, 2, -1))]), x[9:2:-1])
    assert (x.min(), x.max()) == (x[:].min(), x[:].max())


def test_a_file_is_left_where_it_is_from_a_gibibyte_of_float32_on(tmp_path, monkeypatch) -> None:
    np.save(tmp_path / "x.npy", CONTENT)
    np.save(tmp_path / "wide.npy", CONTENT.astype(np.float64))
    for limit, kind in ((X.nbytes, np.ndarray), (X.nbytes - 1, StoredArray)):
        monkeypatch.setattr(arrays, "LARGE", limit)
        assert type(load_arrays(tmp_path / "x.npy").x) is kind
        assert type(load_arrays(tmp_path / "wide.npy").x) is kind
    assert type(load_arrays(tmp_path / "x.npy", stored=False).x) is np.ndarray


def test_parts_are_those_of_the_array_and_nothing_is_read_for_them(tmp_path, monkeypatch) -> None:
    whole = load_arrays((store(tmp_path)).path, stored=False)
    in_file = load_arrays(tmp_path / "x.npy", stored=True)
    with monkeypatch.context() as patch:
        patch.setattr(StoredArray, "_read", None)
        parts = split(in_file, fractions=(0.2, 0.3), seed=3)
    expected = split(whole, fractions=(0.2, 0.3), seed=3)
    for part, of_array in zip(parts, expected, strict=True):
        np.testing.assert_array_equal(part.x[:], of_array.x)
    assert fingerprint(Splits(*parts)) == fingerprint(Splits(*expected))


def test_the_division_is_that_of_a_permutation() -> None:
    """As it was before there were files: NumPy shuffles small integers as it does large ones."""
    numbers = np.arange(1000, dtype=np.float32)[:, None]
    rest, part = split(dataset.Dataset(numbers), fractions=(0.25,), seed=7)
    order = np.random.default_rng(7).permutation(1000)
    np.testing.assert_array_equal(part.x[:, 0], np.sort(order[:250]))
    np.testing.assert_array_equal(rest.x[:, 0], np.sort(order[250:]))


def test_a_fingerprint_of_large_data_takes_examples_of_all_parts(monkeypatch) -> None:
    monkeypatch.setattr(dataset, "LARGE", 100)
    monkeypatch.setattr(dataset, "_MAX_SAMPLED", 10)

    def sample(array: np.ndarray) -> np.ndarray:
        return np.concatenate([*sampled_blocks(array)])

    chosen = sample(np.arange(1000, dtype=np.float32)[:, None])[:, 0]
    assert list(chosen) == [int(999 * k / 9) for k in range(10)]
    with monkeypatch.context() as patch:
        patch.setattr(dataset, "_MAX_SAMPLED_BYTES", 12)
        assert len(sample(np.arange(1000, dtype=np.float32)[:, None])) == 3
    part = dataset.Dataset(X)
    changed = X.copy()
    changed[-1, 0, 0] += 1
    same, other = (fingerprint(Splits(part, part, dataset.Dataset(x))) for x in (X.copy(), changed))
    assert same == fingerprint(Splits(part, part, part)) != other


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e39])
def test_examples_that_are_not_finite_are_named_when_they_are_read(tmp_path, value) -> None:
    content = np.zeros((9, 2))
    content[4, 1] = value
    x = store(tmp_path, content)
    np.testing.assert_array_equal(x[:4], np.zeros((4, 2)))
    with pytest.raises(UserError, match=r"x.npy: 1 of 3 examples that were read hold NaN, infinity or values beyond"):
        x[3:6]


def test_a_file_that_is_cut_short_is_an_error(tmp_path) -> None:
    x = store(tmp_path)
    os.truncate(x.path, x.path.stat().st_size - 5)
    np.testing.assert_array_equal(x[:39], X[:39])
    with pytest.raises(UserError, match=r"x.npy: is shorter than it was"):
        x[39]
    with pytest.raises(UserError, match="damaged or not an array file"):
        load_arrays(x.path, stored=True)


def refused(folder, message, content) -> None:
    np.save(folder / "x.npy", content)
    with pytest.raises(UserError, match=message):
        load_arrays(folder / "x.npy", stored=True)


def test_refuses_what_cannot_be_read_example_by_example(tmp_path) -> None:
    refused(tmp_path, "is in Fortran order, in which single examples cannot be read", np.asfortranarray(CONTENT))
    refused(tmp_path, r"shape \(examples, features...\)", np.zeros(5))
    refused(tmp_path, "must be numbers, got dtype <U1", np.array([["a"]]))
    refused(tmp_path, "it holds pickled objects", np.array([[None]]))
