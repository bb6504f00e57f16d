"""What the scores of samples share: checked points, and the distances between them."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Shaped

from aejax.checks import as_float64, check_count

_ROUNDING = 1e-11  # of squared distances from inner products, relative to the largest squared norm


class Distances(NamedTuple):
    """Squared Euclidean distances, in the square of the data's unit; 0 from a point to itself."""

    of_samples: Float[np.ndarray, "N N"]
    of_data: Float[np.ndarray, "M M"]
    between: Float[np.ndarray, "N M"]  # from each sample to each example of the data
    rounding: float  # the largest rounding error of a squared distance


def as_points(score: str, least: int, **arrays: Shaped[np.ndarray, "N ..."]) -> list[Float[np.ndarray, "N D"]]:
    """Returns arrays of examples of any shape, passed by their names, as points in float64.

    Args:
      score: what is computed of them, for error messages.
      least: the number of examples that it needs of each.
      **arrays: (N, ...) examples.

    Raises:
      ValueError: an array has too few examples or holds NaN or infinity, or the examples differ in shape.
      TypeError: an array does not hold real numbers.
    """
    points = []
    for name, array in arrays.items():
        array = as_float64(name, array)
        if array.ndim < 2 or array[0:1].size == 0:
            raise ValueError(
                f"{name} must have shape (examples, ...), with at least one number each, got {array.shape}"
            )
        if len(array) < least:
            raise ValueError(f"{score} needs at least {least:,} examples each, got {len(array):,} {name}")
        if not np.isfinite(array).all():
            raise ValueError(f"{name} must be finite, got NaN or infinity")
        points.append(array.reshape(len(array), -1))
    shapes = {name: np.shape(array)[1:] for name, array in arrays.items()}
    if len(set(shapes.values())) > 1:
        raise ValueError(f"examples must have the same shape, got {shapes}")
    return points


def distances(samples: Float[np.ndarray, "N D"], data: Float[np.ndarray, "M D"]) -> Distances:
    """Returns the squared distances between all points of two sets.

    >>> distances(np.array([[0.0], [1.0]]), np.array([[3.0]])).between.tolist()
    [[9.0], [4.0]]
    """
    center = data.mean(axis=0)  # inner products of centered points lose fewer digits
    samples, data = samples - center, data - center
    largest = max(np.square(points).sum(axis=1).max() for points in (samples, data))
    of_samples, of_data = (squared_distances(points, points) for points in (samples, data))
    for matrix in (of_samples, of_data):
        np.fill_diagonal(matrix, 0.0)
    return Distances(of_samples, of_data, squared_distances(samples, data), float(_ROUNDING * largest))


def squared_distances(x: Float[np.ndarray, "N D"], y: Float[np.ndarray, "M D"]) -> Float[np.ndarray, "N M"]:
    """Returns ‖xᵢ - yⱼ‖² from inner products, at least 0; the rounding error is relative to the points' norms."""
    squared = np.square(x).sum(axis=1)[:, None] + np.square(y).sum(axis=1) - 2 * x @ y.T
    return np.maximum(squared, 0.0)


def balls(squared: Float[np.ndarray, "N N"], neighbors: int) -> Float[np.ndarray, "N"]:
    """Returns the squared distance from each point to its k-th nearest other point.

    Args:
      squared: the squared distances of a set.
      neighbors: k.

    Raises:
      ValueError: neighbors is below 1, or there are at most k points.
      TypeError: neighbors is not an integer.
    """
    check_count("neighbors", neighbors)
    if len(squared) <= neighbors:
        raise ValueError(
            f"the distance to the neighbor {neighbors} needs at least {neighbors + 1} points, got {len(squared)}"
        )
    return np.partition(squared, neighbors, axis=1)[:, neighbors]  # place 0 is the point itself


def inside(
    squared: Float[np.ndarray, "N M"], radii: Float[np.ndarray, "M"], rounding: float
) -> Bool[np.ndarray, "N M"]:
    """Returns whether each of N points lies in each of M closed balls, up to rounding error."""
    return squared <= radii + 2 * rounding
