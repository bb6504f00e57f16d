"""Sequences that are padded with NaN: losses over real steps by hand, no gradient from padding, exact Jacobians."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from aejax import losses
from aejax.autoencoders import contractive, standardized, undercomplete, variational
from aejax.jacobian import frobenius_norm_squared
from aejax.likelihoods import (
    bernoulli,
    beta,
    continuous_bernoulli,
    gaussian,
    gaussian_with_predicted_variance,
    laplace,
    over_known,
    parameter_shape,
    poisson,
)
from aejax.likelihoods import standardized as standardized_likelihood
from aejax.losses import OverKnown
from aejax.networks import MLP, SequenceEncoder, reading_padded
from aejax.training.entrance import accepts_missing

KEY = jax.random.key(0)
LENGTHS = (7, 3, 5, 1)
RANDOM = np.random.default_rng(0).normal(size=(4, 7, 2)).astype(np.float32)
X = np.where(np.arange(7)[None, :, None] < np.array(LENGTHS)[:, None, None], RANDOM, np.nan).astype(np.float32)
FAST = (gaussian_with_predicted_variance(), poisson())
SLOW = (bernoulli(), continuous_bernoulli(), gaussian(), laplace(), beta())
LIKELIHOODS = [pytest.param(each, id=each.name) for each in FAST]
LIKELIHOODS += [pytest.param(each, id=each.name, marks=pytest.mark.slow) for each in SLOW]


def vae(encoder=MLP((2 * 2,), (4,), jnp.tanh)):  # noqa: B008
    return variational(reading_padded(encoder), MLP((7, 2)), likelihood=over_known(gaussian()))


@pytest.fixture(scope="module")
def params():
    return jax.jit(vae().init)(KEY, X[0])


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_a_likelihood_over_known_values_is_that_of_the_real_steps(likelihood):
    rng = np.random.default_rng(1)
    x = rng.integers(0, 2, size=7) * 1.0 if likelihood.support.integers else rng.uniform(0.1, 0.9, size=7)
    parameters = jnp.asarray(rng.normal(size=parameter_shape(likelihood, (7,))))
    padded = jnp.asarray(np.where(np.arange(7) < 4, x, np.nan))
    expected = jax.jit(likelihood.log_prob)(jnp.asarray(x[:4]), parameters[:4])
    value, gradient = jax.jit(jax.value_and_grad(over_known(likelihood).log_prob, argnums=1))(padded, parameters)
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    assert np.isfinite(gradient).all()
    assert not np.any(gradient[4:])
    assert np.all(gradient[:4] != 0)


@pytest.mark.parametrize("loss", [losses.squared_error, losses.absolute_error, losses.huber])
def test_a_loss_over_known_values_is_that_of_the_real_steps(loss):
    x, output = jnp.asarray(X[1]), jnp.asarray(RANDOM[2])
    np.testing.assert_allclose(OverKnown(loss)(x, output), loss(x[:3], output[:3]), rtol=1e-6)
    assert losses.loss_unit(OverKnown(loss)) == losses.loss_unit(loss)


def test_logits_keep_their_link_and_means_over_windows_are_refused():
    assert losses.output_link(OverKnown(losses.binary_cross_entropy))(jnp.zeros(1)).item() == 0.5
    with pytest.raises(ValueError, match="sum over features"):
        OverKnown(losses.structural_dissimilarity)


@pytest.mark.slow
def test_the_bound_sums_over_real_steps_in_nats(params):
    autoencoder = vae()
    _, metrics = jax.jit(autoencoder.loss)(params, KEY, X)
    expected = []
    posterior = jax.jit(autoencoder.variational.posterior)
    for place, x in enumerate(X):  # an independent implementation, by SciPy, on the real steps alone
        mean, log_variance = posterior(params, x)
        noise = jax.random.normal(jax.random.fold_in(KEY, place), mean.shape)
        decoded = jax.jit(autoencoder.decode)(params, mean + jnp.exp(log_variance / 2) * noise)
        steps = LENGTHS[place]
        expected.append(-stats.norm.logpdf(RANDOM[place, :steps], np.asarray(decoded)[:steps]).sum())
    np.testing.assert_allclose(metrics["reconstruction"], np.mean(expected), rtol=1e-5)


def test_padding_reaches_no_parameter():
    autoencoder = undercomplete(reading_padded(MLP((2,))), MLP((7, 2)), loss=OverKnown(losses.squared_error))
    params = jax.jit(autoencoder.init)(KEY, X[0])
    gradient = jax.jit(jax.grad(lambda params: autoencoder.loss(params, KEY, X[1:])[0]))(params)
    kernel = gradient["encoder"]["params"]["Dense_0"]["kernel"].reshape(7, 3, 2)  # steps, channels and indicator
    assert not np.any(kernel[5:])  # the longest of these sequences has 5 steps
    bias = gradient["decoder"]["params"]["Dense_0"]["bias"].reshape(7, 2)
    assert not np.any(bias[5:])
    assert np.all(bias[:5] != 0)


@pytest.mark.slow
@pytest.mark.parametrize("encoder", [MLP((2 * 2,), (4,), jnp.tanh), SequenceEncoder((4,), 2 * 2)])
def test_the_jacobian_is_that_with_respect_to_the_real_steps(encoder):
    autoencoder = vae(encoder)
    params = jax.jit(autoencoder.init)(KEY, X[0])

    def encode(x):
        return autoencoder.encode(params, x)

    jacobian = np.asarray(jax.jit(jax.jacfwd(encode))(jnp.asarray(X[1])))
    assert not np.any(jacobian[:, 3:])
    exact = jax.jit(lambda x: frobenius_norm_squared(encode, x, method="auto"))(jnp.asarray(X[1]))
    np.testing.assert_allclose(exact, np.square(jacobian).sum(), rtol=1e-5)
    penalized = contractive(autoencoder, weight=0.1)
    assert np.isfinite(jax.jit(penalized.loss)(params, KEY, X)[0])


@pytest.mark.slow
def test_standardization_counts_the_units_of_real_steps_alone(params):
    wrapped = standardized(vae(), mean=10.0, standard_deviation=3.0)
    inside, outside = (
        jax.jit(autoencoder.loss)(params, KEY, x)[1] for autoencoder, x in ((vae(), X), (wrapped, 10 + 3 * X))
    )
    of_units = 2 * np.mean(LENGTHS) * math.log(3.0)
    np.testing.assert_allclose(outside["elbo"], inside["elbo"] - of_units, rtol=1e-5)
    likelihood = standardized_likelihood(over_known(gaussian()), mean=10.0, standard_deviation=3.0)
    x = jnp.array([13.0, jnp.nan])
    assert likelihood.log_prob(x, jnp.zeros(2)).item() == pytest.approx(stats.norm.logpdf(13, 10, 3), rel=1e-6)


def test_an_autoencoder_says_whether_it_accepts_padding():
    plain = undercomplete(MLP((2,)), MLP((7, 2)))
    assert not accepts_missing(plain)
    assert not accepts_missing(variational(MLP((4,)), MLP((7, 2))))
    assert accepts_missing(vae())
    assert accepts_missing(undercomplete(MLP((2,)), MLP((7, 2)), loss=OverKnown(losses.huber)))
