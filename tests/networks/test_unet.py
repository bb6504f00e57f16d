"""U-Net: images of any size come back, every layer against another implementation, and how far a pixel sees."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aejax.networks import UNetDecoder, UNetEncoder
from aejax.networks.blocks import depth_to_space, space_to_depth

KEY = jax.random.key(0)
sides = st.integers(1, 33)
shapes = st.tuples(sides, sides) | st.tuples(sides, sides, st.integers(1, 3))


@pytest.mark.slow
@settings(max_examples=12)
@given(shape=shapes, features=st.lists(st.integers(1, 3), min_size=1, max_size=3))
def test_an_image_of_any_size_comes_back_in_its_size(shape, features):
    encoder, decoder = UNetEncoder(tuple(features)), UNetDecoder(shape, tuple(features))
    code = jax.eval_shape(encoder.init_with_output, KEY, jnp.ones(shape))[0]
    multiple = 2 ** len(features)
    assert code.shape[:2] == tuple(math.ceil(side / multiple) for side in shape[:2])
    assert jax.eval_shape(decoder.init_with_output, KEY, jnp.ones(code.shape))[0].shape == shape


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(6, 11, 2), (8, 4)])
def test_both_halves_equal_scipy(shape, random_params, correlate):
    """The textbook's U-Net, with its maps in a list, on an image that is filled up to whole blocks."""
    encoder, decoder = UNetEncoder((3, 2), jnp.tanh), UNetDecoder(shape, (3, 2), jnp.tanh)
    x = jax.random.normal(jax.random.key(1), shape)
    params = random_params(encoder, x)
    code = jax.jit(encoder.apply)(params, x)
    decoder_params = random_params(decoder, code)
    layers, others = params["params"], decoder_params["params"]

    def convolve_twice(x, layers, first):
        for number in (first, first + 1):
            x = np.tanh(correlate(x, layers[f"Conv_{number}"]))
        return x

    image = np.asarray(x, np.float64).reshape(*shape[:2], -1)
    image = np.pad(image, ((0, -shape[0] % 4), (0, -shape[1] % 4), (0, 0)), mode="edge")
    # four pixels of a block are the channels of one: by slices with stride 2
    blocks = np.concatenate([image[row::2, column::2] for row in (0, 1) for column in (0, 1)], axis=-1)
    skip = convolve_twice(blocks, layers, 0)
    pooled = np.max([skip[row::2, column::2] for row in (0, 1) for column in (0, 1)], axis=0)
    bottom = convolve_twice(pooled, layers, 2)
    packed = np.concatenate([skip[row::2, column::2] for row in (0, 1) for column in (0, 1)], axis=-1)
    np.testing.assert_allclose(code, np.concatenate([packed, bottom], axis=-1), rtol=1e-4, atol=1e-5)

    joined = np.concatenate([bottom.repeat(2, axis=0).repeat(2, axis=1), skip], axis=-1)
    output = correlate(convolve_twice(joined, others, 0), others["Conv_2"])
    full = np.zeros((*image.shape[:2], output.shape[-1] // 4))
    for place, (row, column) in enumerate(((0, 0), (0, 1), (1, 0), (1, 1))):
        full[row::2, column::2] = np.split(output, 4, axis=-1)[place]
    expected = full[: shape[0], : shape[1]].reshape(shape)
    np.testing.assert_allclose(jax.jit(decoder.apply)(decoder_params, code), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.slow
def test_blocks_there_and_back():
    x = jax.random.normal(KEY, (8, 12, 3))
    np.testing.assert_array_equal(depth_to_space(space_to_depth(x, 4), 4), x)
    np.testing.assert_array_equal(space_to_depth(x, 2)[1, 2], x[2:4, 4:6].reshape(-1))


@pytest.mark.slow
def test_a_condition_reaches_both(random_params):
    x = jnp.ones((6, 6))
    encoder, decoder = UNetEncoder((2, 3)), UNetDecoder((6, 6), (2, 3))
    code = jnp.ones((2, 2, 11))
    for network, given_ in ((encoder, x), (decoder, code)):
        params = random_params(network, given_, jnp.eye(4)[0])
        first, second = (jax.jit(network.apply)(params, given_, jnp.eye(4)[k]) for k in (0, 1))
        assert not np.allclose(first, second)


def test_refusals():
    with pytest.raises(ValueError, match=r"an image has shape \(H, W\) or \(H, W, C\), got \(5,\)"):
        UNetEncoder((2,)).init(KEY, jnp.ones(5))
    with pytest.raises(ValueError, match=r"an image \(5, 7\) must have shape \(3, 4, 2\), got shape \(4, 4, 2\)"):
        UNetDecoder((5, 7), (2,)).init(KEY, jnp.ones((4, 4, 2)))
