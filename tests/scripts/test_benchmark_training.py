"""The benchmark of training: its arithmetic, its refusals, and one measured pair."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from aejax.cli import command_line

SCRIPT = Path(__file__).parents[2] / "scripts" / "benchmark_training.py"


@pytest.fixture
def script(load_script: Callable[[str], ModuleType]) -> ModuleType:
    return load_script("benchmark_training")


def test_medians_and_the_largest_memory(script) -> None:
    rounds = [script.Figures(1.0, 5.0, 10, 7.0), script.Figures(3.0, 4.0, 30, 7.0), script.Figures(2.0, 6.0, 20, 7.0)]
    assert script.median_of(rounds) == script.Figures(2.0, 5.0, 30, 7.0)


def test_the_table_relates_time_to_the_other_frameworks_and_to_the_limit(script, capsys) -> None:
    figures = {
        ("vae", "aejax"): script.Figures(0.01, 2.0, 2**30, 1e9),
        ("vae", "torch"): script.Figures(0.04, 0.0, 2**30),
        ("vae", "torch.compile"): script.Figures(0.02, 9.0, 2**30),
    }
    script.show(figures, limit=2e11)
    ours, eager, _ = (line for line in capsys.readouterr().out.splitlines() if "784-400-20" in line)
    assert [cell.strip() for cell in ours.split("│")[2:-1]] == [
        *("aejax", "12,800", "10.0", "0.25", "0.50", "50 %", "2.0", "1.00")
    ]
    assert [cell.strip() for cell in eager.split("│")[5:8]] == ["1.00", "2.00", "12 %"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--workloads", "gan"], "--workloads must be one or more of vae, denoiser, document, contractive, got gan"),
        (["--frameworks", "keras"], "--frameworks must be one or more of aejax"),
        (["--rounds", "0"], "--rounds must be at least 1, got 0"),
    ],
)
def test_mistakes(script, monkeypatch: pytest.MonkeyPatch, capsys, arguments: list[str], message: str) -> None:
    monkeypatch.setattr(sys, "argv", ["benchmark_training.py", *arguments])
    with pytest.raises(SystemExit) as stop:
        command_line.run(script.main)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.slow
def test_a_worker_times_the_loop() -> None:
    command = [sys.executable, str(SCRIPT), "--worker", "vae", "aejax"]
    figures = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert 0 < figures["seconds"] < 10
    assert figures["peak_bytes"] > 1e8
    assert figures["operations"] > 6 * 128 * (784 * 400 * 2 + 400 * 60) * 0.8  # forward and two products backward
