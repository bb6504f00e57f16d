"""Means with errors: the errors of samples and of examples by simulation; bits per dimension by hand."""

import numpy as np
import pytest

from aejax.evaluation.likelihood import bits_per_dimension, mean_with_errors


def test_errors_are_the_deviations_of_repeated_means():
    """2,000 repetitions: truths of deviation 2 and estimates with an error of 1.5; a deviation is known to 2 %."""
    rng = np.random.default_rng(0)
    truths = 2 * rng.standard_normal((2000, 20))
    values = truths + 1.5 * rng.standard_normal((2000, 20))
    means = [mean_with_errors(row, np.full(20, 1.5)) for row in values]
    assert np.std([mean.mean for mean in means]) == pytest.approx(np.hypot(2, 1.5) / np.sqrt(20), rel=0.05)
    assert means[0].samples_error == pytest.approx(1.5 / np.sqrt(20))
    assert np.sqrt(np.mean([m.examples_error**2 for m in means])) == pytest.approx(2 / np.sqrt(20), rel=0.05)
    assert np.sqrt(np.mean([m.error**2 for m in means])) == pytest.approx(np.hypot(2, 1.5) / np.sqrt(20), rel=0.05)


def test_one_example_has_no_error_of_examples():
    mean = mean_with_errors(np.array([-3.0]), np.array([0.5]))
    assert (mean.mean, mean.samples_error, np.isnan(mean.examples_error)) == (-3.0, 0.5, True)
    assert np.isnan(mean_with_errors(np.zeros(2), np.full(2, np.nan)).examples_error)


def test_bits_per_dimension():
    assert bits_per_dimension(-10 * np.log(2), 5) == pytest.approx(2.0)
    # a density of 256 on one interval of 256, and 0 elsewhere, is no information
    assert bits_per_dimension(3 * np.log(256), 3, levels=256) == pytest.approx(0.0, abs=1e-12)


def test_refuses_bad_arguments():
    with pytest.raises(ValueError, match="values must hold at least one example"):
        mean_with_errors(np.zeros(0), np.zeros(0))
    with pytest.raises(ValueError, match="shapes must be equal"):
        mean_with_errors(np.zeros(2), np.zeros(3))
    with pytest.raises(ValueError, match="dimensions must be at least 1, got 0"):
        bits_per_dimension(0.0, 0)
