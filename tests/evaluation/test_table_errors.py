"""Errors of a table's columns and rows, and the linear codes that they are compared with."""

import math

import jax.numpy as jnp
import numpy as np
import pytest

from aejax.evaluation.table_baselines import fit_linear_code
from aejax.evaluation.table_errors import column_errors, constant_row, scale_of, standardized_error, table_error
from aejax.likelihoods.columns import Binary, Categorical, Continuous, Ordinal
from aejax.likelihoods.table_rows import with_statistics

COLUMNS = [Continuous("area"), Binary("garden"), Categorical("heating", classes=3), Ordinal("quality", classes=4)]


def rows(count=200, seed=0):
    rng = np.random.default_rng(seed)
    factor = rng.normal(size=count)
    x = np.stack([80 + 20 * factor, factor > 0, np.digitize(factor, (-0.5, 0.5)), np.digitize(factor, (-1, 0, 1))], 1)
    x[rng.uniform(size=x.shape) < 0.1] = np.nan
    return x.astype(np.float32)


def test_errors_of_columns_are_in_their_units_and_ignore_missing_values():
    x = np.array([[80.0, 1, 2, 0], [100.0, np.nan, 2, 3], [np.nan, 0, 0, 1]])
    predicted = np.array([[83.0, 1, 2, 1], [96.0, 1, 1, 3], [0.0, 1, 0, 1]])
    constant = constant_row(COLUMNS, x)
    np.testing.assert_allclose(constant, [90, 0, 2, 0])
    errors = column_errors(COLUMNS, x, predicted, constant)
    np.testing.assert_allclose([error.error for error in errors], [math.sqrt(12.5), 0.5, 1 / 3, 1 / 3])
    np.testing.assert_allclose([error.constant for error in errors], [10, 0.5, 1 / 3, 2 / 3])
    np.testing.assert_allclose([error.explained for error in errors], [0.875, 0, 0, 0.5])
    assert [error.known for error in errors] == [2, 2, 3, 3]
    means = table_error(errors, scale_of(COLUMNS, x))
    np.testing.assert_allclose(means, (0.125, (0.5 + 1 / 3 + 1 / 3) / 3))


def test_the_error_of_a_row_counts_deviations_and_wrong_classes():
    columns = [Continuous("area", 80.0, 20.0, may_be_missing=True), *COLUMNS[1:]]
    x, predicted = jnp.array([100.0, 1, 0, 3]), jnp.array([60.0, 0, 2, 1])
    assert float(standardized_error(columns, x, predicted)) == pytest.approx(4 + 1 + 1 + 2)
    assert float(standardized_error(columns, x.at[0].set(jnp.nan), predicted)) == pytest.approx(4)


@pytest.mark.parametrize("method", ["PCA", "FAMD"])
def test_as_many_components_as_features_reconstruct_every_known_value(method):
    x = rows()
    columns = with_statistics(COLUMNS, x)
    features = 1 + 1 + 3 + (3 if method == "PCA" else 4)
    decoded = fit_linear_code(columns, x, features, method=method).reconstruct(x)
    known = ~np.isnan(x)
    assert np.isfinite(decoded).all()
    np.testing.assert_allclose(decoded[known], x[known], atol=1e-3)


def test_one_component_of_one_factor_is_better_than_a_constant():
    x, test_x = rows(), rows(seed=1)
    columns = with_statistics(COLUMNS, x)
    for method in ("PCA", "FAMD"):
        decoded = fit_linear_code(columns, x, 1, method=method).reconstruct(test_x)
        errors = column_errors(columns, test_x, decoded, constant_row(columns, x))
        assert all(error.explained > 0.2 for error in errors)
