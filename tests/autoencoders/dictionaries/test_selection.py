"""The selection is that of a stable sort, on any number of devices, bit for bit."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aejax.autoencoders.dictionaries.selection import largest_of_batch, largest_of_each


def by_sorting(values: np.ndarray, number: int) -> np.ndarray:
    """Which positive values are among the largest, among equal ones the first."""
    flat = values.reshape(-1)
    kept = np.zeros(flat.size, bool)
    kept[np.argsort(-flat, kind="stable")[:number]] = True
    return (kept & (flat > 0)).reshape(values.shape)


few_values = st.integers(0, 2**31 - 1).map(
    lambda seed: np.random.default_rng(seed).choice([0.0, 1e-30, 0.5, 0.5, 1.0, 3e38], (8, 5)).astype(np.float32)
)


def on_a_cpu(function):
    return function


def on_other_devices(function):
    """The function with what it computes on other platforms than a CPU."""

    def traced(*arguments):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(jax.lax, "platform_dependent", lambda *operands, default, cpu: default(*operands))
            return function(*arguments)

    return traced


PLATFORMS = on_a_cpu, on_other_devices


@cache
def selecting(platform):
    """The selection from a batch, on one device and on several."""
    over_devices = jax.vmap(
        lambda values, number: largest_of_batch(values, number, axis_name="d"), in_axes=(0, None), axis_name="d"
    )
    return jax.jit(platform(largest_of_batch)), jax.jit(platform(over_devices))


@cache
def selecting_of_each(platform, most):
    return jax.jit(
        platform(lambda values, number, weights: largest_of_each(values, most, number=number, weights=weights))
    )


@pytest.mark.parametrize("platform", PLATFORMS)
@given(few_values, st.integers(0, 45))
def test_ties_are_taken_in_order(platform, values, number):
    select, over_devices = selecting(platform)
    expected = by_sorting(values, number)
    np.testing.assert_array_equal(select(values, number), expected)
    shares = values.reshape(4, 2, 5)
    np.testing.assert_array_equal(over_devices(shares, number).reshape(8, 5), expected)


@pytest.mark.parametrize("platform", PLATFORMS)
def test_random_values_on_eight_devices(platform):
    values = np.maximum(np.random.default_rng(0).normal(size=(64, 33)), 0).astype(np.float32)
    of_one = platform(lambda values: largest_of_batch(values, 100, axis_name="d"))
    of_devices = jax.pmap(of_one, "d", devices=jax.local_devices()[:8])
    kept = of_devices(values.reshape(8, 8, 33)).reshape(64, 33)
    np.testing.assert_array_equal(kept, by_sorting(values, 100))
    assert kept.sum() == 100


@pytest.mark.parametrize("platform", PLATFORMS)
@given(few_values, st.integers(1, 5))
def test_the_largest_of_each_row(platform, values, k):
    ordered = np.argsort(-values, axis=1, kind="stable")[:, :k]
    expected = np.zeros(values.shape, bool)
    np.put_along_axis(expected, ordered, True, axis=1)
    expected &= values > 0
    weights = np.arange(1, 9, dtype=np.float32)
    for most in (k, 5):
        kept = selecting_of_each(platform, most)(values, k, weights)
        np.testing.assert_array_equal(kept.mask, expected)
        np.testing.assert_array_equal(kept.number, expected.sum(axis=1))
        np.testing.assert_array_equal(kept.weight, weights @ expected)


@pytest.mark.parametrize("platform", PLATFORMS)
def test_rows_of_random_values(platform):
    """Where the counts of all bits matter."""
    values = np.maximum(np.random.default_rng(0).normal(size=(40, 300)), 0).astype(np.float32)
    kept = jax.jit(platform(lambda values: largest_of_each(values, 7)))(values)
    np.testing.assert_array_equal(kept.mask, values >= np.sort(values, axis=1)[:, -7:-6])


def test_selection_is_a_constant():
    """No derivative of the bits: the gradient reaches what is kept alone."""
    values = jnp.array([[1.0, 3.0, 2.0]])
    gradient = jax.grad(lambda v: jnp.sum(jnp.where(largest_of_batch(v, 2), v, 0)))(values)
    assert gradient.tolist() == [[0.0, 1.0, 1.0]]


@pytest.mark.parametrize("number", [0, 2, 100])
def test_zeros_are_never_kept(number):
    assert int(largest_of_batch(jnp.array([[0.0, 1.0, 0.0, 2.0]]), number).sum()) == min(number, 2)
