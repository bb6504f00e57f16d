"""Scores of a run's samples: sizes, what is compared, the file in the run folder, the lines and the page."""

import json
from dataclasses import replace

import numpy as np
import pytest

from aejax.errors import UserError
from aejax.evaluation.samples import sample_scores
from aejax.experiment import sample_quality
from aejax.experiment.configuration import Data, Experiment, Model, Training
from aejax.experiment.report_sample_quality import sample_quality_section
from aejax.experiment.sample_quality import (
    FILE,
    can_score_samples,
    describe_samples,
    read_samples,
    score_samples,
    write_samples,
)
from aejax.experiment.trained import open_run

RNG = np.random.default_rng(0)


def small(path, count=150, *, name="x.npz", family="variational", x=None, **model):
    """An experiment of a small model on random bits, of which a fifth are test examples."""
    x = RNG.integers(0, 2, size=(count, 4)).astype(np.float32) if x is None else x
    np.savez(path / name, x=x, labels=np.arange(len(x)) % 2)
    made = Model(family=family, hidden=(4,), code_size=2, **model)
    return Experiment(data=Data(dataset=str(path / name)), model=made, training=Training(batch_size=10, epochs=1))


@pytest.fixture(scope="module")
def run(make_initial_run, tmp_path_factory):
    return open_run(make_initial_run(small(tmp_path_factory.mktemp("bits"))))


def test_as_many_samples_as_test_examples_are_compared(run):
    result = score_samples(run)
    assert (result.samples, result.test_examples, result.training_examples) == (30, 30, len(run.splits.train.x))
    assert result.drawn
    assert [score.name for score in result.scores][:3] == ["mmd", "energy_distance", "frechet_distance"]
    assert score_samples(run) == result
    assert score_samples(run, seed=1) != result


def test_scores_are_those_of_the_decoded_samples(make_initial_run, tmp_path):
    """Of data that are no bits, samples are the decoder's means."""
    x = RNG.uniform(size=(150, 4)).astype(np.float32)
    run = open_run(make_initial_run(small(tmp_path, x=x)))
    result = score_samples(run)
    from aejax.datasets.dataset import Dataset

    decoded = run.decode(Dataset(run.sample_codes(30)))
    expected = sample_scores(decoded, run.splits.test.x, run.splits.train.x)
    assert not result.drawn
    assert {score.name: score.value for score in result.scores} == {
        name: score.value for name, score in expected.items()
    }


def test_the_file_holds_what_was_written(run, tmp_path):
    assert read_samples(tmp_path) is None
    result = score_samples(run)
    write_samples(tmp_path, result)
    assert read_samples(tmp_path) == result
    content = json.loads((tmp_path / FILE).read_text())
    assert content["version"] == 1
    content["samples"] = 0
    (tmp_path / FILE).write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"samples.json: samples: input should be greater than 0, got 0"):
        read_samples(tmp_path)
    (tmp_path / FILE).write_text(json.dumps({"version": 2}))
    with pytest.raises(UserError, match="version: is 2, and this version of aejax reads up to 1"):
        read_samples(tmp_path)


def test_lines_and_page_say_both_numbers_of_examples(run):
    result = score_samples(run)
    lines = describe_samples(result)
    assert lines[0].startswith(
        "samples: 30 decoded from the prior, drawn from the likelihood, against 30 test examples"
    )
    assert "density" in " ".join(lines)
    (section,) = sample_quality_section(run)
    assert "30 decoded samples from the prior" in section.content
    assert "nearest-neighbor ratio" in section.content


def test_too_few_examples_are_a_line(make_initial_run, tmp_path):
    run = open_run(make_initial_run(small(tmp_path, 60)))
    with pytest.raises(UserError, match=r"^they need at least 20 test and training examples, got 12$"):
        score_samples(run)


def test_only_runs_with_a_prior_have_samples(make_initial_run, tmp_path, run):
    assert can_score_samples(run)
    assert not can_score_samples(open_run(make_initial_run(small(tmp_path, family="undercomplete"))))


@pytest.fixture
def seen(monkeypatch):
    """The arrays that are scored."""
    arrays = []

    def scored(*points, seed):
        arrays.extend(points)
        return sample_scores(*points, seed=seed)

    monkeypatch.setattr(sample_quality, "sample_scores", scored)
    return arrays


def test_rows_are_compared_as_inputs_and_with_the_same_missing_values(make_initial_run, tmp_path, seen):
    """What is scored: no NaN, one input per number and class, and 0 where the test rows miss a value."""
    pl = pytest.importorskip("polars")
    area = [None if number % 3 == 0 else f"{size:.2f}" for number, size in enumerate(RNG.normal(80, 20, 150))]
    pl.DataFrame({"area": area, "heating": RNG.choice(["gas", "oil", "wood"], 150)}).write_csv(tmp_path / "x.csv")
    model = Model(likelihood="table", hidden=(), code_size=2)
    run = open_run(make_initial_run(Experiment(data=Data(str(tmp_path / "x.csv")), model=model)))
    result = score_samples(run)
    assert result.drawn
    assert all(score.value is not None for score in result.scores)
    units = {score.name: score.unit for score in result.scores}
    assert (units["energy_distance"], units["frechet_distance"]) == ("standard deviation", "(standard deviation)²")
    samples, test, train = seen
    assert samples.shape == test.shape == (result.test_examples, 4)
    assert train.shape == (result.training_examples, 4)
    missing = np.isnan(run.splits.test.x[:, 0])
    assert 0 < missing.sum() < len(test)
    for points in (samples, test):
        np.testing.assert_array_equal(points[:, 0] == 0, missing)
        np.testing.assert_array_equal(points[:, 1:].sum(axis=1), 1)
    (section,) = sample_quality_section(run)
    assert "one-hot classes" in section.content


def test_padded_sequences_are_compared_at_the_lengths_of_test_sequences(make_initial_run, tmp_path, seen):
    x = RNG.normal(5, 1, size=(150, 6)).astype(np.float32)
    x[::2, 4:] = np.nan
    run = open_run(make_initial_run(small(tmp_path, name="padded.npz", x=x, likelihood="gaussian")))
    result = score_samples(run)
    assert not result.drawn
    known = np.isfinite(run.splits.test.x)
    assert 0 < known[:, 5].sum() < len(known)
    mean = np.nanmean(run.splits.train.x)
    for points in seen[:2]:
        np.testing.assert_array_equal(points[~known], mean)
        assert np.all(points[known] != mean)
    (section,) = sample_quality_section(run)
    assert "has the length of a test sequence" in section.content


def test_halves_of_images_are_compared_given_the_other_halves(make_initial_run, tmp_path):
    x = RNG.integers(0, 2, size=(150, 4, 4)).astype(np.float32)
    experiment = small(tmp_path, name="halves.npz", x=x)
    experiment = replace(experiment, data=replace(experiment.data, condition=("upper_half",)))
    result = score_samples(open_run(make_initial_run(experiment)))
    assert result.drawn
    assert result.samples == 30


@pytest.mark.slow
def test_a_conditional_run_has_the_classes_of_the_test_examples(make_initial_run, tmp_path):
    result = score_samples(open_run(make_initial_run(small(tmp_path, conditional=True))))
    assert result.samples == 30


@pytest.mark.slow
def test_a_generative_run_stores_the_scores(make_run, tmp_path):
    run = open_run(make_run(small(tmp_path, name="trained.npz")))
    assert read_samples(run.path) == score_samples(run)
