"""Codes of many examples, in memory and in files."""

import jax
import numpy as np
import pytest

from aejax.autoencoders import conditional, undercomplete
from aejax.datasets.stored import FileRows, StoredArray
from aejax.evaluation import encode_all, reconstruct_all, representation
from aejax.networks import MLP

X = np.random.default_rng(0).uniform(size=(23, 5)).astype(np.float32)
CLASSES = np.arange(23, dtype=np.int32) % 3


@pytest.mark.slow
@pytest.mark.parametrize("function", [encode_all, reconstruct_all])
def test_examples_in_a_file_are_mapped_some_at_a_time(tmp_path, monkeypatch, function) -> None:
    monkeypatch.setattr(representation, "_STORED_CHUNK", 10)
    autoencoder = conditional(undercomplete(MLP((2,), (6,)), MLP((5,))), classes=3)
    params = jax.jit(autoencoder.init)(jax.random.key(0), X[0], CLASSES[0])
    np.save(tmp_path / "x.npy", X)
    stored, read = StoredArray(FileRows(np.load(tmp_path / "x.npy", mmap_mode="r"))), []
    original = StoredArray._read
    monkeypatch.setattr(StoredArray, "_read", lambda self, rows: read.append(len(rows)) or original(self, rows))
    expected = function(autoencoder, params, X, CLASSES, batch_size=4)
    np.testing.assert_allclose(function(autoencoder, params, stored, CLASSES, batch_size=4), expected, rtol=1e-6)
    assert read == [10, 10, 3]
