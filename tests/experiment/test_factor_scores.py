"""Scores of disentanglement where factors are known: in a run's record and sentences, and for a sweep's members."""

from pathlib import Path

import jax
import numpy as np
import pytest

from aejax.datasets.dataset import Factors
from aejax.evaluation.disentanglement import TITLES, disentanglement_scores
from aejax.experiment.code_sentences import code_of, code_sentences
from aejax.experiment.configuration import Data, Experiment, Model, Training
from aejax.experiment.factor_scores import MAX_EXAMPLES, describe_unscorable, factor_scores
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


def test_only_the_first_examples_are_scored(factors: Factors) -> None:
    repeats = MAX_EXAMPLES // len(factors.values) + 2
    many = factors._replace(values=np.tile(factors.values, (repeats, 1))[: MAX_EXAMPLES + 7])
    codes = many.values[:, 1:].astype(np.float64)
    codes[MAX_EXAMPLES:] = 1e9
    assert factor_scores(codes, many)["irs"] == pytest.approx(1.0)


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
def test_members_of_a_sweep_have_the_scores_of_their_codes() -> None:
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
        dead = measure(jax.tree.map(np.zeros_like, params)).terms
        assert all(np.isnan(value) for value in dead.values())
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
