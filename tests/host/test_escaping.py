"""Names with markup, mathematics, HTML elements or terminal escapes are shown literally everywhere."""

import io
import os
import subprocess
import sys
import unicodedata
import warnings
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from rich.table import Table

from aejax import plots
from aejax.autoencoders import Term
from aejax.experiment import report
from aejax.experiment.progress import WorkProgress, summary_table
from aejax.host.escaping import MAX_LABEL, as_html, as_label, as_name, printable
from aejax.host.exits import print_error
from aejax.host.streams import PipeSafeStream
from aejax.host.terminal import PlainConsole

NAMES = [
    "[/b]",
    "[bold red]x[/]",
    "[link=https://example.org]x[/link]",
    ":smile:",
    "$x^$",
    "$\\frac{1}$ and $",
    "\\$5$",
    "\x1b[2J\x1b]0;title\x07",
    "a\nb\r\tc",
    "\x9b31m",
    "abc\u202egpj.exe",
    "\u2028line\u2029",
    "\udcff\udc80",
    "\x00",
    "<script>alert(1)</script>",
    "\" onload='x'",
    "\U0001f600 和 é",
    "%s{}{0}%(x)d",
    "x" * 20_000,
    "",
    " ",
]


def is_harmless(text: str) -> bool:
    return not any(unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") for c in text)


@pytest.mark.parametrize("name", NAMES)
def test_the_terminal_shows_names_literally(name: str) -> None:
    out = io.StringIO()
    console = PlainConsole(file=out, force_terminal=True, color_system="truecolor", width=100_000)
    console.print(f"{name}: read")
    table = Table(title=name)
    table.add_column(name)
    table.add_row(name)
    console.print(table)
    console.print(summary_table(name, {name: {"loss": 1.0, name: 2.0}}, term_of=lambda term: Term(term, term, term)))
    for line in out.getvalue().split("\n"):
        plain = line.replace("\x1b[1m", "").replace("\x1b[3m", "").replace("\x1b[0m", "")  # rich's own heads of tables
        assert is_harmless(plain), repr(plain[:100])
    assert out.getvalue().startswith(f"{printable(name)}: read\n")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("terminal", [True, False])
def test_progress_shows_names_literally(name: str, terminal: bool) -> None:
    out = io.StringIO()
    console = PlainConsole(file=out, force_terminal=terminal, width=100_000)
    with WorkProgress(console, 2, name) as progress:
        progress.advance_to(2, name, (name,), line=name, finished=True)
    assert "[2J" not in out.getvalue().replace("\\x1b[2J", "").replace("\x1b[2K", "")
    assert "\u202e" not in out.getvalue()


@pytest.mark.parametrize("name", NAMES)
def test_an_error_is_one_line_that_can_be_printed(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    print_error(f"{name}: is wrong")
    printed = capsys.readouterr().err
    assert printed.endswith(": is wrong\n")
    assert is_harmless(printed[:-1])


@pytest.mark.parametrize("name", NAMES)
def test_a_page_holds_names_as_text(name: str) -> None:
    text = report.page(name, name, [report.Card(name, name)], [report.Section(name, report.paragraph(name))])
    text += report.table([name], [[name]]) + report.folded(name, report.code_block(name))
    text += report.figure_html(Figure(), name)
    text.encode()
    assert "<script>" not in text
    assert " onload='" not in text
    assert is_harmless(text.replace("\n", ""))
    assert as_html(name) in text


def figures_of(name: str) -> dict[str, Figure]:
    rng = np.random.default_rng(0)
    images, curves = rng.uniform(size=(2, 3, 8, 8)), rng.uniform(size=(2, 3, 9))
    records = [
        {"epoch": epoch, "validation/loss": 1.0 / epoch, f"validation/{name}": epoch, f"train/{name}": 1.0}
        for epoch in (1, 2, 3)
    ]
    text = {"title": name, "rows": (name, name), "columns": (name,) * 3}
    labels = np.array([name, "b", "c"] * 4)
    return {
        "training_curves": plots.training_curves(records, best_epoch=2, term_of=lambda term: Term(term, term, term)),
        "reconstructions": plots.reconstructions({name: images[0], f"{name} ": images[1]}),
        "gallery of images": plots.gallery(images, limits=(0, 1), **text),
        "gallery of curves": plots.gallery(curves, limits=(0, 1), **text),
        "latent_space": plots.latent_space(rng.normal(size=(12, 2)), labels),
        "embeddings": plots.embeddings({name: rng.normal(size=(12, 2))}, labels, title=name),
        "anomaly_scores": plots.anomaly_scores(
            rng.uniform(size=9), rng.uniform(size=9), np.arange(9) > 6, threshold=0.9, unit=name
        ),
        "kl_per_unit": plots.kl_per_unit(np.arange(3.0), title=name),
        "piano_rolls": plots.piano_rolls({name: rng.uniform(size=(2, 4, 88)) > 0.9}, lowest_note=21),
        "rate_distortion": plots.rate_distortion({name: ([1.0, 2.0], [3.0, 4.0])}, title=name),
    }


HARD = ["$x^$", "\x1b[2J\x1b]0;title\x07", "\udcff\U0001f600 \u548c", "x" * 20_000, "", "_private", "a" * 40 + "\n$$$"]


@pytest.mark.slow
@pytest.mark.parametrize("name", HARD)
def test_figures_show_names_as_text(name: str) -> None:
    for kind, figure in figures_of(name).items():
        with warnings.catch_warnings(action="error"):
            figure.savefig(io.BytesIO(), format="png", dpi=60)
        assert max(figure.get_size_inches()) < 60, kind


@pytest.mark.parametrize("name", NAMES)
def test_labels_are_harmless(name: str) -> None:
    assert is_harmless(as_label(name).replace("\n", ""))
    assert is_harmless(as_name(name))
    assert not as_name(name).startswith("_")
    assert as_label(name).count("$") == as_label(name).count("\\$")


def test_labels() -> None:
    assert as_label("$a$") == r"\$a\$"
    assert len(as_label("x" * 10_000)) == MAX_LABEL
    assert as_label("one\ntwo") == "one\ntwo"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_characters_that_an_encoding_lacks_are_shown_as_escapes(encoding: str) -> None:
    content = io.BytesIO()
    stream = PipeSafeStream(io.TextIOWrapper(content, encoding=encoding))
    console = PlainConsole(file=stream, width=80)
    table = Table(title="‖J‖²")
    table.add_row("²")
    console.print("5 nats², \udcff")
    console.print(table)
    stream.write("²\udcff\n")
    stream.flush()
    first = content.getvalue().decode(encoding).splitlines()[0]
    assert first == {"ascii": "5 nats\\xb2, \\udcff"}.get(encoding, "5 nats², \\udcff")


def test_an_ascii_terminal_and_locale(tmp_path: Path) -> None:
    """The boxes of tables and the signs of mathematics, where only ASCII can be printed."""
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii"}
    program = (
        "from aejax.cli import command_line\nfrom aejax.host.terminal import PlainConsole\n"
        "from rich.table import Table\n"
        "def main():\n    table = Table(title='‖J‖²')\n    table.add_row('ü')\n    PlainConsole().print(table)\n"
        "    raise command_line.UserError('no ²')\ncommand_line.run(main)\n"
    )
    (tmp_path / "script.py").write_text(program, encoding="utf-8")
    result = subprocess.run(
        [sys.executable, tmp_path / "script.py"],
        env=os.environ | plain | {"PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        encoding="ascii",
        check=False,
    )
    assert result.returncode == 2, result.stderr
    assert "Traceback" not in result.stderr
    assert "error: no \\xb2" in result.stderr
