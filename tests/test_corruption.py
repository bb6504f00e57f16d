"""Corruptions: how much they replace and by what, with 5 standard errors; what they keep; what they refuse."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from aejax.corruption import gaussian_noise, masking, salt_and_pepper

N = 40_000
by_amount = pytest.mark.parametrize("corrupt", [salt_and_pepper, masking])
CORRUPTIONS = (
    partial(salt_and_pepper, amount=0.4),
    partial(masking, amount=0.4),
    partial(gaussian_noise, standard_deviation=0.4),
)
every_corruption = pytest.mark.parametrize("corrupt", CORRUPTIONS, ids=["salt_and_pepper", "masking", "gaussian_noise"])


def assert_binomial(count, probability):
    """The count of N independent events lies within 5 standard deviations."""
    assert abs(count - N * probability) <= 5 * np.sqrt(N * probability * (1 - probability))


@pytest.mark.parametrize("amount", [0.01, 0.1, 0.5, 0.9])
@pytest.mark.parametrize("seed", [0, 1])
def test_salt_and_pepper_replaces_that_part_half_low_and_half_high(amount, seed):
    x = jnp.full(N, 0.5)
    corrupted = np.asarray(salt_and_pepper(jax.random.key(seed), x, amount=amount, low=-2.0, high=3.0))
    low, high, kept = ((corrupted == value).sum() for value in (-2, 3, 0.5))
    assert low + high + kept == N
    for count, probability in ((low, amount / 2), (high, amount / 2), (kept, 1 - amount)):
        assert_binomial(count, probability)


@pytest.mark.parametrize("amount", [0.01, 0.1, 0.5, 0.9])
def test_masking_sets_that_part_to_zero(amount):
    x = jnp.linspace(1.0, 2.0, N)
    corrupted = np.asarray(masking(jax.random.key(0), x, amount=amount))
    masked = corrupted == 0
    assert_binomial(masked.sum(), amount)
    np.testing.assert_array_equal(corrupted[~masked], x[~masked])


def test_gaussian_noise_has_that_standard_deviation_and_is_not_clipped():
    x = jnp.full(N, 1.0)
    noise = np.asarray(gaussian_noise(jax.random.key(0), x, standard_deviation=0.3), np.float64) - 1
    assert abs(noise.mean()) < 5 * 0.3 / np.sqrt(N)
    assert abs(noise.var() - 0.09) < 5 * 0.09 * np.sqrt(2 / N)
    assert stats.kstest(noise / 0.3, "norm").pvalue > 1e-6


@by_amount
def test_amounts_of_zero_and_one_replace_nothing_and_everything(corrupt):
    x = jnp.full(N, 0.5)
    np.testing.assert_array_equal(corrupt(jax.random.key(0), x, amount=0.0), x)
    assert np.isin(corrupt(jax.random.key(0), x, amount=1.0), (0, 1)).all()


def test_no_noise_leaves_the_example_as_it_is():
    x = jnp.linspace(0, 1, 9)
    np.testing.assert_array_equal(gaussian_noise(jax.random.key(0), x, standard_deviation=0.0), x)


@by_amount
@pytest.mark.parametrize("amount", [-0.01, 1.01, float("nan"), float("inf")])
def test_refuses_an_amount_that_is_no_fraction(corrupt, amount):
    with pytest.raises(ValueError, match="amount must be between 0 and 1"):
        corrupt(jax.random.key(0), jnp.ones(3), amount=amount)


@pytest.mark.parametrize("standard_deviation", [-0.1, float("nan")])
def test_refuses_a_negative_standard_deviation(standard_deviation):
    with pytest.raises(ValueError, match="standard_deviation must be at least 0"):
        gaussian_noise(jax.random.key(0), jnp.ones(3), standard_deviation=standard_deviation)


@every_corruption
def test_refuses_integers(corrupt, without_type_checks):
    with pytest.raises(TypeError, match="x must be a floating-point array"):
        corrupt(jax.random.key(0), jnp.ones(3, jnp.int32))


@every_corruption
@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16, jnp.float32])
@pytest.mark.parametrize("shape", [(), (3,), (4, 3, 1)])
def test_keeps_shape_and_dtype(corrupt, shape, dtype):
    corrupted = jax.eval_shape(corrupt, jax.random.key(0), jnp.ones(shape, dtype))
    assert (corrupted.shape, corrupted.dtype) == (shape, dtype)


@every_corruption
def test_the_key_decides(corrupt):
    x = jnp.full((8, 8, 1), 0.5)
    corrupted = corrupt(jax.random.key(0), x)
    np.testing.assert_array_equal(corrupt(jax.random.key(0), x), corrupted)
    assert np.any(corrupt(jax.random.key(1), x) != corrupted)


@every_corruption
def test_same_with_and_without_jit_and_vmap(corrupt):
    keys, x = jax.random.split(jax.random.key(0), 3), jax.random.uniform(jax.random.key(1), (3, 5))
    loop = jnp.stack([corrupt(*one) for one in zip(keys, x, strict=True)])
    np.testing.assert_allclose(jax.vmap(corrupt)(keys, x), loop, rtol=1e-6)
    np.testing.assert_allclose(jax.jit(corrupt)(keys[0], x[0]), loop[0], rtol=1e-6)


@pytest.mark.parametrize(
    ("corrupt", "knob"), [(salt_and_pepper, "amount"), (masking, "amount"), (gaussian_noise, "standard_deviation")]
)
def test_a_knob_may_be_traced(corrupt, knob):
    key, x = jax.random.key(0), jnp.full(16, 0.5)
    traced = jax.jit(lambda level: corrupt(key, x, **{knob: level}))(0.5)
    np.testing.assert_allclose(traced, corrupt(key, x, **{knob: 0.5}), rtol=1e-6)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
@pytest.mark.parametrize("corrupt", [salt_and_pepper, masking])
def test_small_fractions_are_hit_in_half_precision(corrupt, dtype):
    """Within 5 standard deviations of the count."""
    entries, amount = 200_000, 0.001
    corrupted = corrupt(jax.random.key(0), jnp.full(entries, 0.5, dtype), amount=amount)
    assert corrupted.dtype == dtype
    count = int(jnp.sum(corrupted != 0.5))
    assert abs(count - entries * amount) < 5 * np.sqrt(entries * amount * (1 - amount))
