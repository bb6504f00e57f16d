"""An autoencoder of the user's own: trained, opened with trust alone, used like any other; its faults are named."""

import dataclasses
import hashlib
import json
import shutil
from pathlib import Path

import jax
import numpy as np
import pytest

from aejax.errors import ArgumentError, UserError, knobs_as_options
from aejax.experiment.build import build_autoencoder
from aejax.experiment.compare_denoising import compare_denoising
from aejax.experiment.configuration import Experiment, Model, Regularization, Training, check
from aejax.experiment.denoise import check_denoises, make_denoise
from aejax.experiment.export import export_run
from aejax.experiment.generate import sample, traverse
from aejax.experiment.loading import load_splits
from aejax.experiment.own_autoencoder import build_own
from aejax.experiment.plausibility import check_result
from aejax.experiment.presets import training_command
from aejax.experiment.report import loss_sum, term_of
from aejax.experiment.scaling import make_facts
from aejax.experiment.trained import open_run

# an own network, with annotations that dataclasses look up, an own likelihood and an own loss
SOURCE = '''
"""Logistic noise."""
from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp

from aejax.autoencoders import variational
from aejax.likelihoods import Likelihood, gaussian


class Layer(nn.Module):
    shape: tuple[int, ...]
    scale: float = 1.0

    @nn.compact
    def __call__(self, x):
        size = 1
        for side in self.shape:
            size *= side
        return self.scale * nn.Dense(size)(x.reshape(-1)).reshape(self.shape)


def logistic() -> Likelihood:
    def log_prob(x, mean):
        return jnp.sum(-(x - mean) - 2 * jax.nn.softplus(-(x - mean)))

    return gaussian(variance=1.0)._replace(name="logistic", log_prob=log_prob)


def build(facts):
    assert facts.layout == "image"
    return variational(Layer((2 * 3,)), Layer(facts.shape), likelihood=logistic())
'''


DENOISES = """
from aejax.autoencoders import denoising, undercomplete
from aejax.networks import MLP


def build(facts):
    return denoising(undercomplete(MLP((3,)), MLP(facts.shape)), corrupt=lambda key, x: x)
"""


@pytest.fixture(autouse=True)
def dtype_promotion():
    """In place of the strict one: Optax mixes integer counts with floats."""
    with jax.numpy_dtype_promotion("standard"):
        yield


@pytest.fixture(scope="module")
def own(tmp_path_factory) -> Path:
    """The file of an own autoencoder."""
    path = tmp_path_factory.mktemp("own") / "mine.py"
    path.write_text(SOURCE)
    return path


def of(path, **training) -> Experiment:
    return Experiment(model=Model(autoencoder=str(path)), training=Training(epochs=1, **training))


@pytest.fixture
def folder(make_initial_run, own) -> Path:
    return make_initial_run(of(own))


@pytest.mark.slow
def test_the_run_folder_holds_a_copy_and_its_digest(folder):
    assert (folder / "autoencoder.py").read_text() == SOURCE
    assert (folder / "autoencoder.sha256").read_text() == hashlib.sha256(SOURCE.encode()).hexdigest() + "\n"


@pytest.mark.slow
def test_it_is_opened_with_trust_alone(folder):
    with pytest.raises(ArgumentError, match=r"^trust_code: .*is a program, .*\.py, that runs with your rights"):
        open_run(folder)
    with knobs_as_options(), pytest.raises(UserError, match=r"^--trust-code: "):
        open_run(folder)
    assert open_run(folder, trust_code=True).example_shape == (8, 8, 1)


@pytest.mark.slow
def test_nothing_runs_without_trust(folder, tmp_path):
    copy = tmp_path / "run"
    shutil.copytree(folder, copy)
    (copy / "autoencoder.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    for trust in (False, True):  # and with trust no code that was changed
        with pytest.raises(UserError):
            open_run(copy, trust_code=trust)
    assert not (tmp_path / "ran").exists()


def test_a_changed_copy_is_refused(folder, tmp_path):
    copy = tmp_path / "run"
    shutil.copytree(folder, copy)
    (copy / "autoencoder.py").write_text(SOURCE + "\n")
    with pytest.raises(UserError, match=r"autoencoder\.py: was changed since the run began") as error:
        open_run(copy, trust_code=True)
    assert "\n" not in str(error.value)


def test_the_copy_is_what_is_opened(folder, own, tmp_path, monkeypatch):
    moved = tmp_path / "moved"
    shutil.copytree(folder, moved)
    monkeypatch.chdir(tmp_path)
    text = own.read_text()
    own.write_text("raise RuntimeError('the original is not needed')")
    try:
        x = load_splits(of(own).data).test
        codes = [open_run(place, trust_code=True).encode(x) for place in (folder, moved)]
    finally:
        own.write_text(text)
    np.testing.assert_array_equal(*codes)


@pytest.mark.slow
def test_it_is_used_like_any_other(folder):
    run = open_run(folder, trust_code=True)
    test = run.splits.test
    assert run.encode(test).shape == (len(test.x), 3)
    assert run.reconstruct(test).shape == test.x.shape
    assert sample(run, rows=1, columns=3).examples.shape[-3:] == (8, 8, 1)
    assert len(traverse(run, columns=3).examples)
    assert make_denoise(run)(test.x[0]).shape == (8, 8, 1)
    assert set(export_run(run)) == {"encode", "decode", "jacobian"}


@pytest.mark.slow
def test_one_that_denoises_is_known_by_its_parts(make_run, tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(DENOISES)
    run = open_run(make_run(of(path)), trust_code=True)
    check_denoises(run)
    with pytest.raises(UserError, match="the corruption is part of the user's own autoencoder"):
        compare_denoising(run, examples=3)


def test_reports_say_whose_loss_it_is(own):
    assert loss_sum(()) == "loss = the loss of the autoencoder"
    assert term_of("loss", ()).unit == "unit of its loss"
    command = training_command(dataclasses.replace(of(own), training=Training(checkpoint_every=5)))
    assert command.endswith(f"--autoencoder {own}")


@pytest.mark.parametrize(
    ("knobs", "name"),
    [
        ({"model": {"family": "tied"}}, "family"),
        ({"model": {"hidden": (3,)}}, "hidden"),
        ({"regularization": {"beta": 2.0}}, "beta"),
        ({"training": {"rematerialize": True}}, "rematerialize"),
    ],
)
def test_knobs_of_the_model_are_refused_by_name(knobs, name):
    experiment = Experiment(
        model=Model(autoencoder="mine.py", **knobs.get("model", {})),
        regularization=Regularization(**knobs.get("regularization", {})),
        training=Training(**knobs.get("training", {})),
    )
    with pytest.raises(UserError, match=f"^{name}: has no effect on your own autoencoder"):
        check(experiment)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("x = 1", r"expected a function build\(facts\) that returns an autoencoder, but it defines none"),
        (
            "def build(facts): return 3",
            "build must return an aejax.autoencoders.Autoencoder, .* of type int",
        ),
        ("def build(facts): pass", "it returned an object of type NoneType"),
    ],
)
def test_a_file_that_builds_none_is_one_line(tmp_path, source, message):
    path = tmp_path / "mine.py"
    path.write_text(source)
    with pytest.raises(UserError, match=f"mine.py: .*{message}"):
        build_own(path, facts())
    with pytest.raises(UserError, match="no such file"):
        build_own(tmp_path / "missing.py", facts())


def test_an_exception_in_the_file_is_its_own(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text("def build(facts):\n    return {}['classes']\n")
    with pytest.raises(KeyError) as error:
        build_autoencoder(of(path), facts())
    assert error.traceback[-1].path == path
    assert error.traceback[-1].lineno == 1


def facts():
    return make_facts(Experiment(), load_splits(Experiment().data).train)


def test_a_result_is_not_compared_with_a_loss_that_is_not_known(own):
    train = load_splits(of(own).data).train
    check_result(of(own), train, facts(), {"validation": {"loss": 1e9, "reconstruction": 1e9}})


def test_the_configuration_in_the_folder_names_the_file(folder, own):
    assert json.loads((folder / "config.json").read_text())["model"]["autoencoder"] == str(own)
