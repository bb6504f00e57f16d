"""Schedules: values by hand, the same under jit, and the end for good."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aejax.autoencoders.record import AFTER_ALL_STEPS
from aejax.schedules import cyclical_warm_up, linear_warm_up

VALUES = {
    "linear": (linear_warm_up(4), [0, 1, 2, 3, 4, 5, 1000], [0, 0.25, 0.5, 0.75, 1, 1, 1]),
    "linear to 8": (linear_warm_up(4, end=8.0), [0, 1, 3, 4, 9], [0, 2, 6, 8, 8]),
    "cyclical": (
        cyclical_warm_up(4, cycles=2),
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 12],
        [0, 0.5, 1, 1, 0, 0.5, 1, 1, 1, 1, 1],
    ),
    "cyclical, rising all the time, to 4": (
        cyclical_warm_up(4, cycles=3, rising_fraction=1.0, end=4.0),
        [0, 1, 2, 3, 4, 7, 8, 11, 12, 13],
        [0, 1, 2, 3, 0, 3, 0, 3, 4, 4],
    ),
}
every_schedule = pytest.mark.parametrize("name", VALUES)


@pytest.mark.slow_after_first
@every_schedule
def test_values_by_hand_with_and_without_jit(name):
    schedule, steps, weights = VALUES[name]
    np.testing.assert_allclose([schedule(step) for step in steps], weights, rtol=1e-6)
    np.testing.assert_allclose([jax.jit(schedule)(jnp.int32(step)) for step in steps], weights, rtol=1e-6)
    np.testing.assert_allclose(jax.jit(jax.vmap(schedule))(jnp.array(steps)), weights, rtol=1e-6)


@every_schedule
def test_stays_at_its_end(name):
    schedule, _, weights = VALUES[name]
    assert schedule(AFTER_ALL_STEPS) == weights[-1]
    assert schedule(jnp.int32(AFTER_ALL_STEPS)) == weights[-1]


@every_schedule
def test_is_one_number_of_single_precision(name):
    weight = jax.eval_shape(VALUES[name][0], jnp.int32(0))
    assert (weight.shape, weight.dtype) == ((), jnp.float32)


@pytest.mark.parametrize("steps", [0, -1, np.inf, np.nan])
def test_refuses_no_steps(steps):
    with pytest.raises(ValueError, match="steps must be positive and finite"):
        linear_warm_up(steps)
    with pytest.raises(ValueError, match="steps_per_cycle must be positive and finite"):
        cyclical_warm_up(steps, cycles=2)
    with pytest.raises(ValueError, match="cycles must be positive and finite"):
        cyclical_warm_up(10, cycles=steps)


@pytest.mark.parametrize(("fraction", "message"), [(0.0, "positive and finite"), (1.5, "between 0 and 1")])
def test_refuses_a_rising_fraction_out_of_range(fraction, message):
    with pytest.raises(ValueError, match=f"rising_fraction must be {message}"):
        cyclical_warm_up(10, cycles=2, rising_fraction=fraction)


@pytest.mark.slow
@pytest.mark.parametrize("number", [np.float64, np.float32, np.int8, np.int64, int, float])
def test_knobs_of_every_type_give_the_same_weights_of_float32(number):
    with jax.enable_x64(True):
        schedules = (
            (linear_warm_up(number(100), end=number(4)), linear_warm_up(100, end=4.0)),
            (cyclical_warm_up(number(100), cycles=number(100)), cyclical_warm_up(100, cycles=100)),
        )
        for got, expected in schedules:
            for step in (0, np.int8(30), np.int64(75), jnp.int32(75), 9_999, 10_000, 2**31 - 1):
                assert got(step).dtype == jnp.float32
                assert got(step) == expected(step)


def test_cycles_beyond_the_largest_step_and_of_a_fraction_of_a_step():
    assert cyclical_warm_up(10**6, cycles=10**6)(1_000_250_000) == 0.5
    schedule = cyclical_warm_up(2.5, cycles=4)
    np.testing.assert_allclose([schedule(step) for step in (0, 1, 2, 3, 9, 10)], [0, 0.8, 1, 0.4, 1, 1], rtol=1e-6)


@pytest.mark.parametrize("end", [-1.0, math.nan, math.inf])
def test_refuses_an_end_that_is_no_weight(end):
    for build in (linear_warm_up, lambda steps, end: cyclical_warm_up(steps, cycles=2, end=end)):
        with pytest.raises(ValueError, match="end must be at least 0 and finite"):
            build(10, end=end)


def test_an_end_may_be_traced():
    traced = jax.jit(lambda end: (linear_warm_up(10, end=end)(5), cyclical_warm_up(10, cycles=2, end=end)(9)))(3.0)
    np.testing.assert_allclose(traced, [1.5, 3.0])
