"""Training the same autoencoder again traces and compiles nothing, and gives the same result."""

import jax
import numpy as np
import optax
import pytest

from aejax.autoencoders import Autoencoder, undercomplete
from aejax.networks import MLP
from aejax.training import Snapshot, make_evaluate, start, train

ONE = jax.devices()[:1]
X = np.random.default_rng(0).normal(size=(12, 3)).astype(np.float32)
ADAM = optax.adam(1e-2)


@pytest.fixture
def counted() -> tuple[Autoencoder, list[None]]:
    """An autoencoder, and a list that grows whenever its loss is traced."""
    plain, traces = undercomplete(MLP((2,)), MLP((3,))), []

    def loss(params, key, batch):
        traces.append(None)
        return plain.loss(params, key, batch)

    return plain._replace(loss=loss), traces


def trained(autoencoder: Autoencoder, optimizer=ADAM, seed: int = 0, **settings) -> Snapshot:
    snapshot = start(autoencoder, optimizer, jax.random.key(seed), X[0])
    settings = {"batch_size": 4, "epochs": 2, "devices": ONE} | settings
    for report in train(autoencoder, optimizer, snapshot, X, X[:5], **settings):
        snapshot = report.snapshot
    return jax.device_get(snapshot._replace(state=snapshot.state._replace(key=None)))


@pytest.mark.slow
@pytest.mark.parametrize("streamed", [False, True], ids=["resident", "streamed"])
def test_an_equal_training_traces_nothing_and_gives_the_same_bits(counted, streamed):
    autoencoder, traces = counted
    first = trained(autoencoder, streamed=streamed)
    before = len(traces)
    assert before > 0
    second = trained(autoencoder, streamed=streamed)
    assert len(traces) == before
    jax.tree.map(np.testing.assert_array_equal, first, second)
    trained(autoencoder, streamed=streamed, seed=1, epochs=3)  # another seed and more epochs are the same program
    assert len(traces) == before


@pytest.mark.slow
@pytest.mark.parametrize(
    "other",
    [
        {"optimizer": optax.sgd(1e-2)},
        {"augment": lambda key, x: -x},
        {"accumulation_steps": 2},
        {"devices": jax.devices()[:2]},
        {"streamed": True},
    ],
    ids=lambda other: next(iter(other)),
)
def test_another_training_is_compiled_anew(counted, other):
    autoencoder, traces = counted
    first = trained(autoencoder)
    before = len(traces)
    second = trained(autoencoder, **other)
    assert len(traces) > before
    if "optimizer" in other or "augment" in other:
        assert not np.array_equal(*(jax.tree.leaves(snapshot.state.params)[0] for snapshot in (first, second)))


@pytest.mark.slow
def test_an_equal_evaluation_traces_nothing(counted):
    autoencoder, traces = counted
    params = autoencoder.init(jax.random.key(0), X[0])

    def evaluate() -> dict[str, float]:
        return make_evaluate(autoencoder, batch_size=4, devices=ONE)(params, jax.random.key(1), X)

    first = evaluate()
    before = len(traces)
    assert evaluate() == first
    assert len(traces) == before


@pytest.mark.slow
def test_an_optimizer_that_has_no_hash_is_trained_with(counted):
    class Update:
        __hash__ = None
        __call__ = staticmethod(ADAM.update)

    expected = trained(counted[0])
    unhashable = optax.GradientTransformation(ADAM.init, Update())
    jax.tree.map(np.testing.assert_array_equal, trained(counted[0], unhashable), expected)
