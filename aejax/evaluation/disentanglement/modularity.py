"""Modularity: whether each unit is informative about one factor only."""

import numpy as np
from jaxtyping import Float, Shaped

from aejax.evaluation.disentanglement.entrance import checked
from aejax.evaluation.disentanglement.information import BINS, bin_codes, mutual_informations


def modularity(
    codes: Shaped[np.ndarray, "N K"], factors: Shaped[np.ndarray, "N F"], *, bins: int = BINS
) -> Float[np.ndarray, "L"]:
    """Returns the modularity of every live unit; the score is their mean.

        1 - Σ_{j ≠ m} I(z; vⱼ)² / [I(z; vₘ)² (F - 1)],  m = argmaxⱼ I(z; vⱼ).

    It is 1 for a unit with information about one factor, and 0 for a unit with equal information about all. Invariant
    to the order of units, to their sign and to any increasing function of each. Dead units have no modularity and are
    left out of the mean, in which they would count as 0. Units that vary without information have the modularity of
    the bias of counts, (b - 1)(v - 1) / 2N, which is far from 0 if factors differ in their number v of values: read it
    together with explicitness.

    Args:
      codes: codes of N examples, with K units, of which L are not dead.
      factors: the values of F >= 2 factors of the same examples.
      bins: as for `mutual_information_gap`.

    Raises:
      TypeError: arrays are not numbers, or `bins` is not an integer.
      ValueError: fewer than 2 factors, a constant one, only dead units, fewer than 10 examples per value of a factor,
        or `bins` below 2.

    Source: K. Ridgeway, M. C. Mozer (2018), Learning Deep Disentangled Embeddings with the F-Statistic Loss, section 2.

    >>> factors = np.stack(np.meshgrid(range(8), range(8)), -1).reshape(-1, 2).repeat(2, axis=0)
    >>> modularity(factors, factors).round(4).tolist()
    [1.0, 1.0]
    """
    given = checked(codes, factors, score="modularity", least_factors=2)
    shared = mutual_informations(bin_codes(given.codes, bins=bins), given.classes)
    largest = np.max(shared, axis=1, keepdims=True)
    # a unit that is independent of all factors, up to the last digit, has equal information about them: none
    relative = np.divide(shared, largest, out=np.ones_like(shared), where=largest > 0)
    return 1 - (np.sum(np.square(relative), axis=1) - 1) / (shared.shape[1] - 1)
