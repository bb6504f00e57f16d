"""Products in bfloat16, everything else in float32."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aejax.autoencoders import conditional, variational
from aejax.networks import MLP, ConvEncoder, computing_in


@pytest.mark.slow
@pytest.mark.parametrize("network", [MLP((3,), (16,)), ConvEncoder((4,), code_size=3)])
def test_products_are_of_the_computation_and_the_rest_is_not(network) -> None:
    x = jnp.asarray(np.random.default_rng(0).uniform(size=(6, 6, 1)), jnp.float32)
    half = computing_in(network, jnp.bfloat16)
    params = jax.jit(half.init)(jax.random.key(0), x)
    jax.tree.map(np.testing.assert_array_equal, params, jax.jit(network.init)(jax.random.key(0), x))
    equations = jax.make_jaxpr(half.apply)(params, x).jaxpr.eqns
    products = [e for e in equations if e.primitive.name in ("dot_general", "conv_general_dilated")]
    assert len(products) == 2
    assert {variable.aval.dtype for e in products for variable in e.invars} == {jnp.dtype("bfloat16")}
    expected, got = network.apply(params, x), half.apply(params, x)
    assert got.dtype == jnp.float32
    assert 0 < np.abs(got - expected).max() < 0.05 * np.abs(expected).max()  # 2^-8 of each of a few factors


@pytest.mark.slow
def test_losses_and_gradients_are_float32_and_conditions_reach_both_networks() -> None:
    encoder, decoder = (computing_in(MLP(shape, (8,)), jnp.bfloat16) for shape in ((6,), (5,)))
    vae = conditional(variational(encoder, decoder), classes=3)
    params = jax.jit(vae.init)(jax.random.key(0), jnp.ones(5), jnp.array(1))
    from aejax.autoencoders import Examples, as_batch

    batch = as_batch(Examples(jnp.full((4, 5), 0.5), None, jnp.arange(4) % 3))
    gradient, terms = jax.jit(jax.grad(vae.loss, has_aux=True))(params, jax.random.key(1), batch)
    assert {leaf.dtype for leaf in jax.tree.leaves((gradient, terms))} == {jnp.dtype("float32")}
