"""Scores, thresholds and how well they tell: against closed forms of Gaussian models and counts over all pairs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import multivariate_normal, norm

from aejax.autoencoders import undercomplete, variational
from aejax.errors import UserError
from aejax.evaluation.anomaly import (
    MOST,
    anomaly_score,
    anomaly_scores,
    isolation_forest_scores,
    measure_detection,
    pca_scores,
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


def test_a_linear_gaussian_model_scores_its_exact_likelihood():
    """With the exact posterior the bound is log p(x) for x ~ N(0, GAIN² + NOISE); noise only in the sampled codes."""
    x = np.linspace(-6, 6, 9, dtype=np.float32)[:, None]
    expected = -norm.logpdf(x[:, 0], scale=np.sqrt(GAIN**2 + NOISE))
    scores = anomaly_scores(LINEAR, EMPTY, KEY, x, samples=20_000)
    # -log p(x | z) has a deviation of about GAIN |x - GAIN z| / NOISE times that of z: 0.9 at most, over sqrt(20,000)
    np.testing.assert_allclose(scores, expected, atol=0.05)


def test_a_score_depends_on_the_example_alone():
    x = RNG.normal(size=(7, 1)).astype(np.float32)
    scores = anomaly_scores(LINEAR, EMPTY, KEY, x, batch_size=3)
    np.testing.assert_allclose(anomaly_scores(LINEAR, EMPTY, KEY, x[::-1], batch_size=2), scores[::-1], rtol=1e-6)
    np.testing.assert_array_equal(anomaly_scores(LINEAR, EMPTY, KEY, x, batch_size=3), scores)
    assert not np.array_equal(anomaly_scores(LINEAR, EMPTY, jax.random.key(1), x), scores)


@pytest.mark.slow
def test_a_learned_prior_enters_by_samples():
    """A mixture of equal standard normals is one; its divergence is estimated, deviation 1 / sqrt(samples)."""
    vae = variational(
        fixed(posterior), fixed(lambda z: GAIN * z), likelihood=gaussian(variance=NOISE), prior=mixture_prior(2)
    )
    params = vae.init(KEY, jnp.ones(1))
    params = params | {"prior": jax.tree.map(jnp.zeros_like, params["prior"])}
    x = jnp.array([1.0])
    expected = anomaly_score(LINEAR, EMPTY, KEY, x, samples=20_000)
    np.testing.assert_allclose(anomaly_score(vae, params, KEY, x, samples=20_000), expected, atol=0.03)


def test_a_plain_autoencoder_scores_its_squared_error():
    projection = undercomplete(fixed(lambda x: x[:2]), fixed(lambda h: jnp.concatenate([h, jnp.zeros(2)])))
    x = RNG.normal(size=(6, 4)).astype(np.float32)
    np.testing.assert_allclose(anomaly_scores(projection, EMPTY, KEY, x), np.sum(x[:, 2:] ** 2, axis=1), rtol=1e-6)


def test_of_a_pair_the_clean_example_is_scored_and_the_noisy_one_seen():
    projection = undercomplete(fixed(lambda x: x[:2]), fixed(lambda h: jnp.concatenate([h, jnp.zeros(2)])))
    x, noise = RNG.normal(size=(2, 6, 4)).astype(np.float32)
    expected = np.sum(x[:, 2:] ** 2, axis=1) + np.sum(noise[:, :2] ** 2, axis=1)
    np.testing.assert_allclose(anomaly_scores(projection, EMPTY, KEY, x, seen=x + noise), expected, rtol=1e-5)


def test_nothing_is_stranger_than_what_single_precision_cannot_hold():
    projection = undercomplete(fixed(lambda x: x[:2]), fixed(lambda h: jnp.concatenate([h - h, jnp.zeros(2)])))
    x = np.array([[1.0, 0, 0, 0], [1e37, 0, 0, 0], [0, 0, 0, 9.97e36]], np.float32)
    assert anomaly_scores(projection, EMPTY, KEY, x).tolist() == [1.0, MOST, MOST]
    unbounded = undercomplete(fixed(lambda x: jnp.exp(x)), fixed(lambda h: h - 2 * h))  # inf - inf, which is no number
    assert anomaly_scores(unbounded, EMPTY, KEY, np.full((1, 4), 1e4, np.float32)).tolist() == [MOST]


@pytest.mark.parametrize("quantile", [0.05, 0.5, 0.9, 1.0])
def test_a_threshold_leaves_that_part_of_normal_scores_below(quantile):
    scores = RNG.normal(size=137)
    threshold = threshold_of(scores, quantile=quantile)
    assert threshold in scores
    assert np.mean(scores <= threshold) >= quantile > np.mean(scores < threshold)


def pairs(normal, anomalous) -> float:
    """AUROC as the part of pairs in the right order."""
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


def delong(normal, anomalous) -> float:
    """The standard deviation of the AUROC by E. DeLong et al. (1988)."""
    order = (anomalous[:, None] > normal) + 0.5 * (anomalous[:, None] == normal)
    return np.sqrt(np.var(order.mean(1), ddof=1) / len(anomalous) + np.var(order.mean(0), ddof=1) / len(normal))


@pytest.mark.slow
def test_intervals_agree_with_those_of_delong_and_are_the_same_every_time():
    normal, anomalous = RNG.normal(size=150), RNG.normal(size=100) + 1.2
    scores, truth = np.concatenate([normal, anomalous]), np.arange(250) >= 150
    found = measure_detection(scores, truth, threshold=0.0, resamples=400)
    assert (found.auroc.high - found.auroc.low) / (2 * 1.96) == pytest.approx(delong(normal, anomalous), rel=0.15)
    assert found.auroc.low < found.auroc.value < found.auroc.high
    assert found == measure_detection(scores, truth, threshold=0.0, resamples=400)


def test_two_of_each_kind_are_needed():
    with pytest.raises(UserError, match="got 3 and 1"):
        measure_detection(np.arange(4.0), np.arange(4) > 2, threshold=0.0)


def test_pca_scores_are_distances_from_the_subspace():
    basis = np.linalg.qr(RNG.normal(size=(6, 6)))[0]
    train = RNG.normal(size=(500, 6)) * [5, 4, 3, 1e-3, 1e-3, 1e-3] @ basis.T
    x = RNG.normal(size=(4, 6)) @ basis.T
    expected = np.sum((x @ basis[:, 3:]) ** 2, axis=1)
    np.testing.assert_allclose(pca_scores(train, x, components=3), expected, rtol=0.02)


def test_a_forest_tells_what_lies_far_out():
    train = RNG.normal(size=(300, 3))
    x = np.concatenate([RNG.normal(size=(50, 3)), RNG.normal(size=(50, 3)) + 6])
    scores = isolation_forest_scores(train, x, seed=0)
    assert pairs(scores[:50], scores[50:]) > 0.99
    np.testing.assert_array_equal(scores, isolation_forest_scores(train, x, seed=0))


def test_rarer_is_stranger():
    """The order of scores is that of densities, by an independent implementation."""
    x = RNG.normal(size=(20, 1)).astype(np.float32) * 4
    density = multivariate_normal(cov=GAIN**2 + NOISE).logpdf(x[:, 0])
    scores = anomaly_scores(LINEAR, EMPTY, KEY, x, samples=4000)
    assert np.argmax(scores) == np.argmin(density)
    assert np.corrcoef(scores, -density)[0, 1] > 0.999
