"""Codes whose scores are known."""

import numpy as np
import pytest


@pytest.fixture
def grid() -> np.ndarray:
    """All 8 x 4 x 2 values of three independent factors, each 8 times, in random order: (512, 3)."""
    axes = np.meshgrid(range(8), range(4), range(2), indexing="ij")
    return np.random.default_rng(1).permutation(np.stack(axes, axis=-1).reshape(-1, 3).repeat(8, axis=0))


@pytest.fixture
def independent(grid: np.ndarray) -> np.ndarray:
    """Codes (512, 4) that know nothing of the factors."""
    return np.random.default_rng(2).normal(size=(len(grid), 4))
