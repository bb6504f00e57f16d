"""Explained variance, norms and bias of reconstructions against closed forms, and errors that other libraries made."""

import numpy as np
import pytest
from sklearn.metrics import r2_score

from aejax.evaluation.dictionaries import add_reconstructions, reconstruction_measures

RNG = np.random.default_rng(0)
X = RNG.normal(size=(300, 7)) @ RNG.normal(size=(7, 7)) + 3


def streamed(x, reconstruction, size=64):
    """The measures after batches of `size` examples."""
    sums = None
    for start in range(0, len(x), size):
        sums = add_reconstructions(sums, x[start : start + size], reconstruction[start : start + size])
    return reconstruction_measures(sums)


@pytest.mark.parametrize("offset", [0.0, 10.0, 1e6])
def test_the_mean_explains_nothing_and_the_input_everything(offset) -> None:
    """A ratio to E‖x‖² instead of the variance, a known error elsewhere, would give almost 1 for a large offset."""
    x = X + offset
    mean = np.broadcast_to(x.mean(axis=0), x.shape)
    assert streamed(x, mean).explained_variance == pytest.approx(0, abs=1e-9)
    assert streamed(x, x).explained_variance == 1
    half = (x + mean) / 2
    assert streamed(x, half).fraction_of_variance_unexplained == pytest.approx(0.25, rel=1e-6)


def test_it_is_a_ratio_of_sums_over_examples_and_features() -> None:
    """Scikit-learn's score weighted by variance is the same ratio, of other code; means of ratios are other numbers."""
    reconstruction = X + RNG.normal(size=X.shape) * np.arange(7)
    found = streamed(X, reconstruction)
    expected = r2_score(X, reconstruction, multioutput="variance_weighted")
    assert found.explained_variance == pytest.approx(expected, rel=1e-12)
    ratios = np.sum((X - reconstruction) ** 2, axis=1) / np.sum((X - X.mean(axis=0)) ** 2, axis=1)
    assert abs(found.fraction_of_variance_unexplained - ratios.mean()) > 0.1


@pytest.mark.parametrize("size", [1, 64, 300])
def test_batches_do_not_matter(size) -> None:
    """The mean is that of all data: about the means of batches of one example, the variance would be 0."""
    reconstruction = 0.8 * X
    np.testing.assert_allclose(streamed(X, reconstruction, size), streamed(X, reconstruction, 300), rtol=1e-12)


def test_sums_of_single_precision_would_not_do() -> None:
    x = (X + 4096).astype(np.float32)
    exact = np.sum((x.astype(np.float64) - x.mean(axis=0, dtype=np.float64)) ** 2)
    mean = np.full_like(x, 4096)
    error = np.sum((x.astype(np.float64) - 4096) ** 2)
    assert streamed(x, mean).fraction_of_variance_unexplained == pytest.approx(error / exact, rel=1e-9)


def test_shrinkage_is_the_factor_of_shrunken_reconstructions() -> None:
    found = streamed(X, 0.7 * X)
    assert found.relative_bias == pytest.approx(0.7)
    assert found.norm_ratio == pytest.approx(0.7)
    assert found.cosine_similarity == pytest.approx(1)


def test_a_projection_has_no_bias_although_it_is_shorter() -> None:
    """x̂·x = ‖x̂‖² for an orthogonal projection: its norm ratio is below 1, but no multiple of it is better."""
    basis = np.linalg.qr(RNG.normal(size=(7, 3)))[0]
    found = streamed(X, X @ basis @ basis.T)
    assert found.relative_bias == pytest.approx(1)
    assert found.norm_ratio < 0.95


def test_reconstructions_divided_by_their_bias_are_the_best_multiple() -> None:
    reconstruction = 0.6 * X + RNG.normal(size=X.shape)
    bias = streamed(X, reconstruction).relative_bias
    errors = [np.sum((X - c * reconstruction) ** 2) for c in np.array([0.99, 1, 1.01]) / bias]
    assert errors[1] == min(errors)


def test_examples_of_zeros_have_no_norm_ratio() -> None:
    x = np.array([[0.0, 0.0], [2.0, 0.0]])
    found = streamed(x, np.array([[1.0, 0.0], [1.0, 0.0]]))
    assert found.norm_ratio == 0.5
    assert np.isnan(streamed(x[:1], x[:1]).norm_ratio)
    assert np.isnan(streamed(x[1:], x[1:]).explained_variance)  # one example has no variance


@pytest.mark.parametrize(("x", "other"), [(np.ones((2, 3)), np.ones((2, 1))), (np.ones(3), np.ones(3))])
def test_shapes_must_match(x, other) -> None:
    with pytest.raises(ValueError, match="same shape"):
        add_reconstructions(None, x, other)


def test_the_number_of_features_must_not_change() -> None:
    sums = add_reconstructions(None, np.ones((2, 3)), np.ones((2, 3)))
    with pytest.raises(ValueError, match="3 features as in earlier batches, got 2"):
        add_reconstructions(sums, np.ones((2, 2)), np.ones((2, 2)))
