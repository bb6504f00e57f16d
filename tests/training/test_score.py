"""A denoising autoencoder's reconstruction points along the score of the smoothed density."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from aejax.autoencoders import denoising, undercomplete
from aejax.corruption import gaussian_noise
from aejax.networks import MLP
from aejax.training import start, train

SIGMA = 0.7
MEAN = np.array([0.5, -1.0, 0.3])
COVARIANCE = np.array([[1.0, 0.5, 0.2], [0.5, 0.8, -0.1], [0.2, -0.1, 0.4]])


def gaussian_examples(examples: int) -> np.ndarray:
    """Examples whose own mean and covariance are those of the density, so that no error of sampling is left."""
    draws = np.random.default_rng(0).standard_normal((examples, 3))
    draws -= draws.mean(axis=0)
    draws = np.linalg.solve(np.linalg.cholesky(draws.T @ draws / examples), draws.T).T
    return MEAN + draws @ np.linalg.cholesky(COVARIANCE).T


@pytest.mark.slow
def test_denoising_learns_the_score_of_a_gaussian() -> None:
    """(r(x) - x) / σ² = -(Σ + σ² I)⁻¹ (x - μ) within 5 %, at a σ that is not small.

    G. Alain, Y. Bengio (2014), What Regularized Auto-Encoders Learn from the Data-Generating Distribution.
    """
    x, epochs, batch_size = gaussian_examples(4096).astype(np.float32), 60, 256
    autoencoder = denoising(
        undercomplete(MLP(output_shape=(3,)), MLP(output_shape=(3,))),
        corrupt=lambda key, x: gaussian_noise(key, x, standard_deviation=SIGMA),
    )
    optimizer = optax.adam(optax.cosine_decay_schedule(2e-2, epochs * (len(x) // batch_size)))
    snapshot = start(autoencoder, optimizer, jax.random.key(0), jnp.asarray(x[0]))
    knobs = {"batch_size": batch_size, "epochs": epochs, "evaluate_every": epochs}
    *_, last = train(autoencoder, optimizer, snapshot, x, x[:256], devices=jax.local_devices()[:1], **knobs)

    params = jax.tree.map(jnp.asarray, last.snapshot.best_params)
    observed = np.random.default_rng(1).multivariate_normal(MEAN, COVARIANCE + SIGMA**2 * np.eye(3), 2000)

    @jax.vmap
    def reconstruct(x):
        return autoencoder.decode(params, autoencoder.encode(params, x))

    learned = (np.asarray(reconstruct(jnp.array(observed, jnp.float32))) - observed) / SIGMA**2
    score = -np.linalg.solve(COVARIANCE + SIGMA**2 * np.eye(3), (observed - MEAN).T).T
    assert np.linalg.norm(learned - score) / np.linalg.norm(score) < 0.05
