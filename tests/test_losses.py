"""Reconstruction losses: by hand, against SciPy, their derivatives, their extremes."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from jax.test_util import check_grads
from scipy import special, stats

from aejax.losses import absolute_error, binary_cross_entropy, output_link, squared_error

LOSSES = (squared_error, absolute_error, binary_cross_entropy)
every_loss = pytest.mark.parametrize("loss", LOSSES)
vectors = arrays(np.float32, 5, elements=st.floats(-50, 50, width=32))
probabilities = arrays(np.float32, 5, elements=st.floats(0, 1, width=32))


@pytest.mark.parametrize(
    ("loss", "x", "output", "expected"),
    [
        (squared_error, [0.0, 1.0], [2.0, 1.5], 4.25),
        (absolute_error, [0.0, 1.0], [2.0, 1.5], 2.5),
        (binary_cross_entropy, [1.0, 0.0], [0.0, math.log(3)], 3 * math.log(2)),  # p = 1/2 and 3/4
        (binary_cross_entropy, [0.25], [-math.log(3)], 2 * math.log(2) - 0.75 * math.log(3)),  # p = x: its entropy
    ],
)
def test_number_by_hand(loss, x, output, expected):
    np.testing.assert_allclose(loss(jnp.array(x), jnp.array(output)), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("loss", "oracle"),
    [
        (squared_error, lambda x, output: np.linalg.norm((x - output).ravel()) ** 2),
        (absolute_error, lambda x, output: -np.sum(stats.laplace.logpdf(x, output) + math.log(2))),
        (
            binary_cross_entropy,
            lambda x, output: (
                -np.sum(special.xlogy(x, special.expit(output)) + special.xlog1py(1 - x, -special.expit(output)))
            ),
        ),
    ],
)
def test_equals_scipy_in_float64_on_arrays_of_any_rank(loss, oracle, float64):
    rng = np.random.default_rng(0)
    for shape in ((), (4, 3, 2)):
        x, output = rng.uniform(size=shape), 3 * rng.standard_normal(shape)
        result = loss(jnp.array(x), jnp.array(output))
        assert result.shape == ()
        assert result.dtype == jnp.float64
        np.testing.assert_allclose(result, oracle(x, output), rtol=1e-12)


def test_binary_cross_entropy_is_a_bernoulli_log_probability(float64):
    rng = np.random.default_rng(1)
    x, logits = rng.integers(0, 2, 50).astype(float), 3 * rng.standard_normal(50)
    expected = -stats.bernoulli.logpmf(x, special.expit(logits)).sum()
    np.testing.assert_allclose(binary_cross_entropy(jnp.array(x), jnp.array(logits)), expected, rtol=1e-12)


@every_loss
def test_derivatives_equal_finite_differences(loss, float64, without_type_checks):
    x = jnp.array([0.0, 0.3, 1.0, 0.7])
    output = jnp.array([-2.0, 0.0, 0.5, 4.0])  # a logit of exactly 0 among them
    check_grads(jax.jit(loss), (x, output), order=2, modes=("fwd", "rev"), rtol=1e-5, atol=1e-5)


def test_binary_cross_entropy_is_right_at_extreme_logits():
    x, logits = (grid.astype(np.float32) for grid in np.meshgrid([0, 0.5, 1], [1e4, -1e4, 3e38, -3e38, 0]))
    sigmoid = special.expit(logits)
    value, slope = jax.vmap(jax.value_and_grad(binary_cross_entropy, argnums=1))(x.ravel(), logits.ravel())
    expected = np.where(logits == 0, np.log(2), np.maximum(logits, 0) - x * logits)
    np.testing.assert_allclose(value, expected.ravel(), rtol=1e-6)
    np.testing.assert_allclose(slope, (sigmoid - x).ravel())
    for outer in (jax.jacfwd, jax.jacrev):
        for inner in (jax.jacfwd, jax.jacrev):
            curvature = jax.jit(jax.vmap(outer(inner(binary_cross_entropy, argnums=1), argnums=1)))
            np.testing.assert_allclose(
                curvature(x.ravel(), logits.ravel()), (sigmoid * (1 - sigmoid)).ravel()
            )  # 1/4 at 0


@pytest.mark.parametrize("loss", [squared_error, absolute_error])
def test_errors_and_their_gradients_are_finite_at_extremes_and_at_equality(loss):
    x, reconstruction = jnp.array([1e4, -1e4, 0.0, 5.0]), jnp.array([-1e4, 1e4, 0.0, 5.0])
    value, gradient = jax.value_and_grad(loss, argnums=1)(x, reconstruction)
    assert np.isfinite(value)
    np.testing.assert_array_equal(gradient[:2], [-4e4, 4e4] if loss is squared_error else [-1, 1])
    assert np.all(np.abs(gradient[2:]) <= (0 if loss is squared_error else 1))


@every_loss
@pytest.mark.parametrize("shapes", [((8,), (8, 1)), ((8,), ()), ((2, 3), (3, 2))])
def test_refuses_shapes_that_differ(loss, shapes):
    x, output = (jnp.zeros(shape) for shape in shapes)
    with pytest.raises(ValueError, match=r"shapes must be equal: .*\(.*\).*\(.*\)"):
        loss(x, output)


@every_loss
def test_refuses_integers(loss, without_type_checks):
    integers, floats = jnp.zeros(3, jnp.int32), jnp.zeros(3)
    for x, output in ((integers, floats), (floats, integers)):
        with pytest.raises(TypeError, match="must be a floating-point array, got dtype int32"):
            loss(x, output)


@every_loss
def test_integers_violate_the_signature(loss):
    with pytest.raises(TypeError, match=r"i32\[3\]"):
        loss(jnp.zeros(3, jnp.int32), jnp.zeros(3))


@every_loss
def test_keeps_half_precision(loss):
    x = jnp.ones(3, jnp.bfloat16)
    assert jax.eval_shape(loss, x, x).dtype == jnp.bfloat16


@every_loss
@given(x=probabilities, output=vectors)
def test_same_with_and_without_jit_and_never_negative(loss, x, output):
    x, output = jnp.array(x), jnp.array(output)
    value = loss(x, output)
    np.testing.assert_allclose(jax.jit(loss)(x, output), value, rtol=1e-5, atol=1e-6)
    assert value >= 0


@pytest.mark.parametrize("loss", [squared_error, absolute_error])
@given(x=vectors)
def test_errors_are_zero_at_equality(loss, x):
    assert loss(jnp.array(x), jnp.array(x)) == 0


@given(x=arrays(np.float32, 5, elements=st.floats(0.125, 0.875, width=32)), step=vectors)
def test_binary_cross_entropy_is_least_where_the_probability_is_x(x, step):
    logits = special.logit(x)
    at_x, elsewhere = (binary_cross_entropy(jnp.array(x), jnp.array(at)) for at in (logits, logits + step))
    assert elsewhere >= at_x - 1e-5


@every_loss
def test_vmap_equals_a_loop(loss):
    x, output = np.random.default_rng(0).uniform(size=(2, 6, 5)).astype(np.float32)
    one_by_one = [loss(*map(jnp.array, pair)) for pair in zip(x, output, strict=True)]
    np.testing.assert_allclose(jax.vmap(loss)(x, output), jnp.stack(one_by_one), rtol=1e-6)


def test_output_link_is_logistic_for_logits_and_the_identity_elsewhere():
    output = jnp.array([-2.0, 0.0, 3.0])
    np.testing.assert_allclose(output_link(binary_cross_entropy)(output), special.expit(output), rtol=1e-6)
    for loss in (squared_error, absolute_error, lambda x, output: jnp.sum(x * output)):
        np.testing.assert_array_equal(output_link(loss)(output), output)
