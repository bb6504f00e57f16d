"""What codes keep: against closed forms of Gaussian data, definitions written out, and classes that are known."""

import numpy as np
import pytest

from aejax.datasets.dataset import Dataset, Splits
from aejax.evaluation.reduction import mean_squared_error, measure_reduction, picture, principal_components

RNG = np.random.default_rng(0)
DEVIATIONS = np.array([5.0, 4.0, 1.0, 0.5, 0.25], np.float32)


def part(examples: int) -> Dataset:
    """Gaussian vectors of known principal axes, whose class is the sign of the first."""
    x = RNG.normal(size=(examples, 5)).astype(np.float32) * DEVIATIONS
    return Dataset(x, (x[:, 0] > 0).astype(np.int32))


SPLITS = Splits(part(4000), part(200), part(3000))


def test_principal_components_leave_the_variance_of_the_smaller_axes():
    """A chi-squared mean: the error of 3,000 examples has a relative deviation of sqrt(2/3000), 2.6 %."""
    codes, reconstruction = principal_components(SPLITS, 2)
    assert codes.test.x.shape == (3000, 2)
    expected = np.sum(DEVIATIONS[2:] ** 2) / 5
    assert mean_squared_error(SPLITS.test.x, reconstruction) == pytest.approx(expected, rel=0.08)
    components, _ = principal_components(SPLITS, 50)
    assert components.train.x.shape == (4000, 5)


def test_principal_components_are_those_of_the_training_examples_alone():
    shifted = SPLITS._replace(test=SPLITS.test._replace(x=SPLITS.test.x + 100))
    np.testing.assert_array_equal(
        principal_components(SPLITS, 2)[0].train.x, principal_components(shifted, 2)[0].train.x
    )


def trustworthiness(x: np.ndarray, codes: np.ndarray, k: int) -> float:
    """By its definition, a sum over pairs."""
    examples = len(x)
    distances = [np.linalg.norm(points[:, None] - points[None], axis=-1) for points in (x, codes)]
    for matrix in distances:
        np.fill_diagonal(matrix, np.inf)
    ranks = distances[0].argsort(axis=1).argsort(axis=1) + 1
    nearest = distances[1].argsort(axis=1)[:, :k]
    excess = sum(max(0, ranks[i, j] - k) for i in range(examples) for j in nearest[i])
    return 1 - 2 / (examples * k * (2 * examples - 3 * k - 1)) * excess


def test_measures_by_their_definitions():
    splits = Splits(part(300), part(50), part(80))
    codes = Splits(*(p._replace(x=p.x[:, :2] + RNG.normal(size=(len(p.x), 2)).astype(np.float32)) for p in splits))
    found = measure_reduction(splits, codes, splits.test.x + 0.5)
    assert found.squared_error == pytest.approx(0.25, rel=1e-5)
    assert found.trustworthiness == pytest.approx(trustworthiness(splits.test.x, codes.test.x, 5), abs=1e-9)
    distances = np.linalg.norm(codes.test.x[:, None] - codes.train.x[None], axis=-1)
    votes = splits.train.labels[distances.argsort(axis=1)[:, :5]].mean(axis=1) > 0.5
    assert found.neighbors_accuracy_percent == pytest.approx(100 * np.mean(votes == splits.test.labels))
    assert found.probe_accuracy_percent > 80


def test_codes_that_tell_nothing_and_codes_that_tell_all():
    noise = Splits(*(p._replace(x=RNG.normal(size=(len(p.x), 2)).astype(np.float32)) for p in SPLITS))
    nothing = measure_reduction(SPLITS, noise, SPLITS.test.x)
    everything = measure_reduction(SPLITS, SPLITS, SPLITS.test.x)
    assert nothing.trustworthiness == pytest.approx(0.5, abs=0.05)
    for chance in (nothing.neighbors_accuracy_percent, nothing.probe_accuracy_percent):
        assert chance == pytest.approx(50, abs=5)  # 5 standard deviations of 3,000 coins
    assert everything.trustworthiness == 1
    assert everything.probe_accuracy_percent > 98
    assert everything.squared_error == 0


def test_without_labels_there_are_no_accuracies():
    splits = Splits(*(p._replace(labels=None) for p in (part(60), part(20), part(30))))
    found = measure_reduction(splits, splits, splits.test.x)
    assert (found.neighbors_accuracy_percent, found.probe_accuracy_percent) == (None, None)


def test_two_examples_have_no_neighborhoods():
    splits = Splits(part(60), part(20), part(2))
    assert measure_reduction(splits, splits, splits.test.x).trustworthiness is None


@pytest.mark.parametrize("size", [1, 2, pytest.param(5, marks=pytest.mark.slow)])
def test_a_picture_is_in_the_plane(size):
    codes = Dataset(SPLITS.test.x[:40, :size], SPLITS.test.labels[:40])
    layout = picture(codes)
    assert layout.x.shape == (40, 2)
    np.testing.assert_array_equal(layout.labels, codes.labels)
    if size <= 2:
        np.testing.assert_array_equal(layout.x[:, :size], codes.x)
