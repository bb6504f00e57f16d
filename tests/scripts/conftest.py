"""Scripts run in this process, as a user runs them: what they print, how they end, what they complain about."""

import importlib.util
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import jax
import numpy as np
import pytest
from PIL import Image

from aejax.cli import command_line
from aejax.experiment import summary

SCRIPTS = Path(__file__).parents[2] / "scripts"


class Result(NamedTuple):
    """Of a script that has ended."""

    code: int
    output: str
    errors: str


@pytest.fixture(autouse=True)
def dtype_promotion() -> Iterator[None]:
    """In place of the strict one: scripts run Optax, whose own steps mix integer counts with floats."""
    with jax.numpy_dtype_promotion("standard"):
        yield


@pytest.fixture
def load_script(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    """`load_script("train")`: the module of scripts/train.py."""

    def load(name: str) -> ModuleType:
        specification = importlib.util.spec_from_file_location(name, SCRIPTS / f"{name}.py")
        assert specification is not None
        assert specification.loader is not None
        script = importlib.util.module_from_spec(specification)
        monkeypatch.setitem(sys.modules, name, script)  # where dataclasses look for it
        specification.loader.exec_module(script)
        return script

    return load


@pytest.fixture
def run_script(
    load_script: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Result]:
    """`run_script("train", argument, ...)`."""

    def run(name: str, *arguments: str | Path) -> Result:
        monkeypatch.setattr(sys, "argv", [f"{name}.py", *map(str, arguments)])
        monkeypatch.setattr(sys, "stdout", sys.stdout)  # which `command_line.run` replaces, as it adds to these flags
        monkeypatch.setenv("XLA_FLAGS", os.environ["XLA_FLAGS"])
        code = 0
        try:
            script = load_script(name)
            if hasattr(script, "main"):  # the script of a verb has run it
                command_line.run(script.main)
        except SystemExit as stop:
            code = int(stop.code or 0)
        return Result(code, *capsys.readouterr())

    return run


@pytest.fixture
def drawn_fraction() -> Callable[[Path], float]:
    """`drawn_fraction(path)`: of a figure's pixels, those that differ from the empty canvas.

    It is 0 for an empty figure and below 0.01 for one that has only a title; axes with data have more.
    """

    def measure(path: Path) -> float:
        with Image.open(path) as figure:
            assert figure.format == "PNG"
            pixels = np.asarray(figure.convert("RGB"))
        assert min(pixels.shape[:2]) > 100, f"{path.name}: {pixels.shape}"
        return float(np.any(pixels != pixels[0, 0], axis=-1).mean())

    return measure


@pytest.fixture
def complaint_of(
    run_script: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., str]:
    """`complaint_of("train", argument, ...)`: the one line of a script that ends with exit code 2, and writes nothing.

    The script runs in `tmp_path`.
    """
    monkeypatch.chdir(tmp_path)

    def call(name: str, *arguments: str | Path) -> str:
        before = sorted(tmp_path.rglob("*"))
        result = run_script(name, *arguments)
        assert result.code == 2, result.output + result.errors
        assert sorted(tmp_path.rglob("*")) == before
        assert result.errors.startswith(f"{name}.py: error: ")
        assert result.errors.count("\n") == 1
        return result.errors

    return call


@pytest.fixture
def without_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """A training ends without drawing anything: for tests that look at other files."""
    monkeypatch.setattr(summary, "draw_figures", lambda *arguments, **options: {})
