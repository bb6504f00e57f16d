"""Examples on the host train as resident ones do, in the background, and only those that are asked for are read."""

import threading
from pathlib import Path

import chex
import jax
import numpy as np
import optax
import pytest

from aejax.autoencoders import Autoencoder, Examples, conditional, undercomplete, variational
from aejax.datasets.arrays import load_arrays
from aejax.datasets.stored import StoredArray
from aejax.errors import UserError
from aejax.likelihoods import bernoulli
from aejax.networks import MLP
from aejax.training import loop, make_evaluate, start, train
from aejax.training.devices import replicate
from aejax.training.plan import Plan
from aejax.training.streaming import gather, on_host, prefetch

NUMBER, SHAPE, BATCH = 85, (6, 5), 16  # 5 steps an epoch, and examples that do not fill a batch
BYTES = np.random.default_rng(0).integers(0, 256, (NUMBER, *SHAPE), np.uint8)
X = BYTES.astype(np.float32) / np.float32(255)
LABELS = np.arange(NUMBER, dtype=np.int32) % 3
OPTIMIZER = optax.adam(1e-3)


def build() -> Autoencoder:
    return conditional(variational(MLP((6,), (12,)), MLP(SHAPE, (12,))), classes=3)


def learn(x, *, devices: int = 1, epochs: int = 3, **options):
    """The parameters and the evaluations of a run on these examples, validated on 37 of them."""
    autoencoder = build()
    snapshot = start(autoencoder, OPTIMIZER, jax.random.key(0), X[0], LABELS[0])
    validation = x.select(np.arange(37)) if isinstance(x, StoredArray) else x[:37]
    reports = train(
        autoencoder,
        OPTIMIZER,
        snapshot,
        Examples(x, None, LABELS),
        Examples(validation, None, LABELS[:37]),
        batch_size=BATCH,
        epochs=epochs,
        devices=jax.local_devices()[:devices],
        **options,
    )
    evaluations = []
    for report in reports:
        evaluations += [report.evaluation] if report.evaluation else []
        params = report.snapshot.state.params
    return jax.device_get(params), evaluations


@pytest.fixture
def stored(tmp_path: Path) -> StoredArray:
    np.save(tmp_path / "x.npy", BYTES)
    x = load_arrays(tmp_path / "x.npy", stored=True).x
    assert isinstance(x, StoredArray)
    return x


@pytest.mark.slow
@pytest.mark.parametrize(("devices", "steps_per_call"), [(1, 2), (1, None), (8, 3)])
def test_streamed_examples_train_as_resident_ones(stored, devices: int, steps_per_call: int | None) -> None:
    resident = learn(X, devices=devices)
    options = {"devices": devices, "steps_per_call": steps_per_call}
    for x, streamed in ((stored, None), (X, True)):
        chex.assert_trees_all_close(learn(x, streamed=streamed, **options), resident, rtol=1e-6, atol=1e-6)


@pytest.mark.slow
def test_a_mapped_file_given_to_train_is_read_and_not_mapped(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", X)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    assert isinstance(on_host(mapped), StoredArray)
    assert not isinstance(on_host(mapped[1:]), StoredArray)  # a part of it has another beginning
    chex.assert_trees_all_close(learn(mapped, streamed=True), learn(X), rtol=1e-6, atol=1e-6)


@pytest.mark.slow
def test_a_run_on_a_file_reads_the_examples_of_its_batches_and_no_others(stored, monkeypatch) -> None:
    read = []
    original = StoredArray._read
    monkeypatch.setattr(StoredArray, "_read", lambda self, rows: read.append(len(rows)) or original(self, rows))
    learn(stored, epochs=2)
    assert max(read) <= 5 * BATCH
    assert sum(read) == 2 * (5 * BATCH + 3 * BATCH)  # 3 batches of 16 hold the 37 examples of validation


@pytest.mark.slow
@pytest.mark.parametrize("stop_after", [3, 5, 8])
def test_resuming_a_streamed_run_changes_no_bit(stored, stop_after: int) -> None:
    """In the middle of an epoch and at its end, with calls of two steps and a rest of one."""
    autoencoder = build()

    def go_on(snapshot):
        parts = (Examples(part, None, LABELS[: len(part)]) for part in (stored, stored.select(np.arange(37))))
        options = {"batch_size": BATCH, "epochs": 3, "steps_per_call": 2, "devices": jax.local_devices()[:1]}
        return train(autoencoder, OPTIMIZER, snapshot, *parts, **options)

    def begin():
        return start(autoencoder, OPTIMIZER, jax.random.key(0), X[0], LABELS[0])

    *_, whole = go_on(begin())
    for report in go_on(begin()):
        if report.step >= stop_after:
            break
    *_, resumed = go_on(report.snapshot)
    assert resumed.evaluation == whole.evaluation
    chex.assert_trees_all_equal(resumed.snapshot, whole.snapshot)


@pytest.mark.slow
@pytest.mark.parametrize("batches_per_call", [1, 2, None])
def test_evaluation_of_streamed_examples_is_exact(stored, batches_per_call: int | None) -> None:
    devices = jax.local_devices()[:2]
    autoencoder = build()
    params = replicate(autoencoder.init(jax.random.key(0), X[0], LABELS[0]), devices)
    resident = make_evaluate(autoencoder, batch_size=BATCH, devices=devices)
    streamed = make_evaluate(
        autoencoder, batch_size=BATCH, devices=devices, streamed=True, batches_per_call=batches_per_call
    )
    expected = resident(params, jax.random.key(1), replicate(Examples(X, None, LABELS), devices))
    means = streamed(params, jax.random.key(1), Examples(stored, None, LABELS))
    assert means == pytest.approx(expected, rel=1e-6)


def test_the_next_item_is_loaded_while_one_is_used_and_no_more_than_that() -> None:
    loaded, release = [], threading.Event()

    def load(number: int) -> int:
        if number == 1:
            release.wait(10)
        loaded.append((number, threading.current_thread() is threading.main_thread()))
        return number

    results = prefetch(load, iter(range(4)))
    assert next(results) == 0
    assert loaded == [(0, False)]
    release.set()
    assert next(results) == 1
    results.close()
    assert len(loaded) <= 3


def test_an_error_of_loading_comes_where_its_result_would() -> None:
    results = prefetch(lambda number: 1 // number, [1, 0])
    assert next(results) == 1
    with pytest.raises(ZeroDivisionError):
        next(results)


@pytest.mark.slow
def test_streamed_examples_that_the_likelihood_cannot_explain_are_refused(tmp_path: Path) -> None:
    x = X.copy()
    x[3, 0, 0] = 1.5
    np.save(tmp_path / "x.npy", x)
    stored = load_arrays(tmp_path / "x.npy", stored=True).x
    with pytest.raises(UserError, match=r"the training examples: bernoulli expects values in \[0, 1\]"):
        learn(stored)
    gather(Examples(stored), np.array([0, 1]), bernoulli(), "few")
    with pytest.raises(UserError, match="few: bernoulli expects"):
        gather(Examples(stored), np.array([[3]]), bernoulli(), "few")


@pytest.mark.slow
def test_a_run_stopped_in_an_evaluation_goes_on_with_it(monkeypatch) -> None:
    """Evaluation is made of several calls, and after one of them the run is stopped and resumed."""
    monkeypatch.setattr(loop, "choose_plan", lambda *_, **__: Plan(False, 5, batches_per_call=1, unrolled=False))
    autoencoder = undercomplete(MLP((3,)), MLP(SHAPE))

    def go_on(snapshot):
        options = {"batch_size": BATCH, "epochs": 3, "devices": jax.local_devices()[:1]}
        return train(autoencoder, OPTIMIZER, snapshot, X, X[:37], **options)

    def begin():
        return start(autoencoder, OPTIMIZER, jax.random.key(0), X[0])

    whole = list(go_on(begin()))
    assert [(report.step, report.evaluating) for report in whole[:4]] == [
        (5, True),
        (5, True),
        (5, False),
        (10, True),
    ]
    assert sum(report.examples for report in whole) == 3 * 5 * BATCH
    for report in go_on(begin()):
        if report.step == 10 and report.evaluating:
            break
    resumed = list(go_on(report.snapshot))
    assert (resumed[0].step, resumed[0].examples) == (10, 0)
    evaluations = [report.evaluation for report in whole if report.evaluation]
    assert [report.evaluation for report in resumed if report.evaluation] == evaluations[1:]
    chex.assert_trees_all_equal(resumed[-1].snapshot, whole[-1].snapshot)
