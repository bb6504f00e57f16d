"""One-class anomaly detection: an autoencoder trained on one class, compared with PCA and an isolation forest."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import jax
import numpy as np

from aejax.datasets.dataset import Splits, take
from aejax.datasets.sources import source_of
from aejax.errors import UserError
from aejax.evaluation.anomaly import Detection, anomaly_scores, measure_detection, threshold_of
from aejax.evaluation.anomaly_baselines import isolation_forest_scores, pca_scores
from aejax.experiment.configuration import Experiment
from aejax.experiment.job import Job, fit, make_job
from aejax.experiment.loading import as_evaluated, bytes_of, load_splits
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


def count_seeds(experiment: Experiment, repetitions: int | None = None) -> int:
    """Returns the number of seeds that each class is trained with: `repetitions`, or 1, or 5 where a seed splits anew.

    Each seed also splits the data anew where the data set, as ecg5000, has normal training examples alone.
    """
    return repetitions or (1 if source_of(experiment.data.dataset).normal is None else 5)


def make_jobs(
    experiment: Experiment, *, classes: Sequence[str] = (), repetitions: int | None = None
) -> list[tuple[str, Job]]:
    """Returns the normal classes, as text, and the job of every trial of a study.

    Args:
      experiment: of the autoencoder. Its seed is the first one; on ecg5000 every seed also splits the data anew.
      classes: each in turn is normal; all by default. Of ecg5000 normal beats are normal.
      repetitions: seeds for each class, as for `count_seeds`.

    Raises:
      UserError: data without labels, a class that does not exist, or a job that `make_job` refuses.
    """
    data, first = experiment.data, experiment.training.seed
    seeds = range(first, first + count_seeds(experiment, repetitions))
    trials: list[tuple[str, Experiment, Splits]] = []
    if (normal := source_of(data.dataset).normal) is not None:
        for seed in seeds:
            of_seed = replace(data, split_seed=seed)
            changed = replace(experiment, data=of_seed, training=replace(experiment.training, seed=seed))
            trials.append((normal, changed, load_splits(of_seed, bytes_as=bytes_of(experiment))))
    else:
        splits = load_splits(data, bytes_as=bytes_of(experiment))
        if splits.train.labels is None:
            raise UserError(f"{data.dataset}: has no labels, which define the normal class")
        known = {str(label): label for label in np.unique(splits.train.labels).tolist()}
        for label in classes or known:
            of_class = one_class(splits, known.get(label, label))
            for seed in seeds:
                changed = replace(experiment, training=replace(experiment.training, seed=seed))
                trials.append((f"class {label}", changed, of_class))
    for title, _, splits in trials:
        check_kinds(splits, title)
    return [(title, make_job(changed, splits)) for title, changed, splits in trials]


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
    seed, splits = job.experiment.training.seed, as_evaluated(job.splits, job.experiment.data)
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
