"""Pages of HTML: nothing from outside, nothing unescaped; the command that trains the same."""

import html.parser
import importlib.util
import shlex
import sys
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from aejax.presets import PRESETS, training_command
from aejax.report import Card, Section, code_block, folded, page, paragraph, picture, table
from aejax.run_folder import read_records

NASTY = '<script>alert("&")</script>'


class Reader(html.parser.HTMLParser):
    """Collects tags, their addresses and the text."""

    def __init__(self):
        super().__init__()
        self.tags, self.addresses, self.text = [], [], ""

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.addresses += [value for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data):
        self.text += data


def test_text_is_escaped_and_everything_is_within_the_page():
    content = paragraph(NASTY) + code_block(NASTY) + table([NASTY], [[NASTY]]) + folded(NASTY, paragraph(NASTY))
    content += picture(Figure(figsize=(1, 1)), NASTY)
    reader = Reader()
    reader.feed(page(NASTY, NASTY, [Card(NASTY, NASTY)], [Section(NASTY, content)]))
    assert "script" not in reader.tags
    assert reader.text.count(NASTY) == 13
    assert [address[:22] for address in reader.addresses] == ["data:image/png;base64,"]


@pytest.mark.parametrize("name", PRESETS)
def test_the_command_trains_the_same(name, monkeypatch):
    path = Path(__file__).parents[1] / "scripts" / "train.py"
    specification = importlib.util.spec_from_file_location("train", path)
    script = importlib.util.module_from_spec(specification)
    monkeypatch.setitem(sys.modules, "train", script)
    specification.loader.exec_module(script)
    experiment = PRESETS[name][1]
    python, _, *arguments = shlex.split(training_command(experiment))
    assert python == sys.executable
    assert script._parse(arguments)[0].experiment == experiment


def test_records_are_read_without_opening_the_run(tmp_path):
    assert read_records(tmp_path) == []
    (tmp_path / "metrics.jsonl").write_text('{"step": 1, "epoch": 1.0}\n{"step": 2, "ep')
    assert [record["step"] for record in read_records(tmp_path)] == [1]


def test_a_narrow_screen_gets_its_own_figure():
    figure, narrow = Figure(figsize=(3, 1)), Figure(figsize=(1, 3))
    for content, tags in ((picture(figure, ""), []), (picture(figure, "", narrow=narrow), ["picture", "source"])):
        reader = Reader()
        reader.feed(content)
        assert reader.tags == ["figure", *tags, "img", "figcaption"]
        assert ("wide" in content) == (not tags)  # which would be scrolled
    assert picture(narrow, "").split('"')[1] in picture(figure, "", narrow=narrow)
