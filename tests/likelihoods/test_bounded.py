"""Logarithms of scales and rates are themselves on [-30, 10] and grow like a logarithm beyond: nothing overflows."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aejax.autoencoders import importance_weighted, variational
from aejax.likelihoods import (
    beta,
    constrain,
    discretized_logistic,
    gaussian_with_predicted_variance,
    parameter_shape,
    poisson,
)
from aejax.likelihoods.bounded import bounded_log
from aejax.likelihoods.columns import Binary, Continuous, Count
from aejax.likelihoods.tables import table_likelihood
from aejax.networks import Network
from aejax.priors import mixture_prior, standard_normal, vamp_prior


@pytest.mark.slow
def test_it_is_the_identity_between_its_ends_bit_for_bit_with_the_gradient_of_the_identity():
    output = jnp.asarray(np.random.default_rng(0).uniform(-30, 10, 1000), jnp.float32)

    assert jnp.array_equal(bounded_log(output), output)
    assert jnp.array_equal(jax.jit(jax.vmap(jax.grad(bounded_log)))(output), jnp.ones_like(output))


def test_beyond_them_its_exponential_is_linear_in_the_output():
    output = np.array([10.5, 20.0, 300.0, 1e6, -31.0, -1e6])

    ends = np.where(output > 0, 10, -30)
    wanted = ends + np.sign(output) * np.log(1 + np.abs(output - ends))

    np.testing.assert_allclose(bounded_log(jnp.asarray(output, jnp.float32)), wanted, rtol=1e-6)
    large = jnp.array([20.0, 21.0, 22.0])
    np.testing.assert_allclose(jnp.diff(jnp.exp(bounded_log(large))), np.exp(10.0), rtol=1e-3)


@pytest.mark.parametrize("size", [11.0, 31.0, 1e10, 3e38])
def test_no_finite_output_overflows_and_none_loses_its_gradient(size):
    for output in (jnp.float32(size), jnp.float32(-size)):
        bounded = bounded_log(output)
        assert jnp.isfinite(jnp.exp(bounded))
        assert jnp.exp(bounded) > 0
        assert size > 1e32 or jax.jit(jax.grad(bounded_log))(output) > 0


@pytest.mark.slow_after_first
@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16, jnp.float32])
def test_it_keeps_the_dtype(dtype):
    assert bounded_log(jnp.ones(2, dtype)).dtype == dtype


COLUMNS = [Continuous("area"), Binary("garden"), Count("rooms")]


@pytest.mark.slow
@pytest.mark.parametrize(
    "likelihood",
    [gaussian_with_predicted_variance(), poisson(), beta(), discretized_logistic(), table_likelihood(COLUMNS)],
)
def test_a_decoder_whose_output_is_huge_has_finite_densities_gradients_and_samples(likelihood):
    shape = parameter_shape(likelihood, (3,))
    x = jnp.full(3, 0.5) if likelihood.support.high == 1 else jnp.array([1.0, 0.0, 2.0])

    for size in (1e4, -1e4):

        def log_prob(output):
            return likelihood.log_prob(x, constrain(likelihood, output))

        output = jnp.full(shape, size)
        assert jnp.isfinite(log_prob(output))
        assert jnp.isfinite(jax.jit(jax.grad(log_prob))(output)).all()
        assert jnp.isfinite(likelihood.sample(jax.random.key(0), constrain(likelihood, output))).all()
        small = jnp.linspace(-1.0, 1.0, output.size).reshape(shape)
        assert jnp.array_equal(constrain(likelihood, small), small)


def scaled(size: float, outputs: int) -> Network:
    """The map to `outputs` numbers, each `size` times the sum of x."""
    return Network(lambda key, *inputs: jnp.float32(size), lambda size, x, *rest: jnp.full(outputs, size * jnp.sum(x)))


@pytest.mark.slow
@pytest.mark.parametrize("prior", [standard_normal(), mixture_prior(2), vamp_prior(jnp.full((2, 3), 50.0))])
def test_value_kl_samples_and_bounds_of_a_variational_autoencoder_are_finite_far_from_unit_scale(prior):
    autoencoder = variational(
        scaled(30.0, 4),
        Network(lambda key, *inputs: jnp.float32(1.0), lambda scale, code: jnp.full((3, 2), scale * jnp.sum(code))),
        likelihood=gaussian_with_predicted_variance(),
        prior=prior,
    )
    x = jnp.array([[2000.0, 1999.0, 2001.0], [-2000.0, -1999.0, -2001.0]])

    @jax.jit
    def compute(x):
        params = autoencoder.init(jax.random.key(0), x[0])
        if "prior" in params and "log_variance" in params["prior"]:
            params["prior"]["log_variance"] = jnp.full_like(params["prior"]["log_variance"], 300.0)
        losses = [
            jax.value_and_grad(model.loss, has_aux=True)(params, jax.random.key(1), x)
            for model in (autoencoder, importance_weighted(autoencoder, samples=3))
        ]
        return losses, autoencoder.variational.prior(params).sample(jax.random.key(2), (2,))

    losses, samples = compute(x)
    for (loss, metrics), gradient in losses:
        assert np.isfinite(loss)
        assert all(np.isfinite(value) for value in metrics.values())
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))
    assert np.isfinite(samples).all()


@pytest.mark.slow
def test_posterior_and_divergence_use_one_bounded_log_variance():
    autoencoder = variational(scaled(1.0, 2), scaled(1.0, 3))
    params = jax.jit(autoencoder.init)(jax.random.key(0), jnp.ones(3))
    x = jnp.full((1, 3), 40.0)

    _, log_variance = autoencoder.variational.posterior(params, x[0])
    _, metrics = jax.jit(autoencoder.loss)(params, jax.random.key(1), x)

    wanted = 10 + np.log(1 + 120.0 - 10)
    np.testing.assert_allclose(log_variance, [wanted], rtol=1e-6)
    np.testing.assert_allclose(metrics["kl"], 0.5 * (np.exp(wanted) - 1 - wanted + 120.0**2), rtol=1e-5)
