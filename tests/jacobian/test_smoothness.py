"""What has kinks is named, and nothing smooth is."""

from functools import partial

import jax
import jax.numpy as jnp
import pytest

from aejax.jacobian import higher_order_penalty
from aejax.jacobian.smoothness import kinks
from aejax.networks import MLP, ConvEncoder

SMOOTH = ("tanh", "sigmoid", "softplus", "gelu", "silu", "elu", "celu", "softmax", "log_softmax", "mish", "squareplus")
KINKED = ("relu", "relu6", "leaky_relu", "hard_tanh", "selu")


@pytest.mark.parametrize("name", SMOOTH)
def test_finds_no_kink_in_a_smooth_activation(name):
    assert kinks(jax.jit(getattr(jax.nn, name)), jnp.ones(3)) == []


@pytest.mark.parametrize("name", KINKED)
def test_names_an_activation_with_kinks(name):
    assert kinks(lambda x: jnp.tanh(jax.jit(getattr(jax.nn, name))(2 * x)), jnp.ones(3)) == [name]


def test_names_kinks_that_are_written_out():
    assert kinks(lambda x: jnp.maximum(x, 0.0), jnp.ones(3)) == ["max"]
    assert kinks(lambda x: jnp.clip(x, -1.0, 1.0), jnp.ones(3)) == ["max", "min"]
    assert kinks(lambda x: jnp.minimum(x, jnp.arange(3.0)), jnp.ones(3)) == ["min"]
    assert kinks(lambda x: jax.lax.top_k(x, 2)[0], jnp.ones(3)) == ["top_k"]


def test_sees_into_networks_and_loops():
    encoder = ConvEncoder(features=(2,), code_size=2, activation=jnp.tanh)
    image = jnp.ones((8, 8, 1))
    assert kinks(partial(encoder.apply, encoder.init(jax.random.key(0), image)), image) == ["max"]
    looped = lambda x: jax.lax.scan(lambda h, _: (jax.nn.relu(h), None), x, length=3)[0]  # noqa: E731
    assert kinks(looped, jnp.ones(3)) == ["relu"]


def test_the_higher_order_penalty_refuses_an_encoder_with_kinks():
    encoder = MLP((2,), (4,), activation=jax.nn.relu)
    encode = partial(encoder.apply, encoder.init(jax.random.key(0), jnp.ones(3)))
    with pytest.raises(ValueError, match="wants a smooth encoder, and this one has relu"):
        higher_order_penalty(jax.random.key(1), encode, jnp.ones(3), standard_deviation=0.1, samples=2)
