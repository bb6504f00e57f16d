"""Training with products in bfloat16 ends where float32 does."""

from dataclasses import replace

import jax
import pytest

from aejax.experiment.configuration import Experiment, Model, Training
from aejax.experiment.job import fit, make_job


@pytest.mark.slow
@pytest.mark.parametrize("family", ["variational", "undercomplete"])
def test_the_loss_on_digits_is_that_of_float32_within_a_percent(family: str) -> None:
    model = Model(family=family, hidden=(64,), code_size=8)
    single = Experiment(model=model, training=Training(epochs=60, patience=None))
    losses = []
    for experiment in (single, replace(single, model=replace(model, compute_dtype="bfloat16"))):
        snapshot = fit(make_job(experiment), devices=jax.local_devices()[:1])
        losses.append(snapshot.stopping.best_loss)
    assert losses[1] == pytest.approx(losses[0], rel=0.01)
    assert losses[1] != losses[0]
