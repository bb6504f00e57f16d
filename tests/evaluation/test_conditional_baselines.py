"""Baselines of examples given a condition, compared with scikit-learn and SciPy."""

import numpy as np
import pytest
from scipy import stats
from sklearn.neighbors import KNeighborsRegressor, NearestNeighbors

from aejax.evaluation.conditional_baselines import bernoulli_nats, gaussian_nats, nearest, neighbor_means

RNG = np.random.default_rng(0)
KNOWN, X = RNG.normal(size=(600, 5)), RNG.normal(size=(600, 3))
VALIDATION, TEST = (RNG.normal(size=(80, 5)), RNG.normal(size=(80, 3))), RNG.normal(size=(300, 5))


def test_neighbors_are_those_of_scikit_learn():
    expected = NearestNeighbors(n_neighbors=7).fit(KNOWN).kneighbors(TEST, return_distance=False)
    np.testing.assert_array_equal(nearest(KNOWN, TEST, 7), expected)


def test_the_number_of_neighbors_has_the_smallest_validation_error():
    models = {k: KNeighborsRegressor(k).fit(KNOWN, X) for k in (1, 3, 5, 10, 20, 50)}
    errors = {k: np.mean((model.predict(VALIDATION[0]) - VALIDATION[1]) ** 2) for k, model in models.items()}
    found = neighbor_means(KNOWN, X, TEST, VALIDATION)
    assert found.neighbors == min(errors, key=errors.get)
    np.testing.assert_allclose(found.predictions, models[found.neighbors].predict(TEST), rtol=1e-10)
    np.testing.assert_array_equal(found.places, nearest(KNOWN, TEST, 1)[:, 0])


def test_nats_are_those_of_scipy():
    mean = RNG.normal(size=(300, 3))
    expected = stats.norm.logpdf(TEST[:, :3], mean, np.sqrt(0.7)).sum(axis=1).mean()
    assert gaussian_nats(TEST[:, :3], mean, 0.7) == pytest.approx(expected, rel=1e-12)
    bits, p = RNG.integers(0, 2, size=(40, 6)), RNG.uniform(0.01, 0.99, size=(40, 6))
    assert bernoulli_nats(bits, p) == pytest.approx(stats.bernoulli.logpmf(bits, p).sum(axis=1).mean(), rel=1e-12)
