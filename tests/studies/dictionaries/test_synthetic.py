"""Dictionaries on mixtures of known features: they find them, and the study's command prints what they reach."""

import json

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aejax.autoencoders import l1_dictionary
from aejax.cli import study_dictionary_synthetic
from aejax.datasets.synthetic_features import setting
from aejax.datasets.synthetic_features.drawn import known_features
from aejax.datasets.synthetic_features.generator import make_feature_model
from aejax.datasets.synthetic_features.setting import SETTINGS, FeatureSetting, Geometric, UniformMagnitudes
from aejax.errors import UserError
from aejax.studies.dictionaries import synthetic
from aejax.studies.dictionaries.synthetic import (
    FAMILIES,
    PUBLISHED,
    Level,
    Training,
    measure,
    run_trial,
    train_on_mixtures,
)

TINY = FeatureSetting(24, 16, Geometric(0.95, active=2), UniformMagnitudes(0.5, 1), orthogonal_steps=0)


@pytest.fixture(autouse=True)
def promotion():
    """Optax's arithmetic mixes dtypes."""
    with jax.numpy_dtype_promotion("standard"):
        yield


@pytest.mark.slow
def test_a_dictionary_finds_the_features() -> None:
    model = make_feature_model(jax.random.key(0), TINY)
    trial = run_trial("top_k", Level(3), model, TINY, Training(24, 2000, 128, 3e-3, 4096), seed=0)
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
    trial = run_trial("l1_dictionary", Level(weight=0.1), model, many, Training(128, 2000, 256, 5e-3, 2048), seed=0)
    assert trial.mmcs > 0.95
    assert trial.mcc > 0.95


@pytest.mark.slow
def test_families_are_ordered_as_published() -> None:
    """At the same number of active units, on fewer examples of a smaller generator with trees, seed 0."""
    name = "synth_sae_bench_2k"
    model = known_features(name)
    found = {
        family: run_trial(family, Level(8.0), model, SETTINGS[name], Training(512, 1500, 512, 1e-3, 8192), seed=0)
        for family in ("matryoshka", "batch_top_k", "l1_dictionary")
    }
    nested, selecting, penalized = found.values()
    assert all(abs(trial.l0 - 8) < 0.8 for trial in found.values())
    assert nested.f1 > selecting.f1 + 0.05
    assert nested.mcc > selecting.mcc
    for measure_ in ("f1", "mcc", "explained_variance"):
        assert getattr(selecting, measure_) > getattr(penalized, measure_) + 0.01


@pytest.mark.slow
def test_the_true_dictionary_is_measured_as_perfect() -> None:
    """An orthonormal dictionary of all features, whose codes are the coefficients, has all measures 1."""
    whole = TINY._replace(features=8, dimensions=8)
    model = make_feature_model(jax.random.key(0), whole)
    rows = jnp.asarray(np.linalg.qr(np.asarray(model.features))[0])
    model = model._replace(features=rows)
    autoencoder = l1_dictionary(8, 8, weight=0.1)
    params = autoencoder.init(jax.random.key(0), jnp.ones(8))
    params["encoder"] = {"kernel": rows.T, "bias": jnp.full(8, -1e-4)}  # above rounding errors
    params["decoder"] = {"kernel": rows, "bias": jnp.zeros(8)}
    found = measure(autoencoder, params, model, whole, examples=2048)
    for name in ("f1", "precision", "recall", "mcc", "mmcs", "uniqueness", "explained_variance"):
        assert found[name] == pytest.approx(1, abs=1e-3), name
    assert found["dead"] == 0
    assert found["l0"] == pytest.approx(2, abs=0.2)


@pytest.mark.slow
@pytest.mark.parametrize("family", [name for name, family in FAMILIES.items() if family.first_weight is not None])
def test_a_weight_is_adapted_to_the_active_units(family) -> None:
    model = make_feature_model(jax.random.key(0), TINY)
    found = run_trial(family, Level(2.0), model, TINY, Training(24, 2000, 128, 3e-3, 4096), seed=0)
    assert found.active == 2
    assert found.weight is not None
    assert abs(found.l0 - 2) < 0.2
    # the same, with the weight that was reached given from the start
    again = run_trial(family, Level(weight=found.weight), model, TINY, Training(24, 2000, 128, 3e-3, 4096), seed=0)
    assert (again.active, again.weight) == (None, found.weight)
    assert abs(again.l0 - found.l0) < 0.4


def test_training_reports_its_steps_and_is_the_same_in_any_parts(monkeypatch) -> None:
    model, training = make_feature_model(jax.random.key(0), TINY), Training(8, 7, 16)
    done: list[int] = []
    found = train_on_mixtures(
        "top_k", Level(2), model, TINY, training, seed=0, on_steps=lambda number, _: done.append(number)
    )
    assert done == [1, 2, 3, 4, 5, 6, 7]
    monkeypatch.setattr(synthetic, "_CALLS", 2)
    at_once = train_on_mixtures(
        "top_k", Level(2), model, TINY, training, seed=0, on_steps=lambda number, _: done.append(number)
    )
    assert done[7:] == [3, 6, 7]
    chex.assert_trees_all_close(found.params, at_once.params, rtol=1e-5)


def test_every_published_family_is_one_of_the_study() -> None:
    assert set(PUBLISHED) <= set(FAMILIES)


@pytest.mark.parametrize(
    ("family", "level", "message"),
    [
        ("pca", Level(1), "family must be one of l1_dictionary, top_k"),
        ("top_k", Level(weight=0.1), "top_k has no penalty: expected a number of active units"),
        ("gated", Level(), "expected a level with either active units or a weight"),
        ("gated", Level(2, 0.1), "expected a level with either active units or a weight"),
        ("gated", Level(0), "active must be above 0, got 0"),
    ],
)
def test_what_a_family_cannot_be_trained_at(family, level, message) -> None:
    model = make_feature_model(jax.random.key(0), TINY)
    with pytest.raises(ValueError, match=message):
        train_on_mixtures(family, level, model, TINY, Training(8, 1), seed=0)


@pytest.mark.slow
def test_the_command_writes_and_prints_its_trials(tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.setitem(setting.SETTINGS, "small", TINY)
    monkeypatch.setattr(synthetic, "_EVALUATED", 64)
    folder = tmp_path / "study"
    options = ["--steps", "2", "--units", "8", "--batch-size", "16", "--examples", "64", "--run-dir", str(folder)]
    of_one = ["--families", "top_k", "--active-entries", "2"]
    study_dictionary_synthetic.main([*options, *of_one, "--seeds", "2"])
    printed = capsys.readouterr().out
    trials = json.loads((folder / "trials.json").read_text())
    assert [(trial["family"], trial["seed"]) for trial in trials] == [("top_k", 0), ("top_k", 1)]
    assert "2 active" in printed
    assert "mean ± deviation over 2 seeds" in printed
    assert printed.count("±") > 5
    # another family joins what the folder holds, which is not trained again
    study_dictionary_synthetic.main([*options, *of_one[2:], "--families", "top_k", "gated", "--gated-weights", "0.5"])
    printed = capsys.readouterr().out
    assert "[2/2] gated, weight 0.5, seed 0" in printed
    assert "[1/2]" not in printed
    assert json.loads((folder / "trials.json").read_text())[:2] == trials
    with pytest.raises(UserError, match="holds a study of dictionaries with steps 2; choose another --run-dir"):
        study_dictionary_synthetic.main([*options, *of_one, "--steps", "3"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--active-entries", "0"], "--active-entries: must be between 1 and the 1,024 units, got 0"),
        (["--units", "8", "--active-entries", "9"], "--active-entries: must be between 1 and the 8 units, got 9"),
        (["--active-entries", "nan"], "--active-entries: must be between 1 and the 1,024 units, got nan"),
        (["--gated-weights", "-1"], "weights of penalties must be at least 0 and finite, got -1"),
        (["--learning-rate", "0"], "--learning-rate: must be above 0 and finite, got 0"),
        (["--steps", "0"], "--steps: must be at least 1, got 0"),
    ],
)
def test_mistakes_are_one_line_and_write_nothing(tmp_path, words, message) -> None:
    with pytest.raises(UserError, match=f"^{message}$"):
        study_dictionary_synthetic.main([*words, "--run-dir", str(tmp_path / "study")])
    assert not (tmp_path / "study").exists()
