"""The study of tables: what is predicted from codes, where the answer is known, and what the command writes."""

import json

import jax
import numpy as np
import pytest

from aejax.cli import study_tables

pl = pytest.importorskip("polars")


@pytest.fixture(autouse=True)
def dtype_promotion():
    """In place of the strict one: Optax mixes integer counts with floats."""
    with jax.numpy_dtype_promotion("standard"):
        yield


@pytest.mark.slow
def test_a_step_is_predicted_by_boosting_and_not_by_squares(tmp_path, capsys):
    """From codes of as many numbers as there are columns, which lose nothing with PCA."""
    x = np.random.default_rng(0).normal(size=(600, 2))
    columns = {"one": x[:, 0], "two": x[:, 1], "price": np.where(np.abs(x[:, 0]) > 0.7, 10.0, 20.0)}
    pl.DataFrame(columns).write_csv(tmp_path / "table.csv")
    options = ["--dataset", str(tmp_path / "table.csv"), "--labels", "price", "--code-size", "2", "--hidden", "8"]
    options += ["--epochs", "2", "--repetitions", "2", "--run-dir", str(tmp_path / "study")]
    study_tables.main(options)
    trials = json.loads((tmp_path / "study" / "trials.json").read_text())
    assert [trial["seed"] for trial in trials] == [0, 1]
    for trial in trials:
        assert trial["boosted"]["PCA"] > 0.9 > trial["predicted"]["PCA"]
        assert trial["means"]["PCA"]["numbers"] < 1e-6 < trial["means"]["autoencoder"]["numbers"]
        assert trial["boosted"].keys() == trial["predicted"].keys() == trial["means"].keys()
    printed = capsys.readouterr().out
    mean = np.mean([trial["boosted"]["PCA"] for trial in trials])
    assert "by gradient boosting" in printed
    assert f"{mean:.4f} ±" in printed
    assert {path.name for path in (tmp_path / "study").iterdir()} >= {"config.json", "explained.png", "units.png"}
