"""From configuration to data, autoencoder and optimizer."""

import itertools
from dataclasses import replace
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aejax import experiment as setup
from aejax.autoencoders import as_batch, composition
from aejax.configuration import Data, Experiment, Model, Optimization, Regularization, Training, check
from aejax.datasets.dataset import Dataset, Splits
from aejax.errors import UserError
from aejax.experiment import (
    as_examples,
    build_autoencoder,
    build_optimizer,
    check_data,
    conditions_of,
    load_splits,
    locate,
)
from aejax.presets import DEFAULT, PRESETS
from aejax.training import AXIS


def test_splits_are_disjoint_and_fixed_by_their_seed(tmp_path: Path) -> None:
    x = np.arange(200, dtype=np.float32).reshape(100, 2)
    np.savez(tmp_path / "x.npz", x=x, labels=np.arange(100))
    data = Data(dataset=str(tmp_path / "x.npz"), validation_fraction=0.2, test_fraction=0.3)
    splits, again, other = load_splits(data), load_splits(data), load_splits(replace(data, split_seed=1))
    assert [len(part.x) for part in splits] == [50, 20, 30]
    labels = np.concatenate([part.labels for part in splits])
    assert sorted(labels) == list(range(100))
    np.testing.assert_array_equal(np.concatenate([part.x for part in splits]), x[labels])
    np.testing.assert_array_equal(splits.test.labels, again.test.labels)
    assert set(splits.test.labels) != set(other.test.labels)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (Data(validation_fraction=0.5, test_fraction=0.5), "leave nothing to train on"),
        (Data(labels="labels.npy"), "labels: go with a file of your own"),
        (Data(dataset="missing.npy"), "missing.npy: no such file"),
        (Data(window=32), "window: goes with the dataset jsb_chorales, and the dataset is digits"),
    ],
)
def test_data_that_cannot_be_had(data: Data, message: str) -> None:
    with pytest.raises(UserError, match=message):
        load_splits(data)


def examples(shape: tuple[int, ...], number: int = 4) -> Dataset:
    """Random examples in (0, 1) of as many classes."""
    x = np.random.default_rng(0).uniform(0.01, 0.99, (number, *shape)).astype(np.float32)
    return Dataset(x, np.arange(number, dtype=np.int32))


def slope_and_terms(experiment: Experiment, train: Dataset, transform=jax.jit):
    """The gradient of the loss with respect to drawn parameters, and its terms, on two devices of half the examples."""
    autoencoder = build_autoencoder(experiment, train)
    batch = as_batch(jax.tree.map(jnp.asarray, as_examples(experiment.model, train)))
    conditions = [condition[0] for condition in conditions_of(experiment.model, train)]

    def compute(key):
        params = autoencoder.init(key, batch.x[0], *conditions)
        halves = jax.tree.map(lambda part: part.reshape(2, -1, *part.shape[1:]), batch._replace(step=None))
        halves = halves._replace(step=jnp.full(2, 10**6))
        slope = jax.vmap(jax.grad(autoencoder.loss, has_aux=True), in_axes=(None, None, 0), axis_name=AXIS)
        code = autoencoder.encode(params, batch.x[0], *conditions)
        return *slope(params, key, halves), autoencoder.decode(params, code, *conditions), code

    gradient, terms, reconstruction, code = transform(compute)(jax.random.key(0))
    assert reconstruction.shape == train.x.shape[1:]
    return gradient, terms, code


def trace(function):
    """The shapes that a function would return, in place of the numbers: nothing is compiled."""
    return partial(jax.eval_shape, function)


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_builds(name: str) -> None:
    _, experiment = PRESETS[name]
    check(experiment)
    model = experiment.model
    shapes = {"digits": (8, 8, 1), "ecg5000": (140,), "jsb_chorales": (16, 88), "documents": (32, 32, 1)}
    shape = shapes.get(experiment.data.dataset, (28, 28, 1))
    train = examples(shape, max(4, experiment.regularization.prior_components))
    gradient, terms, code = slope_and_terms(experiment, train, trace)
    assert "loss" in terms
    maps = {
        "fashion-denoise": (4, 4, 16),
        "fashion-denoise-unet": (4, 4, 768),
        "documents-tutorial": (16, 16, 64),
        "documents-denoise": (2, 2, 3168),
    }
    assert code.shape == (maps[name] if model.code_size is None else (model.code_size,))
    assert all(jnp.issubdtype(leaf.dtype, jnp.floating) for leaf in jax.tree.leaves(gradient))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["digits-vae", "digits-conditional", "digits-vamp-vae", "digits-sparse-kl"])
def test_gradients_of_presets_reach_every_parameter(name: str) -> None:
    _, experiment = PRESETS[name]
    train = examples((8, 8, 1), max(4, experiment.regularization.prior_components))
    gradient, terms, _ = slope_and_terms(experiment, train)
    assert all(np.all(np.isfinite(value)) for value in terms.values())
    assert all(np.abs(leaf).max() > 0 for leaf in jax.tree.leaves(gradient))


@pytest.mark.parametrize(
    "likelihood",
    [
        "bernoulli",
        "continuous_bernoulli",
        "gaussian",
        "gaussian_with_global_variance",
        "gaussian_with_predicted_variance",
        "laplace",
        "poisson",
        "beta",
    ],
)
@pytest.mark.parametrize("network", ["mlp", "conv", "sequence"])
def test_every_likelihood_builds_with_every_network(likelihood: str, network: str) -> None:
    model = Model(family="variational", network=network, hidden=(4,), code_size=3, likelihood=likelihood)
    train = examples((6, 5) if network == "sequence" else (6, 5, 1))
    slope_and_terms(Experiment(model=model), train, trace)
    name = likelihood.replace("global", "predicted")  # the decoder learns the one and predicts the other
    assert build_autoencoder(Experiment(model=model), train).likelihood.name == name


@pytest.mark.parametrize(
    "loss", ["squared_error", "absolute_error", "huber", "binary_cross_entropy", "structural_dissimilarity"]
)
def test_every_loss_builds(loss: str) -> None:
    model = Model(family="undercomplete", hidden=(), code_size=3, loss=loss, code_activation="tanh")
    slope_and_terms(Experiment(model=model), examples((8, 7)), trace)


@pytest.mark.parametrize("family", ["undercomplete", "k_sparse"])
def test_a_sigmoid_output_is_one_of_the_same_network(family: str) -> None:
    """It is what the loss compares, too."""
    models = [
        Model(family=family, hidden=(4,), code_size=12, output_activation=output) for output in ("none", "sigmoid")
    ]
    plain, bounded = (build_autoencoder(Experiment(model=model), examples((8, 7))) for model in models)
    x = jnp.asarray(examples((8, 7)).x)
    params = plain.init(jax.random.key(0), x[0])
    code = plain.encode(params, x[0])
    expected = jax.nn.sigmoid(plain.decode(params, code))
    np.testing.assert_allclose(bounded.decode(params, code), expected, rtol=1e-6)
    loss, _ = bounded.loss(params, jax.random.key(0), x[:1])
    np.testing.assert_allclose(loss, jnp.sum(jnp.square(x[0] - expected)), rtol=1e-5)


def test_the_default_is_a_preset() -> None:
    assert DEFAULT in PRESETS


@pytest.mark.slow
def test_knobs_compose() -> None:
    """Every term that a variational autoencoder can have beside the others, each with its weight."""
    weights = {"mmd": 0.2, "contractive_penalty": 0.1, "total_correlation": 0.3, "l1_penalty": 0.4}
    regularization = Regularization(
        corruption="gaussian_blur",
        corruption_level=1.0,
        mmd_weight=weights["mmd"],
        contractive_weight=weights["contractive_penalty"],
        total_correlation_weight=weights["total_correlation"],
        sparse_weight=weights["l1_penalty"],
    )
    model = Model(family="variational", hidden=(5,), code_size=3, conditional=True)
    _, terms, _ = slope_and_terms(Experiment(model=model, regularization=regularization), examples((7, 6)))
    assert set(terms) == {"loss", "reconstruction", "kl", "elbo", "active_fraction", *weights}
    total = terms["reconstruction"] + terms["kl"] + sum(weight * terms[name] for name, weight in weights.items())
    np.testing.assert_allclose(terms["loss"], total, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("network", ["mlp", "conv"])
def test_memory_may_be_saved_and_products_taken_in_bfloat16(network: str) -> None:
    """Rematerialization changes no term; bfloat16 changes them by its rounding, and nothing that is kept."""
    model, train = Model(network=network, hidden=(8,), code_size=3), examples((8, 8, 1))
    plain, lean, half = (
        slope_and_terms(experiment, train)
        for experiment in (
            Experiment(model=model),
            Experiment(model=model, training=Training(rematerialize=True)),
            Experiment(model=replace(model, compute_dtype="bfloat16")),
        )
    )
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-5), lean, plain)
    assert {leaf.dtype for leaf in jax.tree.leaves(half)} == {jnp.dtype("float32")}
    assert np.abs(half[1]["loss"] / plain[1]["loss"] - 1).max() < 0.01
    assert np.abs(half[1]["loss"] - plain[1]["loss"]).max() > 0


@pytest.mark.slow
def test_feature_maps_may_be_codes() -> None:
    model = Model(family="undercomplete", network="conv", hidden=(4, 2), code_size=None, code_activation="sigmoid")
    autoencoder = build_autoencoder(Experiment(model=model), examples((9, 9, 1)))
    params = autoencoder.init(jax.random.key(0), jnp.zeros((9, 9, 1)))
    code = autoencoder.encode(params, jnp.zeros((9, 9, 1)))
    assert code.shape == (3, 3, 2)
    assert np.all((code > 0) & (code < 1))


SPARSE = Regularization(sparse_weight=0.1)


@pytest.mark.parametrize(
    ("experiment", "shape", "message"),
    [
        (Experiment(model=Model(network="conv")), (140,), r"takes images .* shape \(140,\)"),
        (Experiment(model=Model(network="sequence")), (8, 8, 1), r"takes sequences .* shape \(8, 8, 1\)"),
        (Experiment(model=Model(network="conv", hidden=(3,), code_size=None)), (8, 8), "even channels, 3"),
        (
            Experiment(model=Model(family="k_sparse"), regularization=SPARSE),
            (5,),
            "--sparse-weight and --family k_sparse",
        ),
        (
            Experiment(regularization=Regularization(sparse_kl_weight=0.1)),
            (5,),
            "--sparse-kl-weight and --family variational do not go together: a target activation",
        ),
        (
            Experiment(regularization=Regularization(importance_samples=5, beta=2.0)),
            (5,),
            "--importance-samples and --beta do not go together",
        ),
        (
            Experiment(model=Model(family="tied", conditional=True)),
            (5,),
            "^--conditional and --family tied do not go together: tied weights leave no room for a condition$",
        ),
        (
            Experiment(model=Model(conditional=True), regularization=Regularization(prior="vamp", prior_components=2)),
            (5,),
            "^--conditional and --prior vamp do not go together: pseudo-inputs have no condition$",
        ),
        (
            Experiment(regularization=Regularization(prior="mixture", free_bits=0.1)),
            (5,),
            "^--free-bits and --prior mixture do not go together: free bits need a prior whose",
        ),
        (
            Experiment(model=Model(family="k_sparse"), regularization=Regularization(mmd_weight=1.0)),
            (5,),
            "^--mmd-weight and --family k_sparse do not go together: codes of which all but k entries are 0 cannot",
        ),
        (
            Experiment(regularization=Regularization(prior="vamp", prior_components=5)),
            (5,),
            "prior_components: at most the 4 training examples, got 5",
        ),
        (
            Experiment(model=Model(family="undercomplete", loss="structural_dissimilarity")),
            (6, 9),
            r"structural_dissimilarity takes images from 7x7 on, an example has \(6, 9\)",
        ),
        (
            Experiment(data=Data(shift=6)),
            (6, 9),
            r"shift: takes images of more than 6 pixels a side, an example has shape \(6, 9\)",
        ),
        (Experiment(data=Data(shift=1)), (5,), r"shift: takes images of more than 1 pixels .* shape \(5,\)"),
    ],
)
def test_what_cannot_be_built_says_why(experiment: Experiment, shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(UserError, match=message):
        build_autoencoder(experiment, examples(shape))


def test_every_part_that_is_refused_has_a_knob() -> None:
    assert set(itertools.chain(*composition._APART)) <= set(setup._KNOB_OF_PART)


def test_a_bug_of_a_constructor_stays_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ValueError("sparse arrays of tied tensors")

    monkeypatch.setattr(setup.autoencoders, "variational", broken)
    with pytest.raises(ValueError, match=r"^sparse arrays of tied tensors$") as error:
        build_autoencoder(Experiment(), examples((5,)))
    assert not isinstance(error.value, UserError)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (None, "conditional: the data have no labels"),
        (np.array([-1, 0, 1, 2]), "conditional: labels must be classes from 0 on, got -1"),
    ],
)
def test_conditions_want_classes(labels: np.ndarray | None, message: str) -> None:
    model = Model(conditional=True)
    dataset = examples((5,))._replace(labels=labels)
    for function in (lambda: build_autoencoder(Experiment(model=model), dataset), lambda: as_examples(model, dataset)):
        with pytest.raises(UserError, match=message):
            function()
    assert conditions_of(Model(), dataset) == ()


def test_what_is_held_out_is_of_classes_that_are_trained_on() -> None:
    model = Model(conditional=True)
    train, other = (examples((5,))._replace(labels=np.array(labels)) for labels in ([0, 1, 1, 0], [0, 1, 2, 0]))
    check_data(model, Splits(train, train, train), "mine.npz")
    for splits in (Splits(train, other, train), Splits(train, train, other)):
        with pytest.raises(UserError, match="conditional: class 2 is held out, and the examples to train on are of"):
            check_data(model, splits, "mine.npz")


@pytest.mark.parametrize(
    ("dataset", "knob"),
    [("ecg5000", "test_fraction"), ("jsb_chorales", "validation_fraction"), ("jsb_chorales", "split_seed")],
)
def test_a_data_set_that_comes_divided_is_not_divided_otherwise(dataset: str, knob: str) -> None:
    value = 3 if knob == "split_seed" else 0.4
    with pytest.raises(UserError, match=f"{knob}: has no effect on {dataset}, which comes divided"):
        load_splits(Data(dataset=dataset, **{knob: value}))


def test_paths_are_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    located = locate(Data(dataset="mine.npy", labels="labels.npy", data_dir="data"))
    paths = [str(tmp_path / name) for name in ("mine.npy", "labels.npy", "data")]
    assert [located.dataset, located.labels, located.data_dir] == paths


def test_one_class_alone_is_no_condition_to_train_on_but_one_to_ask_for() -> None:
    model = Model(conditional=True)
    dataset = examples((5,))._replace(labels=np.zeros(4, np.int32))
    with pytest.raises(UserError, match="conditional: labels must be of two classes at least, got class 0 alone"):
        build_autoencoder(Experiment(model=model), dataset)
    (asked,) = conditions_of(model, dataset)
    assert asked.tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("optimization", "expected"),
    [
        (Optimization(learning_rate=0.1), [0.1, 0.1, 0.1, 0.1]),
        (Optimization(learning_rate=0.1, warmup_steps=2), [0.0, 0.05, 0.1, 0.1]),
        (Optimization(learning_rate=0.1, schedule="cosine"), [0.1, 0.05 * (1 + 0.5**0.5), 0.05, 0.05 * (1 - 0.5**0.5)]),
    ],
)
def test_learning_rates_follow_the_schedule(optimization: Optimization, expected: list[float]) -> None:
    """Adam's step on a constant gradient is the learning rate itself."""
    experiment = Experiment(optimization=optimization, training=Training(batch_size=10, epochs=2))
    with jax.numpy_dtype_promotion("standard"):
        optimizer = build_optimizer(experiment, training_examples=25)  # 2 steps an epoch, 4 in all
        params = jnp.zeros(1)
        state = optimizer.init(params)
        for rate in expected:
            update, state = optimizer.update(jnp.ones(1), state, params)
            assert -update[0] == pytest.approx(rate, rel=1e-4)


def test_gradients_are_clipped_before_adam_sees_them() -> None:
    experiment = Experiment(optimization=Optimization(clip_norm=1.0), training=Training(batch_size=1, epochs=1))
    with jax.numpy_dtype_promotion("standard"):
        optimizer = build_optimizer(experiment, 10)
        _, state = optimizer.update(jnp.full(4, 100.0), optimizer.init(jnp.zeros(4)), jnp.zeros(4))
    first_moment = next(leaf for leaf in jax.tree.leaves(state) if leaf.shape == (4,))
    np.testing.assert_allclose(first_moment, 0.1 * 0.5, rtol=1e-5)  # (1 - 0.9) times a gradient of norm 1


def test_warmup_longer_than_training_is_refused() -> None:
    experiment = Experiment(optimization=Optimization(warmup_steps=100), training=Training(batch_size=5, epochs=2))
    with pytest.raises(UserError, match="below the 4 steps"):
        build_optimizer(experiment, 10)


def splits_between(low: float, high: float) -> Splits:
    part = Dataset(np.linspace(low, high, 6, dtype=np.float32).reshape(3, 2))
    return Splits(part, part, part)


@pytest.mark.parametrize(
    "model",
    [
        Model(),
        Model(family="undercomplete", loss="binary_cross_entropy"),
        Model(family="undercomplete", output_activation="sigmoid"),
    ],
)
def test_bernoulli_wants_values_in_the_unit_interval(model: Model) -> None:
    check_data(model, splits_between(0, 1), "data")
    with pytest.raises(UserError, match=r"data: .* wants values in \[0, 1\].* from -0.5 to 2"):
        check_data(model, splits_between(-0.5, 2), "data")


def test_other_losses_take_any_values() -> None:
    check_data(Model(likelihood="gaussian"), splits_between(-5, 5), "data")
    check_data(Model(family="undercomplete"), splits_between(-5, 5), "data")
    check_data(Model(likelihood="poisson"), splits_between(0, 5), "data")


@pytest.mark.parametrize(
    ("likelihood", "low", "high", "message"),
    [
        ("beta", 0, 1, r"data: beta wants values in \(0, 1\)"),
        ("continuous_bernoulli", 0, 2, r"data: continuous_bernoulli wants values in \[0, 1\]"),
        ("poisson", 0, 1, "data: poisson wants whole numbers"),
    ],
)
def test_other_likelihoods_want_their_support(likelihood: str, low: float, high: float, message: str) -> None:
    with pytest.raises(UserError, match=message):
        check_data(Model(likelihood=likelihood), splits_between(low, high), "data")
