"""The quick forms against the definition: in value, in gradients of both modes, in the operations they take."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import signal

from aejax.networks.convolution import convolve, upsampled_convolution

sides, channels = st.integers(1, 9), st.integers(1, 9)


def definition(x, kernel, size):
    """Repeat, crop, convolve."""
    large = jnp.repeat(jnp.repeat(x, 2, axis=0), 2, axis=1)[: size[0], : size[1]]
    return convolve(large, kernel)


def draw(size, inputs, outputs, dtype):
    """An image, half as large as the size, and a kernel."""
    rng = np.random.default_rng(0)
    shape = (-(-size[0] // 2), -(-size[1] // 2), inputs)
    return tuple(jnp.asarray(rng.standard_normal(s), dtype) for s in (shape, (3, 3, inputs, outputs)))


@pytest.mark.slow
@settings(max_examples=8)
@given(height=sides, width=sides, inputs=channels, outputs=channels)
def test_convolve_equals_scipy(height, width, inputs, outputs):
    rng = np.random.default_rng(0)
    x, kernel = rng.standard_normal((height, width, inputs)), rng.standard_normal((3, 3, inputs, outputs))
    # of three dimensions, the last of which fits once
    maps = [
        signal.correlate(np.pad(x, ((1, 1), (1, 1), (0, 0))), kernel[..., output], mode="valid", method="direct")
        for output in range(outputs)
    ]
    with jax.enable_x64(True):
        y = convolve(jnp.asarray(x), jnp.asarray(kernel))
        np.testing.assert_allclose(y, np.concatenate(maps, axis=2), rtol=1e-12, atol=1e-12)


@pytest.mark.slow
@settings(max_examples=4)
@given(height=sides, width=sides, inputs=channels, outputs=channels)
@example(height=6, width=8, inputs=8, outputs=2)
@example(height=5, width=7, inputs=8, outputs=2)
@example(height=1, width=1, inputs=4, outputs=1)
def test_upsampled_convolution_equals_its_definition(height, width, inputs, outputs):
    with jax.enable_x64(True):
        size = (height, width)
        x, kernel = draw(size, inputs, outputs, jnp.float64)
        y, defined = jax.jit(lambda *data: (upsampled_convolution(*data, size), definition(*data, size)))(x, kernel)
        np.testing.assert_allclose(y, defined, rtol=1e-12, atol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("outputs", [2, 9])  # few, and many
@pytest.mark.parametrize("size", [(6, 8), (5, 7)])
def test_so_does_its_derivative_in_both_modes(size, outputs, float64):
    x, kernel = draw(size, 8, outputs, jnp.float64)
    for mode in (jax.jacrev, jax.jacfwd):
        ours, defined = (
            jax.jit(mode(lambda x, kernel, f=f: jnp.sin(f(x, kernel, size)), argnums=(0, 1)))(x, kernel)
            for f in (upsampled_convolution, definition)
        )
        for one, other in zip(ours, defined, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-11, atol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("outputs", [1, 16])
def test_float32_loses_no_more_than_rounding(outputs):
    size = (13, 14)
    x, kernel = draw(size, 32, outputs, jnp.float32)
    with jax.enable_x64(True):
        exact = np.asarray(definition(x.astype(jnp.float64), kernel.astype(jnp.float64), size))
    error = np.abs(np.asarray(upsampled_convolution(x, kernel, size)) - exact).max()
    assert error <= 1e-5 * np.abs(exact).max()


@pytest.mark.slow_after_first
@pytest.mark.parametrize("outputs", [1, 16])
def test_it_takes_16_products_for_36(outputs):
    size, inputs = (28, 28), 32
    x, kernel = draw(size, inputs, outputs, jnp.float32)
    cost = jax.jit(upsampled_convolution).lower(x, kernel).compile().cost_analysis()
    products = 2 * 36 * inputs * outputs * x.shape[0] * x.shape[1]
    assert 16 / 36 < cost["flops"] / products < 0.6


def test_a_size_that_is_none_of_twice_the_image_is_refused():
    x, kernel = draw((6, 6), 1, 1, jnp.float32)
    for size in ((7, 6), (6, 4)):
        with pytest.raises(ValueError, match=r"twice the height and width of the image \(3, 3, 1\), or one less"):
            upsampled_convolution(x, kernel, size)
