"""The contractive penalty: linear maps, the closed form of one layer, finite differences, its own derivatives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads
from scipy import special

from aejax.jacobian import contractive_penalty
from aejax.jacobian.penalties import METHODS

every_method = pytest.mark.parametrize("method", METHODS)


def normal(seed, *shape):
    return jnp.array(np.random.default_rng(seed).standard_normal(shape))


def two_layers(params, x):
    first, second = params
    return jnp.tanh(second @ jnp.tanh(first @ x))


def test_methods_are_forward_and_reverse():
    assert METHODS == ("jacfwd", "jacrev")


@every_method
def test_of_a_linear_map_is_the_sum_of_squared_weights(method, float64):
    weights, x = normal(0, 3, 5), normal(1, 5)
    penalty = contractive_penalty(lambda x: weights @ x + 1.0, x, method=method)
    np.testing.assert_allclose(penalty, np.linalg.norm(weights, "fro") ** 2, rtol=1e-14)


@every_method
def test_of_a_logistic_layer_equals_the_closed_form(method, float64):
    weights, bias, x = normal(0, 4, 6), normal(1, 4), normal(2, 6)
    code = special.expit(np.asarray(weights @ x + bias))
    expected = np.sum((code * (1 - code)) ** 2 * np.sum(np.square(weights), axis=1))
    penalty = contractive_penalty(lambda x: jax.nn.sigmoid(weights @ x + bias), x, method=method)
    np.testing.assert_allclose(penalty, expected, rtol=1e-13)


@every_method
def test_equals_finite_differences(method, float64):
    params, x, step = (normal(0, 5, 4), normal(1, 3, 5)), normal(2, 4), 1e-5
    expected = 0.0
    for direction in np.eye(4):
        ahead, behind = (two_layers(params, x + sign * step * direction) for sign in (1, -1))
        expected += np.sum(np.square((ahead - behind) / (2 * step)))
    penalty = contractive_penalty(lambda x: two_layers(params, x), x, method=method)
    np.testing.assert_allclose(penalty, expected, rtol=1e-8)


@every_method
def test_its_own_derivatives_equal_finite_differences(method, float64, without_type_checks):
    def penalty(params, x):
        return contractive_penalty(lambda x: two_layers(params, x), x, method=method)

    arguments = ((normal(0, 3, 2), normal(1, 2, 3)), normal(2, 2))
    check_grads(jax.jit(penalty), arguments, order=1, modes=("fwd", "rev"), rtol=1e-6, atol=1e-6)
    check_grads(jax.jit(jax.grad(penalty)), arguments, order=1, modes=("rev",), rtol=1e-6, atol=1e-6)


def test_is_the_same_for_images_and_feature_maps(float64):
    weights, image = normal(0, 12, 24), normal(1, 4, 3, 2)

    def encode(image):
        return jnp.tanh(weights @ image.reshape(-1)).reshape(2, 2, 3)

    flat = contractive_penalty(lambda x: encode(x.reshape(4, 3, 2)).reshape(-1), image.reshape(-1))
    for method in METHODS:
        np.testing.assert_allclose(contractive_penalty(encode, image, method=method), flat, rtol=1e-13)


def test_of_scalars_is_the_squared_derivative():
    np.testing.assert_allclose(contractive_penalty(jnp.sin, jnp.float32(0.3)), np.cos(0.3) ** 2, rtol=1e-6)


@every_method
def test_same_with_and_without_jit_and_vmap(method):
    weights, x = jax.random.normal(jax.random.key(0), (3, 5)), jax.random.normal(jax.random.key(1), (4, 5))

    def penalty(x):
        return contractive_penalty(lambda x: jnp.tanh(weights @ x), x, method=method)

    loop = jnp.stack([penalty(one) for one in x])
    np.testing.assert_allclose(jax.vmap(penalty)(x), loop, rtol=1e-5)
    np.testing.assert_allclose(jax.jit(penalty)(x[0]), loop[0], rtol=1e-5)


def test_refuses_an_unknown_method():
    with pytest.raises(ValueError, match="method must be one of jacfwd, jacrev, got 'jacsym'"):
        contractive_penalty(jnp.sin, jnp.ones(2), method="jacsym")


def test_refuses_integers(without_type_checks):
    with pytest.raises(TypeError, match="x must be a floating-point array"):
        contractive_penalty(jnp.sin, jnp.ones(2, jnp.int32))
