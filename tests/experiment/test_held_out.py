"""Held-out means held-out: two files that differ in test rows alone give the same model and the same results."""

from dataclasses import replace
from functools import partial

import jax
import numpy as np
import pytest

from aejax.experiment import train_run
from aejax.experiment.configuration import Data, Experiment, Model, Optimization, Training
from aejax.experiment.job import make_job
from aejax.experiment.loading import load_splits

pl = pytest.importorskip("polars")

ROWS = 120
TRAINING = Training(epochs=1, batch_size=16)
ARRAY = Experiment(
    model=Model(family="undercomplete", hidden=(), code_size=2, standardize="feature"), training=TRAINING
)
TABLE = Experiment(
    model=Model(likelihood="table", hidden=(), code_size=2),
    optimization=Optimization(learning_rate=1e-2),
    training=TRAINING,
)


@pytest.fixture(autouse=True)
def dtype_promotion():
    """In place of the strict one: Optax mixes integer counts with floats."""
    with jax.numpy_dtype_promotion("standard"):
        yield


def array(rows):
    """Examples whose first feature is their row, and whose values in these rows are a million times larger."""
    x = np.random.default_rng(0).normal(size=(ROWS, 3)) * [1, 50, 0.1] + [0, 1000, 0]
    x[rows] *= 1e6
    return np.concatenate([np.arange(ROWS)[:, None], x], axis=1)


def table(rows):
    """Numbers, classes and counts with missing cells, which these rows have of another size, kind and share."""
    rng = np.random.default_rng(0)
    is_missing = rng.random(ROWS) < 0.2
    is_changed = np.isin(np.arange(ROWS), rows)
    return pl.DataFrame(
        {
            "price": np.where(is_changed, 1e9, rng.lognormal(10, 1, ROWS)).round(2),
            "heating": [
                "coal" if other else None if missing else "gas" if row % 3 else "oil"
                for row, (missing, other) in enumerate(zip(is_missing, is_changed, strict=True))
            ],
            "rooms": [40 if other else row % 4 for row, other in enumerate(is_changed)],
            "area": [None if other and row % 2 else 100.0 + row % 7 for row, other in enumerate(is_changed)],
        }
    )


def test_statistics_of_arrays_are_those_of_training_rows(tmp_path):
    np.save(tmp_path / "one.npy", array([]))
    rows = load_splits(Data(str(tmp_path / "one.npy"))).test.x[:, 0].astype(int)
    assert len(rows) == 24
    np.save(tmp_path / "other.npy", array(rows))
    one, other = (make_job(replace(ARRAY, data=Data(str(tmp_path / f"{name}.npy")))) for name in ("one", "other"))
    assert one.facts == other.facts
    assert one.autoencoder is other.autoencoder
    assert other.splits.test.x.max() > 1e8
    np.testing.assert_allclose(one.facts.scaling.scale, one.splits.train.x.std(axis=0), rtol=1e-5)


@pytest.mark.slow
def test_tables_are_learned_and_imputed_by_training_rows(tmp_path):
    from aejax.experiment.tables_at_use import impute, load_rows, read_frame

    marked = table([]).with_columns(area=pl.Series(np.arange(ROWS) + 0.5))
    marked.write_csv(tmp_path / "marked.csv")
    rows = (load_splits(Data(str(tmp_path / "marked.csv"), columns=("area=continuous",))).test.x[:, -1] - 0.5).astype(
        int
    )
    train = partial(train_run, figures=False)
    runs, filled = [], []
    table([]).write_csv(tmp_path / "one.csv")
    table(rows).write_csv(tmp_path / "other.csv")
    for name in ("one", "other"):
        data = Data(str(tmp_path / f"{name}.csv"), unknown_categories="missing")
        runs.append(train(replace(TABLE, data=data), tmp_path / name))
        examples = load_rows(runs[-1], tmp_path / "one.csv")
        filled += impute(runs[-1], read_frame(tmp_path / "one.csv"), examples)
    one, other = runs
    assert one.facts.columns == other.facts.columns
    jax.tree.map(np.testing.assert_array_equal, one.params, other.params)
    assert filled[0].equals(filled[1])
    assert filled[0]["heating"].null_count() == 0 < read_frame(tmp_path / "one.csv")["heating"].null_count()
