"""Runs on sequences of unequal length: what is built and refused, leaks of padding, use of a trained run."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aejax.datasets.arrays import load_arrays
from aejax.datasets.dataset import Dataset, Splits
from aejax.datasets.sequences import is_padding, lengths_of
from aejax.errors import UserError
from aejax.experiment import facts as facts_module
from aejax.experiment.arranged import cut_along
from aejax.experiment.at_use import load_examples
from aejax.experiment.build import build_corruption
from aejax.experiment.configuration import Data, Experiment, Model, Regularization, Training
from aejax.experiment.detect import detect
from aejax.experiment.explored import can_explore
from aejax.experiment.generate import near_examples, sample
from aejax.experiment.job import fit, make_job
from aejax.experiment.reconstruction_error import pca_error, squared_errors
from aejax.experiment.run import train_run
from aejax.experiment.scaling import make_facts

STEPS = 12


@pytest.fixture(autouse=True)
def dtype_promotion():
    """In place of the strict one: Optax mixes integer counts with floats."""
    with jax.numpy_dtype_promotion("standard"):
        yield


def sequences(seed, count, *, garbage=np.nan):
    """Noisy sines around 100 in a channel and small numbers in another, of 3 to 12 steps."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(3, STEPS + 1, count)
    phase = rng.uniform(0, 6, (count, 1)) + 0.5 * np.arange(STEPS)
    x = np.stack([100 + 20 * np.sin(phase), 0.1 * np.cos(phase)], -1)
    x[is_padding(lengths, STEPS)] = garbage
    return x.astype(np.float32), lengths


def splits(*, test_seed=2):
    return Splits(*(Dataset(sequences(seed, count)[0]) for seed, count in ((0, 64), (1, 16), (test_seed, 16))))


def experiment(**model):
    model = {"likelihood": "gaussian", "hidden": (8,), "code_size": 2, "network": "sequence"} | model
    return Experiment(data=Data("mine.npz"), model=Model(**model), training=Training(epochs=2, batch_size=16))


def test_facts_hold_the_lengths_and_scale_each_channel_by_its_real_steps():
    data = splits()
    facts = make_facts(experiment(), data.train)
    assert facts.lengths == tuple(sorted(lengths_of(data.train.x).tolist()))
    assert facts.layout == "series"
    shift = np.reshape(facts.scaling.shift, (STEPS, 2))
    np.testing.assert_allclose(
        shift, np.tile(np.nanmean(data.train.x, axis=(0, 1), dtype=np.float64), (STEPS, 1)), rtol=1e-6
    )
    scale = np.reshape(facts.scaling.scale, (STEPS, 2))
    np.testing.assert_allclose(
        scale, np.tile(np.nanstd(data.train.x, axis=(0, 1), dtype=np.float64), (STEPS, 1)), rtol=1e-5
    )
    assert facts_module.from_json(facts_module.to_json(facts), name="facts.json") == facts


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"family": "tied", "likelihood": "bernoulli", "network": "mlp"}, "family: tied cannot read padded sequences"),
        (
            {
                "family": "undercomplete",
                "likelihood": "bernoulli",
                "network": "mlp",
                "loss": "structural_dissimilarity",
            },
            "loss: structural_dissimilarity has no meaning for padded sequences",
        ),
        ({"likelihood": "bernoulli"}, "bernoulli expects values in [0, 1]"),
        ({"likelihood": "poisson"}, "poisson expects"),
        ({"network": "conv", "code_size": None}, "code_size: padded sequences, mine.npz, require a code"),
    ],
)
def test_models_that_cannot_read_padding_are_refused_in_one_line(model, message):
    with pytest.raises(UserError) as error:
        make_job(experiment(**model), splits())
    assert message in str(error.value)


def test_held_out_sequences_that_are_shorter_than_all_training_ones_are_refused():
    data = splits()
    full = Dataset(np.nan_to_num(data.train.x))
    with pytest.raises(UserError, match="all training sequences have 12 steps, but held-out ones are shorter"):
        make_job(experiment(), data._replace(train=full))


@pytest.mark.parametrize("name", ["masking", "gaussian_noise", "salt_and_pepper"])
def test_corruption_leaves_padding_as_it_is(name):
    facts = make_facts(experiment(), splits().train)
    corrupt = build_corruption(Regularization(corruption=name, corruption_level=0.5), facts)
    x = splits().train.x[1]
    corrupted = np.asarray(corrupt(jax.random.key(0), jnp.asarray(x)))
    np.testing.assert_array_equal(np.isnan(corrupted), np.isnan(x))
    assert np.nanmax(np.abs(corrupted - x)) > 0


def test_the_length_along_a_path_runs_from_that_of_its_start_to_that_of_its_end():
    start, end = np.array([[1.0, np.nan, np.nan, np.nan]]), np.ones((1, 4))
    made = cut_along(np.ones((3, 4, 4)), start, end)
    assert [lengths_of(row).tolist() for row in made] == [[1, 2, 3, 4]] * 3


@pytest.mark.slow
def test_neither_padding_nor_test_sequences_change_a_bit_of_the_parameters(tmp_path):
    fitted = []
    for garbage, test_seed in ((np.nan, 2), (1e6, 2), (np.nan, 7)):
        x, lengths = sequences(0, 64, garbage=garbage)
        np.savez(tmp_path / "mine.npz", x=x, lengths=lengths)
        data = splits(test_seed=test_seed)._replace(train=load_arrays(tmp_path / "mine.npz"))
        job = make_job(experiment(network="mlp"), data)
        fitted.append((job.facts, jax.device_get(fit(job, devices=jax.devices()[:1]).best_params)))
    for facts, params in fitted[1:]:
        assert facts == fitted[0][0]
        assert jax.tree.all(jax.tree.map(np.array_equal, params, fitted[0][1]))


@pytest.mark.slow
def test_a_run_is_used_with_sequences_of_any_length(tmp_path):
    x, lengths = sequences(0, 90)
    np.save(tmp_path / "mine.npy", x)
    of_file = replace(experiment(network="mlp"), data=Data(str(tmp_path / "mine.npy")))
    run = train_run(of_file, tmp_path / "run", devices=jax.devices()[:1], figures=False)
    test = run.splits.test
    reconstruction = run.reconstruct(test)
    np.testing.assert_array_equal(np.isnan(reconstruction), np.isnan(test.x))
    by_hand = [np.mean(np.square(a - b)[~np.isnan(a)]) for a, b in zip(test.x, reconstruction, strict=True)]
    np.testing.assert_allclose(squared_errors(run), by_hand, rtol=1e-5)
    assert np.isfinite(pca_error(run))
    np.save(tmp_path / "short.npy", x[:5, : lengths[:5].max()])
    np.testing.assert_array_equal(load_examples(run, tmp_path / "short.npy").x, x[:5])
    np.save(tmp_path / "long.npy", np.ones((3, STEPS + 1, 2)))
    with pytest.raises(UserError, match=r"shape \(13, 2\)"):
        load_examples(run, tmp_path / "long.npy")
    assert np.isfinite(detect(run).scores).all()
    sampled = sample(run, rows=4, columns=5)
    assert set(lengths_of(sampled.examples.reshape(20, STEPS, 2))) <= set(run.facts.lengths)
    near = near_examples(run, rows=3, columns=4)
    np.testing.assert_array_equal(
        np.isnan(near.examples), np.isnan(near.before[:, None]) | np.zeros((3, 4, 1, 1), bool)
    )
    assert not can_explore(run)
