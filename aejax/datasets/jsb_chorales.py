"""J. S. Bach's chorales as piano rolls: which of a piano's 88 keys sound in each quarter note."""

import json
import os
from pathlib import Path

import numpy as np

from aejax.datasets.dataset import Dataset, Splits
from aejax.datasets.source import Request, Source
from aejax.errors import UserError
from aejax.host.files import read_text

FILE = Path("jsb_chorales") / "jsb-chorales-quarter.json"
KEYS, LOWEST_NOTE = 88, 21  # of a piano; the MIDI number of its lowest A
MAX_BYTES = 2**26  # of the file, which has about 0.5 MB
_PARTS = ("train", "valid", "test")


def load_jsb_chorales(data_dir: Path | None = None, *, steps: int = 16) -> Splits:
    """Windows (N, steps, 88) of 0 and 1 that do not overlap, in the published parts: 229, 76 and 77 chorales.

    What does not fill a window at the end of a chorale is left out; no chorale is in two parts.

    Args:
      data_dir: the folder that holds jsb_chorales/jsb-chorales-quarter.json; None for $AEJAX_DATA_DIR.
      steps: quarter notes of a window, at least 1.

    Raises:
      UserError: no such file, one that is not of chorales, or windows that are longer than every chorale.

    Source: N. Boulanger-Lewandowski, Y. Bengio, P. Vincent (2012), Modeling Temporal Dependencies in High-Dimensional
    Sequences; as prepared in github.com/czhuang/JSB-Chorales-dataset.
    """
    path = (data_dir or Path(os.environ.get("AEJAX_DATA_DIR") or ".")) / FILE
    if not path.exists():
        raise UserError(
            f"there is no {path}: fetch {FILE.name} from github.com/czhuang/JSB-Chorales-dataset, and name the folder "
            "above jsb_chorales by --data-dir or AEJAX_DATA_DIR"
        )
    text = read_text(path, limit=MAX_BYTES)
    try:
        chorales = json.loads(text)
        rolls = [[piano_roll(chorale) for chorale in chorales[part]] for part in _PARTS]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(f"{path}: is not of chorales: {error}") from error
    windows = [[window for roll in part for window in windows_of(roll, steps)] for part in rolls]
    if not all(windows):
        raise UserError(f"no chorale of a part is as long as a window of {steps} steps")
    return Splits(*(Dataset(np.stack(part)) for part in windows))


def piano_roll(notes: list[list[int]]) -> np.ndarray:
    """(T, 88) float32, 1 where a key sounds, from the MIDI numbers of each step.

    Raises:
      ValueError: a note that a piano does not have.

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
    """Windows (N, steps, ...) of a sequence (T, ...), one after another; a rest that does not fill one is left out.

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
