"""Anomalies in tables: an autoencoder, trained on normal rows or on all rows, and baselines on the same rows."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal, NamedTuple

import jax
import numpy as np
from jaxtyping import Bool, Float

from aejax.datasets.adbench import LabeledTable
from aejax.datasets.dataset import Dataset, Splits
from aejax.evaluation.anomaly import anomaly_scores
from aejax.evaluation.anomaly_baselines import isolation_forest_scores, mahalanobis_scores, norm_scores, pca_scores
from aejax.experiment.configuration import Experiment
from aejax.experiment.job import fit, make_job
from aejax.experiment.presets import ADBENCH
from aejax.keys import named_key

Protocol = Literal["normal", "contaminated"]
PROTOCOLS: dict[Protocol, str] = {
    "normal": "fitted to half of the normal rows; tested on the other half and all anomalies",
    "contaminated": "fitted to all rows, anomalies among them, without labels; tested on the same rows",
}
OURS = "autoencoder"
METHODS = (OURS, "PCA", "Mahalanobis distance", "isolation forest", "norm")
MEAN = "mean over tables"
HELD_OUT = 0.2  # of the rows that are fitted to: they decide the autoencoder's best epoch


class Trial(NamedTuple):
    """The result of one method on one table."""

    table: str
    protocol: Protocol
    seed: int
    method: str
    auroc: float  # P(score of an anomaly > score of a normal row), ties count one half
    average_precision: float  # Σₙ (Rₙ - Rₙ₋₁) Pₙ over all thresholds, anomalies as positives


class Division(NamedTuple):
    """The rows of a table that are fitted to and tested on, standardized by the rows that are fitted to."""

    fitted: Float[np.ndarray, "M D"]
    test: Float[np.ndarray, "N D"]
    is_anomaly: Bool[np.ndarray, "N"]  # of the rows of the test


class Mean(NamedTuple):
    """A measure's mean and deviation over seeds; the deviation of one seed is NaN."""

    mean: float
    deviation: float


def divide(table: LabeledTable, protocol: Protocol, *, seed: int) -> Division:
    """Returns the rows to fit to, in random order, and the rows to test on.

    Args:
      table: the rows and which of them are anomalies.
      protocol: normal: half of the normal rows, drawn at random, are fitted to, and all other rows are tested;
        contaminated: all rows are fitted to, and all are tested.
      seed: of the order and the draw.

    >>> table = LabeledTable("line", np.arange(8.0)[:, None], np.arange(8) >= 6)
    >>> division = divide(table, "normal", seed=0)
    >>> division.fitted.shape, division.test.shape, int(division.is_anomaly.sum())
    ((3, 1), (5, 1), 2)
    """
    from sklearn.preprocessing import StandardScaler

    rng = np.random.default_rng(seed)
    if protocol == "normal":
        normal = rng.permutation(np.flatnonzero(~table.is_anomaly))
        fitted, others = np.split(normal, [len(normal) // 2])
        test = np.sort(np.concatenate([others, np.flatnonzero(table.is_anomaly)]))
    else:
        fitted, test = rng.permutation(len(table.x)), np.arange(len(table.x))
    scaler = StandardScaler().fit(table.x[fitted])
    return Division(scaler.transform(table.x[fitted]), scaler.transform(table.x[test]), table.is_anomaly[test])


def components_of(columns: int, experiment: Experiment = ADBENCH) -> int:
    """Returns the dimension of the code and of the principal subspace: the experiment's, or a quarter of the columns.

    >>> components_of(21), components_of(3)
    (5, 1)
    """
    return experiment.model.code_size or max(1, columns // 4)


def baseline_scores(division: Division, *, components: int, seed: int) -> dict[str, Float[np.ndarray, "N"]]:
    """Returns baseline -> scores of the test rows, higher for anomalies.

    Args:
      division: the standardized rows.
      components: of PCA.
      seed: of the isolation forest.
    """
    fitted, test = division.fitted, division.test
    found = (
        pca_scores(fitted, test, components=components),
        mahalanobis_scores(fitted, test),
        isolation_forest_scores(fitted, test, seed=seed),
        norm_scores(test),
    )
    return dict(zip(METHODS[1:], found, strict=True))


def autoencoder_scores(
    division: Division, *, name: str, seed: int, experiment: Experiment = ADBENCH
) -> Float[np.ndarray, "N"]:
    """Returns the scores of the test rows by an autoencoder: squared errors, or negative bounds of a variational one.

    A fifth of the fitted rows is held out and decides the best epoch, by its loss, without labels.

    Args:
      division: the standardized rows.
      name: of the table, for messages.
      seed: of training.
      experiment: of the autoencoder. A code_size of None is a quarter of the columns; batch_size is at most the number
        of training rows.

    Raises:
      UserError: `make_job` or `fit` refuses the experiment.
    """
    rows = division.fitted.astype(np.float32)
    train, validation = (Dataset(part) for part in np.split(rows, [len(rows) - max(1, round(HELD_OUT * len(rows)))]))
    test = division.test.astype(np.float32)
    training = experiment.training
    job = make_job(
        replace(
            experiment,
            data=replace(experiment.data, dataset=f"{name}.npz"),
            model=replace(experiment.model, code_size=components_of(rows.shape[1], experiment)),
            training=replace(training, seed=seed, batch_size=min(training.batch_size, len(train.x))),
        ),
        Splits(train, validation, Dataset(test)),
    )
    params = fit(job, devices=jax.devices()[:1]).best_params
    return anomaly_scores(job.autoencoder, params, named_key(jax.random.key(seed), "scores"), test)


def run_trials(
    table: LabeledTable, protocol: Protocol, *, seed: int = 0, experiment: Experiment = ADBENCH
) -> list[Trial]:
    """Fits every method of `METHODS` and measures how well its scores separate the test rows' anomalies.

    Labels are used for the division of the protocol `normal` and for the measures, and for nothing else.

    Args:
      table: the rows and which of them are anomalies.
      protocol: which rows are fitted to and which are tested, as for `divide`.
      seed: of the division, of training and of the isolation forest.
      experiment: of the autoencoder, as for `autoencoder_scores`.

    Returns:
      One trial per method.

    Raises:
      UserError: `make_job` or `fit` refuses the experiment.

    >>> rows = np.random.default_rng(0).normal(size=(60, 4)) * [1, 1, 1, 0.1]
    >>> rows[50:, 3] += 3  # anomalies leave the space of the first three columns
    >>> trials = run_trials(LabeledTable("space", rows, np.arange(60) >= 50), "normal")
    >>> {trial.method: trial.auroc for trial in trials}["Mahalanobis distance"]
    1.0
    """
    from sklearn.metrics import average_precision_score, roc_auc_score

    division = divide(table, protocol, seed=seed)
    scores = {
        OURS: autoencoder_scores(division, name=table.name, seed=seed, experiment=experiment),
        **baseline_scores(division, components=components_of(table.x.shape[1], experiment), seed=seed),
    }
    truth = division.is_anomaly
    return [
        Trial(
            *(table.name, protocol, seed, method),
            float(roc_auc_score(truth, scores[method])),
            float(average_precision_score(truth, scores[method])),
        )
        for method in METHODS
    ]


def summarize(trials: Sequence[Trial], measure: Callable[[Trial], float]) -> dict[str, dict[str, Mean]]:
    """Returns table -> method -> the measure's mean and deviation over seeds, of trials of one protocol.

    The last entry, `MEAN`, is over all tables: its deviation is that of the seeds' means.

    Args:
      trials: with equal seeds for every table.
      measure: of a trial, such as `operator.attrgetter("auroc")`.
    """
    tables, seeds = (list(dict.fromkeys(values)) for values in zip(*((t.table, t.seed) for t in trials), strict=True))
    values = {(t.table, t.method, t.seed): measure(t) for t in trials}

    def over_seeds(method: str, chosen: Sequence[str]) -> Mean:
        of_seeds = [np.mean([values[table, method, seed] for table in chosen]) for seed in seeds]
        return Mean(float(np.mean(of_seeds)), float(np.std(of_seeds, ddof=1)) if len(seeds) > 1 else float("nan"))

    groups = {table: [table] for table in tables} | {MEAN: tables}
    return {title: {method: over_seeds(method, chosen) for method in METHODS} for title, chosen in groups.items()}
