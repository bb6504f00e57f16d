"""Sums of weights: equal to the formulas over all samples at once, in whatever chunks they are added."""

import numpy as np
import pytest

from aejax.evaluation.likelihood.weights import (
    added,
    effective_sample_size,
    log_mean,
    log_mean_error,
    mean_log,
    mean_log_error,
    pareto_shapes,
    sums_of,
)

LOG_WEIGHTS = np.random.default_rng(0).normal(-2000.0, 1.5, (3, 60)) + np.array([[0.0], [5000.0], [-5000.0]])


def in_chunks(sizes, kept=31):
    ends = np.cumsum(sizes)
    chunks = [sums_of(LOG_WEIGHTS[:, end - size : end], kept=kept) for size, end in zip(sizes, ends, strict=True)]
    sums = chunks[0]
    for chunk in chunks[1:]:
        sums = added(sums, chunk, kept=kept)
    return sums


@pytest.mark.parametrize("sizes", [[60], [1, 59], [20, 20, 20], [7] * 8 + [4], [1] * 60])
def test_sums_are_those_of_all_samples(sizes):
    sums = in_chunks(sizes)
    shifted = LOG_WEIGHTS - LOG_WEIGHTS.max(axis=1, keepdims=True)
    weights = np.exp(shifted)
    expected = LOG_WEIGHTS.max(axis=1) + np.log(weights.mean(axis=1))
    np.testing.assert_allclose(log_mean(sums), expected, rtol=1e-13)
    error = weights.std(axis=1, ddof=1) / np.sqrt(60) / weights.mean(axis=1)
    np.testing.assert_allclose(log_mean_error(sums), error, rtol=1e-9)
    np.testing.assert_allclose(mean_log(sums), LOG_WEIGHTS.mean(axis=1), rtol=1e-13)
    np.testing.assert_allclose(mean_log_error(sums), LOG_WEIGHTS.std(axis=1, ddof=1) / np.sqrt(60), rtol=1e-9)
    ess = weights.sum(axis=1) ** 2 / np.square(weights).sum(axis=1)
    np.testing.assert_allclose(effective_sample_size(sums), ess, rtol=1e-12)
    np.testing.assert_array_equal(pareto_shapes(sums), pareto_shapes(in_chunks([60])))


def test_weights_of_zero_add_nothing():
    sums = added(sums_of(np.full((1, 3), -np.inf)), sums_of(np.array([[0.0]])))
    assert log_mean(sums) == pytest.approx(-np.log(4))
    assert log_mean(sums_of(np.full((1, 3), -np.inf))) == -np.inf


def test_one_sample_has_no_error():
    sums = sums_of(np.zeros((2, 1)))
    assert np.isnan(log_mean_error(sums)).all()
    assert np.isnan(mean_log_error(sums)).all()
    assert log_mean(sums).tolist() == [0, 0]
