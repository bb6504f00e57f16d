"""The log-likelihood of a run: rows in order, in nats and bits, beside how the data were treated."""

import json
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aejax.errors import UserError
from aejax.experiment.configuration import Data, Experiment, Model, Training
from aejax.experiment.evaluate import report_page
from aejax.experiment.likelihood import Settings, evaluate_likelihood
from aejax.experiment.likelihood_record import FILE, read_likelihood, to_json
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
    assert "stochastic" in result.treatment
    assert stages[0][1:] == (1, 2)
    assert stages[-1][1] == stages[-1][2]
    (run.path / FILE).write_text(to_json(result))
    assert read_likelihood(run.path) == result
    page = report_page(run).html
    assert "<h2>Likelihood</h2>" in page
    assert "IWAE bound, K = 60" in page
    (run.path / FILE).unlink()


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
    for text in ("[]", '{"version": 2}', '{"version": 1, "rows": 3}'):
        (tmp_path / FILE).write_text(text)
        with pytest.raises(UserError, match=FILE):
            read_likelihood(tmp_path)
