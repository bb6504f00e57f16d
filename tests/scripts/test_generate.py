"""Generation as a user runs it: arrays that are what they say, pictures, and clear refusals."""

import errno

import jax
import numpy as np
import pytest
from PIL import Image

from aejax import plots
from aejax.datasets.dataset import Dataset
from aejax.errors import UserError
from aejax.experiment import arranged
from aejax.experiment import generate as generation
from aejax.experiment.attributes import attributes
from aejax.experiment.configuration import Data, Experiment, Model, Regularization, Training
from aejax.experiment.generated import animate
from aejax.experiment.trained import open_run
from aejax.keys import named_key

SHORT = Training(epochs=2, patience=None)
VARIATIONAL = Experiment(model=Model(hidden=(16,), code_size=3), training=SHORT)
CONDITIONAL = Experiment(model=Model(hidden=(), code_size=3, conditional=True), training=SHORT)
MIXTURE = Experiment(
    model=Model(hidden=(16,), code_size=2), regularization=Regularization(prior="mixture"), training=SHORT
)
WASSERSTEIN = Experiment(
    model=Model(family="undercomplete", hidden=(), code_size=2),
    regularization=Regularization(mmd_weight=1.0),
    training=SHORT,
)
WIDE = Experiment(model=Model(family="undercomplete", hidden=(), code_size=18), training=SHORT)
LINEAR = Experiment(model=Model(family="undercomplete", hidden=(), code_size=4), training=SHORT)


@pytest.fixture
def generate(make_initial_run, run_script, drawn_fraction, tmp_path):
    """`generate(experiment, what, ...)`: the run, and the codes and examples that were written."""

    def call(experiment, what, *arguments, folder="made"):
        path = make_initial_run(experiment)
        result = run_script("generate", path, tmp_path / folder, "--what", what, *arguments)
        assert (result.code, result.errors) == (0, "")
        assert drawn_fraction(tmp_path / folder / f"{what}.png") > 0.015
        return open_run(path), *(np.load(tmp_path / folder / f"{name}.npy") for name in ("codes", "examples"))

    return call


def test_samples_follow_the_prior_and_the_seed(generate):
    run, codes, examples = generate(VARIATIONAL, "samples", "--rows", "20", "--columns", "30", "--seed", "3")
    assert (codes.shape, examples.shape) == ((20, 30, 3), (20, 30, 8, 8, 1))
    flat = codes.reshape(-1, 3)
    assert np.abs(flat.mean(axis=0)).max() < 4 / np.sqrt(600)  # four standard errors
    assert np.abs(flat.var(axis=0) - 1).max() < 4 * np.sqrt(2 / 600)
    np.testing.assert_allclose(examples.reshape(-1, 8, 8, 1), run.decode(Dataset(flat)), atol=1e-6)
    _, same, _ = generate(VARIATIONAL, "samples", "--rows", "20", "--columns", "30", "--seed", "3", folder="same")
    _, other, _ = generate(VARIATIONAL, "samples", "--rows", "20", "--columns", "30", "--seed", "4", folder="other")
    assert np.array_equal(codes, same)
    assert not np.array_equal(codes, other)


@pytest.mark.slow
def test_a_figure_that_fails_leaves_the_arrays(make_initial_run, run_script, tmp_path, monkeypatch):
    monkeypatch.setattr(plots, "gallery", lambda *arguments, **options: 1 / 0)
    result = run_script("generate", make_initial_run(VARIATIONAL), tmp_path / "made", "--what", "samples")
    assert result.code == 0
    assert result.errors.endswith("ZeroDivisionError: division by zero\n")  # a bug keeps its traceback
    assert "figures: left out, division by zero" in result.output
    assert sorted(path.name for path in (tmp_path / "made").iterdir()) == ["codes.npy", "examples.npy"]


@pytest.mark.slow
def test_samples_of_codes_drawn_towards_the_normal_distribution_are_of_it(generate):
    run, codes, examples = generate(WASSERSTEIN, "samples", "--rows", "2", "--columns", "3", "--seed", "3")
    keys = jax.random.split(named_key(jax.random.key(3), "codes"), 6)
    np.testing.assert_array_equal(codes.reshape(6, 2), [jax.random.normal(key, (2,)) for key in keys])
    np.testing.assert_allclose(examples.reshape(6, 8, 8, 1), run.decode(Dataset(codes.reshape(6, 2))), atol=1e-6)


@pytest.mark.slow
def test_a_row_of_samples_for_each_class(generate):
    run, codes, examples = generate(CONDITIONAL, "classes", "--columns", "4")
    assert codes.shape == (10, 4, 3)
    expected = run.decode(Dataset(codes[7], np.full(4, 7, np.int32)))
    np.testing.assert_allclose(examples[7], expected, atol=1e-6)


@pytest.mark.slow
def test_around_examples_and_classes(generate):
    run, codes, _ = generate(LINEAR, "near-example", "--examples", "5", "2", "--columns", "200", "--spread", "0.25")
    own, all_codes = run.encode(run.splits.test), run.encode(run.splits.train)
    np.testing.assert_allclose(codes[:, 0], own[[5, 2]], atol=1e-6)
    ratio = (codes[:, 1:] - codes[:, :1]).std(axis=1) / all_codes.std(axis=0)
    assert np.abs(ratio - 0.25).max() < 4 * 0.25 / np.sqrt(2 * 199)  # four standard errors of a deviation
    run, codes, _ = generate(LINEAR, "near-class", folder="classes")
    labels = run.splits.train.labels
    np.testing.assert_allclose(codes[4, 0], all_codes[labels == 4].mean(axis=0), atol=1e-5)


def test_attributes_are_differences_of_mean_codes(generate):
    """Also: the middle column is the example's own reconstruction, and classes are chosen by their labels."""
    run, codes, examples = generate(
        LINEAR, "attributes", "--examples", "2", "--classes", "7", "3", "--columns", "4", "--strength", "2"
    )
    own, all_codes, labels = run.encode(run.splits.test)[2], run.encode(run.splits.train), run.splits.train.labels
    assert codes.shape == (2, 5, 4)
    for row, label in zip(codes, (7, 3), strict=True):
        direction = all_codes[labels == label].mean(axis=0) - all_codes[labels != label].mean(axis=0)
        np.testing.assert_allclose(row, own + np.linspace(-2, 2, 5)[:, None] * direction, atol=1e-4)
    np.testing.assert_allclose(examples[0, 2], run.decode(Dataset(own[None]))[0], atol=1e-5)
    assert attributes(run, columns=11, strength=1.5).columns[5] == "0"


@pytest.mark.slow
def test_ways_between_two_examples(generate, tmp_path):
    run, codes, _ = generate(VARIATIONAL, "interpolation", "--examples", "0", "3", "--columns", "5", "--frames", "5")
    ends = run.encode(run.splits.test)[[0, 3]]
    for way in codes:
        np.testing.assert_allclose(way[[0, -1]], ends, atol=1e-5)
    np.testing.assert_allclose(codes[0, 2], ends.mean(axis=0), atol=1e-6)
    with Image.open(tmp_path / "made" / "arc.gif") as picture:
        assert (picture.n_frames, picture.size) == (8, (768, 304))  # five there, three back; the ends beside them


def test_a_path_has_the_true_examples_at_its_ends_with_their_classes(make_initial_run):
    """Also between the points of the figure, for animations."""
    run = open_run(make_initial_run(VARIATIONAL))
    made = generation.interpolations(run, (0, 3), columns=3, geodesic_steps=2, frames=5)
    test = run.splits.test
    for originals, place in ((made.before, 0), (made.after, 3)):
        np.testing.assert_array_equal(originals, np.stack([test.x[place]] * 3))
    assert (
        made.title == f"paths from test example 0 (class {test.labels[0]}) to test example 3 (class {test.labels[3]})"
    )
    np.testing.assert_allclose(made.frames[:, ::2], made.examples, atol=1e-5)
    animation = animate(run, made, frames_per_second=20)["geodesic"]
    assert len(animation.images) == len(animation.durations) == 8
    assert animation.durations[1] == 50 < animation.durations[0] == animation.durations[4]


def test_rows_that_are_examples_do_not_read_as_classes(make_initial_run):
    run = open_run(make_initial_run(VARIATIONAL))
    made = generation.near_examples(run, (5, 2), columns=3)
    labels = run.splits.test.labels
    assert made.rows == (f"no. 5 ({labels[5]})", f"no. 2 ({labels[2]})")
    assert made.y_label == "test example"
    np.testing.assert_array_equal(made.before, run.splits.test.x[[5, 2]])


@pytest.mark.parametrize("file_format", ["pdf", "svg"])
def test_figures_in_other_formats(make_initial_run, run_script, tmp_path, file_format):
    run_script("generate", make_initial_run(VARIATIONAL), tmp_path / "made", "--rows", "2", "--format", file_format)
    assert {path.name for path in (tmp_path / "made").iterdir()} == {
        f"samples.{file_format}",
        "examples.npy",
        "codes.npy",
    }


@pytest.mark.slow
def test_a_conditional_run_goes_from_one_example_of_a_class_to_the_next(generate):
    run, codes, examples = generate(CONDITIONAL, "interpolation", "--columns", "3")
    labels = run.splits.test.labels
    other = 1 + int(np.argmax(labels[1:] == labels[0]))
    ends = run.splits.test._replace(x=run.splits.test.x[[0, other]], labels=labels[[0, other]])
    np.testing.assert_allclose(codes[0, [0, -1]], run.encode(ends), atol=1e-5)
    np.testing.assert_allclose(examples[0, [0, -1]], run.reconstruct(ends), atol=1e-5)


@pytest.mark.slow
def test_class_0_is_a_class_like_any_other(generate):
    run, _, _ = generate(CONDITIONAL, "classes", folder="classes")
    place = int(np.argmax(run.splits.test.labels == 0))
    _, codes, examples = generate(CONDITIONAL, "near-example", "--examples", str(place), "--columns", "3")
    expected = run.decode(Dataset(codes[0], np.zeros(3, np.int32)))
    np.testing.assert_allclose(examples[0], expected, atol=1e-6)


@pytest.mark.slow
def test_the_plane_of_a_conditional_run_is_that_of_its_first_class(generate):
    two = Experiment(model=Model(hidden=(), code_size=2, conditional=True), training=SHORT)
    run, codes, examples = generate(two, "manifold", "--side", "3")
    expected = run.decode(Dataset(codes.reshape(9, 2), np.zeros(9, np.int32)))
    np.testing.assert_allclose(examples.reshape(expected.shape), expected, atol=1e-6)


@pytest.mark.slow
def test_units_are_changed_one_by_one_most_variable_first(generate):
    run, codes, _ = generate(LINEAR, "traversals", "--columns", "3", "--examples", "1")
    order = np.argsort(-run.encode(run.splits.train).var(axis=0))
    own = run.encode(run.splits.test)[1]
    for unit, moved in zip(order, codes, strict=True):
        others = np.arange(4) != unit
        np.testing.assert_allclose(moved[:, others], np.broadcast_to(own[others], (3, 3)), atol=1e-6)
        assert np.all(np.diff(moved[:, unit]) > 0)


@pytest.mark.slow
def test_all_units_are_in_the_arrays_and_the_first_of_them_in_the_picture(make_initial_run, run_script, tmp_path):
    result = run_script("generate", make_initial_run(WIDE), tmp_path / "made", "--what", "traversals", "--columns", "3")
    assert "all units, greatest variance first, the first 16 of 18 shown; in " in result.output
    assert len(np.load(tmp_path / "made" / "codes.npy")) == len(np.load(tmp_path / "made" / "examples.npy")) == 18
    assert sorted(np.load(tmp_path / "made" / "units.npy")) == list(range(1, 19))


@pytest.mark.slow
def test_units_are_those_named_in_that_order(generate, tmp_path):
    run, codes, _ = generate(LINEAR, "traversals", "--columns", "3", "--units", "4", "2")
    assert np.load(tmp_path / "made" / "units.npy").tolist() == [4, 2]
    expected = np.quantile(run.encode(run.splits.train), [0.01, 0.5, 0.99], axis=0)
    np.testing.assert_allclose(codes[[0, 1], :, [3, 1]], expected[:, [3, 1]].T, atol=1e-6)
    np.testing.assert_allclose(codes[0, :, :3], np.tile(run.encode(run.splits.test)[0, :3], (3, 1)), atol=1e-6)


@pytest.mark.slow
def test_more_units_than_fit_into_memory_are_refused(make_initial_run, monkeypatch):
    monkeypatch.setattr(arranged, "MAX_NUMBERS", 4 * 3 * 64)
    run = open_run(make_initial_run(LINEAR))
    assert generation.traverse(run, columns=3).codes.shape == (4, 3, 4)
    with pytest.raises(UserError, match=r"^units: 4 units of 4 at 4 quantiles are 1,024 values, more than 768"):
        generation.traverse(run, columns=4)
    assert generation.traverse(run, columns=4, units=(1, 4)).codes.shape == (2, 4, 4)


@pytest.mark.slow
def test_series_go_from_one_to_another_as_moving_curves(generate, tmp_path):
    rng = np.random.default_rng(0)
    np.save(tmp_path / "series.npy", np.sin(np.arange(20) + rng.uniform(0, 6, size=(100, 1))).astype(np.float32))
    model = Model(family="undercomplete", network="sequence", hidden=(4,), code_size=2)
    series = Experiment(data=Data(dataset=str(tmp_path / "series.npy")), model=model, training=SHORT)
    generate(series, "interpolation", "--columns", "3", "--frames", "3", "--geodesic-steps", "2")
    for way in ("straight", "arc", "geodesic"):
        with Image.open(tmp_path / "made" / f"{way}.gif") as picture:
            assert picture.n_frames == 4  # three there, one back


@pytest.mark.slow
def test_the_plane_of_two_numbers(generate, tmp_path, drawn_fraction):
    run, codes, _ = generate(MIXTURE, "manifold", "--side", "5")
    assert codes.shape == (5, 5, 2)
    np.testing.assert_allclose(codes[0, :, 0], np.quantile(run.encode(run.splits.train)[:, 0], np.arange(0.1, 1, 0.2)))
    assert drawn_fraction(tmp_path / "made" / "latent_space.png") > 0.015


@pytest.mark.slow
@pytest.mark.parametrize(
    ("experiment", "arguments", "complaint"),
    [
        (
            LINEAR,
            ["--what", "samples"],
            "expects a variational run, or one trained with --mmd-weight, but this run is undercomplete on digits",
        ),
        (VARIATIONAL, ["--what", "classes"], "expects a conditional run"),
        (VARIATIONAL, ["--what", "manifold"], "expects a run with a 2-dimensional code, not a 3-dimensional one"),
        (LINEAR, ["--what", "traversals", "--units", "0"], "--units: the code has units 1 to 4, got 0"),
        (LINEAR, ["--what", "near-class", "--units", "1"], "--units: requires --what traversals, got near-class"),
        (VARIATIONAL, ["--what", "near-example", "--examples", "359"], "test examples 0 to 358, got 359"),
        (
            VARIATIONAL,
            ["--examples", "1"],
            "--examples: requires --what near-example, interpolation, traversals or attr",
        ),
        (VARIATIONAL, ["--classes", "1"], "--classes: requires --what attributes, got samples"),
        (VARIATIONAL, ["--what", "attributes", "--strength", "-1"], "--strength: must be between 0 and 1000, got -1"),
        (VARIATIONAL, ["--what", "attributes", "--classes", "12"], "there is no class '12'"),
        (VARIATIONAL, ["--what", "interpolation", "--examples", "1"], "interpolation expects 2, got 1"),
        (
            CONDITIONAL,
            ["--what", "interpolation", "--examples", "0", "1"],
            "a conditional run expects examples of one class",
        ),
        (VARIATIONAL, ["--seed", str(2**32)], "--seed: must be between 0 and 4294967295, got 4294967296"),
        (VARIATIONAL, ["--columns", "2"], "--columns: must be between 3 and 400, got 2"),
        (VARIATIONAL, ["--rows", "1000000000000"], "--rows: must be between 1 and 400, got 1,000,000,000,000"),
        (VARIATIONAL, ["--side", "1000000000"], "--side: must be between 2 and 400, got 1,000,000,000"),
        (VARIATIONAL, ["--geodesic-steps", "1000000000000"], "--geodesic-steps: must be between 1 and 1,000,000"),
        (VARIATIONAL, ["--spread", "-1"], "--spread: must be between 0 and 1000, got -1"),
        (VARIATIONAL, ["--spread", "1e300"], "--spread: must be between 0 and 1000, got 1e+300"),
        (VARIATIONAL, ["--what", "dreams"], "--what"),
    ],
)
def test_mistakes(make_initial_run, complaint_of, experiment, arguments, complaint):
    assert complaint in complaint_of("generate", make_initial_run(experiment), "made", *arguments)


@pytest.mark.slow
def test_a_failure_leaves_nothing_that_is_in_the_way(make_initial_run, run_script, tmp_path, monkeypatch):
    """A full disk while an array is written; the same command goes through afterwards."""

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    arguments = ("generate", make_initial_run(VARIATIONAL), tmp_path / "not" / "there" / "made", "--rows", "2")
    with monkeypatch.context() as broken:
        broken.setattr(np, "save", full)
        result = run_script(*arguments)
    assert (result.code, result.errors) == (2, "generate.py: error: a file: No space left on device\n")
    assert not (tmp_path / "not" / "there" / "made").exists()
    result = run_script(*arguments)
    assert (result.code, result.errors) == (0, "")
    assert {path.name for path in (tmp_path / "not" / "there" / "made").iterdir()} >= {"samples.png", "codes.npy"}


def test_where_it_writes_must_be_free(make_initial_run, complaint_of, tmp_path):
    (tmp_path / "made").mkdir()
    assert "made: exists already" in complaint_of("generate", make_initial_run(VARIATIONAL), "made")
    (tmp_path / "file").touch()
    assert "made: cannot be created" in complaint_of("generate", make_initial_run(VARIATIONAL), "file/made")
    assert "is no run folder" in complaint_of("generate", tmp_path, "other")
