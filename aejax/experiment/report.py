"""Builds self-contained HTML pages, without server, network or scripts."""

import base64
import dataclasses
import io
import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from aejax.autoencoders import Part, Term, loss_terms
from aejax.autoencoders.record import AFTER_ALL_STEPS
from aejax.evaluation import measure_of
from aejax.experiment.configuration import Experiment
from aejax.experiment.report_style import NARROW, STYLE
from aejax.host.escaping import as_html
from aejax.plots.style import COLUMN, with_padding

Cell = str | tuple[str, str]  # a text, or a name and its unit
_MANY = 5  # columns that fit on a narrow screen
_SHORT = 12  # characters of a name beside its values on a narrow screen
_SMALL = 1e-3  # numbers below it need an exponent
_LARGE = 1e4  # numbers from it on need no decimals


_DOTS_PER_INCH = 260  # of a figure's pixels, two for each pixel of the page
_PIXELS_PER_INCH = 190  # of the page, for a figure as wide as a column of a paper


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
    boxes = [f'<div class="card"><b>{as_html(card.value)}</b><span>{as_html(card.what)}</span></div>' for card in cards]
    across = math.ceil(len(boxes) / math.ceil(len(boxes) / 5)) if boxes else 1  # rows of equal length, of at most 5
    numbers = f'<div class="cards" style="--across: {across}">{"".join(boxes)}</div>' if boxes else ""
    body = "".join(f"<section><h2>{as_html(title)}</h2>{content}</section>" for title, content in sections)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{as_html(title)}</title><style>{STYLE}</style></head><body><main>"
        f'<h1>{as_html(title)}</h1><p class="quiet">{as_html(subtitle)}</p>'
        f"{numbers}{body}</main></body></html>\n"
    )


def paragraph(text: str) -> str:
    """Returns a paragraph of plain text as HTML.

    >>> paragraph("p < 1")
    '<p>p &lt; 1</p>'
    """
    return f"<p>{as_html(text)}</p>"


def code_block(text: str) -> str:
    """Returns plain text in a fixed-width font as HTML; line breaks are kept."""
    lines = map(as_html, text.split("\n"))
    return f"<pre>{chr(10).join(lines)}</pre>"


def table(columns: Sequence[Cell], rows: Iterable[Sequence[Cell]], *, wraps: bool = False) -> str:
    """Returns a table of plain text as HTML; the first column holds names.

    On a narrow screen a name is above its values, unless all names are short; more than 5 columns are scrolled.

    Args:
      columns: the heads of the columns.
      rows: the cells of each row.
      wraps: whether cells hold prose, which is aligned to the left and may have several lines.

    >>> table(["", "test"], [[("loss", "nats"), "1.5"]]).count("<td>")
    2
    """
    head = "".join(f"<th>{_cell(column)}</th>" for column in columns)
    rows = list(rows)
    lines = "".join("<tr>" + "".join(f"<td>{_cell(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    is_short = len(columns) > 2 and all(isinstance(row[0], str) and len(row[0]) <= _SHORT for row in rows)
    kinds = {"prose": wraps, "many": len(columns) > _MANY, "short": is_short}
    kind = next((f' class="{name}"' for name, holds in kinds.items() if holds), "")
    return f'<div class="scroll"><table{kind}><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table></div>'


def _cell(cell: Cell) -> str:
    if isinstance(cell, str):
        return as_html(cell)
    name, unit = cell
    return f'{as_html(name)}<span class="unit">{as_html(unit)}</span>' if unit else as_html(name)


def aligned(rows: Sequence[Sequence[float | None]], *, digits: int = 4) -> list[list[str]]:
    """Returns the numbers of a table as text with the same number of decimals, and empty text for None.

    There are 3 to 6 decimals, and none if all rows have numbers above 10,000; rows below 0.001 are in scientific
    notation.

    Args:
      rows: the numbers of each row.
      digits: significant digits of the largest number in the row of smallest numbers.

    >>> aligned([[23.607, -1234.5], [0.0123456, None], [0.0, 1.25e-5]])
    [['23.60700', '-1,234.50000'], ['0.01235', ''], ['0.000e+00', '1.250e-05']]
    >>> aligned([[21149689.593, None]])
    [['21,149,690', '']]
    """
    largest = [max((abs(v) for v in row if v is not None and math.isfinite(v)), default=0.0) for row in rows]
    shown = [value for value in largest if value >= _SMALL]
    least = min(shown, default=1.0)
    decimals = 0 if least >= _LARGE else min(max(digits - 1 - math.floor(math.log10(least)), 3), 6)
    formats = [".3e" if 0 < value < _SMALL else f",.{decimals}f" for value in largest]
    return [
        ["" if value is None else f"{value:{kind}}" for value in row] for row, kind in zip(rows, formats, strict=True)
    ]


def folded(summary: str, content: str) -> str:
    """Returns HTML content that is shown when its summary is clicked."""
    return f"<details><summary>{as_html(summary)}</summary>{content}</details>"


def figure_html(figure: Figure, caption: str, *, narrow: Figure | None = None, curves: bool = False) -> str:
    """Returns a figure with its caption as HTML; the image is embedded in the page.

    Args:
      figure: the figure.
      caption: the text below it.
      narrow: another version of the figure for narrow screens; None lets a narrow screen scroll a wide figure.
      curves: whether a dark page inverts the figure's lightness, as suits lines and points but not images.
    """
    text, (width, height) = as_html(caption), figure.get_size_inches()
    marks = {"wide": narrow is None and width > 2 * max(height, COLUMN), "curves": curves}
    classes = [name for name, holds in marks.items() if holds]
    shape = f' class="{" ".join(classes)}"' if classes else ""
    pixels = round(_PIXELS_PER_INCH * width) if width <= COLUMN else round(_DOTS_PER_INCH / 2 * width)
    image = f'<img src="{_as_address(figure)}" width="{pixels}" alt="{text}">'
    if narrow is not None:
        image = f'<picture><source media="{NARROW}" srcset="{_as_address(narrow)}">{image}</picture>'
    return f"<figure{shape}>{image}<figcaption>{text}</figcaption></figure>"


def _as_address(figure: Figure) -> str:
    """Returns a data URL of the figure as PNG."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=_DOTS_PER_INCH, bbox_inches=with_padding(figure))
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
    'loss = reconstruction + 4 × KL divergence from the prior (...) + 2 × total correlation (estimated from ...)'
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
    'loss = reconstruction + KL divergence from the prior; terms are shown without their weights'
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
