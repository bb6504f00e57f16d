"""A run folder opened for use: its best parameters, its held-out examples, its refusals."""

import hashlib
import json
import shutil
import subprocess
import sys
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aejax.datasets.dataset import fingerprint
from aejax.errors import UserError
from aejax.experiment.at_use import check_kind, load_codes, load_examples
from aejax.experiment.build import build_autoencoder
from aejax.experiment.configuration import Data, Experiment, Model, Regularization, Training
from aejax.experiment.data_of_run import at_place
from aejax.experiment.facts import as_older, facts_of
from aejax.experiment.job import make_job
from aejax.experiment.loading import example_of, load_splits, notes_on
from aejax.experiment.optimizers import build_optimizer
from aejax.experiment.run_folder import RunFolder
from aejax.experiment.scaling import completed
from aejax.experiment.trained import open_run
from aejax.training import start
from aejax.training.early_stopping import EarlyStopping

MODEL = Model(family="undercomplete", hidden=(), code_size=3)
EXPERIMENT = Experiment(model=MODEL, training=Training(epochs=2))
CONDITIONAL = Experiment(model=Model(hidden=(), code_size=3, conditional=True), training=Training(epochs=1))


@pytest.fixture(autouse=True)
def dtype_promotion():
    """In place of the strict one: Optax mixes integer counts with floats."""
    with jax.numpy_dtype_promotion("standard"):
        yield


@pytest.fixture
def run(make_initial_run):
    return open_run(make_initial_run(EXPERIMENT))


@pytest.mark.slow
def test_the_parameters_are_those_of_the_best_evaluation(make_run):
    """The validation loss of the run's own record, by NumPy from the weights."""
    run = open_run(make_run(EXPERIMENT))
    records = [json.loads(line) for line in (run.path / "metrics.jsonl").read_text().splitlines()]
    best = min(records[:-1], key=lambda record: record["validation/loss"])
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
    again = open_run(str(run.path))  # text is a path too
    assert again.path == run.path
    assert content() == before
    for key, same in zip(again.keys, run.keys, strict=True):
        assert jnp.array_equal(jax.random.key_data(key), jax.random.key_data(same))


@pytest.mark.slow
def test_opening_a_run_prints_nothing(make_run):
    """From a program of one's own, which has set nothing."""
    program = f"from aejax.experiment.trained import open_run; open_run({str(make_run(EXPERIMENT))!r})"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")


@pytest.mark.slow
def test_a_run_whose_data_are_not_there_any_more(make_initial_run, tmp_path):
    """Its folder is enough to encode; its examples are read from another place, where they are the same."""
    x = np.random.default_rng(0).uniform(size=(80, 5)).astype(np.float32)
    np.save(tmp_path / "my data.npy", x)
    data = Data(dataset=str(tmp_path / "my data.npy"))
    path = make_initial_run(Experiment(data=data, model=MODEL, training=Training(epochs=1, batch_size=8)))
    expected = open_run(path).encode(open_run(path).splits.test)
    moved = tmp_path / "moved"
    moved.mkdir()
    (tmp_path / "my data.npy").rename(moved / "my data.npy")
    run = open_run(path)
    assert run.example_shape == (5,)
    missing = rf"{path}: needs the data .*my data\.npy does not exist any more; give their new place by data"
    with pytest.raises(UserError, match=missing):
        run.load_splits()
    for place in (moved, moved / "my data.npy"):
        again = open_run(path, data=place)
        np.testing.assert_array_equal(run.encode(again.splits.test), expected)
    np.save(tmp_path / "others.npy", 1 - x)
    with pytest.raises(UserError, match=r"others\.npy: is not the data that .* began with"):
        open_run(path, data=tmp_path / "others.npy").load_splits()
    with pytest.raises(UserError, match=r"nowhere: no such file or folder"):
        open_run(path, data=tmp_path / "nowhere")


def test_a_place_of_data_of_each_kind(tmp_path):
    (tmp_path / "x.npy").touch()
    (tmp_path / "labels.npy").touch()
    own = Data(dataset="/gone/x.npy", labels="/gone/labels.npy")
    placed = replace(own, dataset=str(tmp_path / "x.npy"), labels=str(tmp_path / "labels.npy"))
    assert at_place(own, tmp_path) == at_place(own, tmp_path / "x.npy") == placed
    assert at_place(replace(own, labels="/gone/y.npy"), tmp_path).labels == "/gone/y.npy"
    assert at_place(Data(dataset="/gone/pages"), tmp_path).dataset == str(tmp_path)
    assert at_place(Data(dataset="documents"), tmp_path).data_dir == str(tmp_path)
    assert at_place(own, None) is own
    with pytest.raises(UserError, match="has no effect on digits"):
        at_place(Data(), tmp_path)


@pytest.mark.slow
def test_a_conditional_run_takes_labels(make_initial_run, tmp_path):
    run = open_run(make_initial_run(CONDITIONAL))
    assert run.encode(run.splits.test).shape == (len(run.splits.test.x), 3)
    np.save(tmp_path / "x.npy", run.splits.test.x[:4])
    np.save(tmp_path / "labels.npy", np.array([0, 1, 2, 9]))
    dataset = load_examples(run, tmp_path / "x.npy", tmp_path / "labels.npy")
    assert run.reconstruct(dataset).shape == (4, 8, 8, 1)
    with pytest.raises(UserError, match="the data have no labels"):
        load_examples(run, tmp_path / "x.npy")
    np.save(tmp_path / "labels.npy", np.array([0, 1, 2, 10]))
    with pytest.raises(UserError, match="was trained on classes 0 to 9, but there are labels of class 10"):
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
        UserError, match=r"x.npy: examples have shape \(4,\), but .*run was trained on examples of shape \(8, 8, 1\)"
    ):
        load_examples(run, tmp_path / "x.npy")
    with pytest.raises(UserError, match=r"x.npy: codes have shape \(4,\), but those of .*run have shape \(3,\)"):
        load_codes(run, tmp_path / "x.npy")


RNG = np.random.default_rng(0)
GRAY = RNG.integers(0, 256, (90, 6)).astype(np.uint8)
MASKS = (RNG.random((90, 6)) > 0.5).astype(np.uint8)
COUNTS = RNG.poisson(2, (90, 6)).astype(np.uint8)


@pytest.fixture(scope="module")
def run_on(make_initial_run, tmp_path_factory):
    """`run_on(x)`: a run on an array; one for equal arrays."""
    opened = {}

    def begin(x):
        name = f"aejax_{hashlib.sha256(x.tobytes() + str(x.dtype).encode()).hexdigest()[:16]}.npy"
        if name not in opened:
            path = tmp_path_factory.getbasetemp() / name
            np.save(path, x)
            experiment = Experiment(data=Data(dataset=str(path)), model=MODEL, training=Training(batch_size=8))
            opened[name] = open_run(make_initial_run(experiment))
        return opened[name]

    return begin


@pytest.mark.slow
@pytest.mark.parametrize(
    ("trained_on", "given", "expected"),
    [
        (GRAY, GRAY[:20], GRAY[:20] / 255),
        (GRAY, GRAY[:20] // 3, (GRAY[:20] // 3) / 255),  # dark, and still gray values
        (GRAY, GRAY[:20] / 255, GRAY[:20] / 255),
        (MASKS, MASKS[:20], MASKS[:20]),
        (MASKS, MASKS[:20].astype(bool), MASKS[:20]),
        (MASKS.astype(bool), MASKS[:20], MASKS[:20]),
        (MASKS.astype(bool), 255 * MASKS[:20], MASKS[:20]),
        (MASKS.astype(np.int64), MASKS[:20], MASKS[:20]),
        (COUNTS, COUNTS[:20] * 3, COUNTS[:20] * 3),
        (COUNTS.astype(np.int16), COUNTS[:20], COUNTS[:20]),
        (GRAY.astype(np.float32), GRAY[:20], GRAY[:20]),
        (GRAY / 255, GRAY[:20], GRAY[:20] / 255),
        (GRAY.astype(np.int16) - 128, (GRAY.astype(np.int16) - 128).astype(np.int8)[:20], GRAY[:20] - 128.0),
    ],
)
def test_bytes_are_read_as_those_that_were_trained_on(run_on, tmp_path, trained_on, given, expected):
    run = run_on(trained_on)
    np.save(tmp_path / "mine.npy", given)
    np.testing.assert_allclose(load_examples(run, tmp_path / "mine.npy").x, expected, rtol=1e-6)
    np.savez(tmp_path / "mine.npz", x=given)
    np.testing.assert_allclose(load_examples(run, tmp_path / "mine.npz").x, expected, rtol=1e-6)


NORMAL = RNG.normal(size=(300, 6)).astype(np.float32)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("trained_on", "given", "message"),
    [
        (GRAY, MASKS, r"from 0 to 1 \(uint8, divided by 255\), but .* from 0 to 255 \(uint8, divided by 255\)"),
        (GRAY, GRAY.astype(np.float32), r"from 0 to 255 \(float32\), but .*; divide them by 255, or use any_scale"),
        (GRAY / 255, GRAY.astype(np.int64), r"\(int64\), but .*; divide them by 255, or save them as uint8, or use"),
        (MASKS, 255 * MASKS, r"from 0 to 255 \(uint8\), but .* from 0 to 1 \(uint8\)"),
        (GRAY / 255, GRAY // 16, r"from 0 to 15 \(uint8\), but .* from 0 to 1 \(float64\); convert them to that unit"),
        (GRAY / 255, GRAY / 255 * 16, "from 0 to 16"),
        (GRAY / 255, GRAY / 255 * 2, "from 0 to 2"),
        (GRAY / 255, GRAY / 127.5 - 1, "from -1 to 1"),
        (GRAY / 255, GRAY / 255 / 255, "from 0 to 0.003"),
        (GRAY.astype(np.float32), GRAY / 255, "from 0 to 1 .* from 0 to 255"),
        (MASKS.astype(bool) & (RNG.random(MASKS.shape) < 0.1), 255.0 * MASKS, "from 0 to 255"),
        (NORMAL, 50 + 10 * NORMAL, "convert them to that unit"),
        (NORMAL, 10 * NORMAL, "convert them to that unit"),
        (NORMAL, NORMAL / 100, "convert them to that unit"),
        (50 + 10 * NORMAL, NORMAL, "convert them to that unit"),
        (np.abs(NORMAL), -np.abs(NORMAL), "convert them to that unit"),
        (GRAY.astype(np.uint16) * 257, GRAY.astype(np.uint16), "convert them to that unit"),
    ],
)
def test_values_on_another_scale_are_refused_and_taken_when_asked(run_on, tmp_path, trained_on, given, message):
    run = run_on(trained_on)
    path = tmp_path / "mine.npy"
    np.save(path, given)
    with pytest.raises(UserError, match=rf"^{path}: holds values .*{message}") as caught:
        load_examples(run, path)
    assert str(run.path) in str(caught.value)
    assert len(load_examples(run, path, any_scale=True).x) == len(given)
    np.savez(tmp_path / "mine.npz", x=given)
    with pytest.raises(UserError, match=message):
        load_examples(run, tmp_path / "mine.npz")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("trained_on", "given"),
    [
        (NORMAL, np.where(RNG.random((40, 6)) < 0.1, 1e6, NORMAL[:40])),  # outliers
        (NORMAL, 5 + NORMAL[:40]),  # all of them anomalies
        (NORMAL, 4 * NORMAL[:40]),
        (NORMAL, NORMAL[:1] * [1, 1, 1, 1, 1, 1000]),
        (NORMAL, np.zeros((3, 6))),
        (np.exp(3 * NORMAL), np.exp(2 * NORMAL[:40])),  # a long tail
        (GRAY / 255, np.where(RNG.random((40, 6)) < 0.05, 200.5, GRAY[:40] / 255)),
        (GRAY / 255, GRAY[:40] / 1000),  # dim
        (MASKS.astype(bool), GRAY[:40] / 255),
        (np.eye(6)[RNG.integers(0, 6, 90)], np.eye(6)),
    ],
)
def test_anomalies_and_outliers_pass(run_on, tmp_path, trained_on, given):
    np.save(tmp_path / "mine.npy", given)
    assert len(load_examples(run_on(trained_on), tmp_path / "mine.npy").x) == len(given)


def test_a_run_on_counts_takes_no_fractions_and_its_bytes_stay_counts(run_on, tmp_path):
    run = run_on(COUNTS)
    poisson = Experiment(model=Model(likelihood="poisson", hidden=(), code_size=3))
    run = run._replace(autoencoder=build_autoencoder(poisson, run.facts))
    np.save(tmp_path / "mine.npy", COUNTS)
    np.testing.assert_array_equal(load_examples(run, tmp_path / "mine.npy").x, COUNTS)
    np.save(tmp_path / "mine.npy", COUNTS[:4] + 0.5)
    with pytest.raises(UserError, match=r"mine\.npy: poisson .* fractions such as"):
        load_examples(run, tmp_path / "mine.npy")


def test_a_run_that_removes_noise_takes_noisy_examples(make_initial_run, tmp_path):
    sparse = np.where(RNG.random((90, 6)) < 0.8, 0, RNG.random((90, 6)))
    np.save(tmp_path / "x.npy", sparse)
    experiment = Experiment(
        data=Data(dataset=str(tmp_path / "x.npy")),
        model=MODEL,
        regularization=Regularization(corruption="gaussian_noise", corruption_level=0.5),
        training=Training(epochs=1, batch_size=8),
    )
    run = open_run(make_initial_run(experiment))
    np.save(tmp_path / "noisy.npy", sparse + 0.5 * RNG.normal(size=sparse.shape))
    assert len(load_examples(run, tmp_path / "noisy.npy").x) == 90
    np.save(tmp_path / "noisy.npy", sparse + 0.02 * RNG.normal(size=sparse.shape))
    assert len(load_examples(run, tmp_path / "noisy.npy").x) == 90


def test_pairs_are_checked_against_pairs(make_initial_run, tmp_path):
    noisy = (MASKS + NORMAL[:90]).astype(np.float32)
    np.savez(tmp_path / "pairs.npz", x=MASKS, input=noisy)
    data = Data(dataset=str(tmp_path / "pairs.npz"))
    run = open_run(make_initial_run(Experiment(data=data, model=MODEL, training=Training(epochs=1, batch_size=8))))
    np.save(tmp_path / "noisy.npy", COUNTS)  # bytes, for numbers that were none
    np.save(tmp_path / "clean.npy", MASKS)
    np.testing.assert_array_equal(load_examples(run, tmp_path / "noisy.npy").x, COUNTS)
    np.testing.assert_array_equal(load_examples(run, tmp_path / "clean.npy", clean=True).x, MASKS)
    np.savez(tmp_path / "mine.npz", x=MASKS, input=255 * noisy)
    with pytest.raises(UserError, match=r"mine\.npz, input: holds values from -.* convert them to that unit"):
        load_examples(run, tmp_path / "mine.npz")
    np.save(tmp_path / "noisy.npy", GRAY)
    with pytest.raises(UserError, match=r"noisy\.npy: holds values from 0 to 255 .* from 0 to 1 \(uint8\)"):
        load_examples(run, tmp_path / "noisy.npy", clean=True)


def test_a_large_file_is_checked_as_a_small_one(run_on, tmp_path, monkeypatch):
    run = run_on(GRAY)
    monkeypatch.setattr("aejax.datasets.arrays.LARGE", 1)
    np.save(tmp_path / "mine.npy", MASKS)
    with pytest.raises(UserError, match=r"from 0 to 1 \(uint8, divided by 255\), but"):
        load_examples(run, tmp_path / "mine.npy")


@pytest.mark.slow
def test_an_older_run_on_bytes_divides_them_all_and_one_on_classes_counts_from_0(tmp_path):
    """Bytes of 0 and 1 were divided by 255, and class k was the label k, before runs kept facts."""
    np.savez(tmp_path / "x.npz", x=MASKS, labels=np.resize([1, 3], 90))
    model = Model(likelihood="gaussian", hidden=(), code_size=3, conditional=True)
    data = Data(dataset=str(tmp_path / "x.npz"), byte_values="scaled")
    experiment = Experiment(data=data, model=model, training=Training(epochs=1, batch_size=8))
    splits = load_splits(data)
    facts = as_older(facts_of(splits.train))
    assert facts.classes == (None, 1, None, 3)
    run = RunFolder.create(tmp_path / "run", replace(experiment, data=Data(dataset=data.dataset)), fingerprint(splits))
    job = make_job(experiment, splits, facts=facts)
    snapshot = start(job.autoencoder, job.optimizer, jax.random.key(0), *example_of(model, facts))
    run.save(snapshot._replace(stopping=EarlyStopping(best_loss=1.0, best_epoch=1)))
    run.close()
    opened = open_run(run.path)
    assert opened.facts == completed(facts, experiment, splits.train)
    assert opened.splits.train.x.max() == np.float32(1 / 255)
    assert opened.classes.tolist() == [1, 3]
    (conditions,) = opened.conditions_of(opened.splits.train)
    np.testing.assert_array_equal(conditions, opened.splits.train.labels)
    np.savez(tmp_path / "mine.npz", x=MASKS, labels=np.resize([1, 2], 90))
    with pytest.raises(UserError, match="was trained on classes 1, 3, but there are labels of class 2"):
        load_examples(opened, tmp_path / "mine.npz")


@pytest.mark.slow
def test_channels_may_come_first_in_training_and_at_use(make_initial_run, tmp_path):
    x = RNG.random((60, 8, 8, 3), np.float32)
    np.save(tmp_path / "x.npy", np.moveaxis(x, -1, 1))
    data = Data(dataset=str(tmp_path / "x.npy"))
    run = open_run(make_initial_run(Experiment(data=data, model=MODEL, training=Training(epochs=1, batch_size=8))))
    assert run.example_shape == (8, 8, 3)
    assert set(run.splits.test.x.ravel().tolist()) <= set(x.ravel().tolist())
    (note,) = notes_on(run.splits.train, run.facts, "x.npy")
    assert "examples (3, 8, 8) are images with channels first, read as (8, 8, 3) (channels last keeps" in note
    np.save(tmp_path / "last.npy", x)
    for name in ("x", "last"):
        np.testing.assert_array_equal(load_examples(run, tmp_path / f"{name}.npy").x, x)


def test_a_run_of_another_kind(run):
    check_kind(run, True, "any run", what="generate")
    with pytest.raises(UserError, match=r"generate expects a variational run, .* is undercomplete on digits"):
        check_kind(run, run.autoencoder.variational is not None, "a variational run", what="generate")


def test_no_run(tmp_path):
    with pytest.raises(UserError, match="is no run folder"):
        open_run(tmp_path / "missing")


def test_a_run_without_checkpoints(make_run, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(make_run(EXPERIMENT), copy)
    shutil.rmtree(copy / "checkpoints")
    with pytest.raises(UserError, match="the folder checkpoints is missing"):
        open_run(copy)
    (copy / "checkpoints").mkdir()
    with pytest.raises(UserError, match="holds no complete checkpoint"):
        open_run(copy)


def test_a_run_that_was_stopped_before_its_first_evaluation(tmp_path):
    splits = load_splits(EXPERIMENT.data)
    facts, optimizer = facts_of(splits.train), build_optimizer(EXPERIMENT, len(splits.train.x))
    snapshot = start(build_autoencoder(EXPERIMENT, facts), optimizer, jax.random.key(0), splits.train.x[0])
    run = RunFolder.create(tmp_path / "run", EXPERIMENT, fingerprint(splits), facts)
    run.save(snapshot)
    run.close()
    with pytest.raises(
        UserError, match=r"was stopped before its first evaluation; continue it with .*aejax train --resume /"
    ):
        open_run(run.path)


@pytest.mark.slow
def test_data_that_have_changed(make_initial_run, tmp_path):
    file = tmp_path / "mine.npy"
    x = np.random.default_rng(0).uniform(size=(80, 5)).astype(np.float32)
    np.save(file, x)
    path = make_initial_run(
        Experiment(data=Data(dataset=str(file)), model=MODEL, training=Training(epochs=1, batch_size=8))
    )
    assert open_run(path).example_shape == (5,)
    np.save(file, 1 - x)
    with pytest.raises(UserError, match=r"mine\.npy: is not the data that .* began with"):
        open_run(path).load_splits()


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
    facts.write_text(json.dumps(content | {"examples": None, "shape": [64]}))
    with pytest.raises(UserError, match=r"facts\.json: examples have shape \(64,\) there, but \(8, 8, 1\) in"):
        open_run(changed)
