"""Measures of codes, against closed forms of linear Gaussian models and counts by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aejax.autoencoders import undercomplete, variational
from aejax.datasets.subset import random_positions
from aejax.evaluation import (
    Measure,
    as_terms,
    code_statistics,
    is_active,
    is_collapsed,
    make_mean_frobenius_norm,
    make_watch,
    mean_frobenius_norm,
    measures,
    mutual_information,
    sensitivity,
)
from aejax.evaluation.representation import map_over_examples
from aejax.experiment import code_sentences
from aejax.experiment.report import term_of
from aejax.networks import Network
from aejax.priors import mixture_prior, standard_normal

KEY = jax.random.key(0)
RNG = np.random.default_rng(0)
X = RNG.normal(size=(3000, 3)).astype(np.float32)


def fixed(function) -> Network:
    """A network without parameters."""
    return Network(lambda key, x: {}, lambda params, x: function(x))


def gaussian_encoder(gains, log_variances) -> Network:
    """An encoder whose mean is `gains` times the example, with constant variances."""
    return fixed(lambda x: jnp.concatenate([jnp.array(gains) * x, jnp.array(log_variances)]))


DECODER = fixed(lambda code: code[:3])
PARAMS = {"encoder": {}, "decoder": {}}
CONDITIONED = undercomplete(Network(lambda key, x, *c: {}, lambda params, x, *c: jnp.tanh(x)), DECODER)


@pytest.mark.slow
def test_mutual_information_of_a_linear_gaussian_channel():
    """Of z = a x + s ε, x and ε standard normal, it is ½ log(1 + a²/s²) for each unit."""
    gains, deviations = np.array([1.0, 2.0, 0.0]), np.array([0.5, 1.0, 1.0])
    mean = jnp.asarray(X * gains, jnp.float32)
    log_variance = jnp.broadcast_to(jnp.asarray(2 * np.log(deviations), jnp.float32), mean.shape)
    expected = 0.5 * np.sum(np.log1p((gains / deviations) ** 2))
    estimates = [float(mutual_information(jax.random.key(seed), mean, log_variance)) for seed in range(4)]
    assert np.mean(estimates) == pytest.approx(expected, abs=0.06)  # the spread of log densities over sqrt(12,000), x 4


@pytest.mark.slow
def test_statistics_of_a_posterior_with_an_inactive_unit():
    gains, log_variances = [1.0, 0.05, 0.0], [-1.0, 0.0, 0.0]
    vae = variational(gaussian_encoder(gains, log_variances), DECODER)
    statistics = code_statistics(vae, {"encoder": {}, "decoder": {}}, KEY, X, batch_size=700)
    assert (statistics["units"], statistics["active_units"]) == (3, 1)  # 0.05² is below 0.01
    second_moment = np.mean(np.square(X, dtype=np.float64), axis=0)
    expected = 0.5 * (np.exp(log_variances) - 1 - np.array(log_variances) + np.square(gains) * second_moment)
    np.testing.assert_allclose(statistics["kl"], expected, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(statistics["frobenius_norm"], np.sqrt(np.sum(np.square(gains))), rtol=1e-5)
    assert statistics["mutual_information"] == pytest.approx(0.5 * np.log1p(np.e), abs=0.1)
    assert not is_collapsed(statistics)
    assert "saturation" not in statistics


@pytest.mark.slow
def test_collapse_is_fewer_than_a_tenth_of_the_units():
    def collapses(on):
        gains = jnp.array([1.0] * on + [0.0] * (20 - on))
        vae = variational(fixed(lambda x: jnp.concatenate([gains * x[0], jnp.zeros(20)])), DECODER)
        return is_collapsed(code_statistics(vae, {"encoder": {}, "decoder": {}}, KEY, X[:100]))

    assert [collapses(on) for on in (0, 1, 2)] == [True, True, False]


@pytest.mark.slow
def test_a_learned_prior_has_no_divergence_by_unit():
    vae = variational(gaussian_encoder([1.0, 1.0, 1.0], [0.0, 0.0, 0.0]), DECODER, prior=mixture_prior(2))
    params = jax.jit(vae.init)(KEY, jnp.asarray(X[0]))
    statistics = code_statistics(vae, params, KEY, X[:50])
    assert "kl" not in statistics
    assert statistics["mutual_information"] > 0


@pytest.mark.slow
def test_divergence_by_unit_is_that_of_the_prior_or_none():
    """A prior's own terms, of a code of shape (3, 1); one whose divergence is no sum over units has none."""
    encoder = fixed(lambda x: jnp.stack([x, jnp.zeros(3)], axis=-1))
    places = jnp.array([[0.0], [10.0], [20.0]])
    whole = lambda mean, log_variance: jnp.linalg.norm(mean.reshape(3, 1))  # noqa: E731
    terms = lambda mean, log_variance: jnp.square(mean) + places  # noqa: E731
    for kl_per_dimension, expected in ((terms, np.mean(X[:7] ** 2, axis=0) + places[:, 0]), (None, None)):
        prior = standard_normal()._replace(kl=whole, kl_per_dimension=kl_per_dimension)
        vae = variational(encoder, fixed(lambda code: code[:, 0]), prior=prior)
        got = code_statistics(vae, {"encoder": {}, "decoder": {}}, KEY, X[:7]).get("kl")
        if expected is None:
            assert got is None
        else:
            np.testing.assert_allclose(got, expected, rtol=1e-5)


def test_statistics_of_codes_with_zeros_and_bounds_by_hand():
    table = jnp.array([[0.0, 0.5, 0.97, 0.5], [0.01, 0.5, 0.0, 0.2]])
    encoder = fixed(lambda x: table[x[0].astype(jnp.int32)] + 0 * x[0])
    autoencoder = undercomplete(encoder, DECODER)
    x = np.array([[0.0], [1.0], [1.0]], np.float32)
    statistics = code_statistics(autoencoder, {"encoder": {}, "decoder": {}}, KEY, x, bounds=(0.0, 1.0))
    assert (statistics["units"], statistics["active_units"]) == (4, 3)  # the second is 0.5 whatever the example
    assert statistics["nonzero_fraction"] == pytest.approx(9 / 12)
    assert statistics["saturation"] == pytest.approx(6 / 12)
    assert not {"kl", "mutual_information"} & set(statistics)
    assert not is_collapsed(statistics)


def test_active_units_are_determined_by_variance_not_magnitude():
    codes = np.stack([np.full(10, 5.0), np.arange(10) * 0.04], axis=1)
    assert is_active(codes).tolist() == [False, True]
    assert is_active(codes, threshold=1.0).tolist() == [False, False]


def test_the_norm_that_is_watched_is_the_mean_over_random_examples():
    """Of h = tanh(W x), ‖J‖_F² = Σₖ (1 - hₖ²)² ‖Wₖ‖²."""
    weights = RNG.normal(size=(4, 3)).astype(np.float32)
    autoencoder = undercomplete(fixed(lambda x: jnp.tanh(jnp.asarray(weights) @ x)), DECODER)
    params = {"encoder": {}, "decoder": {}}
    codes = np.tanh(X.astype(np.float64) @ weights.T)
    norms = np.sqrt(np.sum(np.square(1 - codes**2) * np.sum(np.square(weights), axis=1, dtype=np.float64), axis=1))
    watched = make_mean_frobenius_norm(autoencoder, params, X)(params)
    assert watched == pytest.approx(np.mean(norms[random_positions(len(X), 200, seed=0)]), rel=1e-5)
    assert make_mean_frobenius_norm(autoencoder, params, X[:7])(params) == pytest.approx(np.mean(norms[:7]), rel=1e-5)


@pytest.mark.slow
def test_the_norm_of_a_large_jacobian_is_estimated_from_projections():
    """Of x² it is 2 ‖x‖, and by signs without any error, since the rows of that Jacobian are orthogonal."""
    pixels = np.ones((40, 5000), np.float32) * np.arange(1, 41, dtype=np.float32)[:, None]
    squares = undercomplete(fixed(jnp.square), fixed(lambda code: code))
    params = {"encoder": {}, "decoder": {}}
    norms = 2 * np.sqrt(5000) * np.arange(1, 41)
    watched = make_mean_frobenius_norm(squares, params, pixels)(params)
    assert watched == pytest.approx(
        np.mean(norms[random_positions(40, 25, seed=0)]), rel=1e-5
    )  # 25 x 8 x 5,000 numbers
    assert code_statistics(squares, params, KEY, pixels).frobenius_norm == pytest.approx(np.mean(norms), rel=1e-5)


def test_fewer_examples_are_watched_where_the_jacobian_is_large():
    pixels = np.ones((3, 1000), np.float32) * np.array([[1.0], [2.0], [3.0]], np.float32)
    squares = undercomplete(fixed(jnp.square), fixed(lambda code: code))
    params = {"encoder": {}, "decoder": {}}
    watched = make_mean_frobenius_norm(squares, params, pixels)(params)
    assert watched == pytest.approx(
        np.sqrt(1000) * np.mean(2.0 + 2 * random_positions(3, 2, seed=0)), rel=1e-5
    )  # 3 have 3 million entries


@pytest.mark.slow
def test_few_rows_of_jacobians_are_in_memory_at_a_time(monkeypatch):
    """Of 60 examples whose Jacobians have 2,000 rows and 4 million entries each, 15 are used, 2 at a time."""
    pixels = np.ones((60, 2000), np.float32) * np.arange(1, 61, dtype=np.float32)[:, None]
    squares = undercomplete(fixed(jnp.square), fixed(lambda code: code))
    params = {"encoder": {}, "decoder": {}}
    taken = []

    def noted(function, params, *arrays, batch_size):
        taken.append((len(arrays[0]), batch_size))
        return map_over_examples(function, params, *arrays, batch_size=batch_size)

    for module in (measures, sensitivity):
        monkeypatch.setattr(module, "map_over_examples", noted)
    norm = code_statistics(squares, params, KEY, pixels)["frobenius_norm"]
    assert norm == pytest.approx(2 * np.sqrt(2000) * np.mean(1 + random_positions(60, 15, seed=0)), rel=1e-5)
    assert taken == [(60, 500), (15, 2)]


@pytest.mark.slow
def test_an_estimated_norm_uses_independent_directions_for_every_example():
    """A Jacobian of rank 1: the estimate of 8 signs scatters by a quarter, which only independent ones average out.

    It is χ of 8 degrees of freedom over √8: mean 0.969, deviation 0.25, over √200 examples; 5 sigma.
    """
    size = 4100
    for seed in range(3):
        draw = np.random.default_rng(seed)
        a = draw.normal(size=size).astype(np.float32)
        rank_one = undercomplete(
            Network(lambda key, x: {}, lambda params, x: jnp.ones(size) * jnp.tanh(params["a"] @ x)), DECODER
        )
        x = (0.01 * draw.normal(size=(200, size))).astype(np.float32)
        params = {"encoder": {"a": jnp.asarray(a)}, "decoder": {}}
        norms = (1 - np.tanh(x.astype(np.float64) @ a) ** 2) * np.linalg.norm(a) * np.sqrt(size)
        found = code_statistics(rank_one, params, jax.random.key(1), x)["frobenius_norm"]
        assert found / np.mean(norms) == pytest.approx(0.969, abs=5 * 0.25 / np.sqrt(200))
        watched = make_mean_frobenius_norm(rank_one, params, x)(params)  # 30 x 8 x 4,100 numbers
        assert watched / np.mean(norms[:30]) == pytest.approx(0.969, abs=5 * 0.25 / np.sqrt(30))


@pytest.mark.slow
def test_mutual_information_is_a_lower_bound_with_its_limit():
    """For z = x + 1e-3 ε in 3 dimensions it is 3 log 1000 = 20.7 nats; the estimate from 50 examples is log 50."""
    vae = variational(gaussian_encoder([1.0] * 3, [2 * np.log(1e-3)] * 3), DECODER)
    found = code_statistics(vae, {"encoder": {}, "decoder": {}}, KEY, X[:50])
    assert found["mutual_information"] == pytest.approx(np.log(50), abs=1e-3)
    assert found["mutual_information_limit"] == pytest.approx(np.log(50))
    assert found["kl"].sum() > 3 * np.log(1000) - 3  # an upper bound
    text = " ".join(code_sentences.code_sentences(found))
    assert "at least 3.91 nats of information about the example; this bound cannot exceed 3.91 nats, log N." in text
    assert f"divergence from the prior is {found['kl'].sum():.2f} nats" in text


@pytest.mark.slow
def test_mutual_information_of_few_examples_is_at_most_their_divergence():
    """For z = 0.1 x + ε of 20 examples the estimate has a deviation of about 0.02 nats, the divergence is 0.015."""
    vae = variational(gaussian_encoder([0.1] * 3, [0.0] * 3), DECODER)
    params = {"encoder": {}, "decoder": {}}
    found = [code_statistics(vae, params, jax.random.key(seed), X[:20]) for seed in range(10)]
    expected = 0.5 * np.sum(np.square(0.1 * X[:20].astype(np.float64)), axis=1).mean()
    values = [one["mutual_information"] for one in found]
    assert found[0]["kl"].sum() == pytest.approx(expected)
    assert all(0 <= value <= expected * (1 + 1e-6) for value in values)
    assert min(values) == 0
    assert max(values) == pytest.approx(expected)


@pytest.mark.slow
def test_statistics_in_half_precision_are_those_of_its_numbers():
    """Codes of 300 have squares beyond 65,504, the largest number of half precision."""
    codes = np.array([[300.0, 1.0], [-300.0, 1.0], [290.0, 1.0]], np.float16)
    table = undercomplete(
        fixed(lambda x: jnp.asarray(codes)[x[0].astype(jnp.int32)] + (0 * x[0]).astype(jnp.float16)), DECODER
    )
    x = np.arange(3, dtype=np.float32)[:, None]
    found = code_statistics(table, {"encoder": {}, "decoder": {}}, KEY, x)
    assert (found["active_units"], found["nonzero_fraction"]) == (1, 1.0)
    mean, log_variance = (jnp.asarray(array, jnp.bfloat16) for array in (X[:500], np.full((500, 3), -4.0)))
    exact = mutual_information(KEY, mean.astype(jnp.float32), log_variance.astype(jnp.float32))
    assert mutual_information(KEY, mean, log_variance) == exact


def test_activity_of_narrow_integers_is_that_of_their_numbers():
    codes = np.array([[250, 7], [0, 7]], np.uint8)
    assert is_active(codes, threshold=15_624.0).tolist() == [True, False]  # 125² is 15,625
    assert is_active(codes.tolist(), threshold=15_625.0).tolist() == [False, False]


@pytest.mark.parametrize(
    ("function", "error", "complaint"),
    [
        (lambda: is_active(np.zeros(3)), ValueError, r"\(examples, units\)"),
        (lambda: is_active(np.zeros((0, 3))), ValueError, r"\(examples, units\)"),
        (lambda: is_active(np.full((2, 2), "a")), TypeError, "codes must hold real numbers"),
        (lambda: mutual_information(KEY, jnp.zeros((3, 2)), jnp.zeros((3, 1))), ValueError, "shapes must be equal"),
        (lambda: mutual_information(KEY, jnp.zeros(3), jnp.zeros(3)), ValueError, r"\(examples, units\)"),
        (lambda: mutual_information(KEY, jnp.zeros((3, 1), int), jnp.zeros((3, 1), int)), TypeError, "floating"),
        (lambda: code_statistics(CONDITIONED, PARAMS, KEY, X[:0]), ValueError, "there are no examples"),
        (lambda: make_mean_frobenius_norm(CONDITIONED, PARAMS, X[:0]), ValueError, "there are no examples"),
        (lambda: code_statistics(CONDITIONED, PARAMS, KEY, X[:5], X[:6]), ValueError, r"5 examples, .* \[6\]"),
        (lambda: make_mean_frobenius_norm(CONDITIONED, PARAMS, X[:5], X[:6]), ValueError, r"5 examples, .* \[6\]"),
        (lambda: code_statistics(CONDITIONED, PARAMS, KEY, np.full((3, 2), "a")), TypeError, "must be numbers"),
        (lambda: code_statistics(CONDITIONED, PARAMS, KEY, X[:5], batch_size=0), ValueError, "batch_size must be"),
    ],
)
def test_invalid_inputs_of_statistics_are_refused(function, error, complaint):
    with pytest.raises(error, match=complaint):
        function()


def test_lists_are_accepted_as_arrays():
    found = code_statistics(CONDITIONED, PARAMS, KEY, X[:5].tolist())
    assert found["frobenius_norm"] == code_statistics(CONDITIONED, PARAMS, KEY, X[:5])["frobenius_norm"]


def test_a_measure_is_a_row(monkeypatch):
    """Statistics, terms of records, what is watched, titles, units and the summary follow the rows."""

    def largest(encoded):
        return float(np.abs(encoded.codes).max())

    def watch(autoencoder, params, x, *condition):
        return lambda params: float(np.abs(autoencoder.encode(params, jnp.asarray(x[0]))).max())

    row = Measure("largest", "largest magnitude", "nats", largest, watch)
    of_units = Measure("spread", "spread of a unit", "nats", lambda encoded: encoded.codes.std(axis=0))
    for module in (measures, code_sentences):
        monkeypatch.setattr(module, "MEASURES", (*measures.MEASURES, row, of_units))
    found = code_statistics(CONDITIONED, PARAMS, KEY, X[:5])
    assert found["largest"] == pytest.approx(np.tanh(np.abs(X[:5]).max()))
    assert {"code/largest", "code/spread/1", "code/spread/3"} <= set(as_terms(found))
    assert make_watch(CONDITIONED, PARAMS, X[:1])(PARAMS)["code/largest"] == found_in_one(X[0])
    assert (term_of("code/largest", ()).title, term_of("code/spread/2", ()).unit) == ("largest magnitude", "nats")
    lines = code_sentences.code_sentences(found)
    assert f"Largest magnitude: {found['largest']:.3g} nats." in lines
    assert lines[-1].startswith("Spread of a unit: from ")


def found_in_one(x):
    """The largest magnitude of a code of one example."""
    return float(np.abs(CONDITIONED.encode(PARAMS, jnp.asarray(x))).max())


@pytest.mark.slow
def test_statistics_of_ordered_examples_are_of_all_classes():
    """Of examples ordered by class: the first 2,000 have one code, and are sensitive in no direction."""
    second = (np.arange(4000) >= 2000).astype(np.float32)
    x = second[:, None] * np.array([[0.0, 2.0]], np.float32) + np.float32(1e-3)
    squares = undercomplete(fixed(jnp.square), fixed(lambda code: code))
    params = {"encoder": {}, "decoder": {}}
    assert make_mean_frobenius_norm(squares, params, x)(params) == pytest.approx(2.0, rel=0.25)
    assert mean_frobenius_norm(squares, params, KEY, x) == pytest.approx(2.0, rel=0.1)
    vae = variational(gaussian_encoder([1.0, 1.0], [-8.0, -8.0]), fixed(lambda code: code))
    assert code_statistics(vae, params, KEY, x)["mutual_information"] == pytest.approx(np.log(2), abs=0.02)
