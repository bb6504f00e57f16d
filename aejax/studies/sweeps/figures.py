"""Figures of a sweep: every term of the validation loss against every knob."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from aejax.autoencoders import Term
from aejax.plots import clean_axes, house_style
from aejax.plots.style import BLUE, COLUMN, PALETTE, SMALL, wrapped
from aejax.studies.sweeps.plan import shown
from aejax.studies.sweeps.table import Summary, validation_terms

_HEIGHT = 1.15  # inches of a row
_MAX_NAMED = len(PALETTE)  # curves that a legend names
_DECADE = 10.0
_OTHERS = "0.75"  # gray


@house_style()
def terms_against(knob: str, summaries: Sequence[Summary], best: Summary, *, term_of: Callable[[str], Term]) -> Figure:
    """Returns plots of every term on validation examples over a knob's values: mean ± deviation over seeds.

    There is a curve for every combination of the other knobs' values; the best setting is marked.

    Args:
      knob: the knob.
      summaries: all settings of the sweep.
      best: the best setting.
      term_of: maps a term to its title and unit.
    """
    terms = validation_terms(summaries)
    curves: dict[str, list[Summary]] = {}
    for summary in summaries:
        others = {other: value for other, value in summary.setting.knobs.items() if other != knob}
        label = ", ".join(f"{_title(other)} {shown(value)}" for other, value in others.items())
        curves.setdefault(label, []).append(summary)
    values = list(dict.fromkeys(summary.setting.knobs[knob] for summary in summaries))
    is_numeric = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    places = {value: float(value) if is_numeric else float(place) for place, value in enumerate(values)}
    rows = max(len(terms), 1)
    figure = Figure(figsize=(COLUMN, _HEIGHT * rows + 0.5), layout="constrained")
    axes_of_rows = figure.subplots(rows, 1, squeeze=False, sharex=True)[:, 0]
    styles = _styles(curves, best)
    for axes, term in zip(axes_of_rows, terms, strict=False):
        for (color, name), own in zip(styles, curves.values(), strict=True):
            _draw(axes, [s for s in own if term in s.mean], knob, term, places, color=color, label=name)
        if term in best.mean:
            at = places[best.setting.knobs[knob]]
            axes.plot([at], [best.mean[term]], "*", color="black", markersize=7, zorder=5, label="best by validation")
        described = term_of(term.removeprefix("validation/"))
        unit = "" if described.unit in ("no unit", "count") else f",\n{described.unit}"
        axes.set_ylabel(wrapped(described.title + unit, 0.8 * _HEIGHT, SMALL), fontsize=SMALL)
        clean_axes(axes)
    _label_places(axes_of_rows[-1], places, is_numeric=is_numeric)
    axes_of_rows[-1].set_xlabel(_title(knob))
    handles, labels = axes_of_rows[0].get_legend_handles_labels()
    named = {label: handle for handle, label in zip(handles, labels, strict=True) if label}
    title = "validation examples, mean ± deviation over seeds"
    legend = figure.legend(
        [*named.values()], [*named], loc="outside upper left", ncols=1, borderpad=0, labelspacing=0.2, title=title
    )
    legend.set_alignment("left")
    return figure


def _draw(
    axes: Axes, summaries: Sequence[Summary], knob: str, term: str, places: dict[Any, float], *, color: Any, label: str
) -> None:
    points = sorted((places[s.setting.knobs[knob]], s.mean[term], s.deviation[term]) for s in summaries)
    if not points:
        return
    x, mean, deviation = zip(*points, strict=True)
    bars = [0.0 if math.isnan(value) else value for value in deviation]
    axes.errorbar(
        x,
        mean,
        bars,
        color=color,
        marker="o",
        markersize=2.5,
        linewidth=1.0,
        capsize=1.5,
        label=label,
        zorder=3 if color == BLUE else 2,
    )


def _label_places(axes: Axes, places: dict[Any, float], *, is_numeric: bool) -> None:
    """Scales the knob's axis, logarithmically if its values span a decade, and names its values."""
    numbers = sorted(places.values())
    positive = [number for number in numbers if number > 0]
    if is_numeric and numbers[0] >= 0 and positive and positive[-1] >= _DECADE * positive[0]:
        if numbers[0] > 0:
            axes.set_xscale("log")
        else:
            axes.set_xscale("symlog", linthresh=positive[0], linscale=0.5)
    axes.set_xticks([*places.values()], [shown(value) for value in places])
    axes.set_xticks([], minor=True)
    if max(len(shown(value)) for value in places) * len(places) > 30:
        axes.tick_params(axis="x", rotation=90)


def _styles(curves: Mapping[str, Sequence[Summary]], best: Summary) -> list[tuple[str, str]]:
    """Returns the color and the name of every curve; of many curves, only that of the best setting is emphasized."""
    if len(curves) <= _MAX_NAMED:
        return list(zip(PALETTE, curves, strict=False))
    emphasized = [any(summary is best for summary in own) for own in curves.values()]
    return [(BLUE, "other knobs as in the best setting") if is_best else (_OTHERS, "others") for is_best in emphasized]


def _title(knob: str) -> str:
    return knob.replace("_", " ")
