"""Reconstructions put back into a network, whose losses are known in closed form."""

from collections.abc import Iterator
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aejax.autoencoders import Autoencoder, undercomplete
from aejax.cli.study_dictionary_activations import main
from aejax.errors import UserError
from aejax.evaluation.dictionaries import loss_recovered
from aejax.networks import Network
from aejax.studies.dictionaries.spliced import RestOfNetwork, open_network, recover

RNG = np.random.default_rng(0)
CONTEXTS = RNG.normal(size=(11, 4, 3)).astype(np.float32)
CONTEXTS[:, 0] *= 1000  # first positions
TARGETS = CONTEXTS.astype(np.float64)
# The loss of a context is the squared distance of its stream from the true one, which it is told by number.
PROGRAM = """
import numpy as np

TARGETS = np.load({targets!r})

def next_token_losses(activations, number):
    return 2.0 + np.sum(np.square(activations - TARGETS[number]), axis=(1, 2))
"""


@pytest.fixture(autouse=True)
def dtype_promotion() -> Iterator[None]:
    """In place of the strict one: Optax mixes integer counts with floats."""
    with jax.numpy_dtype_promotion("standard"):
        yield


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    np.save(tmp_path / "targets.npy", TARGETS)
    np.save(tmp_path / "contexts.npy", CONTEXTS)
    program = tmp_path / "rest.py"
    program.write_text(PROGRAM.format(targets=str(tmp_path / "targets.npy")), encoding="utf-8")
    return program, tmp_path / "contexts.npy"


def opened(files: tuple[Path, Path]) -> RestOfNetwork:
    return open_network(*files, skip_positions=1, max_norm=None)


def scaled(factor: float) -> Autoencoder:
    """Returns an autoencoder whose reconstruction is `factor` times the example."""

    def times(factor: float) -> Network:
        return Network(lambda key, x: {}, lambda params, x: jnp.asarray(factor, x.dtype) * x)

    return undercomplete(times(1.0), times(factor))


def test_ablations_replace_what_is_kept_alone(files):
    network = opened(files)
    kept = TARGETS[:, 1:]
    assert network.clean == pytest.approx(2)
    assert network.zero == pytest.approx(2 + np.sum(kept**2) / 11)
    assert network.mean == pytest.approx(2 + np.sum((kept - kept.mean((0, 1))) ** 2) / 11)


@pytest.mark.parametrize("factor", [1.0, 0.5, 0.0, -1.0])
def test_the_loss_recovered_is_that_of_the_scaled_stream(files, factor):
    network, autoencoder = opened(files), scaled(factor)
    params = autoencoder.init(jax.random.key(0), jnp.zeros(3))
    found = recover(network, autoencoder, params)
    assert found.loss == pytest.approx(2 + (1 - factor) ** 2 * np.sum(TARGETS[:, 1:] ** 2) / 11, rel=1e-5)
    assert found.over_zero == pytest.approx(1 - (1 - factor) ** 2, abs=1e-5)


def test_a_bound_of_norms_keeps_large_activations(files):
    network = open_network(*files, skip_positions=0, max_norm=100)
    assert not network.is_replaced[:, 0].any()
    assert network.is_replaced[:, 1:].all()


def test_an_ablation_without_effect_recovers_no_number():
    assert np.isnan(loss_recovered(1.0, clean=2.0, ablated=2.0))


@pytest.mark.parametrize(
    ("program", "contexts", "expected"),
    [
        ("x = 1", CONTEXTS, "expected a function next_token_losses"),
        (None, CONTEXTS[0], r"expected activations \(contexts, positions, features\)"),
        ("import numpy as np\ndef next_token_losses(a, n): return np.full(2, np.nan)", CONTEXTS, "NaN or infinite"),
        ("import numpy as np\ndef next_token_losses(a, n): return np.zeros(0)", CONTEXTS, "returned no loss"),
    ],
)
def test_what_cannot_be_measured_is_one_line(files, program, contexts, expected):
    if program is not None:
        files[0].write_text(program, encoding="utf-8")
    np.save(files[1], contexts)
    with pytest.raises(UserError, match=expected):
        opened(files)


def test_no_position_left_is_one_line(files):
    with pytest.raises(UserError, match="no activation is replaced"):
        open_network(*files, skip_positions=4, max_norm=None)


def test_a_network_needs_contexts(files, tmp_path):
    with pytest.raises(UserError, match="give both or neither"):
        main(["--dataset", str(files[1]), "--rest-of-network", str(files[0]), "--run-dir", str(tmp_path / "study")])


@pytest.mark.slow
def test_the_verb_prints_the_loss_recovered(files, tmp_path, capsys):
    rows = tmp_path / "rows"
    rows.mkdir()
    np.save(rows / "x.npy", RNG.normal(size=(60, 4, 3)).astype(np.float32))
    words = [
        "--dataset",
        str(rows),
        "--skip-positions",
        "1",
        "--rest-of-network",
        str(files[0]),
        "--contexts",
        str(files[1]),
    ]
    size = ["--families", "top_k", "--strengths", "2", "--code-size", "8", "--epochs", "2", "--batch-size", "32"]
    main([*words, *size, "--run-dir", str(tmp_path / "study")])
    assert "recovered" in (tmp_path / "study" / "report.txt").read_text(encoding="utf-8")
    assert "the network's loss is 2.000 nats" in capsys.readouterr().out
