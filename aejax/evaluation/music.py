"""Piano rolls: notes per step, MIDI files, and the likelihood of a baseline that ignores time."""

from typing import TYPE_CHECKING

import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Float

from aejax.checks import as_float64, check_count, check_in_range

if TYPE_CHECKING:
    import mido

_TICKS_PER_STEP = 480  # a step is a quarter note
_VELOCITY = 80


def frequency_baseline(train: Float[np.ndarray, "N T keys"], test: Float[np.ndarray, "M T keys"]) -> float:
    """Returns -E Σₖ log p(xₖ) in nats per step, for independent keys with their frequencies in the training data.

    The frequency of a key is (n + ½) / (N + 1), where n is the number of the N training steps in which it sounds, so
    that it is never 0 or 1. A model of sequences should have a lower value.

    Args:
      train: training rolls with values 0 and 1, of any numeric type.
      test: test rolls; probabilities in [0, 1] are allowed.

    Raises:
      TypeError: the rolls are not numbers.
      ValueError: there are no steps, the numbers of keys differ, or values are outside [0, 1].

    >>> always = np.ones((1, 1, 1))
    >>> round(frequency_baseline(always, always), 4)  # -log 0.75
    0.2877
    """
    train, test = _rolls("train", train), _rolls("test", test)
    if train.shape[-1] != test.shape[-1]:
        raise ValueError(f"train and test must have the same keys, got {train.shape[-1]} and {test.shape[-1]}")
    steps = train.reshape(-1, train.shape[-1])
    frequencies = (steps.sum(axis=0, dtype=np.float64) + 0.5) / (len(steps) + 1)
    test = test.reshape(-1, test.shape[-1])
    return float(-np.mean(np.sum(test * np.log(frequencies) + (1 - test) * np.log1p(-frequencies), axis=1)))


def notes_per_step(rolls: Float[np.ndarray, "N T keys"]) -> float:
    """Returns the mean number of keys that sound in a step; a key sounds if its value is above ½.

    Raises:
      TypeError: the rolls are not numbers.
      ValueError: there are no steps, or values are outside [0, 1].

    >>> notes_per_step(np.array([[[1, 1, 0], [0, 0.4, 0.6]]]))
    1.5
    """
    return float(np.mean(np.sum(_rolls("rolls", rolls) > 0.5, axis=-1)))


def to_midi(
    roll: Float[np.ndarray, "T keys"], *, lowest_note: int = 21, beats_per_minute: float = 80.0
) -> "mido.MidiFile":
    """Returns a MIDI file of a piano roll: a step is a quarter note, and notes are held over consecutive steps.

    Args:
      roll: probabilities or samples in [0, 1]; a key sounds if its value is above ½.
      lowest_note: the MIDI number of the first key.
      beats_per_minute: the tempo, in quarter notes per minute.

    Returns:
      A `mido.MidiFile`; its method `save` writes it to a file.

    Raises:
      TypeError: the roll is not numeric, or `lowest_note` is not an integer.
      ValueError: the shape is not (T, keys), there are no steps, values are outside [0, 1], a key is outside MIDI's
        notes 0 to 127, or the tempo is outside 4 to 60,000,000, the range of MIDI files.
    """
    import mido

    sounds = _rolls("roll", roll) > 0.5
    if sounds.ndim != 2:
        raise ValueError(f"roll must have shape (T, keys), got {sounds.shape}")
    check_count("lowest_note", lowest_note, 0)
    lowest_note = int(lowest_note)  # sums of NumPy's narrow integers may overflow
    check_in_range("beats_per_minute", beats_per_minute, 4, 60_000_000)
    if lowest_note + sounds.shape[1] > 128:
        raise ValueError(
            f"lowest_note: MIDI notes range from 0 to 127, but {sounds.shape[1]} keys from note {lowest_note} end at "
            f"{lowest_note + sounds.shape[1] - 1}"
        )
    silence = np.zeros((1, sounds.shape[1]), bool)
    changes = np.diff(np.concatenate([silence, sounds, silence]).astype(np.int8), axis=0)
    track = mido.MidiTrack([mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(beats_per_minute), time=0)])
    last = 0
    for step, change in enumerate(changes):
        for message, sign in (("note_off", -1), ("note_on", 1)):
            for key in np.flatnonzero(change == sign):
                elapsed = (step - last) * _TICKS_PER_STEP
                track.append(mido.Message(message, note=int(key) + lowest_note, velocity=_VELOCITY, time=elapsed))
                last = step
    track.append(mido.MetaMessage("end_of_track", time=(len(sounds) - last) * _TICKS_PER_STEP))
    file = mido.MidiFile(ticks_per_beat=_TICKS_PER_STEP)
    file.tracks.append(track)
    return file


def _rolls(name: str, rolls: ArrayLike) -> np.ndarray:
    """Returns piano rolls as float64; ValueError if they are empty or hold values outside [0, 1]."""
    values = as_float64(name, rolls)
    if values.ndim == 0 or values.size == 0:
        raise ValueError(f"{name} must hold at least one step and one key, got shape {values.shape}")
    if not (values.min() >= 0 and values.max() <= 1):
        raise ValueError(f"{name} must hold values in [0, 1], got {values.min():g} to {values.max():g}")
    return values
