"""Frey faces: 1,965 gray images of one man's face in the order of a film, shuffled or not before they are divided."""

from pathlib import Path

import numpy as np

from aejax.datasets.arrays import read_entries
from aejax.datasets.data_dir import in_data_dir
from aejax.datasets.dataset import Dataset, Splits, as_dataset, take
from aejax.datasets.division import SplitOrder
from aejax.datasets.source import Request, Source
from aejax.errors import UserError

FILE = Path("frey_faces") / "frey_faces_uint8.npy"
SHAPE = (1965, 28, 20)
_SIZES = (1565, 200, 200)  # of the splits


def load_frey_faces(data_dir: Path | None = None) -> Dataset:
    """Returns the images (1965, 28, 20, 1) in [0, 1], bytes divided by 255, in the order of the film.

    Args:
      data_dir: the folder that contains frey_faces/frey_faces_uint8.npy; None for $AEJAX_DATA_DIR.

    Raises:
      UserError: the file does not exist, or does not hold such images.

    Source: images of B. Frey, distributed by S. Roweis; as prepared in github.com/jmtomczak/vae_vampprior.
    """
    path = in_data_dir(FILE, data_dir, origin=f"save the {SHAPE[0]:,} images, bytes {SHAPE}, as {FILE.name}")
    x = read_entries(path)["x"]
    if x.shape != SHAPE or x.dtype != np.uint8:
        raise UserError(f"{path}: expected bytes (uint8) of shape {SHAPE}, got {x.dtype} of shape {x.shape}")
    return as_dataset(x[..., None], name=str(path), byte_values="scaled")._replace(stored=None)


def divide_faces(faces: Dataset, *, order: SplitOrder, seed: int) -> Splits:
    """Returns 1,565 training, 200 validation and 200 test images.

    Args:
      faces: the images of `load_frey_faces`.
      order: random: shuffled first, as in the literature; then neighbors in the film are in different splits, so the
        test images resemble training images more than new ones would. ascending: the film in three pieces.
      seed: of the shuffle, by NumPy's older generator, as in github.com/riannevdberg/sylvester-flows, where it is 123.

    >>> splits = divide_faces(Dataset(np.arange(1965)), order="random", seed=123)
    >>> [len(split.x) for split in splits], splits.test.x[:3].tolist()
    ([1565, 200, 200], [471, 1464, 1785])
    """
    places = np.arange(sum(_SIZES)) if order == "ascending" else np.random.RandomState(seed).permutation(sum(_SIZES))
    return Splits(*(take(faces, part) for part in np.split(places, np.cumsum(_SIZES[:-1]))))


def _load_splits(request: Request, *, split_order: SplitOrder) -> Splits:
    return divide_faces(load_frey_faces(request.data_dir), order=split_order, seed=request.seed)


SOURCE = Source(
    _load_splits,
    layout="image",
    name="frey_faces",
    knobs=("split_order",),
    fixed=("validation_fraction", "test_fraction"),
)
