"""How often the units of a dictionary fire: L0, firing rates, dead units, streamed as integers."""

from typing import NamedTuple

import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Float, Int

from aejax.checks import as_array

_DECADES = (-7.0, 0.0)  # of firing rates, as powers of ten, in the histogram by default


class FiringCounts(NamedTuple):
    """Counts over the N examples of all batches so far."""

    examples: int  # N
    fired: Int[np.ndarray, "F"]  # the examples on which each unit fired


class FiringHistogram(NamedTuple):
    """A histogram of log10 of the units' firing rates; dead units, whose logarithm is -∞, are counted apart."""

    edges: Float[np.ndarray, "bins+1"]  # powers of ten
    units: Int[np.ndarray, "bins"]  # the last bin includes its upper edge
    below: int  # units that fire, but less often than the lowest edge
    dead: int  # units that never fire


def add_firing(counts: FiringCounts | None, codes: ArrayLike) -> FiringCounts:
    """Returns counts with the codes of a batch added. A unit fires where its code is not 0.

    Args:
      counts: counts over earlier batches; None for the first.
      codes: (B, F) codes.

    Raises:
      TypeError: the codes are not numbers.
      ValueError: the codes are not a matrix, or the number of units has changed.

    >>> counts = add_firing(None, np.array([[0.0, 2.0], [0.0, 1.0]]))
    >>> add_firing(counts, np.array([[0.5, 0.0]]))
    FiringCounts(examples=3, fired=array([1, 2]))
    """
    matrix = np.asarray(as_array("codes", codes))
    if matrix.ndim != 2:
        raise ValueError(f"codes must have shape (examples, units), got {matrix.shape}")
    fired = np.count_nonzero(matrix, axis=0).astype(np.int64)
    if counts is None:
        return FiringCounts(len(matrix), fired)
    if fired.shape != counts.fired.shape:
        raise ValueError(f"codes must have {counts.fired.size} units as in earlier batches, got {fired.size}")
    return FiringCounts(counts.examples + len(matrix), counts.fired + fired)


def mean_l0(counts: FiringCounts) -> float:
    """Returns L0: the mean number of units that fire on an example.

    >>> mean_l0(FiringCounts(4, np.array([4, 2, 0])))
    1.5
    """
    return int(counts.fired.sum()) / counts.examples


def firing_rates(counts: FiringCounts) -> Float[np.ndarray, "F"]:
    """Returns the fraction of examples on which each unit fires.

    >>> firing_rates(FiringCounts(4, np.array([4, 2, 0]))).tolist()
    [1.0, 0.5, 0.0]
    """
    return counts.fired / counts.examples


def dead_share(counts: FiringCounts) -> float:
    """Returns the fraction of units that fire on none of the examples.

    >>> dead_share(FiringCounts(4, np.array([4, 2, 0, 0])))
    0.5
    """
    return int((counts.fired == 0).sum()) / counts.fired.size


def firing_histogram(counts: FiringCounts, *, bins_per_decade: int = 4) -> FiringHistogram:
    """Returns the histogram of log10 of the firing rates from 10⁻⁷ to 1.

    Args:
      counts: the counts.
      bins_per_decade: bins for each factor of ten.

    >>> histogram = firing_histogram(FiringCounts(1000, np.array([1000, 20, 1, 0])), bins_per_decade=1)
    >>> histogram.units.tolist(), histogram.dead
    ([0, 0, 0, 0, 1, 1, 1], 1)
    """
    low, high = _DECADES
    edges = np.linspace(low, high, round(high - low) * bins_per_decade + 1)
    logarithms = np.log10(counts.fired[counts.fired > 0]) - np.log10(counts.examples)
    # a rate that is a power of ten belongs to the bin above its edge, whatever its logarithm rounds to
    units, _ = np.histogram(np.round(logarithms, 12), np.round(edges, 12))
    dead = int((counts.fired == 0).sum())
    return FiringHistogram(edges, units, counts.fired.size - dead - int(units.sum()), dead)
