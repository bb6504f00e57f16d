"""A run folder opened for use: its best parameters, its held-out examples, its refusals."""

import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aejax.configuration import Data, Experiment, Model, Training
from aejax.datasets.dataset import fingerprint
from aejax.errors import UserError
from aejax.experiment import build_autoencoder, build_optimizer, load_splits
from aejax.run_folder import RunFolder
from aejax.trained import check_kind, load_codes, load_examples, open_run
from aejax.training import start

MODEL = Model(family="undercomplete", hidden=(), code_size=3)
EXPERIMENT = Experiment(model=MODEL, training=Training(epochs=2))
CONDITIONAL = Experiment(model=Model(hidden=(), code_size=3, conditional=True), training=Training(epochs=1))


@pytest.fixture(autouse=True)
def dtype_promotion():
    """In place of the strict one: Optax mixes integer counts with floats."""
    with jax.numpy_dtype_promotion("standard"):
        yield


@pytest.fixture
def run(make_run):
    return open_run(make_run(EXPERIMENT))


def test_the_parameters_are_those_of_the_best_evaluation(run):
    """The validation loss of the run's own record, by NumPy from the weights."""
    records = [json.loads(line) for line in (run.path / "metrics.jsonl").read_text().splitlines()]
    best = min(records, key=lambda record: record["validation/loss"])
    assert run.best_epoch == best["epoch"]
    params = jax.tree.map(np.asarray, run.params)
    encoder, decoder = (params[part]["params"]["Dense_0"] for part in ("encoder", "decoder"))
    x = run.splits.validation.x.reshape(-1, 64)
    codes = x @ encoder["kernel"] + encoder["bias"]
    np.testing.assert_allclose(run.encode(run.splits.validation), codes, atol=1e-5)
    reconstruction = codes @ decoder["kernel"] + decoder["bias"]
    np.testing.assert_allclose(
        run.decode(run.splits.validation._replace(x=codes)).reshape(-1, 64), reconstruction, atol=1e-5
    )
    assert np.mean(np.sum((x - reconstruction) ** 2, axis=1)) == pytest.approx(best["validation/loss"], rel=1e-5)


def test_the_splits_are_those_of_training_and_share_no_example(run):
    for part, expected in zip(run.splits, load_splits(EXPERIMENT.data), strict=True):
        np.testing.assert_array_equal(part.x, expected.x)
    images = [{image.tobytes() for image in part.x} for part in run.splits]
    assert not images[2] & (images[0] | images[1])


def test_shapes(run):
    assert (run.example_shape, run.code_shape) == ((8, 8, 1), (3,))
    np.testing.assert_array_equal(
        run.reconstruct(run.splits.test), run.decode(run.splits.test._replace(x=run.encode(run.splits.test)))
    )


def test_opening_a_run_writes_nothing_and_gives_the_same_keys(run):
    def content():
        return {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}

    before = content()
    again = open_run(run.path)
    assert content() == before
    for key, same in zip(again.keys, run.keys, strict=True):
        assert jnp.array_equal(jax.random.key_data(key), jax.random.key_data(same))


def test_a_conditional_run_takes_labels(make_run, tmp_path):
    run = open_run(make_run(CONDITIONAL))
    assert run.encode(run.splits.test).shape == (len(run.splits.test.x), 3)
    np.save(tmp_path / "x.npy", run.splits.test.x[:4])
    np.save(tmp_path / "labels.npy", np.array([0, 1, 2, 9]))
    dataset = load_examples(run, tmp_path / "x.npy", tmp_path / "labels.npy")
    assert run.reconstruct(dataset).shape == (4, 8, 8, 1)
    with pytest.raises(UserError, match="the data have no labels"):
        load_examples(run, tmp_path / "x.npy")
    np.save(tmp_path / "labels.npy", np.array([0, 1, 2, 10]))
    with pytest.raises(UserError, match="knows the classes 0 to 9, and labels reach 10"):
        load_examples(run, tmp_path / "x.npy", tmp_path / "labels.npy")


def test_axes_of_length_one_and_bytes_are_as_in_training(run, tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (5, 8, 8), dtype=np.uint8)
    np.save(tmp_path / "x.npy", images)
    dataset = load_examples(run, tmp_path / "x.npy")
    np.testing.assert_allclose(dataset.x, images[..., None] / 255.0, atol=1e-7)


def test_large_files_are_taken_as_small_ones(run, tmp_path, monkeypatch):
    images = np.random.default_rng(0).integers(0, 256, (5, 8, 8), dtype=np.uint8)
    np.save(tmp_path / "x.npy", images)
    np.save(tmp_path / "with_channel.npy", images[..., None])
    expected = run.encode(load_examples(run, tmp_path / "x.npy"))
    monkeypatch.setattr("aejax.datasets.arrays.LARGE", 1)
    for name in ("x.npy", "with_channel.npy"):
        np.testing.assert_allclose(run.encode(load_examples(run, tmp_path / name)), expected, atol=1e-6)


# --- refusals ----------------------------------------------------------------------------------------------------


def test_examples_and_codes_of_another_shape(run, tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((2, 4), np.float32))
    with pytest.raises(
        UserError, match=r"x.npy: examples have shape \(4,\), and .*run was trained on examples of \(8, 8, 1\)"
    ):
        load_examples(run, tmp_path / "x.npy")
    with pytest.raises(UserError, match=r"x.npy: codes have shape \(4,\), and those of .*run have \(3,\)"):
        load_codes(run, tmp_path / "x.npy")


def test_bytes_for_a_run_on_other_numbers(make_run, tmp_path):
    x = np.random.default_rng(0).integers(0, 256, (80, 5))
    np.save(tmp_path / "mine.npy", x.astype(np.float32))
    np.save(tmp_path / "bytes.npy", x.astype(np.uint8))
    data = Data(dataset=str(tmp_path / "mine.npy"))
    run = open_run(make_run(Experiment(data=data, model=MODEL, training=Training(epochs=1, batch_size=8))))
    assert load_examples(run, tmp_path / "mine.npy").x.max() > 200
    with pytest.raises(UserError, match=r"bytes.npy: holds bytes, .* was trained on numbers from 2 to 255; save them"):
        load_examples(run, tmp_path / "bytes.npy")


@pytest.mark.parametrize("dtype", [np.float32, np.int64])
def test_gray_values_for_a_run_on_numbers_up_to_1(run, tmp_path, dtype):
    x = np.random.default_rng(0).integers(0, 256, (9, 8, 8))
    np.save(tmp_path / "gray.npy", x.astype(dtype))
    with pytest.raises(UserError, match=r"gray.npy: holds gray values from 0 to 255, and .* divide them by 255"):
        load_examples(run, tmp_path / "gray.npy")
    np.save(tmp_path / "bytes.npy", x.astype(np.uint8))
    np.testing.assert_allclose(load_examples(run, tmp_path / "bytes.npy").x[..., 0], x / 255, rtol=1e-6)
    np.save(tmp_path / "strange.npy", np.where(x == 255, 200.5, x / 255))
    assert load_examples(run, tmp_path / "strange.npy").x.max() == 200.5


def test_a_run_of_another_kind(run):
    check_kind(run, True, "any run", script="generate.py")
    with pytest.raises(UserError, match=r"generate\.py takes a variational run, .* is undercomplete on digits"):
        check_kind(run, run.autoencoder.prior is not None, "a variational run", script="generate.py")


def test_no_run(tmp_path):
    with pytest.raises(UserError, match="is no run folder"):
        open_run(tmp_path / "missing")


def test_a_run_without_checkpoints(make_run, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(make_run(EXPERIMENT), copy)
    shutil.rmtree(copy / "checkpoints")
    with pytest.raises(UserError, match="it has no checkpoints"):
        open_run(copy)
    (copy / "checkpoints").mkdir()
    with pytest.raises(UserError, match="holds no whole checkpoint"):
        open_run(copy)


def test_a_run_that_was_stopped_before_its_first_evaluation(tmp_path):
    splits = load_splits(EXPERIMENT.data)
    optimizer = build_optimizer(EXPERIMENT, len(splits.train.x))
    snapshot = start(build_autoencoder(EXPERIMENT, splits.train), optimizer, jax.random.key(0), splits.train.x[0])
    run = RunFolder.create(tmp_path / "run", EXPERIMENT, fingerprint(splits))
    run.checkpoints.save(snapshot, EXPERIMENT)
    run.close()
    with pytest.raises(UserError, match=r"was stopped before its first evaluation; .*--resume"):
        open_run(run.path)


def test_data_that_have_changed(make_run, tmp_path):
    file = tmp_path / "mine.npy"
    x = np.random.default_rng(0).uniform(size=(80, 5)).astype(np.float32)
    np.save(file, x)
    path = make_run(Experiment(data=Data(dataset=str(file)), model=MODEL, training=Training(epochs=1, batch_size=8)))
    assert open_run(path).example_shape == (5,)
    np.save(file, 1 - x)
    with pytest.raises(UserError, match=r"mine\.npy: is not what .* was begun with"):
        open_run(path)


def test_facts_of_a_run_and_of_an_older_one_without_their_file(run, tmp_path):
    older = tmp_path / "older"
    shutil.copytree(run.path, older)
    (older / "facts.json").unlink()
    assert open_run(older).facts == run.facts
    assert run.facts.shape == (8, 8, 1)
    assert run.facts.classes == tuple(range(10))
    assert (run.facts.targets.low, run.facts.targets.high) == (0.0, 1.0)


def test_facts_of_other_data(run, tmp_path):
    changed = tmp_path / "changed"
    shutil.copytree(run.path, changed)
    facts = changed / "facts.json"
    text = facts.read_text()
    facts.write_text(text.replace('"divided_by": 1,', '"divided_by": 2,'))
    with pytest.raises(UserError, match=r"facts\.json: targets\.divided_by: input should be 1 or 255, got 2"):
        open_run(changed)
    content = json.loads(text)
    facts.write_text(json.dumps(content | {"shape": [64]}))
    with pytest.raises(UserError, match=r"facts\.json: examples have shape \(64,\) there, and \(8, 8, 1\) in"):
        open_run(changed)
