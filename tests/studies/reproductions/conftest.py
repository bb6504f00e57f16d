"""Runs as users train them."""

from collections.abc import Iterator

import jax
import pytest


@pytest.fixture(autouse=True)
def dtype_promotion() -> Iterator[None]:
    """In place of the strict one: Optax mixes integer counts with floats."""
    with jax.numpy_dtype_promotion("standard"):
        yield
