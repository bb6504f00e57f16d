"""The Pareto shape of weights: against scipy's distribution and another implementation of the same fit."""

import math

import numpy as np
import pytest
from scipy import stats

from aejax.evaluation.likelihood import pareto_k
from aejax.evaluation.likelihood.pareto import tail_size


def fitted(exceedances):
    """The fit of Zhang and Stephens (2009), point by point as ArviZ and the R package loo write it."""
    x, n = np.sort(exceedances), len(exceedances)
    m = 30 + int(n**0.5)
    theta = [(1 - (m / (i - 0.5)) ** 0.5) / (3 * x[int(n / 4 + 0.5) - 1]) + 1 / x[-1] for i in range(1, m + 1)]
    shapes = [sum(math.log1p(-t * value) for value in x) / n for t in theta]
    lengths = [n * (math.log(-t / k) - k - 1) for t, k in zip(theta, shapes, strict=True)]
    weights = [1 / sum(math.exp(min(other - own, 700)) for other in lengths) for own in lengths]
    mean = sum(t * w for t, w in zip(theta, weights, strict=True)) / sum(weights)
    k = sum(math.log1p(-mean * value) for value in x) / n
    return (n * k + 10 * 0.5) / (n + 10)


@pytest.mark.parametrize("shape", [-0.3, 0.0, 0.5, 0.9])
def test_is_the_fit_of_the_papers(shape):
    """The weights are exceedances of a threshold of 1, so that the tail is the sample itself."""
    exceedances = stats.genpareto.rvs(shape, scale=0.5, size=200, random_state=0)
    log_weights = np.log(np.concatenate([[1.0], 1.0 + exceedances]))
    assert pareto_k(log_weights - 300) == pytest.approx(fitted(exceedances / (1 + exceedances.max())), rel=1e-6)


@pytest.mark.parametrize("shape", [-0.3, 0.2, 0.5, 0.9])
def test_finds_the_shape_of_pareto_data(shape):
    """With 3,000 exceedances the error is below three standard deviations of the best estimate, (1 + k)/√n."""
    exceedances = stats.genpareto.rvs(shape, size=3000, random_state=1)
    k = pareto_k(np.log(np.concatenate([[1.0], 1.0 + exceedances])))
    assert abs(k - shape) < 3 * (1 + shape) / np.sqrt(3000)


@pytest.mark.parametrize("ratio", [0.4, 0.8])
def test_finds_the_shape_of_the_weights_of_exponentials(ratio):
    """Samples of rate 1 of a distribution of rate 1 - k: weights (1 - k) e^(k x) are Pareto of shape k exactly."""
    x = np.random.default_rng(2).exponential(size=20_000)
    largest = np.sort(ratio * x)[-tail_size(len(x)) - 1 :]
    assert abs(pareto_k(largest) - ratio) < 0.25


def test_scale_of_the_weights_has_no_effect():
    log_weights = np.random.default_rng(3).normal(size=100)
    assert pareto_k(log_weights) == pytest.approx(pareto_k(log_weights[::-1] - 5000), rel=1e-6)


def test_equal_weights_and_short_tails():
    assert pareto_k(np.full(20, -123.0)) == -math.inf
    assert pareto_k(-100 + 1e-6 * np.arange(20.0)) == -math.inf  # rounding error of float32
    assert math.isnan(pareto_k(np.arange(5.0)))
    assert math.isfinite(pareto_k(np.concatenate([np.zeros(15), np.arange(5.0)])))


def test_refuses_what_is_no_vector():
    with pytest.raises(ValueError, match=r"largest must be one vector of log-weights, got shape \(2, 3\)"):
        pareto_k(np.zeros((2, 3)))
