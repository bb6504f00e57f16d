"""Gradients stay, and inner values are not kept for them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.ad_checkpoint import print_saved_residuals

from aejax.autoencoders import contractive, undercomplete
from aejax.networks import MLP, rematerialized

X = jnp.asarray(np.random.default_rng(0).uniform(size=(16, 10)), jnp.float32)
ENCODER, DECODER = MLP((4,), (32, 32), jnp.tanh), MLP((10,), (32, 32), jnp.tanh)
PLAIN = undercomplete(ENCODER, DECODER)
LEAN = undercomplete(rematerialized(ENCODER), rematerialized(DECODER))


@pytest.mark.slow
@pytest.mark.parametrize(
    "wrap",
    [
        lambda autoencoder: autoencoder,
        lambda autoencoder: contractive(autoencoder, weight=1.0),
    ],
)
def test_gradients_are_equal(wrap) -> None:
    plain, lean = wrap(PLAIN), wrap(LEAN)
    params = jax.jit(plain.init)(jax.random.key(0), X[0])
    slopes = [jax.jit(jax.grad(one.loss, has_aux=True))(params, jax.random.key(0), X)[0] for one in (plain, lean)]
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), *slopes)


@pytest.mark.slow
def test_inner_values_are_not_kept(capsys: pytest.CaptureFixture[str]) -> None:
    """What JAX keeps for the gradient; the hidden layers of a batch have 16 times 32 numbers."""
    params = jax.jit(PLAIN.init)(jax.random.key(0), X[0])
    kept = []
    for autoencoder in (PLAIN, LEAN):
        print_saved_residuals(lambda params, a=autoencoder: a.loss(params, jax.random.key(0), X)[0], params)
        kept.append(capsys.readouterr().out.count("f32[16,32]"))
    assert kept[0] >= 4
    assert kept[1] == 0
