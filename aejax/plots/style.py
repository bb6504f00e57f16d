"""House style of all figures: sizes, fonts and colors that are legible in one column of a paper, and the file formats.

A figure is `COLUMN` inches wide, without the margin that `with_padding` adds when it is written; its letters have at
least 7 points, and its colors are distinguishable with the common kinds of color blindness.
"""

import contextlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.textpath import TextPath
from matplotlib.transforms import Bbox

from aejax.host.escaping import as_label
from aejax.host.files import FigureFormat

COLUMN, PAGE = 3.3, 6.8  # inches: the width of one column of a paper, and of both
TEXT, SMALL = 8.0, 7.0  # points: titles and names of axes; ticks, legends and names of rows and columns
LINE_HEIGHT = 1.3  # of text, relative to its size
POINTS_PER_INCH = 72.0

# M. Okabe, K. Ito (2008), Color Universal Design
BLUE, VERMILION, GREEN, ORANGE, SKY, PINK = "#0072b2", "#d55e00", "#009e73", "#e69f00", "#56b4e9", "#cc79a7"
PALETTE = (BLUE, VERMILION, GREEN, ORANGE, PINK, SKY)
TRAIN, VALIDATION, QUIET, ORIGINAL = BLUE, VERMILION, "0.35", "0.6"
# M. A. Petroff (2021), Accessible Color Sequences for Data Visualization; the shape of the mark differs too
CLASS_COLORS = (
    *("#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#832db6"),
    *("#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadd"),
)
CLASS_MARKERS = ("o", "^", "s", "v", "D", "P", "X")
SEQUENTIAL = "cividis"  # for a quantity along which curves change

_DOTS_PER_INCH = 300
_PADDING = 0.05  # inches: the margin of a figure that is written, so that no letter touches an edge
_MAX_TITLE = 240  # characters
_SETTINGS: dict[Any, Any] = {
    "font.size": TEXT,
    "axes.titlesize": TEXT,
    "axes.titlelocation": "left",
    "axes.titlepad": 4.0,
    "axes.labelsize": TEXT,
    "axes.labelpad": 2.0,
    "axes.linewidth": 0.6,
    "figure.titlesize": TEXT,
    "legend.fontsize": SMALL,
    "legend.title_fontsize": SMALL,
    "legend.frameon": False,
    "legend.handlelength": 1.4,
    "legend.columnspacing": 1.2,
    "lines.linewidth": 1.1,
    "lines.markersize": 3.5,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
}


@contextlib.contextmanager
def house_style() -> Iterator[None]:
    """Context manager and decorator: figures made inside have the house style; Matplotlib's settings are restored."""
    with mpl.rc_context(_SETTINGS):
        yield


def save_figure(figure: Figure, folder: Path, name: str, *, file_format: FigureFormat = "png") -> Path:
    """Writes a figure to NAME.FORMAT in a folder, and returns the path.

    Args:
      figure: the figure.
      folder: the folder, which must exist.
      name: of the file, without the ending.
      file_format: png, with 300 dots per inch; or pdf or svg, whose lines and letters can be scaled.
    """
    path = folder / f"{name}.{file_format}"
    metadata = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}.get(file_format)  # the same figure, the same file
    with mpl.rc_context({"pdf.fonttype": 42, "svg.hashsalt": name}):  # 42: letters that publishers accept
        figure.savefig(path, dpi=_DOTS_PER_INCH, metadata=metadata, bbox_inches=with_padding(figure))
    return path


def with_padding(figure: Figure) -> Bbox:
    """Returns the area to write, in inches: the whole figure and a small margin, for `bbox_inches` of `savefig`."""
    return Bbox.from_bounds(0, 0, *figure.get_size_inches()).padded(_PADDING)


def with_margin(low: float, high: float, fraction: float) -> tuple[float, float]:
    """Returns axis limits with a margin of a fraction of the range at either end, positive also if low = high."""
    margin = fraction * (high - low) or 0.05 * abs(high) or 1.0
    return low - margin, high + margin


def text_width(text: str, size: float = SMALL) -> float:
    """Returns the width of a text's longest line in inches, in a font of `size` points."""
    lines = [line for line in text.split("\n") if line.strip()]
    return max((TextPath((0, 0), line, size=size).get_extents().x1 for line in lines), default=0.0) / POINTS_PER_INCH


def text_height(text: str, size: float = SMALL) -> float:
    """Returns the height of a text's lines in inches, 0 for an empty text."""
    return LINE_HEIGHT * size * (text.count("\n") + 1) / POINTS_PER_INCH if text else 0.0


def wrapped(text: str, width: float, size: float = TEXT) -> str:
    """Returns text in lines of at most `width` inches, broken between words, and within words that are wider."""
    lines: list[str] = []
    for paragraph in text.split("\n"):
        line = ""
        for word in (part for whole in paragraph.split(" ") for part in _parts(whole, width, size)):
            longer = f"{line} {word}" if line else word
            if line and text_width(longer, size) > width:
                lines.append(line)
                longer = word
            line = longer
        lines.append(line)
    return "\n".join(lines)


def _parts(word: str, width: float, size: float) -> list[str]:
    """A word in parts of at most `width` inches; an escaped character stays whole."""
    if text_width(word, size) <= width:
        return [word]
    letters = re.findall(r"\\.|.", word)
    most = max(int(len(letters) * width / text_width(word, size)), 1)
    return ["".join(letters[start : start + most]) for start in range(0, len(letters), most)]


def title_lines(title: str, width: float) -> str:
    """Returns a title that Matplotlib draws literally, in lines of at most `width` inches."""
    return wrapped(as_label(title, limit=_MAX_TITLE), width)


def that_fit(names: Sequence[str], places: Sequence[float], *, upright: bool = False) -> list[str]:
    """Returns small names of which as many are kept as fit next to each other, the others are empty.

    Args:
      names: the names; empty ones need no space.
      places: of their centers, in inches, increasing.
      upright: whether the names are below each other, so that their height counts instead of their width.
    """
    shown, edge = [], -float("inf")
    for place, name in zip(places, names, strict=False):
        half = (0.85 * text_height(name) if upright else text_width(name) + 0.06) / 2
        fits = bool(name) and place - half >= edge
        shown.append(name if fits else "")
        edge = place + half if fits else edge
    return shown


def hide_axes(axes: Axes) -> None:
    """Removes ticks and frame, for images."""
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)


def clean_axes(axes: Axes) -> None:
    """Removes the upper and right spine, mutes the others, and adds a light grid."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(QUIET)
    axes.tick_params(colors=QUIET, labelsize=SMALL, length=2.5, width=0.6, pad=2)
    axes.grid(alpha=0.25, linewidth=0.5)
