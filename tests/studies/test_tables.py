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
    x = np.random.default_rng(0).normal(size=(400, 2))
    columns = {"one": x[:, 0], "two": x[:, 1], "price": np.where(np.abs(x[:, 0]) > 0.7, 10.0, 20.0)}
    pl.DataFrame(columns).write_csv(tmp_path / "table.csv")
    options = ["--dataset", str(tmp_path / "table.csv"), "--labels", "price", "--code-size", "2", "--hidden", "8"]
    options += ["--epochs", "1", "--repetitions", "1", "--run-dir", str(tmp_path / "study")]
    study_tables.main(options)
    (trial,) = json.loads((tmp_path / "study" / "trials.json").read_text())
    assert trial["boosted"]["PCA"] > 0.6 > 0.4 > trial["predicted"]["PCA"]
    assert trial["boosted"].keys() == trial["predicted"].keys() == {"autoencoder", "PCA", "FAMD"}
    printed = capsys.readouterr().out
    assert "by gradient boosting" in printed
    assert f"{trial['boosted']['autoencoder']:.4f}" in printed
    assert {path.name for path in (tmp_path / "study").iterdir()} >= {"config.json", "explained.png", "units.png"}
