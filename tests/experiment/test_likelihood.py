"""The log-likelihood of a run: rows in order, in nats and bits, beside how the data were treated."""

import json
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aejax.autoencoders.record import as_batch
from aejax.datasets.dataset import take
from aejax.datasets.subset import random_positions
from aejax.errors import UserError
from aejax.evaluation.likelihood import Annealed, StepSizes
from aejax.experiment import likelihood
from aejax.experiment.configuration import Data, Experiment, Model, Training
from aejax.experiment.evaluate import report_page
from aejax.experiment.likelihood import Settings, evaluate_likelihood
from aejax.experiment.likelihood_notes import chain_notes
from aejax.experiment.likelihood_record import FILE, read_likelihood, shown_mean, to_json
from aejax.experiment.report_likelihood import likelihood_section
from aejax.experiment.trained import open_run

BINARY = Experiment(
    data=Data(binarize="stochastic"), model=Model(hidden=(), code_size=2), training=Training(epochs=1, patience=None)
)
SMALL = Settings(
    samples=60, examples=40, distributions=10, chains=2, annealed_examples=5, simulated_examples=5, start=("prior",)
)


@pytest.fixture(autouse=True)
def dtype_promotion():
    with jax.numpy_dtype_promotion("standard"):
        yield


@pytest.mark.slow
def test_rows_and_file_and_page(make_run):
    run, stages = open_run(make_run(BINARY)), []
    result = evaluate_likelihood(run, SMALL, on_stage=lambda *stage: stages.append(stage))
    elbo, half, whole, same, annealed, below, above = result.rows
    assert [row.examples for row in result.rows] == [40, 40, 40, 5, 5, 5, 5]
    assert elbo.mean < half.mean < whole.mean
    assert abs(same.mean - annealed.mean) < 3 * annealed.samples_error + 1
    assert below.mean < above.mean + 0.5
    assert whole.bits_per_dimension == pytest.approx(-whole.mean / 64 / np.log(2))
    assert result.is_likelihood
    assert result.gaps["prior"].mean == pytest.approx(above.mean - below.mean)
    assert np.mean(result.by_example["log_likelihood"]) == pytest.approx(whole.mean)
    assert len(result.by_example["pareto_k"]) == 40
    positions = list(map(int, result.by_example["position"]))
    assert positions == random_positions(len(run.splits.test.x), 40, seed=SMALL.seed).tolist()
    places = [positions.index(position) for position in random_positions(len(run.splits.test.x), 5, seed=SMALL.seed)]
    assert same.mean == pytest.approx(np.mean([result.by_example["log_likelihood"][place] for place in places]))
    assert "stochastic" in result.treatment
    assert stages[0][1:] == (1, 2)
    assert stages[-1][1] == stages[-1][2]
    assert all(0 < row.acceptance <= 1 and 1 <= row.effective_chains <= 2 for row in (annealed, below, above))
    assert (whole.acceptance, whole.effective_chains) == (None, None)
    assert below.samples_error is not None
    assert above.samples_error is None
    (run.path / FILE).write_text(to_json(result))
    assert read_likelihood(run.path) == result
    page = report_page(run).html
    assert "<h2>Likelihood</h2>" in page
    assert "IWAE bound, K = 60" in page
    (run.path / FILE).unlink()


@pytest.mark.slow
def test_chains_that_do_not_move_are_named(make_run, monkeypatch):
    """With steps that are far too large no move is accepted, and one chain from the prior has most of the weight."""
    steps = StepSizes(np.array([0.0, 1.0]), np.array([100.0, 100.0]))
    monkeypatch.setattr("aejax.experiment.likelihood.tuned_step_sizes", lambda *given, **knobs: steps)
    settings = SMALL._replace(samples=30, chains=8, distributions=3, simulated_examples=0)
    result = evaluate_likelihood(open_run(make_run(BINARY)), settings)
    assert result.rows[-1].acceptance < 0.01
    [note] = [note for note in result.notes if "of the moves are accepted" in note]
    assert note.startswith("AIS from the prior, T = 3: below 20 % of the moves are accepted for 5 of 5 examples")


def test_chains_with_few_effective_ones_are_named():
    enough = Annealed(np.zeros(2), np.zeros(2), np.array([2.5, 16.0]), np.full(2, np.nan))
    assert chain_notes("AIS", enough, chains=16) == []
    few = enough._replace(effective_chains=np.array([1.5, 16.0]))
    [note] = chain_notes("AIS", few, chains=16)
    assert note.startswith("AIS: for 1 of 2 examples one of 16 chains has most of the weight (below 2")
    alone = enough._replace(effective_chains=np.ones(2))
    assert chain_notes("AIS", alone, chains=1) == chain_notes("AIS", alone, chains=2) == []


@pytest.mark.slow
def test_a_weight_of_zero_is_stored_as_no_number(make_initial_run, monkeypatch):
    """Its logarithm makes the ELBO -∞, and leaves the other bounds finite."""
    call = likelihood.importance_sampled_log_likelihood

    def with_zero_weight(*given, **knobs):
        sampled = call(*given, **knobs)
        return sampled._replace(elbo=sampled.elbo - np.array([np.inf, 0, 0]), elbo_error=np.full(3, np.nan))

    monkeypatch.setattr("aejax.experiment.likelihood.importance_sampled_log_likelihood", with_zero_weight)
    run = open_run(make_initial_run(BINARY))
    result = evaluate_likelihood(run, Settings(samples=4, examples=3, distributions=0))
    elbo, *others = result.rows
    assert (elbo.mean, elbo.bits_per_dimension, shown_mean(elbo)) == (None, None, "not finite")
    assert all(np.isfinite(row.mean) for row in others)
    text = to_json(result)
    assert "Infinity" not in text
    assert "NaN" not in text
    (run.path / FILE).write_text(text)
    assert read_likelihood(run.path) == result
    assert "not finite" in likelihood_section(run)[0].content
    (run.path / FILE).unlink()


def test_a_file_of_version_1_is_upgraded(tmp_path):
    row = {"name": "ELBO", "examples": 3, "mean": -1.5, "samples_error": 0.1, "examples_error": None}
    content = {
        **{"version": 1, "likelihood": "bernoulli", "treatment": "binarized", "is_likelihood": True, "samples": 2},
        **{"effective_samples": 1.5, "untrusted": 0, "notes": [], "gaps": {}, "by_example": {}, "settings": {}},
        "rows": [{**row, "bits_per_dimension": None}],
    }
    (tmp_path / FILE).write_text(json.dumps(content))
    [read] = read_likelihood(tmp_path).rows
    assert (read.name, read.mean, read.acceptance, read.effective_chains) == ("ELBO", -1.5, None, None)


@pytest.mark.slow
def test_the_bound_is_that_of_training(make_run):
    """The evidence lower bound is the mean over the same test examples that the run's record holds."""
    run = open_run(make_run(BINARY))
    records = [json.loads(line) for line in (run.path / "metrics.jsonl").read_text().splitlines()]
    result = evaluate_likelihood(run, Settings(samples=200, distributions=0))
    assert len(result.rows) == 3
    assert result.rows[0].mean == pytest.approx(records[-1]["test/elbo"], abs=1.5)
    assert result.rows[0].examples == 359


@pytest.mark.slow
def test_examples_of_ordered_data_are_of_all_classes(make_initial_run, monkeypatch):
    """Those of importance sampling, of annealing and of its pilot, and those whose conditions are used again."""
    run = open_run(make_initial_run(BINARY))
    order = np.argsort(run.splits.test.labels, kind="stable")
    splits = run.splits._replace(test=take(run.splits.test, order))
    run = run._replace(load_splits=lambda: splits)
    used, patched = {}, "aejax.experiment.likelihood"

    def keep(name, place, call):
        def kept(*given, **knobs):
            used.setdefault(name, np.asarray(as_batch(given[place]).x))
            return call(*given, **knobs)

        monkeypatch.setattr(f"{patched}.{name}", kept)

    keep("importance_sampled_log_likelihood", 3, likelihood.importance_sampled_log_likelihood)
    keep("annealed_log_likelihood", 3, likelihood.annealed_log_likelihood)
    keep("tuned_step_sizes", 3, likelihood.tuned_step_sizes)
    keep("simulated_examples", 3, likelihood.simulated_examples)
    result = evaluate_likelihood(run, SMALL._replace(annealed_examples=30, simulated_examples=50))
    labels = {x.tobytes(): label for x, label in zip(run.splits.test.x, run.splits.test.labels, strict=True)}
    assert {name: len(x) for name, x in used.items()} == {
        "importance_sampled_log_likelihood": 40,
        "annealed_log_likelihood": 30,
        "tuned_step_sizes": 32,
        "simulated_examples": 50,
    }
    for name, x in used.items():
        assert len({labels[one.tobytes()] for one in x}) > 7, name
    assert [row.examples for row in result.rows] == [40, 40, 40, 30, 30, 50, 50]


@pytest.mark.slow
def test_gray_values_have_no_bits_and_say_so(make_initial_run):
    run = open_run(make_initial_run(replace(BINARY, data=Data())))
    result = evaluate_likelihood(run, Settings(samples=2, examples=3, distributions=0))
    assert not result.is_likelihood
    assert all(row.bits_per_dimension is None for row in result.rows)
    assert "these are no log-likelihoods" in result.notes[0]
    assert "too few for a Pareto shape" in result.notes[-1]


@pytest.mark.slow
def test_dequantized_densities_have_bits(make_initial_run):
    data = Data(dequantize="uniform", levels=17)
    model = replace(BINARY.model, likelihood="gaussian", likelihood_variance=0.1)
    run = open_run(make_initial_run(replace(BINARY, data=data, model=model)))
    result = evaluate_likelihood(run, Settings(samples=2, examples=3, distributions=0))
    for row in result.rows:
        assert row.bits_per_dimension == pytest.approx(-row.mean / 64 / np.log(2) + np.log2(17))


@pytest.mark.slow
def test_refuses_runs_without_a_likelihood_and_a_variance_of_zero(make_initial_run):
    plain = replace(BINARY, model=Model(family="undercomplete", hidden=(), code_size=2))
    with pytest.raises(UserError, match="likelihood expects a variational run, with a likelihood, but this run is und"):
        evaluate_likelihood(open_run(make_initial_run(plain)))
    model = replace(BINARY.model, likelihood="gaussian_with_predicted_variance")
    run = open_run(make_initial_run(replace(BINARY, data=Data(), model=model)))
    biases = jax.tree.map(lambda leaf: jnp.full_like(leaf, -1e6 if leaf.ndim == 1 else 0), run.params["decoder"])
    with pytest.raises(UserError, match=r"the decoder's variance of test example 0 is 0 \(its logarithm is -4"):
        evaluate_likelihood(run._replace(params={**run.params, "decoder": biases}))


@pytest.mark.parametrize("name", ["samples", "examples", "chains", "annealed_examples"])
def test_refuses_numbers_below_one(name):
    with pytest.raises(UserError, match=f"{name}: must be at least 1, got 0"):
        evaluate_likelihood(None, Settings(**{name: 0}))


def test_a_damaged_file_is_named(tmp_path):
    assert read_likelihood(tmp_path) is None
    for text in ("[]", '{"version": 3}', '{"version": 1, "rows": 3}', '{"version": 2}', '{"rows": []}'):
        (tmp_path / FILE).write_text(text)
        with pytest.raises(UserError, match=FILE):
            read_likelihood(tmp_path)
