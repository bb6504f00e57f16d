"""The mutual information gap, MIG: whether each factor is in one unit only."""

import numpy as np
from jaxtyping import Float, Shaped

from aejax.evaluation.disentanglement.entrance import checked
from aejax.evaluation.disentanglement.information import BINS, bin_codes, entropies, mutual_informations


def mutual_information_gap(
    codes: Shaped[np.ndarray, "N K"], factors: Shaped[np.ndarray, "N F"], *, bins: int = BINS
) -> Float[np.ndarray, "F"]:
    """Returns the gap of every factor; the score MIG is their mean.

        gapⱼ = [I(z₍₁₎; vⱼ) - I(z₍₂₎; vⱼ)] / H(vⱼ),

    where z₍₁₎ and z₍₂₎ are the two units with the most information about vⱼ; of one live unit, I(z₍₂₎; vⱼ) = 0. The gap
    is 1 if one unit determines the factor and no other unit is informative. A unit has at most log b nats, so the gap
    of a factor with v > b equally frequent values is at most log b / log v. Invariant to the order of units, to their
    sign (but for a median, see `bin_codes`) and to any increasing function of each; dead units do nothing.

    Args:
      codes: codes of N examples, such as posterior means.
      factors: the values of F factors of the same examples.
      bins: b, the largest number of bins of a unit's values, with equally many examples in each.

    Raises:
      TypeError: arrays are not numbers, or `bins` is not an integer.
      ValueError: a constant factor, only dead units, fewer than 10 examples per value of a factor, or `bins` below 2.

    Source: R. T. Q. Chen et al. (2018), Isolating Sources of Disentanglement in VAEs, eq. 6, from counts as in F.
    Locatello et al. (2019), Challenging Common Assumptions in the Unsupervised Learning of Disentangled
    Representations, whose 20 bins have equal width.

    >>> factors = np.stack(np.meshgrid(range(8), range(8)), -1).reshape(-1, 2).repeat(2, axis=0)
    >>> mutual_information_gap(factors[:, ::-1], factors).round(4).tolist()
    [1.0, 1.0]
    """
    given = checked(codes, factors, score="the mutual information gap")
    shared = np.sort(mutual_informations(bin_codes(given.codes, bins=bins), given.classes), axis=0)[::-1]
    second = shared[1] if len(shared) > 1 else 0.0
    return (shared[0] - second) / entropies(given.classes)
