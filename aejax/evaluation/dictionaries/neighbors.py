"""The neighbors of a dictionary's units: those whose directions have the largest cosine."""

from typing import NamedTuple

import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Float, Int

from aejax.checks import as_array, check_count
from aejax.evaluation.dictionaries.matching import cosine_similarities


class Neighbors(NamedTuple):
    """The n nearest units of each of U units, in decreasing order of the cosine."""

    units: Int[np.ndarray, "U n"]
    cosines: Float[np.ndarray, "U n"]  # 0 where a direction is 0


def nearest_units(directions: ArrayLike, units: ArrayLike, *, count: int = 3) -> Neighbors:
    """Returns the other units whose directions have the largest cosine with those of some units.

    Of equal cosines the unit of the lowest number is nearer.

    Args:
      directions: (F, D) the direction of each unit, such as the decoder's rows.
      units: (U,) the units whose neighbors are searched, from 0 to F - 1.
      count: n, at most F - 1 of which exist.

    Raises:
      TypeError: an array does not hold numbers, or `count` is not an integer.
      ValueError: the directions are not a matrix, a unit does not exist, or `count` is below 1.

    >>> nearest_units(np.array([[1.0, 0.0], [0.0, 2.0], [3.0, 3.0]]), np.array([0]), count=2).units.tolist()
    [[2, 1]]
    """
    check_count("count", count)
    rows, chosen = np.asarray(as_array("directions", directions)), np.asarray(as_array("units", units))
    if rows.ndim != 2 or chosen.ndim != 1:
        raise ValueError(f"directions and units must have shapes (F, D) and (U,), got {rows.shape} and {chosen.shape}")
    if chosen.dtype.kind not in "iu" or (chosen.size and not 0 <= chosen.min() <= chosen.max() < len(rows)):
        raise ValueError(f"units must be integers from 0 to {len(rows) - 1}")
    kept = min(count, len(rows) - 1)
    if not chosen.size:
        return Neighbors(np.zeros((0, kept), np.int64), np.zeros((0, kept)))
    cosines = cosine_similarities(rows[chosen], rows)
    cosines[np.arange(len(chosen)), chosen] = -np.inf
    order = np.argsort(-cosines, axis=1, kind="stable")[:, :kept]
    return Neighbors(order, np.take_along_axis(cosines, order, axis=1))
