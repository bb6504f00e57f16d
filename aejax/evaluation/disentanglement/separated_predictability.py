"""The separated attribute predictability, SAP: whether one unit predicts a factor and the next best does not."""

import warnings
from collections.abc import Iterable

import numpy as np
from jaxtyping import Float, Shaped

from aejax.evaluation.disentanglement.entrance import check_categorical, checked, halves

_INVERSE_WEIGHT = 0.01  # C of the support vector machine, as in the study of Locatello et al.


def separated_predictability(
    codes: Shaped[np.ndarray, "N K"],
    factors: Shaped[np.ndarray, "N F"],
    *,
    categorical: Iterable[int] = (),
    seed: int = 0,
) -> Float[np.ndarray, "F"]:
    """Returns the difference of the two best units' scores for every factor; the score SAP is their mean.

    The score of a unit for an ordered factor is R², the squared correlation with its values; for a categorical one, the
    balanced accuracy of a linear support vector machine on the standardized unit, fitted to a random half of the
    examples and tested on the other. Of one live unit, the second score is that of a constant. The difference is at
    most 1, and at most 1 - 1/v for a categorical factor with v values. Invariant to the order, sign and scale of units;
    dead units do nothing.

    Args:
      codes: codes of N examples, such as posterior means.
      factors: the values of F factors of the same examples.
      categorical: positions of the factors whose values have no order, from 0.
      seed: of the division into halves.

    Raises:
      TypeError: arrays are not numbers.
      ValueError: a constant factor, only dead units, fewer than 10 examples per value of a factor, or `categorical`
        holds a position that does not exist.

    Source: A. Kumar, P. Sattigeri, A. Balakrishnan (2018), Variational Inference of Disentangled Latent Concepts from
    Unlabeled Observations, section 3.

    >>> factors = np.stack(np.meshgrid(range(8), range(8)), -1).reshape(-1, 2).repeat(2, axis=0)
    >>> separated_predictability(factors, factors).round(4).tolist()
    [1.0, 1.0]
    """
    given = checked(codes, factors, score="the separated attribute predictability")
    positions = check_categorical(categorical, given.values.shape[1])
    values = (given.values - given.values.mean(axis=0)) / given.values.std(axis=0)
    scores = np.square(given.codes.T @ values / len(values))
    chance = np.zeros(scores.shape[1])
    for position in positions:
        scores[:, position] = _accuracies(given.codes, given.classes[:, position], seed)
        chance[position] = 1 / (given.classes[:, position].max() + 1)
    ordered = np.sort(np.concatenate([chance[None], scores]) if len(scores) == 1 else scores, axis=0)
    return ordered[-1] - ordered[-2]


def _accuracies(codes: np.ndarray, classes: np.ndarray, seed: int) -> np.ndarray:
    """Returns the balanced accuracy of a linear classifier of each unit."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.metrics import balanced_accuracy_score
    from sklearn.svm import LinearSVC

    fitted, tested = halves(classes, seed)
    accuracies = []
    for unit in codes.T[:, :, None]:
        # the primal problem has no random order of examples
        machine = LinearSVC(C=_INVERSE_WEIGHT, class_weight="balanced", dual=False)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            machine.fit(unit[fitted], classes[fitted])
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "y_pred contains classes not in y_true")
            accuracies.append(balanced_accuracy_score(classes[tested], machine.predict(unit[tested])))
    return np.array(accuracies)
