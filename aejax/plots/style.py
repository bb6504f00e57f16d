"""Style that all figures share: colors, axes, and the space that text needs."""

from collections.abc import Sequence

from matplotlib.axes import Axes

TRAIN, VALIDATION, QUIET = "#4c72b0", "#dd8452", "0.35"


def with_margin(low: float, high: float, fraction: float) -> tuple[float, float]:
    """Returns axis limits with a margin of a fraction of the range at either end, positive also if low = high."""
    margin = fraction * (high - low) or 0.05 * abs(high) or 1.0
    return low - margin, high + margin


def title_width(title: str) -> float:
    """Returns the width of a title's longest line in inches, at least 3."""
    return max(3.0, 0.085 * max(map(len, title.split("\n"))))


def name_width(names: Sequence[str]) -> float:
    """Returns the width of the longest row label in inches."""
    return 0.09 * max(map(len, names), default=0)


def hide_axes(axes: Axes) -> None:
    """Removes ticks and frame, for images."""
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)


def clean_axes(axes: Axes) -> None:
    """Removes the upper and right spine, mutes the others, and adds a light grid."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(QUIET)
    axes.tick_params(colors=QUIET)
    axes.grid(alpha=0.25, linewidth=0.6)
