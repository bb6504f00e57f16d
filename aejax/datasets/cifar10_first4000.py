"""The first 4,000 training images of CIFAR-10, in color and without loss, for machines without the whole data set."""

from pathlib import Path

import numpy as np

from aejax.datasets.arrays import read_entries
from aejax.datasets.data_dir import in_data_dir
from aejax.datasets.dataset import Dataset, Splits, as_dataset, split
from aejax.datasets.source import Request, Source
from aejax.errors import UserError

FILE = Path("cifar10") / "lossless_train_first4000.npz"
SHAPE = (4000, 32, 32, 3)
CLASS_NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def load_cifar10_first4000(data_dir: Path | None = None) -> Dataset:
    """Returns the images (4000, 32, 32, 3) in [0, 1], bytes divided by 255, with their classes, 0 to 9.

    Args:
      data_dir: the folder that contains cifar10/lossless_train_first4000.npz; None for $AEJAX_DATA_DIR.

    Raises:
      UserError: the file does not exist, or does not hold such images.

    Source: A. Krizhevsky (2009), Learning Multiple Layers of Features from Tiny Images.
    """
    origin = f"save the first {SHAPE[0]:,} training images as x and their classes as labels in {FILE.name}"
    path = in_data_dir(FILE, data_dir, origin=origin)
    content = read_entries(path)
    x, labels = content.get("x", np.zeros(0)), content.get("labels")
    if x.shape != SHAPE or x.dtype != np.uint8:
        raise UserError(f"{path}: expected x of bytes (uint8) {SHAPE}, got {x.dtype} of shape {x.shape}")
    return as_dataset(x, labels, name=str(path), byte_values="scaled")._replace(stored=None)


def _load_splits(request: Request) -> Splits:
    return Splits(*split(load_cifar10_first4000(request.data_dir), fractions=request.fractions, seed=request.seed))


SOURCE = Source(
    _load_splits,
    layout="image",
    name="cifar10_first4000",
    class_names=lambda request: dict(enumerate(CLASS_NAMES)),
)
