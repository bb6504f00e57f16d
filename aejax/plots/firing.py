"""Figure of how often the units of a dictionary fire."""

import math

import numpy as np
from jaxtyping import Float, Int
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from aejax.plots.style import COLUMN, SMALL, TRAIN, clean_axes, house_style, title_lines


@house_style()
def firing_rates(
    edges: Float[np.ndarray, "bins+1"], units: Int[np.ndarray, "bins"], *, dead: int, examples: int, below: int = 0
) -> Figure:
    """Returns a histogram of the firing rates of a dictionary's units, on a logarithmic axis.

    The axis begins at the decade of one example, below which no rate can be measured.

    Args:
      edges: of the bins, as powers of ten, in increasing order.
      units: the number of units in each bin.
      dead: units that never fire, which have no place on the axis.
      examples: the number of examples that the rates are measured on.
      below: units that fire less often than the lowest edge.
    """
    figure = Figure(figsize=(COLUMN, 1.9), layout="constrained")
    axes = figure.add_subplot()
    places = 10.0**edges
    axes.bar(places[:-1], units, np.diff(places), align="edge", color=TRAIN, edgecolor="white", linewidth=0.4)
    axes.set_xscale("log")
    lowest = 10.0 ** max(math.floor(-math.log10(max(examples, 10)) + 1e-9), edges[0])
    axes.set_xlim(lowest, 1.0)
    axes.set_ylim(0, max(1.0, 1.05 * units.max(initial=0)))
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.set_xlabel(f"firing rate: fraction of {examples:,} examples")
    axes.set_ylabel("units")
    total = int(units.sum()) + dead + below
    words = [f"{total:,} units"]
    words += [f"{below:,} fire less often than the axis shows"] if below else []
    words.append(f"{dead:,} never fire" if dead else "all of them fire")
    axes.set_title(title_lines("; ".join(words), COLUMN - 0.5), fontsize=SMALL)
    clean_axes(axes)
    axes.set_axisbelow(True)
    return figure
