"""One-class detection: the training examples, and the results of the three methods."""

import contextlib
import math

import jax
import numpy as np
import pytest

from aejax.datasets.dataset import Dataset, Splits
from aejax.errors import UserError
from aejax.evaluation.anomaly_baselines import pca_scores
from aejax.experiment.configuration import Data, Experiment, Model, Optimization, Training
from aejax.experiment.job import make_job
from aejax.studies.one_class import METHODS, check_kinds, compare, one_class

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def dtype_promotion():
    """In place of the strict one: Optax mixes integer counts with floats."""
    with jax.numpy_dtype_promotion("standard"):
        yield


def plane(examples: int, *, first: int) -> Dataset:
    """Class 0 lies in the plane of the first two axes, class 1 outside; the last feature identifies each example."""
    labels = np.arange(examples, dtype=np.int32) % 2
    x = RNG.normal(size=(examples, 6))
    x[:, 2:] *= np.where(labels == 1, 1.0, 0.05)[:, None]
    x[:, 5] = 1e-3 * (first + np.arange(examples))
    return Dataset(x.astype(np.float32), labels)


SPLITS = Splits(plane(200, first=0), plane(60, first=200), plane(100, first=260))


def test_only_training_examples_of_the_class_are_trained_on():
    chosen = one_class(SPLITS, 0)
    assert set(chosen.train.labels) == set(chosen.validation.labels) == {0}
    assert (len(chosen.train.x), len(chosen.validation.x)) == (100, 30)
    np.testing.assert_array_equal(chosen.test.x, SPLITS.test.x)
    seen = set(np.concatenate([chosen.train.x, chosen.validation.x])[:, 5].tolist())
    assert not seen & set(chosen.test.x[:, 5].tolist())


@pytest.mark.slow
def test_all_three_methods_detect_examples_outside_a_plane():
    model = Model(family="undercomplete", hidden=(), code_size=2)
    optimization = Optimization(learning_rate=1e-2)
    experiment = Experiment(
        model=model, optimization=optimization, training=Training(batch_size=20, epochs=200, patience=None, seed=3)
    )
    trials = compare(make_job(experiment, one_class(SPLITS, 0)), normal="class 0", components=2, resamples=10)
    assert [trial.method for trial in trials] == list(METHODS)
    assert {(trial.normal, trial.seed) for trial in trials} == {("class 0", 3)}
    pca = trials[METHODS.index("PCA")].detection
    chosen = one_class(SPLITS, 0)
    of_validation, of_test = (pca_scores(chosen.train.x, part.x, components=2) for part in chosen[1:])
    threshold = np.sort(of_validation)[math.ceil(0.95 * 30) - 1]  # of the normal examples that were not fitted to
    assert pca.false_positive_rate == np.mean(of_test[chosen.test.labels == 0] > threshold)
    assert pca.recall == np.mean(of_test[chosen.test.labels == 1] > threshold)
    for trial in trials:
        assert trial.detection.prevalence == 0.5
        assert trial.detection.auroc.value > 0.9, trial


@pytest.mark.slow
def test_all_methods_are_fitted_to_bits(monkeypatch):
    """Training examples that are drawn in every epoch are drawn once for the other methods."""
    gray = Dataset(RNG.uniform(size=(80, 6)).astype(np.float32), np.zeros(80, np.int32))
    held_out = gray._replace(x=(gray.x > 0.5).astype(np.float32), labels=np.arange(80, dtype=np.int32) % 2)
    fitted = []

    def scores(known, x, **knobs):
        fitted.append(known)
        return np.arange(len(x), dtype=np.float64)

    monkeypatch.setattr("aejax.studies.one_class.pca_scores", scores)
    monkeypatch.setattr("aejax.studies.one_class.isolation_forest_scores", scores)
    model, training = Model(family="undercomplete", hidden=(), code_size=2), Training(batch_size=20, epochs=1)
    job = make_job(
        Experiment(Data("gray.npy", binarize="dynamic"), model, training=training), Splits(gray, gray, held_out)
    )
    compare(job, normal="class 0", components=2, resamples=10)
    assert len(fitted) == 4
    assert all(np.isin(known, [0, 1]).all() for known in fitted)


def test_refusals():
    with pytest.raises(UserError, match=r"there is no class 7 .* the classes are 0, 1"):
        one_class(SPLITS, 7)
    with pytest.raises(UserError, match="the data have no labels"):
        one_class(SPLITS._replace(train=SPLITS.train._replace(labels=None)), 0)


@pytest.mark.parametrize(("labels", "is_enough"), [([0, 0, 1, 2], True), ([0, 0, 0, 1], False), ([0, 1, 1, 1], False)])
def test_too_few_normal_examples_or_anomalies_are_refused(labels, is_enough):
    known, test = Dataset(np.zeros((3, 2)), np.zeros(3, int)), Dataset(np.zeros((4, 2)), np.array(labels))
    with contextlib.nullcontext() if is_enough else pytest.raises(UserError, match="two of each kind are needed"):
        check_kinds(Splits(known, known, test), "class 0")
