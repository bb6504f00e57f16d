"""Networks that can be computed by hand."""

import jax
import jax.numpy as jnp
import pytest

from aejax.networks import Network


@pytest.fixture
def identity() -> Network:
    """The map x -> x, without parameters."""
    return Network(lambda key, x: {}, lambda params, x: x)


@pytest.fixture
def linear():
    """`linear(inputs, outputs)`: x -> W x, W of shape (outputs, inputs)."""

    def build(inputs: int, outputs: int) -> Network:
        return Network(lambda key, x: jax.random.normal(key, (outputs, inputs)), lambda weights, x: jnp.dot(weights, x))

    return build
