"""Scores of baselines: distances in closed form, and a forest that detects outliers."""

import numpy as np
import pytest

from aejax.evaluation.anomaly_baselines import isolation_forest_scores, mahalanobis_scores, norm_scores, pca_scores

RNG = np.random.default_rng(0)


def test_pca_scores_are_distances_from_the_subspace():
    basis = np.linalg.qr(RNG.normal(size=(6, 6)))[0]
    train = RNG.normal(size=(500, 6)) * [5, 4, 3, 1e-3, 1e-3, 1e-3] @ basis.T
    x = RNG.normal(size=(4, 6)) @ basis.T
    expected = np.sum((x @ basis[:, 3:]) ** 2, axis=1)
    np.testing.assert_allclose(pca_scores(train, x, components=3), expected, rtol=0.02)


@pytest.mark.slow_after_first
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, bool, np.float64])
def test_examples_of_any_type_are_scored_as_numbers(dtype):
    train, x = RNG.integers(0, 2, size=(50, 4)).astype(dtype), RNG.integers(0, 2, size=(9, 4)).astype(dtype)
    for scored in (
        lambda *given: pca_scores(*given, components=2),
        lambda *given: isolation_forest_scores(*given, seed=0),
    ):
        np.testing.assert_array_equal(scored(train, x), scored(train.astype(np.float32), x.astype(np.float32)))


@pytest.mark.parametrize(
    "scored", [lambda *x: pca_scores(*x, components=1), lambda *x: isolation_forest_scores(*x, seed=0)]
)
def test_examples_of_another_shape_than_the_training_examples_are_refused(scored):
    for x, complaint in (
        (np.zeros((4, 3, 2)), r"got \(5, 2, 3\) and \(4, 3, 2\)"),
        (np.full((4, 2, 3), np.nan), "x must be finite"),
        (np.full((4, 2, 3), "a"), "x must hold real numbers"),
    ):
        with pytest.raises((TypeError, ValueError), match=complaint):
            scored(np.zeros((5, 2, 3)), x)


def test_a_constant_training_set_has_components_without_a_warning():
    x = np.array([[1, 1, 1], [1, 1, 3]])
    np.testing.assert_allclose(pca_scores(np.ones((5, 3)), x, components=3), [0, 0], atol=1e-12)
    same, other = pca_scores(np.ones((5, 3)), x, components=1)
    assert same == pytest.approx(0)
    assert 0 <= other <= 4


def test_a_forest_detects_outliers():
    train = RNG.normal(size=(300, 3))
    x = np.concatenate([RNG.normal(size=(50, 3)), RNG.normal(size=(50, 3)) + 6])
    scores = isolation_forest_scores(train, x, seed=0)
    assert np.mean(scores[:50, None] < scores[None, 50:]) > 0.99
    np.testing.assert_array_equal(scores, isolation_forest_scores(train, x, seed=0))


def test_the_mahalanobis_distance_is_the_norm_after_whitening():
    mixing = RNG.normal(size=(3, 3))
    train, x = RNG.normal(size=(40, 3)) @ mixing + 5, RNG.normal(size=(7, 3)) * 3
    root = np.linalg.cholesky(np.cov(train.T, bias=True))
    expected = np.sum(np.linalg.solve(root, (x - train.mean(0)).T) ** 2, axis=0)
    np.testing.assert_allclose(mahalanobis_scores(train, x), expected)
    doubled = [np.concatenate([rows, rows], axis=1) for rows in (train, x)]  # its covariance has no inverse
    np.testing.assert_allclose(mahalanobis_scores(*doubled), expected)


def test_the_norm_is_that_of_all_features():
    x = RNG.normal(size=(4, 2, 3))
    np.testing.assert_allclose(norm_scores(x), np.linalg.norm(x.reshape(4, 6), axis=1) ** 2)
