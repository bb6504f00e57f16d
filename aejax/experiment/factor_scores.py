"""Scores of disentanglement of codes of data whose factors of variation are known."""

import numpy as np
from jaxtyping import Shaped

from aejax.datasets.dataset import Factors
from aejax.evaluation.disentanglement import disentanglement_scores
from aejax.evaluation.disentanglement.entrance import EXAMPLES_PER_VALUE

MAX_EXAMPLES = 5000  # for the trees and classifiers of the scores


def describe_unscorable(factors: Factors) -> str | None:
    """Returns why codes of examples with these factors have no scores; None if they have.

    >>> describe_unscorable(Factors(np.array([[0, 1], [1, 1]]), ("x", "y")))
    'expected at least two factors that vary over the examples, got x'
    """
    counts = np.array([len(np.unique(column)) for column in factors.values[:MAX_EXAMPLES].T])
    names = [name for name, count in zip(factors.names, counts, strict=True) if count > 1]
    if len(names) < 2:
        return f"expected at least two factors that vary over the examples, got {' '.join(names) or 'none'}"
    most, examples = int(np.argmax(counts)), min(len(factors.values), MAX_EXAMPLES)
    if examples < EXAMPLES_PER_VALUE * counts[most]:
        return (
            f"expected at least {EXAMPLES_PER_VALUE * counts[most]:,} examples for the {counts[most]:,} values of "
            f"{factors.names[most]}, got {examples:,}"
        )
    return None


def factor_scores(codes: Shaped[np.ndarray, "N ..."], factors: Factors) -> dict[str, float]:
    """Returns all scores of the first 5,000 codes by name, as `disentanglement_scores`.

    Factors that are constant over these examples, as in a part of a grid, are left out.

    Args:
      codes: codes of N examples, of any shape.
      factors: of the same examples.

    Raises:
      ValueError: fewer than two factors vary, there are too few examples, or the codes are all equal or not finite.
    """
    if (problem := describe_unscorable(factors)) is not None:
        raise ValueError(problem)
    codes, values = codes[:MAX_EXAMPLES], factors.values[:MAX_EXAMPLES]
    varying = np.flatnonzero(np.ptp(values, axis=0) > 0)
    categorical = [place for place, k in enumerate(varying) if factors.names[k] in factors.categorical]
    return disentanglement_scores(codes.reshape(len(codes), -1), values[:, varying], categorical=categorical)
