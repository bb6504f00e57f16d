"""Parameters of any network without the compilation of its initializers."""

from collections.abc import Callable

import jax
import numpy as np
import pytest
from jaxtyping import PyTree


@pytest.fixture
def random_params() -> Callable[..., PyTree]:
    """`random_params(network, x)`, or `(network, x, condition)`: normal numbers for parameters, biases too."""

    def draw(network, *inputs):
        rng = np.random.default_rng(0)
        shapes = jax.eval_shape(network.init, jax.random.key(0), *inputs)
        return jax.tree.map(lambda leaf: jax.numpy.array(rng.standard_normal(leaf.shape), leaf.dtype), shapes)

    return draw
