"""Regularizers of the aggregated posterior, against closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from aejax.autoencoders import (
    as_batch,
    denoising,
    mmd_regularized,
    total_correlation_penalized,
    undercomplete,
    variational,
)
from aejax.autoencoders.information import maximum_mean_discrepancy, total_correlation
from aejax.networks import MLP, Network
from aejax.priors import gaussian_mixture, mixture_prior

KEY = jax.random.key(0)
X = jnp.asarray(np.random.default_rng(0).uniform(size=(6, 5)).astype(np.float32))
PLAIN = undercomplete(MLP((2,)), MLP((5,)))
VAE = variational(MLP((4,)), MLP((5,)))


def normal(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape).astype(np.float32))


@pytest.mark.slow
def test_mmd_equals_a_sum_over_all_pairs(float64):
    rng = np.random.default_rng(0)
    codes, samples = rng.normal(size=(2, 4, 3))

    def mean_kernel(first, second):
        return np.mean([np.exp(-np.sum((a - b) ** 2) / (2 * 1.5**2)) for a in first for b in second])

    expected = mean_kernel(codes, codes) + mean_kernel(samples, samples) - 2 * mean_kernel(codes, samples)
    discrepancy = maximum_mean_discrepancy(jnp.array(codes), jnp.array(samples), bandwidth=1.5)
    np.testing.assert_allclose(discrepancy, expected, rtol=1e-12)


@pytest.mark.slow
def test_mmd_of_two_gaussians_is_the_closed_form():
    """N(0, 1) and N(m, 1), kernel width h: 2 (h²/(h²+2))^½ (1 - exp(-m²/(2(h²+2)))), within 5 % for 2,000 points."""
    h, m = 2.0, 1.5
    expected = 2 * np.sqrt(h**2 / (h**2 + 2)) * (1 - np.exp(-(m**2) / (2 * (h**2 + 2))))
    discrepancy = maximum_mean_discrepancy(normal(2000, 1), m + normal(2000, 1, seed=1), bandwidth=h)
    np.testing.assert_allclose(discrepancy, expected, rtol=0.05)


@pytest.mark.slow
@pytest.mark.parametrize("batch", [1, 2])
def test_small_batches_are_finite(batch):
    codes, mean, log_variance = normal(batch, 3), normal(batch, 3, seed=1), normal(batch, 3, seed=2)
    for loss in (
        lambda codes: maximum_mean_discrepancy(codes, mean),
        lambda codes: total_correlation(codes, mean, log_variance, examples=100),
    ):
        value, gradient = jax.jit(jax.value_and_grad(loss))(codes)
        assert np.isfinite(value)
        assert np.isfinite(gradient).all()


@pytest.mark.slow
def test_padding_does_not_count():
    codes, samples = normal(5, 2), normal(5, 2, seed=1)
    weights = jnp.array([1.0, 1.0, 1.0, 0.0, 0.0])
    np.testing.assert_allclose(
        maximum_mean_discrepancy(codes, samples, weights=weights),
        maximum_mean_discrepancy(codes[:3], samples[:3]),
        rtol=1e-6,
    )
    np.testing.assert_allclose(
        total_correlation(codes, samples, 0 * samples, examples=50, weights=weights),
        total_correlation(codes[:3], samples[:3], 0 * samples[:3], examples=50),
        rtol=1e-5,
    )


@pytest.mark.slow
@pytest.mark.parametrize("correlation", [0.0, 0.8])
def test_total_correlation_of_a_correlated_gaussian(correlation):
    """Means drawn from N(0, C), posteriors N(mean, s² I): the aggregate is N(0, C + s² I), its TC is -½ log det R.

    The batch is all of the data, 3,000 examples; the estimate is right within 0.05 nats.
    """
    covariance, variance = np.array([[1.0, correlation], [correlation, 1.0]]), 0.25
    mean = jnp.asarray(np.random.default_rng(0).multivariate_normal(np.zeros(2), covariance, 3000).astype(np.float32))
    codes = mean + np.sqrt(variance) * normal(3000, 2, seed=1)
    log_variance = jnp.full_like(mean, np.log(variance))
    aggregate = correlation / (1 + variance)
    expected = -0.5 * np.log(1 - aggregate**2)
    got = total_correlation(codes, mean, log_variance, examples=3000)
    np.testing.assert_allclose(got, expected, atol=0.05)


@pytest.mark.slow
def test_the_own_posterior_weighs_one_over_n(float64):
    """Two examples of N = 10 by hand: weights 1/10 for the own posterior, 9/10 for the other one."""
    codes, mean = jnp.array([[0.3, -0.2], [1.0, 2.0]]), jnp.array([[0.0, 0.0], [1.0, 1.5]])
    density = np.exp(-0.5 * (np.asarray(codes)[:, None] - np.asarray(mean)[None]) ** 2) / np.sqrt(2 * np.pi)
    shares = np.array([[0.1, 0.9], [0.9, 0.1]])
    joint = np.log(np.sum(shares * density.prod(axis=-1), axis=1))
    marginals = np.log(np.sum(shares[..., None] * density, axis=1)).sum(axis=-1)
    got = total_correlation(codes, mean, jnp.zeros((2, 2)), examples=10)
    np.testing.assert_allclose(got, np.mean(joint - marginals), rtol=1e-12)


@pytest.mark.slow
def test_derivatives_equal_finite_differences(float64):
    rng = np.random.default_rng(0)
    codes, mean, log_variance = (jnp.array(rng.normal(size=(4, 2))) for _ in range(3))
    check_grads(jax.jit(lambda *a: total_correlation(*a, examples=20)), (codes, mean, log_variance), order=2)
    check_grads(jax.jit(maximum_mean_discrepancy), (codes, mean), order=2)


@pytest.mark.slow
def test_terms_are_added_with_their_weight():
    params = jax.jit(VAE.init)(KEY, X[0])
    total, metrics = jax.jit(total_correlation_penalized(VAE, weight=3.0, examples=100).loss)(params, KEY, X)
    assert total == pytest.approx(float(-metrics["elbo"] + 3.0 * metrics["total_correlation"]), rel=1e-5)
    params = jax.jit(PLAIN.init)(KEY, X[0])
    total, metrics = jax.jit(mmd_regularized(PLAIN, weight=3.0).loss)(params, KEY, X)
    assert total == pytest.approx(float(metrics["reconstruction"] + 3.0 * metrics["mmd"]), rel=1e-5)


@pytest.mark.slow
def test_padded_batches_have_the_loss_of_what_counts():
    """The loss is coupled through the batch: padding must leave it through every term."""
    regularized = total_correlation_penalized(mmd_regularized(VAE, weight=2.0), weight=3.0, examples=100)
    params = jax.jit(VAE.init)(KEY, X[0])
    padded = as_batch(X)._replace(weight=jnp.array([1.0, 1.0, 1.0, 1.0, 0.0, 0.0]))
    np.testing.assert_allclose(
        jax.jit(regularized.loss)(params, KEY, padded)[0], jax.jit(regularized.loss)(params, KEY, X[:4])[0], rtol=1e-5
    )


def standardized(center, length=1):
    """A variational autoencoder whose posterior is N(x, I) and whose prior is N(center, I)."""
    encoder = Network(lambda key, x: {}, lambda params, x: jnp.concatenate([x, jnp.zeros_like(x)]))
    decoder = Network(lambda key, code: {}, lambda params, code: code)
    prior = gaussian_mixture(jnp.zeros(1), jnp.full((1, length), center), jnp.zeros((1, length)))
    return variational(encoder, decoder, prior=prior if center else None)


@pytest.mark.slow
@pytest.mark.parametrize("center", [0.0, 5.0])
def test_mmd_compares_samples_of_the_posterior_with_others_of_the_prior(center):
    """200 of each, both N(center, 1): all but 0, but not 0, which equal samples have.

    Of the posterior's means it would be 1 + √½ - 2 √⅔ = 0.07, and of another prior's samples more than 1.
    """
    _, metrics = jax.jit(mmd_regularized(standardized(center), weight=1.0).loss)(
        {"encoder": {}, "decoder": {}}, KEY, jnp.full((200, 1), center)
    )
    assert 1e-4 < metrics["mmd"] < 0.02


@pytest.mark.slow
def test_the_codes_compared_are_those_of_the_corrupted_examples():
    """X ~ N(-5, 1), seen as x + 5: standard normal. (a, a), seen as (a, 0): without total correlation."""
    identity = Network(lambda key, x: {}, lambda params, x: x)
    x, params = normal(200, 1), {"encoder": {}, "decoder": {}}
    moved = denoising(mmd_regularized(undercomplete(identity, identity), weight=1.0), corrupt=lambda key, x: x + 5)
    assert jax.jit(moved.loss)(params, KEY, x - 5)[1]["mmd"] < 0.02
    penalized = total_correlation_penalized(standardized(0.0), weight=1.0, examples=200)
    alone = denoising(penalized, corrupt=lambda key, x: x * jnp.array([1.0, 0.0]))
    twice = 4 * jnp.concatenate([x, x], axis=1)
    assert abs(jax.jit(alone.loss)(params, KEY, twice)[1]["total_correlation"]) < 0.1
    assert jax.jit(penalized.loss)(params, KEY, twice)[1]["total_correlation"] > 0.5


def test_mistakes_are_refused():
    with pytest.raises(TypeError, match="expects an autoencoder with a posterior"):
        total_correlation_penalized(PLAIN, weight=1.0, examples=10)
    with pytest.raises(ValueError, match="weight"):
        mmd_regularized(PLAIN, weight=-1.0)
    with pytest.raises(TypeError, match=r"examples must be an integer, got 1\.5"):
        total_correlation_penalized(VAE, weight=1.0, examples=1.5)
    with pytest.raises(ValueError, match="examples"):
        total_correlation_penalized(VAE, weight=1.0, examples=0)


@pytest.mark.slow_after_first
@pytest.mark.parametrize("distance", [1e-3, 3e-4])
def test_mmd_has_the_gradient_of_float64_where_the_sets_are_next_to_each_other(distance):
    """Rounding may leave the square below 0 there: the value is 0, and the gradient is not."""
    samples = normal(4, 2)
    with jax.enable_x64(True):
        exact = jnp.asarray(samples, jnp.float64)
        right = jax.jit(jax.grad(maximum_mean_discrepancy))(exact + distance, exact)
    value, gradient = jax.jit(jax.value_and_grad(maximum_mean_discrepancy))(samples + distance, samples)
    assert value >= 0
    np.testing.assert_allclose(gradient, right, rtol=1e-2, atol=2e-7)


@pytest.mark.slow
def test_mmd_is_never_negative_in_half_precision_and_of_the_dtype_of_the_codes():
    codes, samples = normal(300, 2), normal(300, 2, seed=1)
    exact = float(maximum_mean_discrepancy(codes, samples))
    for dtype in (jnp.float16, jnp.bfloat16):
        got = maximum_mean_discrepancy(codes.astype(dtype), samples.astype(dtype), bandwidth=np.float64(2))
        assert got.dtype == dtype
        np.testing.assert_allclose(float(got), exact, rtol=0.1)  # the points are rounded
        assert maximum_mean_discrepancy(codes.astype(dtype), codes.astype(dtype)) == 0


def test_mmd_of_samples_with_weights_is_that_of_samples_that_often():
    codes, samples = normal(3, 2), normal(3, 2, seed=1)
    often = jnp.stack([samples[0], samples[1], samples[1]])
    weighted = maximum_mean_discrepancy(codes, samples, sample_weights=jnp.array([0.5, 1.0, 0.0]))
    np.testing.assert_allclose(weighted, maximum_mean_discrepancy(codes, often), rtol=1e-5)


@pytest.mark.slow
def test_the_weights_of_a_mixture_have_the_gradient_of_the_expected_mmd():
    """Over 300 keys of 32 samples, within a fifth of a difference quotient of two means with the same keys."""
    encoder = Network(lambda key, x: {}, lambda params, x: jnp.concatenate([x, jnp.full(1, -2.0)]))
    decoder = Network(lambda key, code: {}, lambda params, code: code)
    autoencoder = mmd_regularized(variational(encoder, decoder, prior=mixture_prior(2)), weight=1.0)
    prior = {"mean": jnp.array([[-3.0], [3.0]]), "log_variance": jnp.zeros((2, 1))}
    x, keys = jnp.full((32, 1), 3.0), jax.random.split(jax.random.key(0), 300)

    @jax.jit
    def expected(logits):
        params = {"encoder": {}, "decoder": {}, "prior": {"logits": logits, **prior}}
        return jnp.mean(jax.vmap(lambda key: autoencoder.loss(params, key, x)[1]["mmd"])(keys))

    quotient = expected(jnp.array([0.0, 0.5])) - expected(jnp.array([0.0, -0.5]))
    by_logits = jax.jit(jax.grad(expected))(jnp.zeros(2))
    np.testing.assert_allclose(by_logits[1], quotient, rtol=0.2)
    np.testing.assert_allclose(by_logits[0], -by_logits[1], rtol=1e-3)  # softmax: only the difference counts


@pytest.mark.slow_after_first
@pytest.mark.parametrize(
    "terms",
    [
        lambda x, weights: maximum_mean_discrepancy(x, normal(3, 2, seed=1), weights=weights),
        lambda x, weights: total_correlation(x, normal(3, 2, seed=1), 0 * normal(3, 2), examples=9, weights=weights),
    ],
    ids=["mmd", "total_correlation"],
)
@pytest.mark.parametrize("padding", [np.nan, np.inf])
def test_padding_may_be_anything(terms, padding):
    codes, weights = normal(3, 2), jnp.array([1.0, 1.0, 0.0])
    value, gradient = jax.jit(jax.value_and_grad(terms))(codes.at[2].set(padding), weights)
    np.testing.assert_allclose(value, terms(codes, weights), rtol=1e-6)
    assert np.isfinite(gradient).all()


def test_total_correlation_of_posteriors_so_narrow_that_none_reaches_another_is_finite():
    codes, tiny = normal(3, 2), jnp.full((3, 2), -120.0)
    value, gradient = jax.jit(jax.value_and_grad(lambda *a: total_correlation(*a, examples=3), argnums=(0, 1, 2)))(
        codes, codes, tiny
    )
    # each code lies in its own posterior alone, jointly and per dimension: log 1/3 - 2 log 1/3
    np.testing.assert_allclose(value, np.log(3), rtol=1e-5)
    assert all(np.isfinite(part).all() for part in gradient)


def test_points_of_other_shapes_are_refused():
    codes = normal(4, 2)
    for function, message in (
        (lambda: maximum_mean_discrepancy(codes[0], codes[0]), r"codes must have shape \(B, K\) with"),
        (lambda: maximum_mean_discrepancy(codes[:0], codes[:0]), "with at least one vector"),
        (lambda: maximum_mean_discrepancy(codes, codes, weights=jnp.ones((4, 1))), r"weights must have shape \(4,\)"),
        (lambda: maximum_mean_discrepancy(codes, codes, sample_weights=jnp.ones(1)), "sample_weights must have shape"),
        (lambda: maximum_mean_discrepancy(codes, codes[:1]), "shapes must be equal"),
        (lambda: maximum_mean_discrepancy(codes, codes, bandwidth=np.ones(2)), "bandwidth must be one number"),
        (lambda: total_correlation(codes, codes[:, :1], 0 * codes, examples=9), "shapes must be equal"),
        (lambda: total_correlation(codes, codes[:1], codes[:1], examples=9), "shapes must be equal"),
        (lambda: total_correlation(codes, codes, codes, examples=9, weights=jnp.ones(1)), "weights must have shape"),
        (lambda: total_correlation(codes, codes, codes, examples=0), "examples must be at least 1"),
    ):
        with pytest.raises(ValueError, match=message):
            function()
    with pytest.raises(TypeError, match="codes must be a floating-point array"):
        maximum_mean_discrepancy(jnp.zeros((2, 2), int), jnp.zeros((2, 2), int))
