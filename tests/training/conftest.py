"""Training's tests run Optax, whose own steps mix integer counts with floats."""

from collections.abc import Iterator

import jax
import pytest


@pytest.fixture(autouse=True)
def dtype_promotion() -> Iterator[None]:
    """In place of the strict one."""
    with jax.numpy_dtype_promotion("standard"):
        yield
