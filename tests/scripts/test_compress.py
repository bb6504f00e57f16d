"""Compression as a user runs it."""

import json

import numpy as np
import pytest

from aejax.experiment.compress import image_files
from aejax.experiment.configuration import Experiment, Model, Training
from aejax.experiment.trained import open_run

LINEAR = Experiment(
    model=Model(family="undercomplete", hidden=(), code_size=4), training=Training(epochs=3, patience=None)
)


@pytest.mark.slow
def test_rates_and_errors_of_a_run(make_initial_run, run_script, tmp_path, drawn_fraction):
    folder = make_initial_run(LINEAR)
    result = run_script("compress", folder, tmp_path / "rates", "--bits", "2", "16", "--examples", "50")
    assert (result.code, result.errors) == (0, "")
    report = json.loads((tmp_path / "rates" / "compression.json").read_text())
    assert (report["test_examples"], report["numbers_per_example"]) == (50, 64)
    run = open_run(folder)
    some = run.splits.test._replace(x=run.splits.test.x[:50], labels=None)
    unquantized = np.mean(np.square(run.reconstruct(some) - some.x))
    coarse, fine, *steps = report["methods"]["autoencoder"]
    assert [point["setting"] for point in steps[:2]] == ["step 1", "step 0.71"]
    assert steps[-1]["squared_error"] == pytest.approx(unquantized, rel=0.02)
    assert fine["squared_error"] == pytest.approx(unquantized, rel=1e-3)
    assert coarse["bits"] < 2 * 4 + 1 < fine["bits"]
    assert set(report["methods"]) == {
        "autoencoder",
        "PCA",
        *(f"{f}, {w}" for f in ("JPEG", "WebP") for w in ("a file each", "one sheet")),
    }
    assert "4 x 16" in result.output
    assert drawn_fraction(tmp_path / "rates" / "rate_distortion.png") > 0.015


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--bits", "0"], "--bits: must be between 1 and 16, got 0"),
        (["--bits"], "--bits: expected at least one number"),
        (["--examples", "0"], "--examples: must be at least 1, got 0"),
    ],
)
def test_mistakes(complaint_of, tmp_path, arguments, complaint):
    assert complaint in complaint_of("compress", tmp_path, "rates", *arguments)


def test_where_it_writes_must_be_free(complaint_of, tmp_path):
    (tmp_path / "rates").mkdir()
    assert "rates: exists already" in complaint_of("compress", tmp_path, "rates")
    assert "is no run folder" in complaint_of("compress", tmp_path, "other")


def test_files_that_cannot_hold_the_images_are_named_and_the_others_measured():
    methods, notes = image_files(np.zeros((32, 1, 600)))
    assert [*methods] == ["JPEG, a file each", "JPEG, one sheet", "WebP, a file each"]
    assert notes == ["WebP, one sheet: left out, WebP files have at most 16,383 pixels a side, got 19200x1"]
