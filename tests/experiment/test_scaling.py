"""Data far from unit scale: found by statistics of the training examples, standardized inside the model."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aejax.datasets.dataset import Dataset, Splits
from aejax.errors import UserError
from aejax.experiment.build import build_autoencoder, build_corruption
from aejax.experiment.configuration import Data, Experiment, Model, Optimization, Regularization, Training, check
from aejax.experiment.facts import Scaling, facts_of, from_json, to_json
from aejax.experiment.job import fit, make_job
from aejax.experiment.loading import check_data
from aejax.experiment.plausibility import check_result
from aejax.experiment.scaling import describe, make_facts, moments

RNG = np.random.default_rng(0)
LATENT = RNG.normal(size=(300, 2)) @ RNG.normal(size=(2, 6)) + 0.1 * RNG.normal(size=(300, 6))
COUNTS = RNG.poisson(RNG.gamma(0.5, 120, size=12) * np.exp(RNG.normal(0, 0.5, (300, 1))))


def configured(**model) -> Experiment:
    return Experiment(
        data=Data(dataset="mine.npy"),
        model=Model(**({"hidden": (16,), "code_size": 2, "likelihood": "gaussian"} | model)),
        optimization=Optimization(learning_rate=3e-3),
        training=Training(batch_size=40, epochs=8, patience=None),
    )


def divided(x: np.ndarray) -> Splits:
    x = np.asarray(x, np.float32)
    return Splits(Dataset(x[:240]), Dataset(x[240:]), Dataset(x[240:]))


def scaling_of(x: np.ndarray, **model) -> Scaling | None:
    return make_facts(configured(**model), Dataset(np.asarray(x, np.float32))).scaling


def test_moments_are_those_of_numpy_in_double_precision_over_blocks(monkeypatch):
    x = (1e6 + RNG.normal(size=(57, 3, 2)) * [1.0, 1000.0]).astype(np.float32)
    x[:, 0, 0] = 7.3
    monkeypatch.setattr("aejax.datasets.stored._BLOCK", 200)  # bytes: eight examples at a time

    mean, variance = moments(x)

    flat = x.reshape(57, 6).astype(np.float64)
    np.testing.assert_allclose(mean, flat.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(variance, flat.var(axis=0), rtol=1e-9)
    assert variance[0] == 0
    counts = RNG.poisson(3.0, (57, 2)).astype(np.float32)
    np.testing.assert_allclose(moments(counts, log1p=True).mean, np.log1p(counts.astype(np.float64)).mean(axis=0))


@pytest.mark.parametrize("unit", [1.0, 2.0, -3.0])
@pytest.mark.parametrize(
    "model", [{}, {"likelihood": "laplace"}, {"family": "undercomplete", "likelihood": "bernoulli"}]
)
def test_data_near_unit_scale_are_taken_as_they_are(unit, model):
    assert scaling_of(unit * LATENT / np.abs(LATENT).max(), **model) is None
    assert scaling_of(np.clip(np.abs(LATENT), 0, 1), **model) is None


def test_one_rare_large_value_is_not_far_from_unit_scale():
    heavy = LATENT.copy()
    heavy[0, 0] = 40.0
    assert scaling_of(heavy) is None


@pytest.mark.parametrize(
    "x",
    [2000 + 5 * LATENT, 50_000 + 20_000 * LATENT, 1e-4 * LATENT, 1e9 * LATENT],
    ids=["years", "incomes", "tiny", "huge"],
)
@pytest.mark.parametrize("model", [{}, {"family": "undercomplete", "likelihood": "bernoulli"}])
def test_features_of_one_kind_far_from_it_share_a_mean_and_a_standard_deviation(x, model):
    x = np.asarray(x, np.float32)
    scaling = scaling_of(x, **model)

    np.testing.assert_allclose(scaling.shift, [np.mean(x, dtype=np.float64)], rtol=1e-6)
    np.testing.assert_allclose(scaling.scale, [np.std(x, dtype=np.float64)], rtol=1e-6)


def test_features_of_several_kinds_have_their_own_and_a_constant_one_is_only_moved():
    x = np.asarray(np.array([2000, 5e4, 0, 0, 1, 7]) + np.array([5, 2e4, 1, 1, 0.01, 0]) * LATENT, np.float32)
    scaling = scaling_of(x)

    np.testing.assert_allclose(scaling.shift, np.mean(x, axis=0, dtype=np.float64), rtol=1e-6)
    np.testing.assert_allclose(scaling.scale[:5], np.std(x, axis=0, dtype=np.float64)[:5], rtol=1e-6)
    assert scaling.scale[5] == 1


def test_images_share_a_mean_and_a_standard_deviation():
    images = RNG.integers(0, 256, (20, 4, 4)).astype(np.float32)
    scaling = scaling_of(images)

    np.testing.assert_allclose((scaling.shift[0], scaling.scale[0]), (images.mean(), images.std()), rtol=1e-5)


def test_the_knob_decides_where_it_is_given():
    assert scaling_of(2000 + 5 * LATENT, standardize="none") is None
    assert len(scaling_of(LATENT, standardize="feature").shift) == 6
    assert len(scaling_of(LATENT, standardize="global").shift) == 1
    assert scaling_of(255 * np.clip(LATENT, 0, 1), likelihood="bernoulli") is None


def test_only_counts_that_are_large_are_read_by_their_logarithm():
    assert scaling_of(np.minimum(COUNTS, 5), likelihood="poisson") is None
    scaling = scaling_of(COUNTS, likelihood="poisson")

    assert scaling.transform == "log1p"
    np.testing.assert_allclose(scaling.shift, np.log1p(COUNTS).mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(np.exp(scaling.log_rate), COUNTS.mean(axis=0), rtol=1e-6)
    never = COUNTS.copy()
    never[:, 0] = 0
    assert np.isfinite(scaling_of(never, likelihood="poisson").log_rate).all()


def test_statistics_are_those_of_training_examples_and_are_kept_as_facts():
    experiment = configured()
    facts = make_facts(experiment, divided(2000 + 5 * LATENT).train)

    assert from_json(to_json(facts), name="facts.json") == facts
    counts = make_facts(configured(likelihood="poisson"), divided(COUNTS).train)
    assert from_json(to_json(counts), name="facts.json") == counts
    described = describe(facts, experiment.model)
    low, high = (2000 + 5 * LATENT[:240]).min(), (2000 + 5 * LATENT[:240]).max()
    assert f"values from {low:g} to {high:g}, far from unit scale: the model standardizes them" in described
    assert describe(facts_of(Dataset(np.asarray(LATENT, np.float32))), experiment.model) is None


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            {"likelihood": "bernoulli", "standardize": "feature"},
            "standardize: feature .* likelihood bernoulli does not",
        ),
        (
            {
                "family": "undercomplete",
                "likelihood": "bernoulli",
                "loss": "binary_cross_entropy",
                "standardize": "global",
            },
            "standardize: global .* loss binary_cross_entropy does not",
        ),
        (
            {
                "family": "undercomplete",
                "likelihood": "bernoulli",
                "output_activation": "sigmoid",
                "standardize": "global",
            },
            "output_activation sigmoid does not",
        ),
        ({"network": "conv", "code_size": None, "standardize": "feature"}, "use global"),
    ],
)
def test_standardization_of_what_is_bounded_is_refused(model, message):
    with pytest.raises(UserError, match=message):
        check(configured(**model))


def reconstructed(autoencoder, params, x: np.ndarray) -> np.ndarray:
    return np.asarray(jax.jit(jax.vmap(lambda x: autoencoder.decode(params, autoencoder.encode(params, x))))(x))


def trained(x: np.ndarray, **model):
    splits = divided(x)
    experiment = configured(**model)
    with jax.numpy_dtype_promotion("standard"):
        job = make_job(experiment, splits)
        snapshot = fit(job, devices=jax.devices()[:1])
    held_out = splits.test.x
    error = np.square(reconstructed(job.autoencoder, snapshot.best_params, held_out) - held_out).sum()
    return snapshot.stopping.best_loss, 1 - error / np.square(held_out - splits.train.x.mean(axis=0)).sum()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("x", "model"),
    [
        (2000 + 5 * LATENT, {}),
        (50_000 + 20_000 * LATENT, {"likelihood": "gaussian_with_global_variance"}),
        (40_000 + 10_000 * LATENT, {"family": "undercomplete", "likelihood": "bernoulli"}),
        (COUNTS, {"likelihood": "poisson"}),
    ],
    ids=["years", "incomes", "uint16", "counts"],
)
def test_far_from_unit_scale_training_explains_the_data(x, model):
    _, explained = trained(x, **model)
    assert explained > 0.5


@pytest.mark.slow
def test_the_loss_is_that_of_standardized_data_and_the_units():
    x = np.asarray(2000 + 5 * LATENT, np.float32)
    scaling = scaling_of(x[:240])
    z = (x - np.float32(scaling.shift[0])) / np.float32(scaling.scale[0])

    loss, _ = trained(x)
    wanted, _ = trained(z)

    assert loss == pytest.approx(wanted + 6 * np.log(scaling.scale[0]), rel=1e-4)


@pytest.mark.slow
def test_pseudo_inputs_and_noise_may_fall_below_zero_counts():
    regularization = Regularization(
        prior="vamp", prior_components=3, corruption="gaussian_noise", corruption_level=50.0
    )
    experiment = replace(configured(likelihood="poisson"), regularization=regularization)
    train = divided(COUNTS).train
    autoencoder = build_autoencoder(experiment, make_facts(experiment, train))
    params = autoencoder.init(jax.random.key(0), jnp.asarray(train.x[0]))
    params["prior"]["pseudo_inputs"] = params["prior"]["pseudo_inputs"] - 1000.0

    loss, _ = autoencoder.loss(params, jax.random.key(1), jnp.asarray(train.x[:8]))

    assert jnp.isfinite(loss)


@pytest.mark.slow
def test_a_decoder_of_counts_that_returns_zero_predicts_their_mean():
    train, poisson = divided(COUNTS).train, configured(likelihood="poisson", hidden=())
    autoencoder = build_autoencoder(poisson, make_facts(poisson, train))
    params = jax.tree.map(jnp.zeros_like, autoencoder.init(jax.random.key(0), jnp.asarray(train.x[0])))

    np.testing.assert_allclose(autoencoder.decode(params, jnp.zeros(2)), train.x.mean(axis=0), rtol=1e-5)


COLOURS = np.clip(
    np.broadcast_to(RNG.random((300, 1, 1, 3)), (300, 4, 4, 3)) * 0.4 + 0.3 + 0.01 * RNG.normal(size=(300, 4, 4, 3)),
    0,
    1,
)


@pytest.mark.slow
def test_a_learned_global_variance_starts_at_that_of_the_data_and_colours_are_learned():
    model = {"likelihood": "gaussian_with_global_variance", "code_size": 3, "hidden": (32,)}
    train = divided(COLOURS).train
    facts = make_facts(configured(**model), train)
    assert facts.scaling is None
    assert facts.log_variance == pytest.approx(np.log(np.var(train.x.astype(np.float64), axis=0).mean()), rel=1e-9)
    autoencoder = build_autoencoder(configured(**model), facts)
    params = autoencoder.init(jax.random.key(0), jnp.asarray(train.x[0]))
    start = autoencoder.variational.decode_parameters(params, jnp.zeros(3))[..., 1]
    np.testing.assert_allclose(start, facts.log_variance, rtol=1e-6)

    experiment = configured(**model)
    splits = divided(COLOURS)
    colourful = []
    for given in (facts, facts_of(splits.train)):  # those of an older version start at variance 1
        with jax.numpy_dtype_promotion("standard"):
            longer = replace(experiment, training=replace(experiment.training, epochs=100))
            job = make_job(longer, splits, facts=given)
            snapshot = fit(job, devices=jax.devices()[:1])
        rebuilt = reconstructed(job.autoencoder, snapshot.best_params, splits.test.x)
        colours, wanted = rebuilt.mean(axis=(1, 2)), splits.test.x.mean(axis=(1, 2))
        colourful.append(1 - np.square(colours - wanted).mean() / np.var(wanted, axis=0).mean())
    now, before = colourful
    assert now > 0.7
    assert before < now


def test_counts_outside_the_likelihood_are_advised_to_be_poisson():
    bernoulli = configured(likelihood="bernoulli").model
    with pytest.raises(UserError, match="or use likelihood poisson if they are counts, else likelihood gaussian"):
        check_data(bernoulli, divided(COUNTS), "counts.npy", facts_of(divided(COUNTS).train))
    with pytest.raises(UserError, match=r"or use likelihood gaussian$"):
        check_data(bernoulli, divided(2000 + 5 * LATENT), "years.npy", facts_of(divided(2000 + 5 * LATENT).train))


def test_results_worse_than_predicting_the_mean_by_orders_of_magnitude_are_failures():
    experiment = configured()
    train = divided(2000 + 5 * LATENT).train
    facts = make_facts(experiment, train)
    z = (train.x - facts.scaling.shift[0]) / facts.scaling.scale[0]
    of_units = 6 * np.log(facts.scaling.scale[0])
    mean = 0.5 * np.sum(np.var(z, axis=0)) + 3 * np.log(2 * np.pi) + of_units

    check_result(experiment, train, facts, {"test": {"elbo": -(mean + 100.0)}})
    with pytest.raises(UserError, match=f"the loss of test examples is 8e\\+16 nats .* mean has a loss of {mean:.3g};"):
        check_result(experiment, train, facts, {"validation": {"elbo": -mean}, "test": {"elbo": -8e16}})
    plain = configured(family="undercomplete", likelihood="bernoulli", standardize="none")
    with pytest.raises(UserError, match=r"far from unit scale: use standardize auto"):
        check_result(plain, train, facts_of(train), {"train": {"reconstruction": 4e6 * 6}})


@pytest.mark.slow
def test_a_run_that_blows_up_without_standardization_is_a_failure():
    with pytest.raises(UserError, match=r"mine.npy: training failed: .* use standardize auto"):
        trained(2000 + 5 * LATENT, standardize="none")


@pytest.mark.slow
def test_wide_inputs_train():
    wide = RNG.normal(size=(100, 3)) @ RNG.normal(size=(3, 12_000)) / np.sqrt(3)
    splits = Splits(*(Dataset(np.asarray(part, np.float32)) for part in (wide[:80], wide[80:], wide[80:])))
    experiment = replace(
        configured(likelihood="gaussian_with_global_variance", code_size=3, hidden=(64,)),
        optimization=Optimization(learning_rate=1e-3),
        training=Training(batch_size=20, epochs=30, patience=None),
    )
    with jax.numpy_dtype_promotion("standard"):
        snapshot = fit(make_job(experiment, splits), devices=jax.devices()[:1])

    predicting_the_mean = 12_000 * 0.5 * (1 + np.log(2 * np.pi * wide.var(axis=0).mean()))
    assert snapshot.stopping.best_loss < predicting_the_mean


@pytest.mark.slow
@pytest.mark.parametrize("name", ["masking", "gaussian_noise", "salt_and_pepper"])
def test_corruption_of_standardized_data_is_that_of_the_standardized(name):
    centers, scales = np.array([2000, 5e4, 0, 0, 1, 7]), np.array([5, 2e4, 1, 1, 0.01, 3])
    train = Dataset(np.asarray(centers + scales * LATENT, np.float32))
    regularization = Regularization(corruption=name, corruption_level=0.5)
    facts = make_facts(configured(), train)
    corrupt = build_corruption(regularization, facts)

    keys = jax.random.split(jax.random.key(0), len(train.x))
    corrupted = np.asarray(jax.vmap(corrupt)(keys, jnp.asarray(train.x)), np.float64)

    z, before = ((x - np.array(facts.scaling.shift)) / np.array(facts.scaling.scale) for x in (corrupted, train.x))
    changed = np.abs(z - before) > 1e-2
    if name == "masking":
        assert np.abs(z[changed]).max() < 1e-2
    elif name == "gaussian_noise":
        np.testing.assert_allclose((z - before).std(axis=0), 0.5, rtol=0.2)  # five sigma of 300
    else:
        np.testing.assert_allclose(np.unique(z[changed].round(1)), [before.min().round(1), before.max().round(1)])
