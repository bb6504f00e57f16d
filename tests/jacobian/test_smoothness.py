"""What has kinks is named, and nothing smooth is."""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest

from aejax.jacobian import higher_order_penalty
from aejax.jacobian.smoothness import kinks
from aejax.networks import MLP, ConvEncoder

SMOOTH = {
    **{name: getattr(jax.nn, name) for name in ("tanh", "sigmoid", "softplus", "silu", "elu", "celu", "mish", "glu")},
    **{name: getattr(jax.nn, name) for name in ("log_sigmoid", "soft_sign", "sparse_plus", "squareplus", "log1mexp")},
    **{name: getattr(jax.nn, name) for name in ("softmax", "log_softmax", "logsumexp", "logmeanexp", "identity")},
    "gelu by tanh": jax.nn.gelu,
    "gelu by erf": partial(jax.nn.gelu, approximate=False),
    "elu of alpha 1": lambda x: jax.nn.elu(x, 1.0),
    "celu of alpha 0.5": lambda x: jax.nn.celu(x, 0.5),
    "sinc": jnp.sinc,
    "logaddexp": lambda x: jnp.logaddexp(x, 2 * x),
    "what depends on an index": lambda x: jnp.where(jnp.arange(4) < 2, x, jnp.tanh(x)),
    "what depends on weights": lambda x: x * jnp.abs(jnp.arange(4.0) - 2),
    "an element that is looked up": lambda x: x[jnp.argmax(jnp.arange(4.0))],
}
KINKED = ("relu", "relu6", "leaky_relu", "hard_tanh", "hard_sigmoid", "hard_silu", "selu")
WRITTEN_OUT = {
    "elu": (lambda x: jax.nn.elu(x, 0.5), "elu"),
    "elu by a partial": (partial(jax.nn.elu, alpha=0.5), "elu"),
    "elu of a learned alpha": (lambda x: jax.nn.elu(x, jnp.sum(x)), "elu"),
    "PReLU": (lambda x: nn.PReLU().init_with_output(jax.random.key(0), x)[0], "where"),
    "leaky ReLU": (lambda x: jnp.where(x > 0, x, 0.01 * x), "where"),
    "of two comparisons": (lambda x: jnp.where((x > -1) & ~(x >= 1), x**2, 1), "where"),
    "compared in a function": (lambda x: jnp.where(jax.jit(lambda x: x < 0)(x), 0, x), "where"),
    "in a loop": (lambda x: jax.lax.scan(lambda h, _: (jnp.where(h > 0, h, 0), None), x, length=2)[0], "where"),
    "masked": (lambda x: (x > 0) * x, "comparison"),
    "one of two branches": (lambda x: jax.lax.cond(x[0] > 0, lambda x: x, lambda x: 0 * x, x), "cond"),
    "absolute value": (jnp.abs, "abs"),
    "sign": (lambda x: x * jnp.sign(x), "sign"),
}


@pytest.mark.parametrize("name", SMOOTH)
def test_finds_no_kink_in_a_smooth_function(name):
    for f in (SMOOTH[name], jax.jit(SMOOTH[name])):
        assert kinks(f, jnp.ones(4)) == []


@pytest.mark.parametrize("name", KINKED)
def test_names_an_activation_with_kinks(name):
    assert kinks(lambda x: jnp.tanh(jax.jit(getattr(jax.nn, name))(2 * x)), jnp.ones(3)) == [name]


@pytest.mark.parametrize("name", WRITTEN_OUT)
def test_names_what_is_chosen_by_comparison(name):
    f, expected = WRITTEN_OUT[name]
    with jax.numpy_dtype_promotion("standard"):
        assert kinks(lambda x: jnp.tanh(jax.jit(f)(2 * x)), jnp.ones(3)) == [expected]


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
