"""Log-likelihoods by importance sampling: exact with the exact posterior, below the truth and rising otherwise."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aejax.autoencoders import Examples, as_batch, conditional, hierarchical, undercomplete, variational
from aejax.autoencoders.importance_weighted import log_importance_weights
from aejax.evaluation.likelihood import (
    StepSizes,
    annealed_log_likelihood,
    importance_sampled_log_likelihood,
    mean_with_errors,
)
from aejax.likelihoods import gaussian
from aejax.networks import Network

KEY = jax.random.key(0)


def sampled(known, samples, key=KEY, **knobs):
    return importance_sampled_log_likelihood(known.autoencoder, known.params, key, known.x, samples=samples, **knobs)


def test_with_the_exact_posterior_there_is_no_variance(linear_gaussian):
    known = linear_gaussian()
    estimates = sampled(known, 50)
    for value in (estimates.log_likelihood, estimates.half, estimates.elbo):
        np.testing.assert_allclose(value, known.log_p, rtol=2e-5)
    np.testing.assert_allclose(estimates.effective_samples, 50, rtol=1e-6)
    np.testing.assert_allclose(estimates.error, 0, atol=1e-6)
    assert (estimates.pareto_k == -np.inf).all()


@pytest.mark.slow
def test_value_is_below_the_truth_and_rises_with_the_samples(linear_gaussian):
    """400 times the same example with other noise: the bias -Var(w)/(2 K) and the error are those of theory."""
    known = linear_gaussian(0.5, 0.4, examples=1)
    x = np.repeat(known.x, 400, axis=0)
    few, many = (sampled(known._replace(x=x), samples, block_size=400) for samples in (20, 200))
    truth = known.log_p[0]
    bias_of_few, bias_of_many = (mean_with_errors(e.log_likelihood - truth, e.error) for e in (few, many))
    spread = 200 * float(np.mean(many.error**2))  # Var(w) / E[w]²
    assert bias_of_many.mean == pytest.approx(-spread / 400, abs=4 * bias_of_many.samples_error)
    assert bias_of_few.mean < -spread / 80
    assert np.std(many.log_likelihood) == pytest.approx(np.sqrt(np.mean(many.error**2)), rel=0.15)
    assert few.elbo.mean() == pytest.approx(many.elbo.mean(), abs=0.1)
    assert few.elbo.mean() < few.half.mean() < few.log_likelihood.mean() < many.log_likelihood.mean()


@pytest.mark.slow
def test_weights_are_those_of_the_importance_weighted_loss(linear_gaussian):
    known = linear_gaussian(0.5)
    estimates = sampled(known, 8)
    for index, x in enumerate(known.x):
        key = jax.random.fold_in(KEY, index)
        weights = log_importance_weights(
            known.autoencoder, known.params, key, jnp.asarray(x), jnp.asarray(x), samples=8
        )
        expected = jax.nn.logsumexp(weights) - np.log(8)
        assert estimates.log_likelihood[index] == pytest.approx(float(expected), rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("devices", "knobs"), [(1, {"chunk_size": 7, "block_size": 4}), (8, {}), (3, {"block_size": 5})]
)
def test_neither_chunks_nor_blocks_nor_devices_change_it(devices, knobs, linear_gaussian):
    known = linear_gaussian(0.5, examples=11)
    changed = sampled(known, 25, devices=jax.devices()[:devices], **knobs)
    for one, other in zip(changed, sampled(known, 25), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_an_encoder_that_is_too_narrow_is_noticed(linear_gaussian):
    assert (sampled(linear_gaussian(0.0, -3.0), 1000).pareto_k > 0.7).mean() > 0.5
    assert (sampled(linear_gaussian(0.0, 0.3), 1000).pareto_k < 0.5).all()


@pytest.mark.slow
def test_two_far_modes_by_quadrature(two_modes):
    """The encoder is N(0, 1), so the samples are the prior's; 20,000 of them reach both modes."""
    estimates = sampled(two_modes, 20_000, chunk_size=10_000)
    assert estimates.error[0] < 0.03
    assert estimates.log_likelihood[0] == pytest.approx(two_modes.log_p[0], abs=4 * estimates.error[0])


@pytest.mark.slow
def test_layers_of_a_code_depend_on_each_other():
    """h₂ ~ N(0, 1), h₁ | h₂ ~ N(h₂, 1), x | h₁ ~ N(h₁, 1), so that x ~ N(0, 3); h₁ | x ~ N(2x/3, 2/3).

    With q(h₂ | h₁) = N(h₁/2, 1/2) the encoder's posterior is exact; q(h₂ | mean of h₁) would not be.
    """

    def gaussian_of(factor, variance):
        moments = lambda params, x: jnp.concatenate([factor * x, jnp.full(1, np.log(variance), x.dtype)])  # noqa: E731
        return Network(lambda key, x: {}, moments)

    decoders = Network(lambda key, z: {}, lambda params, z: z), gaussian_of(1.0, 1.0)
    encoders = gaussian_of(2 / 3, 2 / 3), gaussian_of(0.5, 0.5)
    model = hierarchical(encoders, decoders, code_sizes=(1, 1), likelihood=gaussian())
    x = np.array([[1.0], [-3.0]], np.float32)
    params = model.init(KEY, jnp.asarray(x[0]))
    expected = -(x[:, 0] ** 2) / 6 - 0.5 * np.log(2 * np.pi * 3)
    estimates = importance_sampled_log_likelihood(model, params, KEY, x, samples=20)
    np.testing.assert_allclose(estimates.log_likelihood, expected, rtol=1e-5)
    sizes = StepSizes(np.array([0.0, 1.0]), np.array([0.3, 0.3]))
    annealed = annealed_log_likelihood(model, params, KEY, x, distributions=100, step_sizes=sizes, chains=100)
    assert (abs(annealed.log_likelihood - expected) < 4 * annealed.error).all()
    assert (annealed.error < 0.1).all()


@pytest.mark.slow
def test_condition_is_given_to_posterior_and_decoder():
    """Z ~ N(0, 1), x | z, c ~ N(z + c, 1): log p(x | c) = log N(x; c, 2)."""
    encoder = Network(
        lambda key, x, c: {}, lambda params, x, c: jnp.concatenate([(x - c) / 2, jnp.full(1, np.log(0.5), x.dtype)])
    )
    decoder = Network(lambda key, z, c: {}, lambda params, z, c: z + c)
    model = conditional(variational(encoder, decoder, likelihood=gaussian()))
    x, c = np.array([[1.0], [2.0]], np.float32), np.array([[0.0], [3.0]], np.float32)
    estimates = importance_sampled_log_likelihood(
        model, {"encoder": {}, "decoder": {}}, KEY, Examples(x, condition=c), samples=3
    )
    expected = -0.25 * (x - c)[:, 0] ** 2 - 0.5 * np.log(4 * np.pi)
    np.testing.assert_allclose(estimates.log_likelihood, expected, rtol=1e-5)


@pytest.mark.slow
def test_progress_and_subsets(linear_gaussian):
    known, calls = linear_gaussian(0.5), []
    whole = sampled(known, 10, chunk_size=5, block_size=3, on_progress=lambda *call: calls.append(call))
    assert calls == [(done, 4) for done in range(1, 5)]
    batch = as_batch(jnp.asarray(known.x[3:]))._replace(indices=jnp.arange(3, 6))
    some = importance_sampled_log_likelihood(known.autoencoder, known.params, KEY, batch, samples=10)
    np.testing.assert_allclose(some.log_likelihood, whole.log_likelihood[3:], rtol=1e-5)
    assert np.isnan(sampled(known, 1).half).all()


def test_refuses_bad_arguments(linear_gaussian, without_type_checks):
    known = linear_gaussian()
    with pytest.raises(ValueError, match="samples must be at least 1, got 0"):
        sampled(known, 0)
    identity = Network(lambda key, x: {}, lambda params, x: x)
    with pytest.raises(TypeError, match="expects a variational autoencoder, got undercomplete"):
        sampled(known._replace(autoencoder=undercomplete(identity, identity)), 3)
    with pytest.raises(ValueError, match=r"log p\(x\) of example 2 is nan.*the decoder's variance is 0"):
        sampled(known._replace(x=np.where(np.arange(6)[:, None] == 2, np.nan, known.x)), 3)
