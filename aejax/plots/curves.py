"""Figures of curves: loss terms over epochs, and distortion over rate."""

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator, NullLocator

from aejax.autoencoders import Term
from aejax.host.escaping import as_label, as_name
from aejax.plots.style import (
    COLUMN,
    PALETTE,
    QUIET,
    SMALL,
    TRAIN,
    VALIDATION,
    clean_axes,
    house_style,
    text_height,
    title_lines,
    with_margin,
    wrapped,
)

_COLORS = {"train": TRAIN, "validation": VALIDATION}
_CENTRAL = (0.05, 0.95)  # quantiles of a panel's values; values further away than their difference are left out
_MAX_TICKS = 7
_PANEL = 1.35  # inches: the height of a panel


@house_style()
def training_curves(
    records: Sequence[dict[str, Any]], *, best_epoch: float, term_of: Callable[[str], Term], columns: int = 2
) -> Figure:
    """Returns one panel per loss term with its training and validation means over epochs; the best epoch is marked.

    Terms that equal the loss or its negative are omitted. Values far outside the 5 % to 95 % quantiles of a panel, such
    as those of the first epochs, are left out, and the panel says how many.

    Args:
      records: each with `epoch` and means named validation/TERM and, optionally, train/TERM.
      best_epoch: the epoch of the record to mark.
      term_of: maps TERM to its title, above the panel, and its unit, the label of the axis.
      columns: the largest number of panels side by side.
    """
    records = [record for record in records if "validation/loss" in record]
    names = dict.fromkeys(name for record in records for name in record if name.startswith("validation/"))
    terms = [name.removeprefix("validation/") for name in names] or ["loss"]  # without an evaluation, an empty panel
    terms = [term for term in terms if term == "loss" or not _mirrors_the_loss(records, term)]
    terms.sort(key=lambda term: (term != "loss", term.startswith("code/"), term))
    columns = min(columns, len(terms))
    lines = math.ceil(len(terms) / columns)
    inside = COLUMN / columns - 0.75  # inches: the width of what stands in a panel
    titles = [title_lines(term_of(term).title, 0.72 * COLUMN / columns) for term in terms]
    heights = [
        _PANEL + text_height(max(titles[k * columns : (k + 1) * columns], key=text_height)) for k in range(lines)
    ]
    engine = ConstrainedLayoutEngine(hspace=0.04, wspace=0.04)
    figure = Figure(figsize=(COLUMN, min(sum(heights) + 0.2, 40.0)), layout=engine)
    epochs = [record["epoch"] for record in records]
    best = [record for record in records if record["epoch"] == best_epoch]  # empty if the run diverged at once
    for place, (term, title) in enumerate(zip(terms, titles, strict=True)):
        axes = figure.add_subplot(lines, columns, place + 1)
        curves = {split: [record.get(f"{split}/{term}", math.nan) for record in records] for split in _COLORS}
        low, high = _limits(list(curves.values()))
        for split, values in curves.items():
            label = "train, during the epoch" if split == "train" else split
            shown = [value if low <= value <= high else math.nan for value in values]
            axes.plot(epochs, shown, color=_COLORS[split], label=label, marker="o" if len(epochs) == 1 else "")
        for record in best:
            value, label = record.get(f"validation/{term}", math.nan), f"best epoch ({best_epoch:g})"
            marked = value if low <= value <= high else math.nan
            axes.plot(best_epoch, marked, "o", color=VALIDATION, markeredgecolor="black", label=label, zorder=3)
        axes.set_title(title)
        if place >= len(terms) - columns:
            axes.set_xlabel("epoch")
        axes.set_ylabel(wrapped(as_label(term_of(term).unit), _PANEL, SMALL), fontsize=SMALL)
        axes.set_ylim(with_margin(low, high, 0.06))
        axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        axes.yaxis.set_major_locator(MaxNLocator(5))
        clean_axes(axes)
        if note := _outside(list(curves.values()), low, high):
            axes.annotate(
                wrapped(note, inside, SMALL),
                (0.98, 0.03 if "below" in note else 0.97),
                xycoords="axes fraction",
                ha="right",
                va="bottom" if "below" in note else "top",
                fontsize=SMALL,
                color=QUIET,
            )
    handles, labels = figure.axes[0].get_legend_handles_labels()
    if lines * columns > len(terms):  # the legend takes the empty place
        empty = figure.add_subplot(lines, columns, lines * columns)
        empty.set_axis_off()
        empty.set_label("legend")
        empty.legend(handles, [wrapped(label, inside, SMALL) for label in labels], loc="center left")
    else:
        figure.legend(handles, labels, loc="outside upper left", ncols=columns + 1 if columns > 1 else 1, borderpad=0)
    return figure


def _mirrors_the_loss(records: Sequence[dict[str, Any]], term: str) -> bool:
    """Returns whether a term is the loss or its negative, as the evidence lower bound often is."""
    return all(abs(record.get(f"validation/{term}", math.nan)) == abs(record["validation/loss"]) for record in records)


def _limits(curves: Sequence[Sequence[float]]) -> tuple[float, float]:
    """Returns the smallest and the largest value to draw: of all values that are not far from the central ones."""
    values = np.concatenate([np.asarray(curve, np.float64) for curve in curves])
    values = values[np.isfinite(values)]
    if not values.size:
        return 0.0, 1.0
    low, high = np.quantile(values, _CENTRAL)
    drawn = values[(values >= low - (high - low)) & (values <= high + (high - low))]
    return float(drawn.min()), float(drawn.max())


def _outside(curves: Sequence[Sequence[float]], low: float, high: float) -> str:
    """Returns how many finite values are left out; empty if none is."""
    values = np.concatenate([np.asarray(curve, np.float64) for curve in curves])
    counts = {"above": int((values > high).sum()), "below": int((values < low).sum())}
    said = [f"{count:,} {where}" for where, count in counts.items() if count]
    return f"not shown: {', '.join(said)}" if said else ""


def rate_distortion(curves: Mapping[str, tuple[Sequence[float], Sequence[float]]], *, title: str) -> Figure:
    """Returns rate-distortion curves: peak signal-to-noise ratio over bits per feature, one curve per method.

    Args:
      curves: method -> (bits per feature, ratios in dB); the first method is drawn with a thicker line.
      title: of the figure.
    """
    return trade_offs(curves, title=title, cost="bits per feature", gain="peak signal-to-noise ratio, dB")


@house_style()
def trade_offs(
    curves: Mapping[str, tuple[Sequence[float], Sequence[float]]], *, title: str, cost: str, gain: str
) -> Figure:
    """Returns what methods reach at what cost, one curve per method over a logarithmic axis.

    Args:
      curves: method -> (costs, gains); the first method is drawn with a thicker line.
      title: of the figure.
      cost: what the costs are, with their unit.
      gain: what the gains are, with their unit.
    """
    title = title_lines(title, COLUMN)
    rows = math.ceil(len(curves) / 2)
    figure = Figure(figsize=(COLUMN, 2.2 + text_height(title) + 0.14 * rows), layout="constrained")
    axes = figure.add_subplot()
    for place, (name, (costs, gains)) in enumerate(curves.items()):
        order = np.argsort(costs)
        line = axes.plot(np.asarray(costs)[order], np.asarray(gains)[order], linewidth=1.8 if place == 0 else 1.0)[0]
        line.set(color=PALETTE[place % len(PALETTE)], marker="os^vDP"[place % 6], markersize=3 if place == 0 else 2.5)
        line.set(label=as_name(name), zorder=3 if place == 0 else 2)
    axes.set_xscale("log")
    shared = sorted({float(each) for costs, _ in curves.values() for each in costs})
    are_apart = all(after > 1.2 * before for before, after in pairwise(shared))
    if len(shared) <= _MAX_TICKS and are_apart:  # within a decade, the ticks of a logarithmic axis would overlap
        axes.set_xticks(shared, [f"{each:g}" for each in shared])
        axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel(cost)
    axes.set_ylabel(gain)
    figure.suptitle(title, x=0, ha="left")
    figure.legend(loc="outside lower left", ncols=2, borderpad=0)
    clean_axes(axes)
    return figure
