"""Piano rolls as music: how much sounds, a MIDI file of it, and the likelihood of a model that knows no time."""

from typing import TYPE_CHECKING

import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Float

from aejax.checks import as_float64, check_count, check_in_range

if TYPE_CHECKING:
    import mido

_TICKS_PER_STEP = 480  # of a quarter note
_VELOCITY = 80


def frequency_baseline(train: Float[np.ndarray, "N T keys"], test: Float[np.ndarray, "M T keys"]) -> float:
    """-E Σₖ log p(xₖ), in nats per step, each key sounding with the frequency that it has in the training steps.

    The frequency is (n + ½) / (N + 1), n being how often a key sounds in N steps, so that none is 0 or 1. A model of
    sequences has to stay below.

    Args:
      train: 0 and 1, of any type of number.
      test: of other pieces; probabilities are allowed.

    Raises:
      ValueError: no step, other keys in test than in train, or values outside [0, 1].

    >>> always = np.ones((1, 1, 1))
    >>> round(frequency_baseline(always, always), 4)  # -log 0.75
    0.2877
    """
    train, test = _rolls("train", train), _rolls("test", test)
    if train.shape[-1] != test.shape[-1]:
        raise ValueError(f"train and test must have the same keys, got {train.shape[-1]} and {test.shape[-1]}")
    steps = train.reshape(-1, train.shape[-1])
    frequencies = (steps.sum(axis=0, dtype=np.float64) + 0.5) / (len(steps) + 1)
    seen = test.reshape(-1, test.shape[-1])
    return float(-np.mean(np.sum(seen * np.log(frequencies) + (1 - seen) * np.log1p(-frequencies), axis=1)))


def notes_per_step(rolls: Float[np.ndarray, "N T keys"]) -> float:
    """How many keys sound in a step, on average over all; a key sounds where this is above ½.

    Raises:
      ValueError: no step, or values outside [0, 1].

    >>> notes_per_step(np.array([[[1, 1, 0], [0, 0.4, 0.6]]]))
    1.5
    """
    return float(np.mean(np.sum(_rolls("rolls", rolls) > 0.5, axis=-1)))


def to_midi(
    roll: Float[np.ndarray, "T keys"], *, lowest_note: int = 21, beats_per_minute: float = 80.0
) -> "mido.MidiFile":
    """A MIDI file in which each step lasts a quarter note; a key that sounds in steps on end is held.

    Args:
      roll: a key sounds where this is above ½, as a probability or a sample of it.
      lowest_note: the MIDI number of the first key.
      beats_per_minute: quarter notes.

    Returns:
      A `mido.MidiFile`; its method `save` writes it.

    Raises:
      ValueError: a roll of another rank, without a step or with values outside [0, 1], keys beyond MIDI's notes 0 to
        127, or a tempo outside 4 to 60,000,000 quarter notes per minute, which a MIDI file cannot hold.
    """
    import mido

    sounds = _rolls("roll", roll) > 0.5
    if sounds.ndim != 2:
        raise ValueError(f"a roll has shape (T, keys), got {sounds.shape}")
    check_count("lowest_note", lowest_note, 0)
    lowest_note = int(lowest_note)  # of NumPy's narrow integers a sum may overflow
    check_in_range("beats_per_minute", beats_per_minute, 4, 60_000_000)
    if lowest_note + sounds.shape[1] > 128:
        raise ValueError(
            f"MIDI's notes end at 127, and {sounds.shape[1]} keys from note {lowest_note} end at "
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
    """Piano rolls of any type of number as float64; ValueError where there is no step, or no probability."""
    values = as_float64(name, rolls)
    if values.ndim == 0 or values.size == 0:
        raise ValueError(f"{name} must hold at least one step and one key, got shape {values.shape}")
    if not (values.min() >= 0 and values.max() <= 1):
        raise ValueError(f"{name} must hold values in [0, 1], got {values.min():g} to {values.max():g}")
    return values
