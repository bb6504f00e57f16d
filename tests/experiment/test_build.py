"""From configuration to data, autoencoder and optimizer."""

import importlib
import math
import pkgutil
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Any, get_args, get_type_hints

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aejax import autoencoders
from aejax.autoencoders import Autoencoder, Part, as_batch
from aejax.autoencoders.learned_state import split_statistics, with_state, without_state
from aejax.datasets.dataset import Dataset, Splits, fingerprint
from aejax.datasets.stored import StoredArray
from aejax.errors import UserError
from aejax.experiment import build as setup
from aejax.experiment.build import build_autoencoder
from aejax.experiment.configuration import Data, Experiment, Model, Optimization, Regularization, Training, check
from aejax.experiment.dictionary_knobs import Dictionary
from aejax.experiment.facts import describe_bytes, facts_of
from aejax.experiment.loading import as_examples, bytes_of, check_data, conditions_of, example_of, load_splits, locate
from aejax.experiment.optimizers import build_optimizer
from aejax.experiment.part_knobs import knob_of_part
from aejax.experiment.presets import DEFAULT, PRESETS
from aejax.experiment.scaling import make_facts
from aejax.training import AXIS

LIKELIHOODS = [name for name in get_args(get_type_hints(Model)["likelihood"]) if name != "table"]  # test_tables.py


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
        (Data(validation_fraction=0.5, test_fraction=0.5), "leave no training examples"),
        (Data(labels="labels.npy"), "labels: requires a folder of sequences or a file of your own"),
        (Data(dataset="missing.npy"), "missing.npy: no such file"),
        (Data(window=32), "window: requires the dataset jsb_chorales, but the dataset is digits"),
    ],
)
def test_data_that_cannot_be_had(data: Data, message: str) -> None:
    with pytest.raises(UserError, match=message):
        load_splits(data)


def examples(shape: tuple[int, ...], number: int = 4) -> Dataset:
    """Random examples in (0, 1) of as many classes."""
    x = np.random.default_rng(0).uniform(0.01, 0.99, (number, *shape)).astype(np.float32)
    return Dataset(x, np.arange(number, dtype=np.int32))


def built(experiment: Experiment, train: Dataset) -> Autoencoder:
    """The autoencoder of an experiment on these examples."""
    return build_autoencoder(experiment, make_facts(experiment, train))


def slope_and_terms(experiment: Experiment, train: Dataset, transform=jax.jit):
    """The gradient of the loss with respect to drawn parameters, and its terms, on two devices of half the examples."""
    autoencoder = built(experiment, train)
    batch = as_batch(jax.tree.map(jnp.asarray, as_examples(experiment.model, train, facts_of(train))))
    conditions = [condition[0] for condition in conditions_of(experiment.model, train, facts_of(train))]

    def compute(key):
        params = autoencoder.init(key, batch.x[0], *conditions)
        halves = jax.tree.map(lambda part: part.reshape(2, -1, *part.shape[1:]), batch._replace(step=None))
        halves = halves._replace(step=jnp.full(2, 10**6))

        def loss(trained, half):
            return autoencoder.loss(with_state(autoencoder, trained, params), key, half)

        slope = jax.vmap(jax.grad(loss, has_aux=True), in_axes=(None, 0), axis_name=AXIS)
        gradient, metrics = slope(without_state(autoencoder, params), halves)
        code = autoencoder.encode(params, batch.x[0], *conditions)
        return gradient, split_statistics(metrics)[0], autoencoder.decode(params, code, *conditions), code

    gradient, terms, reconstruction, code = transform(compute)(jax.random.key(0))
    assert reconstruction.shape == train.x.shape[1:]
    return gradient, terms, code


def trace(function):
    """The shapes that a function would return, in place of the numbers: nothing is compiled."""
    return partial(jax.eval_shape, function)


@pytest.mark.slow
@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_builds(name: str) -> None:
    _, experiment = PRESETS[name]
    check(experiment)
    model = experiment.model
    shapes = {
        "digits": (8, 8, 1),
        "ecg5000": (140,),
        "jsb_chorales": (16, 88),
        "documents": (32, 32, 1),
        "bsd68": (32, 32, 1),
        "natural_patches": (12, 12, 1),
        "cifar10_first4000": (32, 32, 3),
        "cifar10": (32, 32, 3),
        "sprites": (32, 32, 1),
    }
    shape = shapes.get(experiment.data.dataset, (28, 28, 1))
    train = examples(shape, max(4, experiment.regularization.prior_components))
    gradient, terms, code = slope_and_terms(experiment, train, trace)
    assert "loss" in terms
    maps = {
        "fashion-denoise": (4, 4, 16),
        "fashion-denoise-unet": (4, 4, 768),
        "documents-tutorial": (16, 16, 64),
        "documents-denoise": (2, 2, 3168),
        "cifar10-vae": (128,),
        "cifar10-denoise": (16, 16, 60),  # features of 2x2 pixels, and these pixels
        **dict.fromkeys(("bsd68-denoise-15", "bsd68-denoise-25", "bsd68-denoise-50"), (16, 16, 52)),
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


@pytest.mark.slow_after_first
@pytest.mark.parametrize("likelihood", LIKELIHOODS)
@pytest.mark.parametrize("network", ["mlp", "conv", "sequence"])
def test_every_likelihood_builds_with_every_network(likelihood: str, network: str) -> None:
    model = Model(family="variational", network=network, hidden=(4,), code_size=3, likelihood=likelihood)
    train = examples((6, 5) if network == "sequence" else (6, 5, 1))
    slope_and_terms(Experiment(model=model), train, trace)
    name = likelihood.replace("global", "predicted")  # the decoder learns the one and predicts the other
    assert built(Experiment(model=model), train).variational.likelihood.name == name


@pytest.mark.slow_after_first
@pytest.mark.parametrize(
    "loss", ["squared_error", "absolute_error", "huber", "binary_cross_entropy", "structural_dissimilarity"]
)
def test_every_loss_builds(loss: str) -> None:
    model = Model(family="undercomplete", hidden=(), code_size=3, loss=loss, code_activation="tanh")
    slope_and_terms(Experiment(model=model), examples((8, 7)), trace)


@pytest.mark.slow
@pytest.mark.parametrize("family", ["undercomplete", "k_sparse"])
def test_a_sigmoid_output_is_one_of_the_same_network(family: str) -> None:
    """It is what the loss compares, too."""
    models = [
        Model(family=family, hidden=(4,), code_size=12, output_activation=output) for output in ("none", "sigmoid")
    ]
    plain, bounded = (built(Experiment(model=model), examples((8, 7))) for model in models)
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
    weights = {
        "mmd": 0.2,
        "contractive_penalty": 0.1,
        "total_correlation": 0.3,
        "l1_penalty": 0.4,
        "squared_weights": 0.05,
    }
    regularization = Regularization(
        corruption="gaussian_blur",
        corruption_level=1.0,
        mmd_weight=weights["mmd"],
        contractive_weight=weights["contractive_penalty"],
        total_correlation_weight=weights["total_correlation"],
        sparse_weight=weights["l1_penalty"],
        l2_weight=weights["squared_weights"],
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
    autoencoder = built(Experiment(model=model), examples((9, 9, 1)))
    params = autoencoder.init(jax.random.key(0), jnp.zeros((9, 9, 1)))
    code = autoencoder.encode(params, jnp.zeros((9, 9, 1)))
    assert code.shape == (3, 3, 2)
    assert np.all((code > 0) & (code < 1))


SPARSE = Regularization(sparse_weight=0.1)


@pytest.mark.parametrize(
    ("experiment", "shape", "message"),
    [
        (Experiment(model=Model(network="conv")), (140,), r"network: conv expects images .* shape \(140,\)"),
        (
            Experiment(model=Model(network="sequence")),
            (8, 8, 1),
            r"network: sequence expects .* shape \(8, 8, 1\)",
        ),
        (Experiment(model=Model(network="conv", hidden=(3,), code_size=None)), (8, 8), "even channels, 3"),
        (
            Experiment(model=Model(family="k_sparse"), regularization=SPARSE),
            (5,),
            "sparse_weight and family k_sparse",
        ),
        (
            Experiment(regularization=Regularization(sparse_kl_weight=0.1)),
            (5,),
            "sparse_kl_weight and family variational cannot be combined: a target activation",
        ),
        (
            Experiment(regularization=Regularization(importance_samples=5, beta=2.0)),
            (5,),
            "importance_samples and beta cannot be combined",
        ),
        (
            Experiment(regularization=Regularization(importance_samples=5, importance_bound="ciwae", beta=2.0)),
            (5,),
            "importance_bound and beta cannot be combined",
        ),
        (
            Experiment(model=Model(family="tied", conditional=True)),
            (5,),
            "^conditional and family tied cannot be combined: tied layers have no input for a condition$",
        ),
        (
            Experiment(model=Model(conditional=True), regularization=Regularization(prior="vamp", prior_components=2)),
            (5,),
            "^conditional and prior vamp cannot be combined: pseudo-inputs have no condition$",
        ),
        (
            Experiment(regularization=Regularization(prior="mixture", free_bits=0.1)),
            (5,),
            "^free_bits and prior mixture cannot be combined: free bits need a prior whose",
        ),
        (
            Experiment(model=Model(family="k_sparse"), regularization=Regularization(mmd_weight=1.0)),
            (5,),
            "^mmd_weight and family k_sparse cannot be combined: codes with only k nonzero entries cannot",
        ),
        (
            Experiment(regularization=Regularization(prior="vamp", prior_components=5)),
            (5,),
            "prior_components: must be at most the number of training examples, 4, got 5",
        ),
        (
            Experiment(model=Model(family="undercomplete", loss="structural_dissimilarity")),
            (6, 9),
            r"structural_dissimilarity expects images of at least 7x7 pixels, but examples have \(6, 9\)",
        ),
        (
            Experiment(data=Data(shift=6)),
            (6, 9),
            r"shift: expects images with sides of more than 6 pixels, but examples have shape \(6, 9\)",
        ),
        (
            Experiment(data=Data(shift=1)),
            (5,),
            r"shift: expects images with sides of more than 1 pixels, .* shape \(5,\)",
        ),
    ],
)
def test_what_cannot_be_built_says_why(experiment: Experiment, shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(UserError, match=message):
        built(experiment, examples(shape))


def parts() -> dict[str, Part]:
    """Every part that a module of the constructors declares, and those of priors."""
    modules = [
        importlib.import_module(module.name)
        for module in pkgutil.walk_packages(autoencoders.__path__, "aejax.autoencoders.")
    ]
    found = [value for module in modules for value in vars(module).values() if isinstance(value, Part)]
    return {part.name: part for part in (*found, Part("mixture_prior"), Part("vamp_prior"))}


def test_every_part_that_is_refused_has_a_knob() -> None:
    known = parts()
    excluding = [part for part in known.values() if part.excludes]
    refused = {name for part in excluding for name, _ in part.excludes} | {part.name for part in excluding}
    refused |= {part.name for part in known.values() if part.coupled_through}
    assert refused <= set(known)
    assert len(refused) > 10
    knobs = {field.name for group in (Model, Dictionary, Regularization) for field in fields(group)}
    assert {knob_of_part(name, Model, Dictionary, Regularization).split(" ")[0] for name in refused} <= knobs


@pytest.mark.parametrize("knob", ["sparse_kl_weight", "free_bits", "mmd_weight", "total_correlation_weight"])
def test_a_loss_that_is_coupled_through_the_batch_is_not_divided(knob: str) -> None:
    model = Model(code_activation="sigmoid", family="undercomplete") if knob == "sparse_kl_weight" else Model()
    regularization = Regularization(**{knob: 0.1})
    experiment = Experiment(model=model, regularization=regularization, training=Training(accumulation_steps=2))
    check(experiment)
    with pytest.raises(UserError, match=f"^accumulation_steps: {knob} computes .*; rematerialize saves memory too$"):
        built(experiment, examples((5,)))


def test_a_bug_of_a_constructor_stays_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ValueError("sparse arrays of tied tensors")

    monkeypatch.setattr(setup.autoencoders, "variational", broken)
    with pytest.raises(ValueError, match=r"^sparse arrays of tied tensors$") as error:
        built(Experiment(model=Model(code_size=9)), examples((5,)))  # which no other test builds
    assert not isinstance(error.value, UserError)


SMALL = Model(hidden=(6,), code_size=2)
SALT_AND_PEPPER = Regularization(corruption="salt_and_pepper", corruption_level=0.1)


def test_equal_autoencoders_are_one_value() -> None:
    """Whatever the seed is, how long they train, and on which examples of the shape."""
    dataset = examples((5,), 8)
    longer = Training(seed=1, epochs=7, batch_size=2, accumulation_steps=2)
    first = built(Experiment(model=SMALL), dataset)
    assert built(Experiment(model=SMALL, training=longer), dataset._replace(x=dataset.x[::-1] / 2)) is first
    optimizers = [build_optimizer(Experiment(model=model), 640) for model in (SMALL, replace(SMALL, code_size=3))]
    assert optimizers[0] is optimizers[1]
    assert build_optimizer(Experiment(optimization=Optimization(learning_rate=0.2)), 640) is not optimizers[0]


@pytest.mark.parametrize(
    ("experiment", "change"),
    [
        (Experiment(model=SMALL), {"shape": (6,)}),
        (Experiment(model=SMALL, regularization=SALT_AND_PEPPER), {"targets": {"high": 2.0}}),
        (Experiment(model=replace(SMALL, likelihood="gaussian_with_global_variance")), {"log_variance": 0.5}),
        (Experiment(model=replace(SMALL, likelihood="discretized_logistic")), {"targets": {"mean": 0.3}}),
        (Experiment(model=SMALL, regularization=Regularization(total_correlation_weight=1.0)), {"examples": 9}),
        (
            Experiment(model=SMALL, regularization=Regularization(prior="vamp", prior_components=2)),
            {"pseudo_inputs": (0.5,) * 10},
        ),
        (Experiment(model=replace(SMALL, conditional=True)), {"classes": (0, 1, 2)}),
        (
            Experiment(model=replace(SMALL, likelihood="gaussian", standardize="feature")),
            {"scaling": {"shift": (0.0,) * 5}},
        ),
    ],
)
def test_facts_that_an_autoencoder_depends_on_build_another_one(experiment: Experiment, change: dict) -> None:
    facts = make_facts(experiment, examples((5,), 8))
    changed = {k: replace(getattr(facts, k), **v) if isinstance(v, dict) else v for k, v in change.items()}
    one, other = build_autoencoder(experiment, facts), build_autoencoder(experiment, replace(facts, **changed))
    assert one is build_autoencoder(experiment, facts)
    assert one is not other


def test_levels_start_at_the_moments_of_the_training_examples() -> None:
    """A decoder's output of 0 is a logistic variable with the examples' mean and standard deviation."""
    x = np.round(np.random.default_rng(0).uniform(0.1, 0.5, (40, 5)) * 255).astype(np.float32) / np.float32(255)
    experiment = Experiment(model=replace(SMALL, likelihood="discretized_logistic"))
    likelihood = built(experiment, Dataset(x)).variational.likelihood
    location, log_scale = likelihood.constrain(jnp.zeros((5, 2)))[0]
    assert location == pytest.approx(x.mean(), rel=1e-5)
    assert jnp.exp(log_scale) * math.pi / math.sqrt(3) == pytest.approx(x.std(), rel=1e-5)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (None, "conditional: the data have no labels"),
        (np.arange(4), "conditional: expected at most 3 classes, got 4 distinct labels of 4 examples, which seem"),
    ],
)
def test_conditions_want_classes(labels: np.ndarray | None, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("aejax.experiment.facts", "aejax.experiment.loading"):
        monkeypatch.setattr(f"{module}.MAX_CLASSES", 3)
    model = Model(conditional=True)
    dataset = examples((5,))._replace(labels=labels)
    facts = facts_of(dataset)
    for function in (
        lambda: built(Experiment(model=model), dataset),
        lambda: as_examples(model, dataset, facts),
        lambda: check_data(model, Splits(dataset, dataset, dataset), "mine.npy"),
    ):
        with pytest.raises(UserError, match=message):
            function()
    assert conditions_of(Model(), dataset, facts) == ()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ([7, 3, 1000, 3], [1, 0, 2, 0]),
        ([-5, 0, -5, 2], [0, 1, 0, 2]),
        ([2**40, 1, 2**40, 3], [2, 0, 2, 1]),
        (["dog", "cat", "dog", "bird"], [2, 1, 2, 0]),
    ],
)
def test_classes_are_those_that_are_trained_on_whatever_they_are_called(labels: list, expected: list[int]) -> None:
    model = Model(conditional=True, hidden=(), code_size=2)
    dataset = examples((5,))._replace(labels=np.array(labels))
    facts = facts_of(dataset)
    (positions,) = conditions_of(model, dataset, facts)
    assert positions.dtype == np.int32
    assert positions.tolist() == expected
    autoencoder = build_autoencoder(Experiment(model=model), facts)
    params = autoencoder.init(jax.random.key(0), *example_of(model, facts))
    kernels = [leaf.shape for leaf in jax.tree.leaves(params) if leaf.ndim == 2]
    assert sorted(kernels) == sorted([(5 + 3, 4), (2 + 3, 5)])


@pytest.mark.parametrize(
    ("labels", "unseen"),
    [([7, 4, 3], "class 4"), ([8, 4, 0], "classes 0, 4, 8"), ([3, -1, 7], "class -1"), (["3", "7", "3"], "'3', '7'")],
)
def test_labels_that_were_not_trained_on_are_named(labels: list, unseen: str) -> None:
    model = Model(conditional=True)
    facts = facts_of(examples((5,))._replace(labels=np.array([3, 7, 1000, 3])))
    with pytest.raises(
        UserError, match=f"expected labels of the training examples, classes 3, 7, 1000, got .*{unseen}$"
    ):
        conditions_of(model, Dataset(np.zeros((3, 5), np.float32), np.array(labels)), facts)


def test_what_is_held_out_is_of_classes_that_are_trained_on() -> None:
    model = Model(conditional=True)
    train, other = (examples((5,))._replace(labels=np.array(labels)) for labels in ([0, 1, 1, 0], [0, 1, 2, 0]))
    check_data(model, Splits(train, train, train), "mine.npz")
    for splits in (Splits(train, other, train), Splits(train, train, other)):
        with pytest.raises(UserError, match="conditional: class 2 is held out, but training examples have"):
            check_data(model, splits, "mine.npz")
    between = train._replace(labels=np.array([0, 2, 2, 0]))  # 1 is unseen, and below the largest
    with pytest.raises(UserError, match="class 1 is held out, but training examples have labels of classes 0, 2"):
        check_data(model, Splits(between, between, train), "mine.npz")


@pytest.mark.parametrize(
    ("dataset", "knob"),
    [("ecg5000", "test_fraction"), ("jsb_chorales", "validation_fraction"), ("jsb_chorales", "split_seed")],
)
def test_a_data_set_that_comes_divided_is_not_divided_otherwise(dataset: str, knob: str) -> None:
    value = 3 if knob == "split_seed" else 0.4
    with pytest.raises(UserError, match=f"{knob}: has no effect on {dataset}, which has fixed splits"):
        load_splits(Data(dataset=dataset, **{knob: value}))


BYTES = {
    "masks": np.eye(2, dtype=np.uint8)[np.arange(60) % 2],
    "black and white": 255 * np.eye(2, dtype=np.uint8)[np.arange(60) % 2],
    "classes": np.arange(120, dtype=np.uint8).reshape(60, 2) % 9,
    "counts with a long tail": np.where(np.arange(1200) == 7, 200, np.arange(1200) % 5)
    .astype(np.uint8)
    .reshape(60, 20),
    "gray values": np.linspace(0, 255, 120).astype(np.uint8).reshape(60, 2),
    "dark": np.linspace(0, 100, 120).astype(np.uint8).reshape(60, 2),
    "few bright strokes": np.where(np.arange(1200) % 50 == 7, 255, 0).astype(np.uint8).reshape(60, 20),
}
GRAY_VALUES = ("black and white", "gray values", "few bright strokes")


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
@pytest.mark.parametrize("kind", BYTES)
def test_bytes_are_gray_values_by_what_they_are_or_what_is_said(kind: str, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"x{suffix}"
    (np.save if suffix == ".npy" else lambda path, x: np.savez(path, x=x))(path, BYTES[kind])
    whole = BYTES[kind].astype(np.float32)

    def read(model: Model, byte_values: str, **how: Any) -> int:
        experiment = Experiment(data=Data(dataset=str(path), byte_values=byte_values), model=model)
        splits = load_splits(experiment.data, bytes_as=bytes_of(experiment), **how)
        in_order = np.concatenate([np.asarray(part.x) for part in splits])
        divided_by = 255 if in_order.max() < whole.max() else 1
        assert facts_of(splits.train).targets.divided_by == divided_by
        assert in_order.sum() == pytest.approx(whole.sum() / divided_by, rel=1e-5)
        said = describe_bytes(facts_of(splits.train), "x")
        assert said is not None
        assert ("gray values, divided by 255" in said) == (divided_by == 255)
        return divided_by

    plain, poisson = Model(family="undercomplete"), Model(likelihood="poisson")
    for stored in (False, True) if suffix == ".npy" else (False,):
        assert read(plain, "auto", stored=stored) == (255 if kind in GRAY_VALUES else 1)
        assert read(plain, "as_is", stored=stored) == 1
        assert read(plain, "scaled", stored=stored) == 255
        assert read(poisson, "auto", stored=stored) == 1


@pytest.mark.parametrize("dtype", [bool, np.int8, np.uint16, np.int64, np.float32])
def test_numbers_of_other_types_are_never_divided(dtype: type, tmp_path: Path) -> None:
    x = np.arange(120).reshape(60, 2).astype(dtype)
    np.save(tmp_path / "x.npy", x)
    for byte_values in ("auto", "scaled", "as_is"):
        train = load_splits(Data(dataset=str(tmp_path / "x.npy"), byte_values=byte_values)).train
        assert train.x.max() == x[np.isin(x[:, 0], train.x[:, 0])].max()
        assert describe_bytes(facts_of(train), "x") is None


@pytest.mark.parametrize(
    ("x", "noisy", "expected"),
    [
        ("masks", "masks", (1, 1)),
        ("masks", "gray values", (1, 255)),
        ("dark", "gray values", (255, 255)),
        ("gray values", "dark", (255, 255)),
        ("dark", "classes", (1, 1)),
    ],
)
def test_bytes_of_pairs_are_read_alike_but_for_masks(x: str, noisy: str, expected: tuple, tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", x=BYTES[x], input=BYTES[noisy])
    facts = facts_of(load_splits(Data(dataset=str(tmp_path / "x.npz"))).train)
    assert facts.inputs is not None
    assert (facts.targets.divided_by, facts.inputs.divided_by) == expected
    assert str(describe_bytes(facts, "x.npz")).count("bytes from 0 to ") == 2


def test_bytes_that_no_likelihood_explains_are_said_to_be_what_they_are(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", BYTES["dark"])
    splits = load_splits(Data(dataset=str(tmp_path / "x.npy")))
    with pytest.raises(UserError, match=r"range from 0 to 100; use byte_values scaled if they are gray values, or"):
        check_data(Model(), splits, "x.npy")
    with pytest.raises(UserError, match="byte_values: likelihood poisson expects counts"):
        check(Experiment(data=Data(byte_values="scaled"), model=Model(likelihood="poisson")))
    with pytest.raises(UserError, match="byte_values: requires a file of your own, but the dataset is digits"):
        load_splits(Data(byte_values="as_is"))


def test_what_lies_in_a_file_is_checked_a_block_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No more than a block is ever read, below a GiB and above, and an example out of range is found all the same."""
    monkeypatch.setattr("aejax.datasets.stored._BLOCK", 4 * 2 * 10)
    x = np.zeros((600, 2))
    x[::7, 1] = 1
    x[300] = 0.5, 3
    np.save(tmp_path / "x.npy", x)
    splits = load_splits(Data(dataset=str(tmp_path / "x.npy")), stored=True)
    largest, read = 0, StoredArray._read

    def spy(self: StoredArray, rows: np.ndarray) -> np.ndarray:
        nonlocal largest
        largest = max(largest, len(rows))
        return read(self, rows)

    monkeypatch.setattr(StoredArray, "_read", spy)
    with pytest.raises(UserError, match="from 0 to 3"):
        check_data(Model(), splits, "x.npy")
    with pytest.raises(UserError, match="fractions such as 0"):
        check_data(Model(likelihood="poisson"), splits, "x.npy")
    fingerprint(splits)
    assert largest == 10


def test_paths_are_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    located = locate(Data(dataset="mine.npy", labels="labels.npy", data_dir="data"))
    paths = [str(tmp_path / name) for name in ("mine.npy", "labels.npy", "data")]
    assert [located.dataset, located.labels, located.data_dir] == paths


def test_one_class_alone_is_no_condition_to_train_on_but_one_to_ask_for() -> None:
    model = Model(conditional=True)
    dataset = examples((5,))._replace(labels=np.zeros(4, np.int32))
    with pytest.raises(UserError, match="conditional: expected labels of at least two classes, got only class 0"):
        built(Experiment(model=model), dataset)
    (asked,) = conditions_of(model, dataset, facts_of(dataset))
    assert asked.tolist() == [0, 0, 0, 0]


@pytest.mark.slow
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
    with pytest.raises(UserError, match="below the 4 training steps"):
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
    with pytest.raises(UserError, match=r"data: .* expects values in \[0, 1\].* from -0.5 to 2"):
        check_data(model, splits_between(-0.5, 2), "data")


def test_other_losses_take_any_values() -> None:
    check_data(Model(likelihood="gaussian"), splits_between(-5, 5), "data")
    check_data(Model(family="undercomplete"), splits_between(-5, 5), "data")
    check_data(Model(likelihood="poisson"), splits_between(0, 5), "data")


@pytest.mark.parametrize(
    ("likelihood", "low", "high", "message"),
    [
        ("beta", 0, 1, r"data: beta expects values in \(0, 1\)"),
        ("continuous_bernoulli", 0, 2, r"data: continuous_bernoulli expects values in \[0, 1\]"),
        ("poisson", 0, 1, "data: poisson expects whole numbers"),
    ],
)
def test_other_likelihoods_want_their_support(likelihood: str, low: float, high: float, message: str) -> None:
    with pytest.raises(UserError, match=message):
        check_data(Model(likelihood=likelihood), splits_between(low, high), "data")
