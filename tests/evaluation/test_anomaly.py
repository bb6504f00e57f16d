"""Anomaly scores, thresholds and detection, against closed forms of Gaussian models and counts over all pairs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import multivariate_normal, norm
from sklearn.metrics import average_precision_score

from aejax.autoencoders import undercomplete, variational
from aejax.errors import UserError
from aejax.evaluation.anomaly import (
    MAX_SCORE,
    anomaly_score,
    anomaly_scores,
    is_finer_than,
    measure_detection,
    threshold_of,
)
from aejax.likelihoods import gaussian
from aejax.networks import Network
from aejax.priors import mixture_prior

KEY = jax.random.key(0)
RNG = np.random.default_rng(0)
EMPTY = {"encoder": {}, "decoder": {}}
GAIN, NOISE = 2.0, 0.5


def fixed(function) -> Network:
    """A network without parameters."""
    return Network(lambda key, x: {}, lambda params, x: function(x))


def posterior(x):
    """Of x = GAIN z + noise, exactly."""
    precision = 1 + GAIN**2 / NOISE
    return jnp.stack([GAIN / NOISE * x[0] / precision, -jnp.log(precision)])


LINEAR = variational(fixed(posterior), fixed(lambda z: GAIN * z), likelihood=gaussian(variance=NOISE))


@pytest.mark.slow
def test_a_linear_gaussian_model_scores_its_exact_likelihood():
    """With the exact posterior, the bound equals log p(x) for x ~ N(0, GAIN² + NOISE), up to noise of sampled codes."""
    x = np.linspace(-6, 6, 9, dtype=np.float32)[:, None]
    expected = -norm.logpdf(x[:, 0], scale=np.sqrt(GAIN**2 + NOISE))
    scores = anomaly_scores(LINEAR, EMPTY, KEY, x, samples=20_000)
    # -log p(x | z) has a deviation of about GAIN |x - GAIN z| / NOISE times that of z: 0.9 at most, over sqrt(20,000)
    np.testing.assert_allclose(scores, expected, atol=0.05)


@pytest.mark.slow
def test_a_score_depends_on_its_example_only():
    x = RNG.normal(size=(7, 1)).astype(np.float32)
    scores = anomaly_scores(LINEAR, EMPTY, KEY, x, batch_size=3)
    np.testing.assert_allclose(anomaly_scores(LINEAR, EMPTY, KEY, x[::-1], batch_size=2), scores[::-1], rtol=1e-6)
    np.testing.assert_array_equal(anomaly_scores(LINEAR, EMPTY, KEY, x, batch_size=3), scores)
    assert not np.array_equal(anomaly_scores(LINEAR, EMPTY, jax.random.key(1), x), scores)


@pytest.mark.slow
def test_the_divergence_from_a_learned_prior_is_estimated_by_samples():
    """A mixture of equal standard normals is standard normal; the estimate deviates by 1 / sqrt(samples)."""
    vae = variational(
        fixed(posterior), fixed(lambda z: GAIN * z), likelihood=gaussian(variance=NOISE), prior=mixture_prior(2)
    )
    params = jax.jit(vae.init)(KEY, jnp.ones(1))
    params = params | {"prior": jax.tree.map(jnp.zeros_like, params["prior"])}
    x = jnp.array([1.0])
    expected = anomaly_score(LINEAR, EMPTY, KEY, x, samples=20_000)
    np.testing.assert_allclose(anomaly_score(vae, params, KEY, x, samples=20_000), expected, atol=0.03)


def test_a_plain_autoencoder_scores_its_squared_error():
    projection = undercomplete(fixed(lambda x: x[:2]), fixed(lambda h: jnp.concatenate([h, jnp.zeros(2)])))
    x = RNG.normal(size=(6, 4)).astype(np.float32)
    np.testing.assert_allclose(anomaly_scores(projection, EMPTY, KEY, x), np.sum(x[:, 2:] ** 2, axis=1), rtol=1e-6)


def test_the_noisy_example_of_a_pair_is_encoded_and_the_clean_one_scored():
    projection = undercomplete(fixed(lambda x: x[:2]), fixed(lambda h: jnp.concatenate([h, jnp.zeros(2)])))
    x, noise = RNG.normal(size=(2, 6, 4)).astype(np.float32)
    expected = np.sum(x[:, 2:] ** 2, axis=1) + np.sum(noise[:, :2] ** 2, axis=1)
    np.testing.assert_allclose(anomaly_scores(projection, EMPTY, KEY, x, inputs=x + noise), expected, rtol=1e-5)


def test_a_score_beyond_single_precision_is_the_largest_number():
    projection = undercomplete(fixed(lambda x: x[:2]), fixed(lambda h: jnp.concatenate([h - h, jnp.zeros(2)])))
    x = np.array([[1.0, 0, 0, 0], [1e37, 0, 0, 0], [0, 0, 0, 9.97e36]], np.float32)
    assert anomaly_scores(projection, EMPTY, KEY, x).tolist() == [1.0, MAX_SCORE, MAX_SCORE]
    unbounded = undercomplete(fixed(lambda x: jnp.exp(x)), fixed(lambda h: h - 2 * h))  # inf - inf, which is no number
    assert anomaly_scores(unbounded, EMPTY, KEY, np.full((1, 4), 1e4, np.float32)).tolist() == [MAX_SCORE]


@pytest.mark.parametrize("quantile", [0.05, 0.5, 0.9, 1.0])
def test_a_threshold_is_the_quantile_of_normal_scores(quantile):
    scores = RNG.normal(size=137)
    threshold = threshold_of(scores, quantile=quantile)
    assert threshold in scores
    assert np.mean(scores <= threshold) >= quantile > np.mean(scores < threshold)


def test_a_quantile_is_not_changed_by_rounding():
    """0.07 * 100 is 7.000000000000001."""
    assert threshold_of(np.arange(1, 101), quantile=0.07) == 7
    assert threshold_of(np.arange(1, 101, dtype=np.uint8), quantile=np.float64(0.29)) == 29


def test_a_sample_has_no_finer_quantiles_than_its_size():
    for examples in (1, 7, 20, 100):
        for quantile in (0.5, 0.9, 0.95, 0.96, 0.99, 0.999):
            is_largest = threshold_of(np.arange(float(examples)), quantile=quantile) == examples - 1
            assert is_finer_than(quantile, examples) == is_largest
        assert not is_finer_than(1.0, examples)


@pytest.mark.parametrize(
    ("scores", "complaint"), [([], "no normal scores"), ([1, np.nan], "1 of 2 are NaN"), ([[1.0]], "must be a vector")]
)
def test_scores_without_a_quantile_are_refused(scores, complaint):
    with pytest.raises(ValueError, match=complaint):
        threshold_of(np.array(scores), quantile=0.5)


def pairs(normal, anomalous) -> float:
    """The AUROC as the fraction of pairs in the right order."""
    return float(np.mean((anomalous[:, None] > normal) + 0.5 * (anomalous[:, None] == normal)))


def test_detection_by_counting():
    normal, anomalous = RNG.normal(size=60).round(1), (RNG.normal(size=40) + 1).round(1)
    scores, truth = np.concatenate([anomalous, normal]), np.arange(100) < 40
    found = measure_detection(scores, truth, threshold=0.5, resamples=50)
    assert found.auroc.value == pytest.approx(pairs(normal, anomalous))
    precision = 0.0
    for value in np.unique(anomalous):
        gained = np.mean(anomalous == value)
        precision += gained * np.sum(anomalous >= value) / np.sum(scores >= value)
    assert found.average_precision.value == pytest.approx(precision)
    assert found.prevalence == 0.4
    assert found.recall == np.mean(anomalous > 0.5)
    assert found.false_positive_rate == np.mean(normal > 0.5)
    assert found.precision == np.sum(anomalous > 0.5) / np.sum(scores > 0.5)
    assert measure_detection(scores, truth, threshold=99.0, resamples=2).precision is None


@pytest.mark.parametrize("dtype", [bool, np.int8, np.uint8, np.int64, np.float16, np.float64, object])
def test_labels_of_any_type_are_the_same_labels(dtype):
    """By hand: of 9 pairs 8 are in the right order. Integers once indexed the scores."""
    scores, truth = np.arange(6.0), np.array([0, 0, 1, 0, 1, 1]).astype(dtype)
    if dtype is object:
        with pytest.raises(TypeError, match="is_anomaly must hold real numbers, got dtype object"):
            measure_detection(scores, truth, threshold=1.5)
        return
    for given in (truth, truth.tolist(), jnp.asarray(truth, jnp.float32)):
        found = measure_detection(scores, given, threshold=1.5, resamples=20)
        assert found.auroc.value == pytest.approx(8 / 9)
        assert (found.prevalence, found.recall, found.false_positive_rate) == (0.5, 1.0, pytest.approx(1 / 3))


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.float16, np.float32])
def test_scores_of_any_type_are_the_same_scores(dtype):
    scores, truth = np.array([3, 9, 120, 7, 8, 100]), np.array([0, 0, 1, 0, 1, 1])
    expected = measure_detection(scores.astype(float), truth, threshold=7.5, resamples=20)
    assert measure_detection(scores.astype(dtype), truth, threshold=np.float32(7.5), resamples=20) == expected


@pytest.mark.parametrize(
    ("scores", "truth", "error", "complaint"),
    [
        (np.arange(4.0), [0, 1, 2, 1], ValueError, "is_anomaly must hold booleans, or 0 and 1, got 2"),
        (np.arange(4.0), [0, -1, 1, 1], ValueError, "got -1"),
        (np.arange(4.0), [0, 0.5, 1, 1], ValueError, "got 0.5"),
        (np.arange(4.0), [0, np.nan, 1, 1], ValueError, "got nan"),
        (np.arange(4.0), list("nnaa"), TypeError, "is_anomaly must hold real numbers"),
        (np.arange(4.0), [0, 0, 1], ValueError, r"scores has \(4,\), is_anomaly has \(3,\)"),
        (np.arange(4.0), [[0], [0], [1], [1]], ValueError, "shapes must be equal"),
        (np.arange(4.0)[:, None], [0, 0, 1, 1], ValueError, "scores must be a vector"),
        (np.array([0, 1, np.nan, 2]), [0, 0, 1, 1], ValueError, "1 of 4 are NaN"),
    ],
)
def test_invalid_labels_and_scores_are_refused(scores, truth, error, complaint):
    with pytest.raises(error, match=complaint):
        measure_detection(scores, np.array(truth), threshold=1.5)


def test_an_infinite_score_is_the_highest():
    found = measure_detection(np.array([0, 1, 2, np.inf]), np.array([0, 0, 1, 1]), threshold=1.5, resamples=20)
    assert (found.auroc.value, found.average_precision.value) == (1.0, 1.0)


def test_equal_scores_have_an_auroc_of_one_half_and_a_wide_interval():
    found = measure_detection(np.ones(20), np.arange(20) % 2, threshold=1.0, resamples=20)
    assert (found.auroc.value, found.average_precision.value) == (0.5, 0.5)
    assert found.auroc.low < 0.35
    assert found.auroc.high > 0.65


@pytest.mark.parametrize("examples", [2, 3, 10, 50])
def test_the_interval_of_separated_scores_is_that_of_clopper_and_pearson(examples):
    """If the AUROC is θ, n anomalies that all exceed their normal examples have a probability of at most θⁿ."""
    found = measure_detection(np.arange(2.0 * examples), np.arange(2 * examples) >= examples, threshold=0, resamples=20)
    for interval in (found.auroc, found.average_precision):
        assert (interval.value, interval.high) == (1.0, 1.0)
        assert interval.low == pytest.approx(0.025 ** (1 / examples))
    reversed_scores = measure_detection(
        -np.arange(2.0 * examples), np.arange(2 * examples) >= examples, threshold=0, resamples=2
    )
    assert reversed_scores.auroc == pytest.approx((0.0, 0.0, 1 - 0.025 ** (1 / examples)))


@pytest.mark.slow_after_first
@pytest.mark.parametrize(("normals", "anomalies"), [(2, 2), (5, 5), (10, 10), (40, 5), (10, 100)])
@pytest.mark.parametrize(("auroc", "scale"), [(0.5, 1.0), (0.8, 1.0), (0.95, 3.0), (0.99, 0.33)])
def test_intervals_of_the_auroc_cover_it(normals, anomalies, auroc, scale):
    """For normally distributed scores; 200 samples have a standard error of 1.5 %, of which 3 are allowed."""
    rng = np.random.default_rng(0)
    shift = norm.ppf(auroc) * np.sqrt(1 + scale**2)
    truth, covered = np.arange(normals + anomalies) >= normals, 0
    for _ in range(200):
        scores = np.concatenate([rng.normal(size=normals), scale * rng.normal(size=anomalies) + shift])
        interval = measure_detection(scores, truth, threshold=0.0, resamples=2).auroc
        covered += interval.low <= auroc <= interval.high
    assert covered / 200 > 0.95 - 3 * 0.015


@pytest.mark.slow
@pytest.mark.parametrize("auroc", [0.5, 0.95, 0.99])
def test_intervals_of_the_average_precision_cover_it(auroc):
    """For 10 and 10 normally distributed scores; 150 samples have a standard error of 1.8 %, of which 4 are allowed."""
    rng, shift = np.random.default_rng(0), norm.ppf(auroc) * np.sqrt(2)
    recall = (np.arange(20_000) + 0.5) / 20_000
    expected = np.mean(recall / (recall + norm.sf(norm.isf(recall) + shift)))  # of as many of either kind
    truth, covered = np.arange(20) >= 10, 0
    for _ in range(150):
        scores = np.concatenate([rng.normal(size=10), rng.normal(size=10) + shift])
        interval = measure_detection(scores, truth, threshold=0.0, resamples=100).average_precision
        covered += interval.low <= expected <= interval.high
    assert covered / 150 > 0.95 - 4 * 0.018


def delong(normal, anomalous) -> float:
    """The standard deviation of the AUROC by E. DeLong et al. (1988)."""
    order = (anomalous[:, None] > normal) + 0.5 * (anomalous[:, None] == normal)
    return np.sqrt(np.var(order.mean(1), ddof=1) / len(anomalous) + np.var(order.mean(0), ddof=1) / len(normal))


def test_intervals_agree_with_those_of_delong_and_are_the_same_every_time():
    normal, anomalous = RNG.normal(size=1500), RNG.normal(size=1000) + 1.2
    scores, truth = np.concatenate([normal, anomalous]), np.arange(2500) >= 1500
    found = measure_detection(scores, truth, threshold=0.0, resamples=10)
    assert (found.auroc.high - found.auroc.low) / (2 * 1.96) == pytest.approx(delong(normal, anomalous), rel=0.03)
    assert found.auroc.low < found.auroc.value < found.auroc.high
    assert found == measure_detection(scores, truth, threshold=0.0, resamples=10)


def test_intervals_of_the_average_precision_agree_with_the_bootstrap():
    normal, anomalous = RNG.normal(size=1500), RNG.normal(size=1000) + 1.2
    found = measure_detection(
        np.concatenate([normal, anomalous]), np.arange(2500) >= 1500, threshold=0.0, resamples=400
    ).average_precision
    truth = np.repeat([0, 1], [1500, 1000])
    drawn = [
        average_precision_score(truth, np.concatenate([RNG.choice(normal, 1500), RNG.choice(anomalous, 1000)]))
        for _ in range(200)
    ]
    # deviations are known to 1 / sqrt(800) and 1 / sqrt(400): 4 sigma of their ratio
    assert (found.high - found.low) / (2 * 1.96) == pytest.approx(np.std(drawn), rel=4 * 0.06)


def test_two_of_each_kind_are_needed():
    with pytest.raises(UserError, match="got 3 and 1"):
        measure_detection(np.arange(4.0), np.arange(4) > 2, threshold=0.0)


def test_half_precision_scores_that_overflow_are_the_largest_number_of_single_precision():
    halves = undercomplete(fixed(lambda x: x.astype(jnp.float16)), fixed(lambda h: h))
    scores = anomaly_scores(halves, EMPTY, KEY, np.full((2, 4), [[1.0], [0.5]], np.float16) * 6e4 - 6e4 * 0.5)
    assert scores.dtype == np.float32
    assert np.isfinite(scores).all()


def test_lower_density_has_a_higher_score():
    """Scores are ordered as densities by an independent implementation."""
    x = RNG.normal(size=(20, 1)).astype(np.float32) * 4
    density = multivariate_normal(cov=GAIN**2 + NOISE).logpdf(x[:, 0])
    scores = anomaly_scores(LINEAR, EMPTY, KEY, x, samples=4000)
    assert np.argmax(scores) == np.argmin(density)
    assert np.corrcoef(scores, -density)[0, 1] > 0.999
