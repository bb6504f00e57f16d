"""Music: a MIDI file read back by its library; the baseline against scipy."""

import mido
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from aejax.evaluation.music import frequency_baseline, notes_per_step, to_midi

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
def test_a_midi_file_holds_the_notes_of_the_roll(tmp_path_factory, seed, steps, density):
    roll = np.random.default_rng(seed).uniform(size=(steps, 88)) < density
    path = tmp_path_factory.mktemp("midi") / "roll.mid"
    to_midi(roll.astype(np.float32)).save(path)
    assert np.array_equal(read_back(path, steps, 88), roll)


def test_a_held_note_is_one_note_and_the_tempo_is_the_given_one(tmp_path):
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


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64, np.float16, np.float32])
def test_rolls_of_every_type_are_read_alike(dtype):
    roll = (RNG.uniform(size=(2, 40, 300)) < 0.5).astype(dtype)
    exact = roll.astype(float)
    assert notes_per_step(roll) == notes_per_step(exact)
    assert frequency_baseline(roll, roll) == pytest.approx(frequency_baseline(exact, exact))
    assert notes_per_step(roll.tolist()) == notes_per_step(exact)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: frequency_baseline(np.ones((1, 2, 3)), np.ones((1, 2, 1))), "must have the same keys, got 3 and 1"),
        (lambda: frequency_baseline(np.ones((0, 2, 3)), np.ones((1, 2, 3))), "train must hold at least one step"),
        (lambda: frequency_baseline(np.ones((1, 2, 3)), np.ones((1, 0, 3))), "test must hold at least one step"),
        (
            lambda: frequency_baseline(np.full((1, 2, 3), 255), np.ones((1, 2, 3))),
            r"train must hold values in \[0, 1\]",
        ),
        (lambda: notes_per_step(np.full((1, 2, 3), np.nan)), r"rolls must hold values in \[0, 1\], got nan"),
        (lambda: to_midi(np.ones((1, 2, 3))), r"roll must have shape \(T, keys\), got \(1, 2, 3\)"),
        (lambda: to_midi(np.ones((2, 128))), "MIDI notes range from 0 to 127, but 128 keys from note 21 end at 148"),
        (lambda: to_midi(np.ones((2, 3)), beats_per_minute=0), "beats_per_minute must be between 4 and"),
        (lambda: to_midi(np.ones((2, 3)), lowest_note=-1), "lowest_note must be at least 0, got -1"),
    ],
)
def test_invalid_rolls_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_every_note_of_midi_can_be_written():
    file = to_midi(np.ones((1, 128)), lowest_note=np.int8(0))
    assert [message.note for message in file.tracks[0] if message.type == "note_on"] == list(range(128))
