"""Figures of quantities that follow power laws, on logarithmic axes."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullFormatter, NullLocator, StrMethodFormatter

from aejax.host.escaping import as_label, as_name
from aejax.plots.style import PAGE, PALETTE, QUIET, clean_axes, house_style

_HEIGHT = 2.4  # inches
_EXPECTED: dict[str, Any] = {"linewidth": 0.9, "linestyle": ":"}


class Measured(NamedTuple):
    """Positive values with standard errors, and the exponent that they should have for large x."""

    x: Sequence[float]
    y: Sequence[float]
    errors: Sequence[float]
    exponent: float


@house_style()
def power_laws(panels: Mapping[tuple[str, str], Mapping[str, Measured]], *, y_label: str) -> Figure:
    """Returns panels side by side with logarithmic axes: values with their errors, and lines of the expected exponent.

    The line of the expected exponent passes through the last value. A method has the same color and marker in all
    panels; values that are not positive are left out.

    Args:
      panels: (title, name of x) -> method -> its values.
      y_label: what the values are, with their unit.
    """
    names = list(dict.fromkeys(name for methods in panels.values() for name in methods))
    figure = Figure(figsize=(PAGE, _HEIGHT), layout="constrained")
    first = None
    for place, ((title, x_label), methods) in enumerate(panels.items(), 1):
        axes = first = figure.add_subplot(1, len(panels), place, sharey=first)
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        for name, measured in methods.items():
            x, y, errors = (np.asarray(each, np.float64) for each in measured[:3])
            x, y, errors = (each[y > 0] for each in (x, y, errors))
            color, marker = PALETTE[names.index(name) % len(PALETTE)], "os^vDP"[names.index(name) % 6]
            if len(x) > 1:
                axes.plot(x, y[-1] * (x / x[-1]) ** measured.exponent, color=color, **_EXPECTED)
            lower = np.minimum(errors, 0.999 * y)  # a bar that would reach 0 reaches the axis
            axes.errorbar(
                x, y, yerr=(lower, errors), color=color, marker=marker, elinewidth=0.8, label=as_name(name), capsize=1.5
            )
        axes.xaxis.set_major_locator(LogLocator(base=4, numticks=12))
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.set_title(as_label(title))
        axes.set_xlabel(as_label(x_label))
        clean_axes(axes)
        if place > 1:
            axes.tick_params(labelleft=False)
    figure.axes[0].set_ylabel(as_label(y_label))
    handles = {
        name: handle for axes in figure.axes for handle, name in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    handles["expected exponent"] = Line2D([], [], color=QUIET, **_EXPECTED)
    figure.legend(list(handles.values()), list(handles), loc="outside upper left", ncols=5)
    return figure
