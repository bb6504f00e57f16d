"""The reconstruction error of a run's test examples: of each, by class, and of PCA with a code of the same length."""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from aejax.datasets.subset import random_subset
from aejax.evaluation.principal import fit_pca
from aejax.evaluation.table_baselines import fit_linear_code
from aejax.experiment.table_results import errors_of_rows, table_columns
from aejax.experiment.trained import TrainedRun
from aejax.likelihoods.columns import places_of

UNIT, TABLE_UNIT = "(unit of data)²", "variances, or wrong classes"
_MAX_FITTED, _MAX_FEATURES = 10_000, 4096  # training examples and features that PCA is fitted to


class ClassError(NamedTuple):
    """Squared errors per feature over the test examples of one class."""

    label: str
    examples: int
    mean: float
    median: float
    largest: float


def unit_of(run: TrainedRun) -> str:
    """Returns the unit of `squared_errors`."""
    return UNIT if run.facts.columns is None else TABLE_UNIT


def squared_errors(run: TrainedRun) -> Float[np.ndarray, "N"]:
    """Returns the squared error of every test example's reconstruction, mean over features, in `unit_of(run)`.

    For a table, it is the `standardized_error` per known value.
    """
    if run.facts.columns is not None:
        return errors_of_rows(run, np.asarray(run.splits.test.x), run.reconstruct(run.splits.test))
    return _errors(run.splits.test.x, run.reconstruct(run.splits.test))


def errors_by_class(labels: np.ndarray, errors: Float[np.ndarray, "N"]) -> list[ClassError]:
    """Returns the errors of every class, in the order of the sorted labels.

    Args:
      labels: (N,) integers or text.
      errors: (N,) the errors of the examples.

    >>> errors_by_class(np.array(["b", "a", "b"]), np.array([1.0, 5.0, 2.0]))[1]
    ClassError(label='b', examples=2, mean=1.5, median=1.5, largest=2.0)
    """
    rows = []
    for label in np.unique(labels):
        of_class = errors[labels == label]
        values = (float(of_class.mean()), float(np.median(of_class)), float(of_class.max()))
        rows.append(ClassError(str(label), len(of_class), *values))
    return rows


def pca_error(run: TrainedRun) -> float | None:
    """Returns the mean squared error per feature of PCA on the test examples, with as many components as code units.

    PCA is fitted to at most 10,000 training examples, random ones of more. None if it is no baseline: the code is not a
    vector or not shorter than the example, inputs differ from targets, there are fewer training examples than
    components, or the examples have more than 4,096 features.
    """
    if run.facts.columns is not None:
        return _pca_error_of_table(run)
    splits, train_x, features = run.splits, _fitted(run), math.prod(run.example_shape)
    components = run.code_shape[0] if len(run.code_shape) == 1 else features
    if splits.test.input is not None or not components < min(features, len(train_x)) or features > _MAX_FEATURES:
        return None
    train, test = (np.asarray(x, np.float32).reshape(len(x), -1) for x in (train_x, splits.test.x))
    filled_train, filled_test = train, test
    if run.facts.lengths is not None:  # padding is filled by the mean of the training sequences at that step
        counts = np.maximum((~np.isnan(train)).sum(axis=0), 1)
        means = np.nansum(train, axis=0) / counts
        filled_train, filled_test = (np.where(np.isnan(x), means, x) for x in (train, test))
    pca = fit_pca(filled_train, components, random_state=0)
    return float(_errors(test, pca.inverse_transform(pca.transform(filled_test))).mean())


def _pca_error_of_table(run: TrainedRun) -> float | None:
    columns, components = table_columns(run), math.prod(run.code_shape)
    train_x, test_x = _fitted(run), np.asarray(run.splits.test.x)
    if not components < min(places_of(columns).input_size, len(train_x)):
        return None
    code = fit_linear_code(columns, np.asarray(train_x), components, method="PCA")
    return float(errors_of_rows(run, test_x, code.reconstruct(test_x)).mean())


def _fitted(run: TrainedRun) -> np.ndarray:
    """Returns the training examples that PCA is fitted to; files are not read."""
    return random_subset(run.splits.train, _MAX_FITTED, seed=0).x


def _errors(x: np.ndarray, reconstruction: np.ndarray) -> Float[np.ndarray, "N"]:
    """Returns the mean squared error (N,) over the features that are not NaN, as those of padding are."""
    return np.nanmean(np.square(x - reconstruction, dtype=np.float64).reshape(len(x), -1), axis=1)
