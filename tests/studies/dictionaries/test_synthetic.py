"""Dictionaries on mixtures of known features: they find them, and the study's command prints what they reach."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aejax.cli import study_dictionary_synthetic
from aejax.datasets.synthetic_features import setting
from aejax.datasets.synthetic_features.generator import make_feature_model
from aejax.datasets.synthetic_features.setting import FeatureSetting, Geometric, UniformMagnitudes
from aejax.studies.dictionaries import synthetic
from aejax.studies.dictionaries.synthetic import FAMILIES, PUBLISHED, Training, build_family, measure, run_trial
from aejax.training.state import TrainState

TINY = FeatureSetting(24, 16, Geometric(0.95, active=2), UniformMagnitudes(0.5, 1), orthogonal_steps=0)


@pytest.fixture(autouse=True)
def promotion():
    """Optax's arithmetic mixes dtypes."""
    with jax.numpy_dtype_promotion("standard"):
        yield


@pytest.mark.slow
def test_a_dictionary_finds_the_features() -> None:
    model = make_feature_model(jax.random.key(0), TINY)
    trial = run_trial("top_k", 3, model, TINY, Training(24, 2000, 128, 3e-3, 4096), seed=0)
    assert trial.mmcs > 0.95
    assert trial.uniqueness > 0.9
    assert abs(trial.relative_bias - 1) < 0.01  # TopK does not shrink


@pytest.mark.slow
def test_an_l1_dictionary_finds_more_features_than_dimensions() -> None:
    """Correlated features, twice as many as dimensions; the rarest is active in 0.7 % of the examples."""
    many = FeatureSetting(
        64, 32, Geometric(0.96, active=2), UniformMagnitudes(), correlation_rank=8, orthogonal_steps=0
    )
    model = make_feature_model(jax.random.key(0), many)
    trial = run_trial("l1_dictionary", 0.1, model, many, Training(128, 2000, 256, 5e-3, 2048), seed=0)
    assert trial.mmcs > 0.95
    assert trial.mcc > 0.95


@pytest.mark.slow
def test_the_true_dictionary_is_measured_as_perfect() -> None:
    """An orthonormal dictionary of all features, whose codes are the coefficients, has all measures 1."""
    whole = TINY._replace(features=8, dimensions=8)
    model = make_feature_model(jax.random.key(0), whole)
    rows = jnp.asarray(np.linalg.qr(np.asarray(model.features))[0])
    model = model._replace(features=rows)
    autoencoder = build_family("l1_dictionary", 0.1, 8, Training(8, 1))
    params = autoencoder.init(jax.random.key(0), jnp.ones(8))
    params["encoder"] = {"kernel": rows.T, "bias": jnp.full(8, -1e-4)}  # above rounding errors
    params["decoder"] = {"kernel": rows, "bias": jnp.zeros(8)}
    state = TrainState(params, None, jnp.array(0), jax.random.key(0))
    found = measure(autoencoder, state, model, whole, examples=2048)
    for name in ("f1", "precision", "recall", "mcc", "mmcs", "uniqueness", "explained_variance"):
        assert found[name] == pytest.approx(1, abs=1e-3), name
    assert found["dead"] == 0
    assert found["l0"] == pytest.approx(2, abs=0.2)


def test_every_published_family_is_one_of_the_study() -> None:
    assert set(PUBLISHED) <= set(FAMILIES)
    with pytest.raises(ValueError, match="family must be one of l1_dictionary, top_k"):
        build_family("pca", 1, 4, Training(8, 1))


@pytest.mark.slow
def test_the_command_writes_and_prints_its_trials(tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.setitem(setting.SETTINGS, "small", TINY)
    monkeypatch.setattr(synthetic, "_EVALUATED", 64)
    folder = tmp_path / "study"
    options = ["--families", "top_k", "--steps", "2", "--units", "8", "--batch-size", "16", "--examples", "64"]
    study_dictionary_synthetic.main([*options, "--seeds", "2", "--active-entries", "2", "--run-dir", str(folder)])
    printed = capsys.readouterr().out
    trials = json.loads((folder / "trials.json").read_text())
    assert [(trial["family"], trial["seed"]) for trial in trials] == [("top_k", 0), ("top_k", 1)]
    assert "top_k" in printed
    assert "mean ± deviation over 2 seeds" in printed
    assert printed.count("±") > 5
