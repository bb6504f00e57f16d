"""The score of the FactorVAE paper: whether the unit that varies least identifies the factor that is fixed."""

import numpy as np
from jaxtyping import Shaped

from aejax.checks import check_count
from aejax.evaluation.disentanglement.entrance import checked
from aejax.evaluation.disentanglement.pairs import SharedValues

GROUP = 64  # examples that share the value of a factor
VOTES = 800  # of all factors together


def factor_vae_score(
    codes: Shaped[np.ndarray, "N K"],
    factors: Shaped[np.ndarray, "N F"],
    *,
    group: int = GROUP,
    votes: int = VOTES,
    seed: int = 0,
) -> float:
    """Returns the accuracy of a majority vote, from about 1/F by chance to 1.

    For every vote, a factor is fixed, and d is the unit with the smallest variance over a group of examples that share
    its value, relative to the variance over all examples. The classifier maps each d to the factor for which it was
    found most often in the first half of the votes, and is tested on the second half. Every factor has equally many
    votes.

    Groups are drawn with replacement from the examples given: the number of examples that share a value limits how well
    the variance is known. Dead units have a variance of 0 in every group, so they are left out; if all are dead there
    is no score. Invariant to the order, sign and scale of units.

    Args:
      codes: codes of N examples, such as posterior means.
      factors: the values of F >= 2 factors of the same examples.
      group: the number of examples in a group, at least 2.
      votes: the number of votes, at least 2F.
      seed: of the groups.

    Raises:
      TypeError: arrays are not numbers, or `group` or `votes` is not an integer.
      ValueError: fewer than 2 factors, a constant one, only dead units, fewer than 10 examples per value of a factor,
        or too few votes or examples in a group.

    Source: H. Kim, A. Mnih (2018), Disentangling by Factorising, section 4 and algorithm 2.

    >>> factors = np.stack(np.meshgrid(range(8), range(8)), -1).reshape(-1, 2).repeat(2, axis=0)
    >>> factor_vae_score(factors, factors)
    1.0
    """
    given = checked(codes, factors, score="the FactorVAE score", least_factors=2)
    count = given.classes.shape[1]
    check_count("group", group, least=2)
    check_count("votes", votes, least=2 * count)
    generator, per_half = np.random.default_rng(seed), votes // (2 * count)
    counts = np.zeros((2, count, given.codes.shape[1]), np.int64)  # half, factor, unit
    for factor, classes in enumerate(given.classes.T):
        chosen = SharedValues(classes, factor=factor).groups(generator, (2 * per_half, group))
        # codes are standardized, so these variances are relative to those over all examples
        least = np.argmin(np.var(given.codes[chosen], axis=1), axis=1)
        for half in range(2):
            own = least[half * per_half : (half + 1) * per_half]
            counts[half, factor] = np.bincount(own, minlength=given.codes.shape[1])
    winners = np.argmax(counts[0], axis=0)
    return float(counts[1, winners, np.arange(len(winners))].sum() / counts[1].sum())
