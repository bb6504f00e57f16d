"""ECG5000: 500 heartbeats, and their splits for an autoencoder that is trained on normal beats only."""

import os
from pathlib import Path

import numpy as np

from aejax.datasets.dataset import Dataset, Splits, as_dataset, split, take
from aejax.datasets.source import Request, Source
from aejax.errors import UserError, knob_name
from aejax.host.files import read_text

FILE = Path("ecg5000") / "ECG5000_TRAIN.txt"
NORMAL = 1  # the class of normal beats; 2 to 5 are abnormal
CLASS_NAMES = {  # of the UCR archive
    1: "normal",
    2: "R-on-T",
    3: "premature",
    4: "supraventricular",
    5: "unclassified",
}
NORMAL_BEATS = 200  # for training and validation together
_SAMPLES = 140
MAX_BYTES = 2**26  # of the file, which has about 1 MB


def load_ecg5000(data_dir: Path | None = None) -> Dataset:
    """Returns beats (500, 140), each of mean 0 and variance 1, with classes: 1 normal (292), 2 to 5 abnormal (208).

    Args:
      data_dir: the folder that contains ecg5000/ECG5000_TRAIN.txt; None for $AEJAX_DATA_DIR.

    Raises:
      UserError: the file does not exist, or its rows are not a class and 140 numbers.

    Source: A. L. Goldberger et al. (2000), PhysioBank, BIDMC Congestive Heart Failure Database, record chf07; as
    prepared by Y. Chen et al. (2015), The UCR Time Series Classification Archive: the training split of ECG5000.
    """
    root = data_dir or Path(os.environ.get("AEJAX_DATA_DIR") or ".")
    path = root / FILE
    if not path.exists():
        raise UserError(
            f"there is no {path}: fetch ECG5000_TRAIN.txt from the UCR archive, and set {knob_name('data_dir')} or "
            "AEJAX_DATA_DIR to the folder that contains ecg5000"
        )
    text = read_text(path, limit=MAX_BYTES)
    try:
        table = np.loadtxt(text.splitlines(), ndmin=2)
    except ValueError as error:
        raise UserError(f"{path}: cannot be read as rows of numbers: {error}") from error
    if table.shape[1] != 1 + _SAMPLES:
        raise UserError(f"{path}: expected a class and {_SAMPLES} numbers per row, got {table.shape[1]} columns")
    return as_dataset(table[:, 1:], table[:, 0].astype(np.int32), name=str(path))


def normal_beats(beats: Dataset, *, validation_fraction: float, seed: int) -> Splits:
    """Returns splits with 200 random normal beats for training and validation, and all other beats for the test.

    Args:
      beats: the beats of `load_ecg5000`.
      validation_fraction: the fraction of the 200 that is for validation, in (0, 1).
      seed: the seed of the choice of the 200 and of their split.

    Raises:
      UserError: there are at most 200 normal beats.

    >>> beats = Dataset(np.zeros((500, 140), np.float32), np.repeat([1, 2], [292, 208]))
    >>> [len(split.x) for split in normal_beats(beats, validation_fraction=0.2, seed=0)]
    [160, 40, 300]
    """
    assert beats.labels is not None
    normal = np.flatnonzero(beats.labels == NORMAL)
    if len(normal) <= NORMAL_BEATS:
        raise UserError(
            f"{len(normal)} normal beats are too few: {NORMAL_BEATS} are for training, and the test needs others"
        )
    chosen = np.random.default_rng(seed).permutation(normal)[:NORMAL_BEATS]
    rest = np.setdiff1d(np.arange(len(beats.x)), chosen)
    train, validation = split(take(beats, np.sort(chosen)), fractions=(validation_fraction,), seed=seed)
    return Splits(train, validation, take(beats, rest))


def _load_splits(request: Request) -> Splits:
    beats = load_ecg5000(request.data_dir)
    return normal_beats(beats, validation_fraction=request.validation_fraction, seed=request.seed)


SOURCE = Source(
    _load_splits,
    layout="series",
    name="ecg5000",
    fixed=("test_fraction",),
    normal="normal beats",
    class_names=lambda request: CLASS_NAMES,
)
