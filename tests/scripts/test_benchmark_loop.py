"""The benchmark of the loop as a user runs it: its table, its file, its refusals."""

import json

import pytest


@pytest.mark.slow
def test_every_kind_of_run_is_timed(run_script, tmp_path):
    path = tmp_path / "figures.json"
    few = ("--batch-size", "8", "--steps", "3", "--epochs", "2")
    result = run_script("benchmark_loop", *few, "--json", path)
    assert result.code == 0, result.errors
    seconds = json.loads(path.read_text())
    assert len(seconds) == 6
    for name, of_step in seconds.items():
        assert of_step > 0
        assert name in result.output


def test_mistakes_are_one_line(complaint_of):
    complaint = complaint_of("benchmark_loop", "--steps", "0")
    assert complaint == "benchmark_loop.py: error: --steps must be at least 1, got 0\n"
