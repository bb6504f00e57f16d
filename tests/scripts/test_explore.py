"""scripts/explore.py: the page and its place."""

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
    assert result.output == f"{target}: {target.stat().st_size / 1e6:.1f} MB\n"
    assert target.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_a_folder_is_no_page(tmp_path, run_script, make_initial_run):
    result = run_script("explore", make_initial_run(SMALL), "--output", tmp_path)
    assert (result.code, result.errors.strip().splitlines()[-1]) == (
        2,
        f"explore.py: error: {tmp_path}: is a folder; expected a file",
    )
