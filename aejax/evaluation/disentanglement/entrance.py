"""What all scores of disentanglement share: checked codes without their dead units, and factors as classes."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, Shaped

from aejax.checks import as_float64

EXAMPLES_PER_VALUE = 10  # of the factor with the most values, on average
_ROUNDING = 1e-6  # range of a constant unit in single precision, relative to its largest value
_ROUNDING_OF_ALL = 2.0**-23  # relative to the largest value of all units: the spacing of single precision


class Checked(NamedTuple):
    """Codes and factors of N examples; scores read nothing else, so dead units and the scale of codes do nothing."""

    codes: Float[np.ndarray, "N L"]  # of units that are not dead, with mean 0 and variance 1
    values: Float[np.ndarray, "N F"]  # of the factors
    classes: Int[np.ndarray, "N F"]  # the same as numbers from 0 to the number of different values, in their order


def is_dead(codes: Shaped[np.ndarray, "N K"]) -> np.ndarray:
    """Returns whether each unit is dead: constant over the examples, up to rounding error.

    Its range is at most 10⁻⁶ of its own largest magnitude, or 2⁻²³ of that of all units: a unit near 0 has the rounding
    error of the numbers that it is a sum of. So scores do not depend on scales that differ by less than that.

    Args:
      codes: codes of N >= 1 examples.

    Raises:
      TypeError: the codes are not real numbers.
      ValueError: the codes are not a matrix with at least one row, or hold NaN or infinity.

    >>> is_dead(np.array([[0.0, 3.0], [1.0, 3.0]])).tolist()
    [False, True]
    """
    matrix = _as_matrix("codes", codes)
    largest = np.max(np.abs(matrix), axis=0)
    return np.ptp(matrix, axis=0) <= np.maximum(_ROUNDING * largest, _ROUNDING_OF_ALL * largest.max())


def dead_share(codes: Shaped[np.ndarray, "N K"]) -> float:
    """Returns the fraction of units that are dead; the arguments and errors are those of `is_dead`.

    >>> dead_share(np.array([[0.0, 3.0], [1.0, 3.0]]))
    0.5
    """
    return float(np.mean(is_dead(codes)))


def checked(
    codes: Shaped[np.ndarray, "N K"], factors: Shaped[np.ndarray, "N F"], *, score: str, least_factors: int = 1
) -> Checked:
    """Returns codes and factors that a score can be computed of.

    Args:
      codes: codes of N examples.
      factors: the values of F known factors of the same examples: numbers, of which each factor has a few.
      score: the name of the score, for error messages.
      least_factors: the number of factors that the score needs.

    Raises:
      TypeError: codes or factors are not real numbers.
      ValueError: they are not matrices with N rows, or hold NaN or infinity; there are too few factors or examples; a
        factor is constant; or all units are dead.
    """
    matrix, values = _as_matrix("codes", codes), _as_matrix("factors", factors)
    if len(values) != len(matrix):
        raise ValueError(
            f"factors must have one row for each of {len(matrix)} codes, (examples, factors), got {values.shape}"
        )
    if values.shape[1] < least_factors:
        raise ValueError(f"{score} compares factors: expected at least {least_factors}, got {values.shape[1]}")
    classes = np.column_stack([np.unique(column, return_inverse=True)[1] for column in values.T])
    counts = classes.max(axis=0) + 1
    if (constant := np.flatnonzero(counts == 1)).size:
        raise ValueError(
            f"factor {constant[0]} (from 0) is constant over the {len(values)} examples: leave it out, since {score} "
            "compares examples with different values"
        )
    most = int(np.argmax(counts))
    if len(values) < EXAMPLES_PER_VALUE * counts[most]:
        raise ValueError(
            f"{score} expects at least {EXAMPLES_PER_VALUE} examples per value of a factor, so "
            f"{EXAMPLES_PER_VALUE * counts[most]:,} for the {counts[most]:,} values of factor {most} (from 0), got "
            f"{len(values):,}"
        )
    dead = is_dead(matrix)
    if dead.all():
        raise ValueError(f"all {len(dead)} units are constant over the {len(matrix)} examples: {score} is not defined")
    live = matrix[:, ~dead]
    return Checked((live - live.mean(axis=0)) / live.std(axis=0), values, classes)


def check_categorical(categorical: Iterable[int], factors: int) -> frozenset[int]:
    """Returns the positions of factors whose values have no order; raises ValueError for one that does not exist."""
    positions = frozenset(map(int, categorical))
    if wrong := [position for position in sorted(positions) if not 0 <= position < factors]:
        raise ValueError(f"categorical must hold positions of factors, from 0 to {factors - 1}, got {wrong[0]}")
    return positions


def halves(classes: Int[np.ndarray, "N"], seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the positions of two random halves of the examples, to fit on the first and to test on the second.

    Args:
      classes: of the examples; each with at least two examples is in both halves.
      seed: of the division.

    >>> [len(half) for half in halves(np.array([0, 0, 1, 1, 1]), seed=0)]
    [3, 2]
    """
    order = np.random.default_rng(seed).permutation(len(classes))
    order = order[np.argsort(classes[order], kind="stable")]
    return order[::2], order[1::2]


def _as_matrix(name: str, array: np.ndarray) -> np.ndarray:
    matrix = as_float64(name, array)
    if matrix.ndim != 2 or matrix.size == 0:
        raise ValueError(f"{name} must be a matrix with one row per example, not empty, got shape {matrix.shape}")
    if not np.isfinite(matrix).all():
        raise ValueError(f"{name} must be finite, got NaN or infinity")
    return matrix
