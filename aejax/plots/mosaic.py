"""A grid of images with the names of rows and columns, without space that is not used."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from aejax.host.escaping import MAX_NAME, as_label
from aejax.plots.style import (
    COLUMN,
    SMALL,
    TEXT,
    hide_axes,
    house_style,
    text_height,
    text_width,
    that_fit,
    title_lines,
    wrapped,
)

_CELL, _MAX_SIDE = 48, 4000  # pixels: the smallest side of a drawn image, and the largest side of the grid
_GAP, _WIDE_GAP = 0.07, 0.35  # between images, relative to their shorter side
_FRAME = 0.65  # gray value of the frame around images with a light border
_PAD = 0.04  # inches between text and images
_LARGEST, _MAX_ROW_NAME = 1.0, 0.9  # inches: the largest side of one image, and of a line of a row's name
_MAX_HEIGHT = 40.0  # inches of a figure


@house_style()
def mosaic(
    examples: np.ndarray,
    *,
    limits: tuple[float, float],
    title: str = "",
    rows: Sequence[str] = (),
    columns: Sequence[str] = (),
    x_label: str = "",
    y_label: str = "",
    breaks: Sequence[int] = (),
) -> Figure:
    """Returns a grid of images with names of rows and columns; the figure is as high as the images require.

    Images with a light border, such as pages, have a frame.

    Args:
      examples: (R, C, H, W) or (R, C, H, W, channels), rows from the top, columns from the left.
      limits: the smallest and largest value, black and white.
      title: of the figure.
      rows: names of the rows, or none. Of more names than fit, some are left out.
      columns: names of the columns, or none.
      x_label: what the columns are.
      y_label: what the rows are.
      breaks: columns with a wide gap on their left.
    """
    image, lefts, tops, cell = _as_one_image(_scaled(examples, limits), breaks)
    height, width = image.shape[:2]
    rows = [wrapped(as_label(name, limit=MAX_NAME), _MAX_ROW_NAME, SMALL) for name in rows]
    columns, below_text = [as_label(name, limit=MAX_NAME) for name in columns], as_label(x_label)
    named = max(map(text_width, rows), default=0.0)
    left = (named + 2 * _PAD if rows else 0.0) + (text_height("y", TEXT) if y_label else 0.0)
    last = text_width(columns[-1]) if columns else 0.0
    right = max(0.0, (last - (COLUMN - left) * cell[1] / width) / 2)  # what the last name needs beside its image
    across = min(COLUMN - left - right, _LARGEST * len(lefts))
    scale = min(across / width, (_MAX_HEIGHT - 2) / height)  # inches per pixel
    across, down = scale * width, scale * height
    figure_width = max(left + across + right, min(COLUMN, text_width(as_label(title), TEXT) + _PAD))
    title = title_lines(title, figure_width)
    top = text_height(title, TEXT) + (_PAD if title else 0.0)
    below_text = wrapped(below_text, across, TEXT)
    below = max(map(text_height, columns), default=0.0)
    bottom = below + (text_height(below_text, TEXT) if below_text else 0.0)
    figure = Figure(figsize=(figure_width, top + down + bottom))
    total = top + down + bottom
    axes = figure.add_axes((left / figure_width, bottom / total, across / figure_width, down / total))
    hide_axes(axes)
    axes.set_facecolor("none")
    axes.imshow(image, cmap="gray", vmin=0, vmax=1, interpolation="none", aspect="auto")
    figure.text(0, 1, title, ha="left", va="top", fontsize=TEXT)
    text: dict[str, Any] = {"fontsize": SMALL, "linespacing": 1.0}
    for name, place in zip(that_fit(rows, scale * tops, upright=True), tops, strict=False):
        axes.text(-0.5 - _PAD / scale, place + cell[0] / 2 - 0.5, name, ha="right", va="center", **text)
    for name, place in zip(that_fit(columns, scale * lefts), lefts, strict=False):
        axes.text(place + cell[1] / 2 - 0.5, height - 0.5 + 0.5 * _PAD / scale, name, ha="center", va="top", **text)
    figure.text((left + across / 2) / figure_width, 0, below_text, ha="center", va="bottom", fontsize=TEXT)
    middle = (bottom + down / 2) / total
    figure.text(0, middle, as_label(y_label), ha="left", va="center", rotation=90, fontsize=TEXT)
    return figure


def _scaled(examples: np.ndarray, limits: tuple[float, float]) -> np.ndarray:
    """Returns images with values in [0, 1], without an axis of one channel."""
    examples = examples[..., 0] if examples.ndim == 5 and examples.shape[-1] == 1 else examples
    low, high = map(float, limits)
    return np.clip((np.asarray(examples, np.float64) - low) / ((high - low) or 1.0), 0, 1)


def _as_one_image(
    examples: np.ndarray, breaks: Sequence[int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, tuple[int, int]]:
    """Returns all images in one, the first pixel of each column and of each row, and the size of an image."""
    lines, across, height, width = examples.shape[:4]
    most = _MAX_SIDE // max(lines * height, across * width)
    factor = max(1, min(-(-_CELL // min(height, width)), most))
    examples = examples.repeat(factor, axis=2).repeat(factor, axis=3)
    if _is_light(examples):
        edge = max(1, min(examples.shape[2:4]) // 100)
        pads = ((0, 0), (0, 0), (edge, edge), (edge, edge), *[(0, 0)] * (examples.ndim - 4))
        examples = np.pad(examples, pads, constant_values=_FRAME)
    height, width = examples.shape[2:4]
    gap, wide = (max(1, round(fraction * min(height, width))) for fraction in (_GAP, _WIDE_GAP))
    gaps = np.array([wide if column in breaks else gap for column in range(across)])
    gaps[0] = 0
    lefts, tops = np.cumsum(gaps) + width * np.arange(across), (height + gap) * np.arange(lines)
    image = np.ones((tops[-1] + height, lefts[-1] + width, *examples.shape[4:]))
    for row, top in zip(examples, tops, strict=True):
        for example, left in zip(row, lefts, strict=True):
            image[top : top + height, left : left + width] = example
    return image, lefts, tops, (height, width)


def _is_light(examples: np.ndarray) -> bool:
    """Returns whether most pixels on the images' borders are light, so that images next to each other run together."""
    edges = [examples[:, :, 0], examples[:, :, -1], examples[:, :, :, 0], examples[:, :, :, -1]]
    return bool(np.median(np.concatenate([edge.ravel() for edge in edges])) > 0.75)
