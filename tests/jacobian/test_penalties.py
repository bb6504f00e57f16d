"""Penalties on Jacobians: linear maps, the closed form of one layer, finite differences, their own derivatives."""

import math
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads
from scipy import special

from aejax.jacobian import (
    contractive_penalty,
    contractive_penalty_of_relu_layer,
    contractive_penalty_of_sigmoid_layer,
    contractive_penalty_of_tanh_layer,
    higher_order_penalty,
)
from aejax.jacobian.penalties import METHODS

every_method = pytest.mark.parametrize("method", METHODS)


def normal(seed, *shape):
    return jnp.array(np.random.default_rng(seed).standard_normal(shape))


def two_layers(params, x):
    first, second = params
    return jnp.tanh(second @ jnp.tanh(first @ x))


@pytest.mark.slow
@every_method
def test_of_a_linear_map_is_the_sum_of_squared_weights(method, float64):
    weights, x = normal(0, 3, 5), normal(1, 5)
    penalty = contractive_penalty(lambda x: weights @ x + 1.0, x, method=method)
    np.testing.assert_allclose(penalty, np.linalg.norm(weights, "fro") ** 2, rtol=1e-14)


@pytest.mark.slow_after_first
@every_method
def test_of_a_logistic_layer_equals_the_closed_form(method, float64):
    weights, bias, x = normal(0, 4, 6), normal(1, 4), normal(2, 6)
    code = special.expit(np.asarray(weights @ x + bias))
    expected = np.sum((code * (1 - code)) ** 2 * np.sum(np.square(weights), axis=1))
    penalty = contractive_penalty(lambda x: jax.nn.sigmoid(weights @ x + bias), x, method=method)
    np.testing.assert_allclose(penalty, expected, rtol=1e-13)


@pytest.mark.slow
@every_method
def test_equals_finite_differences(method, float64):
    params, x, step = (normal(0, 5, 4), normal(1, 3, 5)), normal(2, 4), 1e-5
    expected = 0.0
    for direction in np.eye(4):
        ahead, behind = (two_layers(params, x + sign * step * direction) for sign in (1, -1))
        expected += np.sum(np.square((ahead - behind) / (2 * step)))
    penalty = contractive_penalty(lambda x: two_layers(params, x), x, method=method)
    np.testing.assert_allclose(penalty, expected, rtol=1e-8)


@pytest.mark.slow
@every_method
def test_its_own_derivatives_equal_finite_differences(method, float64, without_type_checks):
    def penalty(params, x):
        return contractive_penalty(lambda x: two_layers(params, x), x, method=method)

    arguments = ((normal(0, 3, 2), normal(1, 2, 3)), normal(2, 2))
    check_grads(jax.jit(penalty), arguments, order=1, modes=("fwd", "rev"), rtol=1e-6, atol=1e-6)
    check_grads(jax.jit(jax.grad(penalty)), arguments, order=1, modes=("rev",), rtol=1e-6, atol=1e-6)


@pytest.mark.slow
def test_is_the_same_for_images_and_feature_maps(float64):
    weights, image = normal(0, 12, 24), normal(1, 4, 3, 2)

    def encode(image):
        return jnp.tanh(weights @ image.reshape(-1)).reshape(2, 2, 3)

    flat = contractive_penalty(lambda x: encode(x.reshape(4, 3, 2)).reshape(-1), image.reshape(-1))
    for method in METHODS:
        np.testing.assert_allclose(contractive_penalty(encode, image, method=method), flat, rtol=1e-13)


def test_of_scalars_is_the_squared_derivative():
    np.testing.assert_allclose(contractive_penalty(jnp.sin, jnp.float32(0.3)), np.cos(0.3) ** 2, rtol=1e-6)


@pytest.mark.slow
@every_method
def test_same_with_and_without_jit_and_vmap(method):
    weights, x = jax.random.normal(jax.random.key(0), (3, 5)), jax.random.normal(jax.random.key(1), (4, 5))

    def penalty(x):
        return contractive_penalty(lambda x: jnp.tanh(weights @ x), x, method=method)

    loop = jnp.stack([penalty(one) for one in x])
    np.testing.assert_allclose(jax.jit(jax.vmap(penalty))(x), loop, rtol=1e-5)
    np.testing.assert_allclose(jax.jit(penalty)(x[0]), loop[0], rtol=1e-5)


def test_refuses_an_unknown_method():
    with pytest.raises(ValueError, match="method must be one of jacfwd, jacrev, structured, auto, got 'jacsym'"):
        contractive_penalty(jnp.sin, jnp.ones(2), method="jacsym")


def test_refuses_integers(without_type_checks):
    with pytest.raises(TypeError, match="x must be a floating-point array"):
        contractive_penalty(jnp.sin, jnp.ones(2, jnp.int32))


def test_of_sigmoid_layer_by_hand():
    code, kernel = jnp.array([0.5, 0.25]), jnp.array([[1.0, 0.0], [2.0, 4.0], [0.0, -1.0]])
    expected = (1 / 4) ** 2 * (1 + 4) + (3 / 16) ** 2 * (16 + 1)
    np.testing.assert_allclose(contractive_penalty_of_sigmoid_layer(code, kernel), expected, rtol=1e-6)


CLOSED_FORMS = {
    "sigmoid": (contractive_penalty_of_sigmoid_layer, nn.sigmoid),
    "tanh": (contractive_penalty_of_tanh_layer, nn.tanh),
    "relu": (contractive_penalty_of_relu_layer, nn.relu),
}


@pytest.mark.slow_after_first
@pytest.mark.parametrize("name", CLOSED_FORMS)
@pytest.mark.parametrize(("dtype", "rtol"), [(jnp.float32, 1e-5), (jnp.float64, 1e-10)])
def test_closed_forms_equal_the_jacobian_of_flax_dense(name, dtype, rtol, float64):
    closed_form, activation = CLOSED_FORMS[name]
    layer, x = nn.Dense(4, param_dtype=dtype), normal(0, 6).astype(dtype)
    params = {"params": {"kernel": normal(1, 6, 4).astype(dtype), "bias": normal(2, 4).astype(dtype)}}

    def encode(x):
        return activation(layer.apply(params, x))

    penalty = closed_form(encode(x), params["params"]["kernel"])
    assert penalty.dtype == dtype
    np.testing.assert_allclose(penalty, contractive_penalty(encode, x), rtol=rtol)


def test_tanh_and_relu_layers_by_hand():
    kernel = jnp.array([[1.0, 0.0], [2.0, 4.0], [0.0, -1.0]])
    tanh = contractive_penalty_of_tanh_layer(jnp.array([0.5, -0.25]), kernel)
    np.testing.assert_allclose(tanh, (3 / 4) ** 2 * 5 + (15 / 16) ** 2 * 17, rtol=1e-6)
    assert contractive_penalty_of_relu_layer(jnp.array([0.0, 0.1]), kernel) == 17


@pytest.mark.slow
def test_derivatives_of_that_of_sigmoid_layer_equal_finite_differences(float64, without_type_checks):
    arguments = jax.nn.sigmoid(normal(0, 2)), normal(1, 3, 2)
    penalty = jax.jit(contractive_penalty_of_sigmoid_layer)
    check_grads(penalty, arguments, order=2, modes=("fwd", "rev"), rtol=1e-5, atol=1e-5)


def test_of_sigmoid_layer_is_zero_where_units_are_saturated():
    code, kernel = jnp.array([0.0, 1.0]), jnp.full((3, 2), 1e4)
    value, gradient = jax.jit(jax.value_and_grad(contractive_penalty_of_sigmoid_layer, argnums=(0, 1)))(code, kernel)
    assert value == 0
    for part in gradient:
        np.testing.assert_array_equal(part, 0)


def test_closed_forms_refuse_shapes_and_integers(without_type_checks):
    for closed_form, _ in CLOSED_FORMS.values():
        for code, kernel in (((3,), (3, 2)), ((2, 1), (3, 2)), ((), (3, 2)), ((2,), (2,)), ((1,), (3, 2))):
            with pytest.raises(ValueError, match=r"kernel must be \(inputs, units\) and code \(units,\)"):
                closed_form(jnp.zeros(code), jnp.zeros(kernel))
        with pytest.raises(TypeError, match="kernel must be a floating-point array"):
            closed_form(jnp.zeros(2), jnp.zeros((3, 2), int))


def higher_order(encode, x, *, seed=0, standard_deviation=0.1, samples=3, **options):
    knobs = {"standard_deviation": standard_deviation, "samples": samples, **options}
    return higher_order_penalty(jax.random.key(seed), encode, x, **knobs)


@pytest.mark.slow
@every_method
def test_higher_order_penalty_of_a_linear_map_is_zero(method):
    weights = jax.random.normal(jax.random.key(0), (3, 5))
    assert higher_order(lambda x: jnp.dot(weights, x) + 1.0, jnp.ones(5), method=method) == 0


@pytest.mark.slow
@pytest.mark.parametrize("method", ["jacfwd", "jacrev", "auto"])
@pytest.mark.parametrize("standard_deviation", [0.01, 3.0])
def test_higher_order_penalty_of_a_quadratic_map_is_that_of_its_hessian(method, standard_deviation, float64):
    """hₖ = ½ xᵀ Aₖ x: the term of one ε is εᵀ M ε with M = Σₖ Aₖ², of mean σ² tr M and variance 2 σ⁴ tr M²."""
    a, samples = normal(0, 2, 4, 4), 20_000
    a = a + a.swapaxes(1, 2)
    m = np.einsum("kij,kjl->il", a, a)
    encode = partial(jnp.einsum, "kij,i,j->k", 0.5 * a)
    penalty = higher_order(
        lambda x: encode(x, x), normal(1, 4), standard_deviation=standard_deviation, samples=samples, method=method
    )
    expected = standard_deviation**2 * np.trace(m)
    error = standard_deviation**2 * math.sqrt(2 * np.trace(m @ m) / samples)
    assert abs(penalty - expected) < 5 * error
    hessian = jax.jit(jax.hessian(lambda x: encode(x, x)))(normal(1, 4))
    np.testing.assert_allclose(expected, standard_deviation**2 * np.sum(np.square(hessian)), rtol=1e-12)


@pytest.mark.slow
def test_higher_order_penalty_of_a_network_is_that_of_its_hessian_for_small_noise(float64):
    params, x = (normal(0, 5, 4), normal(1, 3, 5)), normal(2, 4)
    hessian = np.asarray(jax.jit(jax.hessian(partial(two_layers, params)))(x))
    m, samples, sigma = np.einsum("kij,kil->jl", hessian, hessian), 20_000, 1e-3
    penalty = higher_order(partial(two_layers, params), x, standard_deviation=sigma, samples=samples)
    error = sigma**2 * math.sqrt(2 * np.trace(m @ m) / samples)
    assert abs(penalty - sigma**2 * np.sum(np.square(hessian))) < 5 * error


@pytest.mark.slow
def test_higher_order_penalty_draws_by_its_key_and_averages_over_the_samples():
    """The mean of (2 ε)² over many ε lies within 5 standard errors of 4 σ²."""
    assert higher_order(jnp.sin, jnp.ones(2)) == higher_order(jnp.sin, jnp.ones(2))
    assert higher_order(jnp.sin, jnp.ones(2)) != higher_order(jnp.sin, jnp.ones(2), seed=1)
    many = higher_order(jnp.square, jnp.float32(0.0), standard_deviation=0.5, samples=40_000)
    assert abs(many - 1) < 5 * math.sqrt(2 / 40_000)


@pytest.mark.slow
def test_derivatives_of_higher_order_penalty_equal_finite_differences(float64, without_type_checks):
    def penalty(params, x, standard_deviation):
        return higher_order(partial(two_layers, params), x, standard_deviation=standard_deviation, method="jacrev")

    arguments = ((normal(0, 3, 2), normal(1, 2, 3)), normal(2, 2), 0.3)
    check_grads(jax.jit(penalty), arguments, order=1, modes=("fwd", "rev"), rtol=1e-6, atol=1e-6)
    check_grads(jax.jit(jax.grad(penalty)), arguments, order=1, modes=("rev",), rtol=1e-6, atol=1e-6)


@pytest.mark.slow
def test_higher_order_penalty_is_the_same_under_jit_and_vmap_and_for_images():
    weights, keys = jax.random.normal(jax.random.key(0), (3, 6)), jax.random.split(jax.random.key(1), 4)
    x = jax.random.normal(jax.random.key(2), (4, 6))

    def penalty(key, x):
        encode = lambda x: jnp.tanh(weights @ x.reshape(-1))  # noqa: E731
        return higher_order_penalty(key, encode, x, standard_deviation=0.3, samples=2, method="jacrev")

    loop = jnp.stack([penalty(*one) for one in zip(keys, x, strict=True)])
    np.testing.assert_allclose(jax.jit(jax.vmap(penalty))(keys, x), loop, rtol=1e-4)
    np.testing.assert_allclose(jax.jit(jax.vmap(penalty))(keys, x.reshape(4, 3, 2)), loop, rtol=1e-4)


@pytest.mark.slow
def test_higher_order_penalty_is_finite_for_saturated_units():
    def penalty(scale):
        return higher_order(lambda x: jax.nn.sigmoid(scale * x), jnp.ones(2))

    for scale in (1e4, -1e4):
        value, gradient = jax.jit(jax.value_and_grad(penalty))(scale)
        assert value == 0
        assert gradient == 0


def test_higher_order_penalty_refuses_wrong_knobs(without_type_checks):
    for standard_deviation in (0.0, -1.0, math.nan):
        with pytest.raises(ValueError, match="standard_deviation must be positive and finite"):
            higher_order(jnp.sin, jnp.ones(2), standard_deviation=standard_deviation)
    with pytest.raises(ValueError, match="samples must be at least 1, got 0"):
        higher_order(jnp.sin, jnp.ones(2), samples=0)
    with pytest.raises(TypeError, match=r"samples must be an integer, got 2\.0"):
        higher_order(jnp.sin, jnp.ones(2), samples=2.0)
    with pytest.raises(ValueError, match="method must be one of jacfwd, jacrev, structured, auto"):
        higher_order(jnp.sin, jnp.ones(2), method="jacsym")
    with pytest.raises(TypeError, match="x must be a floating-point array"):
        higher_order(jnp.sin, jnp.ones(2, int))


@pytest.mark.slow
@pytest.mark.parametrize("closed_form", [contractive_penalty_of_sigmoid_layer, contractive_penalty_of_tanh_layer])
@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_closed_forms_of_half_precision_are_computed_in_single(closed_form, dtype):
    code, kernel = jax.nn.sigmoid(normal(0, 1000)).astype(dtype), normal(1, 5, 1000).astype(dtype)
    expected = closed_form(code.astype(jnp.float32), kernel.astype(jnp.float32))
    np.testing.assert_allclose(closed_form(code, kernel), expected, rtol=1e-6)


def test_closed_forms_refuse_lists_by_name(without_type_checks):
    for closed_form in (contractive_penalty_of_sigmoid_layer, contractive_penalty_of_tanh_layer):
        with pytest.raises(TypeError, match="code must be a JAX or NumPy array, got list"):
            closed_form([0.5], jnp.ones((2, 1)))
