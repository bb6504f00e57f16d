"""Disentanglement, completeness and informativeness, DCI, by the importance of units for trees that predict factors."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Shaped

from aejax.evaluation.disentanglement.entrance import check_categorical, checked, halves
from aejax.evaluation.disentanglement.information import entropy

TREES = 50


class DCI(NamedTuple):
    """The three scores, which are to be read together: an uninformative code may have any of the first two."""

    disentanglement: float  # 1: each unit is important for one factor only; 0: equally for all
    completeness: float  # 1: one unit is important for each factor; 0: all units equally
    informativeness_error: float  # mean over factors; 0: predicted without error, 1: no better than without the code


def disentanglement_completeness_informativeness(
    codes: Shaped[np.ndarray, "N K"],
    factors: Shaped[np.ndarray, "N F"],
    *,
    categorical: Iterable[int] = (),
    seed: int = 0,
) -> DCI:
    """Returns the three scores of codes, from the importance R (L, F) of every live unit for every factor.

        D = Σᵢ ρᵢ (1 - H(Rᵢ. / Σⱼ Rᵢⱼ) / log F),  ρᵢ = Σⱼ Rᵢⱼ / Σᵢⱼ Rᵢⱼ,
        C = (1/F) Σⱼ (1 - H(R.ⱼ / Σᵢ Rᵢⱼ) / log L).

    R is the decrease of impurity in a random forest that predicts a factor from the code, whose sum is 1 for each
    factor: a regression for an ordered factor, a classifier for a categorical one. It is fitted to a random half of the
    examples and tested on the other: the error is the root mean squared error relative to that of the mean, or the
    fraction wrong relative to that of the most frequent class. Of one live unit, C = 1. Invariant to the sign and scale
    of units, and to their order up to the choice between equal splits; dead units do nothing.

    Args:
      codes: codes of N examples, such as posterior means, with K units, of which L are not dead.
      factors: the values of F >= 2 factors of the same examples.
      categorical: positions of the factors whose values have no order, from 0.
      seed: of the division into halves and of the trees.

    Raises:
      TypeError: arrays are not numbers.
      ValueError: fewer than 2 factors, a constant one, only dead units, fewer than 10 examples per value of a factor,
        or `categorical` holds a position that does not exist.

    Source: C. Eastwood, C. K. I. Williams (2018), A Framework for the Quantitative Evaluation of Disentangled
    Representations, section 2.

    >>> factors = np.stack(np.meshgrid(range(8), range(8)), -1).reshape(-1, 2).repeat(4, axis=0)
    >>> disentanglement_completeness_informativeness(factors, factors)
    DCI(disentanglement=1.0, completeness=1.0, informativeness_error=0.0)
    """
    given = checked(codes, factors, score="DCI", least_factors=2)
    count = given.values.shape[1]
    positions = check_categorical(categorical, count)
    importance, errors = np.zeros((given.codes.shape[1], count)), np.zeros(count)
    for place in range(count):
        fitted, tested = halves(given.classes[:, place], seed)
        predict = _classify if place in positions else _regress
        target = (given.classes if place in positions else given.values)[:, place]
        importance[:, place], errors[place] = predict(
            given.codes[fitted], target[fitted], given.codes[tested], target[tested], seed
        )
    return DCI(*scores_of_importance(importance), float(errors.mean()))


def scores_of_importance(importance: Float[np.ndarray, "L F"]) -> tuple[float, float]:
    """Returns D and C of the importance of L units for F >= 2 factors, as above; both 0 if nothing is important.

    Args:
      importance: R, at least 0.

    >>> scores_of_importance(np.eye(2)), scores_of_importance(np.ones((2, 2)))
    ((1.0, 1.0), (0.0, 0.0))
    """
    total = importance.sum()
    if total == 0:
        return 0.0, 0.0
    units, count = importance.shape
    of_units = _concentration(importance) @ importance.sum(axis=1) / total
    of_factors = importance[:, importance.sum(axis=0) > 0].T
    complete = np.sum(_concentration(of_factors)) / count if units > 1 else len(of_factors) / count
    return float(of_units), float(complete)


def _concentration(rows: np.ndarray) -> np.ndarray:
    """Returns 1 - H/log n of every row, divided by its sum; of a row of zeros 0."""
    sums = rows.sum(axis=1, keepdims=True)
    shares = np.divide(rows, sums, out=np.full_like(rows, 1 / rows.shape[1]), where=sums > 0)
    return np.maximum(1 - entropy(shares) / np.log(rows.shape[1]), 0.0)


def _classify(
    codes: np.ndarray, classes: np.ndarray, held_out: np.ndarray, held_out_classes: np.ndarray, seed: int
) -> tuple[np.ndarray, float]:
    from sklearn.ensemble import RandomForestClassifier

    # every split may choose among all units: a choice among few of them forces splits by units without information
    forest = RandomForestClassifier(TREES, max_features=None, random_state=seed).fit(codes, classes)
    wrong = np.mean(forest.predict(held_out) != held_out_classes)
    guessed = np.mean(held_out_classes != np.argmax(np.bincount(classes)))
    return forest.feature_importances_, float(wrong / guessed) if guessed else 1.0


def _regress(
    codes: np.ndarray, values: np.ndarray, held_out: np.ndarray, held_out_values: np.ndarray, seed: int
) -> tuple[np.ndarray, float]:
    from sklearn.ensemble import RandomForestRegressor

    forest = RandomForestRegressor(TREES, max_features=None, random_state=seed).fit(codes, values)
    squared, guessed = (
        np.mean(np.square(held_out_values - guess)) for guess in (forest.predict(held_out), values.mean())
    )
    return forest.feature_importances_, float(np.sqrt(squared / guessed)) if guessed else 1.0
