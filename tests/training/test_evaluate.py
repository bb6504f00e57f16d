"""Evaluation is the exact mean over a split, however it is divided."""

from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aejax.autoencoders import as_batch, variational
from aejax.likelihoods import poisson
from aejax.networks import MLP
from aejax.training import make_evaluate
from aejax.training.devices import replicate

AUTOENCODER = variational(MLP(output_shape=(4,)), MLP(output_shape=(5,)))
X = np.random.default_rng(0).uniform(size=(37, 5)).astype(np.float32)
KEY = jax.random.key(1)
PARAMS = jax.jit(AUTOENCODER.init)(jax.random.key(0), jnp.asarray(X[0]))


@pytest.mark.slow_after_first
@pytest.mark.parametrize(("devices", "batch_size"), [(1, 37), (1, 10), (1, 100), (3, 12), (8, 16), (8, 8)])
def test_the_last_partial_batch_counts_exactly(devices: int, batch_size: int) -> None:
    """37 examples, drawn with the noise of their position, against the mean of one batch of all."""
    chosen = jax.local_devices()[:devices]
    evaluate = make_evaluate(AUTOENCODER, batch_size=batch_size, devices=chosen)
    means = evaluate(replicate(PARAMS, chosen), KEY, replicate(X, chosen))
    _, expected = jax.jit(AUTOENCODER.loss)(PARAMS, KEY, as_batch(jnp.asarray(X)))
    assert means.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(means[name], value, rtol=1e-6)


@pytest.mark.slow
def test_padded_calls_evaluate_every_number_of_examples_by_one_compiled_program() -> None:
    devices, traces = jax.local_devices()[:2], []

    def loss(*arguments):
        traces.append(arguments)
        return AUTOENCODER.loss(*arguments)

    counted = AUTOENCODER._replace(loss=loss)
    knobs = {"batch_size": 8, "devices": devices, "streamed": True, "batches_per_call": 2}
    evaluate = make_evaluate(counted, **knobs, padded=True)
    params = replicate(PARAMS, devices)
    for number in (37, 16, 5):
        means = evaluate(params, KEY, X[:number])
        _, expected = jax.jit(AUTOENCODER.loss)(PARAMS, KEY, as_batch(jnp.asarray(X[:number])))
        assert means == pytest.approx({name: float(value) for name, value in expected.items()}, rel=1e-6)
        if number == 37:
            first = len(traces)
    assert len(traces) == first


def test_every_example_weighs_the_same() -> None:
    """Examples of known error: the mean is theirs, not that of batch means."""
    constant = AUTOENCODER._replace(
        loss=lambda params, key, batch: (
            loss := jnp.sum(batch.weight * batch.x[:, 0]) / jnp.maximum(jnp.sum(batch.weight), 1),
            {"loss": loss},
        )
    )
    x = np.arange(5, dtype=np.float32)[:, None]
    evaluate = make_evaluate(constant, batch_size=4, devices=jax.local_devices()[:2])
    assert evaluate(PARAMS, KEY, x) == {"loss": 2.0}


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.int32, np.uint8, np.int64])
def test_counts_of_an_integer_type_are_evaluated(dtype: type, standard_promotion: None) -> None:
    """They are what a Poisson likelihood takes, and a network reads."""
    counts = variational(MLP((2 * 2,)), MLP((5,)), likelihood=poisson())
    x = np.random.default_rng(0).poisson(2.0, (7, 5)).astype(dtype)
    params = jax.jit(counts.init)(jax.random.key(0), x[0].astype(np.float32))
    means = make_evaluate(counts, batch_size=3, devices=jax.devices()[:1])(params, KEY, x)
    np.testing.assert_allclose(means["loss"], jax.jit(counts.loss)(params, KEY, x)[0], rtol=1e-6)


@pytest.fixture
def standard_promotion() -> Iterator[None]:
    with jax.numpy_dtype_promotion("standard"):
        yield
