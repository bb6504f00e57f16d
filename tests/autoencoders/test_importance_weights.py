"""Bounds of importance weights and their gradients: against quadrature in one dimension, and at the exact posterior."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aejax.autoencoders import (
    combination_importance_weighted,
    importance_weighted,
    multiply_importance_weighted,
    partially_importance_weighted,
    undercomplete,
    variational,
)
from aejax.autoencoders.importance_weights import importance_bound, log_importance_weights
from aejax.errors import IncompatibleError
from aejax.likelihoods import gaussian
from aejax.networks import Network

KEY = jax.random.key(0)
# z ~ N(0, 1), x | z ~ N(a z, s²), q(z | x) = N(m, eˡ): the encoder's parameters are (m, l), the decoder's is a
VARIANCE, LOADING, X = 0.5, 1.2, 0.9
EXACT_VARIANCE = 1 / (1 + LOADING**2 / VARIANCE)
EXACT = np.array([EXACT_VARIANCE * LOADING * X / VARIANCE, np.log(EXACT_VARIANCE)])
OFF = EXACT + np.array([0.4, 0.5])
VAE = variational(
    Network(lambda key, x: jnp.zeros(2), lambda params, x: params),
    Network(lambda key, z: jnp.ones(()), lambda params, z: params * z),
    likelihood=gaussian(variance=VARIANCE),
)
BOUNDS = {
    "iwae": importance_weighted(VAE, samples=6),
    "miwae": multiply_importance_weighted(VAE, groups=2, samples=3),
    "piwae": partially_importance_weighted(VAE, groups=2, samples=3),
    "ciwae": combination_importance_weighted(VAE, samples=6, elbo_weight=0.25),
}


def parameters(moments=OFF):
    return {"encoder": jnp.array(moments, jnp.float32), "decoder": jnp.array(LOADING, jnp.float32)}


@partial(jax.jit, static_argnums=0)
def value_and_gradient(autoencoder, params, key):
    """The bound for x alone and its gradient, by one key."""
    bound = lambda params: autoencoder.loss(params, key, jnp.full((1, 1), X))[1]["elbo"]  # noqa: E731
    return jax.value_and_grad(bound)(params)


@partial(jax.jit, static_argnums=(0, 1))
def gradients(autoencoder, repeats, params):
    return jax.lax.map(
        lambda key: value_and_gradient(autoencoder, params, key)[1], jax.random.split(KEY, repeats), batch_size=10_000
    )


def by_quadrature(moments, loading):
    """(bound of K = 2 samples, its gradient, expectation of stl's gradient): exact, in float64."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    weights = weights / weights.sum()

    def log_weight(noise, moments, loading):
        mean, log_variance = moments
        z = mean + np.exp(log_variance / 2) * noise
        log_joint = -0.5 * (z**2 + (X - loading * z) ** 2 / VARIANCE + np.log(2 * np.pi * VARIANCE))
        return log_joint + 0.5 * (noise**2 + log_variance)

    def bound(parameters):
        by_node = log_weight(nodes, parameters[:2], parameters[2])
        return weights @ (np.logaddexp(by_node[:, None], by_node) - np.log(2)) @ weights

    point, step = np.array([*moments, loading]), 1e-5
    gradient = [(bound(point + d) - bound(point - d)) / (2 * step) for d in step * np.eye(3)]
    mean, log_variance = moments
    deviation = np.exp(log_variance / 2)
    z = mean + deviation * nodes
    path = -z + loading * (X - loading * z) / VARIANCE + nodes / deviation  # d log w / dz
    slopes = np.stack([path, path * deviation * nodes / 2])
    log_weights = log_weight(nodes, moments, loading)
    shares = 1 / (1 + np.exp(log_weights - log_weights[:, None]))  # of the first of two samples
    of_stl = 2 * np.einsum("i,j,ij,pi->p", weights, weights, shares, slopes)
    return bound(point), np.array(gradient), of_stl


@pytest.mark.slow
def test_every_estimator_has_its_expectation():
    """Two samples: plain and dreg have the bound's gradient, stl a known other one; all the same for the decoder."""
    _, exact, of_stl = by_quadrature(OFF, LOADING)
    spreads = {}
    for name in ("plain", "dreg", "stl"):
        drawn = gradients(importance_weighted(VAE, samples=2, gradient=name), 40_000, parameters())
        rows = np.column_stack([drawn["encoder"], drawn["decoder"]]).astype(np.float64)
        means, errors = rows.mean(axis=0), rows.std(axis=0) / np.sqrt(len(rows))
        expected = np.array([*of_stl, exact[2]]) if name == "stl" else exact
        assert np.all(np.abs(means - expected) < 4 * errors), name
        if name == "stl":
            assert np.all(np.abs(means - exact)[:2] > 20 * errors[:2])
        spreads[name] = errors
    assert np.all(spreads["dreg"][:2] < 0.8 * spreads["plain"][:2])


def test_at_the_exact_posterior_every_sample_of_dreg_and_stl_is_0():
    for name, is_zero in (("plain", False), ("dreg", True), ("stl", True)):
        drawn = gradients(importance_weighted(VAE, samples=3, gradient=name), 100, parameters(EXACT))
        assert (np.abs(drawn["encoder"]).max() < 1e-5) == is_zero
        assert np.abs(drawn["decoder"]).min() > 1e-4


@pytest.mark.slow_after_first
@pytest.mark.parametrize("gradient", ["dreg", "plain", "stl"])
def test_one_group_is_the_importance_weighted_bound(gradient):
    expected = value_and_gradient(importance_weighted(VAE, samples=4, gradient=gradient), parameters(), KEY)
    for constructor in (multiply_importance_weighted, partially_importance_weighted):
        found = value_and_gradient(constructor(VAE, groups=1, samples=4, gradient=gradient), parameters(), KEY)
        jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-6), found, expected)


@pytest.mark.slow
def test_values_are_the_bounds_of_the_same_weights_whatever_the_gradient():
    x = jnp.full(1, X)
    log_weights = log_importance_weights(VAE, parameters(), jax.random.fold_in(KEY, 0), x, x, samples=6)
    iwae, miwae = importance_bound(log_weights), importance_bound(log_weights.reshape(2, 3)).mean()
    expected = {"iwae": iwae, "miwae": miwae, "piwae": iwae, "ciwae": 0.25 * log_weights.mean() + 0.75 * iwae}
    assert miwae < iwae - 1e-3
    for name, bound in BOUNDS.items():
        assert value_and_gradient(bound, parameters(), KEY)[0] == pytest.approx(expected[name].item(), rel=1e-6)
    one_sample = multiply_importance_weighted(VAE, groups=6, samples=1, gradient="dreg")
    assert value_and_gradient(one_sample, parameters(), KEY)[0] == pytest.approx(log_weights.mean().item(), rel=1e-6)


def test_the_partial_bound_gives_each_network_the_gradient_of_its_own_bound():
    found, of_groups, of_all = (
        value_and_gradient(BOUNDS[name], parameters(), KEY)[1] for name in ("piwae", "miwae", "iwae")
    )
    np.testing.assert_allclose(found["encoder"], of_groups["encoder"], rtol=1e-5)
    np.testing.assert_allclose(found["decoder"], of_all["decoder"], rtol=1e-5)
    assert np.all(np.abs(found["encoder"] - of_all["encoder"]) > 1e-3)
    assert np.abs(found["decoder"] - of_groups["decoder"]) > 1e-3


def test_groups_of_dreg_have_their_own_weights():
    """Its gradient is the mean of the groups' gradients Σₖ w̃ₖ² ∂log wₖ/∂zₖ ∂zₖ/∂φ, by hand."""
    bound = multiply_importance_weighted(VAE, groups=2, samples=3, gradient="dreg")
    found = value_and_gradient(bound, parameters(), KEY)[1]["encoder"]
    keys = jax.random.split(jax.random.fold_in(KEY, 0), 6)
    noise = np.array([jax.random.normal(key, 1)[0] for key in keys], np.float64)
    deviation = np.exp(OFF[1] / 2)
    z = OFF[0] + deviation * noise
    log_weights = -0.5 * (z**2 + (X - LOADING * z) ** 2 / VARIANCE) + 0.5 * noise**2
    shares = np.exp(log_weights).reshape(2, 3)
    shares = (shares / shares.sum(axis=1, keepdims=True)).reshape(-1)
    path = -z + LOADING * (X - LOADING * z) / VARIANCE + noise / deviation
    expected = np.stack([path, path * deviation * noise / 2]) @ shares**2 / 2
    np.testing.assert_allclose(found, expected, rtol=1e-4)


@pytest.mark.slow
def test_the_combination_lies_between_both_bounds():
    for gradient in ("plain", "dreg"):
        ends = [multiply_importance_weighted(VAE, groups=6, samples=1, gradient=gradient)]
        ends += [importance_weighted(VAE, samples=6, gradient=gradient)]
        elbo, iwae = (value_and_gradient(end, parameters(), KEY) for end in ends)
        between = combination_importance_weighted(VAE, samples=6, elbo_weight=0.25, gradient=gradient)
        expected = jax.tree.map(lambda low, high: 0.25 * low + 0.75 * high, elbo, iwae)
        jax.tree.map(
            partial(np.testing.assert_allclose, rtol=1e-5), value_and_gradient(between, parameters(), KEY), expected
        )


def test_what_is_wrong_is_refused():
    with pytest.raises(ValueError, match="gradient must be one of plain, dreg, stl, got 'path'"):
        importance_weighted(VAE, samples=2, gradient="path")
    with pytest.raises(ValueError, match="groups must be at least 1, got 0"):
        multiply_importance_weighted(VAE, groups=0, samples=2)
    with pytest.raises(ValueError, match="samples must be at least 1, got 0"):
        partially_importance_weighted(VAE, groups=2, samples=0)
    with pytest.raises(ValueError, match=r"elbo_weight must be between 0 and 1, got 1\.5"):
        combination_importance_weighted(VAE, samples=2, elbo_weight=1.5)
    with pytest.raises(IncompatibleError, match="each of them replaces the loss by a bound"):
        importance_weighted(BOUNDS["miwae"], samples=2)
    identity = Network(lambda key, x: {}, lambda params, x: x)
    with pytest.raises(TypeError, match="expects an autoencoder with a posterior"):
        multiply_importance_weighted(undercomplete(identity, identity), groups=2, samples=2)
