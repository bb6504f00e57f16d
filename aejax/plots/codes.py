"""Figures of codes: the latent space, embeddings, and the divergence of each unit."""

import math
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from aejax.host.escaping import as_label, as_name
from aejax.plots.style import TRAIN, clean_axes

_MAX_BARS = 2000  # beyond it a filled curve replaces the bars, which are slow to draw


def latent_space(codes: np.ndarray, labels: np.ndarray | None = None) -> Figure:
    """Returns a scatter plot of codes, colored by class.

    The axes are the units of a 1- or 2-dimensional code, and otherwise the first two principal components.

    Args:
      codes: (N, ...) codes, which are flattened.
      labels: (N,) integers or text. Up to 20 classes have one color each and a legend; more have a color bar.
    """
    codes = codes.reshape(len(codes), -1)
    names = [f"code {k + 1}" for k in range(codes.shape[1])]
    if codes.shape[1] > 2 and np.ptp(codes, axis=0).any():  # equal codes have no principal components
        from sklearn.decomposition import PCA

        analysis = PCA(2)
        codes = analysis.fit_transform(codes)
        names = [
            f"principal component {k + 1} ({fraction:.0%} of the codes' variance)"
            for k, fraction in enumerate(analysis.explained_variance_ratio_)
        ]
    codes, names = codes[:, :2], names[:2]
    if codes.shape[1] == 1:
        codes, names = np.column_stack([codes[:, 0], np.zeros(len(codes))]), [*names, ""]
    figure = Figure(figsize=(6.4, 5.2), layout="constrained")
    axes = figure.add_subplot()
    _scatter(figure, axes, codes, labels)
    axes.set_xlabel(names[0])
    axes.set_ylabel(names[1])
    clean_axes(axes)
    return figure


def embeddings(panels: dict[str, np.ndarray], labels: np.ndarray | None, *, title: str) -> Figure:
    """Returns scatter plots of several 2-dimensional embeddings of the same examples, colored by class.

    Args:
      panels: title -> (N, 2) points; axes have no unit.
      labels: (N,) integers or text, as for `latent_space`.
      title: of the figure.
    """
    figure = Figure(figsize=(4.2 * len(panels) + 0.6, 4.6), layout="constrained")
    figure.suptitle(as_label(title), fontsize=11)
    grid = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, (name, points) in zip(grid, panels.items(), strict=True):
        _scatter(figure, axes, points, labels, explain=axes is grid[-1])
        axes.set_title(as_name(name), loc="left", fontsize=11)
        axes.set_xticks([])
        axes.set_yticks([])
        clean_axes(axes)
    return figure


def kl_per_unit(divergences: np.ndarray, *, title: str = "divergence of each code unit from the prior") -> Figure:
    """Returns a bar chart of the divergence of each unit from the prior, in decreasing order.

    Args:
      divergences: (K,) in nats; a unit whose divergence is near 0 is not active.
      title: of the figure.
    """
    figure = Figure(figsize=(6.4, 3.2), layout="constrained")
    axes = figure.add_subplot()
    order = np.argsort(-divergences)
    places = np.arange(len(divergences))
    if len(places) <= _MAX_BARS:
        axes.bar(places, divergences[order], color=TRAIN, width=0.8)
    else:
        axes.fill_between(places, divergences[order], color=TRAIN, step="mid")
    step = math.ceil(len(places) / (40 // len(str(len(places)))))  # as many tick labels as fit
    axes.set_xticks(places[::step], [str(unit + 1) for unit in order[::step]])
    labeled = "" if step == 1 else f"; 1 in {step} labeled"
    axes.set_xlabel(f"code unit, in decreasing order{labeled}")
    axes.set_ylabel("KL(q(z|x) ‖ p(z)), nats")
    axes.set_title(as_label(title), loc="left", fontsize=11)
    clean_axes(axes)
    axes.grid(visible=False, axis="x")
    return figure


def _scatter(
    figure: Figure, axes: Axes, points: np.ndarray, labels: np.ndarray | None, *, explain: bool = True
) -> None:
    """Draws points (N, 2), colored by class; if `explain`, adds a legend or a color bar."""
    x, y = points.T
    size = 60_000 / (2000 + 2 * len(points))
    classes = np.unique(labels) if labels is not None else np.empty(0)
    if 0 < len(classes) <= 20:
        palette = colormaps["tab10" if len(classes) <= 10 else "tab20"].colors  # type: ignore[attr-defined]
        colors = [palette[k] for k in np.searchsorted(classes, np.asarray(labels))]
        axes.scatter(x, y, c=colors, s=size, linewidths=0, alpha=0.8)
        if explain:
            for label, color in zip(classes, palette, strict=False):
                axes.scatter([], [], color=color, label=as_name(str(label)))
            axes.legend(title="class", loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    else:
        values: Any = (
            TRAIN if labels is None else labels if labels.dtype.kind in "bui" else np.searchsorted(classes, labels)
        )
        drawn = axes.scatter(x, y, c=values, s=size, linewidths=0, alpha=0.8)
        if labels is not None and explain:
            figure.colorbar(
                drawn, label="label" if labels.dtype.kind in "bui" else "index of the label, in sorted order"
            )
