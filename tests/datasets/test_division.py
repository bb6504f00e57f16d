"""Divisions by groups: no group is in two splits, fractions are as near as groups allow, order is respected."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from aejax.datasets.division import divide
from aejax.datasets.source import Request
from aejax.datasets.split_keys import divide_files, read_keys
from aejax.errors import UserError

GROUPS = arrays.arrays(np.int64, st.integers(3, 60), elements=st.integers(0, 12)).filter(lambda k: len(set(k)) > 2)


@given(GROUPS, st.integers(0, 5), st.sampled_from(["random", "ascending"]))
def test_no_group_is_in_two_splits_and_no_example_is_lost(groups, seed, order):
    positions = divide(len(groups), groups, fractions=(0.2, 0.3), seed=seed, order=order)
    assert sorted(np.concatenate(positions).tolist()) == list(range(len(groups)))
    train, validation, test = (set(groups[each].tolist()) for each in positions)
    assert train
    assert validation
    assert test
    assert not train & (validation | test)
    assert not validation & test
    if order == "ascending":
        assert max(train) < min(validation)
        assert max(validation) < min(test)


def test_fractions_are_those_of_examples():
    groups = np.repeat(np.arange(500), np.random.default_rng(0).integers(1, 9, 500))
    positions = divide(len(groups), groups, fractions=(0.1, 0.3), seed=0)
    np.testing.assert_allclose([len(each) / len(groups) for each in positions], [0.6, 0.1, 0.3], atol=0.01)


def test_groups_depend_on_the_seed_alone():
    groups = np.arange(50) // 2
    first, again, other = (divide(50, groups, fractions=(0.2, 0.2), seed=seed).test.tolist() for seed in (0, 0, 1))
    assert first == again
    assert first != other


def test_names_of_splits_are_the_splits():
    keys = np.array(["test", "train", "validation", "train"])
    assert [each.tolist() for each in divide(4, keys, fractions=(0.1, 0.1), seed=0)] == [[1, 3], [2], [0]]


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (np.array(["a", "b", "a", "b"]), "2 groups are too few for three splits"),
        (np.array(["train", "test", "test", "train"]), "none is validation"),
        (np.array([1, 2, 3]), "expected one entry for each of 4 examples, got 3"),
    ],
)
def test_groups_that_do_not_divide_are_refused(keys, message):
    with pytest.raises(UserError, match=message):
        divide(4, keys, fractions=(0.1, 0.1), seed=0)


def test_an_order_without_groups_is_refused():
    with pytest.raises(UserError, match="split_order: ascending requires split_by"):
        divide(9, fractions=(0.1, 0.1), seed=0, order="ascending")


def test_files_of_held_out_examples():
    both = divide_files([5, 2, 3], ["validation", "test"], Request("mine.npy"))
    assert [each.tolist() for each in both] == [[0, 1, 2, 3, 4], [5, 6], [7, 8, 9]]
    one = divide_files([10, 3], ["validation"], Request("mine.npy"))
    assert one.validation.tolist() == [10, 11, 12]
    assert sorted([*one.train, *one.test]) == list(range(10))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("keys.npy", np.zeros((3, 2)), "expected a vector"),
        ("keys.npy", np.array([1.0, np.nan]), "entry 1 .* is missing"),
        ("keys.csv", "a,b\n1,2\n", "expected one column"),
        ("keys.csv", "a\n1\n\n2\n", "data row 2 is missing"),
        ("keys.txt", "a\n1\n", "groups must be in a .npy file"),
    ],
)
def test_files_of_groups_that_cannot_be_read(tmp_path, name, content, message):
    path = tmp_path / name
    np.save(path, content) if isinstance(content, np.ndarray) else path.write_text(content)
    with pytest.raises(UserError, match=message):
        read_keys(path)


def test_groups_in_files_are_numbers_dates_or_texts(tmp_path):
    for content, expected in (
        ("day\n2.1.2020\n10.1.2019\n", np.array(["2020-01-02", "2019-01-10"], "datetime64[us]")),
        ("n\n10\n9\n", np.array([10.0, 9.0])),
        ("name\nzoë\n9\n", np.array(["zoë", "9"])),
    ):
        (tmp_path / "keys.csv").write_text(content)
        np.testing.assert_array_equal(read_keys(tmp_path / "keys.csv"), expected)
