"""Builds self-contained HTML pages, without server, network or scripts."""

import base64
import dataclasses
import io
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from aejax.autoencoders import Part, Term, loss_terms
from aejax.autoencoders.record import AFTER_ALL_STEPS
from aejax.evaluation import measure_of
from aejax.experiment.configuration import Experiment
from aejax.host.escaping import as_html

_NARROW = "max-width: 48rem"  # a phone held upright
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
th:first-child, td:first-child { text-align: left; white-space: normal; overflow-wrap: anywhere; }
th { font-weight: 600; color: var(--quiet); }
figure { margin: .75rem 0 1.5rem; }
img { max-width: 100%; height: auto; display: block; }
figure.wide { overflow-x: auto; }
figure.wide img { max-width: none; width: max(100%, 44rem); }
pre { background: #f5f6f8; padding: .8rem 1rem; border-radius: .5rem; white-space: pre-wrap; overflow-wrap: anywhere; }
summary { cursor: pointer; color: var(--ours); }
"""
# on a narrow screen a name is to the left of its value, or above its values if there are several
_STYLE += f"""@media ({_NARROW}) {{
table, thead, tbody {{ display: block; }}
tr {{ display: flex; flex-wrap: wrap; gap: 0 .75rem; padding: .3rem 0; border-bottom: 1px solid var(--line); }}
th, td {{ flex: 1 1 0; padding: 0; border: 0; white-space: normal; overflow-wrap: anywhere; }}
th:last-child:nth-child(2), td:last-child:nth-child(2) {{ flex: 0 1 auto; max-width: 60%; }}
th:first-child:nth-last-child(n + 3), td:first-child:nth-last-child(n + 3) {{ flex-basis: 100%; }}
}}
"""


class Card(NamedTuple):
    """A number in large print, and its description with the unit."""

    value: str
    what: str


class Section(NamedTuple):
    """A heading, and its content as HTML."""

    title: str
    content: str


def page(title: str, subtitle: str, cards: Iterable[Card], sections: Iterable[Section]) -> str:
    """Returns the whole HTML document; titles and cards are plain text.

    >>> page("a < b", "", [], [Section("one", paragraph("two"))]).count("a &lt; b")
    2
    """
    numbers = "".join(
        f'<div class="card"><b>{as_html(card.value)}</b><span>{as_html(card.what)}</span></div>' for card in cards
    )
    body = "".join(f"<section><h2>{as_html(title)}</h2>{content}</section>" for title, content in sections)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{as_html(title)}</title><style>{_STYLE}</style></head><body><main>"
        f'<h1>{as_html(title)}</h1><p class="quiet">{as_html(subtitle)}</p>'
        f'<div class="cards">{numbers}</div>{body}</main></body></html>\n'
    )


def paragraph(text: str) -> str:
    """Returns a paragraph of plain text as HTML.

    >>> paragraph("p < 1")
    '<p>p &lt; 1</p>'
    """
    return f"<p>{as_html(text)}</p>"


def code_block(text: str) -> str:
    """Returns plain text in a fixed-width font as HTML."""
    return f"<pre>{as_html(text)}</pre>"


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Returns a table of plain text as HTML; the first column holds names.

    >>> table(["", "test"], [["loss", "1.5"]]).count("<td>")
    2
    """
    head = "".join(f"<th>{as_html(column)}</th>" for column in columns)
    lines = "".join("<tr>" + "".join(f"<td>{as_html(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table></div>'


def folded(summary: str, content: str) -> str:
    """Returns HTML content that is shown when its summary is clicked."""
    return f"<details><summary>{as_html(summary)}</summary>{content}</details>"


def figure_html(figure: Figure, caption: str, *, narrow: Figure | None = None) -> str:
    """Returns a figure with its caption as HTML; the image is embedded in the page.

    Args:
      figure: the figure.
      caption: the text below it.
      narrow: another version of the figure for narrow screens; None lets a narrow screen scroll a wide figure.
    """
    text, (width, height) = as_html(caption), figure.get_size_inches()
    shape = ' class="wide"' if narrow is None and width > 2 * height else ""
    image = f'<img src="{_as_address(figure)}" alt="{text}">'
    if narrow is not None:
        image = f'<picture><source media="({_NARROW})" srcset="{_as_address(narrow)}">{image}</picture>'
    return f"<figure{shape}>{image}<figcaption>{text}</figcaption></figure>"


def _as_address(figure: Figure) -> str:
    """Returns a data URL of the figure as PNG."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=130)
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def term_of(name: str, parts: Iterable[Part]) -> Term:
    """Returns the title and the unit of a term among an autoencoder's metrics or its code's statistics.

    Args:
      name: the term's name in records, without the split; statistics of the code begin with code/.
      parts: the autoencoder's parts. A term that none of them describes, as in the user's own autoencoder, has its name
        as title.

    >>> from aejax.autoencoders import undercomplete
    >>> from aejax.networks import MLP
    >>> plain = undercomplete(MLP((2,)), MLP((5,)))
    >>> [term_of(name, plain.parts).title for name in ("loss", "code/active_units")]
    ['loss', 'active units']
    """
    if (measure := measure_of(name)) is not None:
        return Term(name, measure.title, measure.unit)
    unit = "unit of its loss" if name in ("loss", "reconstruction") else "no unit"
    return loss_terms(parts).get(name, Term(name, name.replace("_", " "), unit))


def loss_sum(parts: Iterable[Part]) -> str:
    """Returns the formula of an autoencoder's loss in words, with the weights at the end of their schedules.

    >>> from aejax.autoencoders import total_correlation_penalized, variational
    >>> from aejax.networks import MLP
    >>> vae = variational(MLP((4,)), MLP((5,)), beta=4.0, free_bits=0.25)
    >>> loss_sum(total_correlation_penalized(vae, weight=2.0, examples=100).parts)
    'loss = reconstruction + 4 × kl (at least 0.25 nats per unit) + 2 × total correlation (estimated from batches, ...)'
    """
    summands = []
    for term in loss_terms(parts).values():
        if term.weight is None:
            continue
        weight = np.asarray(term.weight(AFTER_ALL_STEPS) if callable(term.weight) else term.weight).item()
        factor = {1.0: "", -1.0: "-"}.get(weight, f"{weight:g} × ")
        note = f" ({term.note})" if term.note else ""
        if weight:
            summands.append(f"{factor}{term.title}{note}")
    return f"loss = {' + '.join(summands) or 'the loss of the autoencoder'}"


def loss_note(parts: Iterable[Part]) -> str:
    """Returns the note below a table of an autoencoder's terms: the formula of the loss, and that weights are left out.

    >>> from aejax.autoencoders import variational
    >>> from aejax.networks import MLP
    >>> loss_note(variational(MLP((4,)), MLP((5,))).parts)
    'loss = reconstruction + kl; terms are shown without their weights'
    """
    return f"{loss_sum(parts)}; terms are shown without their weights"


def configuration_table(experiment: Experiment) -> str:
    """Returns a table of every knob and its value as HTML."""
    rows = [
        [f"{group}.{knob}", _shown(value)]
        for group, knobs in dataclasses.asdict(experiment).items()
        for knob, value in knobs.items()
    ]
    return table(["knob", "value"], rows)


def _shown(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, tuple | list) else str(value)
