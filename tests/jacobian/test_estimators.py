"""Random projections: unbiased, and of the documented variance; refusals."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from aejax.jacobian import estimate_frobenius_norm_squared, estimator_variance
from aejax.jacobian.estimators import DISTRIBUTIONS, MODES

every_mode = pytest.mark.parametrize("mode", MODES)
every_distribution = pytest.mark.parametrize("distribution", DISTRIBUTIONS)
WEIGHTS = np.random.default_rng(0).standard_normal((3, 5))


def encode(x):
    return jnp.tanh(jnp.asarray(WEIGHTS, x.dtype) @ x.reshape(-1))


@pytest.mark.slow
@every_mode
@every_distribution
@pytest.mark.parametrize("num_projections", [1, 3])
def test_mean_and_variance_are_those_documented(mode, distribution, num_projections, float64):
    """Over many keys, mean and variance agree within 5 standard errors, the variance's by the fourth moment."""
    x = jnp.linspace(-0.3, 0.5, 5)
    options = {"num_projections": num_projections, "distribution": distribution, "mode": mode}
    keys = jax.random.split(jax.random.key(1), 20_000)
    estimates = np.asarray(
        jax.jit(jax.vmap(lambda key: estimate_frobenius_norm_squared(key, encode, x, **options)))(keys)
    )
    jacobian = jax.jit(jax.jacfwd(encode))(x)
    variance = float(estimator_variance(jacobian, **options))
    deviations = estimates - np.sum(np.square(jacobian))
    assert abs(deviations.mean()) < 5 * np.sqrt(variance / keys.size)
    error = np.sqrt((np.mean(deviations**4) - variance**2) / keys.size)
    assert abs(np.mean(deviations**2) - variance) < 5 * error
    assert error < 0.05 * variance


def test_variance_by_hand(float64):
    """The sphere's 2 m / (m + 2) tr(A²) - 2 / (m + 2) (tr A)² is tr(A²) - (tr A)² / 2 for m = 2."""
    jacobian = jnp.array([[1.0, 2.0], [0.0, 2.0]])
    gram, other = np.array([[5.0, 4.0], [4.0, 4.0]]), np.array([[1.0, 2.0], [2.0, 8.0]])
    np.testing.assert_array_equal(jacobian @ jacobian.T, gram)
    for mode, a in (("reverse", gram), ("forward", other)):
        square, trace = np.sum(a**2), np.trace(a)
        by_hand = {
            "gaussian": 2 * square,
            "rademacher": 2 * (square - np.sum(np.diag(a) ** 2)),
            "sphere": square - trace**2 / 2,
        }
        for distribution, variance in by_hand.items():
            got = estimator_variance(jacobian, distribution=distribution, mode=mode)
            np.testing.assert_allclose(got, variance, rtol=1e-14)
            several = estimator_variance(jacobian, num_projections=5, distribution=distribution, mode=mode)
            np.testing.assert_allclose(several, variance / 5, rtol=1e-14)


@pytest.mark.slow
@every_mode
def test_rademacher_is_exact_where_the_gram_matrix_is_diagonal(mode):
    x, factors = jnp.ones((2, 2)), jnp.array([[1.0, 2.0], [3.0, 4.0]])
    estimate = estimate_frobenius_norm_squared(jax.random.key(0), lambda x: factors * x, x, mode=mode)
    assert estimate == 30
    assert estimator_variance(jnp.diag(factors.reshape(-1)), mode=mode) == 0


@pytest.mark.slow
@every_mode
def test_same_under_jit_and_vmap_and_differentiable(mode, float64, without_type_checks):
    keys, x = jax.random.split(jax.random.key(1), 3), jnp.array(np.random.default_rng(2).standard_normal((3, 5)))
    estimate = partial(estimate_frobenius_norm_squared, num_projections=2, distribution="sphere", mode=mode)
    loop = [estimate(key, encode, one) for key, one in zip(keys, x, strict=True)]
    batched = jax.jit(jax.vmap(lambda key, x: estimate(key, encode, x)))
    np.testing.assert_allclose(batched(keys, x), loop, rtol=1e-12)
    both = ("fwd", "rev")
    check_grads(jax.jit(lambda x: estimate(keys[0], encode, x)), (x[0],), order=1, modes=both, rtol=1e-6, atol=1e-6)
    images = jax.jit(jax.vmap(lambda key, x: estimate(key, encode, x)))(keys, x.reshape(3, 5, 1))
    if mode == "reverse":
        np.testing.assert_allclose(images, loop, rtol=1e-12)


@pytest.mark.slow
def test_half_precision_is_summed_in_single():
    x = jnp.ones(5, jnp.bfloat16)
    estimate = estimate_frobenius_norm_squared(jax.random.key(0), encode, x, num_projections=100)
    assert estimate.dtype == jnp.float32


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16])
def test_half_precision_estimates_without_bias(dtype):
    """On the sphere ‖v‖ is fixed up to the dtype's rounding, so for f(x) = x the estimate is K."""
    x = jnp.ones(70_000, dtype)
    for mode in MODES:
        for distribution in ("sphere", "rademacher"):
            options = {"distribution": distribution, "mode": mode}
            estimate = estimate_frobenius_norm_squared(jax.random.key(0), lambda x: x, x, **options)
            np.testing.assert_allclose(estimate, 70_000, rtol=1e-3)
    keys = jax.random.split(jax.random.key(1), 20_000)
    one = lambda key: estimate_frobenius_norm_squared(key, lambda x: x[:1], x[:4], distribution="sphere")  # noqa: E731
    np.testing.assert_array_equal(jax.jit(jax.vmap(one))(keys), 1)
    many = jax.jit(
        jax.vmap(lambda key: estimate_frobenius_norm_squared(key, lambda x: x, x[:2], distribution="gaussian"))
    )(keys)
    assert abs(np.mean(many) - 2) < 5 * 2 / np.sqrt(20_000)  # 5 standard errors
    matrix = 3 * np.random.default_rng(0).standard_normal((50, 60))
    half = estimator_variance(jnp.array(matrix, dtype))
    np.testing.assert_allclose(half, estimator_variance(jnp.array(matrix, dtype).astype(jnp.float32)), rtol=1e-5)


@pytest.mark.slow
def test_estimate_for_an_empty_example_is_zero():
    for mode in MODES:
        for distribution in DISTRIBUTIONS:
            options = {"mode": mode, "distribution": distribution}
            assert estimate_frobenius_norm_squared(jax.random.key(0), lambda x: x[:0], jnp.ones(3), **options) == 0
            assert estimate_frobenius_norm_squared(jax.random.key(0), lambda x: x, jnp.ones(0), **options) == 0


def test_more_projections_than_int32_can_count():
    variance = estimator_variance(jnp.ones((1, 2)), num_projections=10**12, distribution="gaussian")
    np.testing.assert_allclose(variance, 8e-12, rtol=1e-6)


def test_refuses_wrong_knobs(without_type_checks):
    for function in (partial(estimate_frobenius_norm_squared, jax.random.key(0), jnp.sin), estimator_variance):
        x = jnp.ones((2, 2))
        with pytest.raises(ValueError, match="num_projections must be at least 1, got 0"):
            function(x, num_projections=0)
        with pytest.raises(TypeError, match=r"num_projections must be an integer, got 1\.5"):
            function(x, num_projections=1.5)
        with pytest.raises(TypeError, match="num_projections must be an integer, got True"):
            function(x, num_projections=True)
        function(x, num_projections=np.int64(2))
        with pytest.raises(ValueError, match="distribution must be one of gaussian, rademacher, sphere, got 'cauchy'"):
            function(x, distribution="cauchy")
        with pytest.raises(ValueError, match="mode must be one of forward, reverse, got 'both'"):
            function(x, mode="both")
        with pytest.raises(TypeError, match="must be a floating-point array"):
            function(jnp.ones((2, 2), int))
    with pytest.raises(ValueError, match=r"jacobian must be a matrix \(K, D\), got shape \(2,\)"):
        estimator_variance(jnp.ones(2))


@pytest.mark.slow_after_first
@pytest.mark.parametrize(("size", "scale"), [(3, 0.1), (5, 1.7), (7, 0.1), (7, 3.3)])
def test_the_sphere_has_no_variance_where_all_directions_are_equal(size, scale):
    assert estimator_variance(jnp.eye(size) * scale, distribution="sphere").item() == pytest.approx(0, abs=1e-11)
    assert estimator_variance(jnp.eye(size) * scale, distribution="sphere").item() >= 0
