"""The score of the beta-VAE paper: whether a linear classifier identifies the factor that pairs of examples share."""

import warnings

import numpy as np
from jaxtyping import Shaped

from aejax.checks import check_count
from aejax.evaluation.disentanglement.entrance import checked
from aejax.evaluation.disentanglement.pairs import SharedValues

PAIRS = 64  # whose differences are averaged
POINTS = 2000  # of all factors together


def beta_vae_score(
    codes: Shaped[np.ndarray, "N K"],
    factors: Shaped[np.ndarray, "N F"],
    *,
    pairs: int = PAIRS,
    points: int = POINTS,
    seed: int = 0,
) -> float:
    """Returns the accuracy of a linear classifier, from about 1/F by chance to 1.

    A point is the mean of |z₁ - z₂| over pairs of examples that share the value of one factor, a value for each pair;
    its class is the factor. Logistic regression on the standardized points is fitted to one half of them and tested on
    the other. Every factor has equally many points. Pairs are drawn from the examples given. Invariant to the order,
    sign and scale of units; dead units do nothing.

    Args:
      codes: codes of N examples, such as posterior means.
      factors: the values of F >= 2 factors of the same examples.
      pairs: the number of pairs of a point.
      points: the number of points, at least 2F.
      seed: of the pairs.

    Raises:
      TypeError: arrays are not numbers, or `pairs` or `points` is not an integer.
      ValueError: fewer than 2 factors, a constant one, only dead units, fewer than 10 examples per value of a factor,
        or too few points or pairs.

    Source: I. Higgins et al. (2017), beta-VAE: Learning Basic Visual Concepts with a Constrained Variational Framework,
    section 3.

    >>> factors = np.stack(np.meshgrid(range(8), range(8)), -1).reshape(-1, 2).repeat(2, axis=0)
    >>> beta_vae_score(factors, factors)
    1.0
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    given = checked(codes, factors, score="the beta-VAE score", least_factors=2)
    count = given.classes.shape[1]
    check_count("pairs", pairs)
    check_count("points", points, least=2 * count)
    generator, per_half = np.random.default_rng(seed), points // (2 * count)
    differences = np.empty((count, 2 * per_half, given.codes.shape[1]))
    for factor, classes in enumerate(given.classes.T):
        first, second = SharedValues(classes, factor=factor).pairs(generator, (2 * per_half, pairs))
        differences[factor] = np.mean(np.abs(given.codes[first] - given.codes[second]), axis=1)
    halves = [part.reshape(-1, part.shape[-1]) for part in np.split(differences, 2, axis=1)]
    labels = np.repeat(np.arange(count), per_half)
    classifier = make_pipeline(StandardScaler(), LogisticRegression())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        classifier.fit(halves[0], labels)
    return float(classifier.score(halves[1], labels))
