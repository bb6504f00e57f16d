"""Codes of a table's rows beside PCA and FAMD: errors by column, and a column that is predicted from the codes."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float

from aejax.datasets.dataset import Splits
from aejax.errors import UserError
from aejax.evaluation import decode_all, encode_all
from aejax.evaluation.table_baselines import fit_linear_code
from aejax.evaluation.table_errors import column_errors, constant_row
from aejax.experiment.configuration import Experiment
from aejax.experiment.job import Job, fit, make_job
from aejax.experiment.objective import columns_of
from aejax.experiment.table_results import BASELINES, OURS, TableResult, compare_methods

_FOLDS, _STRENGTHS = 5, np.logspace(-3, 4, 15)  # of cross-validation, and of the ridge penalty, on training rows


class Trial(NamedTuple):
    """The result of one seed."""

    seed: int
    result: TableResult
    predicted: Mapping[str, float]  # method -> R² of the predicted column on test rows; empty without such a column
    boosted: Mapping[str, float]  # the same by gradient boosting
    by_unit: Float[np.ndarray, "D K"]  # what of each column is lost where a unit is replaced by its training mean


def run_trial(experiment: Experiment, *, seed: int, predict_log: bool = False) -> Trial:
    """Returns the result of one seed, which is that of the split and of training.

    The labels of the rows, if there are any, are the column to predict: by ridge regression on the codes and their
    squares, with the strength that cross-validation on training rows chooses, and by gradient boosting with the
    defaults of scikit-learn's HistGradientBoostingRegressor, in the same way for every method.

    Args:
      experiment: the configuration, of a table.
      seed: of the split and of training.
      predict_log: whether the logarithm of the labels is predicted.

    Raises:
      UserError: the data are no table, or the labels are no numbers.
    """
    data, training = replace(experiment.data, split_seed=seed), replace(experiment.training, seed=seed)
    job = make_job(replace(experiment, data=data, training=training))
    params = fit(job, devices=jax.devices()[:1]).best_params
    columns = columns_of(job.facts, corruption=experiment.regularization.corruption)
    if columns is None:
        raise UserError(f"{data.dataset}: the study expects a table, such as a .csv file")
    encode, decode = partial(encode_all, job.autoencoder, params), partial(decode_all, job.autoencoder, params)
    train_x, test_x = (np.asarray(split.x) for split in (job.splits.train, job.splits.test))
    codes = {OURS: (encode(train_x), encode(test_x))}
    components = codes[OURS][0].shape[1]
    result = compare_methods(columns, train_x, test_x, decode(codes[OURS][1]), components)
    for method in BASELINES:
        linear = fit_linear_code(columns, train_x, components, method=method)
        codes[method] = linear.encode(train_x), linear.encode(test_x)
    predicted, boosted = {}, {}
    if job.splits.train.labels is not None:
        targets = _targets(job, predict_log)
        predicted = {name: _predict(_ridge(), *of_splits, *targets) for name, of_splits in codes.items()}
        boosted = {name: _predict(_boosting(seed), *of_splits, *targets) for name, of_splits in codes.items()}
    constant = constant_row(columns, train_x)
    by_unit = []
    for unit in range(components):
        without = codes[OURS][1].copy()
        without[:, unit] = codes[OURS][0][:, unit].mean()
        errors = column_errors(columns, test_x, decode(without), constant)
        by_unit.append([e.explained - w.explained for e, w in zip(result.errors[OURS], errors, strict=True)])
    return Trial(seed, result, predicted, boosted, np.array(by_unit).T)


def _targets(job: Job, predict_log: bool) -> tuple[np.ndarray, np.ndarray]:
    """Returns the numbers to predict of training and test rows."""
    splits: Splits = job.splits
    try:
        train, test = (np.asarray(split.labels, np.float64) for split in (splits.train, splits.test))
    except ValueError as error:
        raise UserError(f"{job.experiment.data.labels}: the column to predict must hold numbers: {error}") from error
    if predict_log and min(train.min(), test.min()) <= 0:
        raise UserError(f"{job.experiment.data.labels}: its logarithm requires positive numbers")
    return (np.log(train), np.log(test)) if predict_log else (train, test)


def _predict(
    model: Any, train_codes: np.ndarray, test_codes: np.ndarray, train_y: np.ndarray, test_y: np.ndarray
) -> float:
    """Returns R² on test rows of a regression of scikit-learn on the codes."""
    from threadpoolctl import threadpool_limits  # which scikit-learn requires

    with threadpool_limits(1):  # threads would wait for each other longer than they compute
        return float(model.fit(train_codes, train_y).score(test_codes, test_y))


def _ridge() -> Any:
    """Returns ridge regression on the codes, their squares and products."""
    from sklearn.linear_model import RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import PolynomialFeatures, StandardScaler

    return make_pipeline(
        StandardScaler(),
        PolynomialFeatures(2, include_bias=False),
        StandardScaler(),
        RidgeCV(alphas=_STRENGTHS, cv=_FOLDS),
    )


def _boosting(seed: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingRegressor

    return HistGradientBoostingRegressor(random_state=seed)


def summarize(trials: Sequence[Trial]) -> dict[str, dict[str, list[float]]]:
    """Returns method -> measure -> its value for every trial: the mean errors of columns, and R² of the prediction."""
    summary: dict[str, dict[str, list[float]]] = {}
    for trial in trials:
        for method, mean in trial.result.means.items():
            values = mean._asdict()
            if trial.predicted:
                values |= {"predicted": trial.predicted[method], "boosted": trial.boosted[method]}
            for name, value in values.items():
                summary.setdefault(method, {}).setdefault(name, []).append(value)
    return summary
