"""Parameters of any network without the compilation of its initializers."""

from collections.abc import Callable

import jax
import numpy as np
import pytest
from jaxtyping import PyTree


@pytest.fixture
def random_params() -> Callable[..., PyTree]:
    """`random_params(network, x)`: normal numbers in the place of every parameter, biases included."""

    def draw(network, x):
        rng = np.random.default_rng(0)
        shapes = jax.eval_shape(network.init, jax.random.key(0), x)
        return jax.tree.map(lambda leaf: jax.numpy.array(rng.standard_normal(leaf.shape), leaf.dtype), shapes)

    return draw
