"""Figures of a table's columns: how much of each a method explains."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from aejax.host.escaping import as_label, as_name
from aejax.plots.style import COLUMN, PALETTE, SMALL, clean_axes, house_style, text_width

_LINE = 0.115  # inches: the height of a column's line
_LOWEST = -0.25  # values below it are drawn there


@house_style()
def explained_columns(
    explained: Mapping[str, Sequence[float]], names: Sequence[str], *, x_label: str, title: str = ""
) -> Figure:
    """Returns a line per column of a table, with a point for each method.

    Args:
      explained: method -> a value for every column, 1 for perfect; NaN is not drawn, and values below -0.25 are drawn
        there.
      names: of the columns.
      x_label: what the values are.
      title: of the figure.
    """
    lines = len(names)
    height = min(_LINE * lines + 0.75, 40.0)
    shown = [as_name(name) for name in names]
    left = min(max(map(text_width, shown), default=0.3) * 0.9 + 0.12, 0.45 * COLUMN)
    figure = Figure(figsize=(COLUMN, height))
    axes = figure.add_axes((left / COLUMN, 0.42 / height, 1 - (left + 0.1) / COLUMN, 1 - 0.69 / height))
    places = np.arange(lines)[::-1]
    colors, markers = (PALETTE[0], PALETTE[1], "0.55"), ("o", "|", "x")
    for number, (name, values) in reversed(list(enumerate(explained.items()))):
        drawn = np.maximum(np.asarray(values, np.float64), _LOWEST)
        (line,) = axes.plot(drawn, places, markers[number % 3], label=as_name(name), color=colors[number % 3])
        line.set(linestyle="none", markersize=3.2 if number == 0 else 4.0, zorder=3 - number)
    axes.set_yticks(places, shown, fontsize=SMALL)
    axes.set_ylim(-0.8, lines - 0.2)
    axes.set_xlim(_LOWEST - 0.03, 1.03)
    axes.axvline(0, color="0.8", linewidth=0.6, zorder=0)
    axes.grid(axis="y", color="0.93", linewidth=0.5)
    axes.set_axisbelow(True)
    axes.set_xlabel(as_label(x_label))
    clean_axes(axes)
    axes.tick_params(axis="y", length=0)
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(
        handles[::-1], labels[::-1], title=title or None, loc="upper left", ncols=3, borderpad=0.1, alignment="left"
    )
    return figure


@house_style()
def units_by_column(lost: np.ndarray, names: Sequence[str]) -> Figure:
    """Returns a heat map of what each column of a table loses without each unit of the code.

    Args:
      lost: (D, K) values from about 0, nothing, to 1, everything.
      names: of the columns.
    """
    lines, units = lost.shape
    height = min(_LINE * lines + 1.0, 40.0)
    shown = [as_name(name) for name in names]
    left = min(max(map(text_width, shown), default=0.3) * 0.9 + 0.12, 0.45 * COLUMN)
    figure = Figure(figsize=(COLUMN, height))
    axes = figure.add_axes((left / COLUMN, 0.42 / height, 1 - (left + 0.1) / COLUMN, 1 - 1.0 / height))
    image = axes.imshow(np.clip(np.nan_to_num(lost), 0, 1), cmap="Blues", vmin=0, vmax=1, aspect="auto")
    axes.set_yticks(np.arange(lines), shown, fontsize=SMALL)
    axes.set_xticks(np.arange(units), [str(unit) for unit in range(1, units + 1)])
    axes.tick_params(length=0)
    axes.set_xlabel("unit of the code")
    bar = figure.add_axes((left / COLUMN, 1 - 0.3 / height, 1 - (left + 0.1) / COLUMN, 0.08 / height))
    colors = figure.colorbar(image, cax=bar, orientation="horizontal")
    colors.set_label("fraction explained that is lost without the unit", fontsize=SMALL)
    bar.xaxis.set_label_position("top")
    bar.tick_params(labelsize=SMALL, length=1.5, pad=1)
    return figure
