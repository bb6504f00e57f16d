"""Scores of disentanglement of codes of data whose factors of variation are known."""

import numpy as np
from jaxtyping import Shaped

from aejax.datasets.dataset import Dataset, Factors
from aejax.datasets.subset import random_positions, random_subset
from aejax.evaluation.disentanglement import disentanglement_scores
from aejax.evaluation.disentanglement.entrance import EXAMPLES_PER_VALUE
from aejax.evaluation.disentanglement.explicitness import LEAST_EXAMPLES

MAX_EXAMPLES = 5000  # for the trees and classifiers of the scores
_SEED = 0  # of the chosen examples, so that the scores of all runs and members are of the same ones


def scorable(dataset: Dataset) -> Dataset:
    """Returns the examples that codes are scored on: all, or 5,000 random ones of more; files are not read.

    >>> len(scorable(Dataset(np.zeros((6000, 2)))).x)
    5000
    """
    return random_subset(dataset, MAX_EXAMPLES, seed=_SEED)


def describe_unscorable(factors: Factors) -> str | None:
    """Returns why codes of examples with these factors have no scores; None if they have.

    >>> describe_unscorable(Factors(np.array([[0, 1], [1, 1]] * 2), ("x", "y")))
    'expected at least two factors that vary over the examples, got x'
    """
    return _describe(_chosen(factors))


def factor_scores(codes: Shaped[np.ndarray, "N ..."], factors: Factors) -> dict[str, float]:
    """Returns all scores of codes by name, as `disentanglement_scores`; of more than 5,000, of random ones.

    Factors that do not vary over these examples, as in a part of a grid, are left out: those of which fewer than two
    values have two examples.

    Args:
      codes: codes of N examples, of any shape.
      factors: of the same examples.

    Raises:
      ValueError: fewer than two factors vary, there are too few examples, or the codes are all equal or not finite.
    """
    chosen = _chosen(factors)
    if (problem := _describe(chosen)) is not None:
        raise ValueError(problem)
    codes = codes[random_positions(len(codes), MAX_EXAMPLES, seed=_SEED)]
    varying = [k for k, column in enumerate(chosen.values.T) if _varies(column)]
    categorical = [place for place, k in enumerate(varying) if factors.names[k] in factors.categorical]
    return disentanglement_scores(codes.reshape(len(codes), -1), chosen.values[:, varying], categorical=categorical)


def _chosen(factors: Factors) -> Factors:
    return factors._replace(values=factors.values[random_positions(len(factors.values), MAX_EXAMPLES, seed=_SEED)])


def _varies(column: np.ndarray) -> bool:
    counts = np.unique(column, return_counts=True)[1]
    return int(np.sum(counts >= LEAST_EXAMPLES)) > 1


def _describe(factors: Factors) -> str | None:
    columns = {name: column for name, column in zip(factors.names, factors.values.T, strict=True) if _varies(column)}
    if len(columns) < 2:
        return f"expected at least two factors that vary over the examples, got {' '.join(columns) or 'none'}"
    counts = {name: len(np.unique(column)) for name, column in columns.items()}
    most, examples = max(counts, key=counts.__getitem__), len(factors.values)
    if examples < EXAMPLES_PER_VALUE * counts[most]:
        return (
            f"expected at least {EXAMPLES_PER_VALUE * counts[most]:,} examples for the {counts[most]:,} values of "
            f"{most}, got {examples:,}"
        )
    return None
