"""Divides examples into training, validation and test splits: at random, by groups, in order, or as the user says."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from aejax.datasets.dataset import split_positions
from aejax.errors import UserError, knob_name

SplitOrder = Literal["random", "ascending"]
NAMES = ("train", "validation", "test")


class Positions(NamedTuple):
    """The positions of the examples of three splits, each sorted."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray


def divide(
    examples: int,
    keys: np.ndarray | None = None,
    *,
    fractions: tuple[float, float],
    seed: int,
    order: SplitOrder = "random",
    name: str = "split_by",
) -> Positions:
    """Returns the positions of training, validation and test examples, such that no group is in two splits.

    Args:
      examples: the number of examples, N.
      keys: (N,) the group of every example, numbers or texts; None divides single examples. If all keys are `train`,
        `validation` or `test`, they name the splits themselves.
      fractions: of validation and test examples. Splits of groups have at least one group each, and their number of
        examples is as near to the fraction as whole groups allow.
      seed: of the random order of examples or groups.
      order: `ascending` puts the smallest keys, such as the oldest dates, in the training split and the largest in the
        test split, instead of a random choice.
      name: what messages call the keys.

    Raises:
      UserError: there are fewer groups or examples than splits, or keys name only some of the three splits.

    >>> patients = np.array(["a", "a", "b", "b", "c", "d"])
    >>> positions = divide(6, patients, fractions=(0.2, 0.2), seed=0)
    >>> [sorted(set(patients[each].tolist())) for each in positions]
    [['b', 'd'], ['a'], ['c']]
    >>> divide(4, np.array([2020, 2022, 2019, 2021]), fractions=(0.25, 0.25), seed=0, order="ascending").test.tolist()
    [1]
    """
    if keys is None:
        if order != "random":
            raise UserError(f"{knob_name('split_order')}: {order} requires {knob_name('split_by')}")
        return Positions(*split_positions(examples, fractions=fractions, seed=seed))
    if len(keys) != examples:
        raise UserError(f"{name}: expected one entry for each of {examples:,} examples, got {len(keys):,}")
    groups, group_of = np.unique(keys, return_inverse=True)
    if set(groups.tolist()) <= set(NAMES):
        if absent := [split for split in NAMES if split not in groups]:
            raise UserError(f"{name}: names the splits of examples, but none is {' or '.join(absent)}")
        return Positions(*(np.flatnonzero(keys == split) for split in NAMES))
    if len(groups) < len(NAMES):
        raise UserError(f"{name}: {len(groups)} groups are too few for three splits with at least one group each")
    sequence = np.arange(len(groups))[::-1]
    if order == "random":
        sequence = np.random.default_rng(seed).permutation(len(groups))
    sizes = np.cumsum(np.bincount(group_of)[sequence])  # test groups come first, then validation groups
    validation, test = fractions
    test_end = _nearest(sizes[:-2], test * examples)
    validation_end = test_end + _nearest(sizes[test_end:-1], (test + validation) * examples)
    split_of_group = np.zeros(len(groups), np.int64)
    split_of_group[sequence[test_end:validation_end]] = 1
    split_of_group[sequence[:test_end]] = 2
    split_of = split_of_group[group_of]
    return Positions(*(np.flatnonzero(split_of == number) for number in range(len(NAMES))))


def _nearest(sizes: np.ndarray, target: float) -> int:
    """Returns the number of groups, at least 1, whose total size is nearest to a target."""
    return int(np.abs(sizes - target).argmin()) + 1


def describe_division(positions: Sequence[np.ndarray], keys: np.ndarray, name: str) -> str:
    """Returns a line for the user on the numbers of examples and groups in the splits.

    >>> describe_division([np.array([0, 1]), np.array([2]), np.array([3])], np.array(list("aabc")), "patient")
    'patient: divides the examples: train 2 (1 group), validation 1 (1 group), test 1 (1 group)'
    """
    if set(np.unique(keys).tolist()) <= set(NAMES):
        parts = [f"{split} {len(each):,}" for split, each in zip(NAMES, positions, strict=True)]
    else:
        groups = [len(np.unique(keys[each])) for each in positions]
        parts = [
            f"{split} {len(each):,} ({count:,} group{'s' * (count > 1)})"
            for split, each, count in zip(NAMES, positions, groups, strict=True)
        ]
    return f"{name}: divides the examples: {', '.join(parts)}"
