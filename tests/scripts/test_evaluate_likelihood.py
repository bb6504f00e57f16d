"""The log-likelihood of a run as a user computes it."""

import json

import pytest

from aejax.experiment.configuration import Data, Experiment, Model, Training

BINARY = Experiment(
    data=Data(binarize="fixed"), model=Model(hidden=(), code_size=2), training=Training(epochs=1, patience=None)
)


@pytest.mark.slow
def test_table_and_file(make_run, run_script):
    folder = make_run(BINARY)
    small = ["--samples", "30", "--examples", "20", "--distributions", "3", "--chains", "2"]
    result = run_script("evaluate_likelihood", folder, *small, "--annealed-examples", "3", "--simulated-examples", "3")
    assert (result.code, result.errors) == (0, "")
    content = json.loads((folder / "likelihood.json").read_text())
    assert [row["name"] for row in content["rows"]] == [
        "ELBO",
        "IWAE bound, K = 15",
        "IWAE bound, K = 30",
        "IWAE bound, K = 30",
        "AIS from the encoder, T = 3",
        "the model's examples, lower bound, encoder",
        "the model's examples, upper bound, encoder",
    ]
    for row in content["rows"]:
        assert f"{row['mean']:.3f}" in result.output
    assert "likelihood bernoulli; data binarized: 1 from 1/2 on (fixed)" in result.output
    (folder / "likelihood.json").unlink()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--samples", "0"], "--samples: must be at least 1, got 0"),
        (["--distributions", "-1"], "--distributions: must be at least 0, got -1"),
        (["--start"], "--start: expected prior, encoder or both"),
        (["--seed", "-1"], "--seed: must be between 0 and 4294967295, got -1"),
        ([], "is no run folder"),
    ],
)
def test_mistakes(complaint_of, tmp_path, arguments, complaint):
    assert complaint in complaint_of("evaluate_likelihood", tmp_path, *arguments)
