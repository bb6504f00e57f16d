"""The handwritten digits of scikit-learn, 1,797 images of 8x8 pixels: real data without a download."""

import importlib.util
from pathlib import Path

import numpy as np

from aejax.datasets.dataset import Dataset, Splits, as_dataset, split
from aejax.datasets.source import Request, Source

_TABLE = "datasets/data/digits.csv.gz"  # in scikit-learn's package: 64 pixels from 0 to 16 and the digit in each line


def load_digits() -> Dataset:
    """Returns gray images (1797, 8, 8, 1) in [0, 1], in steps of 1/16, with the digits as labels.

    Source: E. Alpaydin, C. Kaynak (1998), Optical Recognition of Handwritten Digits, UCI Machine Learning Repository
    (its test split, of 13 writers who are not in its training split).

    >>> load_digits().x.shape
    (1797, 8, 8, 1)
    """
    package = importlib.util.find_spec("sklearn")
    assert package is not None
    assert package.origin is not None
    # read as by sklearn.datasets.load_digits, but without the import of sklearn.datasets, which takes a second
    table = np.loadtxt(Path(package.origin).parent / _TABLE, delimiter=",")
    return as_dataset(table[:, :-1].reshape(-1, 8, 8, 1) / 16.0, table[:, -1].astype(np.int32), name="digits")


def _load_splits(request: Request) -> Splits:
    return Splits(*split(load_digits(), fractions=request.fractions, seed=request.seed))


SOURCE = Source(_load_splits, layout="image", name="digits", is_embedded=True)
