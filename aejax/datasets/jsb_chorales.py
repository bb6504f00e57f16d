"""J. S. Bach's chorales as piano rolls: the keys of a piano, of 88, that sound in each quarter note."""

import json
import os
from pathlib import Path

import numpy as np

from aejax.datasets.dataset import Dataset, Splits
from aejax.datasets.source import Request, Source
from aejax.errors import UserError, knob_name
from aejax.host.files import read_text

FILE = Path("jsb_chorales") / "jsb-chorales-quarter.json"
KEYS, LOWEST_NOTE = 88, 21  # of a piano; the MIDI number of its lowest A
MAX_BYTES = 2**26  # of the file, which has about 0.5 MB
_SPLITS = ("train", "valid", "test")


def load_jsb_chorales(data_dir: Path | None = None, *, steps: int = 16) -> Splits:
    """Returns windows (N, steps, 88) of 0 and 1 without overlap, in the published splits: 229, 76 and 77 chorales.

    The last incomplete window of a chorale is dropped; no chorale is in two splits.

    Args:
      data_dir: the folder that contains jsb_chorales/jsb-chorales-quarter.json; None for $AEJAX_DATA_DIR.
      steps: the length of a window in quarter notes, at least 1.

    Raises:
      UserError: the file does not exist or does not hold chorales, or a window is longer than every chorale of a split.

    Source: N. Boulanger-Lewandowski, Y. Bengio, P. Vincent (2012), Modeling Temporal Dependencies in High-Dimensional
    Sequences; as prepared in github.com/czhuang/JSB-Chorales-dataset.
    """
    path = (data_dir or Path(os.environ.get("AEJAX_DATA_DIR") or ".")) / FILE
    if not path.exists():
        raise UserError(
            f"there is no {path}: fetch {FILE.name} from github.com/czhuang/JSB-Chorales-dataset, and set "
            f"{knob_name('data_dir')} or AEJAX_DATA_DIR to the folder that contains jsb_chorales"
        )
    text = read_text(path, limit=MAX_BYTES)
    try:
        chorales = json.loads(text)
        rolls = [[piano_roll(chorale) for chorale in chorales[name]] for name in _SPLITS]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(f"{path}: does not hold chorales: {error}") from error
    windows = [[window for roll in split for window in windows_of(roll, steps)] for split in rolls]
    if not all(windows):
        raise UserError(f"a window of {steps} steps is longer than every chorale of a split; use a shorter one")
    return Splits(*(Dataset(np.stack(split)) for split in windows))


def piano_roll(notes: list[list[int]]) -> np.ndarray:
    """Returns a piano roll (T, 88), float32, 1 where a key sounds, from the MIDI numbers of each step.

    Raises:
      ValueError: a note is outside the range of a piano.

    >>> np.argwhere(piano_roll([[21], [], [60, 108]])).tolist()
    [[0, 0], [2, 39], [2, 87]]
    """
    roll = np.zeros((len(notes), KEYS), np.float32)
    for step, sounding in enumerate(notes):
        for note in sounding:
            if not 0 <= note - LOWEST_NOTE < KEYS:
                raise ValueError(f"a piano has the notes {LOWEST_NOTE} to {LOWEST_NOTE + KEYS - 1}, got {note}")
            roll[step, note - LOWEST_NOTE] = 1
    return roll


def windows_of(roll: np.ndarray, steps: int) -> np.ndarray:
    """Returns windows (N, steps, ...) of a sequence (T, ...), without overlap; the last incomplete window is dropped.

    >>> windows_of(np.arange(7), 3).tolist()
    [[0, 1, 2], [3, 4, 5]]
    """
    count = len(roll) // steps
    return roll[: count * steps].reshape(count, steps, *roll.shape[1:])


def _load_splits(request: Request, *, window: int) -> Splits:
    return load_jsb_chorales(request.data_dir, steps=window)


SOURCE = Source(
    _load_splits,
    layout="roll",
    name="jsb_chorales",
    knobs=("window",),
    fixed=("validation_fraction", "test_fraction", "split_seed"),
)
