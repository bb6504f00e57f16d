"""Weight decay in the loss: the sum of squared weights by hand, and which parameters are weights."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aejax.autoencoders import l2_regularized, tied, undercomplete, variational
from aejax.networks import MLP
from aejax.priors import mixture_prior

KEY, X = jax.random.key(0), jnp.linspace(0.0, 1.0, 24).reshape(4, 6)


@pytest.mark.slow_after_first
@pytest.mark.parametrize(
    "plain",
    [
        tied((6,), (3,)),
        undercomplete(MLP((2,), (5,)), MLP((6,), (5,))),
        variational(MLP((4,)), MLP((6,)), prior=mixture_prior(3)),
    ],
    ids=["tied", "mlp", "mixture prior"],
)
def test_squared_weights_of_encoder_and_decoder_are_added(plain):
    """Not those of biases, which are 1 here, nor of a prior's components."""
    params = jax.tree.map(lambda leaf: jnp.full(leaf.shape, 0.5 if leaf.ndim > 1 else 1.0), plain.init(KEY, X[0]))
    sizes = [leaf.size for leaf in jax.tree.leaves({k: v for k, v in params.items() if k != "prior"}) if leaf.ndim > 1]
    base, _ = plain.loss(params, KEY, X)
    loss, metrics = l2_regularized(plain, weight=0.3).loss(params, KEY, X)
    np.testing.assert_allclose(metrics["squared_weights"], 0.25 * sum(sizes), rtol=1e-6)
    np.testing.assert_allclose(loss, base + 0.3 * 0.25 * sum(sizes), rtol=1e-6)


def test_the_gradient_is_that_of_ridge_regression():
    plain = tied((6,), (3,))
    params = plain.init(KEY, X[0])
    slope, base = (
        jax.grad(lambda p, own=own: own.loss(p, KEY, X)[0])(params)
        for own in (l2_regularized(plain, weight=0.3), plain)
    )
    np.testing.assert_allclose(
        slope["weights"][0], base["weights"][0] + 0.6 * params["weights"][0], rtol=1e-5, atol=1e-6
    )
    np.testing.assert_array_equal(slope["decoder_biases"][0], base["decoder_biases"][0])
