"""Composing as a user runs it, after a short training on a few made-up pieces."""

import importlib.util
import json
import re

import mido
import numpy as np
import pytest
from PIL import Image

from aejax.datasets.jsb_chorales import FILE, load_jsb_chorales
from aejax.errors import ArgumentError
from aejax.evaluation.music import frequency_baseline
from aejax.experiment.compose import compose
from aejax.experiment.configuration import Data, Experiment, Model, Training
from aejax.experiment.trained import open_run

DIGITS = Experiment(model=Model(hidden=(16,), code_size=3), training=Training(epochs=2, patience=None))


@pytest.fixture(scope="module")
def pieces(tmp_path_factory):
    """A folder with scales up and down."""
    folder = tmp_path_factory.mktemp("data")
    scales = [[[60 + (step + start) % 12] for step in range(16)] for start in range(40)]
    (folder / FILE).parent.mkdir()
    (folder / FILE).write_text(json.dumps({"train": scales[:24], "valid": scales[24:32], "test": scales[32:]}))
    return folder


@pytest.fixture
def run(make_run, pieces):
    return make_run(
        Experiment(
            data=Data(dataset="jsb_chorales", data_dir=str(pieces), window=8),
            model=Model(network="sequence", hidden=(8,), code_size=2),
            training=Training(batch_size=8, epochs=3, patience=None),
        )
    )


@pytest.mark.slow
def test_windows_are_written_and_told(run, run_script, pieces, tmp_path):
    result = run_script("compose", run, tmp_path / "music", "--count", "3", "--beats-per-minute", "120")
    assert (result.code, result.errors) == (0, "")
    assert sorted(path.name for path in (tmp_path / "music").iterdir()) == [
        "01.mid",
        "02.mid",
        "03.mid",
        "piano_rolls.png",
    ]
    assert mido.MidiFile(tmp_path / "music" / "01.mid").length == pytest.approx(8 * 0.5)
    with Image.open(tmp_path / "music" / "piano_rolls.png") as picture:
        assert np.ptp(np.asarray(picture)) > 0
    splits = load_jsb_chorales(pieces, steps=8)
    numbers = re.search(r"(\S+) nats per quarter note .* frequency: (\S+)$", result.output, re.MULTILINE)
    ours, baseline = map(float, numbers.groups())
    assert baseline == pytest.approx(frequency_baseline(splits.train.x, splits.test.x), abs=1e-3)
    notes, of_chorales = map(float, re.findall(r"(\d+\.\d+) (?:notes|in held)", result.output))
    written = [mido.MidiFile(tmp_path / "music" / f"0{number}.mid").tracks[0] for number in (1, 2, 3)]
    assert of_chorales == 1.0  # a scale
    assert 24 * notes >= sum(m.type == "note_on" for track in written for m in track) - 0.2  # a note may be held
    assert 0 < ours < 88 * np.log(2) + 1  # of a coin for each key


@pytest.mark.slow
def test_notes_are_drawn_from_the_likelihood_unless_the_most_probable_are_wanted(run):
    run = open_run(run)
    drawn, means = compose(run, count=400), compose(run, count=400, most_probable=True)
    assert set(np.unique(drawn)) == {0, 1}
    deviation = np.sqrt(np.mean(means * (1 - means)) / means.size)
    assert abs(drawn.mean() - means.mean()) < 4 * deviation  # four standard errors
    assert np.array_equal(drawn, compose(run, count=400))
    assert not np.array_equal(drawn[:9], compose(run, count=9, seed=1))
    with pytest.raises(ArgumentError, match="count: must be at least 1, got 0"):
        compose(run, count=0)


@pytest.mark.slow
def test_mistakes(run, make_initial_run, complaint_of, monkeypatch):
    digits = make_initial_run(DIGITS)
    assert "expects a variational run on jsb_chorales, but this run is" in complaint_of("compose", digits, "music")
    assert "--count: must be between 1 and 300, got 0" in complaint_of("compose", run, "music", "--count", "0")
    assert "--beats-per-minute: must be between 1" in complaint_of("compose", run, "music", "--beats-per-minute", "0")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert "MIDI files require mido" in complaint_of("compose", run, "music")
