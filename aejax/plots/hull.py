"""The figure of distortion over rate of several autoencoders, with their lower hull."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int
from matplotlib.figure import Figure

from aejax.host.escaping import as_name
from aejax.plots.style import BLUE, COLUMN, QUIET, SMALL, clean_axes, house_style, title_lines, with_margin

_OVERLAP = 0.06  # of the panel's width and height, within which two names overlap


@house_style()
def rate_distortion_plane(
    rates: Float[np.ndarray, "N S"],
    distortions: Float[np.ndarray, "N S"],
    *,
    hull: Int[np.ndarray, "M"],
    names: Sequence[str],
    title: str,
) -> Figure:
    """Returns the mean rate and distortion of N settings, the runs of which they are means, and the lower hull.

    The settings on the hull have their names. On the dashed line the negative evidence lower bound, the sum of both, is
    that of the best setting: no setting is below it.

    Args:
      rates: R of every setting and seed, in nats per example.
      distortions: D of the same.
      hull: positions of the settings on the hull of the means.
      names: of the settings, such as the value of β.
      title: of the figure.
    """
    mean_rates, mean_distortions = rates.mean(axis=1), distortions.mean(axis=1)
    hull = hull[np.argsort(mean_rates[hull])]
    title = title_lines(title, COLUMN)
    figure = Figure(figsize=(COLUMN, 2.9), layout="constrained")
    axes = figure.add_subplot()
    low, high = with_margin(float(np.min(rates)), float(np.max(rates)), 0.15)  # at the right for a name
    low = max(low, min(-0.04 * high, float(np.min(rates))))  # a rate is not negative, up to rounding
    bottom, top = with_margin(float(np.min(distortions)), float(np.max(distortions)), 0.1)
    best = float(np.min(mean_rates + mean_distortions))
    label = f"-ELBO = {best:.4g} nats, the best"
    axes.plot([low, high], [best - low, best - high], "--", color=QUIET, linewidth=0.8, zorder=1, label=label)
    if rates.shape[1] > 1:
        axes.plot(rates.ravel(), distortions.ravel(), ".", color="0.7", markersize=2.5, zorder=2, label="runs")
    axes.plot(mean_rates[hull], mean_distortions[hull], color=BLUE, linewidth=1.2, zorder=3, label="lower hull")
    of_mean = "means of settings" if rates.shape[1] > 1 else "settings"
    on_hull = np.isin(np.arange(len(mean_rates)), hull)
    for chosen, face in ((on_hull, BLUE), (~on_hull, "white")):
        what = of_mean if face == BLUE else "above the hull"
        if chosen.any():
            marks = axes.plot(mean_rates[chosen], mean_distortions[chosen], "o", color=BLUE, zorder=4, label=what)[0]
            marks.set(markersize=3.5, markerfacecolor=face, markeredgewidth=0.8)
    points = np.column_stack([mean_rates, mean_distortions])
    for group in _close(points[hull] / [high - low, top - bottom]):
        text = "; ".join(as_name(names[place]) for place in hull[group])
        place = hull[group[-1]]
        axes.annotate(text, points[place], xytext=(4, 3), textcoords="offset points", fontsize=SMALL, zorder=5)
    axes.set_xlim(low, high)
    axes.set_ylim(bottom, top)
    axes.set_xlabel("rate, KL divergence from the prior, nats")
    axes.set_ylabel("distortion, -log p(x | z), nats")
    figure.suptitle(title, x=0, ha="left")
    figure.legend(loc="outside lower left", ncols=2, borderpad=0)
    clean_axes(axes)
    return figure


def _close(points: Float[np.ndarray, "M 2"]) -> list[list[int]]:
    """Returns the positions of points, in order, in groups of neighbors whose names would overlap."""
    groups: list[list[int]] = []
    for place, point in enumerate(points):
        if groups and np.all(np.abs(point - points[groups[-1][0]]) < _OVERLAP):
            groups[-1].append(place)
        else:
            groups.append([place])
    return groups
