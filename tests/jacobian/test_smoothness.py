"""What has kinks is named, and nothing smooth is."""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax import lax
from jax.sharding import Mesh, PartitionSpec

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
def test_names_choices_by_comparison(name):
    f, expected = WRITTEN_OUT[name]
    with jax.numpy_dtype_promotion("standard"):
        assert kinks(lambda x: jnp.tanh(jax.jit(f)(2 * x)), jnp.ones(3)) == [expected]


def test_names_kinks_that_are_written_out():
    assert kinks(lambda x: jnp.maximum(x, 0.0), jnp.ones(3)) == ["max"]
    assert kinks(lambda x: jnp.clip(x, -1.0, 1.0), jnp.ones(3)) == ["max", "min"]
    assert kinks(lambda x: jnp.minimum(x, jnp.arange(3.0)), jnp.ones(3)) == ["min"]
    assert kinks(lambda x: jax.lax.top_k(x, 2)[0], jnp.ones(3)) == ["top_k"]


@pytest.mark.slow
def test_sees_into_networks_and_loops():
    encoder = ConvEncoder(features=(2,), code_size=2, activation=jnp.tanh)
    image = jnp.ones((8, 8, 1))
    assert kinks(partial(encoder.apply, encoder.init(jax.random.key(0), image)), image) == ["max"]
    looped = lambda x: jax.lax.scan(lambda h, _: (jax.nn.relu(h), None), x, length=3)[0]  # noqa: E731
    assert kinks(looped, jnp.ones(3)) == ["relu"]


@pytest.mark.slow
def test_the_higher_order_penalty_refuses_an_encoder_with_kinks():
    encoder = MLP((2,), (4,), activation=jax.nn.relu)
    encode = partial(encoder.apply, encoder.init(jax.random.key(0), jnp.ones(3)))
    with pytest.raises(ValueError, match="expects a smooth encoder, but this one has kinks from relu"):
        higher_order_penalty(jax.random.key(1), encode, jnp.ones(3), standard_deviation=0.1, samples=2)


def applied(module, shape=(4,)):
    """A module of Flax on an example of this shape, which is made of the four numbers of x."""
    params = module.init(jax.random.key(0), jnp.ones(shape))
    return lambda x: module.apply(params, x.reshape(shape))


def safe_norm(x):
    squares = jnp.sum(x**2)
    return jnp.where(squares > 0, jnp.sqrt(jnp.where(squares > 0, squares, 1)), 0) * x


@jax.custom_vjp
def tanh_in_reverse(h):
    return jnp.tanh(h)


tanh_in_reverse.defvjp(lambda h: (jnp.tanh(h), jnp.tanh(h)), lambda t, g: ((1 - t * t) * g,))


@jax.custom_vjp
def relu_in_reverse(h):
    return jnp.maximum(h, 0)


relu_in_reverse.defvjp(lambda h: (jnp.maximum(h, 0), h), lambda h, g: (jnp.where(h > 0, g, 0),))


@jax.custom_jvp
def relu_forward(h):
    return jnp.maximum(h, 0)


relu_forward.defjvp(lambda primals, tangents: (relu_forward(*primals), jnp.where(primals[0] > 0, tangents[0], 0)))


@jax.custom_jvp
def straight_through(h):
    return jnp.round(h)


straight_through.defjvp(lambda primals, tangents: (straight_through(*primals), tangents[0]))


def on_a_mesh(f):
    mesh = Mesh(np.array(jax.devices()[:1]), ("devices",))
    return lambda x: jax.shard_map(f, mesh=mesh, in_specs=PartitionSpec(), out_specs=PartitionSpec())(x)


def by_while(f):
    return lambda x: lax.while_loop(lambda c: c[0] < 3, lambda c: (c[0] + 1, f(c[1])), (0, x))[1]


SMOOTH_NORMALIZATIONS = {
    "layer norm": applied(nn.LayerNorm()),
    "layer norm in two passes": applied(nn.LayerNorm(use_fast_variance=False)),
    "group norm": applied(nn.GroupNorm(num_groups=2), (1, 4)),
    "RMS norm": applied(nn.RMSNorm()),
    "instance norm": applied(nn.InstanceNorm(), (1, 2, 2)),
    "batch norm in use": applied(nn.BatchNorm(use_running_average=True), (1, 4)),
    "attention": applied(nn.MultiHeadDotProductAttention(num_heads=2), (2, 2)),
    "standardize": jax.nn.standardize,
    "variance of optax": lambda x: x / optax.safe_norm(x, 1e-6),
    "norm above a bound": lambda x: x / jnp.maximum(jnp.linalg.norm(x), 1e-6),
    "squares above a bound": lambda x: x / jnp.sqrt(jnp.clip(x @ x, 1e-6)),
    "root where it is positive": safe_norm,
    "variance above 0": lambda x: x / jnp.sqrt(jnp.maximum(jnp.mean(x**2) - jnp.mean(x) ** 2, 0) + 1e-5),
    "variance": lambda x: x / jnp.sqrt(jnp.var(x) + 1e-5),
    "softmax by hand": lambda x: jnp.exp(x - lax.stop_gradient(jnp.max(x))),
    "root above 0": lambda x: jnp.sqrt(x**2 + 1e-3),
    "numbers that are none": lambda x: jnp.where(jnp.isnan(x), 0, x),
    "derivative of its own": tanh_in_reverse,
    "straight through": straight_through,
    "linear solve": lambda x: jnp.linalg.solve(jnp.eye(4) + jnp.outer(x, x), x),
    "branches by an index": lambda x: lax.cond(jnp.arange(3)[1] > 0, jnp.tanh, jnp.sin, x),
    "scan": lambda x: lax.scan(lambda h, _: (jnp.tanh(h), None), x, length=3)[0],
    "while": by_while(jnp.tanh),
    "shard_map": on_a_mesh(jnp.tanh),
    "checkpoint": jax.checkpoint(jnp.tanh),
}
KINKED_OTHERWISE = {
    "floor": (lambda x: x * jnp.floor(x), ["floor"]),
    "round": (lambda x: x * jnp.round(x), ["round"]),
    "remainder": (lambda x: lax.rem(x, 2.0), ["rem"]),
    "whole part": (lambda x: x * x.astype(int), ["rounding"]),
    "count": (lambda x: x * jnp.sum(x > 0), ["rounding"]),
    "running maximum": (lax.cummax, ["max"]),
    "running minimum": (lax.cummin, ["min"]),
    "largest by its index": (lambda x: x[jnp.argmax(x)], ["index"]),
    "order by indices": (lambda x: x[jnp.argsort(x)], ["index"]),
    "median": (lambda x: jnp.median(x), ["sort"]),
    "sort": (jnp.sort, ["sort"]),
    "pool": (lambda x: nn.max_pool(x.reshape(1, 4, 1), (2,), (2,)), ["max"]),
    "pool by a function": (lambda x: lax.reduce_window(x, -jnp.inf, jnp.maximum, (2,), (1,), "VALID"), ["max"]),
    "maximum by a function": (lambda x: lax.reduce(x, 0.0, jnp.maximum, (0,)), ["max"]),
    "scattered maximum": (lambda x: x.at[0].max(x[1]), ["max"]),
    "clamp": (lambda x: lax.clamp(-1.0, x, 1.0), ["clamp"]),
    "norm below a bound": (lambda x: x / jnp.maximum(1, jnp.linalg.norm(x)), ["max"]),
    "difference of squares": (lambda x: jnp.maximum(x[0] ** 2 - x[1] ** 2, 0), ["max"]),
    "root of a square": (lambda x: jnp.sqrt(x**2), ["abs"]),
    "largest by its value": (lambda x: x * (x == jnp.max(x)), ["comparison"]),
    "switch": (lambda x: lax.switch((x[0] > 0).astype(int), [jnp.sin, jnp.tanh], x), ["cond"]),
    "turns": (lambda x: lax.while_loop(lambda h: jnp.sum(h**2) > 0.1, lambda h: h / 2, x), ["while"]),
    "custom_vjp": (relu_in_reverse, ["where"]),
    "custom_jvp": (relu_forward, ["where"]),
    "while": (by_while(jnp.abs), ["abs"]),
    "branch": (lambda x: lax.cond(jnp.arange(3)[1] > 0, jnp.abs, jnp.sin, x), ["abs"]),
    "shard_map": (on_a_mesh(jax.nn.relu), ["relu"]),
    "checkpoint": (jax.checkpoint(jax.nn.relu6), ["relu6"]),
    "without a gradient": (lambda x: jnp.where(lax.stop_gradient(x) > 0, x, 0), ["where"]),
}


@pytest.mark.parametrize("name", SMOOTH_NORMALIZATIONS)
def test_finds_no_kink_in_a_normalization(name):
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        for f in (SMOOTH_NORMALIZATIONS[name], jax.jit(SMOOTH_NORMALIZATIONS[name])):
            assert kinks(f, jnp.linspace(0.3, 1.0, 4)) == []


@pytest.mark.parametrize("name", KINKED_OTHERWISE)
def test_names_rounding_sorting_and_choices(name):
    f, expected = KINKED_OTHERWISE[name]
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        for own in (f, jax.jit(f)):
            assert kinks(own, jnp.linspace(0.3, 1.0, 4)) == expected
