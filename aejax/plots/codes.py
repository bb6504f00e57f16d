"""Figures of codes: the latent space, embeddings, and the divergence of each unit."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from aejax.host.escaping import as_name
from aejax.plots.style import (
    CLASS_COLORS,
    CLASS_MARKERS,
    COLUMN,
    SEQUENTIAL,
    SMALL,
    TRAIN,
    clean_axes,
    house_style,
    text_height,
    text_width,
    title_lines,
    wrapped,
)

_MAX_BARS = 2000  # beyond it a filled curve replaces the bars, which are slow to draw
_MAX_CLASSES = 20  # with a color, a mark and an entry in the legend each
_MAX_ENTRY = 1.2  # inches of a line of the legend
ClassNames = Mapping[Any, str]  # label -> name of the class


@house_style()
def latent_space(
    codes: np.ndarray, labels: np.ndarray | None = None, *, names: ClassNames | None = None, what: str = "examples"
) -> Figure:
    """Returns a scatter plot of codes, colored by class, with the number of examples of each class.

    The axes are the units of a 1- or 2-dimensional code, and otherwise the first two principal components.

    Args:
      codes: (N, ...) codes, which are flattened.
      labels: (N,) integers or text. Up to 20 classes have one color and mark each and a legend; more have a color bar.
      names: the names of classes, by label; a label without a name is shown itself.
      what: what the examples are, in the plural.
    """
    codes = codes.reshape(len(codes), -1)
    units = codes.shape[1]
    axis_names = [f"code unit {k + 1}" for k in range(units)]
    if units > 2 and np.ptp(codes, axis=0).any():  # equal codes have no principal components
        from sklearn.decomposition import PCA

        analysis = PCA(2)
        codes = analysis.fit_transform(codes)
        axis_names = [
            f"principal component {k + 1} ({fraction:.0%})".replace("%", " %")
            for k, fraction in enumerate(analysis.explained_variance_ratio_)
        ]
    codes, axis_names = codes[:, :2], axis_names[:2]
    if codes.shape[1] == 1:
        codes, axis_names = np.column_stack([codes[:, 0], np.zeros(len(codes))]), [*axis_names, ""]
    figure = Figure(figsize=(COLUMN, 2.7), layout="constrained")
    axes = figure.add_subplot()
    _scatter(figure, axes, codes, labels, names=names or {})
    of_units = f"{units:,}-dimensional code"
    components = "" if units < 3 else "; percentages are of the codes' variance"
    axes.set_title(title_lines(f"{of_units} of {len(codes):,} {what}{components}", COLUMN - 0.5))
    axes.set_xlabel(axis_names[0])
    axes.set_ylabel(axis_names[1])
    clean_axes(axes)
    return figure


@house_style()
def embeddings(
    panels: dict[str, np.ndarray], labels: np.ndarray | None, *, title: str, names: ClassNames | None = None
) -> Figure:
    """Returns scatter plots of several 2-dimensional embeddings of the same examples, colored by class.

    Args:
      panels: title -> (N, 2) points; axes have no unit.
      labels: (N,) integers or text, as for `latent_space`.
      title: of the figure.
      names: the names of classes, as for `latent_space`.
    """
    title = title_lines(title, COLUMN)
    figure = Figure(figsize=(COLUMN, 1.75 + text_height(title) + 0.55), layout="constrained")
    figure.suptitle(title, x=0, ha="left")
    grid = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, (name, points) in zip(grid, panels.items(), strict=True):
        _scatter(figure, axes, points, labels, names=names or {}, explain=axes is grid[-1], below=True)
        axes.set_title(as_name(name))
        axes.set_xticks([])
        axes.set_yticks([])
        clean_axes(axes)
    return figure


@house_style()
def kl_per_unit(divergences: np.ndarray, *, title: str = "KL divergence of each code unit from the prior") -> Figure:
    """Returns a bar chart of the divergence of each unit from the prior, in decreasing order.

    Args:
      divergences: (K,) in nats; a unit whose divergence is near 0 is not active.
      title: of the figure.
    """
    figure = Figure(figsize=(COLUMN, 1.8), layout="constrained")
    axes = figure.add_subplot()
    order = np.argsort(-divergences)
    places = np.arange(len(divergences))
    if len(places) <= _MAX_BARS:
        axes.bar(places, divergences[order], color=TRAIN, width=0.8)
    else:
        axes.fill_between(places, divergences[order], color=TRAIN, step="mid")
    widest = text_width(str(len(places))) + 0.1
    step = math.ceil(len(places) * widest / (COLUMN - 0.9))  # as many tick labels as fit
    axes.set_xticks(places[::step], [str(unit + 1) for unit in order[::step]])
    labeled = "" if step == 1 else f"; 1 in {step} labeled"
    axes.set_xlabel(f"code unit, in decreasing order{labeled}")
    axes.set_ylabel("nats")
    axes.set_title(title_lines(title, COLUMN - 0.5))
    clean_axes(axes)
    axes.grid(visible=False, axis="x")
    return figure


def _scatter(
    figure: Figure,
    axes: Axes,
    points: np.ndarray,
    labels: np.ndarray | None,
    *,
    names: ClassNames,
    explain: bool = True,
    below: bool = False,
) -> None:
    """Draws points (N, 2), colored by class; if `explain`, adds a legend (to the right or below) or a color bar."""
    size = 12_000 / (2000 + 3 * len(points))
    classes = np.unique(labels) if labels is not None else np.empty(0)
    if labels is not None and 0 < len(classes) <= _MAX_CLASSES:
        labels, entries = np.asarray(labels), []
        order = np.random.default_rng(0).permutation(len(points))  # so that no class hides the others
        for start in range(0, len(points), max(1, len(points) // 8)):
            chosen = order[start : start + max(1, len(points) // 8)]
            for place, label in enumerate(classes):
                some = points[chosen[labels[chosen] == label]]
                color, marker = CLASS_COLORS[place % len(CLASS_COLORS)], CLASS_MARKERS[place % len(CLASS_MARKERS)]
                axes.scatter(some[:, 0], some[:, 1], color=color, marker=marker, s=size, linewidths=0, alpha=0.85)
        for place, label in enumerate(classes):
            color, marker = CLASS_COLORS[place % len(CLASS_COLORS)], CLASS_MARKERS[place % len(CLASS_MARKERS)]
            name = as_name(names.get(label, str(label)))
            count = f"(n\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}{int((labels == label).sum()):,})"
            text = wrapped(f"{name} {count}", _MAX_ENTRY, SMALL).replace("\N{NO-BREAK SPACE}", " ")
            entries.append(axes.scatter([], [], color=color, marker=marker, s=14, linewidths=0, label=text))
        if explain and below:
            figure.legend(handles=entries, loc="outside lower left", ncols=3, borderpad=0, handletextpad=0.2)
        elif explain:
            axes.legend(
                handles=entries, loc="center left", bbox_to_anchor=(1.0, 0.5), handletextpad=0.2, labelspacing=0.3
            )
        return
    values: Any = (
        TRAIN if labels is None else labels if labels.dtype.kind in "bui" else np.searchsorted(classes, labels)
    )
    x, y = points.T
    colors = None if labels is None else SEQUENTIAL
    drawn = axes.scatter(x, y, c=values, s=size, linewidths=0, alpha=0.8, cmap=colors)
    if labels is not None and explain:
        what = "label" if labels.dtype.kind in "bui" else "index of the label, in sorted order"
        bar = figure.colorbar(drawn, label=what)
        bar.ax.tick_params(labelsize=SMALL)
