"""Several stochastic layers: against the exact likelihood, posterior and prior of a linear-Gaussian model."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from aejax.autoencoders import (
    Batch,
    Examples,
    as_batch,
    conditional,
    hierarchical,
    importance_weighted,
    mmd_regularized,
    standardized,
    total_correlation_penalized,
)
from aejax.autoencoders.importance_weights import log_importance_weights
from aejax.errors import IncompatibleError
from aejax.evaluation import code_statistics
from aejax.likelihoods import gaussian
from aejax.networks import MLP, Network

KEY = jax.random.key(0)
# h₂ ~ N(0, 1), h₁ | h₂ ~ N(a h₂ + c, s₁), x | h₁ ~ N(w h₁, s I), with x of 3 numbers
LOADING, OFFSET, UPPER_VARIANCE = 0.8, 0.4, 0.5
WEIGHTS, VARIANCE = np.array([1.0, -0.5, 2.0]), 0.7
MARGINAL = LOADING**2 + UPPER_VARIANCE  # of h₁
X = np.array([0.9, 0.2, 1.1])
LOG_P = stats.multivariate_normal.logpdf(
    X, WEIGHTS * OFFSET, MARGINAL * np.outer(WEIGHTS, WEIGHTS) + VARIANCE * np.eye(3)
)
# q(h₁ | x) = N(u·x + d, v₁) and q(h₂ | h₁) = N(g (h₁ - c), v₂) are the exact posterior
FIRST_VARIANCE = 1 / (1 / MARGINAL + WEIGHTS @ WEIGHTS / VARIANCE)
SECOND_VARIANCE = 1 / (1 + LOADING**2 / UPPER_VARIANCE)
EXACT = {
    "u": FIRST_VARIANCE * WEIGHTS / VARIANCE,
    "d": FIRST_VARIANCE * OFFSET / MARGINAL,
    "v": np.log(FIRST_VARIANCE),
    "g": SECOND_VARIANCE * LOADING / UPPER_VARIANCE,
    "e": np.log(SECOND_VARIANCE),
}
MODEL = hierarchical(
    (
        Network(lambda key, x: {}, lambda p, x: jnp.stack([jnp.dot(p["u"], x) + p["d"], p["v"]])),
        Network(lambda key, h: {}, lambda p, h: jnp.stack([p["g"] * (h[0] - OFFSET), p["e"]])),
    ),
    (
        Network(lambda key, h: {}, lambda p, h: jnp.asarray(WEIGHTS, h.dtype) * h),
        Network(lambda key, h: {}, lambda p, h: jnp.stack([LOADING * h[0] + OFFSET, jnp.log(jnp.float32(0.5))])),
    ),
    code_sizes=(1, 1),
    likelihood=gaussian(variance=VARIANCE),
)


def parameters(shift=0.0):
    """Those of the exact posterior, shifted."""
    shifted = {name: jnp.asarray(value + shift, jnp.float32) for name, value in EXACT.items()}
    encoder = {"layer_1": {name: shifted[name] for name in "udv"}, "layer_2": {name: shifted[name] for name in "ge"}}
    return {"encoder": encoder, "decoder": {"layer_1": {}, "layer_2": {}}}


def test_with_the_exact_posterior_every_weight_is_the_likelihood():
    x = jnp.asarray(X, jnp.float32)
    weights = jax.jit(lambda params: log_importance_weights(MODEL, params, KEY, x, x, samples=50))(parameters())
    np.testing.assert_allclose(weights, LOG_P, atol=2e-5)


@pytest.mark.slow_after_first
@pytest.mark.parametrize("gradient", ["dreg", "stl"])
def test_with_the_exact_posterior_path_gradients_of_both_layers_are_0(gradient):
    loss = importance_weighted(MODEL, samples=3, gradient=gradient).loss
    x = jnp.asarray(X, jnp.float32)[None]
    differentiate = jax.jit(jax.grad(lambda params: loss(params, KEY, x)[0]))
    assert max(np.abs(leaf).max() for leaf in jax.tree.leaves(differentiate(parameters())["encoder"])) < 1e-5
    off = differentiate(parameters(0.2))["encoder"]
    assert all(np.abs(leaf).max() > 1e-3 for leaf in jax.tree.leaves(off))


@pytest.mark.slow
def test_the_bound_rises_with_the_samples_to_the_exact_likelihood():
    x, repeats = jnp.asarray(X, jnp.float32)[None], 2000
    means = []
    for samples in (1, 300):
        loss = importance_weighted(MODEL, samples=samples).loss

        def bound(index, loss=loss):
            return loss(parameters(0.1), KEY, Batch(x, x, index[None], jnp.ones(1)))[1]["elbo"]

        bounds = np.asarray(jax.jit(jax.vmap(bound))(jnp.arange(repeats)), np.float64)
        means.append((bounds.mean(), bounds.std() / np.sqrt(repeats)))
    (low, error_low), (high, error_high) = means
    assert high - low > 10 * np.hypot(error_low, error_high)
    assert LOG_P - 0.03 < high < LOG_P + 4 * error_high
    elbo = jax.jit(lambda key: MODEL.loss(parameters(0.1), key, jnp.repeat(x, repeats, axis=0))[1]["elbo"])(KEY)
    assert abs(elbo - low) < 5 * error_low * np.sqrt(2)


@pytest.mark.slow
def test_the_prior_has_the_joint_density_of_both_layers():
    prior = MODEL.variational.prior(parameters())
    covariance = np.array([[MARGINAL, LOADING], [LOADING, 1.0]])
    codes = np.asarray(prior.sample(KEY, (100, 200, 2)), np.float64).reshape(-1, 2)
    np.testing.assert_allclose(codes.mean(axis=0), [OFFSET, 0.0], atol=4 * np.sqrt(1.2 / len(codes)))
    np.testing.assert_allclose(np.cov(codes.T), covariance, atol=0.04)
    expected = stats.multivariate_normal.logpdf(codes[:5], [OFFSET, 0.0], covariance)
    found = [prior.log_prob(jnp.asarray(code, jnp.float32)) for code in codes[:5]]
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    with pytest.raises(ValueError, match=r"codes must have shape \('...', 2\), got \(5, 3\)"):
        prior.sample(KEY, (5, 3))


@pytest.mark.slow
def test_samples_of_the_posterior_have_its_moments():
    posterior = MODEL.variational.joint_posterior(parameters(), jnp.asarray(X, jnp.float32))
    codes = np.asarray(jax.jit(jax.vmap(posterior.sample))(jax.random.split(KEY, 20_000)), np.float64)
    slope = EXACT["g"]
    mean = EXACT["u"] @ X + EXACT["d"]
    covariance = FIRST_VARIANCE * np.outer([1, slope], [1, slope]) + np.diag([0, SECOND_VARIANCE])
    np.testing.assert_allclose(codes.mean(axis=0), [mean, slope * (mean - OFFSET)], atol=0.02)
    np.testing.assert_allclose(np.cov(codes.T), covariance, atol=0.01)


def networks():
    return (MLP((6,)), MLP((4,))), (MLP((5,)), MLP((6,)))


@pytest.mark.slow
def test_codes_are_the_means_of_the_layers_one_after_the_other():
    autoencoder = hierarchical(*networks(), code_sizes=(3, 2))
    params, x = jax.jit(autoencoder.init)(KEY, jnp.ones(5)), jnp.linspace(0.0, 1.0, 5)
    (first, second), _ = networks()
    h1 = first.apply(params["encoder"]["layer_1"], x)[:3]
    code = autoencoder.encode(params, x)
    np.testing.assert_allclose(code[:3], h1, rtol=1e-5)
    np.testing.assert_allclose(code[3:], second.apply(params["encoder"]["layer_2"], h1)[:2], rtol=1e-5, atol=1e-6)
    changed = autoencoder.decode(params, code.at[3:].add(1.0))
    np.testing.assert_array_equal(changed, autoencoder.decode(params, code))


@pytest.mark.slow
def test_no_mutual_information_is_reported_that_assumes_independent_layers():
    autoencoder = hierarchical(*networks(), code_sizes=(3, 2))
    params = jax.jit(autoencoder.init)(KEY, jnp.ones(5))
    statistics = code_statistics(autoencoder, params, KEY, np.ones((4, 5), np.float32))
    assert statistics["units"] == 5
    assert not {"mutual_information", "mutual_information_limit", "kl"} & set(statistics)


@pytest.mark.slow
def test_wrappers_reach_all_layers():
    autoencoder = hierarchical(*networks(), code_sizes=(3, 2), likelihood=gaussian())
    wrapped = standardized(
        mmd_regularized(conditional(autoencoder, classes=3), weight=1.0), mean=1.0, standard_deviation=2.0
    )
    x, classes = jax.random.normal(KEY, (4, 5)), jnp.array([0, 1, 2, 1])
    params = jax.jit(wrapped.init)(KEY, x[0], classes[0])
    loss, metrics = jax.jit(wrapped.loss)(params, KEY, as_batch(Examples(x, condition=classes)))
    assert np.isfinite(loss)
    assert set(metrics) == {"loss", "reconstruction", "kl", "elbo", "mmd"}
    bound = importance_weighted(
        standardized(conditional(autoencoder, classes=3), mean=1.0, standard_deviation=2.0), samples=5
    )
    assert np.isfinite(jax.jit(bound.loss)(params, KEY, as_batch(Examples(x, condition=classes)))[0])


def test_what_does_not_fit_is_refused():
    encoders, decoders = networks()
    with pytest.raises(ValueError, match="got 2 encoders, 1 decoders and 2 code sizes"):
        hierarchical(encoders, decoders[:1], code_sizes=(3, 2))
    with pytest.raises(ValueError, match=r"encoder 2 must return .* of 3 units, shape \(6,\), got \(4,\)"):
        jax.eval_shape(hierarchical(encoders, decoders, code_sizes=(3, 3)).init, KEY, jnp.ones(5))
    with pytest.raises(ValueError, match=r"decoder 2 must return .* of 3 units, shape \(6,\), got \(4,\)"):
        jax.eval_shape(hierarchical(encoders, (MLP((5,)), MLP((4,))), code_sizes=(3, 2)).init, KEY, jnp.ones(5))
    with pytest.raises(ValueError, match="beta"):
        hierarchical(encoders, decoders, code_sizes=(3, 2), beta=-1.0)
    with pytest.raises(IncompatibleError, match="no joint posterior"):
        total_correlation_penalized(hierarchical(encoders, decoders, code_sizes=(3, 2)), weight=1.0, examples=10)
    autoencoder = hierarchical(encoders, decoders, code_sizes=(3, 2))
    params = jax.eval_shape(autoencoder.init, KEY, jnp.ones(5))
    with pytest.raises(ValueError, match=r"code must be ONE code of shape \(5,\), got \(4,\)"):
        jax.eval_shape(autoencoder.decode, params, jnp.ones(4))
