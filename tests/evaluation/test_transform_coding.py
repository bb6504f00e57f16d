"""Transform coding against principal components, which it must recover, and against the theory of fine steps."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from aejax.autoencoders import conditional, undercomplete
from aejax.datasets.dataset import Dataset, Splits
from aejax.evaluation.transform_coding import (
    CodeTransform,
    fit_transform,
    mean_pullback_metric,
    rate_of_transformed_codes,
)
from aejax.networks import MLP

RNG = np.random.default_rng(0)
DEVIATIONS = np.array([3.0, 1.0, 0.3])
DIRECTIONS = np.linalg.qr(RNG.normal(size=(5, 3)))[0].T  # orthonormal, in data of 5 numbers


def components(*sizes):
    return [DEVIATIONS * RNG.normal(size=(size, 3)) for size in sizes]


def rates(codes, metric, decode, test_x, steps):
    splits = Splits(*(Dataset(part) for part in (codes[0], codes[0][:1], codes[1])))
    return rate_of_transformed_codes(splits, fit_transform(codes[0], metric), decode, test_x, steps=steps)


def test_codes_of_a_linear_decoder_have_the_rate_of_its_principal_components():
    train, test = components(4000, 1000)
    x = test @ DIRECTIONS
    plain = rates([train, test], np.eye(3), lambda codes: codes @ DIRECTIONS, x, [1.0, 0.1])
    mixing = RNG.normal(size=(3, 3))
    decoder = np.linalg.inv(mixing) @ DIRECTIONS
    mixed = rates([train @ mixing, test @ mixing], decoder @ decoder.T, lambda codes: codes @ decoder, x, [1.0, 0.1])
    np.testing.assert_allclose([point[1:] for point in mixed], [point[1:] for point in plain], rtol=1e-5)
    (unaware,) = rates([train @ mixing, test @ mixing], np.eye(3), lambda codes: codes @ decoder, x, [0.1])
    bits_at_one_error = [point.bits + 3 / 2 * np.log2(point.squared_error) for point in (unaware, mixed[1])]
    assert bits_at_one_error[0] > bits_at_one_error[1] + 0.5


def test_the_rate_of_fine_steps_is_the_differential_entropy_and_the_error_a_twelfth_of_their_square():
    train, test = components(200_000, 2000)
    (point,) = rates([train, test], np.eye(3), lambda codes: codes @ DIRECTIONS, test @ DIRECTIONS, [1 / 32])
    step = 3.0 / 32
    entropy = sum(stats.norm(scale=deviation).entropy() for deviation in DEVIATIONS) / np.log(2)
    assert point.bits == pytest.approx(entropy - 3 * np.log2(step), abs=0.11)  # 4 standard errors of 2,000 lengths
    assert point.squared_error == pytest.approx(3 / 5 * step**2 / 12, rel=0.05)  # 4 of 6,000 errors


def test_entries_are_uncorrelated_and_their_errors_are_those_of_decoded_examples():
    codes = RNG.normal(size=(50, 4)) @ RNG.normal(size=(4, 4))
    jacobian = RNG.normal(size=(7, 4))
    transform = fit_transform(codes, jacobian.T @ jacobian)
    covariance = np.cov((codes - transform.mean) @ transform.analysis, rowvar=False)
    np.testing.assert_allclose(covariance, np.diag(np.diag(covariance)), atol=1e-9)
    np.testing.assert_allclose(transform.analysis @ transform.synthesis, np.eye(4), atol=1e-12)
    moved = jacobian @ transform.synthesis.T
    np.testing.assert_allclose(moved.T @ moved, np.eye(4), atol=1e-12)


def test_code_lengths_follow_the_training_codes_and_symbols_decode_to_their_mean():
    train = np.repeat([[0.0], [0.4], [2.0]], [2, 1, 1], axis=0)
    codes = Splits(Dataset(train), Dataset(train), Dataset(np.repeat([[0.0], [2.0]], [1, 9], axis=0)))
    unit = CodeTransform(np.zeros(1), np.eye(1), np.eye(1))
    step = 1 / train.std()
    (point,) = rate_of_transformed_codes(codes, unit, lambda codes: codes, codes.test.x, steps=[step])
    assert point.bits == pytest.approx(-0.1 * np.log2(3.5 / 5.5) - 0.9 * np.log2(1.5 / 5.5))  # of symbols 0, 1 and 2
    assert point.squared_error == pytest.approx(0.1 * (0.4 / 3) ** 2)


@pytest.mark.parametrize("seen", [0, 2])
def test_directions_without_effect_on_the_decoder_have_no_rate(seen):
    train, test = components(500, 100)
    metric = np.diag([1.0] * seen + [0.0] * (3 - seen))
    coarse, fine = rates([train, test], metric, lambda codes: codes[:, :seen].sum(1), test[:, :seen].sum(1), [4, 0.01])
    assert fine.squared_error < 0.001
    if seen == 0:
        assert (coarse.bits, fine.bits) == (0, 0)


@pytest.mark.slow
def test_the_metric_is_the_mean_over_codes_of_any_shape_and_their_conditions():
    networks = (
        MLP(output_shape=(2, 1), hidden=(8,)),
        MLP(output_shape=(5,), hidden=(8,), activation=jax.nn.tanh),
    )
    autoencoder = conditional(undercomplete(*networks), classes=3)
    params = jax.jit(autoencoder.init)(jax.random.key(0), np.ones(5, np.float32), np.int32(0))
    codes, classes = RNG.normal(size=(3, 2, 1)).astype(np.float32), np.arange(3, dtype=np.int32)
    jacobians = [
        jax.jit(jax.jacrev(lambda code, label=label: autoencoder.decode(params, code, label)))(jnp.asarray(code))
        for code, label in zip(codes, classes, strict=True)
    ]
    expected = np.mean([j[..., 0].T @ j[..., 0] for j in jacobians], axis=0)
    np.testing.assert_allclose(mean_pullback_metric(autoencoder, params, codes, classes), expected, rtol=1e-5)


def test_codes_of_bytes_are_their_numbers():
    codes = RNG.integers(0, 256, size=(50, 3), dtype=np.uint8)
    for of_bytes, of_floats in zip(
        fit_transform(codes, np.eye(3, dtype=np.int8)), fit_transform(codes / 1.0, np.eye(3)), strict=True
    ):
        np.testing.assert_array_equal(of_bytes, of_floats)
    decode = lambda codes: codes  # noqa: E731
    expected = rates([codes / 1.0, codes[:9] / 1.0], np.eye(3), decode, codes[:9] / 1.0, [0.1])
    assert rates([codes, codes[:9]], np.eye(3), decode, codes[:9], [0.1]) == expected


def test_equal_codes_have_no_rate():
    codes = np.full((20, 3), 7.0)
    (point,) = rates([codes, codes], np.eye(3), lambda codes: codes, codes, [0.1])
    assert (point.bits, point.squared_error) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("codes", "metric", "complaint"),
    [
        (np.zeros((4, 3)), np.eye(2), r"got \(4, 3\) and \(2, 2\)"),
        (np.zeros((4, 3)), np.eye(1), r"got \(4, 3\) and \(1, 1\)"),
        (np.zeros(3), np.eye(3), r"got \(3,\)"),
        (np.zeros((0, 3)), np.eye(3), r"got \(0, 3\)"),
        (np.full((4, 3), np.inf), np.eye(3), "codes must be finite"),
        (np.zeros((4, 3)), np.full((3, 3), np.nan), "metric must be finite"),
    ],
)
def test_codes_and_metrics_that_do_not_fit_are_refused(codes, metric, complaint):
    with pytest.raises(ValueError, match=complaint):
        fit_transform(codes, metric)


def test_invalid_steps_and_shapes_are_refused():
    codes = components(20, 5)
    for decode, steps, complaint in (
        (lambda codes: codes, [0.0], "step must be positive"),
        (lambda codes: codes, [np.nan], "step must be positive"),
        (lambda codes: codes[:, :1], [0.1], "shapes must be equal"),
    ):
        with pytest.raises(ValueError, match=complaint):
            rates(codes, np.eye(3), decode, codes[1], steps)
    transform, narrow = fit_transform(codes[0], np.eye(3)), Splits(*(Dataset(codes[0][:, :1]) for _ in range(3)))
    with pytest.raises(ValueError, match="the 3 units of the transform"):
        rate_of_transformed_codes(narrow, transform, lambda codes: codes, codes[0][:, :1], steps=[0.1])
    linear = undercomplete(MLP(output_shape=(2,)), MLP(output_shape=(5,)))
    params = jax.jit(linear.init)(jax.random.key(0), np.ones(5, np.float32))
    with pytest.raises(ValueError, match="there are no codes"):
        mean_pullback_metric(linear, params, np.ones((0, 2), np.float32))
