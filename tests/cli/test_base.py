"""The experiment that a command's options change, and the name of its run."""

import json

import pytest

from aejax.cli import train
from aejax.cli.base import take_base
from aejax.errors import UserError


@pytest.fixture
def best(tmp_path, monkeypatch):
    """A file of knobs in the current folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my best.json").write_text(json.dumps({"family": "tied", "hidden": [], "learning_rate": 0.5}))
    return "my best.json"


def test_options_override_a_file_of_knobs(best):
    options, name = train._parse(["--preset-file", best, "--learning-rate", "0.25", "--code-size", "7"])
    assert name == "my-best"
    assert (options.experiment.model.family, options.experiment.model.code_size) == ("tied", 7)
    assert options.experiment.optimization.learning_rate == 0.25


def test_a_run_with_a_file_of_knobs_on_other_data_is_called_by_the_data(best):
    assert train._parse([f"--preset-file={best}", "--dataset", "mine.npy"])[1] == "mine"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["digits-ae", "--preset-file", "my best.json"], "preset digits-ae and --preset-file: give only one of them"),
        (["my best.json"], "to train what a file of knobs describes use --preset-file my best.json"),
        (["--preset-file", "worst.json"], r"worst\.json: no such file"),
        (["digit-vae"], "did you mean digits-vae"),
        (["--epochs", "1", "mnist-vae"], "the preset must come before all options"),
    ],
)
def test_mistakes_in_what_is_changed(best, arguments, complaint):
    with pytest.raises(UserError, match=complaint):
        take_base(arguments)
