"""Conditions that are numbers, images or columns of a table: what is built, refused, generated and predicted."""

import math
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from aejax.autoencoders import conditional, variational
from aejax.datasets.dataset import Dataset, Splits, fingerprint
from aejax.datasets.halves import HALVES, cut_half, joined
from aejax.errors import ConflictError, UserError
from aejax.experiment import facts as facts_module
from aejax.experiment.at_use import load_codes, load_examples
from aejax.experiment.complete import MEAN, NEIGHBORS, OURS, complete, draw_completed, predict
from aejax.experiment.configuration import Data, Experiment, Model, Optimization, Regularization, Training, check
from aejax.experiment.explored import can_explore
from aejax.experiment.generate import near_classes, near_examples, sample, traverse
from aejax.experiment.given import encode_given, load_given, whole_shape
from aejax.experiment.given_facts import Given
from aejax.experiment.job import fit, make_job
from aejax.experiment.loading import load_splits
from aejax.experiment.report_samples import samples_section
from aejax.experiment.run import train_run
from aejax.experiment.scaling import make_facts
from aejax.likelihoods import gaussian
from aejax.networks import Network
from aejax.networks.conv import with_channels

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def dtype_promotion():
    """In place of the strict one: Optax mixes integer counts with floats."""
    with jax.numpy_dtype_promotion("standard"):
        yield


def write_arrays(path, *, count=90, seed=0, test_shift=0.0):
    rng = np.random.default_rng(seed)
    size, angle = rng.uniform(1, 9, count), rng.integers(0, 2, count)
    x = (size[:, None] * np.arange(4) + angle[:, None] + rng.normal(size=(count, 4)) / 10).astype(np.float32)
    np.savez(path, x=x, size=size * 100 + test_shift, angle=angle, plan=rng.uniform(size=(count, 3, 2)))


def experiment(path, *condition, **model):
    model = {"likelihood": "gaussian", "hidden": (8,), "code_size": 2} | model
    data = Data(str(path), condition=condition)
    return Experiment(data=data, model=Model(**model), training=Training(epochs=2, batch_size=16))


@pytest.mark.parametrize("half", HALVES)
@pytest.mark.parametrize("shape", [(2, 5, 7), (2, 4, 6, 3)])
def test_halves_are_the_whole_image(half, shape):
    x = RNG.normal(size=shape)
    given, rest = cut_half(x, half, name="mine.npy")
    assert given.size <= rest.size
    np.testing.assert_array_equal(joined(given, rest, half), x)


def test_several_numbers_are_standardized_by_the_training_examples_alone(tmp_path):
    write_arrays(tmp_path / "mine.npz")
    of_file = experiment(tmp_path / "mine.npz", "size", "angle")
    splits = load_splits(of_file.data)
    facts = make_facts(of_file, splits.train)
    assert facts.given.shape == (2,)
    encoded = encode_given(facts.given, splits.train.condition)
    np.testing.assert_allclose(encoded.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(encoded.std(axis=0), 1, rtol=1e-5)
    others = splits._replace(test=splits.test._replace(condition=splits.test.condition + 1e6))
    assert make_facts(of_file, others.train) == facts
    assert fingerprint(others) != fingerprint(splits)
    assert facts_module.from_json(facts_module.to_json(facts), name="facts.json") == facts


def test_an_image_keeps_its_shape_and_is_appended_pixel_by_pixel(tmp_path):
    write_arrays(tmp_path / "mine.npz")
    of_file = experiment(tmp_path / "mine.npz", "plan")
    facts = make_facts(of_file, load_splits(of_file.data).train)
    assert facts.given == Given(("plan",), (3, 2))
    plan = jnp.arange(30.0).reshape(6, 5)
    np.testing.assert_array_equal(with_channels(jnp.zeros((6, 5, 1)), plan)[..., 1], plan)
    for shape, channels in (((6, 5, 3), 4), ((2, 2), 5), ((7,), 8)):
        assert with_channels(jnp.zeros((6, 5, 1)), jnp.ones(shape)).shape == (6, 5, channels)


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        (("weight",), "condition: {path} has no entry 'weight' for conditions; it holds 'angle', 'plan', 'size'"),
        (("x",), "condition: {path} has no entry 'x' for conditions"),
        (("upper_half",), "the condition upper_half expects images"),
    ],
)
def test_conditions_that_a_file_does_not_hold_are_refused_in_one_line(tmp_path, condition, message):
    write_arrays(tmp_path / "mine.npz")
    with pytest.raises(UserError) as error:
        load_splits(Data(str(tmp_path / "mine.npz"), condition=condition))
    assert message.format(path=tmp_path / "mine.npz") in str(error.value)
    assert "\n" not in str(error.value)


def test_a_name_for_data_without_names_and_two_kinds_of_conditions_are_refused(tmp_path):
    with pytest.raises(UserError, match=r"one of upper_half, lower_half, left_half, right_half of images, got class"):
        load_splits(Data("digits", condition=("class",)))
    with pytest.raises(UserError, match="conditional: cannot be combined with condition"):
        check(Experiment(data=Data(condition=("upper_half",)), model=Model(conditional=True)))
    of_half = Experiment(data=Data(condition=("upper_half",)), regularization=Regularization(prior="vamp"))
    with pytest.raises(ConflictError, match="condition"):
        make_job(of_half)


def test_columns_of_a_table_become_its_condition(tmp_path):
    text = "size,kind,price\n" + "".join(f"{n % 7},{'ab'[n % 2]},{100.5 + n}\n" for n in range(60))
    (tmp_path / "mine.csv").write_text(text)
    of_file = experiment(tmp_path / "mine.csv", "size", "kind", likelihood="table")
    splits = load_splits(of_file.data)
    assert [column.name for column in splits.train.columns] == ["price"]
    facts = make_facts(of_file, splits.train)
    assert [(column.name, column.kind) for column in facts.given.columns] == [("size", "count"), ("kind", "binary")]
    encoded = encode_given(facts.given, splits.train.condition)
    logs = np.log1p(splits.train.condition[:, 0])
    np.testing.assert_allclose(encoded[:, 0], (logs - logs.mean()) / logs.std(), atol=1e-4)
    np.testing.assert_array_equal(encoded[:, 1], splits.train.condition[:, 1])
    assert facts_module.from_json(facts_module.to_json(facts), name="facts.json") == facts
    for names, message in ((("size", "kind", "price"), "no column of"), (("area",), "'area': .* has no such column")):
        with pytest.raises(UserError, match=message):
            load_splits(replace(of_file.data, condition=names))


@pytest.mark.slow
def test_predictions_and_bounds_of_a_linear_model_have_their_closed_form():
    # x | z, c ~ N(W z + U c, I), z ~ N(0, I): x | c ~ N(U c, W Wᵀ + I), and the encoder is the exact posterior
    weights, of_condition = RNG.normal(size=(3, 1)), RNG.normal(size=(3, 2))
    precision = 1 + (weights.T @ weights).item()

    def posterior(params, x, c):
        mean = weights.T @ (x - of_condition @ c) / precision
        return jnp.concatenate([mean, jnp.full(1, -math.log(precision))]).astype(jnp.float32)

    encoder = Network(lambda key, *inputs: {}, posterior)
    decoder = Network(
        lambda key, *inputs: {}, lambda params, z, c: (weights @ z + of_condition @ c).astype(jnp.float32)
    )
    autoencoder = conditional(variational(encoder, decoder, likelihood=gaussian()))
    params = {"encoder": {}, "decoder": {}}
    x, c = (jnp.asarray(RNG.normal(size=size), jnp.float32) for size in (3, 2))
    mean, bound = jax.jit(lambda x, c: predict(autoencoder, 4000, params, jax.random.key(0), x, c))(x, c)
    expected = of_condition @ c
    np.testing.assert_allclose(mean, expected, atol=4 * np.abs(weights).max() / math.sqrt(4000))
    density = stats.multivariate_normal(expected, weights @ weights.T + np.eye(3)).logpdf(x)
    assert bound == pytest.approx(density, abs=1e-3)  # equal for any number of samples: the weights are constant


@pytest.mark.slow
def test_a_condition_leaves_no_entropy_that_the_unconditional_bound_must_keep():
    # the lower half is the upper one with inverted pixels: E log p(lower) <= -log 16, but p(lower | upper) is 1
    bits = np.array(list(np.ndindex(2, 2, 2, 2)), np.float32).reshape(16, 2, 2)
    whole = np.tile(np.concatenate([bits, 1 - bits], axis=1), (16, 1, 1))
    part = Dataset(whole)
    bounds = {}
    for condition in ((), ("upper_half",)):
        given, rest = cut_half(whole, "upper_half", name="bits")
        part = Dataset(rest, condition=given if condition else None)
        of_bits = Experiment(
            data=Data("bits.npy", condition=condition),
            model=Model(hidden=(32,), code_size=2),
            optimization=Optimization(learning_rate=1e-2),
            training=Training(epochs=60, batch_size=32, patience=None),
        )
        job = make_job(of_bits, Splits(part, part, part))
        params = fit(job, devices=jax.devices()[:1]).best_params
        bounds[condition] = job.autoencoder.loss(params, jax.random.key(1), job.examples("test"))[1]["elbo"].item()
    assert bounds[()] < -math.log(16)
    assert bounds[("upper_half",)] > -0.2


@pytest.mark.slow
def test_digits_are_completed_from_their_upper_half(tmp_path):
    of_half = Experiment(
        data=Data(condition=("upper_half",)), model=Model(hidden=(32,), code_size=4), training=Training(epochs=20)
    )
    run = train_run(of_half, tmp_path / "run", devices=jax.devices()[:1], figures=False)
    assert (run.example_shape, whole_shape(run.facts)) == ((4, 8, 1), (8, 8, 1))
    assert "the condition of each of the first test examples" in samples_section(run)[0].content
    completed = complete(run, samples=8)
    errors = completed.squared_errors
    by_hand = np.mean((completed.predictions[OURS] - run.splits.test.x) ** 2)
    assert errors[OURS] == pytest.approx(by_hand, rel=1e-5)
    assert errors[OURS] < errors[MEAN]
    assert completed.nats[OURS] > completed.nats[MEAN]
    assert errors[NEIGHBORS] < errors[MEAN]
    drawn = draw_completed(run, completed, rows=3, columns=4)
    assert drawn.examples.shape == (3, 6, 8, 8, 1)
    np.testing.assert_array_equal(drawn.examples[:, 1:, :4], np.repeat(drawn.before[:, None, :4], 5, axis=1))
    images = joined(run.splits.test.condition, run.splits.test.x, "upper_half")
    np.save(tmp_path / "images.npy", images[..., 0])
    loaded = load_examples(run, tmp_path / "images.npy")
    np.testing.assert_array_equal(run.encode(loaded), run.encode(run.splits.test))
    np.testing.assert_array_equal(load_given(run.facts, tmp_path / "images.npy"), run.splits.test.condition)
    np.save(tmp_path / "codes.npy", run.encode(loaded))
    codes = load_codes(run, tmp_path / "codes.npy", given=tmp_path / "images.npy")
    np.testing.assert_array_equal(run.decode(codes), run.reconstruct(run.splits.test))
    with pytest.raises(UserError, match="condition"):
        load_codes(run, tmp_path / "codes.npy")
    assert near_examples(run, rows=2, columns=3).examples.shape == (2, 3, 8, 8, 1)
    assert traverse(run, columns=3).examples.shape == (4, 3, 8, 8, 1)
    with pytest.raises(UserError, match="expects a run without a condition"):
        near_classes(run)
    assert not can_explore(run)


@pytest.mark.slow
def test_rows_of_a_table_are_generated_given_columns(tmp_path):
    rng = np.random.default_rng(0)
    size, kind = rng.uniform(50, 150, 200), rng.integers(0, 2, 200)
    price = 2 * size + 100 * kind + rng.normal(size=200)
    lines = [f"{s:.2f},{'ab'[k]},{p:.2f}" for s, k, p in zip(size, kind, price, strict=True)]
    (tmp_path / "mine.csv").write_text("\n".join(["size,kind,price", *lines]) + "\n")
    of_table = experiment(tmp_path / "mine.csv", "size", "kind", likelihood="table", hidden=(32,))
    of_table = replace(of_table, training=replace(of_table.training, epochs=60))
    run = train_run(of_table, tmp_path / "run", devices=jax.devices()[:1], figures=False)
    (tmp_path / "given.csv").write_text("kind,size\na,60\nb,60\na,140\n")
    given = load_given(run.facts, tmp_path / "given.csv")
    made = sample(run, columns=20, given=given)
    assert made.examples.shape == (3, 20, 1)
    means = made.examples.mean(axis=(1, 2))
    np.testing.assert_allclose(means, [120, 220, 280], atol=25)
    np.testing.assert_array_equal(made.conditions[:, 0], given)
