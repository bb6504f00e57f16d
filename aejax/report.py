"""A page of HTML that needs nothing beside itself: no server, no network, no script."""

import base64
import dataclasses
import html
import io
import shlex
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from matplotlib.figure import Figure

from aejax.configuration import Experiment, differences
from aejax.presets import DEFAULT, PRESETS

_STYLE = """
:root { color-scheme: light; --ink: #1f2430; --quiet: #667085; --line: #e4e7ec; --ours: #4c72b0; }
* { box-sizing: border-box; }
body { margin: 0; color: var(--ink); background: #fff; font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 62rem; margin: 0 auto; padding: 2rem 1.25rem 4rem; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .25rem; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 2.5rem 0 .5rem; padding-top: 1rem; border-top: 1px solid var(--line); }
p { margin: .4rem 0; max-width: 46rem; }
.quiet, figcaption { color: var(--quiet); font-size: .92rem; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: .75rem; margin: 1.25rem 0; }
.card { border: 1px solid var(--line); border-radius: .5rem; padding: .7rem .9rem; }
.card b { display: block; font-size: 1.35rem; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
.card span { color: var(--quiet); font-size: .85rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; margin: .5rem 0; }
th, td { padding: .3rem .9rem .3rem 0; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
th { font-weight: 600; color: var(--quiet); }
figure { margin: .75rem 0 1.5rem; }
img { max-width: 100%; height: auto; display: block; }
figure.wide { overflow-x: auto; }
figure.wide img { max-width: none; width: max(100%, 44rem); }
pre { background: #f5f6f8; padding: .8rem 1rem; border-radius: .5rem; white-space: pre-wrap; overflow-wrap: anywhere; }
summary { cursor: pointer; color: var(--ours); }
"""


class Card(NamedTuple):
    """A number worth a large print, what it is, and its unit."""

    value: str
    what: str


class Section(NamedTuple):
    """A heading and what stands under it, as HTML."""

    title: str
    content: str


def page(title: str, subtitle: str, cards: Iterable[Card], sections: Iterable[Section]) -> str:
    """The whole document; titles and cards are plain text.

    >>> page("a < b", "", [], [Section("one", paragraph("two"))]).count("a &lt; b")
    2
    """
    numbers = "".join(
        f'<div class="card"><b>{html.escape(card.value)}</b><span>{html.escape(card.what)}</span></div>'
        for card in cards
    )
    body = "".join(f"<section><h2>{html.escape(title)}</h2>{content}</section>" for title, content in sections)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style></head><body><main>"
        f'<h1>{html.escape(title)}</h1><p class="quiet">{html.escape(subtitle)}</p>'
        f'<div class="cards">{numbers}</div>{body}</main></body></html>\n'
    )


def paragraph(text: str) -> str:
    """A paragraph of plain text.

    >>> paragraph("p < 1")
    '<p>p &lt; 1</p>'
    """
    return f"<p>{html.escape(text)}</p>"


def code_block(text: str) -> str:
    """Text as it would be typed."""
    return f"<pre>{html.escape(text)}</pre>"


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of plain text; the first column is of names.

    >>> table(["", "test"], [["loss", "1.5"]]).count("<td>")
    2
    """
    head = "".join(f"<th>{html.escape(column)}</th>" for column in columns)
    lines = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table></div>'


def folded(summary: str, content: str) -> str:
    """Content that shows when its summary is clicked."""
    return f"<details><summary>{html.escape(summary)}</summary>{content}</details>"


def picture(figure: Figure, caption: str) -> str:
    """A figure, within the page, and what it shows."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=130)
    data = base64.b64encode(file.getvalue()).decode()
    text, (width, height) = html.escape(caption), figure.get_size_inches()
    shape = ' class="wide"' if width > 2 * height else ""  # a narrow screen scrolls it
    return (
        f'<figure{shape}><img src="data:image/png;base64,{data}" alt="{text}"><figcaption>{text}</figcaption></figure>'
    )


def training_command(experiment: Experiment) -> str:
    """What trains that experiment from the command line: every knob that has another value than in the default preset.

    >>> training_command(PRESETS[DEFAULT][1])
    'python scripts/train.py'
    """
    words = ["python", "scripts/train.py"]
    for knob, (_, value) in differences(PRESETS[DEFAULT][1], experiment).items():
        flag = knob.replace("_", "-")
        if isinstance(value, bool):
            words.append(f"--{flag}" if value else f"--no-{flag}")
        else:
            values = value if isinstance(value, tuple) else [value]
            words += [f"--{flag}", *map(str, values)]
    return shlex.join(words)


def configuration_table(experiment: Experiment) -> str:
    """Every knob and its value, group by group."""
    rows = [
        [f"{group}.{knob}", _shown(value)]
        for group, knobs in dataclasses.asdict(experiment).items()
        for knob, value in knobs.items()
    ]
    return table(["knob", "value"], rows)


def _shown(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, tuple | list) else str(value)
