"""Figures of vectors: series as curves over time, rows of tables and other vectors as points over their columns."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from matplotlib.typing import ColorType

from aejax.host.escaping import as_label, as_name
from aejax.plots.style import (
    COLUMN,
    ORIGINAL,
    PALETTE,
    SEQUENTIAL,
    SKY,
    SMALL,
    TEXT,
    TRAIN,
    clean_axes,
    house_style,
    text_height,
    text_width,
    title_lines,
    with_margin,
)

_PANEL = 0.78  # inches: the height of a panel
_SMALL_PANEL = 0.34  # of a panel in a grid
_TICKED = 0.5  # inches: what the ticks and the name of the y-axis need


class Axis(NamedTuple):
    """What a vector's values are, and how they are drawn."""

    is_series: bool = True  # curves over time; otherwise points, because the order of columns has no meaning
    x_label: str = "time step"
    y_label: str = "value"


SERIES = Axis()


@house_style()
def compare_vectors(rows: dict[str, np.ndarray], *, names: Sequence[str] = (), axis: Axis = SERIES) -> Figure:
    """Returns a panel per example: the original in gray, below its reconstruction and other versions.

    Args:
      rows: name -> (n, D) versions of the same examples; the first are the originals.
      names: of the examples, or none.
      axis: what the values are.
    """
    examples = len(next(iter(rows.values())))
    panels = _Panels(examples, axis=axis, values=[*rows.values()])
    colors = (ORIGINAL, *(PALETTE if len(rows) < 3 else PALETTE[1 : len(rows) - 1] + PALETTE[:1]))
    for version, (values, color) in enumerate(zip(rows.values(), colors, strict=False)):
        for axes, value in zip(panels.axes, values, strict=True):
            _draw(axes, value, axis, color=color, width=2.0 if version == 0 else 0.9, label=as_name([*rows][version]))
    for axes, name in zip(panels.axes, names, strict=False):
        axes.set_title(as_name(name), fontsize=SMALL)
    panels.explain()
    return panels.figure


@house_style()
def families(
    vectors: np.ndarray,
    *,
    title: str = "",
    rows: Sequence[str] = (),
    columns: Sequence[str] = (),
    originals: np.ndarray | None = None,
    is_path: bool = True,
    axis: Axis = SERIES,
) -> Figure:
    """Returns a panel per row with all its vectors.

    Of a path, colors run from the first column to the last; otherwise the first vector stands out from the others.

    Args:
      vectors: (R, C, D).
      title: of the figure.
      rows: names of the panels, or none.
      columns: names of the columns; the first and the last one are in the legend.
      originals: (R, k, D) examples to draw in black, such as those at the ends of a path; None for none.
      is_path: whether the order of the columns has a meaning.
      axis: what the values are.
    """
    count = vectors.shape[1]
    drawn = [vectors] if originals is None else [vectors, originals]
    panels = _Panels(len(vectors), axis=axis, values=drawn, title=title)
    along = list(colormaps[SEQUENTIAL](np.linspace(0.05, 0.95, count)))
    colors = along if is_path else [TRAIN, *[SKY] * (count - 1)]
    widths = [0.8] * count if is_path else [1.3, *[0.5] * (count - 1)]
    ends = {0: columns[0], count - 1: columns[-1]} if columns else {}
    for place, axes in enumerate(panels.axes):
        for column in range(count):
            label = as_name(ends[column]) if ends.get(column) else None
            line = _draw(axes, vectors[place, column], axis, color=colors[column], width=widths[column], label=label)
            line.set_zorder(3 if column == 0 else 2)  # the first one above the others
        for number, original in enumerate([] if originals is None else originals[place]):
            label = "original" if number == 0 else None
            _draw(axes, original, axis, color="black", width=0.9, label=label, dashed=True)
        if rows:
            axes.set_title(as_name(rows[place]), fontsize=SMALL)
    panels.explain()
    return panels.figure


@house_style()
def vector_grid(
    vectors: np.ndarray,
    *,
    title: str = "",
    rows: Sequence[str] = (),
    columns: Sequence[str] = (),
    axis: Axis = SERIES,
) -> Figure:
    """Returns a small panel per vector, all on the scale of the panel at the lower left.

    Args:
      vectors: (R, C, D).
      title: of the figure.
      rows: names of the rows, or none.
      columns: names of the columns, or none.
      axis: what the values are.
    """
    lines, across = vectors.shape[:2]
    title, rows = title_lines(title, COLUMN), [*map(as_name, rows)]
    top = text_height(title, TEXT) + 0.04 + (text_height("x") if columns else 0.0)
    height = min(_SMALL_PANEL * lines + top + 0.32, 40.0)
    right = max(map(text_width, rows), default=0.0) + 0.06
    figure = Figure(figsize=(COLUMN, height))
    sides = {"left": 0.42 / COLUMN, "right": 1 - right / COLUMN, "top": 1 - top / height, "bottom": 0.32 / height}
    grid = figure.subplots(
        lines, across, squeeze=False, sharex=True, sharey=True, gridspec_kw={**sides, "wspace": 0.08, "hspace": 0.08}
    )
    figure.text(0, 1, title, ha="left", va="top")
    for axes, vector in zip(grid.flat, vectors.reshape(lines * across, -1), strict=True):
        _draw(axes, vector, axis, color=TRAIN, width=0.8)
        axes.tick_params(length=0, labelleft=False, labelbottom=False)
        axes.spines[:].set(color="0.8", linewidth=0.4)
    grid[0, 0].set_ylim(_limits([vectors]))
    corner = grid[-1, 0]  # the only panel with a scale, which is that of all
    corner.tick_params(length=2, labelleft=True, labelbottom=True, labelsize=SMALL, pad=1.5)
    corner.yaxis.set_major_locator(MaxNLocator(2))
    corner.xaxis.set_major_locator(MaxNLocator(1, integer=True))
    corner.set_ylabel(as_label(axis.y_label), fontsize=SMALL)
    corner.set_xlabel(as_label(axis.x_label), fontsize=SMALL, loc="left")
    for axes, name in zip(grid[:, -1], rows, strict=False):
        axes.annotate(name, (1.08, 0.5), xycoords="axes fraction", va="center", fontsize=SMALL)
    for axes, name in zip(grid[0], columns, strict=False):
        axes.set_title(as_name(name) if name else "", fontsize=SMALL, loc="center", pad=2)
    return figure


def frames_of_vectors(vectors: np.ndarray, *, originals: np.ndarray, axis: Axis = SERIES) -> np.ndarray:
    """Returns the frames of an animation that draws one vector per frame over the originals, on the same axes.

    Args:
      vectors: (F, D) vectors to draw.
      originals: (k, D) examples that are drawn in gray in every frame.
      axis: what the values are.

    Returns:
      (F, H, W, 3) images, uint8.
    """
    with house_style():
        figure = Figure(figsize=(COLUMN, 2.0), dpi=140, layout="constrained")
        canvas = FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        for original in originals:
            _draw(axes, original, axis, color=ORIGINAL, width=0.9, dashed=True)
        moving = _draw(axes, vectors[0], axis, color=TRAIN, width=1.4)
        moving.set_animated(True)  # drawn by itself, on what is the same in all frames
        axes.set_ylim(_limits([vectors, originals]))
        axes.set_xlabel(as_label(axis.x_label))
        axes.set_ylabel(as_label(axis.y_label))
        clean_axes(axes)
        canvas.draw()
        same = canvas.copy_from_bbox(figure.bbox)
        frames = []
        for vector in vectors:
            canvas.restore_region(same)
            moving.set_ydata(vector.ravel())
            axes.draw_artist(moving)
            frames.append(np.asarray(canvas.buffer_rgba())[..., :3].copy())
    return np.stack(frames)


class _Panels:
    """Panels in rows, on one scale; names of axes stand at the left and at the bottom only."""

    def __init__(self, count: int, *, axis: Axis, values: Sequence[np.ndarray], title: str = "") -> None:
        columns = min(count, 2)
        lines = math.ceil(count / columns)
        self._title = title_lines(title, COLUMN - 0.1)
        height = (_PANEL + 0.15) * lines + text_height(self._title) + _TICKED
        self.figure = Figure(figsize=(COLUMN, min(height, 40.0)), layout="constrained")
        grid = self.figure.subplots(lines, columns, squeeze=False, sharex=True, sharey=True)
        for unused in grid.flat[count:]:
            unused.remove()
        self.axes: list[Axes] = list(grid.flat[:count])
        self.axes[0].set_ylim(_limits(values))
        for axes in self.axes:
            clean_axes(axes)
            axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
            axes.yaxis.set_major_locator(MaxNLocator(3))
        for column in range(columns):  # the lowest panel of each column
            lowest = self.axes[max(range(column, count, columns))]
            lowest.tick_params(labelbottom=True)
        self.figure.supxlabel(as_label(axis.x_label), fontsize=SMALL)
        self.figure.supylabel(as_label(axis.y_label), fontsize=SMALL)

    def explain(self) -> None:
        """Adds the title and a legend above the panels."""
        handles, labels = self.axes[0].get_legend_handles_labels()
        legend = self.figure.legend(
            handles,
            labels,
            title=self._title or None,
            title_fontsize=TEXT,
            alignment="left",
            loc="outside upper left",
            ncols=3,
            borderpad=0.1,
        )
        legend.set_zorder(3)


def _draw(
    axes: Axes,
    vector: np.ndarray,
    axis: Axis,
    *,
    color: ColorType,
    width: float,
    label: str | None = None,
    dashed: bool = False,
) -> Line2D:
    values, places = vector.ravel(), np.arange(1, vector.size + 1)
    if axis.is_series:
        style = (0, (4, 1.5)) if dashed else "-"
        return axes.plot(places - 1, values, color=color, linewidth=width, linestyle=style, label=label)[0]
    marker = "_" if dashed else "o"
    size = min(1.6 * width + 1.2, 4.0)
    return axes.plot(places, values, marker, color=color, markersize=size, markeredgewidth=0.8, label=label)[0]


def _limits(values: Sequence[np.ndarray]) -> tuple[float, float]:
    """Returns the limits of the y-axis for all values that are finite."""
    low = min(float(np.min(part, where=np.isfinite(part), initial=np.inf)) for part in values)
    high = max(float(np.max(part, where=np.isfinite(part), initial=-np.inf)) for part in values)
    return with_margin(low, high, 0.08) if low <= high else (0.0, 1.0)
