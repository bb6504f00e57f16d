"""Random examples of a data set: a sample of ordered data, and all of them in order where there are few."""

import numpy as np

from aejax.datasets.dataset import Dataset, Factors
from aejax.datasets.subset import random_positions, random_subset


def test_positions_are_a_sample_without_replacement():
    counts = sum(np.bincount(random_positions(20, 5, seed=seed), minlength=20) for seed in range(1000))
    assert counts.sum() == 5000
    assert (np.abs(counts - 250) < 5 * np.sqrt(1000 * 0.25 * 0.75)).all()
    positions = random_positions(10_000, 1000, seed=0)
    assert (np.diff(positions) > 0).all()
    assert set(random_positions(10_000, 10, seed=0)) < set(positions)
    assert abs(positions.mean() - 5000) < 5 * 10_000 / np.sqrt(12 * 1000)


def test_all_examples_are_returned_in_order_where_they_suffice():
    assert random_positions(7, 7, seed=3).tolist() == list(range(7))
    dataset = Dataset(np.zeros((7, 2)))
    assert random_subset(dataset, 7, seed=3) is dataset


def test_labels_and_factors_are_those_of_the_chosen_examples():
    numbers = np.arange(50)
    some = random_subset(Dataset(numbers[:, None], numbers, factors=Factors(numbers[:, None], ("n",))), 9, seed=1)
    assert some.labels.tolist() == some.x[:, 0].tolist() == some.factors.values[:, 0].tolist()
    assert len(some.x) == 9
    assert some.labels.max() > 9
