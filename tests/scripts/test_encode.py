"""Encoding, decoding and the comparison with PCA as a user runs them."""

import json

import numpy as np
import pytest

from aejax.experiment.configuration import Data, Experiment, Model, Training
from aejax.experiment.trained import open_run

LINEAR = Experiment(
    model=Model(family="undercomplete", hidden=(), code_size=4), training=Training(epochs=3, patience=None)
)
CONDITIONAL = Experiment(
    model=Model(hidden=(), code_size=3, conditional=True), training=Training(epochs=1, patience=None)
)


def test_there_and_back(make_initial_run, run_script, tmp_path):
    folder = make_initial_run(LINEAR)
    run = open_run(folder)
    np.save(tmp_path / "x.npy", run.splits.test.x[:7, ..., 0])
    result = run_script("encode", folder, tmp_path / "x.npy", tmp_path / "not" / "there" / "codes.NPY")
    assert (result.code, result.errors) == (0, "")
    assert "7 examples encoded: (7, 8, 8, 1) to (7, 4)" in result.output
    codes = np.load((tmp_path / "not" / "there" / "codes.NPY").rename(tmp_path / "codes.npy"))
    assert not any((tmp_path / "not" / "there").iterdir())
    assert codes.dtype == np.float32
    np.testing.assert_allclose(codes, run.encode(run.splits.test)[:7], atol=1e-5)
    result = run_script("encode", folder, tmp_path / "codes.npy", tmp_path / "back.npy", "--decode")
    assert result.code == 0
    np.testing.assert_allclose(np.load(tmp_path / "back.npy"), run.reconstruct(run.splits.test)[:7], atol=1e-5)


@pytest.mark.slow
def test_a_conditional_run_wants_labels(make_initial_run, run_script, complaint_of, tmp_path):
    folder = make_initial_run(CONDITIONAL)
    np.save(tmp_path / "x.npy", np.zeros((3, 8, 8), np.float32))
    np.save(tmp_path / "labels.npy", np.arange(3))
    assert "the data have no labels" in complaint_of("encode", folder, "x.npy", "codes.npy")
    assert run_script("encode", folder, "x.npy", "codes.npy", "--labels", "labels.npy").code == 0
    assert np.load(tmp_path / "codes.npy").shape == (3, 3)


@pytest.mark.slow
def test_the_comparison_with_pca(make_run, run_script, tmp_path, drawn_fraction):
    folder = make_run(LINEAR)
    result = run_script("encode", folder, "--compare", tmp_path / "report")
    assert (result.code, result.errors) == (0, "")
    report = json.loads((tmp_path / "report" / "comparison.json").read_text())
    assert (report["components"], report["test_examples"]) == (4, 359)
    autoencoder, pca = report["autoencoder"], report["PCA"]
    run = open_run(folder)
    error = np.mean((run.splits.test.x - run.reconstruct(run.splits.test)) ** 2)
    assert autoencoder["squared_error"] == pytest.approx(error, rel=1e-4)
    # PCA by the singular vectors of the training part
    train, test = (run.splits[part].x.reshape(-1, 64).astype(float) for part in (0, 2))
    axes = np.linalg.svd(train - train.mean(axis=0), full_matrices=False)[2][:4]
    residual = test - train.mean(axis=0)
    assert pca["squared_error"] == pytest.approx(np.mean((residual - residual @ axes.T @ axes) ** 2), rel=1e-4)
    assert autoencoder["squared_error"] > pca["squared_error"]  # which no linear autoencoder passes but by chance
    assert f"{autoencoder['squared_error']:.5f}" in result.output
    assert f"{pca['neighbors_accuracy_percent']:.2f}" in result.output
    for name in ("codes", "reconstructions"):
        assert drawn_fraction(tmp_path / "report" / f"{name}.png") > 0.015, name


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["x.npy"], "give an input and an output file, or --compare FOLDER"),
        (["x.npy", "codes.txt"], "codes.txt: expected the name of a .npy file"),
        (["x.npy", "x.npy"], "x.npy: exists already"),
        (["missing.npy", "codes.npy"], "missing.npy: no such file"),
        (["x.npy", "x.npy/codes.npy"], "codes.npy: cannot be created"),
        (["table.csv", "codes.npy"], "table.csv: is a table; arrays are read from .npy and .npz files"),
        (["x.nyp", "codes.npy"], "x.nyp: no such file; did you mean x.npy? Arrays are read from"),
        (["x.npy", "codes.npy", "--compare", "report"], "leave out files"),
        (["x.npy", "back.npy", "--decode"], "x.npy: codes have shape (5,), but those of"),
        (["x.npy", "codes.npy"], "x.npy: examples have shape (5,), but"),
    ],
)
def test_mistakes(make_initial_run, complaint_of, tmp_path, arguments, complaint):
    np.save(tmp_path / "x.npy", np.zeros((3, 5), np.float32))
    (tmp_path / "table.csv").write_text("1,2\n")
    assert complaint in complaint_of("encode", make_initial_run(LINEAR), *arguments)


def test_no_run(complaint_of):
    assert "missing: is no run folder" in complaint_of("encode", "missing", "x.npy", "codes.npy")


@pytest.mark.slow
def test_pairs_are_not_compared(make_initial_run, complaint_of, tmp_path):
    x = np.random.default_rng(0).uniform(size=(60, 4)).astype(np.float32)
    np.savez(tmp_path / "pairs.npz", x=x, input=x)
    model = Model(family="undercomplete", hidden=(), code_size=2)
    training = Training(epochs=1, batch_size=8)
    folder = make_initial_run(
        Experiment(data=Data(dataset=str(tmp_path / "pairs.npz")), model=model, training=training)
    )
    for script, arguments in (("encode", ["--compare", "out"]), ("compress", ["out"])):
        assert "expects a run whose inputs are its targets" in complaint_of(script, folder, *arguments)


@pytest.mark.slow
def test_vectors_without_labels_are_compared_too(make_initial_run, run_script, tmp_path, monkeypatch):
    """And in a file that is larger than memory, and to PCA that loses nothing."""
    rng = np.random.default_rng(0)
    np.save(tmp_path / "mine.npy", rng.normal(size=(90, 1)) @ rng.normal(size=(1, 6)))
    model = Model(family="undercomplete", hidden=(), code_size=1)
    training = Training(epochs=1, batch_size=8)
    folder = make_initial_run(Experiment(data=Data(dataset=str(tmp_path / "mine.npy")), model=model, training=training))
    monkeypatch.setattr("aejax.datasets.arrays.LARGE", 1)
    result = run_script("encode", folder, "--compare", tmp_path / "report")
    assert result.code == 0, result.errors
    assert "no labels" in result.output
    assert "relative to PCA's" not in result.output
    assert run_script("compress", folder, tmp_path / "rates").code == 0
