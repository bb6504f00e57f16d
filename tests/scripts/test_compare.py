"""The page that compares runs: what differs, the same examples, runs on other data, mistakes."""

import html.parser
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from aejax import plots
from aejax.cli import compare as verb
from aejax.errors import UserError
from aejax.experiment.compare import MAX_RUNS, compare_page
from aejax.experiment.configuration import Data, Experiment, Model, Regularization, Training
from aejax.experiment.reconstruction_error import squared_errors
from aejax.experiment.trained import open_run

LINEAR = Experiment(model=Model(family="undercomplete", hidden=(), code_size=4))
WIDER = replace(LINEAR, model=replace(LINEAR.model, code_size=6), training=Training(seed=1))
VARIATIONAL = Experiment(model=Model(hidden=(), code_size=3), regularization=Regularization(beta=0.5))
TERMS = {"loss": 3.0, "reconstruction": 2.5}


@pytest.fixture
def made(make_initial_run, tmp_path, monkeypatch):
    """`made("one", experiment)`: the name of a run folder in the current folder, with records of two epochs."""
    monkeypatch.chdir(tmp_path)

    def make(name, experiment, *, finished=True, **terms):
        shutil.copytree(make_initial_run(experiment), name)
        terms = TERMS | terms
        records = [
            {"step": k, "epoch": float(k)} | {f"validation/{t}": v / k for t, v in terms.items()} for k in (1, 2)
        ]
        if finished:
            code = {"test/code/units": experiment.model.code_size, "test/code/active_units": 2}
            records.append({"step": 2, "epoch": 1} | {f"test/{t}": v for t, v in terms.items()} | code)
        with open(f"{name}/metrics.jsonl", "w", encoding="utf-8") as file:
            file.writelines(json.dumps(record) + "\n" for record in records)
        return name

    return make


class Cells(html.parser.HTMLParser):
    """Collects the cells of every row, without their units."""

    def __init__(self, text):
        super().__init__()
        self.rows, self._depth, self._in_unit = [], 0, False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
            self._depth = 1
        self._in_unit = tag == "span"

    def handle_endtag(self, tag):
        if tag in ("td", "th"):
            self._depth = 0
        self._in_unit = False

    def handle_data(self, data):
        if self._depth and not self._in_unit:
            self.rows[-1][-1] += data


@pytest.mark.slow
def test_what_differs_is_side_by_side(made, run_script, tmp_path):
    made("one", LINEAR), made("two", WIDER, loss=4.0)
    result = run_script("compare", "one", "two")
    assert (result.code, result.errors) == (0, "")
    text = (tmp_path / "comparison.html").read_text(encoding="utf-8")
    rows = Cells(text).rows
    assert ["code size", "4", "6"] in rows
    assert ["seed", "0", "1"] in rows
    assert not any(row[0] == "family" for row in rows)  # is equal
    assert ["loss", "3.000", "4.000"] in rows
    assert ["units", "4", "6"] in rows
    errors = [float(np.mean(squared_errors(open_run(name)))) for name in ("one", "two")]
    assert ["squared error per feature", *(f"{error:.4f}" for error in errors)] in rows
    best = ("one", "two")[int(np.argmin(errors))]
    assert f"{best} has the lowest mean squared error" in text
    assert "All are evaluated on the same 359 test examples of digits." in text
    assert text.count("data:image/png") == 4  # curves, also for a narrow screen, and two figures of reconstructions
    assert text.count("--code-size") == 2
    assert "http" not in text


@pytest.mark.slow
def test_a_setting_that_a_run_does_not_use_is_a_dash_and_terms_in_other_units_have_their_own_rows(made):
    runs = [open_run(made("plain", LINEAR)), open_run(made("variational", VARIATIONAL, kl=1.0))]
    text = compare_page(runs).html
    rows = Cells(text).rows
    assert ["beta", "–", "0.5"] in rows
    assert not any(row[0] == "likelihood" for row in rows)  # the only run that uses it has the default
    assert [row for row in rows if row[0] == "loss" and "3.000" in row] == [
        ["loss", "3.000", ""],
        ["loss", "", "3.000"],
    ]
    assert "variational: loss = reconstruction + 0.5 × KL divergence from the prior." in text
    assert "not comparable" in text


@pytest.mark.slow
def test_runs_on_other_data_are_shown_without_reconstructions(made):
    other = replace(LINEAR, data=Data(split_seed=5))
    page = compare_page([open_run(made("one", LINEAR)), open_run(made("other", other, finished=False))])
    assert page.missing == ()
    assert "different test examples, so no reconstructions are shown" in page.html
    assert "Not finished, and so without values: other." in page.html
    assert "has the lowest mean squared error" not in page.html
    assert page.html.count("data:image/png") == 2


@pytest.mark.slow
def test_long_or_equal_names_become_letters(made, tmp_path):
    long = made("a-run-with-a-rather-long-name", LINEAR)
    text = compare_page([open_run(long), open_run(made("b", WIDER))]).html
    assert ["", "A", "B"] in Cells(text).rows
    assert f'A<span class="unit">{long}</span>' in text


def test_mistakes(made, complaint_of, tmp_path):
    made("one", LINEAR), made("two", WIDER)
    shutil.copytree("one", "empty")
    (tmp_path / "empty" / "metrics.jsonl").unlink()
    (tmp_path / "file").touch()
    assert f"expects 2 to {MAX_RUNS} runs, got 1" in complaint_of("compare", "one")
    assert "one: is given twice" in complaint_of("compare", "one", "one")
    assert "metrics.jsonl holds no evaluation" in complaint_of("compare", "one", "empty")
    assert "is no run folder" in complaint_of("compare", "one", "nowhere")
    assert ".: is a folder; expected a file" in complaint_of("compare", "one", "two", "--output", ".")
    assert "is not a folder" in complaint_of("compare", "one", "two", "--output", "file/page.html")


def test_a_section_that_fails_is_named_and_the_others_are_written(made, monkeypatch):
    runs = [open_run(made("one", LINEAR)), open_run(made("two", WIDER))]
    monkeypatch.setattr(plots, "compared_curves", lambda *arguments, **options: 1 / 0)
    page = compare_page(runs)
    assert page.missing == ("Curves: left out, division by zero",)
    assert "<h2>Commands</h2>" in page.html


@pytest.mark.slow
def test_moved_data_are_read_at_their_new_place(made, tmp_path):
    (tmp_path / "old").mkdir()
    np.save("old/mine.npy", np.random.default_rng(0).uniform(size=(120, 4)).astype(np.float32))
    mine = Data(dataset=str(tmp_path / "old" / "mine.npy"))
    names = [made(f"run{k}", Experiment(data=mine, model=replace(LINEAR.model, code_size=k))) for k in (2, 3)]
    (tmp_path / "old").rename(tmp_path / "new")
    with pytest.raises(UserError, match=r"give their new place by data"):
        verb.main(names)
    verb.main([*names, "--data", "new", "--output", "page.html"])
    assert "of mine.npy" in (tmp_path / "page.html").read_text(encoding="utf-8")
