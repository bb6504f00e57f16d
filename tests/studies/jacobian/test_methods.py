"""The methods of the study: their experiments, and their losses against NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import expit

from aejax.autoencoders import tied
from aejax.experiment.configuration import check
from aejax.experiment.job import make_job
from aejax.studies.jacobian.methods import METHODS, settings_of
from aejax.studies.jacobian.settings import METHOD_NAMES, PRESETS, Study
from aejax.studies.jacobian.study import load, prepare

TINY = Study(units=7, weight_decays=(0.3,), contractive_weights=(0.3,), train_examples=100)


@pytest.mark.parametrize("study", [study for _, study in PRESETS.values()], ids=PRESETS)
def test_every_setting_is_an_experiment(study: Study) -> None:
    settings = settings_of(study)
    assert {setting.knobs["method"] for setting in settings} == set(METHOD_NAMES) == set(METHODS)
    for setting in settings:
        check(setting.experiment)
        assert setting.experiment.training.evaluate_every == setting.experiment.training.epochs


def test_strengths_of_a_method_are_trained_together() -> None:
    """And those of 0 with the plain autoencoder, which they are."""
    study = Study(units=7, weight_decays=(0.0, 0.1, 0.3), contractive_weights=(0.0, 1.0), train_examples=100)
    ready = prepare(study, load(study))
    names = [tuple(ready.settings[place].knobs["method"] for place in group.settings) for group in ready.groups]
    assert names == [
        ("ae", "weight-decay", "cae", "cae-estimator"),
        ("weight-decay",) * 2,
        ("dae-gaussian",) * 4,
        ("dae-masking",) * 4,
        ("cae",),
        ("cae-estimator",),
    ]


@pytest.mark.slow
@pytest.mark.parametrize("method", ["weight-decay", "cae", "cae-estimator"])
def test_penalties_against_numpy(method: str) -> None:
    splits = load(TINY)
    (setting,) = (setting for setting in settings_of(TINY) if setting.knobs["method"] == method)
    x = jnp.asarray(splits.train.x[:30])
    plain = tied(x.shape[1:], (7,))
    params = plain.init(jax.random.key(3), x[0])
    loss, metrics = make_job(setting.experiment, splits).autoencoder.loss(params, jax.random.key(1), x)
    np.testing.assert_allclose(metrics["reconstruction"], plain.loss(params, jax.random.key(1), x)[0], rtol=1e-5)
    weights, bias = np.asarray(params["weights"][0], np.float64), np.asarray(params["encoder_biases"][0])
    codes = expit(np.asarray(x).reshape(len(x), -1) @ weights + bias)
    jacobians = np.einsum("nk,ik->nki", codes * (1 - codes), weights)
    penalty = np.sum(weights**2) if method == "weight-decay" else np.mean(np.sum(jacobians**2, axis=(1, 2)))
    name = "squared_weights" if method == "weight-decay" else "contractive_penalty"
    rtol = 0.3 if method == "cae-estimator" else 1e-5  # one projection for each of 30 examples
    np.testing.assert_allclose(metrics[name], penalty, rtol=rtol)
    np.testing.assert_allclose(loss, metrics["reconstruction"] + 0.3 * metrics[name], rtol=1e-5)
