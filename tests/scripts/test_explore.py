"""scripts/explore.py: the page and its place."""

import re
import signal
import subprocess
import sys
import urllib.request

import pytest

from aejax.experiment.configuration import Experiment, Model

SMALL = Experiment(model=Model(hidden=(8,), code_size=2))


@pytest.mark.slow
@pytest.mark.parametrize("place", [None, "new/page.html"])
def test_the_page_is_written(place, tmp_path, run_script, make_initial_run):
    run = make_initial_run(SMALL)
    target = run / "explorer.html" if place is None else tmp_path / place
    result = run_script("explore", run, *([] if place is None else ["--output", target]))
    assert (result.code, result.errors) == (0, "")
    assert result.output.splitlines()[-1] == f"{target}: {target.stat().st_size / 1e6:.1f} MB"  # below progress
    assert target.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_a_folder_is_no_page(tmp_path, run_script, make_initial_run):
    result = run_script("explore", make_initial_run(SMALL), "--output", tmp_path)
    assert (result.code, result.errors.strip().splitlines()[-1]) == (
        2,
        f"explore.py: error: {tmp_path}: is a folder; expected a file",
    )


@pytest.mark.slow
def test_the_page_is_served_until_ctrl_c(make_initial_run):
    run = make_initial_run(SMALL)
    before = {path: path.stat().st_mtime_ns for path in run.iterdir()}
    command = [sys.executable, "-m", "aejax", "explore", str(run), "--serve"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        line = next(line for line in process.stdout if not line.endswith(" ...\n"))  # below progress
        (address,) = re.fullmatch(r"(http://127\.0\.0\.1:\d+/\?token=[\w-]+) \(until Ctrl-C\)\n", line).groups()
        try:
            with urllib.request.urlopen(address, timeout=60) as page:
                assert page.read().startswith(b"<!doctype html>")
            process.send_signal(signal.SIGINT)
            output, errors = process.communicate(timeout=60)
        finally:
            process.kill()
    assert (process.returncode, output, errors) == (130, "", "interrupted\n")
    assert {path: path.stat().st_mtime_ns for path in run.iterdir()} == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--port", "8000"], "--port: expected only with --serve"),
        (["--serve", "--port", "70000"], "--port: must be between 0 and 65,535, got 70,000"),
        (["--serve", "--output", "page.html"], "--output: no file is written with --serve"),
    ],
)
def test_options_of_the_server(options, message, run_script):
    result = run_script("explore", "runs/none", *options)
    assert (result.code, result.errors.strip().splitlines()[-1]) == (2, f"explore.py: error: {message}")
