"""Explicitness: whether the values of each factor can be read from the code by linear classifiers."""

import warnings

import numpy as np
from jaxtyping import Float, Shaped

from aejax.evaluation.disentanglement.entrance import checked, halves

LEAST_EXAMPLES = 2  # with a value, one to fit to and one to test on


def explicitness(
    codes: Shaped[np.ndarray, "N K"], factors: Shaped[np.ndarray, "N F"], *, seed: int = 0
) -> Float[np.ndarray, "F"]:
    """Returns the explicitness of every factor; the score is their mean.

    For every value of a factor, a logistic regression on the standardized live units separates examples with this value
    from all others; explicitness is the mean over values of the area under its ROC curve: 0.5 by chance, 1 at best. It
    is fitted to a random half of the examples and tested on the other. A middle value of an ordered factor that is in
    one unit alone is not linearly separable, and counts as chance. A value with a single example cannot be both fitted
    and tested, so it is left out of the mean.

    Args:
      codes: codes of N examples, such as posterior means.
      factors: the values of F factors of the same examples.
      seed: of the division into halves.

    Raises:
      TypeError: arrays are not numbers.
      ValueError: a constant factor, only dead units, fewer than 10 examples per value of a factor, or a factor of which
        fewer than two values have two examples.

    Source: K. Ridgeway, M. C. Mozer (2018), Learning Deep Disentangled Embeddings with the F-Statistic Loss, section 2.

    >>> binary = np.stack(np.meshgrid(range(2), range(2)), -1).reshape(-1, 2).repeat(20, axis=0)
    >>> explicitness(binary, binary).tolist()
    [1.0, 1.0]
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score

    given = checked(codes, factors, score="explicitness")
    areas = []
    for place, classes in enumerate(given.classes.T):
        fitted, tested = halves(classes, seed)
        own = []
        values = np.flatnonzero(np.bincount(classes) >= LEAST_EXAMPLES)
        if len(values) < 2:
            raise ValueError(
                f"explicitness expects at least two values with {LEAST_EXAMPLES} examples or more of every factor, but "
                f"factor {place} (from 0) has {len(values)}"
            )
        for value in values:
            is_value = classes == value
            classifier = LogisticRegression(tol=1e-3)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)  # the order of examples is enough
                classifier.fit(given.codes[fitted], is_value[fitted])
            own.append(roc_auc_score(is_value[tested], classifier.decision_function(given.codes[tested])))
        areas.append(np.mean(own))
    return np.array(areas)
