"""What counts as a network: Linen modules, plain pairs, NNX modules; what has state is refused."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from aejax.autoencoders import undercomplete, variational
from aejax.networks import MLP, Network, from_nnx
from aejax.networks.network import initialize

X = jnp.arange(4.0)


class TwoLayers(nnx.Module):
    def __init__(self, sizes, rngs):
        self.first = nnx.Linear(sizes[0], sizes[1], rngs=rngs)
        self.second = nnx.Linear(sizes[1], sizes[2], rngs=rngs)

    def __call__(self, x):
        return self.second(jnp.tanh(self.first(x)))


def two_layers(*sizes):
    return lambda rngs: TwoLayers(sizes, rngs)


@pytest.mark.slow
@pytest.mark.parametrize(
    "build",
    [
        two_layers(4, 3, 2),
        lambda rngs: nnx.Sequential(nnx.Linear(4, 3, rngs=rngs), jnp.tanh, nnx.Linear(3, 2, rngs=rngs)),
    ],
    ids=["module", "sequential"],
)
def test_from_nnx_equals_the_module_itself(build):
    network = from_nnx(build)
    params = jax.jit(network.init)(jax.random.key(0), X)
    module = build(nnx.Rngs(jax.random.key(0)))
    np.testing.assert_array_equal(network.apply(params, X), module(X))
    doubled = jax.tree.map(lambda leaf: 2 * leaf, params)  # the parameters count, not those of the module's making
    assert np.any(network.apply(doubled, X) != module(X))


@pytest.mark.slow
def test_from_nnx_is_pure_and_batches():
    network = from_nnx(two_layers(4, 3, 2))
    params = jax.jit(network.init)(jax.random.key(0), X)
    np.testing.assert_array_equal(
        jax.jit(network.init)(jax.random.key(0), X)["first"]["kernel"], params["first"]["kernel"]
    )
    assert np.any(jax.jit(network.init)(jax.random.key(1), X)["first"]["kernel"] != params["first"]["kernel"])
    batch = jax.random.normal(jax.random.key(2), (3, 4))
    loop = jnp.stack([network.apply(params, one) for one in batch])
    np.testing.assert_allclose(
        jax.jit(jax.vmap(jax.jit(network.apply), (None, 0)))(params, batch), loop, rtol=1e-5, atol=1e-6
    )


@pytest.mark.slow
def test_from_nnx_lets_gradients_through():
    network = from_nnx(two_layers(4, 3, 2))
    params = jax.jit(network.init)(jax.random.key(0), X)
    gradient = jax.jit(jax.grad(lambda params: jnp.sum(jnp.square(network.apply(params, X)))))(params)
    output, hidden = network.apply(params, X), jnp.tanh(X @ params["first"]["kernel"] + params["first"]["bias"])
    np.testing.assert_allclose(gradient["second"]["kernel"], jnp.outer(hidden, 2 * output), rtol=1e-5)
    assert all(np.any(leaf != 0) for leaf in jax.tree.leaves(gradient))


@pytest.mark.slow
def test_an_autoencoder_of_nnx_modules_learns():
    autoencoder = undercomplete(from_nnx(two_layers(4, 3, 2)), from_nnx(two_layers(2, 3, 4)))
    params, batch = jax.jit(autoencoder.init)(jax.random.key(0), X), jax.random.normal(jax.random.key(1), (8, 4))
    step = jax.jit(jax.value_and_grad(lambda params: autoencoder.loss(params, jax.random.key(2), batch)[0]))
    first, gradient = step(params)
    for _ in range(5):
        params = jax.tree.map(lambda leaf, slope: leaf - 0.01 * slope, params, gradient)
        last, gradient = step(params)
    assert last < first


@pytest.mark.parametrize(
    ("build", "state"),
    [
        (lambda rngs: nnx.BatchNorm(4, rngs=rngs), "BatchStat"),
        (lambda rngs: nnx.Dropout(0.5, rngs=rngs), "Rng"),
        (lambda rngs: nnx.Sequential(nnx.Linear(4, 4, rngs=rngs), nnx.BatchNorm(4, rngs=rngs)), "BatchStat"),
    ],
    ids=["BatchNorm", "Dropout", "nested"],
)
def test_from_nnx_refuses_state(build, state):
    with pytest.raises(ValueError, match=f"state other than parameters .*{state}"):
        from_nnx(build)


@pytest.mark.slow_after_first
@pytest.mark.parametrize("role", ["encoder", "decoder"])
@pytest.mark.parametrize("constructor", [undercomplete, variational])
def test_batch_statistics_of_linen_are_refused(constructor, role):
    networks = {"encoder": MLP(output_shape=(2,)), "decoder": MLP(output_shape=(4,))}
    networks[role] = nn.Sequential([networks[role], nn.BatchNorm(use_running_average=False)])
    with pytest.raises(ValueError, match=r"Sequential has variables other than parameters \(batch_stats\)"):
        constructor(**networks).init(jax.random.key(0), X)


def test_initialize_takes_a_plain_pair_with_any_parameters():
    network = Network(init=lambda key, x: {"batch_stats": jnp.ones_like(x)}, apply=lambda params, x: x)
    np.testing.assert_array_equal(initialize(network, jax.random.key(0), X)["batch_stats"], jnp.ones(4))


@pytest.mark.slow_after_first
@pytest.mark.parametrize("constructor", [undercomplete, variational])
def test_a_plain_pair_is_a_network(constructor):
    encoder = Network(lambda key, x: jax.random.normal(key, (x.size, 2)), lambda weights, x: x @ weights)
    decoder = Network(lambda key, code: jnp.ones((code.size, 4)), lambda weights, code: code @ weights)
    autoencoder = constructor(encoder, decoder)
    params = jax.jit(autoencoder.init)(jax.random.key(0), X)
    code = autoencoder.encode(params, X)
    np.testing.assert_allclose(code, (X @ params["encoder"])[: code.size], rtol=1e-6)
    assert autoencoder.decode(params, code).shape == (4,)


@pytest.mark.parametrize("constructor", [undercomplete, variational])
@pytest.mark.parametrize("wrong", [None, jnp.tanh, nnx.Linear(4, 4, rngs=nnx.Rngs(0))], ids=["None", "function", "NNX"])
def test_what_has_no_init_and_apply_is_refused(constructor, wrong):
    right = MLP(output_shape=(4,))
    with pytest.raises(TypeError, match=f"{constructor.__name__} expects networks with init and apply, but the enc"):
        constructor(wrong, right)
    with pytest.raises(TypeError, match="the decoder is"):
        constructor(right, wrong)
