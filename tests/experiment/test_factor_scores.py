"""Scores of disentanglement where factors are known: in a run's record and sentences, and for a sweep's members."""

from functools import partial
from pathlib import Path

import jax
import numpy as np
import pytest

from aejax.datasets.dataset import Dataset, Factors
from aejax.datasets.subset import random_positions
from aejax.evaluation.disentanglement import TITLES, disentanglement_scores
from aejax.experiment.code_sentences import code_of, code_sentences
from aejax.experiment.configuration import Data, Experiment, Model, Training
from aejax.experiment.factor_scores import MAX_EXAMPLES, describe_unscorable, factor_scores, scorable
from aejax.experiment.job import make_job
from aejax.experiment.knobs import with_knobs
from aejax.experiment.report import term_of
from aejax.experiment.run_folder import read_records
from aejax.experiment.sprites_presets import SPRITES
from aejax.studies.sweeps import sweep
from aejax.studies.sweeps.factors import measure_of_factors
from aejax.studies.sweeps.rate_distortion import draw_rate_distortion, on_hull

SMALL = Experiment(
    data=Data(
        dataset="sprites",
        image_size=(8,),
        validation_fraction=0.2,
        factor_values=("shape=heart", "orientation=0:40:10", "x=0:32:8", "y=0:32:8"),
    ),
    model=Model(hidden=(8,), code_size=3),
    training=Training(epochs=1, batch_size=64),
)


@pytest.fixture
def factors() -> Factors:
    """All 4 x 6 x 3 values of a class and of two numbers, and a factor that is constant, in random order."""
    axes = np.meshgrid([5], range(4), range(6), range(3), indexing="ij")
    values = np.random.default_rng(0).permutation(np.stack(axes, axis=-1).reshape(-1, 4).repeat(5, axis=0))
    return Factors(values, ("fixed", "shape", "x", "y"), ("shape",))


def test_constant_factors_are_left_out(factors: Factors) -> None:
    codes = factors.values[:, [3, 2, 1]] + 0.3 * np.random.default_rng(1).normal(size=(len(factors.values), 3))
    found = factor_scores(codes.reshape(-1, 3, 1), factors)
    assert found == disentanglement_scores(codes, factors.values[:, 1:], categorical=[0])


def test_many_examples_are_scored_on_random_ones(factors: Factors) -> None:
    """The first examples of a grid in its order are a corner of it, over which most factors do not vary."""
    ordered = np.unique(factors.values, axis=0).repeat(100, axis=0)
    many = factors._replace(values=ordered)
    assert len(ordered) > MAX_EXAMPLES
    assert len(np.unique(ordered[:MAX_EXAMPLES, 1])) < 4
    chosen = scorable(Dataset(ordered, factors=many))
    assert len(chosen.x) == MAX_EXAMPLES
    assert [len(np.unique(column)) for column in chosen.factors.values.T] == [1, 4, 6, 3]
    codes = ordered[:, 1:] + 0.3 * np.random.default_rng(1).normal(size=(len(ordered), 3))
    positions = random_positions(len(ordered), MAX_EXAMPLES, seed=0)
    np.testing.assert_array_equal(chosen.x, ordered[positions])
    assert factor_scores(codes, many) == factor_scores(codes[positions], chosen.factors)
    by_shape = factors._replace(values=np.repeat([[0, 0, 0, 0], [0, 1, 1, 1]], MAX_EXAMPLES, axis=0))
    assert describe_unscorable(by_shape) is None


def test_a_rare_value_loses_no_score(factors: Factors) -> None:
    values = factors.values.copy()
    values[0, 2] = 17
    rare = factors._replace(values=values)
    assert describe_unscorable(rare) is None
    codes = factors.values[:, 1:] + 0.1 * np.random.default_rng(1).normal(size=(len(values), 3))
    found, usual = factor_scores(codes, rare), factor_scores(codes, factors)
    assert found.keys() == usual.keys()
    assert found["explicitness"] == pytest.approx(usual["explicitness"], abs=0.02)
    values[1, 1] = 9  # of a factor whose values have no order, too
    assert factor_scores(codes, rare).keys() == usual.keys()
    values[:, 1] = 3  # one shape, of one example another
    values[0, 1] = 2
    without = factors._replace(values=np.delete(values, 1, axis=1), names=("fixed", "x", "y"))
    assert factor_scores(codes, rare) == factor_scores(codes, without)


def test_what_cannot_be_scored_is_described(factors: Factors) -> None:
    assert describe_unscorable(factors) is None
    few = factors._replace(values=factors.values[:59])
    problem = "expected at least 60 examples for the 6 values of x, got 59"
    assert describe_unscorable(few) == problem
    with pytest.raises(ValueError, match=problem):
        factor_scores(np.ones((59, 2)), few)
    with pytest.raises(ValueError, match="all 2 units are constant"):
        factor_scores(np.ones((len(factors.values), 2)), factors)


def test_a_sentence_names_every_score(factors: Factors) -> None:
    scores = factor_scores(factors.values.astype(np.float64), factors)
    sentence = code_sentences(scores)[-1]
    assert sentence.startswith("Disentanglement of the known factors: MIG 1.000, SAP ")
    assert sentence.endswith("fraction of constant units 0.250.")
    assert all(title in sentence for title in TITLES.values())
    assert term_of("code/mig", ()).title == "MIG"


@pytest.mark.slow
@pytest.mark.parametrize("preset", SPRITES)
def test_a_run_on_sprites_has_scores(preset: str, make_run) -> None:
    small = {"image_size": (8,), "factor_values": SMALL.data.factor_values, "hidden": (8,), "epochs": 1}
    folder: Path = make_run(with_knobs(SPRITES[preset][1], small))
    code = code_of(read_records(folder)[-1])
    assert set(TITLES) <= code.keys()
    assert 0 <= code["mig"] <= 1
    assert code["dead_share"] == 0


@pytest.mark.slow
def test_members_of_a_sweep_have_the_scores_of_their_codes(monkeypatch: pytest.MonkeyPatch) -> None:
    with jax.numpy_dtype_promotion("standard"):
        job = make_job(SMALL)
        measure = measure_of_factors(job)
        assert measure is not None
        params = job.start().state.params
        found = measure(params).terms
        test = job.splits.test
        assert test.factors is not None
        codes = np.stack([job.autoencoder.encode(params, one) for one in test.x])
        expected = factor_scores(codes, test.factors)
        assert found.keys() == {f"{split}/code/{name}" for split in ("validation", "test") for name in TITLES}
        for name, value in expected.items():
            assert found[f"test/code/{name}"] == pytest.approx(value, abs=0.05 if "dci" in name else 1e-3), name
        for undefined in (0.0, np.nan):
            terms = measure(jax.tree.map(partial(np.full_like, fill_value=undefined), params)).terms
            assert terms.keys() == found.keys()
            assert all(np.isnan(value) for value in terms.values())

        def refuse(*_: object) -> None:
            raise ValueError("a bug")

        monkeypatch.setattr("aejax.studies.sweeps.factors.factor_scores", refuse)
        with pytest.raises(ValueError, match="a bug"):  # only codes that are all equal have scores that are NaN
            measure(params)
    assert measure_of_factors(make_job(Experiment())) is None


@pytest.mark.slow
def test_a_sweep_over_beta_has_scores_and_a_hull() -> None:
    with jax.numpy_dtype_promotion("standard"):
        outcome = sweep(SMALL, {"beta": [1.0, 10.0]}, seeds=2)
    assert all("validation/code/mig" in member.terms for member in outcome.members)
    assert all("validation/code/mig" in summary.deviation for summary in outcome.summaries)
    hull = on_hull(outcome.summaries)
    assert 1 <= len(hull) <= 2
    rates = [summary.mean["validation/kl"] for summary in hull]
    assert rates == sorted(rates)
    figure = draw_rate_distortion(outcome.summaries, outcome.members)
    assert figure is not None
    figure.canvas.draw()
    texts = "; ".join(text.get_text() for text in figure.axes[0].texts).split("; ")
    assert texts == [f"β {summary.setting.knobs['beta']:g}" for summary in hull]
    one = [summary for summary in outcome.summaries if summary.setting.knobs["beta"] == 1.0]
    assert on_hull(one) == []
    assert draw_rate_distortion(one, outcome.members) is None
