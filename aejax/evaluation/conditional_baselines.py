"""Baselines of examples given a condition: the mean of the nearest neighbors' examples, and their densities."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

NEIGHBORS = (1, 3, 5, 10, 20, 50)
_BLOCK = 256  # examples whose distances to all others are computed at once


class NeighborMeans(NamedTuple):
    """Predictions of M examples from their conditions."""

    predictions: Float[np.ndarray, "M D"]
    neighbors: int  # the number of neighbors, k
    places: np.ndarray  # (M,) the training example with the nearest condition


def nearest(known: Float[np.ndarray, "N C"], conditions: Float[np.ndarray, "M C"], count: int) -> np.ndarray:
    """Returns the places (M, count) of the nearest known conditions, the nearest first, by Euclidean distance.

    >>> nearest(np.array([[0.0], [10.0], [4.0]]), np.array([[5.0], [9.0]]), 2).tolist()
    [[2, 0], [1, 2]]
    """
    squares = np.square(known, dtype=np.float64).sum(axis=1)
    found = []
    for start in range(0, len(conditions), _BLOCK):
        some = conditions[start : start + _BLOCK].astype(np.float64)
        distances = squares - 2 * some @ known.astype(np.float64).T
        first = np.argpartition(distances, count - 1, axis=1)[:, :count]
        order = np.take_along_axis(distances, first, axis=1).argsort(axis=1, kind="stable")
        found.append(np.take_along_axis(first, order, axis=1))
    return np.concatenate(found)


def neighbor_means(
    known: Float[np.ndarray, "N C"],
    x: Float[np.ndarray, "N D"],
    conditions: Float[np.ndarray, "M C"],
    validation: tuple[np.ndarray, np.ndarray],
    *,
    candidates: Sequence[int] = NEIGHBORS,
) -> NeighborMeans:
    """Returns the mean example of the k nearest training conditions, with the k of the smallest validation error.

    Args:
      known: the conditions of the training examples.
      x: the training examples.
      conditions: those of the examples to predict.
      validation: conditions (V, C) and examples (V, D) that choose k.
      candidates: values of k; those above N are left out.

    >>> x = np.array([[0.0], [1.0], [1.0]])
    >>> neighbor_means(x, x, np.array([[0.9]]), (np.array([[0.8]]), np.array([[1.0]])), candidates=(1, 2, 3))[:2]
    (array([[1.]]), 1)
    """
    counts = [count for count in candidates if count <= len(known)]
    of_validation = nearest(known, validation[0], max(counts))
    errors = [np.mean(np.square(x[of_validation[:, :count]].mean(axis=1) - validation[1])) for count in counts]
    best = counts[int(np.argmin(errors))]
    places = nearest(known, conditions, best)
    return NeighborMeans(x[places].mean(axis=1), best, places[:, 0])


def gaussian_nats(x: Float[np.ndarray, "N D"], mean: Float[np.ndarray, "N D"], variance: float) -> float:
    """Returns the mean of log N(x; mean, variance I) over examples, in nats per example.

    >>> round(gaussian_nats(np.array([[1.0, 2.0]]), np.array([[1.0, 1.0]]), 1.0), 4)  # -log 2π - 1/2
    -2.3379
    """
    squares = np.square(x - mean, dtype=np.float64).sum(axis=1).mean()
    return float(-0.5 * (x.shape[1] * math.log(2 * math.pi * variance) + squares / variance))


def bernoulli_nats(x: Float[np.ndarray, "N D"], probability: Float[np.ndarray, "N D"]) -> float:
    """Returns the mean over examples of Σᵢ xᵢ log pᵢ + (1 - xᵢ) log(1 - pᵢ), in nats per example.

    Args:
      x: values in [0, 1].
      probability: p; 0 and 1 are replaced by the nearest numbers at a distance of 1e-6.

    >>> round(bernoulli_nats(np.array([[1.0, 0.0]]), np.array([[0.5, 0.75]])), 4)  # log 1/2 + log 1/4
    -2.0794
    """
    p = np.clip(probability.astype(np.float64), 1e-6, 1 - 1e-6)
    return float((x * np.log(p) + (1 - x) * np.log1p(-p)).sum(axis=1).mean())
