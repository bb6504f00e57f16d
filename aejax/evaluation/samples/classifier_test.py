"""The classifier two-sample test: whether a classifier can tell samples from data."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Shaped

from aejax.evaluation.samples.distances import as_points

LEAST = 20  # examples of each kind


class ClassifierTest(NamedTuple):
    """The result of a classifier two-sample test."""

    accuracy: float  # on held-out points; 0.5 by chance
    p_value: float  # at least the probability of this accuracy or more if the distributions are equal
    held_out: int  # number of points that the accuracy is measured on


def classifier_test(
    samples: Shaped[np.ndarray, "N ..."], data: Shaped[np.ndarray, "M ..."], *, classifier: Any = None, seed: int = 0
) -> ClassifierTest:
    """Trains a classifier to tell samples from data, on a half of both, and tests it on the other half.

    The p-value is that of a binomial number of correct answers with probability ½. If the distributions are equal, it
    is below a level α < ½ with probability at most α: of halves with equally many samples and data, the number of
    correct answers has the binomial mean and at most its variance. The accuracy is in the mean at most that of the best
    classifier, ½ + ½ TV(p, q) with the total variation distance of the two distributions.

    Args:
      samples: N >= 20 samples of a model.
      data: M >= 20 examples, of the same shape; of the larger set, as many are drawn as the other one has.
      classifier: with `fit` and `predict`, as in scikit-learn; by default the majority of the √n nearest of n points in
        standardized features, as in the paper.
      seed: of the halves.

    Raises:
      ValueError: there are too few examples, shapes differ, or values are not finite.
      TypeError: an array does not hold real numbers.

    Source: D. Lopez-Paz, M. Oquab (2017), Revisiting Classifier Two-Sample Tests; for the level, W. Hoeffding (1956),
    On the Distribution of the Number of Successes in Independent Trials.

    >>> rng = np.random.default_rng(0)
    >>> classifier_test(rng.normal(0, 1, (100, 2)), rng.normal(9, 1, (100, 2)))
    ClassifierTest(accuracy=1.0, p_value=7.8...e-31, held_out=100)
    """
    from scipy.stats import binom

    points = as_points("the classifier two-sample test", LEAST, samples=samples, data=data)
    rng, count = np.random.default_rng(seed), min(map(len, points))
    points = [rng.permutation(each)[:count] for each in points]
    half = count // 2
    kinds = np.repeat([0, 1], half)
    train = np.concatenate([each[:half] for each in points])
    held_out = np.concatenate([each[half : 2 * half] for each in points])
    fitted = (_nearest(len(train)) if classifier is None else classifier).fit(train, kinds)
    correct = int(np.sum(fitted.predict(held_out) == kinds))
    return ClassifierTest(correct / len(kinds), float(binom.sf(correct - 1, len(kinds), 0.5)), len(kinds))


def _nearest(points: int) -> Any:
    """Returns a classifier by the nearest neighbors of so many points: an odd number, so that none is undecided."""
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), KNeighborsClassifier(int(np.sqrt(points)) // 2 * 2 + 1))
