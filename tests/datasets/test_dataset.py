"""Conversion of what a source delivers, and the division into parts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aejax.datasets.dataset import Dataset, as_dataset, split, take
from aejax.errors import UserError

X = np.arange(6.0).reshape(3, 2)


def refused(message, x=X, labels=None):
    """`as_dataset` refuses with a message that names the data and says this."""
    with pytest.raises(UserError, match=f"^mine: .*{message}"):
        as_dataset(x, labels, name="mine")


@pytest.mark.parametrize("dtype", [bool, np.int8, np.int64, np.uint16, np.float16, np.float32, np.float64])
def test_numbers_become_float32_as_they_are(dtype):
    x = np.array([[0, 1], [1, 100]]).astype(dtype)
    dataset = as_dataset(x, name="mine")
    assert dataset.x.dtype == np.float32
    np.testing.assert_array_equal(dataset.x, x.astype(float))
    assert dataset.labels is None


def test_bytes_become_fractions_of_255():
    dataset = as_dataset(np.array([[0, 51], [255, 1]], np.uint8), name="mine")
    np.testing.assert_array_equal(dataset.x, np.array([[0, 0.2], [1, 1 / 255]], np.float32))


@pytest.mark.parametrize("dtype", [bool, np.int8, np.uint8, np.int64, np.uint64, np.float16, np.float64])
def test_labels_become_int32(dtype):
    labels = np.array([0, 1, 1]).astype(dtype)
    dataset = as_dataset(X, labels, name="mine")
    assert dataset.labels.dtype == np.int32
    np.testing.assert_array_equal(dataset.labels, [0, 1, 1])


def test_labels_are_the_users_own():
    for labels in ([-3, 7, 1000], [0, 2**31, 5], [-(2**31) - 1, 0, 1], ["cat", "dog", "Käse"], [200, 128, 255]):
        assert as_dataset(X, np.array(labels), name="mine").labels.tolist() == labels
    assert as_dataset(X, np.array([3.0, -7.0, 2.0**40]), name="mine").labels.tolist() == [3, -7, 2**40]


@pytest.mark.parametrize(
    "x",
    [
        np.array([["a", "b"]]),
        np.array([[None, {}]]),
        np.array([[1j]]),
        np.array([["2020-01-01"]], "datetime64"),
        np.zeros((2, 2), [("a", float)]),
    ],
    ids=["text", "objects", "complex", "dates", "records"],
)
def test_refuses_what_is_no_number(x):
    refused("examples must be numbers, got dtype", x)


@pytest.mark.parametrize("shape", [(), (5,)])
def test_refuses_one_number_in_place_of_an_example(shape):
    refused(r"examples must have shape \(examples, features...\), got \(", np.zeros(shape))


@pytest.mark.parametrize("shape", [(0, 3), (3, 0)])
def test_refuses_no_examples_and_no_features(shape):
    refused("there are no examples", np.zeros(shape))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e39])
def test_counts_the_examples_that_are_not_finite_in_float32(value):
    x = np.zeros((4, 3, 2))
    x[1, 0, 0] = x[1, 2, 1] = x[3, 1, 0] = value
    refused("2 of 4 examples hold NaN, infinity or values beyond float32, in features 0, 2, 5", x)


def test_names_the_columns_that_are_not_finite():
    x = np.zeros((4, 9))
    x[:, 2] = np.nan
    refused(r"4 of 4 examples .*, in feature 2 \(from 0\): remove them or replace the values", x)
    x[0] = np.nan
    refused("4 of 4 examples hold NaN, infinity or values beyond float32: remove them or replace the values", x)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.array([0.0, 1.5, 2.0]), "whole numbers or text, but 1 are not, such as 1.5"),
        (np.array([0.0, np.nan, np.inf]), "whole numbers or text, but 2 are not, such as nan"),
        (np.array([b"a", b"b", b"c"]), "a vector of integers or text"),
        (np.array([1j, 0, 1]), "a vector of integers or text"),
        (np.array([[0], [1], [2]]), r"a vector of integers or text, got dtype int64 and shape \(3, 1\)"),
        (np.array(1), "a vector of integers"),
        (np.array([0, 1]), "got 2 labels for 3 examples"),
        (np.array(["a"]), "got 1 labels for 3 examples"),
        (np.array([0, 1, 2**64 - 1], np.uint64), "must fit into 64 bits, got values from 0 to 18446744073709551615"),
        (np.array([0.0, 1.0, 2.0**63]), "must fit into 64 bits, got values from 0 to 9223372036854775808"),
    ],
)
def test_refuses_labels_that_are_none(labels, message):
    refused(message, labels=labels)


def test_take_keeps_labels_with_their_examples():
    taken = take(Dataset(X, np.array([5, 6, 7], np.int32)), np.array([2, 0]))
    np.testing.assert_array_equal(taken.x, X[[2, 0]])
    np.testing.assert_array_equal(taken.labels, [7, 5])
    assert take(Dataset(X), np.array([1])).labels is None


@given(
    examples=st.integers(4, 60),
    fractions=st.lists(st.floats(0.01, 0.3), min_size=1, max_size=3).map(tuple),
    seed=st.integers(0, 2**40),
)
def test_parts_are_disjoint_and_together_everything(examples, fractions, seed):
    labels = np.arange(examples)
    parts = split(Dataset(labels[:, None].astype(np.float32), labels), fractions=fractions, seed=seed)
    assert sorted(np.concatenate([part.labels for part in parts])) == list(labels)
    for part in parts:
        np.testing.assert_array_equal(part.x[:, 0], part.labels)  # examples keep their labels
        assert np.all(np.diff(part.labels) > 0)  # and their order
    assert [len(part.x) for part in parts[1:]] == [max(1, round(fraction * examples)) for fraction in fractions]


def test_the_seed_decides_the_parts():
    dataset = Dataset(np.zeros((100, 1)), np.arange(100))
    parts, same, other = (split(dataset, fractions=(0.2, 0.3), seed=seed) for seed in (0, 0, 1))
    for part, same_part, other_part in zip(parts, same, other, strict=True):
        np.testing.assert_array_equal(part.labels, same_part.labels)
        assert set(part.labels) != set(other_part.labels)


def test_parts_are_spread_over_the_whole():
    _, part = split(Dataset(np.zeros((10_000, 1)), np.arange(10_000)), fractions=(0.2,), seed=0)
    assert abs(part.labels.mean() - 5000) < 5 * 10_000 / np.sqrt(12 * 2000)


@pytest.mark.parametrize(("examples", "fractions"), [(1, (0.5,)), (2, (0.1, 0.1)), (10, (0.5, 0.5))])
def test_refuses_to_leave_nothing(examples, fractions):
    with pytest.raises(UserError, match=f"{examples} examples are too few for {len(fractions) + 1} splits"):
        split(Dataset(np.zeros((examples, 1))), fractions=fractions, seed=0)
