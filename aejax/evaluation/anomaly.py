"""Anomaly detection: scores of examples, thresholds, and measures of how well scores separate anomalies."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key, PyTree, Shaped

from aejax.autoencoders import Autoencoder
from aejax.autoencoders.record import posterior_of
from aejax.checks import as_booleans, as_float64, check_count, check_in_range, check_same_shape
from aejax.errors import UserError
from aejax.evaluation.representation import map_over_examples
from aejax.losses import ReconstructionLoss, squared_error
from aejax.precision import at_least_single

CONFIDENCE = 0.95  # of the intervals
RESAMPLES = 1000  # bootstrap samples for the interval of the average precision
_PSEUDO_EXAMPLES = 2  # of each kind, with the largest possible variance, that are added to every estimate of a variance
MAX_SCORE = float(np.finfo(np.float32).max)


class Interval(NamedTuple):
    """An estimate and its 95 % confidence interval."""

    value: float
    low: float
    high: float


class Detection(NamedTuple):
    """How well scores separate anomalies from normal examples."""

    auroc: Interval  # P(score of an anomaly > score of a normal example), ties count one half
    average_precision: Interval  # Σₙ (Rₙ - Rₙ₋₁) Pₙ over all thresholds, anomalies as positives
    prevalence: float  # fraction of anomalies: the average precision of uninformative scores
    recall: float  # fraction of the anomalies above the threshold
    false_positive_rate: float  # fraction of the normal examples above the threshold
    precision: float | None  # fraction of anomalies among all above the threshold; None if there are none


def anomaly_score(
    autoencoder: Autoencoder,
    params: PyTree,
    key: Key[Array, ""],
    x: Array,
    *condition: Array,
    inputs: Array | None = None,
    samples: int = 16,
    error: ReconstructionLoss = squared_error,
) -> Array:
    """Returns the anomaly score of ONE example: the higher, the less it resembles the training examples.

    For a variational autoencoder, the score is the negative evidence lower bound in nats,

        -(1/S) Σₛ log p(x | zₛ) + KL(q(z | x) ‖ p(z)),  zₛ ~ q(z | x);

    for all others, it is the squared error ‖x - g(f(x))‖², summed over features. No corruption is applied, and weights
    such as beta are not used. With the same key for all examples, the score of an example depends on that example only.

    Args:
      autoencoder: any autoencoder.
      params: its parameters.
      key: a random key for the samples zₛ.
      x: one example.
      *condition: its condition, if the autoencoder is conditional.
      inputs: what is encoded instead of x, such as the noisy version of a clean x.
      samples: S, the number of samples of a variational autoencoder; the others use none.
      error: (x, reconstruction) -> the score by an autoencoder that is not variational.

    Returns:
      The score, a scalar: nats for a variational autoencoder, else the square of the data's unit, or that of `error`.

    Raises:
      TypeError: `samples` is not an integer.
      ValueError: `samples` is below 1.

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
    inputs = x if inputs is None else inputs
    if autoencoder.variational is None:
        code = autoencoder.encode(params, inputs, *condition)
        return error(x, autoencoder.decode(params, code, *condition))
    _, prior_of, likelihood, decode, _ = autoencoder.variational
    posterior, prior = posterior_of(autoencoder.variational, params, inputs, *condition), prior_of(params)

    def terms(key: Array) -> tuple[Array, Array]:
        code = posterior.sample(key)
        sampled = posterior.log_prob(code) - prior.log_prob(code)
        return -likelihood.log_prob(x, decode(params, code, *condition)), sampled

    reconstruction, kl = jax.vmap(terms)(jax.random.split(key, samples))
    if prior.kl is None:
        return jnp.mean(reconstruction) + jnp.mean(kl)
    return jnp.mean(reconstruction) + prior.kl(*autoencoder.variational.posterior(params, inputs, *condition))


def anomaly_scores(
    autoencoder: Autoencoder,
    params: PyTree,
    key: Key[Array, ""],
    x: np.ndarray,
    *condition: np.ndarray,
    inputs: np.ndarray | None = None,
    samples: int = 16,
    batch_size: int = 500,
    error: ReconstructionLoss = squared_error,
) -> np.ndarray:
    """Returns `anomaly_score` of every example, with the same key for all.

    A score that is not finite, because it or an intermediate result overflows, is replaced by the largest number of
    single precision, `MAX_SCORE`.

    Args:
      autoencoder: any autoencoder.
      params: its parameters.
      key: a random key, as for `anomaly_score`.
      x: (N, ...) examples.
      *condition: (N, ...) conditions, if the autoencoder is conditional.
      inputs: (N, ...) what is encoded instead of x.
      samples: as for `anomaly_score`.
      batch_size: number of examples that are scored at a time.
      error: as for `anomaly_score`.

    Returns:
      (N,) scores, of at least single precision.
    """

    def score(arguments: tuple[PyTree, Array], one: Array, *known: Array) -> Array:
        of_one, condition = (None, known) if inputs is None else (known[0], known[1:])
        return anomaly_score(autoencoder, *arguments, one, *condition, inputs=of_one, samples=samples, error=error)

    arrays = (x, *condition) if inputs is None else (x, inputs, *condition)
    scores = np.asarray(map_over_examples(score, (params, key), *arrays, batch_size=batch_size))
    scores = scores.astype(at_least_single(scores.dtype))  # half precision cannot represent MAX_SCORE
    return np.where(np.isfinite(scores), scores, scores.dtype.type(MAX_SCORE))


def threshold_of(normal_scores: Float[np.ndarray, "N"], *, quantile: float) -> float:
    """Returns the smallest of the scores that at least a fraction `quantile` of them does not exceed.

    Examples with a higher score are classified as anomalies; the false positive rate on new normal examples is about
    1 - quantile. The quantiles of N scores are multiples of 1/N: for quantiles above 1 - 1/N the threshold is the
    largest score (`is_finer_than`).

    Args:
      normal_scores: scores of normal examples that were not used for training.
      quantile: in (0, 1].

    Raises:
      ValueError: the quantile is out of range, or the scores are empty, not a vector or NaN.
      TypeError: the scores are not numbers.

    >>> threshold_of(np.arange(1.0, 101.0), quantile=0.95)
    95.0
    """
    scores = _checked_scores("normal_scores", normal_scores)
    if not 0 < quantile <= 1:
        raise ValueError(f"quantile must be above 0 and at most 1, got {quantile}")
    if len(scores) == 0:
        raise ValueError("there are no normal scores to compute a quantile of")
    rank = math.ceil(float(quantile) * len(scores) * (1 - 1e-12))  # 0.07 * 100 rounds to slightly more than 7
    return float(np.sort(scores)[rank - 1])


def is_finer_than(quantile: float, examples: int) -> bool:
    """Returns whether a quantile below 1 is the largest of the scores, because they are too few to resolve it.

    Args:
      quantile: in (0, 1].
      examples: the number of scores.

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
    """Returns measures of how well scores of test examples separate anomalies from normal examples.

    The intervals of AUROC and average precision are Clopper-Pearson intervals of a proportion p with an effective
    number of examples n = p (1 - p) / V, for which a proportion has the estimated variance V. The variance of the AUROC
    is estimated by DeLong's method, that of the average precision by the bootstrap, which resamples normal examples
    and anomalies separately. Two pseudo-examples of each kind with the largest possible variance are added to both
    estimates, and n is at least the number of examples of the rarer kind. In simulations with two or more examples of
    each kind, including perfectly separated scores, the coverage was at least 93 % (AUROC) and 86 % (average
    precision), and mostly above 95 %. The intervals describe the uncertainty for this trained autoencoder; they do not
    include the variation between trainings.

    Args:
      scores: anomaly scores, higher for anomalies.
      is_anomaly: labels: booleans, or 0 and 1 of any type.
      threshold: examples with a higher score are classified as anomalies.
      resamples: number of bootstrap samples, at least 2.
      seed: of the bootstrap.

    Raises:
      UserError: there are fewer than two normal examples or fewer than two anomalies.
      TypeError: the scores or labels are not numbers.
      ValueError: the shapes are wrong, a label is neither 0 nor 1, or a score or the threshold is NaN.

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
            "measures of detection require at least two normal examples and two anomalies, got "
            f"{len(normal)} and {len(anomalous)}"
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


def _checked_scores(name: str, scores: np.ndarray) -> np.ndarray:
    array = as_float64(name, scores)
    if array.ndim != 1:
        raise ValueError(f"{name} must be a vector of shape (examples,), got {array.shape}")
    if np.isnan(array).any():
        raise ValueError(f"{name} must be numbers, but {int(np.isnan(array).sum())} of {len(array)} are NaN")
    return array


def _auroc(normal: np.ndarray, anomalous: np.ndarray) -> Interval:
    of_anomalies, of_normal = _placements(anomalous, normal), 1 - _placements(normal, anomalous)
    value = float(np.mean(of_anomalies))
    spread = value * (1 - value)
    inverse = sum(
        (np.sum(np.square(placements - value)) + _PSEUDO_EXAMPLES * spread)
        / ((len(placements) - 1 + _PSEUDO_EXAMPLES) * len(placements))
        for placements in (of_anomalies, of_normal)
    )
    return _interval(value, float(inverse), len(normal), len(anomalous))


def _placements(scores: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Returns, for each score, the fraction of the others below it; ties count one half."""
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
    largest = value * (1 - value) / rarer  # variance of a proportion of this number of examples
    variance = (np.var(drawn, ddof=1) * (rarer - 1) + _PSEUDO_EXAMPLES * largest) / (rarer - 1 + _PSEUDO_EXAMPLES)
    return _interval(value, float(variance), len(normal), len(anomalous))


def _mean_precision(normal: np.ndarray, anomalous: np.ndarray) -> float:
    """Returns the mean, over anomalies, of the precision with that anomaly's score as the threshold."""
    found, mistaken = (
        len(scores) - np.searchsorted(np.sort(scores), anomalous, "left") for scores in (anomalous, normal)
    )
    return float(np.mean(found / (found + mistaken)))


def _interval(value: float, variance: float, *examples: int) -> Interval:
    """Returns the interval of a mean of values in [0, 1]: the interval of a proportion with the same variance.

    Source: C. J. Clopper, E. S. Pearson (1934), The Use of Confidence or Fiducial Limits Illustrated in the Case of
    the Binomial.
    """
    from scipy.stats import beta

    effective = max(value * (1 - value) / variance if variance > 0 else 0.0, min(examples))
    right, wrong, tail = value * effective, (1 - value) * effective, (1 - CONFIDENCE) / 2
    low = 0.0 if right <= 0 else float(beta.ppf(tail, right, wrong + 1))
    high = 1.0 if wrong <= 0 else float(beta.ppf(1 - tail, right + 1, wrong))
    return Interval(value, min(low, value), max(high, value))
