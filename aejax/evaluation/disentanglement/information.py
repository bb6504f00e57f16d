"""Mutual information of the units of a code with known factors, from counts."""

import numpy as np
from jaxtyping import Float, Int

from aejax.checks import check_count

BINS = 20  # of a unit's values


def bin_codes(codes: Float[np.ndarray, "N L"], *, bins: int = BINS) -> Int[np.ndarray, "N L"]:
    """Returns each unit's values as numbers of bins that hold equally many examples.

    Equal values are in one bin; a unit with at most `bins` different values has a bin for each. Bins of equal width
    between the smallest and the largest value would be empty but for a few if there is an outlier; bins of equal counts
    depend on the order of values alone. They are those of the negative unit in reverse, but for a value with as
    many examples above as below: with an even number of bins, it is in the upper one of the two in the middle.

    Args:
      codes: codes of N examples.
      bins: the largest number of bins of a unit.

    Raises:
      TypeError: `bins` is not an integer.
      ValueError: `bins` is below 2.

    >>> bin_codes(np.array([[0.1], [0.2], [0.3], [1000.0]]), bins=2).ravel().tolist()
    [0, 0, 1, 1]
    """
    check_count("bins", bins, least=2)
    return np.column_stack([_bin(unit, bins) for unit in codes.T])


def _bin(unit: np.ndarray, bins: int) -> np.ndarray:
    values, inverse, counts = np.unique(unit, return_inverse=True, return_counts=True)
    if len(values) <= bins:
        return inverse
    twice_middle_ranks = 2 * np.cumsum(counts) - counts  # the same from above as from below, up to the boundaries
    number, rest = np.divmod(bins * twice_middle_ranks, 2 * len(unit))
    return (number - ((rest == 0) & (2 * number < bins)))[inverse]  # on a boundary, the bin farther from the middle


def mutual_informations(bins: Int[np.ndarray, "N L"], classes: Int[np.ndarray, "N F"]) -> Float[np.ndarray, "L F"]:
    """Returns I(z; v) = Σ p(z, v) log [p(z, v) / p(z) p(v)] of every unit and factor, in nats, from relative counts.

    Of independent units and factors it is about (b - 1)(v - 1) / 2N, for b bins and v values, instead of 0.

    Args:
      bins: of the units, from `bin_codes`.
      classes: of the factors, numbers from 0.

    >>> same = np.array([[0], [1], [0], [1]])
    >>> mutual_informations(same, same).round(4).tolist()
    [[0.6931]]
    """
    return np.array([[_mutual_information(unit, factor) for factor in classes.T] for unit in bins.T])


def _mutual_information(unit: np.ndarray, factor: np.ndarray) -> float:
    joint = np.zeros((unit.max() + 1, factor.max() + 1))
    np.add.at(joint, (unit, factor), 1 / len(unit))
    independent = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0, keepdims=True)
    occurs = joint > 0
    return max(float(np.sum(joint[occurs] * np.log(joint[occurs] / independent[occurs]))), 0.0)


def entropies(classes: Int[np.ndarray, "N F"]) -> Float[np.ndarray, "F"]:
    """Returns H(v) = -Σ p(v) log p(v) of every factor, in nats.

    >>> entropies(np.array([[0], [1]])).round(4).tolist()
    [0.6931]
    """
    return np.array([entropy(np.bincount(factor) / len(factor)) for factor in classes.T])


def entropy(probabilities: Float[np.ndarray, "... V"]) -> Float[np.ndarray, "..."]:
    """Returns -Σ p log p over the last axis, in nats, where 0 log 0 = 0.

    >>> entropy(np.array([1.0, 0.0])).item() + 0.0
    0.0
    """
    logs = np.log(probabilities, where=probabilities > 0, out=np.zeros_like(probabilities))
    return -np.sum(probabilities * logs, axis=-1)
