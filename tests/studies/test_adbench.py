"""Anomalies in tables: which rows are fitted to, published floors, and anomalies that leave a plane."""

import os
from dataclasses import replace
from operator import attrgetter
from pathlib import Path

import jax
import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from aejax.datasets.adbench import LabeledTable, read_table
from aejax.experiment.presets import ADBENCH
from aejax.studies.adbench import (
    MEAN,
    METHODS,
    OURS,
    Trial,
    baseline_scores,
    components_of,
    divide,
    run_trials,
    summarize,
)

FOLDER = Path(os.environ.get("AEJAX_DATA_DIR") or ".") / "adbench"
RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def dtype_promotion():
    """In place of the strict one: Optax mixes integer counts with floats."""
    with jax.numpy_dtype_promotion("standard"):
        yield


def plane(rows: int, anomalies: int) -> LabeledTable:
    """Rows in a plane of a space of 8 dimensions, with noise; the last ones, anomalies, are not in it."""
    basis = np.linalg.qr(RNG.normal(size=(8, 8)))[0]
    x = RNG.normal(size=(rows, 8)) * ([1.0, 1.0] + [0.05] * 6) @ basis
    x[-anomalies:] = RNG.normal(size=(anomalies, 8)) * 0.5 @ basis
    return LabeledTable("plane", x, np.arange(rows) >= rows - anomalies)


# the first column identifies a row: standardization keeps the order of the numbers
NUMBERED = LabeledTable("numbered", np.stack([np.arange(50.0), RNG.normal(size=50)], 1), np.arange(50) % 5 == 0)


@pytest.mark.parametrize("seed", range(3))
def test_only_half_of_the_normal_rows_are_fitted_to(seed):
    division = divide(NUMBERED, "normal", seed=seed)
    assert (len(division.fitted), len(division.test), division.is_anomaly.sum()) == (20, 30, 10)
    # z = (x - m)/s: the first and the last anomaly, 0 and 45, give m and s
    low, high = division.test[division.is_anomaly][[0, -1], 0]
    fitted, tested = (
        np.round((rows[:, 0] - low) / (high - low) * 45).astype(int) for rows in (division.fitted, division.test)
    )
    assert not NUMBERED.is_anomaly[fitted].any()
    assert sorted([*fitted, *tested]) == list(range(50))
    np.testing.assert_array_equal(NUMBERED.is_anomaly[tested], division.is_anomaly)


def test_all_rows_are_fitted_to_and_tested_without_labels():
    division = divide(NUMBERED, "contaminated", seed=0)
    np.testing.assert_array_equal(np.sort(division.fitted, axis=0), np.sort(division.test, axis=0))
    assert division.fitted[0, 0] != division.test[0, 0]  # in random order, since a fifth is held out
    np.testing.assert_array_equal(division.is_anomaly, NUMBERED.is_anomaly)


def test_rows_are_standardized_by_the_rows_that_are_fitted_to():
    division = divide(NUMBERED, "normal", seed=0)
    np.testing.assert_allclose(division.fitted.mean(0), 0, atol=1e-12)
    np.testing.assert_allclose(division.fitted.std(0), 1)
    changed = NUMBERED.x + 1e6 * NUMBERED.is_anomaly[:, None]
    np.testing.assert_array_equal(divide(NUMBERED._replace(x=changed), "normal", seed=0).fitted, division.fitted)


@pytest.mark.slow_after_first
@pytest.mark.skipif(not FOLDER.is_dir(), reason="no folder adbench in AEJAX_DATA_DIR")
@pytest.mark.parametrize(
    ("file", "floors"),
    [  # AUROC of PCA, Mahalanobis distance and norm on all rows, standardized
        ("43_WDBC", (0.833, 0.954, 0.986)),
        ("6_cardio", (0.843, 0.896, 0.950)),
        ("38_thyroid", (0.782, 0.934, 0.956)),
        ("23_mammography", (0.856, 0.860, 0.887)),
        ("25_musk", (0.940, 0.997, 1.000)),
        ("2_annthyroid", (0.569, 0.641, 0.674)),
        ("40_vowels", (0.891, 0.912, 0.622)),
    ],
)
def test_baselines_reproduce_the_floors_of_the_tables(file, floors):
    table = read_table(FOLDER / f"{file}.npz")
    division = divide(table, "contaminated", seed=0)
    scores = baseline_scores(division, components=components_of(table.x.shape[1]), seed=0)
    methods = ("PCA", "Mahalanobis distance", "norm")
    assert [roc_auc_score(table.is_anomaly, scores[m]) for m in methods] == pytest.approx(floors, abs=1e-3)


@pytest.mark.slow
def test_rows_that_leave_a_plane_are_detected():
    small = replace(ADBENCH.model, hidden=(16,))
    experiment = replace(ADBENCH, model=small, training=replace(ADBENCH.training, batch_size=16, epochs=40))
    trials = run_trials(plane(320, 20), "normal", seed=3, experiment=experiment)
    assert [trial.method for trial in trials] == list(METHODS)
    assert {trial[:3] for trial in trials} == {("plane", "normal", 3)}
    found = {trial.method: trial for trial in trials}
    assert found[OURS].auroc > 0.95
    assert found[OURS].average_precision > 0.8
    assert found["norm"].auroc < found[OURS].auroc


def test_deviations_are_over_seeds_of_a_table_and_of_the_mean_over_tables():
    values = {("a", 0): 0.9, ("b", 0): 0.5, ("a", 1): 0.7, ("b", 1): 0.7}
    trials = [Trial(t, "normal", seed, method, auroc, 0.0) for (t, seed), auroc in values.items() for method in METHODS]
    summary = summarize(trials, attrgetter("auroc"))
    assert list(summary) == ["a", "b", MEAN]
    assert summary["a"]["PCA"] == pytest.approx((0.8, np.std([0.9, 0.7], ddof=1)))
    assert summary[MEAN]["norm"] == pytest.approx((0.7, 0.0))
    assert np.isnan(summarize(trials[: 2 * len(METHODS)], attrgetter("auroc"))["a"][OURS].deviation)
