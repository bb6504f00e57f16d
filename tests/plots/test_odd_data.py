"""Figures of constant, single, few and extreme numbers: drawn without an error, and without a warning of Matplotlib."""

import io
import warnings
from collections.abc import Callable

import numpy as np
import pytest
from matplotlib.figure import Figure

from aejax import plots
from aejax.autoencoders import Term

RNG = np.random.default_rng(0)
VALUES: dict[str, Callable[..., np.ndarray]] = {
    "zeros": np.zeros,
    "ones": np.ones,
    "a large constant": lambda shape: np.full(shape, 1e30),
    "a negative constant": lambda shape: np.full(shape, -3.0),
    "tiny numbers": lambda shape: RNG.normal(size=shape) * 1e-40,
    "large numbers": lambda shape: RNG.normal(size=shape) * 1e37,
    "largest floats": lambda shape: np.where(RNG.random(shape) < 0.5, -3.4e38, 3.4e38),
    "one differs": lambda shape: (np.arange(np.prod(shape)).reshape(shape) == 0).astype(float),
    "single precision": lambda shape: np.full(shape, 0.1, np.float32),
    "close to each other": lambda shape: 1.0 + 1e-16 * RNG.random(shape),
}


FAST = ("zeros",)
NAMES = [name if name in FAST else pytest.param(name, marks=pytest.mark.slow) for name in VALUES]


def drawn(figure: Figure) -> None:
    figure.savefig(io.BytesIO(), format="png", dpi=20)


@pytest.fixture(autouse=True)
def no_warnings():
    with warnings.catch_warnings(action="error"):
        yield


@pytest.mark.slow_after_first
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("count", [1, 7])
def test_codes(name: str, count: int) -> None:
    make = VALUES[name]
    for width in (1, 3):
        for labels in (None, np.arange(count) * 10**9):
            drawn(plots.latent_space(make((count, width)), labels))
    drawn(plots.embeddings({"a": make((count, 2))}, np.zeros(count), title="t"))
    drawn(plots.kl_per_unit(make((count,))))


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("count", [1, 3])
def test_scores(name: str, count: int) -> None:
    make = VALUES[name]
    for truth in (None, np.arange(count) == 0, np.zeros(count, bool), np.ones(count, bool)):
        for threshold in (float(make((1,))[0]), 3.4e38):
            drawn(plots.anomaly_scores(make((count,)), make((count,)), truth, threshold=threshold, unit="u"))


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_examples(name: str) -> None:
    make = VALUES[name]
    for shape in ((4, 4, 3), (5,), (1,)):
        examples = make((2, 3, *shape))
        limits = float(examples.min()), float(examples.max())
        drawn(plots.reconstructions({"a": examples[0], "b": examples[1]}))
        drawn(plots.gallery(examples, limits=limits, title="t", rows=("a", "b"), columns=("c", "d", "e")))
    curves = make((2, 5))
    plots.frames_of_vectors(curves, originals=curves[:1])
    drawn(plots.piano_rolls({"a": make((2, 4, 88)), "b": make((1, 4, 88))}, lowest_note=21))


@pytest.mark.slow_after_first
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("count", [0, 1, 30])
def test_curves(name: str, count: int) -> None:
    values = VALUES[name]((3, max(count, 1)))
    records = [
        {"epoch": float(k), "validation/loss": float(v), "train/loss": float(w), "validation/kl": float(u)}
        for k, (v, w, u) in enumerate(values.T[:count])
    ]
    if count == 30:
        del records[3]["validation/kl"], records[4]["validation/loss"]
    drawn(plots.training_curves(records, best_epoch=0, term_of=lambda name: Term(name, name, name)))
    bits = np.abs(values[0]) + 1e-30
    drawn(plots.rate_distortion({"a": (bits.tolist(), values[1].tolist())}, title="t"))


def test_a_code_of_many_units_is_drawn_in_a_moment() -> None:
    drawn(plots.kl_per_unit(RNG.random(100_000)))
