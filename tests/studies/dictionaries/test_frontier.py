"""Dictionaries on activations: measures against NumPy, PCA against eigenvalues, the verb as a user runs it."""

import json
from collections.abc import Iterator
from dataclasses import replace

import jax
import numpy as np
import pytest

from aejax.cli.study_dictionary_activations import main
from aejax.datasets.dataset import Dataset, Splits
from aejax.experiment.configuration import Experiment, check
from aejax.experiment.dictionary_presets import own_dictionary
from aejax.experiment.job import fit, make_job
from aejax.experiment.knobs import with_knobs
from aejax.studies.dictionaries.frontier import measure_point, unexplained_by_components, with_strength

RNG = np.random.default_rng(0)
X = (RNG.normal(size=(300, 8)) @ RNG.normal(size=(8, 8)) + 3).astype(np.float32)
SPLITS = Splits(Dataset(X[:200]), Dataset(X[200:250]), Dataset(X[250:]))


@pytest.fixture(autouse=True)
def dtype_promotion() -> Iterator[None]:
    """In place of the strict one: Optax mixes integer counts with floats."""
    with jax.numpy_dtype_promotion("standard"):
        yield


@pytest.mark.parametrize("family", ["top_k", "batch_top_k", "matryoshka", "jump_relu", "l1_dictionary", "gated"])
def test_knobs_of_other_families_have_their_defaults(family):
    base = with_knobs(own_dictionary("top_k"), {"bandwidth": 0.5, "active_entries": 3})
    changed = with_strength(base, family, 2.0)
    check(changed)
    assert changed.model.family == family
    assert changed.dictionary.bandwidth == (0.5 if family == "jump_relu" else Experiment().dictionary.bandwidth)


def test_components_leave_what_their_variances_leave():
    """Of the training examples themselves: 1 minus the share of the largest eigenvalues."""
    same = replace_test(SPLITS)
    eigenvalues = np.sort(np.linalg.eigvalsh(np.cov(X[:200].T.astype(np.float64))))[::-1]
    found = unexplained_by_components(same, [1, 3, 8, 9])
    assert list(found) == [1, 3, 8]
    for number, left in found.items():
        np.testing.assert_allclose(left, 1 - eigenvalues[:number].sum() / eigenvalues.sum(), atol=1e-6)


def replace_test(splits: Splits) -> Splits:
    return splits._replace(test=splits.train)


@pytest.mark.slow
def test_a_point_is_measured_on_test_rows():
    experiment = with_knobs(own_dictionary("top_k"), {"code_size": 16, "active_entries": 2, "epochs": 2})
    experiment = replace(experiment, training=replace(experiment.training, batch_size=50))
    point = measure_point(experiment, 2.0, seed=1, splits=SPLITS)
    job = make_job(with_knobs(experiment, {"seed": 1}), SPLITS)
    params = fit(job, devices=jax.devices()[:1]).state.params
    codes = np.stack([job.autoencoder.encode(params, x) for x in X[250:]])
    decoded = np.stack([job.autoencoder.decode(params, code) for code in codes])
    left = np.sum((X[250:] - decoded) ** 2) / np.sum((X[250:] - X[250:].mean(0)) ** 2)
    np.testing.assert_allclose(point.unexplained, left, rtol=1e-4)
    assert point.l0 == np.count_nonzero(codes) / 50
    assert point.dead == np.mean(~codes.any(axis=0))


@pytest.mark.slow
def test_the_verb_writes_a_table_and_a_figure(tmp_path, capsys):
    np.save(tmp_path / "x.npy", X)
    folder = tmp_path / "study"
    families = ["--families", "top_k", "l1_dictionary", "--strengths", "2", "--l1-weights", "0.5"]
    size = ["--code-size", "16", "--epochs", "2"]
    main(["--dataset", str(tmp_path / "x.npy"), *families, *size, "--run-dir", str(folder)])
    content = json.loads((folder / "points.json").read_text())
    assert [point["family"] for point in content["points"]] == ["top_k", "l1_dictionary"]
    assert {path.name for path in folder.iterdir()} == {"config.json", "points.json", "report.txt", "frontier.png"}
    assert "left by as" in capsys.readouterr().out
