"""The digits that come with the package: known counts, known range."""

import numpy as np
from sklearn import datasets

from aejax.datasets.digits import load_digits


def test_images_are_gray_in_sixteenths():
    x = load_digits().x
    assert x.shape == (1797, 8, 8, 1)
    assert x.dtype == np.float32
    assert (x.min(), x.max()) == (0, 1)
    np.testing.assert_array_equal(16 * x, np.round(16 * x))


def test_labels_have_the_counts_of_the_source():
    labels = load_digits().labels
    assert labels.dtype == np.int32
    assert np.bincount(labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]


def test_labels_belong_to_the_images():
    """The mean images of the classes tell nine digits in ten."""
    x, labels, *_ = load_digits()
    means = np.stack([x[labels == digit].mean(axis=0) for digit in range(10)])
    nearest = np.square(x[:, None] - means[None]).sum(axis=(2, 3, 4)).argmin(axis=1)
    assert np.mean(nearest == labels) > 0.85


def test_they_are_what_scikit_learn_loads():
    digits, (x, labels, *_) = datasets.load_digits(), load_digits()
    np.testing.assert_array_equal(x[..., 0], digits.images.astype(np.float32) / 16)
    np.testing.assert_array_equal(labels, digits.target)
