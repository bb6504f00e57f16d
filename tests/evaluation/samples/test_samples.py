"""Scores of samples: closed forms between Gaussians, independent implementations, equal sets, invariances."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import linalg, stats

from aejax.autoencoders.information import maximum_mean_discrepancy
from aejax.evaluation.samples import (
    classifier_test,
    copying,
    density_coverage,
    energy_distance,
    expected_coverage,
    frechet_distance,
    frechet_distance_in_components,
    frechet_distance_of_gaussians,
    precision_recall,
    sample_scores,
    unbiased_mmd,
)

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(40, 3)), RNG.normal(0.5, 1.5, size=(30, 3))
ROTATION = np.linalg.qr(RNG.normal(size=(3, 3)))[0]


def repeated(score, shift, *, repeats=400, count=12, dimensions=2):
    """Mean and standard error of a score of N(shift, I) against N(0, I), over independent small sets."""
    rng = np.random.default_rng(1)
    values = [
        score(shift + rng.normal(size=(count, dimensions)), rng.normal(size=(count + 3, dimensions)))
        for _ in range(repeats)
    ]
    return np.mean(values), np.std(values) / np.sqrt(repeats)


@pytest.mark.parametrize("shift", [0.0, 0.8])
def test_the_mmd_has_the_closed_form_between_gaussians_as_mean(shift):
    """E k(a, b) = (h²/(h² + 2))^(D/2) exp(-‖δ‖²/(2 (h² + 2))) with h = 1.5, D = 2."""
    mean, error = repeated(lambda s, x: unbiased_mmd(s, x, bandwidth=1.5), shift)
    factor = 1.5**2 / (1.5**2 + 2)
    assert abs(mean - 2 * factor * (1 - np.exp(-2 * shift**2 / (2 * (1.5**2 + 2))))) < 4 * error


def test_the_mmd_is_the_one_of_training_without_its_bias():
    samples, data = X[:30], Y
    biased = maximum_mean_discrepancy(jnp.asarray(samples, jnp.float32), jnp.asarray(data, jnp.float32), bandwidth=2.0)
    kernel = lambda a, b: np.exp(-0.5 * np.square(a[:, None] - b).sum(axis=-1) / 4)  # noqa: E731
    # a point has kernel 1 with itself: the mean over all pairs is (29 × the mean over different ones + 1) / 30
    bias = sum((1 - (kernel(each, each).sum() - 30) / (30 * 29)) / 30 for each in (samples, data))
    assert unbiased_mmd(samples, data, bandwidth=2.0) == pytest.approx(biased.item() - bias, abs=1e-5)


def test_the_energy_distance_of_one_dimension_is_the_distance_of_distribution_functions():
    samples, data = RNG.normal(size=50), RNG.gamma(2.0, size=40)
    of_all_pairs = stats.energy_distance(samples, data) ** 2
    within = lambda each: np.abs(each[:, None] - each).mean() / (len(each) - 1)  # noqa: E731
    found = energy_distance(samples[:, None], data[:, None])
    assert found == pytest.approx(of_all_pairs - within(samples) - within(data), rel=1e-9)


def test_the_energy_distance_of_gaussians_is_unbiased():
    """In one dimension E‖s - x‖ is the mean of a folded normal variable of variance 2."""
    mean, error = repeated(energy_distance, 1.0, dimensions=1)
    folded = lambda d: np.sqrt(2) * stats.foldnorm.mean(abs(d) / np.sqrt(2))  # noqa: E731
    assert abs(mean - 2 * (folded(1.0) - folded(0.0))) < 4 * error


def test_a_linear_classifier_reaches_the_best_accuracy_between_shifted_gaussians():
    """Φ(d/2) for a distance d; and the p-value is that of the binomial distribution."""
    from sklearn.linear_model import LogisticRegression

    samples, data = (RNG.normal(size=(4000, 2)) + np.array([shift, 0.0]) for shift in (0.0, 1.2))
    found = classifier_test(samples, data, classifier=LogisticRegression())
    assert found.held_out == 4000
    assert found.accuracy == pytest.approx(stats.norm.cdf(0.6), abs=4 * 0.5 / np.sqrt(4000))
    few = classifier_test(samples[:40], data[:40])
    assert few.p_value == pytest.approx(stats.binomtest(round(few.accuracy * 40), 40, alternative="greater").pvalue)
    assert classifier_test(samples, data).accuracy > 0.65


def test_p_values_of_equal_distributions_are_rarely_small():
    p_values = [classifier_test(RNG.normal(size=(40, 2)), RNG.normal(size=(40, 2))).p_value for _ in range(100)]
    assert np.mean(np.less(p_values, 0.05)) < 0.12
    assert 0.4 < np.mean(p_values) < 0.7


def test_p_values_are_at_least_those_of_the_answers():
    """A rule that calls most points samples has answers that vary less than binomial ones; one answer does not vary."""

    class Rule:
        def __init__(self, limit):
            self.limit = limit

        def fit(self, points, kinds):
            return self

        def predict(self, points):
            return (points[:, 0] > self.limit).astype(int)

    rng = np.random.default_rng(0)
    found = [classifier_test(*rng.normal(size=(2, 40, 1)), classifier=Rule(1.5)).p_value for _ in range(1000)]
    assert np.mean(np.less(found, 0.2)) < 0.2 - 4 * np.sqrt(0.2 * 0.8 / 1000)
    assert classifier_test(X, Y, classifier=Rule(np.inf)).accuracy == 0.5


def test_equal_sets_have_the_best_neighbors():
    assert precision_recall(X, X.copy()) == (1.0, 1.0)
    assert density_coverage(X, X.copy(), neighbors=5) == (pytest.approx(6 / 5), 1.0)
    assert density_coverage(X * 1e3 + 1e6, X * 1e3 + 1e6, neighbors=5) == (pytest.approx(6 / 5), 1.0)


@pytest.mark.parametrize(("samples", "data"), [(Y, X), (X, Y), (X + 1.0, X)])
def test_neighbors_by_hand(samples, data):
    """Loops over all pairs, with plain distances."""
    distance = lambda a, b: np.sqrt(np.square(a - b).sum())  # noqa: E731

    def in_balls(points, centers, k):
        radii = [sorted(distance(center, other) for other in centers)[k] for center in centers]
        return np.array([[distance(p, c) <= r for c, r in zip(centers, radii, strict=True)] for p in points])

    found = precision_recall(samples, data, neighbors=2)
    precision, recall = in_balls(samples, data, 2), in_balls(data, samples, 2)
    assert found == (pytest.approx(precision.any(axis=1).mean()), pytest.approx(recall.any(axis=1).mean()))
    inside = in_balls(samples, data, 5)
    assert density_coverage(samples, data) == (
        pytest.approx(inside.sum() / (5 * len(samples))),
        pytest.approx(inside.any(axis=0).mean()),
    )


def test_a_dropped_mode_lowers_recall_and_coverage_only():
    modes = RNG.normal(size=(400, 2)) + np.repeat([[0.0, 0.0], [50.0, 0.0]], 200, axis=0)
    samples = RNG.normal(size=(400, 2))
    precision, recall = precision_recall(samples, modes)
    density, coverage = density_coverage(samples, modes)
    assert precision > 0.9
    assert density == pytest.approx(1, abs=0.2)
    assert 0.4 < recall <= 0.5
    assert 0.4 < coverage <= 0.5


def test_density_and_coverage_of_equal_distributions_have_their_means():
    values = [density_coverage(RNG.normal(size=(12, 2)), RNG.normal(size=(15, 2)), neighbors=2) for _ in range(400)]
    density, coverage = np.mean(values, axis=0)
    errors = np.std(values, axis=0) / 20
    assert abs(density - 1) < 4 * errors[0]
    assert abs(coverage - expected_coverage(12, 15, neighbors=2)) < 4 * errors[1]


def test_the_frechet_distance_by_a_matrix_square_root():
    first, second = (np.cov(RNG.normal(size=(4, 9))) for _ in range(2))
    mean = RNG.normal(size=4)
    expected = mean @ mean + np.trace(first + second - 2 * linalg.sqrtm(first @ second).real)
    found = frechet_distance_of_gaussians(mean, first, np.zeros(4), second)
    assert found == pytest.approx(expected, rel=1e-9)
    scales = np.array([0.0, 1.0, 4.0])  # commuting covariances, one of them singular
    found = frechet_distance_of_gaussians(np.zeros(3), np.diag(scales**2), np.zeros(3), np.diag([1.0, 4.0, 9.0]))
    assert found == pytest.approx(np.sum((scales - [1, 2, 3]) ** 2))
    assert frechet_distance(X, X) == pytest.approx(0, abs=1e-9)


def test_the_frechet_distance_in_all_components_is_that_of_the_data():
    expected = frechet_distance(X, Y)
    assert frechet_distance_in_components(X, Y, X, components=3) == pytest.approx(expected, rel=1e-9)
    assert frechet_distance_in_components(X, Y, X, components=1) < expected


def test_copies_are_found():
    train, held_out, fresh = (RNG.normal(size=(300, 2)) for _ in range(3))
    assert copying(train[:50], held_out, train).ratio < 1e-6
    assert copying(train[:50], held_out, train).nearer == 1.0
    equal = copying(fresh, held_out, train)
    assert equal.ratio == pytest.approx(1, abs=0.25)
    assert equal.nearer == pytest.approx(0.5, abs=0.1)
    assert copying(held_out, held_out, train) == (1.0, pytest.approx(0.5))


SCALED = {"energy_distance": 1, "frechet_distance": 2}  # powers of the scale


def test_order_rotation_and_scale_change_no_score_but_by_its_unit():
    train = RNG.normal(size=(50, 3))
    original = sample_scores(Y, X, train)
    moved = sample_scores(*(3.0 * each[::-1] @ ROTATION + 7.0 for each in (Y, X, train)))
    for name, score in original.items():
        if not name.startswith("classifier"):  # whose halves follow the order, and whose features are standardized
            expected = score.value * 3.0 ** SCALED.get(name, 0)
            assert moved[name].value == pytest.approx(expected, rel=1e-8, abs=1e-9), name
    images = sample_scores(*(each.reshape(-1, 3, 1) for each in (Y, X, train)))
    assert images == original


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: precision_recall(X[:3], X), "precision and recall needs at least 4 examples each, got 3 samples"),
        (lambda: density_coverage(X, X[:5]), "density and coverage needs at least 6 examples each, got 5 data"),
        (lambda: unbiased_mmd(X[:1], X), "the maximum mean discrepancy needs at least 2 examples each, got 1 samples"),
        (lambda: classifier_test(X, X[:19]), "two-sample test needs at least 20 examples each, got 19 data"),
        (lambda: frechet_distance(X[:3], X), "in 3 features needs at least 4 examples each, got 3 samples"),
        (lambda: sample_scores(X, X[:7], X), "needs at least 20 examples each, got 7 held_out"),
        (lambda: energy_distance(X, Y[:, :2]), r"same shape, got {'samples': \(3,\), 'data': \(2,\)}"),
        (lambda: energy_distance(X * np.nan, Y), "samples must be finite, got NaN or infinity"),
        (lambda: precision_recall(X, X, neighbors=0), "neighbors must be at least 1, got 0"),
        (lambda: unbiased_mmd(X, X * 0), "equal, so give a bandwidth"),
        (lambda: energy_distance(X[:, 0], X), r"samples must have shape \(examples, ...\)"),
        (lambda: frechet_distance_in_components(X, X, X, components=4), "components must be between 1 and .* 3, got 4"),
    ],
)
def test_what_cannot_be_scored_is_refused_in_a_line(call, message):
    with pytest.raises(ValueError, match=message) as error:
        call()
    assert "\n" not in str(error.value)
