"""Parameters of any network without the compilation of its initializers; convolutions by SciPy."""

from collections.abc import Callable

import jax
import numpy as np
import pytest
from jaxtyping import PyTree
from scipy import signal


@pytest.fixture
def random_params() -> Callable[..., PyTree]:
    """`random_params(network, x)`, or `(network, x, condition)`: normal numbers for parameters, biases too."""

    def draw(network, *inputs):
        rng = np.random.default_rng(0)
        shapes = jax.eval_shape(network.init, jax.random.key(0), *inputs)
        return jax.tree.map(lambda leaf: jax.numpy.array(rng.standard_normal(leaf.shape), leaf.dtype), shapes)

    return draw


@pytest.fixture
def correlate() -> Callable[..., np.ndarray]:
    """`correlate(x, params)`: the 3x3 convolution of the field, with zeros around the image, channel by channel."""

    def by_scipy(x, params):
        kernel, bias = np.asarray(params["kernel"], np.float64), np.asarray(params["bias"], np.float64)
        inputs, outputs = kernel.shape[2:]
        return bias + np.stack(
            [
                sum(signal.correlate(x[..., i], kernel[..., i, o], mode="same", method="direct") for i in range(inputs))
                for o in range(outputs)
            ],
            axis=-1,
        )

    return by_scipy
