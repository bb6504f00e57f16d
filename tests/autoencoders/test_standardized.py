"""Standardization as a part of the autoencoder: what is learned is the same, what is said is in the user's units."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aejax import likelihoods
from aejax.autoencoders import (
    Examples,
    as_batch,
    conditional,
    contractive,
    denoising,
    importance_weighted,
    mmd_regularized,
    sparse,
    standardized,
    tied,
    total_correlation_penalized,
    undercomplete,
    variational,
)
from aejax.corruption import gaussian_noise
from aejax.evaluation.anomaly import anomaly_score
from aejax.export import export_functions
from aejax.networks import MLP
from aejax.priors import vamp_prior

MEAN = np.array([2000.0, 50_000.0, -3.0, 7.0])
DEVIATION = np.array([5.0, 20_000.0, 0.01, 0.0])  # the last feature is constant
SCALE = np.array([5.0, 20_000.0, 0.01, 1.0])
LOG_SCALE = float(np.sum(np.log(SCALE)))
Z = jnp.asarray(np.random.default_rng(0).normal(size=(6, 4)), jnp.float32)
X = jnp.asarray(MEAN + SCALE * np.asarray(Z, np.float64), jnp.float32)
STANDARDIZED = jnp.asarray((np.asarray(X) - np.float32(MEAN)) / np.float32(SCALE))


def vae(**knobs):
    knobs = {"likelihood": likelihoods.gaussian(variance=0.5)} | knobs
    return variational(MLP((4,), (5,)), MLP((4,), (5,)), **knobs)


def plain():
    return undercomplete(MLP((2,), (5,)), MLP((4,), (5,)))


in_units = partial(standardized, mean=MEAN, standard_deviation=DEVIATION)
COMPOSITIONS = {
    "undercomplete": plain,
    "tied": lambda: tied((4,), (3, 2), activation=jax.nn.sigmoid),
    "variational": vae,
    "iwae": lambda: importance_weighted(vae(), samples=3),
    "contractive": lambda: contractive(plain(), weight=0.1),
    "sparse": lambda: sparse(vae(), weight=0.1),
    "mmd": lambda: mmd_regularized(plain(), weight=0.1),
    "total correlation": lambda: total_correlation_penalized(vae(), weight=0.5, examples=6),
    "denoising": lambda: denoising(vae(), corrupt=partial(gaussian_noise, standard_deviation=0.3)),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", COMPOSITIONS)
def test_training_is_that_on_data_standardized_beforehand(name):
    inner = COMPOSITIONS[name]()
    outer = in_units(inner)

    def trained(autoencoder, x):
        params = autoencoder.init(jax.random.key(0), x[0])

        @jax.jit
        def step(params, key):
            (_, metrics), gradient = jax.value_and_grad(autoencoder.loss, has_aux=True)(params, key, x)
            return jax.tree.map(lambda leaf, slope: leaf - 0.01 * slope, params, gradient), metrics

        for i in range(3):
            params, metrics = step(params, jax.random.key(i))
        return params, metrics

    (params, metrics), (wanted, wanted_metrics) = trained(outer, X), trained(inner, STANDARDIZED)

    assert jax.tree.structure(params) == jax.tree.structure(wanted)
    for leaf, other in zip(jax.tree.leaves(params), jax.tree.leaves(wanted), strict=True):
        np.testing.assert_allclose(leaf, other, rtol=1e-5, atol=1e-6)
    for term, value in metrics.items():
        is_density = inner.variational is not None and term in ("loss", "reconstruction", "elbo")
        shift = (-LOG_SCALE if term == "elbo" else LOG_SCALE) if is_density else 0.0
        np.testing.assert_allclose(value, wanted_metrics[term] + shift, rtol=1e-5, atol=1e-5)


@pytest.mark.slow
def test_densities_means_samples_and_codes_are_in_the_units_of_the_data():
    inner, outer = vae(), in_units(vae())
    params = jax.jit(outer.init)(jax.random.key(0), X[0])
    code = outer.encode(params, X[0])
    parameters = outer.variational.decode_parameters(params, code)

    np.testing.assert_allclose(code, inner.encode(params, STANDARDIZED[0]), rtol=1e-6)
    np.testing.assert_allclose(
        outer.variational.posterior(params, X[0])[1], inner.variational.posterior(params, STANDARDIZED[0])[1], rtol=1e-6
    )
    np.testing.assert_allclose(
        outer.decode(params, code), MEAN + SCALE * np.asarray(inner.decode(params, code), np.float64), rtol=1e-6
    )
    np.testing.assert_array_equal(outer.variational.likelihood.mean(parameters), outer.decode(params, code))
    # each feature is N(m + s μ, s² σ²) of its own
    mean, deviation = MEAN + SCALE * np.asarray(parameters, np.float64), SCALE * np.sqrt(0.5)
    residual = (np.asarray(X[0], np.float64) - mean) / deviation
    density = np.sum(-0.5 * residual**2 - np.log(deviation) - 0.5 * np.log(2 * np.pi))
    np.testing.assert_allclose(outer.variational.likelihood.log_prob(X[0], parameters), density, rtol=1e-5)
    samples = jax.jit(jax.vmap(outer.variational.likelihood.sample, in_axes=(0, None)))(
        jax.random.split(jax.random.key(1), 4000), parameters
    )
    standard = (np.asarray(samples, np.float64) - mean) / deviation
    np.testing.assert_allclose(standard.mean(axis=0), 0, atol=5 / np.sqrt(4000))  # five sigma
    np.testing.assert_allclose(standard.std(axis=0), 1, atol=5 / np.sqrt(2 * 4000))


@pytest.mark.slow
def test_anomaly_scores_are_in_the_units_of_the_data():
    inner, outer = vae(), in_units(vae())
    params = jax.jit(outer.init)(jax.random.key(0), X[0])
    key = jax.random.key(3)

    np.testing.assert_allclose(
        anomaly_score(outer, params, key, X[1]),
        anomaly_score(inner, params, key, STANDARDIZED[1]) + LOG_SCALE,
        rtol=1e-5,
    )


@pytest.mark.slow
def test_wrappers_outside_see_the_data_in_their_own_units():
    params = jax.jit(plain().init)(jax.random.key(0), Z[0])
    of_z, of_x = contractive(plain(), weight=1.0), contractive(in_units(plain()), weight=1.0)
    jacobian = np.asarray(jax.jit(jax.vmap(jax.jacrev(partial(plain().encode, params))))(STANDARDIZED)) / SCALE

    penalty = jax.jit(of_x.loss)(params, jax.random.key(0), X)[1]["contractive_penalty"]

    np.testing.assert_allclose(penalty, np.mean(np.sum(jacobian**2, axis=(1, 2))), rtol=1e-4)
    assert jax.jit(of_z.loss)(params, jax.random.key(0), STANDARDIZED)[1]["contractive_penalty"] != pytest.approx(
        float(penalty)
    )
    noise = 3.0 * SCALE
    noisy = denoising(in_units(vae()), corrupt=lambda key, x: x + noise.astype(np.float32))
    vae_params = jax.jit(vae().init)(jax.random.key(0), Z[0])
    key = jax.random.split(jax.random.key(5))[1]
    pairs = Examples(STANDARDIZED, STANDARDIZED + 3.0)
    wanted = jax.jit(vae().loss)(vae_params, key, as_batch(pairs))[0] + LOG_SCALE
    np.testing.assert_allclose(jax.jit(noisy.loss)(vae_params, jax.random.key(5), X)[0], wanted, rtol=1e-4)


@pytest.mark.slow
def test_a_condition_reaches_the_networks_inside_and_outside():
    x, classes = Examples(X, condition=jnp.arange(6) % 2), 2
    inside, outside = in_units(conditional(vae(), classes=classes)), conditional(in_units(vae()), classes=classes)
    params = jax.jit(inside.init)(jax.random.key(0), X[0], jnp.array(1))

    losses = [jax.jit(model.loss)(params, jax.random.key(1), as_batch(x))[0] for model in (inside, outside)]

    assert losses[0] == losses[1]
    code = inside.encode(params, X[0], jnp.array(1))
    np.testing.assert_array_equal(code, outside.encode(params, X[0], jnp.array(1)))
    np.testing.assert_array_equal(inside.decode(params, code, jnp.array(1)), outside.decode(params, code, jnp.array(1)))


@pytest.mark.slow
def test_pseudo_inputs_are_given_in_the_units_of_the_data():
    outer, inner = in_units(vae(prior=vamp_prior(X[:3]))), vae(prior=vamp_prior(STANDARDIZED[:3]))
    params, wanted = (
        jax.jit(outer.init)(jax.random.key(0), X[0]),
        jax.jit(inner.init)(jax.random.key(0), STANDARDIZED[0]),
    )

    np.testing.assert_allclose(params["prior"]["pseudo_inputs"], wanted["prior"]["pseudo_inputs"], rtol=1e-6)
    np.testing.assert_allclose(
        jax.jit(outer.loss)(params, jax.random.key(1), X)[0],
        jax.jit(inner.loss)(wanted, jax.random.key(1), STANDARDIZED)[0] + LOG_SCALE,
        rtol=1e-5,
    )


@pytest.mark.slow
def test_one_number_serves_all_features_and_images():
    images = 255 * jnp.asarray(np.random.default_rng(1).random((2, 3, 4)), jnp.float32)
    autoencoder = standardized(
        variational(MLP((4,), ()), MLP((3, 4), ()), likelihood=likelihoods.gaussian()),
        mean=127.0,
        standard_deviation=70.0,
    )
    params = jax.jit(autoencoder.init)(jax.random.key(0), images[0])
    code = autoencoder.encode(params, images[0])

    assert autoencoder.decode(params, code).shape == (3, 4)
    x = np.asarray(images[0], np.float64)
    residual = (x - np.asarray(autoencoder.decode(params, code), np.float64)) / 70
    density = np.sum(-0.5 * residual**2 - np.log(70) - 0.5 * np.log(2 * np.pi))
    parameters = autoencoder.variational.decode_parameters(params, code)
    np.testing.assert_allclose(autoencoder.variational.likelihood.log_prob(images[0], parameters), density, rtol=1e-5)


def test_half_precision_is_standardized_in_single():
    years = jnp.array([1984.0, 2000.0, 2016.0], jnp.bfloat16)  # representable
    likelihood = likelihoods.standardized(likelihoods.gaussian(), mean=2001.0, standard_deviation=16.0)

    np.testing.assert_allclose(
        np.asarray(likelihood.log_prob(years, jnp.zeros(3, jnp.bfloat16)), np.float32),
        np.sum([-0.5 * ((y - 2001) / 16) ** 2 - np.log(16) - 0.5 * np.log(2 * np.pi) for y in (1984, 2000, 2016)]),
        rtol=1e-2,
    )


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"mean": np.nan, "standard_deviation": 1.0}, "mean must be finite"),
        ({"mean": 0.0, "standard_deviation": np.inf}, "standard_deviation must be finite"),
        ({"mean": 0.0, "standard_deviation": np.array([-1.0, 1.0, 1.0, 1.0])}, "standard_deviation must be at least 0"),
    ],
)
def test_statistics_that_cannot_be_are_refused(knobs, message):
    with pytest.raises(ValueError, match=message):
        standardized(plain(), **knobs)
    with pytest.raises(ValueError, match=message):
        likelihoods.standardized(likelihoods.gaussian(), **knobs)


def test_statistics_of_another_shape_or_no_numbers_are_refused():
    autoencoder = standardized(plain(), mean=np.zeros(3), standard_deviation=1.0)
    with pytest.raises(ValueError, match=r"must be numbers or have the shape of x, \(4,\), got \(3,\)"):
        autoencoder.init(jax.random.key(0), X[0])
    with pytest.raises(TypeError, match="mean must be real numbers"):
        standardized(plain(), mean="2000", standard_deviation=1.0)
    with pytest.raises(TypeError, match="expects an autoencoder"):
        standardized(MLP((2,)), mean=0.0, standard_deviation=1.0)


@pytest.mark.parametrize(
    "likelihood",
    [likelihoods.bernoulli(), likelihoods.beta(), likelihoods.poisson(), likelihoods.continuous_bernoulli()],
)
def test_likelihoods_of_bits_counts_and_bounded_values_are_refused(likelihood):
    with pytest.raises(ValueError, match="expects a likelihood of all real numbers"):
        in_units(vae(likelihood=likelihood))


@pytest.mark.slow
def test_what_is_exported_takes_and_returns_the_units_of_the_data():
    autoencoder = in_units(plain())
    params = jax.jit(autoencoder.init)(jax.random.key(0), X[0])

    functions = export_functions(autoencoder, params, np.asarray(X[0]))

    codes = jax.jit(jax.vmap(partial(autoencoder.encode, params)))(X)
    np.testing.assert_allclose(functions["encode"].call(X), codes, rtol=1e-5, atol=1e-6)
    decoded = jax.jit(jax.vmap(partial(autoencoder.decode, params)))(codes)
    np.testing.assert_allclose(functions["decode"].call(codes), decoded, rtol=1e-5)
    jacobian = jax.jit(jax.vmap(jax.jacrev(partial(autoencoder.encode, params))))(X)
    np.testing.assert_allclose(functions["jacobian"].call(X), jacobian, rtol=1e-4, atol=1e-7)
