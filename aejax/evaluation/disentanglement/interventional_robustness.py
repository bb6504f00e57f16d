"""The interventional robustness score, IRS: how little a unit moves while a factor stays and all others change."""

import numpy as np
from jaxtyping import Float, Shaped

from aejax.evaluation.disentanglement.entrance import checked

QUANTILE = 0.99


def interventional_robustness(
    codes: Shaped[np.ndarray, "N K"], factors: Shaped[np.ndarray, "N F"], *, quantile: float = QUANTILE
) -> Float[np.ndarray, "L"]:
    """Returns the robustness of every live unit; the score IRS is their mean.

        maxⱼ [1 - E_v Q(|z - E(z | vⱼ = v)| given vⱼ = v) / Q(|z - E z|)],

    where Q is a quantile, the same in both places. It is 1 if one factor determines the unit, and near 0 if fixing any
    factor leaves it as it was. Invariant to the order, sign and scale of units: all live units count equally, whereas
    the authors weight them by their largest deviation. Dead units are left out.

    The factors are fixed by selection of the examples that share a value, which is an intervention if the factors are
    independent. With few examples per value the means fit their noise, so the score is above 0 for independent codes.

    Args:
      codes: codes of N examples, with K units, of which L are not dead.
      factors: the values of F factors of the same examples.
      quantile: of the deviations, in (0, 1]; 1 for the largest one.

    Raises:
      TypeError: arrays are not numbers.
      ValueError: a constant factor, only dead units, fewer than 10 examples per value of a factor, or a quantile out of
        range.

    Source: R. Suter et al. (2019), Robustly Disentangled Causal Mechanisms, section 4 and appendix.

    >>> factors = np.stack(np.meshgrid(range(8), range(8)), -1).reshape(-1, 2).repeat(2, axis=0)
    >>> interventional_robustness(factors, factors).round(4).tolist()
    [1.0, 1.0]
    """
    if not 0 < quantile <= 1:
        raise ValueError(f"quantile must be above 0 and at most 1, got {quantile}")
    given = checked(codes, factors, score="the interventional robustness score")
    whole = np.quantile(np.abs(given.codes), quantile, axis=0)  # their mean is 0
    within = np.zeros((given.codes.shape[1], given.classes.shape[1]))
    for place, classes in enumerate(given.classes.T):
        for value in range(classes.max() + 1):
            own = given.codes[classes == value]
            deviations = np.quantile(np.abs(own - own.mean(axis=0)), quantile, axis=0)
            within[:, place] += len(own) / len(given.codes) * deviations
    return np.max(1 - within / whole[:, None], axis=1)
