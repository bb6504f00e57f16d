"""The benchmark as a user runs it: its table, its file, its refusals."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "benchmark_jacobian.py"
ENVIRONMENT = os.environ | {"XLA_FLAGS": ""}


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), *arguments]
    return subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_rows_of_one_encoder_are_exact_and_saved(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    small = ("--encoders", "sigmoid", "--methods", "auto", "jacrev", "--batch-size", "2", "--repeats", "1")
    result = run(*small, "--json", str(path))
    assert result.returncode == 0, result.stderr
    rows = {row["method"]: row for row in json.loads(path.read_text())}
    assert set(rows) == {"auto", "jacrev", "closed form", "reconstruction", "reconstruction, closed form"}
    for name in ("auto", "jacrev", "closed form"):
        assert 0 <= rows[name]["error"] < 1e-5
        assert name in result.stdout
    for row in rows.values():
        assert row["value"] > 0
        assert row["gradient"] > 0
        assert row["flops"] > 0
    assert rows["auto"]["peak"] < rows["jacrev"]["peak"]


@pytest.mark.slow_after_first
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--encoders", "mlpp"), "--encoders must be one or more of mlp, sigmoid, large, conv, wide, got mlpp"),
        (
            ("--methods", "jacsym"),
            "--methods must be one or more of auto, structured, jacrev, jacfwd, torch.jacrev, torch.jacfwd, "
            "torch.autograd, got jacsym",
        ),
        (("--chunk-size", "0"), "--chunk-size must be at least 1, got 0"),
    ],
)
def test_mistakes_are_one_line_and_exit_code_2(arguments: tuple[str, ...], message: str) -> None:
    result = run(*arguments)
    assert result.returncode == 2
    assert result.stderr == f"benchmark_jacobian.py: error: {message}\n"
    assert not result.stdout
