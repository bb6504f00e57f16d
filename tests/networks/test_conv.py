"""Convolutional networks: images of any size come back in their size; every layer against another implementation."""

import math
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aejax.networks import ConvDecoder, ConvEncoder
from aejax.networks.conv import Conv, max_pool, upsample

KEY = jax.random.key(0)
sides = st.integers(1, 33)
shapes = st.tuples(sides, sides) | st.tuples(sides, sides, st.integers(1, 3))


def output_shape(network, x_shape):
    return jax.eval_shape(network.init_with_output, KEY, jnp.ones(x_shape))[0].shape


def pool(x):
    """2x2 maxima, window by window."""
    height, width = (math.ceil(side / 2) for side in x.shape[:2])
    windows = [[x[2 * i : 2 * i + 2, 2 * j : 2 * j + 2].max(axis=(0, 1)) for j in range(width)] for i in range(height)]
    return np.array(windows)


@pytest.mark.slow
@settings(max_examples=12)
@given(shape=shapes, features=st.lists(st.integers(1, 4), min_size=1, max_size=3))
def test_an_image_of_any_size_comes_back_in_its_size(shape, features):
    code_shape = output_shape(ConvEncoder(features=tuple(features)), shape)
    halved = tuple(math.ceil(side / 2 ** len(features)) for side in shape[:2])
    assert code_shape == (*halved, features[-1])
    decoder = ConvDecoder(shape=shape, features=tuple(features[::-1]))
    assert output_shape(decoder, code_shape) == shape
    assert output_shape(ConvEncoder(features=tuple(features), code_size=5), shape) == (5,)
    assert output_shape(decoder, (5,)) == shape


def gelu(x):
    """The approximation by tanh, which is that of `jax.nn.gelu`."""
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


@pytest.mark.slow_after_first
@pytest.mark.parametrize(
    ("activation", "oracle"), [(nn.relu, lambda x: np.maximum(x, 0)), (jnp.tanh, np.tanh), (nn.gelu, gelu)]
)
@pytest.mark.parametrize("shape", [(6, 4), (5, 7), (5, 6, 2), (1, 1, 1)])
def test_encoder_equals_scipy(shape, activation, oracle, random_params, correlate):
    x = jax.random.normal(jax.random.key(1), shape)
    encoder = ConvEncoder(features=(3, 2), code_size=4, activation=activation)
    params = random_params(encoder, x)
    layers = params["params"]
    expected = np.asarray(x, np.float64).reshape(*shape[:2], -1)
    for layer in ("Conv_0", "Conv_1"):
        expected = pool(oracle(correlate(expected, layers[layer])))
    expected = expected.reshape(-1) @ np.asarray(layers["Dense_0"]["kernel"]) + layers["Dense_0"]["bias"]
    np.testing.assert_allclose(jax.jit(encoder.apply)(params, x), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(6, 4), (5, 7, 2)])
def test_decoder_equals_scipy(shape, random_params, correlate):
    code = jax.random.normal(jax.random.key(1), (4,))
    decoder = ConvDecoder(shape=shape, features=(3, 2), activation=jnp.tanh)
    params = random_params(decoder, code)
    layers = params["params"]
    sizes = [(2, 1), (3, 2), (6, 4)] if shape == (6, 4) else [(2, 2), (3, 4), (5, 7)]
    expected = np.tanh(np.asarray(code) @ np.asarray(layers["Dense_0"]["kernel"]) + layers["Dense_0"]["bias"])
    expected = expected.reshape(*sizes[0], 3)
    for layer, (height, width) in zip(("Conv_0", "Conv_1"), sizes[1:], strict=True):
        expected = np.tanh(correlate(expected, layers[layer]))
        expected = expected.repeat(2, axis=0).repeat(2, axis=1)[:height, :width]
    expected = correlate(expected, layers["Conv_2"]).reshape(shape)
    np.testing.assert_allclose(jax.jit(decoder.apply)(params, code), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_vmap_equals_a_loop(random_params):
    encoder, x = ConvEncoder(features=(2,), code_size=3), jax.random.normal(jax.random.key(1), (3, 5, 4))
    params, apply = random_params(encoder, x[0]), jax.jit(encoder.apply)
    loop = jnp.stack([apply(params, one) for one in x])
    np.testing.assert_allclose(jax.jit(jax.vmap(apply, in_axes=(None, 0)))(params, x), loop, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(4, 6, 3), (5, 4, 1), (7, 7, 2), (1, 4, 1)])
def test_max_pool_equals_flax_in_value_and_gradient(shape):
    def value_and_pullback(pool, x):
        value, pullback = jax.vjp(pool, x)
        return value, pullback(jnp.cos(value))[0]

    x = jax.random.normal(jax.random.key(1), shape)  # no two values are equal
    ours = jax.jit(partial(value_and_pullback, max_pool))(x)
    flax = jax.jit(partial(value_and_pullback, lambda x: nn.max_pool(x[None], (2, 2), (2, 2), padding="SAME")[0]))(x)
    np.testing.assert_array_equal(ours[0], flax[0])
    np.testing.assert_allclose(ours[1], flax[1], rtol=1e-6)


def test_max_pool_shares_the_gradient_of_equal_values():
    gradient = jax.jit(jax.grad(lambda x: jnp.sum(max_pool(x))))(jnp.zeros((3, 4, 1)))
    np.testing.assert_allclose(jnp.sum(gradient), 4)  # one for each window
    assert gradient.min() >= 0


@pytest.mark.slow_after_first
@pytest.mark.parametrize("shape", [(2, 3, 2), (1, 1, 1)])
def test_upsample_equals_repeat(shape):
    x = jax.random.normal(jax.random.key(1), shape)
    np.testing.assert_array_equal(upsample(x), jnp.repeat(jnp.repeat(x, 2, axis=0), 2, axis=1))


@pytest.mark.slow
@pytest.mark.parametrize("layer", [Conv(5), Conv(5, size=(12, 13)), Conv(5, pooled=True)])
def test_parameters_are_those_of_flax(layer):
    x = jnp.ones((6, 7, 3))
    ours, flax = (jax.jit(one.init)(KEY, x) for one in (layer, nn.Conv(5, (3, 3))))
    jax.tree.map(np.testing.assert_array_equal, ours, flax)


def test_networks_have_the_parameters_of_layers_of_flax():
    x = jnp.ones((7, 6, 1))
    encoder, decoder = ConvEncoder((4, 3)), ConvDecoder((7, 6, 1), (3, 4))
    trees = [jax.eval_shape(encoder.init, KEY, x), jax.eval_shape(decoder.init, KEY, jnp.ones((2, 2, 3)))]
    channels = [[(1, 4), (4, 3)], [(3, 3), (3, 4), (4, 1)]]
    for tree, pairs in zip(trees, channels, strict=True):
        expected = {f"Conv_{n}": {"kernel": (3, 3, c, d), "bias": (d,)} for n, (c, d) in enumerate(pairs)}
        assert jax.tree.map(lambda leaf: leaf.shape, tree["params"]) == expected


@pytest.mark.parametrize("shape", [(5,), (2, 5, 5, 1)])
def test_refuses_what_is_no_image(shape):
    with pytest.raises(ValueError, match=r"an image has shape \(H, W\) or \(H, W, C\), got"):
        output_shape(ConvEncoder(features=(2,)), shape)
    with pytest.raises(ValueError, match="an image has shape"):
        output_shape(ConvDecoder(shape=shape, features=(2,)), (3,))


def test_decoder_refuses_a_feature_map_of_another_size():
    with pytest.raises(ValueError, match=r"must have height and width \(3, 4\), got shape \(4, 4, 2\)"):
        output_shape(ConvDecoder(shape=(5, 7), features=(2,)), (4, 4, 2))
