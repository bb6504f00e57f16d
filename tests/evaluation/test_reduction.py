"""Measures of reduction, against closed forms of Gaussian data, their definitions and known classes."""

import numpy as np
import pytest

from aejax.datasets.dataset import Dataset, Splits
from aejax.evaluation.reduction import embed_2d, mean_squared_error, measure_reduction, principal_components

RNG = np.random.default_rng(0)
DEVIATIONS = np.array([5.0, 4.0, 1.0, 0.5, 0.25], np.float32)


def part(examples: int) -> Dataset:
    """Gaussian vectors with known principal axes, whose class is the sign of the first component."""
    x = RNG.normal(size=(examples, 5)).astype(np.float32) * DEVIATIONS
    return Dataset(x, (x[:, 0] > 0).astype(np.int32))


SPLITS = Splits(part(4000), part(200), part(3000))


def test_the_error_of_principal_components_is_the_variance_of_the_omitted_axes():
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


def test_uninformative_and_perfect_codes():
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
def test_embeddings_are_2_dimensional(size):
    codes = Dataset(SPLITS.test.x[:40, :size], SPLITS.test.labels[:40])
    layout = embed_2d(codes)
    assert layout.x.shape == (40, 2)
    np.testing.assert_array_equal(layout.labels, codes.labels)
    if size <= 2:
        np.testing.assert_array_equal(layout.x[:, :size], codes.x)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint16, np.float16, bool])
def test_errors_of_any_type_are_those_of_the_numbers(dtype):
    x, other = (RNG.integers(0, 2 if dtype is bool else 120, size=(5, 4)).astype(dtype) for _ in range(2))
    expected = np.mean((x.astype(float) - other.astype(float)) ** 2)
    assert mean_squared_error(x, other) == expected
    assert mean_squared_error(x.tolist(), other) == expected


def test_an_error_of_values_far_from_zero_keeps_its_digits():
    x = np.float32(1e4) + np.linspace(0, 1, 1000, dtype=np.float32)[None]
    assert mean_squared_error(x, x.astype(np.float64) + 1e-3) == pytest.approx(1e-6, rel=1e-6)


@pytest.mark.parametrize(
    ("x", "other", "complaint"),
    [
        (np.arange(3.0), np.arange(3.0)[:, None], r"x has \(3,\), reconstruction has \(3, 1\)"),
        (np.zeros((2, 3)), 0.0, "shapes must be equal"),
        (np.zeros((0, 3)), np.zeros((0, 3)), "at least one example"),
        (np.full(3, "a"), np.zeros(3), "x must hold real numbers"),
    ],
)
def test_invalid_arguments_of_the_error_are_refused(x, other, complaint):
    with pytest.raises((TypeError, ValueError), match=complaint):
        mean_squared_error(x, other)


def test_examples_and_codes_of_bytes_are_measured_as_their_numbers():
    def measured(dtype, label_dtype):
        rng = np.random.default_rng(1)
        parts = []
        for size in (60, 20, 30):
            x = rng.integers(0, 256, size=(size, 4)).astype(dtype)
            parts.append(Dataset(x, (x[:, 0] > 127).astype(label_dtype)))
        splits = Splits(*parts)
        found, (codes, reconstruction) = (
            measure_reduction(splits, splits, splits.test.x),
            principal_components(splits, 2),
        )
        return found, codes.test.x.tolist(), reconstruction.tolist()

    expected = measured(np.float64, np.int32)
    for label_dtype in (np.int8, np.uint8, bool, np.float32):
        assert measured(np.uint8, label_dtype) == expected


def test_constant_data_is_measured_without_a_warning():
    part = Dataset(np.ones((12, 3), np.float32), np.zeros(12, np.int32))
    splits = Splits(part, part, part)
    codes, reconstruction = principal_components(splits, 2)
    found = measure_reduction(splits, codes, reconstruction)
    assert found.squared_error == pytest.approx(0, abs=1e-12)
    assert (found.neighbors_accuracy_percent, found.probe_accuracy_percent) == (100.0, None)
    for size in (1, 2, 3, 12):
        assert np.isfinite(embed_2d(Dataset(np.ones((size, 5), np.float32))).x).all()


def test_one_to_three_codes_are_embedded():
    for size in (1, 2, 3):
        assert embed_2d(Dataset(RNG.normal(size=(size, 5)))).x.shape == (size, 2)


@pytest.mark.parametrize(
    ("change", "error", "complaint"),
    [
        (
            lambda s, c: (s, c._replace(test=Dataset(c.test.x[:-1], c.test.labels[:-1]))),
            ValueError,
            "10 examples and 9 codes",
        ),
        (lambda s, c: (s, c._replace(test=Dataset(c.test.x))), TypeError, "test has no labels"),
        (lambda s, c: (s, c._replace(train=Dataset(c.train.x))), TypeError, "train has no labels"),
        (
            lambda s, c: (s, c._replace(train=Dataset(c.train.x, c.train.labels[:, None]))),
            ValueError,
            "one class for each",
        ),
        (
            lambda s, c: (s, c._replace(train=Dataset(c.train.x, c.train.labels + 0.5))),
            ValueError,
            "must be classes, got",
        ),
        (
            lambda s, c: (s, c._replace(train=Dataset(c.train.x * np.nan, c.train.labels))),
            ValueError,
            "train must be finite",
        ),
        (lambda s, c: (s._replace(test=Dataset(s.test.x[:0])), c), ValueError, "shapes must be equal"),
    ],
)
def test_splits_that_do_not_fit_are_refused(change, error, complaint):
    splits = Splits(part(20), part(10), part(10))
    changed, codes = change(splits, splits)
    with pytest.raises(error, match=complaint):
        measure_reduction(changed, codes, splits.test.x)


def test_invalid_numbers_of_components_are_refused():
    for components, complaint in ((0, "at least 1"), (2.0, "an integer")):
        with pytest.raises((TypeError, ValueError), match=complaint):
            principal_components(SPLITS, components)
    with pytest.raises(ValueError, match="examples must have one shape"):
        principal_components(SPLITS._replace(test=Dataset(SPLITS.test.x[:, :4])), 2)


def test_measures_of_ordered_examples_are_of_all_classes():
    """Codes of the second class, which comes last, know nothing of its examples."""
    x = RNG.normal(size=(4000, 3)).astype(np.float32)
    labels = np.repeat([0, 1], 2000)
    test = Dataset(x + 100 * labels[:, None].astype(np.float32), labels)
    codes = Dataset(np.where(labels[:, None] == 1, RNG.permutation(test.x[2000:]).repeat(2, axis=0), test.x), labels)
    splits = Splits(test._replace(x=test.x[::40], labels=labels[::40]), test._replace(x=x[:2], labels=labels[:2]), test)
    of_codes = splits._replace(test=codes)
    assert 0.5 < measure_reduction(splits, of_codes, test.x).trustworthiness < 0.9
    one = embed_2d(Dataset(test.x[:, :1], labels))
    assert one.x.shape == (2000, 2)
    assert abs(one.labels.mean() - 0.5) < 0.1
