"""Verbs on a run whose folder was moved, whose examples are gone or elsewhere, or which has code of its own."""

import shutil

import jax
import numpy as np
import pytest

from aejax.cli import compress, detect, encode, export, generate, report
from aejax.errors import UserError
from aejax.experiment.configuration import Data, Experiment, Model, Training

SOURCE = """
from aejax.autoencoders import undercomplete
from aejax.networks import MLP


def build(facts):
    return undercomplete(MLP((3,)), MLP(facts.shape))
"""
TRAINING = Training(epochs=1, batch_size=8, patience=None)


@pytest.fixture(autouse=True)
def dtype_promotion():
    """In place of the strict one: Optax mixes integer counts with floats."""
    with jax.numpy_dtype_promotion("standard"):
        yield


@pytest.fixture
def moved(make_run, tmp_path, monkeypatch):
    """The folder of a run, moved, in the current folder; its examples are in new/mine.npy only."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "old").mkdir()
    np.save("old/mine.npy", np.random.default_rng(0).uniform(size=(60, 4)).astype(np.float32))
    data = Data(dataset=str(tmp_path / "old" / "mine.npy"))
    model = Model(family="undercomplete", hidden=(), code_size=2)
    shutil.copytree(make_run(Experiment(data=data, model=model, training=TRAINING)), "moved")
    (tmp_path / "old").rename(tmp_path / "new")
    return "moved"


@pytest.mark.slow
def test_a_folder_alone_is_enough_to_encode_and_export(moved):
    encode.main([moved, "new/mine.npy", "codes.npy"])
    encode.main([moved, "codes.npy", "decoded.npy", "--decode"])
    assert (np.load("codes.npy").shape, np.load("decoded.npy").shape) == ((60, 2), (60, 4))
    export.main([moved, "exported"])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("verb", "arguments"),
    [
        (report, ["--output", "page.html"]),
        (generate, ["made", "--what", "interpolation", "--geodesic-steps", "2", "--columns", "3"]),
        (compress, ["rates", "--bits", "2"]),
        (detect, ["--test", "found"]),
    ],
    ids=["report", "generate", "compress", "detect"],
)
def test_what_needs_examples_says_so_and_reads_them_at_a_new_place(moved, verb, arguments, tmp_path):
    if verb is not detect:  # whose threshold may be stored with the run
        with pytest.raises(UserError, match=r"moved: needs the data .* give their new place by data"):
            verb.main([moved, *arguments])
        assert not (tmp_path / arguments[-1]).exists()
    verb.main([moved, *arguments, "--data", "new"])
    assert {"page.html", "made", "rates", "found"} & {path.name for path in tmp_path.iterdir()}


@pytest.mark.slow
def test_other_examples_at_the_new_place_are_refused(moved):
    np.save("new/mine.npy", np.zeros((60, 4), np.float32))
    with pytest.raises(UserError, match=r"is not the data that .* began with"):
        report.main([moved, "--data", "new"])


@pytest.mark.slow
def test_code_of_a_run_runs_with_trust_only(make_run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(SOURCE)
    folder = str(make_run(Experiment(model=Model(autoencoder=str(tmp_path / "mine.py")), training=TRAINING)))
    with pytest.raises(UserError, match=r"^trust_code: expected"):
        export.main([folder, "exported"])
    export.main([folder, "exported", "--trust-code"])
    assert (tmp_path / "exported" / "export.json").is_file()
