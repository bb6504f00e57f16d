"""A linear variational autoencoder with a Gaussian likelihood is probabilistic PCA, whose optimum is known."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy import stats

from aejax.autoencoders import variational
from aejax.likelihoods import gaussian
from aejax.networks import MLP
from aejax.training import start, train

N, D, K = 1000, 8, 2


@pytest.mark.slow
def test_linear_vae_reaches_the_maximum_likelihood_of_probabilistic_pca() -> None:
    """M. E. Tipping, C. M. Bishop (1999), eqs. 4 to 8; the bound is tight by J. Lucas et al. (2019), section 4.

    Both the bound and the likelihood of the decoder learned are within 1 % of the maximum.
    """
    rng = np.random.default_rng(0)
    loadings = np.linalg.qr(rng.standard_normal((D, K)))[0] * [4.0, 2.0]
    x = rng.standard_normal((N, K)) @ loadings.T + 0.5 * rng.standard_normal((N, D)) + rng.standard_normal(D)
    x = x.astype(np.float32)
    eigenvalues = np.linalg.eigvalsh(np.cov(x.T.astype(float), bias=True))[::-1]
    variance = eigenvalues[K:].mean()
    log_determinant = np.log(eigenvalues[:K]).sum() + (D - K) * np.log(variance)
    maximum = -0.5 * (D * np.log(2 * np.pi) + log_determinant + D)

    batch_size, epochs = 100, 400
    vae = variational(MLP(output_shape=(2 * K,)), MLP(output_shape=(D,)), likelihood=gaussian(variance=variance))
    optimizer = optax.adam(optax.cosine_decay_schedule(3e-2, epochs * N // batch_size))
    snapshot = start(vae, optimizer, jax.random.key(0), jnp.asarray(x[0]))
    options = {"batch_size": batch_size, "epochs": epochs, "evaluate_every": 50, "devices": jax.local_devices()[:1]}
    for report in train(vae, optimizer, snapshot, x, x, **options):
        if report.finished:
            params, evaluation = jax.device_get(report.snapshot.state.params), report.evaluation
    assert evaluation is not None
    dense = params["decoder"]["params"]["Dense_0"]
    covariance = dense["kernel"].T @ dense["kernel"] + variance * np.eye(D)
    log_likelihood = stats.multivariate_normal.logpdf(x, dense["bias"], covariance).mean()
    assert log_likelihood == pytest.approx(maximum, rel=0.01)
    assert log_likelihood < maximum + 1e-3
    assert evaluation["validation/elbo"] == pytest.approx(maximum, rel=0.01)
