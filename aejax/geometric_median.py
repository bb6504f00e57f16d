"""The geometric median of vectors, and the scale that brings their mean norm to √D: starts of sparse dictionaries."""

import math
from typing import NamedTuple

import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Float

from aejax.checks import as_float64, check_count, check_in_range


class GeometricMedian(NamedTuple):
    """The point with the smallest mean distance from N vectors, as Weiszfeld's iteration has found it."""

    point: Float[np.ndarray, "D"]
    mean_distances: tuple[float, ...]  # of the point from the vectors, before the first and after every iteration


def geometric_median(vectors: ArrayLike, *, tolerance: float = 1e-7, max_iterations: int = 1000) -> GeometricMedian:
    """Returns the geometric median by Weiszfeld's iteration from the mean, in float64 on the host.

        y ← Σᵢ xᵢ/‖xᵢ - y‖ / Σᵢ 1/‖xᵢ - y‖,

    with Vardi and Zhang's rule where y is one of the vectors: the iteration then leaves it unless it is the median. The
    mean distance never rises.

    Args:
      vectors: (N, D), N >= 1, such as the first examples that a dictionary is trained on.
      tolerance: the iteration ends when the mean distance falls by less than this fraction.
      max_iterations: the largest number of iterations.

    Raises:
      TypeError: vectors are not real numbers, or `max_iterations` is not an integer.
      ValueError: vectors are not a matrix with at least one row, or are not finite; a knob is out of range.

    Source: E. Weiszfeld (1937), Sur le point pour lequel la somme des distances de n points donnés est minimum;
    Y. Vardi, C.-H. Zhang (2000), The Multivariate L1-Median and Associated Data Depth.

    >>> geometric_median(np.array([[0.0, 1.0], [0.0, -1.0], [2.0, 0.0], [-2.0, 0.0]])).point.tolist()
    [0.0, 0.0]
    >>> geometric_median(np.array([[0.0], [1.0], [100.0]])).point.round(3).tolist()
    [1.0]
    """
    x = _checked(vectors)
    check_in_range("tolerance", tolerance, 0.0, 1.0)
    check_count("max_iterations", max_iterations)
    y = x.mean(axis=0)
    distances = np.linalg.norm(x - y, axis=1)
    history = [float(distances.mean())]
    for _ in range(max_iterations):
        y = _step(x, y, distances)
        distances = np.linalg.norm(x - y, axis=1)
        history.append(float(distances.mean()))
        if history[-2] - history[-1] <= tolerance * history[-2]:
            break
    return GeometricMedian(y, tuple(history))


def _step(x: np.ndarray, y: np.ndarray, distances: np.ndarray) -> np.ndarray:
    is_at = distances == 0
    if is_at.all():
        return y
    weights = np.where(is_at, 0, 1 / np.where(is_at, 1, distances))
    target = weights @ x / weights.sum()
    if not is_at.any():
        return target
    pull = float(np.linalg.norm(weights @ (x - y)))  # of the other vectors; those at y hold it back by their number
    stay = min(1.0, float(is_at.sum()) / pull) if pull else 1.0
    return (1 - stay) * target + stay * y


def input_scale(vectors: ArrayLike) -> float:
    """Returns √D / E ‖x‖, which brings the mean norm of the vectors to √D.

    Args:
      vectors: (N, D), N >= 1, a sample of the examples.

    Raises:
      TypeError: vectors are not real numbers.
      ValueError: vectors are not a matrix with at least one row, are not finite, or are all 0.

    Source: T. Conerly et al. (2024), Update on how we train SAEs, transformer-circuits.pub, April 2024.

    >>> input_scale(np.array([[3.0, 4.0, 0.0, 0.0], [0.0, 0.0, 0.0, 3.0]]))
    0.5
    """
    x = _checked(vectors)
    mean_norm = float(np.linalg.norm(x, axis=1).mean())
    if mean_norm == 0:
        raise ValueError("vectors must not all be 0: no scale changes their norm")
    return math.sqrt(x.shape[1]) / mean_norm


def _checked(vectors: ArrayLike) -> np.ndarray:
    x = as_float64("vectors", vectors)
    if x.ndim != 2 or x.size == 0:
        raise ValueError(f"vectors must have shape (examples, features), at least one example, got {x.shape}")
    if not np.isfinite(x).all():
        raise ValueError("vectors must be finite, got NaN or infinity")
    return x
