"""What all tests share: 8 simulated devices, strict shapes and dtypes, few but fixed random examples."""

import os
from collections.abc import Iterator

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=8"
os.environ["MPLBACKEND"] = "Agg"

import jax
import jaxtyping
import pytest
from hypothesis import settings

jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_numpy_dtype_promotion", "strict")
settings.register_profile("fixed", max_examples=20, deadline=None, derandomize=True, database=None)
settings.load_profile("fixed")


@pytest.fixture
def float64() -> Iterator[None]:
    """Arrays are of double precision, as an oracle of many digits wants it."""
    with jax.enable_x64(True):
        yield


@pytest.fixture
def without_type_checks() -> Iterator[None]:
    """Signatures are not checked, as in a user's program: what is refused is refused by the function itself."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)
