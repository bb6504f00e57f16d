"""`--autoencoder FILE`: trained, resumed with trust, and no knob of the model besides."""

import pytest

SOURCE = """
from aejax.autoencoders import undercomplete
from aejax.networks import MLP


def build(facts):
    return undercomplete(MLP((3,)), MLP(facts.shape))
"""


@pytest.fixture
def own(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(SOURCE)
    return path


@pytest.mark.slow
def test_it_is_trained_and_resumed_with_trust(run_script, own, tmp_path):
    folder = tmp_path / "run"
    trained = run_script("train", "--autoencoder", own, "--epochs", "1", "--run-dir", folder)
    assert trained.code == 0, trained.errors
    assert "mine: digits, 1,258 train" in trained.output
    refused = run_script("train", "--resume", folder)
    assert (refused.code, refused.errors.count("\n")) == (2, 1)
    assert "--trust-code" in refused.errors
    assert run_script("train", "--resume", folder, "--trust-code").code == 0


@pytest.mark.parametrize("preset", [[], ["digits-ae"]])
def test_knobs_of_the_model_are_refused_by_name(complaint_of, own, preset):
    assert "beta: has no effect on your own autoencoder" in complaint_of(
        "train", *preset, "--autoencoder", own, "--beta", 2
    )


def test_a_file_that_is_missing_is_one_line(complaint_of):
    assert "missing.py: no such file" in complaint_of("train", "--autoencoder", "missing.py", "--run-dir", "run")
