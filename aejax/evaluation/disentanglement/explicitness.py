"""Explicitness: whether the values of each factor can be read from the code by linear classifiers."""

import warnings

import numpy as np
from jaxtyping import Float, Shaped

from aejax.evaluation.disentanglement.entrance import checked, halves


def explicitness(
    codes: Shaped[np.ndarray, "N K"], factors: Shaped[np.ndarray, "N F"], *, seed: int = 0
) -> Float[np.ndarray, "F"]:
    """Returns the explicitness of every factor; the score is their mean.

    For every value of a factor, a logistic regression on the standardized live units separates examples with this value
    from all others; explicitness is the mean over values of the area under its ROC curve: 0.5 by chance, 1 at best. It
    is fitted to a random half of the examples and tested on the other. A middle value of an ordered factor that is in
    one unit alone is not linearly separable, and counts as chance.

    Args:
      codes: codes of N examples, such as posterior means.
      factors: the values of F factors of the same examples.
      seed: of the division into halves.

    Raises:
      TypeError: arrays are not numbers.
      ValueError: a constant factor, only dead units, fewer than 10 examples per value of a factor, or a value with a
        single example.

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
        for value in range(classes.max() + 1):
            is_value = classes == value
            if not is_value[fitted].any() or not is_value[tested].any():
                raise ValueError(f"factor {place} (from 0) has a value with one example: explicitness expects two")
            classifier = LogisticRegression(tol=1e-3)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)  # the order of examples is enough
                classifier.fit(given.codes[fitted], is_value[fitted])
            own.append(roc_auc_score(is_value[tested], classifier.decision_function(given.codes[tested])))
        areas.append(np.mean(own))
    return np.array(areas)
