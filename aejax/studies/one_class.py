"""One-class anomaly detection: an autoencoder trained on one class, compared with PCA and an isolation forest."""

from typing import NamedTuple

import jax
import numpy as np

from aejax.datasets.dataset import Splits, take
from aejax.errors import UserError
from aejax.evaluation.anomaly import (
    Detection,
    anomaly_scores,
    isolation_forest_scores,
    measure_detection,
    pca_scores,
    threshold_of,
)
from aejax.experiment.job import Job, fit
from aejax.keys import named_key

METHODS = ("autoencoder", "PCA", "isolation forest")
_QUANTILE = 0.95  # of the validation scores; examples with higher scores are classified as anomalies


class Trial(NamedTuple):
    """The result of one method on one test split."""

    normal: str  # the classes that were trained on, as text
    seed: int
    method: str
    detection: Detection


def one_class(splits: Splits, label: int | str) -> Splits:
    """Returns splits whose training and validation examples are of one class; the test split is unchanged.

    Test examples of all other classes are the anomalies.

    Args:
      splits: examples with labels.
      label: the normal class.

    Raises:
      UserError: there are no labels, or no training or validation examples of the class.

    >>> from aejax.datasets.dataset import Dataset
    >>> part = Dataset(np.zeros((3, 2), np.float32), np.array([0, 1, 1]))
    >>> [len(part.x) for part in one_class(Splits(part, part, part), 1)]
    [2, 2, 3]
    """
    parts = []
    for part in splits[:2]:
        if part.labels is None:
            raise UserError("one-class detection requires labels, but the data have no labels")
        chosen = np.flatnonzero(part.labels == label)
        if len(chosen) == 0:
            known = ", ".join(map(str, np.unique(part.labels)))
            raise UserError(f"there is no class {label} to train on and to validate on; the classes are {known}")
        parts.append(take(part, chosen))
    train, validation = parts
    return Splits(train, validation, splits.test)


def truth_of(splits: Splits) -> np.ndarray:
    """Returns whether each test example is an anomaly, because its class is not in the training split: (N,) bool."""
    assert splits.train.labels is not None
    assert splits.test.labels is not None
    return ~np.isin(splits.test.labels, np.unique(splits.train.labels))


def check_kinds(splits: Splits, normal: str) -> None:
    """Raises UserError unless the test split has at least two normal examples and two anomalies."""
    truth = truth_of(splits)
    if min(truth.sum(), (~truth).sum()) < 2:
        raise UserError(
            f"{normal}: the test split has {(~truth).sum()} normal examples and {truth.sum()} anomalies, but two of "
            "each kind are needed to measure detection"
        )


def compare(job: Job, *, normal: str, components: int, resamples: int) -> list[Trial]:
    """Fits every method of `METHODS` to normal examples and measures how well it detects anomalies in the test split.

    The classes of the training split are normal. All methods are fitted to the training split; the validation split
    determines the autoencoder's best epoch and every method's threshold.

    Args:
      job: of the autoencoder, with labels; training and validation examples are normal. Its seed is also used for the
        isolation forest.
      normal: the normal classes, as text.
      components: the number of components of PCA.
      resamples: number of bootstrap samples for the intervals of the average precision.

    Returns:
      One trial per method.
    """
    seed, splits = job.experiment.training.seed, job.splits
    truth = truth_of(splits)
    snapshot = fit(job, devices=jax.devices()[:1])
    known = splits.train.x

    def scores(x: np.ndarray) -> dict[str, np.ndarray]:
        found = (
            anomaly_scores(job.autoencoder, snapshot.best_params, named_key(jax.random.key(seed), "scores"), x),
            pca_scores(known, x, components=components),
            isolation_forest_scores(known, x, seed=seed),
        )
        return dict(zip(METHODS, found, strict=True))

    of_validation, of_test = scores(splits.validation.x), scores(splits.test.x)
    return [
        Trial(
            normal,
            seed,
            method,
            measure_detection(
                of_test[method],
                truth,
                threshold=threshold_of(of_validation[method], quantile=_QUANTILE),
                resamples=resamples,
            ),
        )
        for method in METHODS
    ]
