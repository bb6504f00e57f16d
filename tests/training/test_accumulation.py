"""Gradients of a batch in parts are those of the whole batch, noise included, wherever that can be."""

from collections.abc import Callable
from functools import partial

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from aejax.autoencoders import (
    Autoencoder,
    Examples,
    conditional,
    contractive,
    contractive_by_projections,
    denoising,
    importance_weighted,
    k_sparse,
    mmd_regularized,
    part_names,
    sparse,
    sparse_kl,
    total_correlation_penalized,
    undercomplete,
    variational,
)
from aejax.corruption import salt_and_pepper
from aejax.errors import UserError
from aejax.networks import MLP, ConvDecoder, ConvEncoder
from aejax.priors import mixture_prior, vamp_prior
from aejax.training import start, train
from aejax.training.accumulation import check_accumulation

SHAPE, NUMBER, BATCH = (6, 5, 1), 64, 16
X = np.random.default_rng(0).uniform(size=(NUMBER, *SHAPE)).astype(np.float32)
CLASSES = np.arange(NUMBER, dtype=np.int32) % 3


def mlps(code_size: int) -> tuple[MLP, MLP]:
    return MLP((code_size,), (12,)), MLP(SHAPE, (12,))


FAMILIES: dict[str, Callable[[], Autoencoder]] = {
    "undercomplete": lambda: undercomplete(*mlps(3)),
    "convolutional": lambda: undercomplete(ConvEncoder(features=(4,)), ConvDecoder(shape=SHAPE, features=(4,))),
    "variational": lambda: variational(*mlps(6)),
    "denoising": lambda: denoising(undercomplete(*mlps(3)), corrupt=partial(salt_and_pepper, amount=0.3)),
    "contractive": lambda: contractive(undercomplete(*mlps(3)), weight=0.1),
    "sparse": lambda: sparse(undercomplete(*mlps(40)), weight=0.1),
    "k-sparse": lambda: k_sparse(*mlps(40), k=5),
    "importance weighted": lambda: importance_weighted(variational(*mlps(6)), samples=5),
    "mixture prior": lambda: variational(*mlps(6), prior=mixture_prior(10)),
    "pseudo-inputs": lambda: variational(*mlps(6), prior=vamp_prior(jnp.asarray(X[:4]))),
    "conditional": lambda: conditional(variational(*mlps(6)), classes=3),
    "projections": lambda: contractive_by_projections(undercomplete(*mlps(3)), weight=0.1),
}


def learn(autoencoder: Autoencoder, *, devices: int = 1, **options):
    """Parameters and evaluation after 8 steps, the training metrics of all of them among it."""
    conditions = (CLASSES,) if "conditional" in part_names(autoencoder.parts) else ()
    examples = Examples(X, None, *conditions)
    optimizer = optax.adam(1e-2)
    snapshot = start(autoencoder, optimizer, jax.random.key(0), X[0], *(c[0] for c in conditions))
    chosen = {"batch_size": BATCH, "epochs": 2, "evaluate_every": 2, "devices": jax.local_devices()[:devices]}
    for report in train(autoencoder, optimizer, snapshot, examples, examples, **chosen, **options):
        last = report
    return jax.device_get(last.snapshot.state.params), last.evaluation


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_accumulated_gradients_are_those_of_the_whole_batch(family: str) -> None:
    whole = learn(FAMILIES[family]())
    ways = [(2, {"accumulation_steps": 2, "streamed": True}), (1, {"accumulation_steps": 4})]
    for devices, options in ways if family == "variational" else ways[:1]:
        parts = learn(FAMILIES[family](), devices=devices, **options)
        chex.assert_trees_all_close(parts, whole, atol=1e-5, rtol=1e-5)


COUPLED = {
    "sparse_kl computes the mean activation": lambda: sparse_kl(undercomplete(*mlps(3)), weight=1.0, rho=0.1),
    "free_bits computes the mean divergence": lambda: variational(*mlps(6), free_bits=0.1),
    "mmd_regularized computes the distance": lambda: mmd_regularized(undercomplete(*mlps(3)), weight=1.0),
    "total_correlation_penalized computes the density": lambda: total_correlation_penalized(
        variational(*mlps(6)), weight=1.0, examples=NUMBER
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("reason", COUPLED)
def test_what_is_coupled_through_the_batch_is_refused_with_the_reason(reason: str) -> None:
    autoencoder = COUPLED[reason]()
    check_accumulation(autoencoder, 1)
    with pytest.raises(UserError, match=f"accumulation_steps: {reason}"):
        learn(autoencoder, accumulation_steps=2)


@pytest.mark.slow
def test_parts_of_a_coupled_loss_would_be_another_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    """Why it is refused: without the refusal the parameters differ."""
    monkeypatch.setattr("aejax.training.loop.check_accumulation", lambda *_: None)
    (whole, _), (parts, _) = (
        learn(mmd_regularized(undercomplete(*mlps(3)), weight=50.0), accumulation_steps=n) for n in (1, 4)
    )
    assert max(np.abs(a - b).max() for a, b in zip(*map(jax.tree.leaves, (whole, parts)), strict=True)) > 1e-3


@pytest.mark.slow
@pytest.mark.parametrize(
    ("steps", "message"), [(0, "at least 1, got 0"), (3, "2 devices times 3 .*: 12 or 18, got 16")]
)
def test_parts_that_do_not_divide_are_refused(steps: int, message: str) -> None:
    with pytest.raises(UserError, match=message):
        learn(undercomplete(*mlps(3)), devices=2, accumulation_steps=steps)
