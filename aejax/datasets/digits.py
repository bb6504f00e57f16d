"""1,797 handwritten digits of 8x8 pixels that come with scikit-learn: real data with nothing to fetch."""

import numpy as np

from aejax.datasets.dataset import Dataset, as_dataset


def load_digits() -> Dataset:
    """Gray images (1797, 8, 8, 1) in [0, 1], in steps of 1/16, and their digits.

    Source: E. Alpaydin, C. Kaynak (1998), Optical Recognition of Handwritten Digits, UCI Machine Learning Repository
    (its test part, of 13 writers who are not in its training part).

    >>> load_digits().x.shape
    (1797, 8, 8, 1)
    """
    from sklearn import datasets  # takes a second to import

    digits = datasets.load_digits()
    return as_dataset(digits.images[..., None] / 16.0, digits.target.astype(np.int32), name="digits")
