"""Augmentations: what they make of an image by SciPy, how often each, that they are kept out of evaluation."""

from functools import partial

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from aejax.augmentation import binarize, dequantize, one_after_another, shift
from aejax.autoencoders import Examples, denoising, undercomplete
from aejax.corruption import masking
from aejax.networks import MLP
from aejax.training import start, train

SHAPE = (5, 4, 2)
X = np.random.default_rng(0).uniform(size=(64, *SHAPE)).astype(np.float32)


def every_shift(x, pixels):
    """The image moved by every distance, by SciPy."""
    distances = range(-pixels, pixels + 1)
    still = (0,) * (x.ndim - 2)
    return [ndimage.shift(x, (a, b, *still), order=0, mode="nearest") for a in distances for b in distances]


@pytest.mark.slow
@given(
    sides=st.tuples(st.integers(2, 7), st.integers(2, 7)),
    channels=st.sampled_from([(), (1,), (3,)]),
    dtype=st.sampled_from([np.float32, np.int32]),
    seed=st.integers(0, 2**31),
    data=st.data(),
)
def test_a_shift_is_one_of_scipys(sides, channels, dtype, seed, data):
    pixels = data.draw(st.integers(1, min(sides) - 1))
    x = np.random.default_rng(seed).integers(0, 1000, (*sides, *channels)).astype(dtype)
    moved = shift(jax.random.key(seed), jnp.asarray(x), pixels=pixels)
    assert moved.dtype == dtype
    assert any(np.array_equal(moved, expected) for expected in every_shift(x, pixels))


@pytest.mark.slow
def test_every_distance_is_as_frequent_as_any_other():
    """Of 10,000 shifts by up to 2 pixels, each of the 25 within 5 standard deviations."""
    number, probability = 10_000, 1 / 25
    x = jnp.arange(42.0).reshape(6, 7)
    keys = jax.random.split(jax.random.key(0), number)
    moved = np.asarray(jax.jit(jax.vmap(partial(shift, pixels=2), in_axes=(0, None)))(keys, x))
    counts = np.array([np.all(moved == expected, axis=(1, 2)).sum() for expected in every_shift(np.asarray(x), 2)])
    assert counts.sum() == number
    assert np.abs(counts - number * probability).max() < 5 * np.sqrt(number * probability * (1 - probability))


@pytest.mark.parametrize(
    ("pixels", "error", "message"),
    [
        (3, ValueError, r"pixels must be less than the sides of the image, \(3, 4\), got 3"),
        (0, ValueError, "pixels must be at least 1, got 0"),
        (0.5, TypeError, "pixels"),
    ],
)
def test_a_distance_out_of_range(pixels, error, message):
    with pytest.raises(error, match=message):
        shift(jax.random.key(0), jnp.ones((3, 4)), pixels=pixels)


BY_ONE = partial(shift, pixels=1)


PLAIN = undercomplete(MLP((3,), (6,)), MLP(SHAPE, (6,)))
DENOISING = denoising(PLAIN, corrupt=partial(masking, amount=0.2))


def learn(autoencoder=DENOISING, devices=1, augment=BY_ONE, learning_rate=1e-2, **knobs):
    """The reports of 3 epochs."""
    optimizer = optax.sgd(learning_rate)
    return list(
        train(
            autoencoder,
            optimizer,
            start(autoencoder, optimizer, jax.random.key(0), X[0]),
            X,
            X[:16],
            batch_size=16,
            epochs=3,
            augment=augment,
            devices=jax.local_devices()[:devices],
            **knobs,
        )
    )


@pytest.fixture(scope="module")
def learned():
    return learn()


@pytest.mark.slow
@pytest.mark.parametrize("knobs", [{"devices": 8}, {"accumulation_steps": 4}, {"streamed": True}])
def test_a_shift_depends_on_the_example_and_the_step_alone(learned, knobs):
    one, other = (reports[-1].snapshot.state.params for reports in (learned, learn(**knobs)))
    chex.assert_trees_all_close(one, other, atol=1e-5, rtol=1e-5)


@pytest.mark.slow
def test_training_examples_are_augmented_and_evaluated_ones_are_not():
    """With an autoencoder without noise, so that nothing else differs."""
    still, moved = (learn(PLAIN, augment=augment, learning_rate=1e-30) for augment in (None, BY_ONE))
    for one, other in zip(still, moved, strict=True):
        assert one.evaluation["validation/loss"] == other.evaluation["validation/loss"]
        assert abs(one.evaluation["train/loss"] - other.evaluation["train/loss"]) > 1e-3


@pytest.mark.slow
def test_pairs_are_moved_alike():
    """Inputs and targets are shifted by the same distance."""
    plain, optimizer = undercomplete(MLP((3,)), MLP(SHAPE)), optax.sgd(1e-2)

    def distance(params, key, batch):
        loss = jnp.mean(jnp.abs(batch.x - batch.input)) + 0 * params["decoder"]["params"]["Dense_0"]["bias"].sum()
        return loss, {"loss": loss}

    autoencoder = plain._replace(loss=distance)
    snapshot = start(autoencoder, optimizer, jax.random.key(0), X[0])
    knobs = {"batch_size": 16, "epochs": 2, "augment": BY_ONE, "devices": jax.devices()[:1]}
    *_, report = train(autoencoder, optimizer, snapshot, Examples(X, X + 0.5), X[:16], **knobs)
    np.testing.assert_allclose(report.evaluation["train/loss"], 0.5, rtol=1e-6)


def test_shift_refuses_lists_and_images_without_a_pixel(without_type_checks):
    with pytest.raises(TypeError, match="x must be a JAX or NumPy array, got list"):
        shift(jax.random.key(0), [[1.0, 2.0], [3.0, 4.0]], pixels=1)
    with pytest.raises(ValueError, match="at least one pixel and one channel"):
        shift(jax.random.key(0), jnp.ones((3, 3, 0)), pixels=1)


def test_shift_takes_a_distance_of_a_narrow_type(without_type_checks):
    x = jnp.arange(200.0 * 200).reshape(200, 200)
    moved = shift(jax.random.key(0), x, pixels=np.int8(100))
    np.testing.assert_array_equal(moved, shift(jax.random.key(0), x, pixels=100))


@pytest.mark.slow
def test_bits_and_uniform_noise_are_those_of_their_distributions():
    x, number = jnp.array([0.0, 0.25, 0.5, 1.0]), 4000
    keys = jax.random.split(jax.random.key(0), number)
    bits = np.asarray(jax.vmap(binarize, in_axes=(0, None))(keys, x))
    assert np.isin(bits, [0, 1]).all()
    np.testing.assert_allclose(bits.mean(axis=0), x, atol=4 * np.sqrt(0.25 / number))
    assert np.ptp(bits[:, [0, 3]], axis=0).tolist() == [0, 0]
    values = np.asarray(jax.vmap(partial(dequantize, levels=5), in_axes=(0, None))(keys, x), np.float64)
    assert values.max() < 1
    np.testing.assert_array_equal(np.floor(5 * values), np.tile([0, 1, 2, 4], (number, 1)))
    np.testing.assert_allclose((5 * values % 1).mean(axis=0), 0.5, atol=4 * np.sqrt(1 / 12 / number))
    np.testing.assert_allclose((5 * values % 1).std(axis=0), np.sqrt(1 / 12), rtol=0.04)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_noise_of_half_precision_stays_below_one(dtype):
    values = dequantize(jax.random.key(0), jnp.ones(10_000, dtype), levels=256)
    assert values.dtype == dtype
    assert values.max() < 1


def test_several_augmentations_have_noise_of_their_own():
    noise = lambda key, x: jax.random.uniform(key, x.shape)  # noqa: E731
    seen = []
    one_after_another(lambda key, x: seen.append(noise(key, x)) or x, lambda key, x: seen.append(noise(key, x)) or x)(
        jax.random.key(0), jnp.zeros(3)
    )
    assert not np.isclose(*seen).any()


def test_refuses_one_level():
    with pytest.raises(ValueError, match="levels must be at least 2, got 1"):
        dequantize(jax.random.key(0), jnp.zeros(3), levels=1)
