"""Annealed importance sampling: the truth lies between the forward and the reverse bound, whose gap falls like 1/T."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from aejax.autoencoders import as_batch
from aejax.autoencoders.densities import densities_of
from aejax.evaluation.likelihood import (
    StepSizes,
    annealed_log_likelihood,
    importance_sampled_log_likelihood,
    mean_with_errors,
    temperatures,
    tuned_step_sizes,
)
from aejax.evaluation.likelihood.path import step_sizes_at

KEY = jax.random.key(0)
SIZES = StepSizes(np.array([0.0, 1.0]), np.array([0.5, 0.2]))


def annealed(known, distributions, key=KEY, step_sizes=SIZES, **knobs):
    return annealed_log_likelihood(
        known.autoencoder, known.params, key, known.x, distributions=distributions, step_sizes=step_sizes, **knobs
    )


def simulated(known, number):
    """Examples that the model has made, and the codes that they were decoded from."""
    model, shape = known.autoencoder.variational, (2,)

    def make(key):
        code_key, noise_key = jax.random.split(key)
        code = model.prior(known.params).sample(code_key, shape)
        return code, model.likelihood.sample(noise_key, model.decode_parameters(known.params, code))

    return jax.vmap(make)(jax.random.split(jax.random.key(7), number))


def test_schedules():
    for schedule in ("linear", "sigmoid"):
        betas = temperatures(100, schedule)
        assert betas[0] == 0
        assert betas[-1] == 1
        assert (np.diff(betas) > 0).all()
    sigmoid = 1 / (1 + np.exp(-4 * np.linspace(-1, 1, 11)))
    expected = (sigmoid - sigmoid[0]) / (sigmoid[-1] - sigmoid[0])
    np.testing.assert_allclose(temperatures(10, "sigmoid"), expected, rtol=1e-12)
    with pytest.raises(ValueError, match="schedule must be linear or sigmoid, got 'cosine'"):
        temperatures(3, "cosine")
    np.testing.assert_allclose(step_sizes_at(np.array([0.0, 0.5, 1.0]), *SIZES), [0.5, np.sqrt(0.1), 0.2])


@pytest.mark.slow
def test_one_distribution_is_importance_sampling_from_the_prior(linear_gaussian):
    """Estimates of one kind have one distribution; here both are close to the truth, with 4,000 samples."""
    known = linear_gaussian(spread=0.3)
    estimates = annealed(known, 1, chains=4000)
    assert (abs(estimates.log_likelihood - known.log_p) < 4 * estimates.error).all()
    code = jax.vmap(jax.random.normal, in_axes=(0, None))(jax.random.split(KEY, 4000), (2,))
    densities = densities_of(known.autoencoder, known.params, jnp.asarray(known.x[0]), jnp.asarray(known.x[0]))
    weights = np.exp(np.asarray(jax.vmap(densities.log_likelihood)(code), np.float64))
    error = weights.std() / np.sqrt(4000) / weights.mean()
    assert estimates.error[0] == pytest.approx(error, rel=0.1)
    assert np.isnan(estimates.acceptance).all()


@pytest.mark.slow
def test_one_distribution_from_the_encoder_is_importance_sampling_from_it(linear_gaussian):
    known = linear_gaussian(0.5, 0.3)
    sampled = importance_sampled_log_likelihood(known.autoencoder, known.params, KEY, known.x, samples=2000)
    estimates = annealed(known, 1, chains=2000, start="encoder")
    error = np.hypot(sampled.error, estimates.error)
    assert (abs(estimates.log_likelihood - sampled.log_likelihood) < 4 * error).all()
    np.testing.assert_allclose(estimates.error, sampled.error, rtol=0.3)


@pytest.mark.slow
@pytest.mark.parametrize("backwards", [False, True])
def test_from_the_exact_posterior_there_is_no_variance(backwards, linear_gaussian):
    known = linear_gaussian()
    codes = None
    if backwards:
        moments = jax.vmap(lambda x: known.autoencoder.variational.posterior(known.params, x))(jnp.asarray(known.x))
        codes = moments[0] + jnp.exp(0.5 * moments[1])  # any code serves
    estimates = annealed(known, 7, chains=4, start="encoder", codes=codes)
    np.testing.assert_allclose(estimates.log_likelihood, known.log_p, rtol=2e-5)
    np.testing.assert_allclose(estimates.error, np.full(6, np.nan) if backwards else 0, atol=2e-5)
    np.testing.assert_allclose(estimates.effective_chains, 4, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("start", ["prior", "encoder"])
def test_the_truth_is_between_the_bounds_and_the_gap_falls(start, linear_gaussian):
    """600 simulated examples, one chain each: forward below, backward above, in units of the standard error (sigma).

    Ten times as many distributions close the gap by about ten.
    """
    known = linear_gaussian(0.4, 0.5)
    codes, x = simulated(known, 600)
    loadings = np.stack([np.asarray(known.autoencoder.decode(known.params, row)) for row in jnp.eye(2)], axis=1)
    log_p = stats.multivariate_normal.logpdf(np.asarray(x), np.zeros(4), loadings @ loadings.T + 0.3 * np.eye(4))
    gaps = []
    for distributions in (20, 200):
        lower, upper = (
            annealed(known._replace(x=x), distributions, chains=1, start=start, codes=c, block_size=600)
            for c in (None, codes)
        )
        below, above = lower.log_likelihood - log_p, upper.log_likelihood - log_p
        errors = [values.std() / np.sqrt(600) for values in (below, above)]
        assert below.mean() < 4 * errors[0] if distributions == 200 else below.mean() < -4 * errors[0]
        assert above.mean() > -4 * errors[1] if distributions == 200 else above.mean() > 4 * errors[1]
        gaps.append(above.mean() - below.mean())
    assert 5 < gaps[0] / gaps[1] < 20


@pytest.mark.slow
@pytest.mark.parametrize("backwards", [False, True])
def test_weights_are_unbiased_with_few_distributions(backwards, linear_gaussian):
    """E[w] = p(x) forwards, and E[1/w] = 1/p(x) backwards, for any number of distributions and any step sizes.

    100,000 chains of three distributions for one example; backwards, each begins in another exact sample of p(z | x).
    """
    known, number = linear_gaussian(0.4, -0.3, examples=1), 100_000
    x = np.repeat(known.x, number, axis=0)
    mean, log_variance = known.autoencoder.variational.posterior(known.params, jnp.asarray(known.x[0]))
    noise = np.random.default_rng(0).standard_normal((number, 2))
    codes = np.asarray(mean) - 0.4 + np.exp(0.5 * (np.asarray(log_variance) + 0.3)) * noise  # the exact posterior's
    estimates = annealed(
        known._replace(x=x),
        3,
        chains=1,
        start="encoder",
        codes=jnp.asarray(codes, jnp.float32) if backwards else None,
        block_size=number,
    )
    ratios = np.exp((known.log_p[0] - estimates.log_likelihood) * (1 if backwards else -1))
    error = ratios.std() / np.sqrt(number)
    assert error < 0.01
    assert abs(ratios.mean() - 1) < 4 * error


@pytest.mark.slow
def test_reverse_chains_of_one_code_are_not_independent(linear_gaussian):
    """The spread of their mean over exact codes is several times that over its 16 chains: no error is reported."""
    known, number, chains = linear_gaussian(0.4, -0.3, examples=1), 400, 16
    mean, log_variance = known.autoencoder.variational.posterior(known.params, jnp.asarray(known.x[0]))
    noise = np.random.default_rng(0).standard_normal((number, 2))
    codes = np.asarray(mean) - 0.4 + np.exp(0.5 * (np.asarray(log_variance) + 0.3)) * noise  # the exact posterior's
    known = known._replace(x=np.repeat(known.x, number, axis=0))
    estimates = annealed(known, 5, chains=chains, start="prior", codes=jnp.asarray(codes, jnp.float32))
    within = np.sqrt((1 / estimates.effective_chains - 1 / chains) * chains / (chains - 1))  # of log (1/C) Σ 1/w
    assert estimates.log_likelihood.std() > 2 * np.median(within)
    assert np.isnan(estimates.error).all()


@pytest.mark.slow
def test_two_far_modes_by_quadrature(two_modes):
    """The chains find both modes from the prior; a bound from one mode alone would be log 2 too low."""
    known = two_modes
    sizes = tuned_step_sizes(known.autoencoder, known.params, jax.random.key(3), np.repeat(known.x, 32, axis=0))
    estimates = annealed(known, 200, chains=400, step_sizes=sizes)
    assert estimates.error[0] < 0.05
    assert estimates.log_likelihood[0] == pytest.approx(known.log_p[0], abs=4 * estimates.error[0] + 1e-3)
    assert 0.5 < estimates.acceptance[0] < 0.85


@pytest.mark.slow
def test_calls_and_blocks_and_devices_change_nothing(linear_gaussian, monkeypatch):
    known = linear_gaussian(0.3, examples=9)
    whole = annealed(known, 23, chains=3)
    monkeypatch.setattr("aejax.evaluation.likelihood.annealed._DISTRIBUTIONS_PER_CALL", 10)
    calls = []
    knobs = {"devices": jax.devices(), "block_size": 8, "on_progress": lambda *call: calls.append(call)}
    for one, other in zip(annealed(known, 23, chains=3, **knobs), whole, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)
    assert calls == [(done, 6) for done in range(1, 7)]  # two blocks of 8, three calls of 8, the last one padded
    batch = as_batch(jnp.asarray(known.x[4:]))._replace(indices=jnp.arange(4, 9))
    some = annealed(known._replace(x=batch), 23, chains=3)
    np.testing.assert_allclose(some.log_likelihood, whole.log_likelihood[4:], rtol=1e-4)


@pytest.mark.slow
def test_pilot_reaches_its_acceptance(linear_gaussian):
    known = linear_gaussian(examples=32)
    sizes = tuned_step_sizes(known.autoencoder, known.params, jax.random.key(5), known.x)
    assert sizes.sizes[0] > sizes.sizes[-1]  # the posterior is narrower than the prior
    estimates = annealed(known, 100, chains=4, step_sizes=sizes)
    assert estimates.acceptance.mean() == pytest.approx(0.65, abs=0.08)
    errors = mean_with_errors(estimates.log_likelihood - known.log_p, estimates.error)
    assert abs(errors.mean) < 4 * errors.samples_error + 0.05


def test_refuses_bad_arguments(linear_gaussian):
    known = linear_gaussian()
    for name in ("chains", "leapfrog_steps", "block_size"):
        with pytest.raises(ValueError, match=f"{name} must be at least 1, got 0"):
            annealed(known, 3, **{name: 0})
    with pytest.raises(ValueError, match="distributions must be at least 1, got 0"):
        annealed(known, 0)
    with pytest.raises(ValueError, match="codes must be one for each of the 6 examples, got 2"):
        annealed(known, 3, codes=np.zeros((2, 2)))
    with pytest.raises(ValueError, match="knots must be at least 2, got 1"):
        tuned_step_sizes(known.autoencoder, known.params, KEY, known.x, knots=1)
