"""Sums of importance weights in float64 on the host, added chunk by chunk, and what they say of log p(x)."""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from aejax.evaluation.likelihood.pareto import pareto_k, tail_size


class WeightSums(NamedTuple):
    """Sums over the samples of N examples; weights are divided by exp(largest), so that nothing overflows."""

    samples: int
    largest: Float[np.ndarray, "N"]  # log-weight, in nats
    total: Float[np.ndarray, "N"]  # Σ w / exp(largest)
    squares: Float[np.ndarray, "N"]  # Σ w² / exp(2 largest)
    logs: Float[np.ndarray, "N"]  # Σ log w, in nats
    log_squares: Float[np.ndarray, "N"]  # Σ (log w - mean log w)², in nats²
    tail: Float[np.ndarray, "N M1"]  # the largest log-weights, which the shape of the tail is fitted to


def sums_of(log_weights: Float[np.ndarray, "N C"], *, kept: int = 0) -> WeightSums:
    """Returns the sums of one chunk of log-weights.

    Args:
      log_weights: log w, in nats; -∞ is a weight of 0.
      kept: the number of largest log-weights to keep.

    >>> sums_of(np.zeros((1, 4))).total.tolist()
    [4.0]
    """
    log_weights = np.asarray(log_weights, np.float64)
    largest = log_weights.max(axis=1)
    finite = np.where(np.isfinite(largest), largest, 0.0)
    weights = np.exp(log_weights - finite[:, None])
    with np.errstate(invalid="ignore"):  # the mean of log w is -∞ where a weight is 0
        mean = log_weights.mean(axis=1)
        log_squares = np.square(log_weights - mean[:, None]).sum(axis=1)
    return WeightSums(
        samples=log_weights.shape[1],
        largest=largest,
        total=weights.sum(axis=1),
        squares=np.square(weights).sum(axis=1),
        logs=log_weights.sum(axis=1),
        log_squares=log_squares,
        tail=_largest(log_weights, kept),
    )


def added(one: WeightSums, other: WeightSums, *, kept: int = 0) -> WeightSums:
    """Returns the sums over the samples of both, with the `kept` largest log-weights.

    >>> both = added(sums_of(np.array([[0.0, 1.0]])), sums_of(np.array([[2.0]])))
    >>> bool(np.allclose(log_mean(both), np.log(np.mean(np.exp([0.0, 1.0, 2.0])))))
    True
    """
    largest = np.maximum(one.largest, other.largest)
    finite = np.where(np.isfinite(largest), largest, 0.0)
    scales = [np.exp(sums.largest - finite) for sums in (one, other)]
    samples = one.samples + other.samples
    with np.errstate(invalid="ignore"):
        between = np.square(one.logs / one.samples - other.logs / other.samples)
    return WeightSums(
        samples,
        largest,
        total=one.total * scales[0] + other.total * scales[1],
        squares=one.squares * scales[0] ** 2 + other.squares * scales[1] ** 2,
        logs=one.logs + other.logs,
        log_squares=one.log_squares + other.log_squares + between * one.samples * other.samples / samples,
        tail=_largest(np.concatenate([one.tail, other.tail], axis=1), kept),
    )


def _largest(log_weights: Float[np.ndarray, "N C"], kept: int) -> Float[np.ndarray, "N M1"]:
    if log_weights.shape[1] > kept:
        log_weights = np.partition(log_weights, -kept, axis=1)[:, -kept:] if kept else log_weights[:, :0]
    return log_weights


def log_mean(sums: WeightSums) -> Float[np.ndarray, "N"]:
    """Returns log (1/K) Σ w of every example, in nats: a lower bound of log p(x) in expectation, of bias O(1/K)."""
    with np.errstate(divide="ignore"):
        return sums.largest + np.log(sums.total) - math.log(sums.samples)


def mean_log(sums: WeightSums) -> Float[np.ndarray, "N"]:
    """Returns (1/K) Σ log w of every example, in nats: an estimate of the evidence lower bound."""
    return sums.logs / sums.samples


def log_mean_error(sums: WeightSums) -> Float[np.ndarray, "N"]:
    """Returns the standard error of log (1/K) Σ w by the delta method: sd(w) / (√K mean w); NaN for one sample.

    >>> log_mean_error(sums_of(np.log([[1.0, 3.0]]))).round(4).tolist()  # √2 / (√2 2)
    [0.5]
    """
    if sums.samples < 2:
        return np.full(len(sums.total), np.nan)
    # K Var(w) = Σ w² - (Σ w)²/K; rounding makes it negative where all weights are equal
    spread = np.maximum(sums.squares - sums.total**2 / sums.samples, 0.0) / (sums.samples - 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.sqrt(spread * sums.samples) / sums.total


def mean_log_error(sums: WeightSums) -> Float[np.ndarray, "N"]:
    """Returns the standard error of (1/K) Σ log w: sd(log w) / √K; NaN for one sample."""
    if sums.samples < 2:
        return np.full(len(sums.total), np.nan)
    return np.sqrt(sums.log_squares / (sums.samples - 1) / sums.samples)


def effective_sample_size(sums: WeightSums) -> Float[np.ndarray, "N"]:
    """Returns (Σ w)² / Σ w², between 1 and K.

    >>> effective_sample_size(sums_of(np.zeros((1, 7)))).tolist()
    [7.0]
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.square(sums.total) / sums.squares


def pareto_shapes(sums: WeightSums) -> Float[np.ndarray, "N"]:
    """Returns k̂ of the largest `tail_size(K)` weights of every example, as `pareto_k`."""
    size = tail_size(sums.samples) + 1
    return np.array([pareto_k(np.sort(tail)[-size:]) for tail in sums.tail])
