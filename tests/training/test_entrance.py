"""What training is given is checked before the first step: shapes, numbers, classes and settings."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from aejax.autoencoders import Examples, conditional, tied, undercomplete, variational
from aejax.errors import UserError
from aejax.likelihoods import gaussian
from aejax.networks import MLP, ConvDecoder, ConvEncoder, Network
from aejax.training import NonFiniteLossError, make_evaluate, start, train
from aejax.training.accumulation import gradient_and_metrics
from aejax.training.population import make_train_epoch, start_population

KEY, SGD, ONE = jax.random.key(0), optax.sgd(1e-3), jax.devices()[:1]
X = np.random.default_rng(0).uniform(size=(12, 5)).astype(np.float32)
PLAIN = undercomplete(MLP((2,)), MLP((5,)))


class Frame:
    """A table that is no array, as a data frame or a tensor is."""

    def __init__(self, values):
        self.values = np.asarray(values)

    def __array__(self, dtype=None, copy=None):
        return self.values


def go(training, validation, autoencoder=PLAIN, example=(X[0],), **settings):
    """The last report of a short training."""
    snapshot = start(autoencoder, SGD, KEY, *example)
    settings = {"batch_size": 4, "epochs": 1, "devices": ONE} | settings
    return list(train(autoencoder, SGD, snapshot, training, validation, **settings))[-1]


def with_broken(rows, value=np.nan):
    x = X.copy()
    x[rows, 1] = value
    return x


@pytest.mark.slow
@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("likelihood", [False, True])
def test_broken_training_examples_are_named_before_the_first_step(streamed, value, likelihood):
    autoencoder = variational(MLP((4,)), MLP((5,)), likelihood=gaussian()) if likelihood else PLAIN
    x = with_broken([3, 7], value)
    with pytest.raises(UserError, match=r"^the training examples: \d+ of \d+ hold NaN, infinity") as caught:
        go(x, X, autoencoder, streamed=streamed)
    assert not isinstance(caught.value, NonFiniteLossError)
    if not streamed:
        assert "2 of 12" in str(caught.value)
        assert "the first is number 3" in str(caught.value)


def test_broken_validation_examples_are_named_before_the_first_step():
    with pytest.raises(UserError, match=r"^the validation examples: 1 of 12 .* number 5,"):
        go(X, with_broken([5]))
    with pytest.raises(UserError, match="hold NaN"):
        go(X, with_broken([5]), streamed=True)


@pytest.mark.parametrize("kind", [np.asarray, jnp.asarray, lambda x: x.tolist(), Frame])
def test_broken_examples_of_any_kind_are_named(kind):
    with pytest.raises(UserError, match="the training examples: 1 of 12"):
        go(kind(with_broken([3])), kind(X))


@pytest.mark.slow
def test_broken_inputs_conditions_and_numbers_beyond_single_precision_are_named():
    with pytest.raises(UserError, match="training examples, input: 1 of 12"):
        go(Examples(X, with_broken([0])), Examples(X, X))
    side = np.full((12, 1), np.nan, np.float32)
    by_side = conditional(PLAIN)
    with pytest.raises(UserError, match="training examples, condition: 12 of 12"):
        go(Examples(X, condition=side), Examples(X, condition=side), by_side, (X[0], side[0]))
    with pytest.raises(UserError, match="1 of 12 hold NaN, infinity or values beyond float32"):
        go(with_broken([2], 1.0).astype(np.float64) * np.where(np.arange(12) == 2, 1e300, 1.0)[:, None], X)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [lambda x: x.tolist(), Frame, jnp.asarray, lambda x: x.astype(np.float64)])
def test_whatever_numpy_reads_is_trained_on(kind):
    assert go(kind(X), kind(X), example=(kind(X[0]),)).evaluation == go(X, X).evaluation


@pytest.mark.slow
@pytest.mark.parametrize("wrong", [{"x": X}, "x.npy", None, [["a"]], [[1.0], [1.0, 2.0]], Frame([object()])])
def test_what_holds_no_numbers_is_refused_by_name(wrong):
    with pytest.raises(TypeError, match="train_x must be an array of numbers"):
        go(wrong, X)
    with pytest.raises(TypeError, match="validation_x must be an array of numbers"):
        go(X, wrong)
    with pytest.raises(TypeError, match="x must be an array of numbers"):
        make_evaluate(PLAIN, batch_size=4, devices=ONE)(PLAIN.init(KEY, X[0]), KEY, wrong)


@pytest.mark.parametrize(
    ("training", "validation", "message"),
    [
        (X[:, :3], X[:, :3], r"ONE x of shape \(5,\), got shape \(3,\)"),
        (X, X[:, :3], r"validation_x differs from train_x: .* ONE x of shape \(5,\), got shape \(3,\)"),
        (X, X[0], "validation_x differs from train_x: "),
        (X[0], X[0], "x of shape"),
        (X, X[:0], "no validation examples"),
        (np.float32(1), X, "must be examples"),
        (Examples(X, X[:5]), X, "input of train_x must hold 12 examples"),
        (X, Examples(X, condition=np.zeros((12, 1), np.float32)), "validation_x differs from train_x: "),
        (Examples(X, X[:, :3]), X, "x of shape"),
    ],
)
def test_examples_of_another_shape_are_refused_before_the_first_step(training, validation, message):
    with pytest.raises(ValueError, match=message):
        go(training, validation)


@pytest.mark.slow
def test_validation_examples_may_be_of_another_shape_where_the_networks_take_it():
    scale = Network(lambda key, x: jnp.ones(()), lambda factor, x: factor * x)
    report = go(X, X[:, :3], undercomplete(scale, scale))
    assert np.isfinite(report.evaluation["validation/loss"])
    assert go(Examples(X, X), X).evaluation == go(X, X).evaluation


@pytest.mark.slow
def test_images_of_another_layout_are_refused():
    conv = undercomplete(ConvEncoder((4,), 3), ConvDecoder((8, 8, 3), (4,)))
    one = np.zeros((8, 8, 3), np.float32)
    for shape, advice in (((4, 3, 8, 8), "moveaxis"), ((4, 8, 8, 4), "alpha"), ((4, 8, 8), "shape")):
        images = np.zeros(shape, np.float32)
        with pytest.raises(ValueError, match=advice):
            go(images, images, conv, (one,))
    with pytest.raises(ValueError, match="channels come last"):
        start(conv, SGD, KEY, np.zeros((3, 8, 8), np.float32))


@pytest.mark.slow
@pytest.mark.parametrize("label", [-1, 3, 200])
def test_classes_out_of_range_are_refused_before_the_first_step(label):
    by_class, labels = conditional(PLAIN, classes=3), np.arange(12) % 3
    good = Examples(X, condition=labels)
    bad = Examples(X, condition=np.where(labels == 1, label, labels))
    for training, validation in ((bad, good), (good, bad)):
        with pytest.raises(ValueError, match=f"a class from 0 to 2, got {label}"):
            go(training, validation, by_class, (X[0], labels[0]))
    floats = Examples(X, condition=labels.astype(np.float32))
    with pytest.raises(TypeError, match="an integer, got dtype float32"):
        go(floats, floats, by_class, (X[0], labels[0]))


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"batch_size": 0}, ValueError),
        ({"batch_size": -4}, ValueError),
        ({"batch_size": 4.0}, TypeError),
        ({"epochs": -1}, ValueError),
        ({"epochs": "3"}, TypeError),
        ({"evaluate_every": 0}, ValueError),
        ({"patience": 0}, ValueError),
        ({"patience": 1.5}, TypeError),
        ({"min_delta": -1.0}, ValueError),
        ({"min_delta": np.nan}, ValueError),
        ({"accumulation_steps": 0}, ValueError),
        ({"accumulation_steps": 2.0}, TypeError),
        ({"steps_per_call": 0}, ValueError),
        ({"devices": 1}, TypeError),
        ({"devices": []}, ValueError),
        ({"augment": 0.1}, TypeError),
    ],
)
def test_settings_are_checked(settings, error):
    with pytest.raises(error, match=next(iter(settings))):
        go(X, X, **settings)


def test_arguments_of_another_kind_are_refused():
    snapshot = start(PLAIN, SGD, KEY, X[0])
    settings = {"batch_size": 4, "epochs": 1, "devices": ONE}
    for call in (
        lambda: start(MLP((2,)), SGD, KEY, X[0]),
        lambda: start(PLAIN, 1e-3, KEY, X[0]),
        lambda: start(PLAIN, SGD, KEY, {"a": 1.0}),
        lambda: list(train(PLAIN, 1e-3, snapshot, X, X, **settings)),
        lambda: list(train(PLAIN, SGD, snapshot.state, X, X, **settings)),
        lambda: list(train(MLP((2,)), SGD, snapshot, X, X, **settings)),
        lambda: make_evaluate(MLP((2,)), batch_size=4, devices=ONE),
        lambda: make_evaluate(PLAIN, batch_size=4.0, devices=ONE),
        lambda: make_evaluate(PLAIN, batch_size=4, devices=3),
        lambda: start_population(PLAIN, SGD, jax.random.split(KEY, 2), jnp.ones(2), X[0], devices=ONE),
        lambda: start_population(lambda a: PLAIN, 0.1, jax.random.split(KEY, 2), jnp.ones(2), X[0], devices=ONE),
        lambda: start_population(lambda a: PLAIN, SGD, KEY, jnp.ones(2), X[0], devices=ONE),
        lambda: make_train_epoch(PLAIN, SGD, batch_size=4, devices=ONE),
        lambda: make_train_epoch(lambda a: PLAIN, SGD, batch_size="4", devices=ONE),
    ):
        with pytest.raises(TypeError):
            call()


def test_evaluation_checks_its_examples():
    evaluate, params = make_evaluate(PLAIN, batch_size=4, devices=ONE), jax.jit(PLAIN.init)(KEY, X[0])
    with pytest.raises(ValueError, match="at least one example"):
        evaluate(params, KEY, X[:0])
    with pytest.raises(ValueError, match=r"ONE x of shape \(5,\), got shape \(3,\)"):
        evaluate(params, KEY, X[:, :3])
    assert evaluate(params, KEY, X.tolist()) == evaluate(params, KEY, X)


@pytest.mark.slow
def test_a_population_checks_its_examples():
    keys, build = jax.random.split(KEY, 2), lambda amount: tied((5,), (3,))
    population = start_population(build, SGD, keys, jnp.ones(2), X[0].tolist(), devices=ONE)
    train_epoch = make_train_epoch(build, SGD, batch_size=4, devices=ONE)
    for wrong, message in ((X[:, :3], r"shape \(5,\), got shape \(3,\)"), (with_broken([1]), "1 of 12 hold NaN")):
        with pytest.raises(ValueError, match=message):
            train_epoch(population, wrong)
    with pytest.raises(TypeError, match="array of numbers"):
        train_epoch(population, {"a": X})
    _, metrics = train_epoch(population, X.tolist())
    assert np.isfinite(metrics["loss"]).all()


def test_evaluation_in_half_precision_counts_all_examples():
    nothing = Network(lambda key, x: {}, lambda params, x: x)
    constant = undercomplete(nothing, nothing, loss=lambda x, output: x[0])
    x = jnp.full((3000, 1), 300, jnp.float16)
    means = make_evaluate(constant, batch_size=3000, devices=ONE)({"encoder": {}, "decoder": {}}, KEY, x)
    assert means["loss"] == 300


@pytest.mark.slow_after_first
@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16])
def test_accumulated_terms_of_half_precision_are_added_in_single(dtype):
    nothing = Network(lambda key, x: {}, lambda params, x: x)
    constant = undercomplete(nothing, nothing, loss=lambda x, output: x[0])
    x = jnp.full((16, 1), 30_000, dtype)
    whole = partial(gradient_and_metrics, constant, {"encoder": {}, "decoder": {}}, KEY)
    from aejax.autoencoders import as_batch

    _, terms = whole(as_batch(x), microbatches=16)
    assert terms["loss"].dtype == dtype
    assert terms["loss"] == x[0, 0]
