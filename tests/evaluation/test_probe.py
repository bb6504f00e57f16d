"""The linear probe accepts codes and classes of any type, and refuses everything else."""

import numpy as np
import pytest

from aejax.datasets.dataset import Dataset
from aejax.evaluation.probe import error_percent, fit_probe

RNG = np.random.default_rng(0)
X = RNG.integers(0, 250, size=(200, 3))
LABELS = (X[:, 0] > X[:, 1]).astype(int)


@pytest.mark.slow_after_first
@pytest.mark.parametrize("of_codes", [np.uint8, np.int16, np.float16, np.float32])
@pytest.mark.parametrize("of_labels", [np.int8, np.uint8, bool, np.float16, np.float64])
def test_codes_and_classes_of_any_type_are_their_numbers(of_codes, of_labels):
    def errors(codes, labels):
        probe = fit_probe(Dataset(codes[:100], labels[:100]), Dataset(codes[100:150], labels[100:150]))
        return error_percent(probe, Dataset(codes[150:], labels[150:]))

    expected = errors(X.astype(np.float64), LABELS)
    assert expected < 10
    assert errors(X.astype(of_codes), LABELS.astype(of_labels)) == expected


def test_classes_may_be_any_integers_and_text():
    for labels in (np.where(LABELS, 127, -1).astype(np.int8), np.where(LABELS, "cat", "dog")):
        probe = fit_probe(Dataset(X, labels), Dataset(X, labels))
        assert error_percent(probe, Dataset(X, labels)) < 10


@pytest.mark.parametrize(
    ("codes", "labels", "error", "complaint"),
    [
        (X, None, TypeError, "has no labels"),
        (X, LABELS[:, None], ValueError, r"one class for each of 200 examples, got \(200, 1\)"),
        (X, LABELS[:-1], ValueError, "one class for each"),
        (X, np.stack([LABELS, 1 - LABELS], 1), ValueError, "one class for each"),
        (X, LABELS + 0.5, ValueError, "must be classes, got"),
        (X, np.where(LABELS, np.nan, 0), ValueError, "must be classes, got nan"),
        (X, np.where(LABELS, np.inf, 0), ValueError, "must be classes, got inf"),
        (X, LABELS.astype(object), TypeError, "must be classes, got dtype object"),
        (X[:, 0], LABELS, ValueError, r"must hold codes \(examples, units\)"),
        (X[:0], LABELS[:0], ValueError, "at least one example"),
        (X * np.nan, LABELS, ValueError, "must be finite"),
    ],
)
def test_invalid_codes_and_classes_are_refused(codes, labels, error, complaint):
    given, good = Dataset(codes, labels), Dataset(X, LABELS)
    probe = fit_probe(good, good)
    for function in (
        lambda: fit_probe(given, good),
        lambda: fit_probe(good, given),
        lambda: error_percent(probe, given),
    ):
        with pytest.raises(error, match=complaint):
            function()


def test_a_single_class_and_other_numbers_of_units_are_refused():
    with pytest.raises(ValueError, match=r"at least two classes, got \[1\]"):
        fit_probe(Dataset(X, np.ones(200, int)), Dataset(X, LABELS))
    with pytest.raises(ValueError, match="equally many units, got 3 and 2"):
        fit_probe(Dataset(X, LABELS), Dataset(X[:, :2], LABELS))
