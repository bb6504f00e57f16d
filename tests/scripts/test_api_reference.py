"""scripts/api_reference.py: what a module imports when it is first used is in the reference too."""

import sys

import pytest

import aejax.experiment

pdoc = pytest.importorskip("pdoc", reason="needs pdoc, which only the API reference uses")


def test_names_that_are_imported_when_first_used_are_members(load_script, monkeypatch, tmp_path, capsys):
    rendered = []
    monkeypatch.setattr(pdoc, "pdoc", lambda *modules, output_directory: rendered.append((modules, output_directory)))
    monkeypatch.setattr(sys, "argv", ["api_reference.py", str(tmp_path)])
    load_script("api_reference").main()
    assert rendered == [(("aejax",), tmp_path)]
    assert capsys.readouterr().out == f"{tmp_path / 'index.html'}\n"
    members = pdoc.doc.Module(aejax.experiment).members
    assert {name: bool(members[name].docstring) for name in aejax.experiment.__all__} == dict.fromkeys(
        aejax.experiment.__all__, True
    )
