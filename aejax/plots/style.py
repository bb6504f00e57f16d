"""What all figures share: colors, axes, the room that text takes."""

from collections.abc import Sequence

from matplotlib.axes import Axes

TRAIN, VALIDATION, QUIET = "#4c72b0", "#dd8452", "0.35"


def with_margin(low: float, high: float, part: float) -> tuple[float, float]:
    """Limits that leave that part of the range free at either end, and of equal values something too."""
    margin = part * (high - low) or 0.05 * abs(high) or 1.0
    return low - margin, high + margin


def title_width(title: str) -> float:
    """Inches that the longest line of a title takes, 3 at least."""
    return max(3.0, 0.085 * max(map(len, title.split("\n"))))


def name_width(names: Sequence[str]) -> float:
    """Inches that the longest name of a row takes."""
    return 0.09 * max(map(len, names), default=0)


def hide_axes(axes: Axes) -> None:
    """Take away ticks and frame, as around an image."""
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)


def clean_axes(axes: Axes) -> None:
    """Take away what distracts from a curve: half of the frame, strong ticks; a light grid instead."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(QUIET)
    axes.tick_params(colors=QUIET)
    axes.grid(alpha=0.25, linewidth=0.6)
