"""The error of PCA as a baseline, of ordered data."""

from types import SimpleNamespace

import numpy as np
import pytest

from aejax.datasets.dataset import Dataset, Splits
from aejax.experiment.reconstruction_error import pca_error


def test_pca_is_fitted_to_examples_of_all_classes():
    """Of examples ordered by class, the first 10,000 vary in one direction, and those of the other class in two."""
    generator = np.random.default_rng(0)
    classes = [generator.normal(size=(12_000, rank)) @ generator.normal(size=(rank, 12)) for rank in (1, 2)]
    x = np.concatenate(classes).astype(np.float32)
    test = Dataset(x[::100])
    facts = SimpleNamespace(columns=None, lengths=None)
    run = SimpleNamespace(facts=facts, splits=Splits(Dataset(x), test, test), example_shape=(12,), code_shape=(3,))
    assert pca_error(run) == pytest.approx(0, abs=1e-10)
