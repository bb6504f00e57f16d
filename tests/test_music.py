"""Music: a MIDI file read back by its library; the baseline against scipy."""

import mido
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from aejax.music import frequency_baseline, notes_per_step, to_midi

RNG = np.random.default_rng(0)


def read_back(path, steps, keys):
    """The roll in a MIDI file, tick by tick."""
    roll, now, sounding = np.zeros((steps, keys), bool), 0, {}
    for message in mido.MidiFile(path).tracks[0]:
        now += message.time
        if message.type == "note_on":
            sounding[message.note] = now
        elif message.type == "note_off":
            roll[sounding.pop(message.note) // 480 : now // 480, message.note - 21] = True
    assert not sounding
    assert now == 480 * steps
    return roll


@given(seed=st.integers(0, 1000), steps=st.integers(1, 12), density=st.floats(0, 1))
def test_a_file_holds_what_sounds(tmp_path_factory, seed, steps, density):
    roll = np.random.default_rng(seed).uniform(size=(steps, 88)) < density
    path = tmp_path_factory.mktemp("midi") / "roll.mid"
    to_midi(roll.astype(np.float32)).save(path)
    assert np.array_equal(read_back(path, steps, 88), roll)


def test_a_held_note_is_one_note_and_the_tempo_is_that_asked_for(tmp_path):
    roll = np.zeros((4, 88), np.float32)
    roll[:3, 39] = 0.9
    file = to_midi(roll, beats_per_minute=120)
    assert [message.type for message in file.tracks[0]] == ["set_tempo", "note_on", "note_off", "end_of_track"]
    assert file.length == pytest.approx(4 * 0.5)


def test_the_baseline_is_a_product_of_bernoulli_distributions():
    train, test = (RNG.integers(2, size=(size, 4, 5)).astype(np.float32) for size in (6, 3))
    frequencies = (train.sum(axis=(0, 1), dtype=np.float64) + 0.5) / 25
    expected = -stats.bernoulli(frequencies).logpmf(test.reshape(-1, 5).astype(int)).sum(axis=1).mean()
    assert frequency_baseline(train, test) == pytest.approx(expected, rel=1e-12)


def test_notes_are_counted_as_they_are_written():
    roll = np.zeros((2, 3, 88), np.float32)
    roll[0, 0, [3, 7]] = 0.6
    roll[1, 2, 5] = 0.4
    assert notes_per_step(roll) == pytest.approx(2 / 6)
