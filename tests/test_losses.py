"""Reconstruction losses: by hand, against SciPy, their derivatives, their extremes."""

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from jax.test_util import check_grads
from scipy import special, stats
from skimage.metrics import structural_similarity

from aejax.losses import (
    absolute_error,
    binary_cross_entropy,
    categorical_cross_entropy,
    huber,
    output_link,
    squared_error,
    structural_dissimilarity,
)

LOSSES = (squared_error, absolute_error, binary_cross_entropy, huber)
every_loss = pytest.mark.parametrize("loss", LOSSES)
vectors = arrays(np.float32, 5, elements=st.floats(-50, 50, width=32))
probabilities = arrays(np.float32, 5, elements=st.floats(0, 1, width=32))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("loss", "x", "output", "expected"),
    [
        (squared_error, [0.0, 1.0], [2.0, 1.5], 4.25),
        (absolute_error, [0.0, 1.0], [2.0, 1.5], 2.5),
        (huber, [0.0, 0.0], [0.5, -3.0], 0.5**2 / 2 + 1 * (3 - 1 / 2)),
        (partial(huber, delta=2.0), [0.0, 0.0], [0.5, -3.0], 0.5**2 / 2 + 2 * (3 - 2 / 2)),
        (categorical_cross_entropy, [0.0, 1.0], [0.0, math.log(3)], math.log(4 / 3)),
        (categorical_cross_entropy, [0.5, 0.5], [0.0, math.log(3)], math.log(4) - math.log(3) / 2),
        (binary_cross_entropy, [1.0, 0.0], [0.0, math.log(3)], 3 * math.log(2)),  # p = 1/2 and 3/4
        (binary_cross_entropy, [0.25], [-math.log(3)], 2 * math.log(2) - 0.75 * math.log(3)),  # p = x: its entropy
    ],
)
def test_number_by_hand(loss, x, output, expected):
    np.testing.assert_allclose(loss(jnp.array(x), jnp.array(output)), expected, rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("loss", "oracle"),
    [
        (squared_error, lambda x, output: np.linalg.norm((x - output).ravel()) ** 2),
        (huber, lambda x, output: np.sum(special.huber(1.0, x - output))),
        (partial(huber, delta=0.3), lambda x, output: np.sum(special.huber(0.3, x - output))),
        (absolute_error, lambda x, output: -np.sum(stats.laplace.logpdf(x, output) + math.log(2))),
        (
            binary_cross_entropy,
            lambda x, output: (
                -np.sum(special.xlogy(x, special.expit(output)) + special.xlog1py(1 - x, -special.expit(output)))
            ),
        ),
    ],
)
def test_equals_scipy_in_float64_on_arrays_of_any_rank(loss, oracle, float64):
    rng = np.random.default_rng(0)
    for shape in ((), (4, 3, 2)):
        x, output = rng.uniform(size=shape), 3 * rng.standard_normal(shape)
        result = loss(jnp.array(x), jnp.array(output))
        assert result.shape == ()
        assert result.dtype == jnp.float64
        np.testing.assert_allclose(result, oracle(x, output), rtol=1e-12)


def test_binary_cross_entropy_is_a_bernoulli_log_probability(float64):
    rng = np.random.default_rng(1)
    x, logits = rng.integers(0, 2, 50).astype(float), 3 * rng.standard_normal(50)
    expected = -stats.bernoulli.logpmf(x, special.expit(logits)).sum()
    np.testing.assert_allclose(binary_cross_entropy(jnp.array(x), jnp.array(logits)), expected, rtol=1e-12)


@pytest.mark.slow
@every_loss
def test_derivatives_equal_finite_differences(loss, float64, without_type_checks):
    x = jnp.array([0.0, 0.3, 1.0, 0.7])
    output = jnp.array([-2.0, 0.0, 0.5, 4.0])  # a logit of exactly 0 among them
    check_grads(jax.jit(loss), (x, output), order=2, modes=("fwd", "rev"), rtol=1e-5, atol=1e-5)


def test_binary_cross_entropy_is_right_at_extreme_logits():
    x, logits = (grid.astype(np.float32) for grid in np.meshgrid([0, 0.5, 1], [1e4, -1e4, 3e38, -3e38, 0]))
    sigmoid = special.expit(logits)
    value, slope = jax.jit(jax.vmap(jax.value_and_grad(binary_cross_entropy, argnums=1)))(x.ravel(), logits.ravel())
    expected = np.where(logits == 0, np.log(2), np.maximum(logits, 0) - x * logits)
    np.testing.assert_allclose(value, expected.ravel(), rtol=1e-6)
    np.testing.assert_allclose(slope, (sigmoid - x).ravel())
    for outer in (jax.jacfwd, jax.jacrev):
        for inner in (jax.jacfwd, jax.jacrev):
            curvature = jax.jit(jax.vmap(outer(inner(binary_cross_entropy, argnums=1), argnums=1)))
            np.testing.assert_allclose(
                curvature(x.ravel(), logits.ravel()), (sigmoid * (1 - sigmoid)).ravel()
            )  # 1/4 at 0


@pytest.mark.parametrize("loss", [squared_error, absolute_error])
def test_errors_and_their_gradients_are_finite_at_extremes_and_at_equality(loss):
    x, reconstruction = jnp.array([1e4, -1e4, 0.0, 5.0]), jnp.array([-1e4, 1e4, 0.0, 5.0])
    value, gradient = jax.jit(jax.value_and_grad(loss, argnums=1))(x, reconstruction)
    assert np.isfinite(value)
    np.testing.assert_array_equal(gradient[:2], [-4e4, 4e4] if loss is squared_error else [-1, 1])
    assert np.all(np.abs(gradient[2:]) <= (0 if loss is squared_error else 1))


@every_loss
@pytest.mark.parametrize("shapes", [((8,), (8, 1)), ((8,), ()), ((2, 3), (3, 2))])
def test_refuses_shapes_that_differ(loss, shapes):
    x, output = (jnp.zeros(shape) for shape in shapes)
    with pytest.raises(ValueError, match=r"shapes must be equal: .*\(.*\).*\(.*\)"):
        loss(x, output)


@every_loss
def test_refuses_integers(loss, without_type_checks):
    integers, floats = jnp.zeros(3, jnp.int32), jnp.zeros(3)
    for x, output in ((integers, floats), (floats, integers)):
        with pytest.raises(TypeError, match="must be a floating-point array, got dtype int32"):
            loss(x, output)


@every_loss
def test_integers_violate_the_signature(loss):
    with pytest.raises(TypeError, match=r"i32\[3\]"):
        loss(jnp.zeros(3, jnp.int32), jnp.zeros(3))


@every_loss
def test_keeps_half_precision(loss):
    x = jnp.ones(3, jnp.bfloat16)
    assert jax.eval_shape(loss, x, x).dtype == jnp.bfloat16


@pytest.mark.slow_after_first
@every_loss
@given(x=probabilities, output=vectors)
def test_same_with_and_without_jit_and_never_negative(loss, x, output):
    x, output = jnp.array(x), jnp.array(output)
    value = loss(x, output)
    np.testing.assert_allclose(jax.jit(loss)(x, output), value, rtol=1e-5, atol=1e-6)
    assert value >= 0


@pytest.mark.parametrize("loss", [squared_error, absolute_error, huber])
@given(x=vectors)
def test_errors_are_zero_at_equality(loss, x):
    assert loss(jnp.array(x), jnp.array(x)) == 0


@given(x=arrays(np.float32, 5, elements=st.floats(0.125, 0.875, width=32)), step=vectors)
def test_binary_cross_entropy_is_least_where_the_probability_is_x(x, step):
    logits = special.logit(x)
    at_x, elsewhere = (binary_cross_entropy(jnp.array(x), jnp.array(at)) for at in (logits, logits + step))
    assert elsewhere >= at_x - 1e-5


@every_loss
def test_vmap_equals_a_loop(loss):
    x, output = np.random.default_rng(0).uniform(size=(2, 6, 5)).astype(np.float32)
    one_by_one = [loss(*map(jnp.array, pair)) for pair in zip(x, output, strict=True)]
    np.testing.assert_allclose(jax.jit(jax.vmap(loss))(x, output), jnp.stack(one_by_one), rtol=1e-6)


def test_output_link_is_logistic_for_logits_and_the_identity_elsewhere():
    output = jnp.array([-2.0, 0.0, 3.0])
    for loss in (binary_cross_entropy, partial(partial(binary_cross_entropy), logits=output)):
        np.testing.assert_allclose(output_link(loss)(output), special.expit(output), rtol=1e-6)
    images = jnp.stack([output, -output])
    np.testing.assert_allclose(
        output_link(categorical_cross_entropy)(images), special.softmax(images, axis=-1), rtol=1e-6
    )
    for loss in (squared_error, absolute_error, huber, lambda x, output: jnp.sum(x * output)):
        np.testing.assert_array_equal(output_link(loss)(output), output)


def test_huber_has_a_bounded_derivative_and_the_curvature_of_half_the_square():
    error = jnp.array([0.0, 0.5, -0.5, 3.0, -1e4])
    slope = jax.jit(jax.vmap(jax.grad(lambda error: huber(jnp.zeros(()), error, delta=2.0))))(error)
    np.testing.assert_allclose(slope, [0, 0.5, -0.5, 2, -2], rtol=1e-6)
    assert jax.jit(jax.hessian(lambda error: huber(jnp.zeros(()), error)))(0.0) == 1


@pytest.mark.parametrize("delta", [0.0, -1.0, math.inf, math.nan])
def test_huber_refuses_a_delta_that_is_not_positive(delta):
    with pytest.raises(ValueError, match="delta must be positive and finite"):
        huber(jnp.zeros(2), jnp.zeros(2), delta=delta)


@pytest.mark.slow_after_first
@pytest.mark.parametrize("shape", [(4,), (3, 2, 4)])
def test_categorical_cross_entropy_equals_scipy_for_probabilities_and_for_classes(shape, float64):
    rng = np.random.default_rng(0)
    logits, classes = 3 * rng.standard_normal(shape), rng.integers(0, 4, shape[:-1])
    probabilities = rng.dirichlet(np.ones(4), shape[:-1])
    log_p = special.log_softmax(logits, axis=-1)
    soft = categorical_cross_entropy(jnp.array(probabilities), jnp.array(logits))
    np.testing.assert_allclose(soft, -np.sum(probabilities * log_p), rtol=1e-12)
    expected = -np.take_along_axis(log_p, classes[..., None], axis=-1).sum()
    for x in (classes, np.eye(4)[classes]):  # as integers, and one-hot
        np.testing.assert_allclose(categorical_cross_entropy(jnp.array(x), jnp.array(logits)), expected, rtol=1e-12)


def test_categorical_cross_entropy_of_two_classes_is_the_binary_one():
    p, logits = jnp.array([0.0, 0.3, 1.0]), jnp.array([-2.0, 0.0, 40.0])
    two = jnp.stack([1 - p, p], axis=-1), jnp.stack([jnp.zeros(3), logits], axis=-1)
    np.testing.assert_allclose(categorical_cross_entropy(*two), binary_cross_entropy(p, logits), rtol=1e-6)


@pytest.mark.slow
def test_derivatives_of_categorical_cross_entropy_equal_finite_differences(float64, without_type_checks):
    logits = jnp.array([[-2.0, 0.0, 0.5], [4.0, -1.0, 4.0]])
    for x in (jnp.array([[0.2, 0.3, 0.5], [0.1, 0.0, 0.9]]), jnp.array([2, 0])):
        loss = jax.jit(partial(categorical_cross_entropy, x))
        check_grads(loss, (logits,), order=2, modes=("fwd", "rev"), rtol=1e-5, atol=1e-5)


def test_categorical_cross_entropy_has_the_log_probabilities_as_gradient_by_x():
    logits = jnp.array([0.0, 1.0, -2.0])
    gradient = jax.jit(jax.grad(categorical_cross_entropy))(jnp.array([0.0, 0.0, 1.0]), logits)
    np.testing.assert_allclose(gradient, -jax.nn.log_softmax(logits), rtol=1e-6)


def test_categorical_cross_entropy_is_finite_at_extreme_logits():
    logits = jnp.array([1e4, -1e4, 0.0])
    for x, expected in ((jnp.array(0), 0), (jnp.array(1), 2e4), (jnp.array([0.0, 0.5, 0.5]), 1.5e4)):
        value, gradient = jax.jit(jax.value_and_grad(categorical_cross_entropy, argnums=1))(x, logits)
        np.testing.assert_allclose(value, expected)
        target = x if x.ndim else jax.nn.one_hot(x, 3)
        np.testing.assert_allclose(gradient, jnp.array([1.0, 0.0, 0.0]) - target)
    with_impossible = categorical_cross_entropy(jnp.array([1.0, 0.0]), jnp.array([0.0, -jnp.inf]))
    assert with_impossible == 0


@pytest.mark.parametrize("label", [-1, 3])
def test_categorical_cross_entropy_of_an_invalid_class_is_nan(label):
    assert np.isnan(categorical_cross_entropy(jnp.array([0, label]), jnp.zeros((2, 3))))


def test_categorical_cross_entropy_refuses_shapes_that_do_not_fit(without_type_checks):
    for x in (jnp.zeros((2, 3), int), jnp.zeros(3, int)):
        with pytest.raises(ValueError, match=r"integer classes must have the logits' shape .*, \(2,\)"):
            categorical_cross_entropy(x, jnp.zeros((2, 3)))
    with pytest.raises(ValueError, match="shapes must be equal"):
        categorical_cross_entropy(jnp.zeros((2, 1)), jnp.zeros((2, 3)))
    with pytest.raises(TypeError, match="logits must be a floating-point array"):
        categorical_cross_entropy(jnp.zeros(2, int), jnp.zeros((2, 3), int))


def dissimilarity(x, y, *, data_range, window):
    """The definition, window by window, with NumPy's moments."""
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    similarities = []
    for channel in range(x.shape[2]):
        for row in range(x.shape[0] - window + 1):
            for column in range(x.shape[1] - window + 1):
                a, b = (z[row : row + window, column : column + window, channel].ravel() for z in (x, y))
                (a_variance, covariance), (_, b_variance) = np.cov(a, b)
                luminance = (2 * a.mean() * b.mean() + c1) / (a.mean() ** 2 + b.mean() ** 2 + c1)
                similarities.append(luminance * (2 * covariance + c2) / (a_variance + b_variance + c2))
    return 1 - np.mean(similarities)


@pytest.mark.slow
@pytest.mark.parametrize(("window", "data_range"), [(3, 1.0), (7, 255.0)])
def test_structural_dissimilarity_equals_the_definition_in_numpy(window, data_range, float64):
    x, y = data_range * np.random.default_rng(0).uniform(size=(2, 8, 9, 2))
    knobs = {"window": window, "data_range": data_range}
    result = structural_dissimilarity(jnp.array(x), jnp.array(y), **knobs)
    np.testing.assert_allclose(result, dissimilarity(x, y, **knobs), rtol=1e-11)
    without_channel = structural_dissimilarity(jnp.array(x[..., 0]), jnp.array(y[..., 0]), **knobs)
    np.testing.assert_allclose(without_channel, dissimilarity(x[..., :1], y[..., :1], **knobs), rtol=1e-11)


@pytest.mark.slow_after_first
@pytest.mark.parametrize(("window", "data_range"), [(3, 1.0), (7, 1.0), (11, 255.0)])
@pytest.mark.parametrize("shape", [(11, 16), (14, 12, 3)])
def test_structural_dissimilarity_equals_scikit_image(shape, window, data_range, float64):
    rng = np.random.default_rng(0)
    x = data_range * rng.uniform(size=shape)
    y = np.clip(x + 0.2 * data_range * rng.standard_normal(shape), 0, data_range)
    axis = 2 if len(shape) == 3 else None
    similarity = structural_similarity(x, y, win_size=window, data_range=data_range, channel_axis=axis)
    result = structural_dissimilarity(jnp.array(x), jnp.array(y), data_range=data_range, window=window)
    np.testing.assert_allclose(result, 1 - similarity, rtol=0, atol=1e-10)


def test_structural_dissimilarity_of_one_window_by_hand():
    """All 0 but for a 9 in the middle, and the negative of that: means ±1, unbiased variances 9 and covariance -9."""
    x = jnp.zeros((3, 3)).at[1, 1].set(9.0)
    c1, c2 = 0.01**2, 0.03**2
    expected = 1 - (c1 - 2) / (c1 + 2) * (c2 - 18) / (c2 + 18)
    np.testing.assert_allclose(structural_dissimilarity(x, -x, window=3), expected, atol=1e-6)


@pytest.mark.slow
def test_structural_dissimilarity_is_zero_for_equal_images_and_finite_for_flat_ones():
    image = jax.random.uniform(jax.random.key(0), (8, 8))
    assert structural_dissimilarity(image, image) == 0
    value, gradient = jax.jit(jax.value_and_grad(structural_dissimilarity, argnums=1))(
        jnp.zeros((8, 8)), jnp.ones((8, 8))
    )
    np.testing.assert_allclose(value, 1 - 0.0001 / 1.0001, rtol=1e-4)  # luminance c1 / (1 + c1), structure 1
    assert np.isfinite(gradient).all()


@pytest.mark.slow
def test_derivatives_of_structural_dissimilarity_equal_finite_differences(float64, without_type_checks):
    x, y = map(jnp.array, np.random.default_rng(0).uniform(size=(2, 4, 3)))
    loss = jax.jit(partial(structural_dissimilarity, window=3))
    check_grads(loss, (x, y), order=2, modes=("fwd", "rev"), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("window", [1, 4, 9])
def test_structural_dissimilarity_refuses_windows_that_do_not_fit(window):
    with pytest.raises(ValueError, match="window must be odd, from 3 to the image's 8 pixels"):
        structural_dissimilarity(jnp.zeros((8, 10)), jnp.zeros((8, 10)), window=window)


def test_structural_dissimilarity_refuses_what_are_no_two_images(without_type_checks):
    with pytest.raises(ValueError, match="an image must have shape"):
        structural_dissimilarity(jnp.zeros(64), jnp.zeros(64))
    with pytest.raises(ValueError, match="shapes must be equal"):
        structural_dissimilarity(jnp.zeros((8, 8)), jnp.zeros((8, 8, 1)))
    with pytest.raises(ValueError, match="data_range must be positive"):
        structural_dissimilarity(jnp.zeros((8, 8)), jnp.zeros((8, 8)), data_range=0.0)
    with pytest.raises(TypeError, match="x must be a floating-point array"):
        structural_dissimilarity(jnp.zeros((8, 8), int), jnp.zeros((8, 8)))


@pytest.mark.slow
@pytest.mark.parametrize("scale", [1e-8, 1e4, 1e8])
def test_structural_dissimilarity_and_its_gradient_are_finite_at_extremes(scale):
    x, y = scale * jax.random.uniform(jax.random.key(0), (2, 8, 8))
    value, gradient = jax.jit(jax.value_and_grad(structural_dissimilarity, argnums=1))(x, y)
    assert 0 <= value <= 2
    assert np.isfinite(gradient).all()


def test_huber_is_finite_at_extremes_and_at_equality():
    x, reconstruction = jnp.array([1e37, -1e37, 0.0, 5.0]), jnp.array([-1e37, 1e37, 0.0, 5.0])
    value, gradient = jax.jit(jax.value_and_grad(huber, argnums=1))(x, reconstruction)
    np.testing.assert_allclose(value, 4e37, rtol=1e-6)
    np.testing.assert_array_equal(gradient, [-1, 1, 0, 0])


@given(
    x=arrays(np.float32, (3, 4), elements=st.floats(0, 1, width=32)),
    logits=arrays(np.float32, (3, 4), elements=st.floats(-50, 50, width=32)),
)
def test_categorical_cross_entropy_is_never_negative_and_the_same_under_jit(x, logits):
    x, logits = jnp.array(x), jnp.array(logits)
    value = categorical_cross_entropy(x, logits)
    assert value >= 0
    np.testing.assert_allclose(jax.jit(categorical_cross_entropy)(x, logits), value, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("dtype", "logit"), [(jnp.float32, 17.0), (jnp.float32, 80.0), (jnp.bfloat16, 6.0), (jnp.float16, 8.0)]
)
def test_binary_cross_entropy_has_derivatives_of_all_digits_on_either_side_of_saturation(dtype, logit):
    slope, curvature = (jax.grad(binary_cross_entropy, 1), jax.hessian(binary_cross_entropy, 1))
    for x, sign in ((1.0, 1), (0.0, -1)):
        at = jnp.full((), x, dtype), jnp.full((), sign * logit, dtype)
        np.testing.assert_allclose(float(slope(*at)), -sign * special.expit(-logit), rtol=float(jnp.finfo(dtype).eps))
        np.testing.assert_allclose(float(curvature(*at)), special.expit(-logit), rtol=2 * float(jnp.finfo(dtype).eps))
    near = 1 - 2.0**-10  # a gray value next to 1: the slope is a difference of small numbers
    slope = jax.jit(jax.grad(binary_cross_entropy, 1))(jnp.array(near), jnp.array(12.0))
    np.testing.assert_allclose(slope, 2.0**-10 - special.expit(-12.0), rtol=1e-6)


def test_binary_cross_entropy_of_an_infinite_logit_is_that_of_a_certain_probability():
    x, logits = jnp.array([1.0, 0.0, 0.0, 0.5]), jnp.array([jnp.inf, -jnp.inf, jnp.inf, jnp.inf])
    value, slope = jax.jit(jax.vmap(jax.value_and_grad(binary_cross_entropy, argnums=1)))(x, logits)
    np.testing.assert_array_equal(value, [0, 0, np.inf, np.inf])
    np.testing.assert_array_equal(slope, [0, 0, 1, 0.5])


@pytest.mark.slow_after_first
@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
@pytest.mark.parametrize(
    ("loss", "x", "output"),
    [
        (squared_error, 300.0, 310.0),  # 100 times a hundred, of numbers whose squares overflow
        (absolute_error, 0.0, 0.5),
        (huber, 0.0, 3.0),
        (binary_cross_entropy, 1.0, 1.0),
        (partial(huber, delta=400.0), 0.0, 14.0),  # 14² / 2 and not inf - inf
    ],
)
def test_half_precision_is_summed_in_single(loss, x, output, dtype):
    """The value is that of float32, rounded once; so is the gradient, where the sum is beyond float16 too."""
    size = 500
    x, output = (jnp.full(size, number, dtype) for number in (x, output))
    value, gradient = jax.jit(jax.value_and_grad(loss, argnums=1))(x, output)
    exact, exact_gradient = jax.jit(jax.value_and_grad(loss, argnums=1))(
        x.astype(jnp.float32), output.astype(jnp.float32)
    )
    assert value.dtype == gradient.dtype == dtype
    np.testing.assert_allclose(float(value), float(exact), rtol=float(jnp.finfo(dtype).eps))
    np.testing.assert_allclose(
        np.asarray(gradient, float), np.asarray(exact_gradient, float), rtol=float(jnp.finfo(dtype).eps)
    )


@pytest.mark.slow
def test_categorical_cross_entropy_of_more_classes_than_float16_can_count():
    logits = jnp.zeros((1, 70_000), jnp.float16)
    np.testing.assert_allclose(float(categorical_cross_entropy(jnp.array([3]), logits)), math.log(70_000), rtol=1e-3)


@pytest.mark.parametrize("dtype", [jnp.int8, jnp.uint8, jnp.int16, jnp.uint16, jnp.int32, jnp.uint32])
def test_classes_of_every_integer_type_are_themselves_and_what_is_no_class_is_nan(dtype):
    logits = jnp.arange(200.0)[None]
    log_p = np.asarray(jax.nn.log_softmax(logits))[0]
    for number in (0, 100, 127):
        value = categorical_cross_entropy(jnp.array([number], dtype), logits)
        np.testing.assert_allclose(value, -log_p[number], rtol=1e-6)
    for number in (-1, -128, 200, 2**31 - 1, 2**32 - 1):
        if jnp.iinfo(dtype).min <= number <= jnp.iinfo(dtype).max:
            wrong = jnp.array(np.array([number], dtype))
            assert np.isnan(categorical_cross_entropy(wrong, logits)), number


def test_a_class_beyond_32_bits_is_no_class(float64):
    assert np.isnan(categorical_cross_entropy(jnp.array([2**32 + 1]), jnp.zeros((1, 4))))


@pytest.mark.parametrize("shape", [(), (3, 0)])
def test_categorical_cross_entropy_needs_a_class(shape, without_type_checks):
    with pytest.raises(ValueError, match="logits must have a last axis of at least one class, got shape"):
        categorical_cross_entropy(jnp.zeros((), int), jnp.zeros(shape))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("low", "data_range", "dtype"),
    [
        (0, 1, "float32"),
        (1000, 1, "float32"),
        (3e4, 500, "float32"),
        (-1e6, 64, "float32"),
        (1e30, 1e30, "float32"),
        (0, 1e-30, "float32"),
        (1, 1, "bfloat16"),
        (0, 255, "float16"),
    ],
)
@pytest.mark.parametrize("channels", [(), (3,)])
def test_structural_dissimilarity_is_scikit_images_in_float64_whatever_the_offset_and_the_dtype(
    low, data_range, dtype, channels
):
    rng = np.random.default_rng(0)
    smooth = 0.8 + 0.05 * rng.random((24, 24, *channels))
    pair = smooth, smooth + 0.02 * rng.normal(size=smooth.shape)
    x, y = (jnp.asarray(low + data_range * image, dtype) for image in pair)
    exact = [np.asarray(image, np.float64) for image in (x, y)]
    axis = -1 if channels else None
    whole = structural_similarity(*exact, data_range=data_range, win_size=7, full=True, channel_axis=axis)[1]
    got = structural_dissimilarity(x, y, data_range=data_range)
    assert got.dtype == dtype
    np.testing.assert_allclose(float(got), 1 - whole[3:-3, 3:-3].mean(), atol=2e-3)


@pytest.mark.slow
def test_structural_dissimilarity_has_the_gradient_of_float64_at_a_large_offset():
    rng = np.random.default_rng(0)
    x = 1000 + rng.random((12, 12))
    y = np.asarray(x + 0.1 * rng.normal(size=x.shape), np.float32)
    with jax.enable_x64(True):
        right = jax.jit(jax.grad(structural_dissimilarity, 1))(jnp.asarray(np.float32(x), float), jnp.asarray(y, float))
    got = jax.jit(jax.grad(structural_dissimilarity, 1))(jnp.asarray(x, jnp.float32), jnp.asarray(y))
    np.testing.assert_allclose(got, right, atol=1e-3 * float(np.max(np.abs(right))))


@pytest.mark.slow
@pytest.mark.parametrize("number", [np.float64, np.float32, np.float16, jnp.float32, float])
@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float32, jnp.float64])
def test_a_knob_of_any_type_promotes_nothing(number, dtype, float64):
    x = jnp.full((8, 8), 0.5, dtype)
    for loss in (partial(huber, delta=number(0.25)), partial(structural_dissimilarity, data_range=number(2))):
        got, expected = loss(x, 3 * x), jax.tree.map(float, loss.keywords)
        assert got.dtype == dtype
        assert got == loss.func(x, 3 * x, **expected)


@every_loss
@pytest.mark.parametrize("other", [[0.0, 1.0], (0.0, 1.0), None, "ab", memoryview(b"ab")])
def test_refuses_what_is_no_array_by_name(loss, other, without_type_checks):
    x = jnp.zeros(2)
    with pytest.raises(TypeError, match=f"x must be a JAX or NumPy array, got {type(other).__name__}"):
        loss(other, x)
    with pytest.raises(TypeError, match=r"(reconstruction|logits) must be a JAX or NumPy array"):
        loss(x, other)


def test_structural_dissimilarity_refuses_what_it_cannot_compare(without_type_checks):
    image = jnp.zeros((8, 8))
    for value, kind, message in (
        ("1", TypeError, "data_range must be a number, got '1'"),
        (np.ones(2), ValueError, r"data_range must be one number, got shape \(2,\)"),
        (np.inf, ValueError, "data_range must be positive and finite"),
    ):
        with pytest.raises(kind, match=message):
            structural_dissimilarity(image, image, data_range=value)
    with pytest.raises(TypeError, match=r"window must be an integer, got 7\.0"):
        structural_dissimilarity(image, image, window=7.0)
    empty = jnp.zeros((8, 8, 0))
    with pytest.raises(ValueError, match=r"at least one pixel and one channel, got shape \(8, 8, 0\)"):
        structural_dissimilarity(empty, empty)


@pytest.mark.parametrize("number", [2**32 + 2, -(2**32) + 2, 2**62])
def test_a_class_of_64_bits_does_not_wrap_into_another_one(number, without_type_checks):
    logits = jnp.zeros((2, 4))
    assert math.isnan(categorical_cross_entropy(np.array([number, 1]), logits).item())
    assert math.isfinite(categorical_cross_entropy(np.array([3, 1], np.int64), logits).item())
