"""The benchmark of dictionaries as a user runs it: its table, its file, its refusals."""

import json

import pytest


@pytest.mark.slow
def test_every_program_is_timed(run_script, tmp_path):
    path = tmp_path / "figures.json"
    programs = ("products", "top_k", "batch_top_k", "generation")
    few = ("--shapes", "8x64x4", "--programs", *programs, "--rounds", "1", "--steps", "3")
    result = run_script("benchmark_dictionaries", *few, "--json", path)
    assert result.code == 0, result.errors
    rows = json.loads(path.read_text())["rows"]
    assert [row["program"] for row in rows] == list(programs)
    assert all(row["seconds"] > 0 and row["peak_bytes"] > 0 for row in rows)
    assert "8x64x4" in result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--rounds", "0"), "--rounds must be at least 1, got 0"),
        (("--steps", "2"), "--steps must be at least 3, got 2"),
        (("--shapes", "8x64"), "--shapes must be features, units and examples, such as 576x4608x1024, got 8x64"),
        (("--shapes", "8x8x8"), "--shapes must have at least 32 units, got 8x8x8"),
        (
            ("--programs", "mine"),
            "--programs must be one or more of products, top_k, batch_top_k, generation, torch, torch.compile",
        ),
    ],
)
def test_mistakes_are_one_line(complaint_of, arguments, message):
    complaint = complaint_of("benchmark_dictionaries", *arguments)
    assert complaint.startswith(f"benchmark_dictionaries.py: error: {message}")
