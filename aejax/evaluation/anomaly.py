"""Anomalies: scores of examples unlike those trained on, thresholds, and how well scores tell them apart."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key, PyTree, Shaped

from aejax.autoencoders import Autoencoder
from aejax.checks import as_booleans, as_float64, check_count, check_in_range, check_same_shape
from aejax.errors import UserError
from aejax.evaluation.principal import fit_pca
from aejax.evaluation.representation import map_over_examples
from aejax.losses import squared_error
from aejax.precision import at_least_single
from aejax.sampling import gaussian_log_prob, reparameterize

CONFIDENCE = 0.95  # of the intervals
RESAMPLES = 1000  # that the spread of the average precision is taken from
_PRIOR_EXAMPLES = 2  # of each kind, as scattered as can be, that are added where a spread is estimated
MOST = float(np.finfo(np.float32).max)


class Interval(NamedTuple):
    """An estimate and its 95 % confidence interval."""

    value: float
    low: float
    high: float


class Detection(NamedTuple):
    """How well scores tell anomalies from normal examples."""

    auroc: Interval  # P(score of an anomaly > score of a normal example), ties counted half
    average_precision: Interval  # Σₙ (Rₙ - Rₙ₋₁) Pₙ over all thresholds, anomalies as positives
    prevalence: float  # part of anomalies: the average precision of scores that tell nothing
    recall: float  # part of the anomalies above the threshold
    false_positive_rate: float  # part of the normal examples above it
    precision: float | None  # part of anomalies among what is above it; None where nothing is


def anomaly_score(
    autoencoder: Autoencoder,
    params: PyTree,
    key: Key[Array, ""],
    x: Array,
    *condition: Array,
    seen: Array | None = None,
    samples: int = 16,
) -> Array:
    """How little ONE example is like those trained on: the higher, the stranger.

    Of a variational autoencoder the negative evidence lower bound, in nats,

        -(1/S) Σₛ log p(x | zₛ) + KL(q(z | x) ‖ p(z)),  zₛ ~ q(z | x);

    of all others the squared error ‖x - g(f(x))‖², summed over features. Nothing is corrupted, no weight such as beta
    enters. With one key for all examples an example's score depends on nothing but the example.

    Args:
      autoencoder: any.
      params: its parameters.
      key: of the samples zₛ.
      x: one example.
      *condition: what is known of it, where the autoencoder is conditional.
      seen: what the encoder is given in place of x: the noisy one of a pair, of which x is the clean one.
      samples: S.

    Source: J. An, S. Cho (2015), Variational Autoencoder based Anomaly Detection using Reconstruction Probability;
    M. Sakurada, T. Yairi (2014), Anomaly Detection Using Autoencoders with Nonlinear Dimensionality Reduction.

    >>> from aejax.autoencoders import undercomplete
    >>> from aejax.networks import Network
    >>> mean = Network(lambda key, x: {}, lambda params, x: jnp.mean(x, keepdims=True))
    >>> repeat = Network(lambda key, code: {}, lambda params, code: jnp.repeat(code, 2))
    >>> constant = undercomplete(mean, repeat)
    >>> anomaly_score(constant, {"encoder": {}, "decoder": {}}, jax.random.key(0), jnp.array([1.0, 3.0])).item()
    2.0
    """
    check_count("samples", samples)
    seen = x if seen is None else seen
    if autoencoder.posterior is None or autoencoder.prior is None:
        code = autoencoder.encode(params, seen, *condition)
        return squared_error(x, autoencoder.decode(params, code, *condition))
    likelihood, decode = autoencoder.likelihood, autoencoder.decode_parameters
    assert likelihood is not None
    assert decode is not None
    mean, log_variance = autoencoder.posterior(params, seen, *condition)
    prior = autoencoder.prior(params)

    def terms(key: Array) -> tuple[Array, Array]:
        code = reparameterize(key, mean, log_variance)
        sampled = gaussian_log_prob(code, mean, log_variance) - prior.log_prob(code)
        return -likelihood.log_prob(x, decode(params, code, *condition)), sampled

    reconstruction, kl = jax.vmap(terms)(jax.random.split(key, samples))
    return jnp.mean(reconstruction) + (jnp.mean(kl) if prior.kl is None else prior.kl(mean, log_variance))


def anomaly_scores(
    autoencoder: Autoencoder,
    params: PyTree,
    key: Key[Array, ""],
    x: np.ndarray,
    *condition: np.ndarray,
    seen: np.ndarray | None = None,
    samples: int = 16,
    batch_size: int = 500,
) -> np.ndarray:
    """`anomaly_score` of every example, with one key for all: (N, ...) -> (N,).

    Where single precision cannot hold a score, or what it is computed from, it is the largest number, `MOST`: nothing
    is stranger.
    """

    def score(arguments: tuple[PyTree, Array], one: Array, *known: Array) -> Array:
        of_one, condition = (None, known) if seen is None else (known[0], known[1:])
        return anomaly_score(autoencoder, *arguments, one, *condition, seen=of_one, samples=samples)

    arrays = (x, *condition) if seen is None else (x, seen, *condition)
    scores = np.asarray(map_over_examples(score, (params, key), *arrays, batch_size=batch_size))
    scores = scores.astype(at_least_single(scores.dtype))  # half precision cannot hold MOST
    return np.where(np.isfinite(scores), scores, scores.dtype.type(MOST))


def threshold_of(normal_scores: Float[np.ndarray, "N"], *, quantile: float) -> float:
    """The least score of normal examples that at least that part of them does not exceed.

    What scores higher is taken for an anomaly; of new normal examples about 1 - quantile are, wrongly. N scores have
    no finer quantiles than multiples of 1/N: above 1 - 1/N it is the largest of them (`is_finer_than`).

    Args:
      normal_scores: of examples that are normal and were not trained on.
      quantile: in (0, 1].

    Raises:
      ValueError: a quantile out of range, no scores, or one that is not a number.

    >>> threshold_of(np.arange(1.0, 101.0), quantile=0.95)
    95.0
    """
    scores = _checked_scores("normal_scores", normal_scores)
    if not 0 < quantile <= 1:
        raise ValueError(f"quantile must be above 0 and at most 1, got {quantile}")
    if len(scores) == 0:
        raise ValueError("there are no normal scores to take a quantile of")
    rank = math.ceil(float(quantile) * len(scores) * (1 - 1e-12))  # 0.07 * 100 is 7, and a little more by rounding
    return float(np.sort(scores)[rank - 1])


def is_finer_than(quantile: float, examples: int) -> bool:
    """Whether a quantile below 1 is the largest of so many scores, as the quantile 1 is.

    >>> is_finer_than(0.95, 20), is_finer_than(0.96, 20)
    (False, True)
    """
    return quantile < 1 and math.ceil(float(quantile) * examples * (1 - 1e-12)) == examples


def measure_detection(
    scores: Shaped[np.ndarray, "N"],
    is_anomaly: Shaped[np.ndarray, "N"],
    *,
    threshold: float,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Detection:
    """How well scores of test examples tell anomalies from normal ones.

    The intervals of AUROC and average precision are those of Clopper and Pearson for a proportion of n examples, n =
    p (1 - p) / V being the number that a proportion p with the same variance V would have been counted in. V is
    estimated: of the AUROC as by DeLong, of the average precision by the bootstrap, normal examples and anomalies drawn
    anew each by themselves; in both with two examples of each kind added that scatter as much as can be, and n is never
    below the number of the rarer kind. In simulations they cover at least 93 % and 86 %, mostly more than 95 %, from
    two examples of each kind on, and where all scores are separated too. They tell how sure the figure is for this
    trained autoencoder, not how it would differ for another one.

    Args:
      scores: higher for anomalies.
      is_anomaly: booleans, or 0 and 1 of any type.
      threshold: above which an example is taken for an anomaly.
      resamples: of the bootstrap, at least 2.
      seed: of it.

    Raises:
      UserError: fewer than two normal examples, or fewer than two anomalies.
      TypeError: scores or labels that are no numbers.
      ValueError: other shapes, labels that are neither 0 nor 1, or a score or a threshold that is not a number.

    Source: E. R. DeLong, D. M. DeLong, D. L. Clarke-Pearson (1988), Comparing the Areas under Two or More Correlated
    Receiver Operating Characteristic Curves; E. L. Korn, B. I. Graubard (1998), Confidence Intervals for Proportions
    with Small Expected Number of Positive Counts Estimated from Survey Data, for the effective number of examples.

    >>> found = measure_detection(np.array([0.0, 1.0, 2.0, 3.0]), np.array([0, 1, 0, 1]), threshold=1.5)
    >>> found.auroc.value, round(found.average_precision.value, 4), found.recall, found.precision
    (0.75, 0.8333, 0.5, 0.5)
    """
    scores, truth = _checked_scores("scores", scores), as_booleans("is_anomaly", is_anomaly)
    check_same_shape(scores=scores, is_anomaly=truth)
    check_in_range("threshold", threshold, -math.inf)
    check_count("resamples", resamples, 2)
    normal, anomalous = scores[~truth], scores[truth]
    if min(len(normal), len(anomalous)) < 2:
        raise UserError(
            f"to tell them apart, two normal examples and two anomalies are needed at least, got {len(normal)} and "
            f"{len(anomalous)}"
        )
    above = int(np.sum(scores > threshold))
    return Detection(
        _auroc(normal, anomalous),
        _average_precision(normal, anomalous, resamples, seed),
        len(anomalous) / len(scores),
        float(np.mean(anomalous > threshold)),
        float(np.mean(normal > threshold)),
        float(np.sum(anomalous > threshold)) / above if above else None,
    )


def pca_scores(
    train: Shaped[np.ndarray, "M ..."], x: Shaped[np.ndarray, "N ..."], *, components: int
) -> Float[np.ndarray, "N"]:
    """The squared distance of examples from the principal subspace of the training examples."""
    check_count("components", components)
    flat, examples = _flat_pair(train, x)
    analysis = fit_pca(flat, min(components, *flat.shape), svd_solver="auto", random_state=0)
    return np.sum(np.square(examples - analysis.inverse_transform(analysis.transform(examples))), axis=1)


def isolation_forest_scores(
    train: Shaped[np.ndarray, "M ..."], x: Shaped[np.ndarray, "N ..."], *, seed: int
) -> Float[np.ndarray, "N"]:
    """Scores of examples by a forest of 100 isolation trees, higher for anomalies.

    Source: F. T. Liu, K. M. Ting, Z.-H. Zhou (2008), Isolation Forest.
    """
    from sklearn.ensemble import IsolationForest

    flat, examples = _flat_pair(train, x)
    return -IsolationForest(random_state=seed).fit(flat).score_samples(examples)


def _checked_scores(name: str, scores: np.ndarray) -> np.ndarray:
    array = as_float64(name, scores)
    if array.ndim != 1:
        raise ValueError(f"{name} must be a vector, one number for each example, got shape {array.shape}")
    if np.isnan(array).any():
        raise ValueError(f"{name} must be numbers, {int(np.isnan(array).sum())} of {len(array)} are NaN")
    return array


def _flat_pair(train: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Training examples and others, each as a row of float64."""
    known, examples = as_float64("train", train), as_float64("x", x)
    if known.shape[1:] != examples.shape[1:] or known.ndim < 2:
        raise ValueError(
            f"train and x must be (examples, features...) with equal features, got {known.shape} and {examples.shape}"
        )
    for name, array in (("train", known), ("x", examples)):
        if not np.isfinite(array).all():
            raise ValueError(f"{name} must be finite, got NaN or infinity")
    return known.reshape(len(known), -1), examples.reshape(len(examples), -1)


def _auroc(normal: np.ndarray, anomalous: np.ndarray) -> Interval:
    of_anomalies, of_normal = _placements(anomalous, normal), 1 - _placements(normal, anomalous)
    value = float(np.mean(of_anomalies))
    spread = value * (1 - value)
    inverse = sum(
        (np.sum(np.square(placements - value)) + _PRIOR_EXAMPLES * spread)
        / ((len(placements) - 1 + _PRIOR_EXAMPLES) * len(placements))
        for placements in (of_anomalies, of_normal)
    )
    return _interval(value, float(inverse), len(normal), len(anomalous))


def _placements(scores: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Of each score the part of the others below it, equal ones counted half."""
    ordered = np.sort(others)
    below, up_to = (np.searchsorted(ordered, scores, side) for side in ("left", "right"))
    return (below + up_to) / (2 * len(others))


def _average_precision(normal: np.ndarray, anomalous: np.ndarray, resamples: int, seed: int) -> Interval:
    rng = np.random.default_rng(seed)
    value = _mean_precision(normal, anomalous)
    drawn = [
        _mean_precision(*(scores[rng.integers(len(scores), size=len(scores))] for scores in (normal, anomalous)))
        for _ in range(resamples)
    ]
    rarer = min(len(normal), len(anomalous))
    largest = value * (1 - value) / rarer  # variance of a proportion of the rarer kind
    variance = (np.var(drawn, ddof=1) * (rarer - 1) + _PRIOR_EXAMPLES * largest) / (rarer - 1 + _PRIOR_EXAMPLES)
    return _interval(value, float(variance), len(normal), len(anomalous))


def _mean_precision(normal: np.ndarray, anomalous: np.ndarray) -> float:
    """Of the thresholds at each anomaly's score, the mean part of anomalies among what scores at least that."""
    found, mistaken = (
        len(scores) - np.searchsorted(np.sort(scores), anomalous, "left") for scores in (anomalous, normal)
    )
    return float(np.mean(found / (found + mistaken)))


def _interval(value: float, variance: float, *examples: int) -> Interval:
    """The interval of a mean of numbers in [0, 1]: as of a proportion with that variance.

    Source: C. J. Clopper, E. S. Pearson (1934), The Use of Confidence or Fiducial Limits Illustrated in the Case of
    the Binomial.
    """
    from scipy.stats import beta

    effective = max(value * (1 - value) / variance if variance > 0 else 0.0, min(examples))
    right, wrong, tail = value * effective, (1 - value) * effective, (1 - CONFIDENCE) / 2
    low = 0.0 if right <= 0 else float(beta.ppf(tail, right, wrong + 1))
    high = 1.0 if wrong <= 0 else float(beta.ppf(1 - tail, right + 1, wrong))
    return Interval(value, min(low, value), max(high, value))
