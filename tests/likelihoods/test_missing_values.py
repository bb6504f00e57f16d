"""Tables with missing values, ordinal and log-normal columns: log-probabilities by SciPy, gradients, encodings."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats

from aejax.errors import UserError
from aejax.likelihoods import constrain
from aejax.likelihoods.columns import Binary, Categorical, Continuous, Count, LogNormal, Ordinal
from aejax.likelihoods.table_inputs import decode_inputs, encode_inputs, encode_targets, input_size
from aejax.likelihoods.table_rows import check_rows, with_statistics
from aejax.likelihoods.tables import TableLoss, encode_means, parameter_size, table_likelihood, target_likelihood

COLUMNS = (
    LogNormal("price", mean=12.0, standard_deviation=0.5, may_be_missing=True),
    Continuous("area", mean=80.0, standard_deviation=20.0),
    Ordinal("quality", classes=4, may_be_missing=True),
    Categorical("heating", classes=3, may_be_missing=True),
    Binary("garden", may_be_missing=True),
    Count("rooms", mean=1.5, standard_deviation=0.4),
    Ordinal("storeys", classes=2),
)
ROW = np.array([2e5, 90.0, 2.0, 1.0, 1.0, 4.0, 0.0])
PARAMETERS = np.array([0.3, -0.7, 0.2, -0.4, 1.1, 0.5, -0.6, 0.1, -0.2, 1.5, 0.4, 1.2, -0.8])


def scipy_terms(row, p):
    """The log-probability of every column, by SciPy."""
    thresholds = np.concatenate([[-np.inf, 0.0], np.cumsum(np.log1p(np.exp(p[5:7]))), [np.inf]])
    cumulative = special.expit(thresholds - p[4])
    return np.array(
        [
            stats.lognorm.logpdf(row[0], s=0.5 * math.exp(p[1] / 2), scale=math.exp(12 + 0.5 * p[0])),
            stats.norm.logpdf(row[1], 80 + 20 * p[2], 20 * math.exp(p[3] / 2)),
            np.log(np.diff(cumulative)[int(row[2])]),
            special.log_softmax(p[7:10])[int(row[3])],
            stats.bernoulli.logpmf(row[4], special.expit(p[10])),
            stats.poisson.logpmf(row[5], math.exp(p[11])),
            special.log_expit(-p[12]) if row[6] == 0 else special.log_expit(p[12]),
        ]
    )


def test_log_probability_of_the_known_values_is_scipys(float64):
    log_prob = jax.jit(table_likelihood(COLUMNS).log_prob)
    for missing in ([], [0], [2, 3], [1], range(7)):
        row = ROW.copy()
        row[list(missing)] = np.nan
        known = ~np.isnan(row)
        expected = scipy_terms(ROW, PARAMETERS)[known].sum()
        np.testing.assert_allclose(log_prob(jnp.array(row), jnp.array(PARAMETERS)), expected, rtol=1e-10, atol=1e-10)


@pytest.mark.slow_after_first
@pytest.mark.parametrize("classes", [2, 3, 7])
def test_ordinal_probabilities_sum_to_one(float64, classes):
    log_prob = jax.vmap(table_likelihood([Ordinal("quality", classes=classes)]).log_prob, (0, None))
    parameters = jnp.array(np.random.default_rng(0).normal(size=classes - 1) * 3)
    by_class = log_prob(jnp.arange(classes, dtype=float)[:, None], parameters)
    np.testing.assert_allclose(jnp.exp(by_class).sum(), 1, rtol=1e-12)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.booleans(), min_size=7, max_size=7), st.floats(-30, 30))
def test_no_pattern_of_missing_values_gives_a_nan(missing, scale):
    row = jnp.asarray(np.where(missing, np.nan, ROW), jnp.float32)
    output = jnp.asarray(scale * PARAMETERS, jnp.float32)
    value, (by_row, by_output) = _VALUE_AND_GRADIENTS(row, output)
    assert np.isfinite(value)
    assert np.isfinite(by_row).all()
    assert np.isfinite(by_output).all()
    if all(missing):
        assert value == 0


def _log_prob(row, output):
    likelihood = table_likelihood(COLUMNS)
    return likelihood.log_prob(row, constrain(likelihood, output))


_VALUE_AND_GRADIENTS = jax.jit(jax.value_and_grad(_log_prob, argnums=(0, 1)))


def test_inputs_by_hand():
    row = jnp.asarray(ROW, jnp.float32)
    expected = [(math.log(2e5) - 12) / 0.5, 1, 0.5, 1, 1, 0, 1, 0, 1, 0, 1, 1, 1, (math.log(5) - 1.5) / 0.4, 0]
    np.testing.assert_allclose(encode_inputs(COLUMNS, row), expected, rtol=1e-5)
    np.testing.assert_allclose(encode_targets(COLUMNS, row)[input_size(COLUMNS) :], np.ones(7))
    missing = encode_targets(COLUMNS, jnp.full(7, jnp.nan))
    np.testing.assert_array_equal(missing, np.zeros(input_size(COLUMNS) + 7))


def test_rows_survive_encoding_and_decoding():
    row = jnp.asarray(ROW, jnp.float32)
    np.testing.assert_allclose(decode_inputs(COLUMNS, encode_inputs(COLUMNS, row)), ROW, rtol=1e-5)


def test_decoded_rows_lie_in_the_support_of_their_columns():
    for scale in (1.0, 1e3, -1e3):
        row = decode_inputs(COLUMNS, jnp.full(input_size(COLUMNS), scale))
        check_rows(COLUMNS, np.asarray(row.at[5].set(jnp.round(row[5])))[None], "decoded")
        assert np.isfinite(row).all()


@pytest.mark.slow
def test_samples_have_the_frequencies_of_the_likelihood():
    likelihood = table_likelihood(COLUMNS)
    keys = jax.random.split(jax.random.key(0), 20_000)
    x = np.asarray(jax.jit(jax.vmap(likelihood.sample, (0, None)))(keys, jnp.asarray(PARAMETERS, jnp.float32)))
    check_rows(COLUMNS, x, "samples")
    for column, classes in ((2, 4), (6, 2)):
        rows = np.tile(ROW, (classes, 1))
        rows[:, column] = range(classes)
        probabilities = np.exp([scipy_terms(row, PARAMETERS)[column] for row in rows])
        np.testing.assert_allclose(np.bincount(x[:, column].astype(int)) / len(x), probabilities, atol=0.02)
    np.testing.assert_allclose(np.log(x[:, 0]).mean(), 12.15, atol=0.02)


@pytest.mark.slow
def test_means_are_those_of_the_inputs_of_samples():
    likelihood = target_likelihood(COLUMNS)
    keys = jax.random.split(jax.random.key(0), 20_000)
    parameters = jnp.asarray(PARAMETERS, jnp.float32)
    inputs = np.asarray(jax.jit(jax.vmap(likelihood.sample, (0, None)))(keys, parameters))
    expected = np.asarray(encode_means(COLUMNS, parameters))
    of_rates = 13  # the logarithm of a mean is not the mean of logarithms
    np.testing.assert_allclose(
        np.delete(inputs.mean(axis=0), of_rates), np.delete(expected, of_rates), atol=0.03, rtol=0
    )


def test_table_loss_by_hand():
    loss = TableLoss(COLUMNS)
    assert loss.output_size == 11
    output = jnp.asarray(np.linspace(-1, 1, 11), jnp.float32)
    row = ROW.copy()
    row[4] = np.nan
    inputs = np.asarray(encode_inputs(COLUMNS, jnp.asarray(ROW, jnp.float32)))
    numbers = np.square(inputs[[0, 2, 13]] - np.asarray(output)[[0, 1, 9]]).sum()
    as_parameters = np.concatenate([np.zeros(4), output[2:5], output[5:8], output[8:9], [0], output[10:]])
    classes = -scipy_terms(ROW, as_parameters)[[2, 3, 6]].sum()
    got = loss(encode_targets(COLUMNS, jnp.asarray(row, jnp.float32)), output)
    np.testing.assert_allclose(got, numbers + classes, rtol=1e-5)
    linked = loss.link(output)
    assert linked.shape == inputs.shape
    np.testing.assert_allclose(linked[jnp.array([0, 2, 13])], output[jnp.array([0, 1, 9])])


def test_kinds_with_the_same_settings_are_not_confused():
    one, other = (encode_inputs([kind("a", classes=3)], jnp.array([2.0])) for kind in (Categorical, Ordinal))
    assert (one.tolist(), other.tolist()) == ([0, 0, 1], [1, 1])
    one, other = (encode_inputs([kind("a")], jnp.array([1.0])) for kind in (Continuous, LogNormal))
    assert (one.tolist(), other.tolist()) == ([1], [0])


def test_counts_start_at_their_typical_rate():
    likelihood = table_likelihood(COLUMNS)
    parameters = constrain(likelihood, jnp.zeros(parameter_size(COLUMNS)))
    np.testing.assert_allclose(likelihood.mean(parameters)[5], math.expm1(1.5), rtol=1e-5)


def test_statistics_ignore_missing_values():
    rows = [[math.e, 1.0, None], [math.e**3, None, 2.0], [None, 3.0, 2.0]]
    columns = [LogNormal("price"), Count("rooms"), Ordinal("quality", classes=3)]
    price, rooms, quality = with_statistics(columns, rows)
    np.testing.assert_allclose((price.mean, price.standard_deviation), (2, 1))
    np.testing.assert_allclose(rooms.mean, np.log([2, 4]).mean())
    assert (price.may_be_missing, rooms.may_be_missing, quality.may_be_missing) == (True, True, True)


def test_refuses_what_a_column_cannot_hold():
    with pytest.raises(UserError, match="column price: it is missing in every training row"):
        with_statistics([LogNormal("price")], [[None], [None]])
    with pytest.raises(UserError, match=r"houses, column price: log_normal expects values in \(0, inf\)"):
        check_rows([LogNormal("price")], [[0.0]], "houses")
    with pytest.raises(UserError, match=r"column quality: ordinal\(classes=3\) expects values in \[0, 2\]"):
        check_rows([Ordinal("quality", classes=3)], [[3.0]], "houses")
