"""The loop of a population: best parameters, early stopping and divergence of every member by itself."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from aejax.autoencoders import Autoencoder, Examples, tied
from aejax.autoencoders.record import weighted
from aejax.training import start, train
from aejax.training.population_loop import Progress, best_of, start_progress, train_population

RNG = np.random.default_rng(0)
TRAIN, VALIDATION = (Examples(RNG.uniform(size=(size, 6)).astype(np.float32)) for size in (40, 21))
KEYS = jax.vmap(jax.random.key)(np.array([3, 3, 5]))
VALUES = {"rate": jnp.array([0.003, 0.3, 1e30]), "decay": jnp.array([0.0, 0.1, 0.1])}
DEVICES = jax.local_devices()[:2]
OPTIONS = {"batch_size": 16, "epochs": 12, "evaluate_every": 2, "patience": 1}


def build(values) -> Autoencoder:
    """A plain autoencoder whose loss has the squared weights."""
    plain = tied((6,), (4,))

    def loss(params, key, batch):
        total, metrics = plain.loss(params, key, batch)
        penalty = sum(jnp.sum(jnp.square(leaf)) for leaf in jax.tree.leaves(params))
        total = total + weighted(values["decay"], penalty)
        return total, {**metrics, "penalty": penalty, "loss": total}

    return plain._replace(loss=loss)


def optimizer(values) -> optax.GradientTransformation:
    return optax.adam(values["rate"])


def trained() -> Progress:
    first = start_progress(build, optimizer, KEYS, VALUES, TRAIN.x[0], devices=DEVICES)
    *_, (last, _) = train_population(build, optimizer, first, TRAIN, VALIDATION, devices=DEVICES, **OPTIONS)
    return last


@pytest.mark.slow
def test_the_best_parameters_are_those_of_a_run_alone() -> None:
    with jax.numpy_dtype_promotion("standard"):
        progress = trained()
        assert [epoch > 0 for epoch in progress.diverged] == [False, False, True]
        assert progress.stopping[1].best_epoch < OPTIONS["epochs"]  # by early stopping, while the first member goes on
        best = best_of(progress)
        for member in (0, 1):
            values = {name: value[member].item() for name, value in VALUES.items()}
            autoencoder, own_optimizer = build(values), optimizer(values)
            snapshot = start(autoencoder, own_optimizer, KEYS[member], TRAIN.x[0])
            *_, last = train(autoencoder, own_optimizer, snapshot, TRAIN, VALIDATION, devices=DEVICES[:1], **OPTIONS)
            assert last.snapshot.stopping.best_epoch == progress.stopping[member].best_epoch
            np.testing.assert_allclose(last.snapshot.stopping.best_loss, progress.stopping[member].best_loss, rtol=1e-5)
            own = jax.tree.map(lambda leaf, member=member: leaf[member], best)
            chex.assert_trees_all_close(own, jax.device_get(last.snapshot.best_params), atol=1e-5, rtol=1e-5)
