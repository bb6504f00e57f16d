"""Stacked autoencoders: layers are those of autoencoders, classifiers learn, the best epoch is kept."""

from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aejax.studies.stacked import Layer, error_rate, fine_tune, logits, pretrain, random_layers

RNG = np.random.default_rng(0)
CENTERS = np.array([[0.1, 0.9, 0.1], [0.9, 0.1, 0.1], [0.1, 0.1, 0.9]], np.float32)
LABELS = RNG.integers(0, 3, 400).astype(np.int32)
X = np.clip(CENTERS[LABELS] + RNG.normal(scale=0.05, size=(400, 3)), 0, 1).astype(np.float32)
TRAIN, VALIDATION = (X[:300], LABELS[:300]), (X[300:], LABELS[300:])


@pytest.fixture(autouse=True)
def dtype_promotion() -> Iterator[None]:
    """In place of the strict one: Optax mixes integer counts with floats."""
    with jax.numpy_dtype_promotion("standard"):
        yield


def test_logits_are_a_network_of_sigmoid_layers():
    layers = [Layer(layer.weights, layer.bias + 0.5) for layer in random_layers(jax.random.key(0), (3, 4, 2))]
    (first, bias), (second, last_bias) = (map(np.asarray, layer) for layer in layers)
    hidden = 1 / (1 + np.exp(-(X[0] @ first + bias)))
    np.testing.assert_allclose(logits(layers, X[0]), hidden @ second + last_bias, rtol=1e-5)


def test_the_error_rate_counts_the_largest_logits():
    layers = [Layer(jnp.eye(3), jnp.zeros(3))]  # the largest number of x is its class
    truth = np.argmax(X, axis=1)
    assert error_rate(layers, X, truth) == 0
    assert error_rate(layers, X, (truth + 1) % 3) == 1
    assert error_rate(layers, X[:4], np.where(np.arange(4) < 1, truth[:4], 3)) == 0.75


def test_fine_tuning_learns_and_keeps_the_layers_that_it_was_given():
    layers = random_layers(jax.random.key(0), (3, 8))
    before = np.array(layers[0].weights)
    tuned = fine_tune(
        jax.random.key(1), layers, TRAIN, VALIDATION, classes=3, epochs=20, batch_size=20, learning_rate=1e-2
    )
    assert tuned.validation_error == error_rate(tuned.layers, *VALIDATION) == 0
    np.testing.assert_array_equal(layers[0].weights, before)


def test_the_epoch_with_the_fewest_errors_is_kept():
    """Labels of validation examples that the training contradicts: every epoch is worse than none or equal to it."""
    seen: list[float] = []
    wrong = VALIDATION[0], (VALIDATION[1] + 1) % 3
    tuned = fine_tune(
        jax.random.key(1),
        random_layers(jax.random.key(0), (3, 8)),
        TRAIN,
        wrong,
        classes=3,
        epochs=8,
        batch_size=20,
        learning_rate=1e-2,
        on_epoch=lambda epoch, error: seen.append(error),
    )
    assert len(seen) == 8
    assert tuned.validation_error <= min(seen)
    assert tuned.validation_error == error_rate(tuned.layers, *wrong)


@pytest.mark.slow
def test_every_layer_is_trained_on_the_codes_of_the_layers_before():
    arguments = (jax.random.key(0), X[:300], X[300:])
    options = {"masked": 0.25, "epochs": 3, "batch_size": 50}
    both, first = pretrain(*arguments, (5, 4), **options), pretrain(*arguments, (5,), **options)
    assert [layer.weights.shape for layer in both] == [(3, 5), (5, 4)]
    np.testing.assert_array_equal(both[0].weights, first[0].weights)
    plain = pretrain(*arguments, (5,), **{**options, "masked": 0.0})
    assert not np.array_equal(plain[0].weights, first[0].weights)
