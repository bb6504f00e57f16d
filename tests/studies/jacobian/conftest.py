"""Fixtures of the study: a small autoencoder with random weights, and members with given values."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import PyTree

from aejax.autoencoders import Autoencoder, tied
from aejax.studies.jacobian.measure import RADII, Curves, Measurement
from aejax.studies.jacobian.methods import plain_experiment
from aejax.studies.jacobian.settings import Study
from aejax.studies.sweeps.members import Member
from aejax.studies.sweeps.plan import Setting
from aejax.studies.sweeps.table import Summary, summarize

SHAPE, UNITS = (4, 3), 7


@pytest.fixture(autouse=True)
def dtype_promotion():
    """In place of the strict one: Optax's steps mix integer counts with floats."""
    with jax.numpy_dtype_promotion("standard"):
        yield


@pytest.fixture(scope="session")
def plain() -> Autoencoder:
    return tied(SHAPE, (UNITS,))


@pytest.fixture(scope="session")
def examples() -> np.ndarray:
    return np.random.default_rng(0).uniform(size=(40, *SHAPE)).astype(np.float32)


@pytest.fixture(scope="session")
def params(plain: Autoencoder, examples: np.ndarray) -> PyTree:
    return jax.tree.map(
        lambda leaf: jnp.asarray(np.random.default_rng(leaf.size).normal(size=leaf.shape), leaf.dtype),
        plain.init(jax.random.key(0), jnp.asarray(examples[0])),
    )


@pytest.fixture(scope="session")
def layer(params: PyTree) -> tuple[np.ndarray, np.ndarray]:
    """Weights (inputs, units) and bias in float64."""
    return np.asarray(params["weights"][0], np.float64), np.asarray(params["encoder_biases"][0], np.float64)


@pytest.fixture(scope="session")
def setting() -> Callable[[str, float], Setting]:
    return lambda method, strength: Setting({"method": method, "strength": strength}, plain_experiment(Study()))


@pytest.fixture(scope="session")
def member() -> Callable[..., Member]:
    """`member(setting, seed, factor, name=value, ...)`; other values are 0, and curves have this factor."""

    def make(setting: int, seed: int, factor: float = 1.0, **values: float) -> Member:
        curves = Curves(np.array([4.0, 2.0, 1.0]) * factor, np.linspace(1, 0.5, len(RADII)) * factor)
        measurement = Measurement(*[0.0] * len(Measurement._fields))._replace(**values)
        return Member(setting, seed, 1, 0, measurement._asdict(), {**curves._asdict(), "weights": np.ones((12, UNITS))})

    return make


@pytest.fixture(scope="session")
def settings(setting: Callable[[str, float], Setting]) -> list[Setting]:
    return [setting("ae", 0.0), setting("cae", 0.1), setting("cae", 1.0)]


@pytest.fixture(scope="session")
def members(member: Callable[..., Member]) -> list[Member]:
    return [
        member(0, 0, jacobian_norm=4.0, validation_probe_error_percent=3.0),
        member(0, 1, 2.0, jacobian_norm=6.0, validation_probe_error_percent=3.0),
        member(1, 0, 1.1, jacobian_norm=1.0, validation_probe_error_percent=2.0, probe_error_percent=9.0),
        member(1, 1, 2.1, jacobian_norm=2.0, validation_probe_error_percent=2.0, probe_error_percent=9.0),
        member(2, 0, 2.0, jacobian_norm=0.5, validation_probe_error_percent=1.0),
        member(2, 1, 3.0, jacobian_norm=0.5, validation_probe_error_percent=4.0),
    ]


@pytest.fixture(scope="session")
def summaries(settings: list[Setting], members: list[Member]) -> list[Summary]:
    return summarize(settings, members)
