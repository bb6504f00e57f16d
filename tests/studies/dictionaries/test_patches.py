"""Filters of a dictionary on patches: what is measured is the trained decoder, and the verb as a user runs it."""

import json
from collections.abc import Iterator
from dataclasses import replace

import jax
import numpy as np
import pytest

from aejax.cli.study_dictionary_patches import main
from aejax.datasets.dataset import Dataset, Splits
from aejax.errors import UserError
from aejax.evaluation.receptive_fields import filter_measures
from aejax.experiment.dictionary_presets import DICTIONARIES_OF_DATA, own_dictionary
from aejax.experiment.knobs import with_knobs
from aejax.studies.dictionaries.patches import PCA, START, UNITS, as_grid, learn_filters

PRESET = DICTIONARIES_OF_DATA["patches-l1"][1]


@pytest.fixture(autouse=True)
def dtype_promotion() -> Iterator[None]:
    """In place of the strict one: Optax mixes integer counts with floats."""
    with jax.numpy_dtype_promotion("standard"):
        yield


def bars(count: int, seed: int) -> np.ndarray:
    """Returns 8x8 patches, sums of few of 16 bars: 8 rows and 8 columns, each active with probability 0.15."""
    rng = np.random.default_rng(seed)
    rows, columns = (rng.uniform(0.5, 1, (count, 8)) * (rng.random((count, 8)) < 0.15) for _ in range(2))
    return (rows[:, :, None] + columns[:, None, :])[..., None].astype(np.float32)


@pytest.mark.slow
def test_units_become_bars_and_components_do_not():
    """The bars problem of P. Földiák (1990), whose right answer is known."""
    splits = Splits(*(Dataset(bars(count, seed)) for seed, count in enumerate((4000, 200, 500))))
    knobs = {"code_size": 32, "sparsity_weight": 2.0, "epochs": 12, "batch_size": 50, "learning_rate": 1e-2}
    learned = learn_filters(with_knobs(own_dictionary("l1_dictionary"), knobs), splits)
    eye = np.eye(8)
    truth = np.concatenate([np.einsum("k,i->ki", np.ones(8), row)[None] for row in eye])
    truth = np.concatenate([truth, truth.swapaxes(1, 2)]).reshape(16, -1) / np.sqrt(8)

    def recovered(name: str) -> float:
        flat = learned.filters[name].reshape(-1, 64)
        return float(np.mean(np.max(truth @ (flat / np.linalg.norm(flat, axis=1, keepdims=True)).T, axis=1)))

    assert recovered(UNITS) > 0.9
    assert max(recovered(PCA), recovered(START)) < 0.7
    assert learned.measures == {name: filter_measures(each) for name, each in learned.filters.items()}
    assert np.all(np.diff(learned.firing_rates) <= 0)


def test_other_experiments_and_data_are_refused():
    color = Splits(*(Dataset(np.zeros((4, 6, 6, 3), np.float32)) for _ in range(3)))
    with pytest.raises(UserError, match=r"gray images \(H, W\) or \(H, W, 1\), got \(6, 6, 3\)"):
        learn_filters(PRESET, color)
    other = replace(PRESET, model=replace(PRESET.model, family="undercomplete"))
    with pytest.raises(UserError, match=r"family: must be one of l1_dictionary, .*, got undercomplete"):
        learn_filters(other, color)


def test_filters_in_a_grid_keep_their_order_and_sign():
    filters = np.random.default_rng(0).normal(size=(7, 3, 4))
    grid = as_grid(filters)
    assert grid.shape == (3, 3, 3, 4)
    np.testing.assert_allclose(grid.reshape(9, 3, 4)[6], filters[6] / np.abs(filters[6]).max())
    assert not grid.reshape(9, 3, 4)[7:].any()


@pytest.mark.slow
def test_the_verb_writes_filters_and_their_measures(tmp_path, capsys):
    np.save(tmp_path / "x.npy", bars(120, 0))
    folder = tmp_path / "study"
    size = ["--code-size", "16", "--epochs", "1", "--batch-size", "32", "--evaluate-every", "1"]
    main(["--dataset", str(tmp_path / "x.npy"), *size, "--run-dir", str(folder)])
    names = {"units.png", "components.png", "filters.npz", "measures.json", "config.json", "report.txt"}
    assert {path.name for path in folder.iterdir()} == names
    measures = json.loads((folder / "measures.json").read_text())
    with np.load(folder / "filters.npz") as filters:
        assert filters["units"].shape == (16, 8, 8)
        assert measures["units"] == filter_measures(filters["units"])._asdict()
    assert "oriented edges" in capsys.readouterr().out
