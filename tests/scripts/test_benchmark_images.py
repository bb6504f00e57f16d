"""The benchmark of image folders as a user runs it: its table, its file, its refusals."""

import json

import pytest


@pytest.mark.slow
def test_every_reader_is_timed(run_script, tmp_path):
    path = tmp_path / "figures.json"
    result = run_script("benchmark_images", "--images", "20", "--size", "8", "--epochs", "1", "--json", path)
    assert result.code == 0, result.errors
    for of_folder in json.loads(path.read_text()).values():
        assert {"aejax, in threads", "Pillow alone, one thread"} <= of_folder.keys()
        assert all(rate > 0 and name in result.output for name, rate in of_folder.items())


def test_mistakes_are_one_line(complaint_of):
    complaint = complaint_of("benchmark_images", "--workers", "0")
    assert complaint == "benchmark_images.py: error: --workers must be at least 1, got 0\n"
