"""The standard normal prior: its samples, and its divergence from a posterior."""

import jax
import jax.numpy as jnp
import numpy as np
from scipy import integrate, stats

from aejax.priors import standard_normal

N = 20_000


def test_samples_are_standard_normal_and_independent():
    z = np.asarray(standard_normal().sample(jax.random.key(0), (N, 2)), np.float64)
    assert np.all(np.abs(z.mean(axis=0)) < 5 / np.sqrt(N))
    assert np.all(np.abs(z.var(axis=0) - 1) < 5 * np.sqrt(2 / N))
    assert abs(np.corrcoef(z.T)[0, 1]) < 5 / np.sqrt(N)
    assert stats.kstest(z[:, 0], "norm").pvalue > 1e-6


def test_samples_follow_key_and_shape():
    sample = standard_normal().sample
    assert sample(jax.random.key(0), (3, 2)).shape == (3, 2)
    np.testing.assert_array_equal(sample(jax.random.key(0), (4,)), sample(jax.random.key(0), (4,)))
    assert np.all(sample(jax.random.key(0), (4,)) != sample(jax.random.key(1), (4,)))


def test_divergence_equals_quadrature(float64):
    mean, log_variance = np.array([0.5, -2.0]), np.array([-1.0, 0.7])
    expected = 0.0
    for posterior in map(stats.norm, mean, np.exp(0.5 * log_variance)):
        integrand = lambda z, q=posterior: q.pdf(z) * (q.logpdf(z) - stats.norm.logpdf(z))  # noqa: E731
        expected += integrate.quad(integrand, -20, 20, points=[posterior.mean()])[0]
    kl = standard_normal().kl(jnp.array(mean), jnp.array(log_variance))
    np.testing.assert_allclose(kl, expected, rtol=1e-9)
    assert standard_normal().kl(jnp.zeros(4), jnp.zeros(4)) == 0
