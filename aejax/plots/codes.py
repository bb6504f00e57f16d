"""Codes: their plane, their embeddings, what each unit carries."""

import math
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from aejax.host.escaping import as_label, as_name
from aejax.plots.style import TRAIN, clean_axes

_MAX_BARS = 2000  # each is drawn by itself


def latent_space(codes: np.ndarray, labels: np.ndarray | None = None) -> Figure:
    """Codes in the plane, colored by class: as they are if they have two dimensions, else their principal components.

    Args:
      codes: (N, ...) codes, flattened.
      labels: (N,) integers or text; up to 20 classes get a color each and a legend, more of them a color scale.
    """
    codes = codes.reshape(len(codes), -1)
    names = [f"code {k + 1}" for k in range(codes.shape[1])]
    if codes.shape[1] > 2 and np.ptp(codes, axis=0).any():  # equal codes, or a single one, have no components
        from sklearn.decomposition import PCA

        analysis = PCA(2)
        codes = analysis.fit_transform(codes)
        names = [
            f"principal component {k + 1} ({part:.0%} of the codes' variance)"
            for k, part in enumerate(analysis.explained_variance_ratio_)
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
    """Layouts of the same examples in the plane, side by side, colored by class; their axes have no unit.

    Args:
      panels: title -> (N, 2) places.
      labels: (N,) integers or text, as for `latent_space`.
      title: above all panels.
    """
    figure = Figure(figsize=(4.2 * len(panels) + 0.6, 4.6), layout="constrained")
    figure.suptitle(as_label(title), fontsize=11)
    grid = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, (name, places) in zip(grid, panels.items(), strict=True):
        _scatter(figure, axes, places, labels, explain=axes is grid[-1])
        axes.set_title(as_name(name), loc="left", fontsize=11)
        axes.set_xticks([])
        axes.set_yticks([])
        clean_axes(axes)
    return figure


def kl_per_unit(divergences: np.ndarray, *, title: str = "what each unit of the code tells") -> Figure:
    """The divergence of each unit (K,) from the prior, in nats, in falling order; those near 0 are not used."""
    figure = Figure(figsize=(6.4, 3.2), layout="constrained")
    axes = figure.add_subplot()
    order = np.argsort(-divergences)
    places = np.arange(len(divergences))
    if len(places) <= _MAX_BARS:
        axes.bar(places, divergences[order], color=TRAIN, width=0.8)
    else:
        axes.fill_between(places, divergences[order], color=TRAIN, step="mid")
    step = math.ceil(len(places) / (40 // len(str(len(places)))))  # no more names than have space side by side
    axes.set_xticks(places[::step], [str(unit + 1) for unit in order[::step]])
    named = "" if step == 1 else f"; one in {step} is named"
    axes.set_xlabel(f"unit of the code, in falling order{named}")
    axes.set_ylabel("KL(q(z|x) ‖ p(z)), nats")
    axes.set_title(as_label(title), loc="left", fontsize=11)
    clean_axes(axes)
    axes.grid(visible=False, axis="x")
    return figure


def _scatter(
    figure: Figure, axes: Axes, places: np.ndarray, labels: np.ndarray | None, *, explain: bool = True
) -> None:
    """Places (N, 2), colored by class, with a legend or a color scale where that is to be explained."""
    x, y = places.T
    size = 60_000 / (2000 + 2 * len(places))
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
        points = axes.scatter(x, y, c=values, s=size, linewidths=0, alpha=0.8)
        if labels is not None and explain:
            figure.colorbar(points, label="label" if labels.dtype.kind in "bui" else "label, by its place in order")
