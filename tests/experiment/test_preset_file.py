"""Files of knobs: what is read, and what is refused, each in one line that names the file and the field."""

import json

import pytest

from aejax.errors import UserError
from aejax.experiment.configuration import Experiment, Model, Training, to_json
from aejax.experiment.preset_file import read_preset
from aejax.experiment.presets import PRESETS


@pytest.mark.parametrize("name", ["digits-vae", "documents-denoise"])
def test_a_configuration_of_a_run_is_a_preset(tmp_path, name):
    (tmp_path / "config.json").write_text(to_json(PRESETS[name][1]))
    assert read_preset(tmp_path / "config.json") == PRESETS[name][1]


def test_knobs_without_their_groups(tmp_path):
    content = {"hidden": [5, 6], "learning_rate": 0.1, "model": {"code_size": 3}, "training": {"seed": 2}}
    (tmp_path / "mine.json").write_text(json.dumps(content))
    read = read_preset(tmp_path / "mine.json")
    assert read.model == Model(hidden=(5, 6), code_size=3)
    assert (read.optimization.learning_rate, read.training) == (0.1, Training(seed=2))


def test_an_empty_file_of_knobs_has_all_defaults(tmp_path):
    (tmp_path / "mine.json").write_text("{}")
    assert read_preset(tmp_path / "mine.json") == Experiment()


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ('{"learning_rate": -1}', "optimization.learning_rate: input should be greater than 1e-30, got -1"),
        ('{"learning_rates": 1}', "there is no knob 'learning_rates'; did you mean learning_rate?"),
        ('{"model": {"hiden": [3]}}', "model.hiden"),
        ('{"code_size": 3, "model": {"code_size": 4}}', "code_size: is given twice, also in model"),
        ('{"code_size": 3, "model": 4}', "code_size: is given twice, also in model"),
        ('{"family": "tied", "beta": 3}', "beta: requires family variational"),
        ("[1]", "must be an object of knobs"),
        ("{", "is not a valid JSON document"),
    ],
)
def test_mistakes_in_a_file_of_knobs(tmp_path, content, complaint):
    file = tmp_path / "mine.json"
    file.write_text(content)
    with pytest.raises(UserError) as raised:
        read_preset(file)
    assert complaint in str(raised.value)
    assert str(raised.value).startswith(f"{file}: ")
    assert "\n" not in str(raised.value)


def test_a_file_of_knobs_that_is_missing(tmp_path):
    (tmp_path / "best.json").write_text("{}")
    with pytest.raises(UserError, match=r"bset\.json: no such file; did you mean best\.json\?"):
        read_preset(tmp_path / "bset.json")
