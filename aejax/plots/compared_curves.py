"""Figures of the curves of several runs on common axes."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from aejax.host.escaping import as_label, as_name
from aejax.plots.style import PAGE, PALETTE, clean_axes, house_style, with_margin

_STYLES = ("-", "--", ":")  # of the first runs, of those whose colors repeat, and so on
_CENTRAL = (0.02, 0.95)  # quantiles of a panel's values, which set its limits
_HEIGHT = 1.9  # inches of a panel
Curve = tuple[Sequence[float], Sequence[float]]  # epochs and values


@house_style()
def compared_curves(panels: Mapping[tuple[str, str], Mapping[str, Curve]], *, columns: int = 2) -> Figure:
    """Returns one panel per quantity, with a curve per run over epochs; a run has the same color in all panels.

    Values far above the 95 % quantile of a panel, such as those of the first epochs, are outside its limits.

    Args:
      panels: (title, unit) -> name of the run -> epochs and values.
      columns: the largest number of panels side by side.
    """
    names = list(dict.fromkeys(name for curves in panels.values() for name in curves))
    looks = {
        name: {"color": PALETTE[k % len(PALETTE)], "linestyle": _STYLES[k // len(PALETTE) % len(_STYLES)]}
        for k, name in enumerate(names)
    }
    columns = min(columns, len(panels))
    lines = math.ceil(len(panels) / columns)
    figure = Figure(figsize=(PAGE / 2 * columns, _HEIGHT * lines + 0.3), layout="constrained")
    for place, ((title, unit), curves) in enumerate(panels.items(), 1):
        axes = figure.add_subplot(lines, columns, place)
        for name, (epochs, values) in curves.items():
            marker = "o" if len(epochs) == 1 else ""
            axes.plot(epochs, values, label=as_name(name), marker=marker, **looks[name])  # type: ignore[arg-type]
        first, last = axes.dataLim.intervalx
        if first == last:  # a single epoch
            axes.set_xlim(first - 1, last + 1)
        axes.set_title(as_label(title))
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True, min_n_ticks=1))
        axes.set_ylabel(as_label(unit))
        axes.set_ylim(_limits([np.asarray(values, np.float64) for _, values in curves.values()]))
        clean_axes(axes)
    handles = {name: axes for axes in figure.axes for name in axes.get_legend_handles_labels()[1]}
    shown = [
        dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))[name] for name, axes in handles.items()
    ]
    figure.legend(shown, list(handles), loc="outside upper left", ncols=3 * columns)
    return figure


def _limits(curves: Sequence[np.ndarray]) -> tuple[float, float]:
    values = np.concatenate(curves) if curves else np.empty(0)
    values = values[np.isfinite(values)]
    if not values.size:
        return 0.0, 1.0
    low, high = np.quantile(values, _CENTRAL)
    reach = 0.5 * (high - low)
    near = values[(values >= low - reach) & (values <= high + reach)]
    return with_margin(float(near.min()), float(near.max()), 0.06)
