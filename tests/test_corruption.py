"""Corruptions: how much they replace and by what, with 5 standard errors; what they keep; what they refuse."""

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage, stats

from aejax.corruption import gaussian_blur, gaussian_noise, masking, salt_and_pepper

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
def test_salt_and_pepper_replaces_that_fraction_half_low_and_half_high(amount, seed):
    x = jnp.full(N, 0.5)
    corrupted = np.asarray(salt_and_pepper(jax.random.key(seed), x, amount=amount, low=-2.0, high=3.0))
    low, high, kept = ((corrupted == value).sum() for value in (-2, 3, 0.5))
    assert low + high + kept == N
    for count, probability in ((low, amount / 2), (high, amount / 2), (kept, 1 - amount)):
        assert_binomial(count, probability)


@pytest.mark.slow
@pytest.mark.parametrize("amount", [0.01, 0.1, 0.5, 0.9])
def test_masking_sets_that_fraction_to_zero(amount):
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


@pytest.mark.slow
@every_corruption
def test_the_key_decides(corrupt):
    x = jnp.full((8, 8, 1), 0.5)
    corrupted = corrupt(jax.random.key(0), x)
    np.testing.assert_array_equal(corrupt(jax.random.key(0), x), corrupted)
    assert np.any(corrupt(jax.random.key(1), x) != corrupted)


@pytest.mark.slow
@every_corruption
def test_same_with_and_without_jit_and_vmap(corrupt):
    keys, x = jax.random.split(jax.random.key(0), 3), jax.random.uniform(jax.random.key(1), (3, 5))
    loop = jnp.stack([corrupt(*one) for one in zip(keys, x, strict=True)])
    np.testing.assert_allclose(jax.jit(jax.vmap(corrupt))(keys, x), loop, rtol=1e-6)
    np.testing.assert_allclose(jax.jit(corrupt)(keys[0], x[0]), loop[0], rtol=1e-6)


@pytest.mark.slow_after_first
@pytest.mark.parametrize(
    ("corrupt", "knob"), [(salt_and_pepper, "amount"), (masking, "amount"), (gaussian_noise, "standard_deviation")]
)
def test_a_knob_may_be_traced(corrupt, knob):
    key, x = jax.random.key(0), jnp.full(16, 0.5)
    traced = jax.jit(lambda level: corrupt(key, x, **{knob: level}))(0.5)
    np.testing.assert_allclose(traced, corrupt(key, x, **{knob: 0.5}), rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
@pytest.mark.parametrize("corrupt", [salt_and_pepper, masking])
def test_small_fractions_are_hit_in_half_precision(corrupt, dtype):
    """Within 5 standard deviations of the count."""
    entries, amount = 200_000, 0.001
    corrupted = corrupt(jax.random.key(0), jnp.full(entries, 0.5, dtype), amount=amount)
    assert corrupted.dtype == dtype
    count = int(jnp.sum(corrupted != 0.5))
    assert abs(count - entries * amount) < 5 * np.sqrt(entries * amount * (1 - amount))


def blur(x, standard_deviation):
    return gaussian_blur(jax.random.key(0), jnp.array(x), standard_deviation=standard_deviation)


@pytest.mark.slow
@given(
    shape=st.tuples(st.integers(1, 9), st.integers(1, 9)) | st.tuples(*(st.integers(1, 5),) * 2, st.integers(1, 3)),
    standard_deviation=st.sampled_from([0, 0.1, 0.125, 0.5, 1, 2.3, 10.0]),  # most reach beyond the image, some thrice
)
def test_gaussian_blur_equals_scipy_per_channel(shape, standard_deviation):
    x = np.random.default_rng(0).uniform(-1, 1, shape)
    with jax.enable_x64(True):
        for dtype, atol in ((np.float32, 1e-6), (np.float64, 1e-12)):
            blurred = blur(x.astype(dtype), standard_deviation)
            assert blurred.dtype == dtype
            sigma = (standard_deviation, standard_deviation, 0)[: x.ndim]
            expected = ndimage.gaussian_filter(x.astype(dtype), sigma, mode="reflect", truncate=4.0)
            np.testing.assert_allclose(blurred, expected, rtol=0, atol=atol)


@pytest.mark.parametrize("standard_deviation", [1e5, 1e12, 1e29])
def test_a_very_wide_blur_is_the_mean(standard_deviation):
    x = np.random.default_rng(0).uniform(size=(5, 7)).astype(np.float32)
    np.testing.assert_allclose(blur(x, standard_deviation), np.full((5, 7), x.mean()), rtol=1e-3)


def test_gaussian_blur_of_one_pixel_is_the_filter_and_of_a_flat_image_the_image():
    column = np.exp(-0.5 * np.arange(-4, 5) ** 2)
    column /= column.sum()
    dot = np.zeros((9, 9), np.float32)
    dot[4, 4] = 1
    np.testing.assert_allclose(blur(dot, 1.0), np.outer(column, column), atol=1e-7)
    np.testing.assert_allclose(blur(np.full((4, 3, 2), 0.7, np.float32), 5.0), 0.7, rtol=1e-6)


@pytest.mark.slow
def test_gaussian_blur_is_its_own_transpose_and_keeps_the_mean():
    """Reflection keeps the sum, and the weight of pixel a in pixel b is that of b in a."""
    x, y = jax.random.uniform(jax.random.key(0), (2, 6, 5))
    np.testing.assert_allclose(blur(x, 1.5).mean(), x.mean(), rtol=1e-5)
    gradient = jax.jit(jax.grad(lambda x: jnp.sum(y * blur(x, 1.5))))(x)
    np.testing.assert_allclose(gradient, blur(y, 1.5), rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("standard_deviation", [0, 0.0, 1e-200, 0.1])
def test_gaussian_blur_of_no_reach_changes_nothing(standard_deviation):
    x = jax.random.uniform(jax.random.key(0), (4, 5, 3))
    np.testing.assert_array_equal(blur(x, standard_deviation), x)


@pytest.mark.slow
def test_gaussian_blur_is_the_same_for_any_key_under_jit_and_vmap_and_keeps_the_dtype():
    keys, x = jax.random.split(jax.random.key(0), 3), jax.random.uniform(jax.random.key(1), (3, 5, 4))
    corrupt = partial(gaussian_blur, standard_deviation=0.8)
    loop = jnp.stack([blur(one, 0.8) for one in x])
    np.testing.assert_allclose(jax.jit(jax.vmap(corrupt))(keys, x), loop, rtol=1e-5)
    for dtype in (jnp.bfloat16, jnp.float16):
        assert corrupt(keys[0], x[0].astype(dtype)).dtype == dtype


def test_gaussian_blur_refuses_what_it_cannot_blur(without_type_checks):
    for standard_deviation in (-0.1, math.nan, math.inf):
        with pytest.raises(ValueError, match="standard_deviation must be at least 0 and finite"):
            blur(jnp.ones((3, 3)), standard_deviation)
    for shape in ((), (3,), (1, 2, 3, 4)):
        with pytest.raises(ValueError, match="an image must have shape"):
            blur(jnp.ones(shape), 1.0)
    with pytest.raises(TypeError, match="x must be a floating-point array"):
        blur(jnp.ones((3, 3), int), 1.0)
    with pytest.raises(TypeError, match="standard_deviation must be a Python number"):
        jax.jit(lambda level: blur(jnp.ones((3, 3)), level))(1.0)


@pytest.mark.parametrize("shape", [(2, 4), (1,), (4, 1)])
def test_limits_and_deviations_of_another_shape_are_refused(shape):
    key, x = jax.random.key(0), jnp.ones(4)
    for knob in ("low", "high"):
        with pytest.raises(ValueError, match=rf"shapes must be equal: x has \(4,\), {knob} has"):
            salt_and_pepper(key, x, amount=0.5, **{knob: jnp.zeros(shape)})
    for traced in (False, True):
        for corrupt, knob in ((gaussian_noise, "standard_deviation"), (masking, "amount"), (salt_and_pepper, "amount")):

            def call(value, corrupt=corrupt, knob=knob):
                return corrupt(key, x, **{knob: value})

            with pytest.raises(ValueError, match=f"{knob} must be one number, got shape"):
                (jax.jit(call) if traced else call)(jnp.zeros(shape))


def test_limits_of_the_shape_of_the_example_hold_entry_by_entry():
    low, high = jnp.arange(4.0), jnp.arange(4.0) + 10
    corrupted = salt_and_pepper(jax.random.key(0), jnp.full(4, 0.5), amount=1.0, low=low, high=high)
    assert np.all((corrupted == low) | (corrupted == high))


@pytest.mark.slow
@pytest.mark.parametrize("number", [np.float64, np.float32, jnp.float32, jnp.float64])
@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float32, jnp.float64])
def test_knobs_of_numpy_promote_nothing(number, dtype, float64):
    key, x = jax.random.key(0), jnp.full(16, 0.5, dtype)
    for corrupt, knobs in (
        (salt_and_pepper, {"amount": 0.5, "low": -1.0, "high": 2.0}),
        (masking, {"amount": 0.5}),
        (gaussian_noise, {"standard_deviation": 0.5}),
    ):
        got = corrupt(key, x, **{name: number(value) for name, value in knobs.items()})
        assert got.dtype == dtype
        np.testing.assert_array_equal(got, corrupt(key, x, **knobs))


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_noise_of_half_precision_is_that_of_float32_rounded(dtype):
    """Noise drawn in bfloat16 would end at 2.5 standard deviations."""
    x = jnp.zeros(N, dtype)
    noise = gaussian_noise(jax.random.key(0), x, standard_deviation=0.5)
    single = gaussian_noise(jax.random.key(0), x.astype(jnp.float32), standard_deviation=0.5)
    np.testing.assert_array_equal(noise, single.astype(dtype))
    assert np.abs(np.asarray(noise, float)).max() > 1.75
    image = jax.random.uniform(jax.random.key(1), (9, 9), jnp.float32).astype(dtype)
    np.testing.assert_array_equal(blur(image, 2.0), blur(image.astype(jnp.float32), 2.0).astype(dtype))


def test_refuses_an_infinite_deviation_text_and_what_is_no_array(without_type_checks):
    key, x = jax.random.key(0), jnp.ones(3)
    with pytest.raises(ValueError, match="standard_deviation must be at least 0 and finite, got inf"):
        gaussian_noise(key, x, standard_deviation=math.inf)
    with pytest.raises(TypeError, match=r"amount must be a number, got '0\.5'"):
        masking(key, x, amount="0.5")
    for corrupt in CORRUPTIONS:
        with pytest.raises(TypeError, match="x must be a JAX or NumPy array, got list"):
            corrupt(key, [1.0, 2.0])
    with pytest.raises(ValueError, match=r"at least one pixel and one channel, got shape \(0, 3\)"):
        blur(jnp.ones((0, 3)), 1.0)
