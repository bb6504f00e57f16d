"""One class against the rest: an autoencoder trained on normal examples alone, beside PCA and an isolation forest."""

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
from aejax.experiment.configuration import Experiment
from aejax.experiment.trained import fit
from aejax.keys import named_key

METHODS = ("autoencoder", "PCA", "isolation forest")
_QUANTILE = 0.95  # of the validation scores, above which an example is taken for an anomaly


class Trial(NamedTuple):
    """What each method has found in one test part."""

    normal: str  # what was trained on, in words
    seed: int
    method: str
    detection: Detection


def one_class(splits: Splits, label: int | str) -> Splits:
    """Training and validation examples of one class alone; all test examples, of which the other classes are anomalies.

    Raises:
      UserError: no labels, or no training or validation example of the class.

    >>> from aejax.datasets.dataset import Dataset
    >>> part = Dataset(np.zeros((3, 2), np.float32), np.array([0, 1, 1]))
    >>> [len(part.x) for part in one_class(Splits(part, part, part), 1)]
    [2, 2, 3]
    """
    parts = []
    for part in splits[:2]:
        if part.labels is None:
            raise UserError("one class against the rest: the data have no labels")
        chosen = np.flatnonzero(part.labels == label)
        if len(chosen) == 0:
            known = ", ".join(map(str, np.unique(part.labels)))
            raise UserError(f"there is no class {label} to train on and to validate on; the classes are {known}")
        parts.append(take(part, chosen))
    train, validation = parts
    return Splits(train, validation, splits.test)


def truth_of(splits: Splits) -> np.ndarray:
    """Whether each test example is an anomaly, being of a class that was not trained on: (N,) booleans."""
    assert splits.train.labels is not None
    assert splits.test.labels is not None
    return ~np.isin(splits.test.labels, np.unique(splits.train.labels))


def check_kinds(splits: Splits, normal: str) -> None:
    """Raise UserError where the test examples are too few of one kind to be told apart, before anything is trained."""
    truth = truth_of(splits)
    if min(truth.sum(), (~truth).sum()) < 2:
        raise UserError(
            f"{normal}: of the test examples {(~truth).sum()} are normal and {truth.sum()} anomalies, and two of each "
            "kind are needed to measure detection"
        )


def compare(experiment: Experiment, splits: Splits, *, normal: str, components: int, resamples: int) -> list[Trial]:
    """Train on normal examples and tell the others among the test examples; a trial for each of `METHODS`.

    Normal are the classes of the training part. All methods are fitted to that part alone: the validation part tells
    the best epoch, and every method's threshold.

    Args:
      experiment: of the autoencoder; its seed is that of the forest too.
      splits: with labels; training and validation examples are normal.
      normal: what they are, in words.
      components: of PCA.
      resamples: of the bootstrap that the intervals of the average precision are from.
    """
    seed, truth = experiment.training.seed, truth_of(splits)
    autoencoder, snapshot = fit(experiment, splits, devices=jax.devices()[:1])
    known = splits.train.x

    def scores(x: np.ndarray) -> dict[str, np.ndarray]:
        found = (
            anomaly_scores(autoencoder, snapshot.best_params, named_key(jax.random.key(seed), "scores"), x),
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
