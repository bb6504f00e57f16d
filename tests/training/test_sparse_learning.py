"""Codes longer than the example learn: few units speak, and the example is still reconstructed."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from aejax.autoencoders import Autoencoder, sparse, sparse_kl, undercomplete
from aejax.datasets.digits import load_digits
from aejax.networks import MLP
from aejax.training import start, train

X = load_digits().x
UNITS = 128  # for 64 pixels


def overcomplete(activation) -> Autoencoder:
    return undercomplete(MLP(output_shape=(UNITS,), output_activation=activation), MLP(output_shape=X.shape[1:]))


def learned(autoencoder: Autoencoder, epochs: int) -> dict[str, float]:
    optimizer = optax.adam(3e-3)
    snapshot = start(autoencoder, optimizer, jax.random.key(0), jnp.asarray(X[0]))
    options = {"batch_size": 128, "epochs": epochs, "evaluate_every": epochs, "devices": jax.local_devices()[:1]}
    reports = train(autoencoder, optimizer, snapshot, X, X, **options)
    evaluation = [report.evaluation for report in reports][-1]
    assert evaluation is not None
    return evaluation


@pytest.mark.slow
def test_few_units_of_a_sparse_overcomplete_code_are_active() -> None:
    """Both reconstruct 95 % of the variance; the sparse code with less than half as many active units."""
    free, penalized = (learned(sparse(overcomplete(jax.nn.relu), weight=weight), 100) for weight in (0.0, 0.1))
    variance = np.var(X, axis=0).sum()
    for evaluation in (free, penalized):
        assert evaluation["validation/reconstruction"] < 0.05 * variance
    assert free["validation/active_fraction"] > 0.4
    assert penalized["validation/active_fraction"] < 0.5 * free["validation/active_fraction"]


@pytest.mark.slow
def test_sparsity_by_divergence_brings_the_mean_activation_to_rho() -> None:
    """Within 0.01 of 0.05 after training, from about a half, with two thirds of the variance reconstructed."""
    autoencoder = sparse_kl(overcomplete(jax.nn.sigmoid), weight=1.0, rho=0.05)
    evaluation = learned(autoencoder, 60)
    assert abs(evaluation["validation/mean_activation"] - 0.05) < 0.01
    assert evaluation["validation/reconstruction"] < 0.35 * np.var(X, axis=0).sum()
