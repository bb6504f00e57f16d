"""Figures of curves: loss terms over epochs, and distortion over rate."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from aejax.autoencoders import Term
from aejax.host.escaping import as_label, as_name
from aejax.plots.style import TRAIN, VALIDATION, clean_axes, with_margin

_COLORS = {"train": TRAIN, "validation": VALIDATION}


def training_curves(
    records: Sequence[dict[str, Any]], *, best_epoch: float, term_of: Callable[[str], Term], columns: int = 3
) -> Figure:
    """Returns one panel per loss term with its training and validation means over epochs; the best epoch is marked.

    Terms that equal the loss or its negative are omitted.

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
    terms.sort(key=lambda term: (term != "loss", term))
    columns = min(columns, len(terms))
    lines = math.ceil(len(terms) / columns)
    figure = Figure(figsize=(3.8 * columns, 3.0 * lines), layout=ConstrainedLayoutEngine(hspace=0.08))
    epochs = [record["epoch"] for record in records]
    best = [record for record in records if record["epoch"] == best_epoch]  # empty if the run diverged at once
    for place, term in enumerate(terms):
        axes = figure.add_subplot(lines, columns, place + 1)
        curves = {split: [record.get(f"{split}/{term}", math.nan) for record in records] for split in _COLORS}
        for split, values in curves.items():
            label = "train, during the epoch" if split == "train" else split
            axes.plot(epochs, values, color=_COLORS[split], label=label, linewidth=1.4)
        for record in best:
            value, label = record.get(f"validation/{term}", math.nan), f"best epoch ({best_epoch:g})"
            axes.plot(best_epoch, value, "o", color=VALIDATION, markeredgecolor="white", label=label)
        axes.set_title(as_label(term_of(term).title), loc="left", fontsize=11)
        axes.set_xlabel("epoch")
        axes.set_ylabel(as_label(term_of(term).unit))
        axes.set_ylim(_limits_without_start(list(curves.values())))
        clean_axes(axes)
    figure.axes[0].legend(frameon=False)
    return figure


def _mirrors_the_loss(records: Sequence[dict[str, Any]], term: str) -> bool:
    """Returns whether a term is the loss or its negative, as the evidence lower bound often is."""
    return all(abs(record.get(f"validation/{term}", math.nan)) == abs(record["validation/loss"]) for record in records)


def _limits_without_start(curves: Sequence[Sequence[float]]) -> tuple[float, float]:
    """Returns axis limits for all values but the first tenth, whose steep decrease would flatten the rest."""
    values = np.concatenate([np.asarray(curve)[len(curve) // 10 :] for curve in curves])
    values = values[np.isfinite(values)]
    if not values.size:
        return 0.0, 1.0
    low, high = float(values.min()), float(values.max())
    return with_margin(low, high, 0.08)


def rate_distortion(curves: Mapping[str, tuple[Sequence[float], Sequence[float]]], *, title: str) -> Figure:
    """Returns rate-distortion curves: peak signal-to-noise ratio over bits per feature, one curve per method.

    Args:
      curves: method -> (bits per feature, ratios in dB); the first method is drawn with a thicker line.
      title: of the figure.
    """
    figure = Figure(figsize=(7.2, 4.4), layout="constrained")
    axes = figure.add_subplot()
    for name, (bits, ratios) in curves.items():
        order = np.argsort(bits)
        is_ours = name == next(iter(curves))
        line = axes.plot(np.asarray(bits)[order], np.asarray(ratios)[order], linewidth=2.2 if is_ours else 1.3)[0]
        line.set(marker="o", markersize=4 if is_ours else 3, label=as_name(name), zorder=3 if is_ours else 2)
    axes.set_xscale("log")
    axes.set_xlabel("bits per feature")
    axes.set_ylabel("peak signal-to-noise ratio, dB")
    axes.set_title(as_label(title), loc="left", fontsize=11)
    axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    clean_axes(axes)
    return figure
