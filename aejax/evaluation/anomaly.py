"""Anomalies: scores of examples unlike those trained on, thresholds, and how well scores tell them apart."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key, PyTree

from aejax.autoencoders import Autoencoder
from aejax.checks import check_count
from aejax.errors import UserError
from aejax.evaluation.representation import map_over_examples
from aejax.losses import squared_error
from aejax.sampling import gaussian_log_prob, reparameterize

CONFIDENCE = 0.95  # of the intervals
RESAMPLES = 1000  # that an interval is taken from
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
    return np.where(np.isfinite(scores), scores, scores.dtype.type(MOST))


def threshold_of(normal_scores: np.ndarray, *, quantile: float) -> float:
    """The least score of normal examples that at least that part of them does not exceed.

    What scores higher is taken for an anomaly; of new normal examples about 1 - quantile are, wrongly.

    Args:
      normal_scores: (N,) of examples that are normal and were not trained on.
      quantile: in (0, 1].

    Raises:
      ValueError: a quantile out of range, or no scores.

    >>> threshold_of(np.arange(1.0, 101.0), quantile=0.95)
    95.0
    """
    if not 0 < quantile <= 1:
        raise ValueError(f"quantile must be above 0 and at most 1, got {quantile}")
    if len(normal_scores) == 0:
        raise ValueError("there are no normal scores to take a quantile of")
    return float(np.quantile(normal_scores, quantile, method="inverted_cdf"))


def measure_detection(
    scores: np.ndarray, is_anomaly: np.ndarray, *, threshold: float, resamples: int = RESAMPLES, seed: int = 0
) -> Detection:
    """How well scores of test examples tell anomalies from normal ones.

    The intervals are percentiles of the bootstrap, normal examples and anomalies drawn anew each by themselves: they
    tell how sure the figure is for this trained autoencoder, not how it would differ for another one.

    Args:
      scores: (N,) higher for anomalies.
      is_anomaly: (N,) booleans.
      threshold: above which an example is taken for an anomaly.
      resamples: of the bootstrap.
      seed: of it.

    Raises:
      UserError: fewer than two normal examples, or fewer than two anomalies.

    >>> found = measure_detection(np.array([0.0, 1.0, 2.0, 3.0]), np.array([0, 1, 0, 1]) > 0, threshold=1.5)
    >>> found.auroc.value, round(found.average_precision.value, 4), found.recall, found.precision
    (0.75, 0.8333, 0.5, 0.5)
    """
    normal, anomalous = scores[~is_anomaly], scores[is_anomaly]
    if min(len(normal), len(anomalous)) < 2:
        raise UserError(
            f"to tell them apart, two normal examples and two anomalies are needed at least, got {len(normal)} and "
            f"{len(anomalous)}"
        )
    above = int(np.sum(scores > threshold))
    auroc, average_precision = _with_intervals(normal, anomalous, resamples, seed)
    return Detection(
        auroc,
        average_precision,
        len(anomalous) / len(scores),
        float(np.mean(anomalous > threshold)),
        float(np.mean(normal > threshold)),
        float(np.sum(anomalous > threshold)) / above if above else None,
    )


def pca_scores(train: np.ndarray, x: np.ndarray, *, components: int) -> np.ndarray:
    """The squared distance of examples (N, ...) from the principal subspace of the training examples: (N,)."""
    from sklearn.decomposition import PCA

    flat = train.reshape(len(train), -1).astype(np.float64)
    analysis = PCA(min(components, *flat.shape), svd_solver="auto", random_state=0).fit(flat)
    examples = x.reshape(len(x), -1)
    return np.sum(np.square(examples - analysis.inverse_transform(analysis.transform(examples))), axis=1)


def isolation_forest_scores(train: np.ndarray, x: np.ndarray, *, seed: int) -> np.ndarray:
    """Scores of examples (N, ...) by a forest of 100 isolation trees, higher for anomalies: (N,).

    Source: F. T. Liu, K. M. Ting, Z.-H. Zhou (2008), Isolation Forest.
    """
    from sklearn.ensemble import IsolationForest

    forest = IsolationForest(random_state=seed).fit(train.reshape(len(train), -1))
    return -forest.score_samples(x.reshape(len(x), -1))


def _with_intervals(normal: np.ndarray, anomalous: np.ndarray, resamples: int, seed: int) -> list[Interval]:
    from scipy.stats import bootstrap
    from sklearn.metrics import average_precision_score, roc_auc_score

    def figures(normal: np.ndarray, anomalous: np.ndarray) -> np.ndarray:
        truth = np.repeat([0, 1], [len(normal), len(anomalous)])
        scores = np.concatenate([normal, anomalous])
        return np.array([roc_auc_score(truth, scores), average_precision_score(truth, scores)])

    limits = bootstrap(
        (normal, anomalous),
        figures,
        n_resamples=resamples,
        vectorized=False,
        confidence_level=CONFIDENCE,
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    values = figures(normal, anomalous)
    return [Interval(*map(float, interval)) for interval in zip(values, limits.low, limits.high, strict=True)]
