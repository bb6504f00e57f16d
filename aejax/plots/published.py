"""Figure of measured values beside published ones."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from aejax.host.escaping import as_label, as_name
from aejax.plots.style import BLUE, COLUMN, VERMILION, clean_axes, house_style


@house_style()
def beside_published(measured: Mapping[str, Sequence[float]], published: Mapping[str, float], *, value: str) -> Figure:
    """Returns a row of points for each setting: the values of all seeds, and the published value if there is one.

    Args:
      measured: setting -> the value of every seed.
      published: setting -> the published value.
      value: what the values are, with their unit.
    """
    figure = Figure(figsize=(COLUMN, 0.9 + 0.24 * len(measured)), layout="constrained")
    axes = figure.add_subplot()
    names = list(measured)
    for place, name in enumerate(names):
        values = np.asarray(measured[name], np.float64)
        axes.plot(values, np.full(len(values), place), "o", color=BLUE, label="measured" if place == 0 else None)
    known = [place for place, name in enumerate(names) if name in published]
    if known:
        axes.plot(
            [published[names[place]] for place in known],
            known,
            "d",
            color=VERMILION,
            markerfacecolor="none",
            label="published",
        )
    axes.set_yticks(range(len(names)), [as_name(name) for name in names])
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xlabel(as_label(value))
    figure.legend(loc="outside lower left", ncols=2, borderpad=0)
    clean_axes(axes)
    return figure
