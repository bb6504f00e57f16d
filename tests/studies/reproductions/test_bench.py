"""The bench of reproductions: nothing is trained or measured twice; the verb continues, and refuses other folders."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from aejax.cli.reproduce import main
from aejax.errors import UserError
from aejax.experiment.configuration import Experiment, Model, Training
from aejax.studies.claims import Claim
from aejax.studies.reproductions import BUDGETS, TABLES, table_of
from aejax.studies.reproductions.bench import Bench
from aejax.studies.reproductions.record import Result, Row
from aejax.studies.reproductions.table import as_json, markdown_table

SMALL = Experiment(model=Model(family="undercomplete", hidden=(), code_size=2), training=Training(epochs=1))


@pytest.mark.parametrize("name", TABLES)
def test_every_table_says_what_its_budgets_mean(name):
    table = table_of(name)
    assert table.scales.keys() == BUDGETS.keys()
    assert all(scale.minutes > 0 and scale.seeds >= 1 and scale.what for scale in table.scales.values())
    assert table.source
    assert table.title


@pytest.mark.slow
def test_a_run_is_trained_once_and_reads_the_data_once(tmp_path, monkeypatch):
    bench = Bench(tmp_path, budget="smoke", seeds=1)
    first = bench.train("a", SMALL)
    written = (tmp_path / "runs" / "a" / "metrics.jsonl").stat().st_mtime_ns
    again = Bench(tmp_path, budget="smoke", seeds=1).train("a", SMALL)
    assert (tmp_path / "runs" / "a" / "metrics.jsonl").stat().st_mtime_ns == written
    np.testing.assert_array_equal(first.encode(first.splits.test), again.encode(again.splits.test))
    other = replace(SMALL, training=replace(SMALL.training, seed=1))
    with pytest.raises(UserError, match="seed"):
        bench.train("a", other)


@pytest.mark.slow
def test_a_stopped_run_is_continued_to_the_same_result(tmp_path):
    longer = replace(SMALL, training=replace(SMALL.training, epochs=3))
    whole = Bench(tmp_path / "whole", budget="smoke", seeds=1)
    stopped = Bench(tmp_path / "stopped", budget="smoke", seeds=1)
    for bench in (whole, stopped):
        bench.folder.mkdir()
        bench.train("a", longer)
    lines = (stopped.folder / "runs" / "a" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    (stopped.folder / "runs" / "a" / "metrics.jsonl").write_text("\n".join(lines[:-1]) + "\n", encoding="utf-8")
    continued = stopped.train("a", longer)
    opened = whole.train("a", longer)
    np.testing.assert_array_equal(continued.encode(continued.splits.test), opened.encode(opened.splits.test))


def test_numbers_are_measured_once(tmp_path):
    bench = Bench(tmp_path, budget="smoke", seeds=1)
    assert bench.measured("x", lambda: [1.0, 2.0]) == [1.0, 2.0]
    assert bench.measured("x", lambda: [3.0]) == [1.0, 2.0]


def test_a_table_shows_deviations_published_values_and_claims():
    rows = [Row("A", {"e": [1.0, 3.0]}, {"e": 1.5}), Row("B", {})]
    result = Result({"e": "error"}, rows, [Claim("A is small", False, "2")], dict)
    page = markdown_table(result, ["T", "After someone."])
    assert "| A | 2 ± 1.414 (1.5) |" in page
    assert "| B | - |" in page
    assert "- did not hold: A is small (2)" in page
    assert as_json(result)["rows"][0] == {"setting": "A", "measured": {"e": [1.0, 3.0]}, "published": {"e": 1.5}}


def test_another_folder_is_refused(tmp_path):
    for words in ([], ["--budget", "smoke"]):
        with pytest.raises(UserError, match="name a table: iwae, ais"):
            main(words)
    with pytest.raises(UserError, match="is no folder of a reproduction"):
        main(["pca", "--run-dir", str(tmp_path)])
    (tmp_path / "config.json").write_text(json.dumps({"table": "pca", "budget": "full", "seeds": 3}), encoding="utf-8")
    with pytest.raises(UserError, match="holds a reproduction with budget full, seeds 3"):
        main(["pca", "--run-dir", str(tmp_path)])
    with pytest.raises(UserError, match="seeds: must be at least 1"):
        main(["pca", "--seeds", "0", "--run-dir", str(tmp_path)])


@pytest.mark.slow
@pytest.mark.parametrize("name", TABLES)
def test_the_smoke_budget_of_every_table_runs_and_repeats(name, tmp_path, capsys):
    words = [name, "--budget", "smoke", "--run-dir", str(tmp_path / "out")]
    main(words)
    first = (tmp_path / "out" / "table.json").read_text(encoding="utf-8")
    content = json.loads(first)
    assert content["rows"]
    assert content["claims"]
    numbers = [value for row in content["rows"] for values in row["measured"].values() for value in values]
    assert numbers
    assert np.isfinite(numbers).all()
    assert list(Path(tmp_path / "out").glob("*.png"))
    shown = capsys.readouterr().out
    assert "about" in shown.splitlines()[1]
    main(words)  # everything is there already
    assert (tmp_path / "out" / "table.json").read_text(encoding="utf-8") == first
