"""Figures of examples side by side: images, series, piano rolls."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from aejax.host.escaping import as_label, as_name
from aejax.plots.style import TRAIN, clean_axes, hide_axes, name_width, title_width, with_margin


def reconstructions(rows: dict[str, np.ndarray]) -> Figure:
    """Returns rows of examples to be compared column by column.

    Args:
      rows: title of a row -> (n, ...) examples, such as original, corrupted and reconstruction. Images are drawn as
        images, all other examples as curves. The limits of gray values and axes are those of the first row.
    """
    first = next(iter(rows.values()))
    height = 1.0 if is_image(first.shape[1:]) else 1.3
    width = 1.0 + 1.0 * len(first) + max(0.0, name_width([*map(as_name, rows)]) - 1.3)
    figure = Figure(figsize=(width, 0.25 + height * len(rows)), layout="constrained")
    low, high = float(first.min()), float(first.max())
    grid = figure.subplots(len(rows), len(first), squeeze=False)
    for line, (title, examples) in zip(grid, rows.items(), strict=True):
        for axes, example in zip(line, examples, strict=True):
            _draw(axes, example, low, high)
        line[0].set_ylabel(as_name(title), rotation=0, ha="right", va="center", fontsize=11)
    return figure


def gallery(
    examples: np.ndarray,
    *,
    limits: tuple[float, float],
    title: str = "",
    rows: Sequence[str] = (),
    columns: Sequence[str] = (),
    gap: int | None = None,
) -> Figure:
    """Returns a grid of examples with row and column labels: images as a `mosaic`, all others as curves.

    Args:
      examples: (R, C, ...), rows from the top, columns from the left.
      limits: the smallest and largest value, for gray values and for the curves' axes.
      title: of the figure.
      rows: labels of the rows, or none.
      columns: labels of the columns, or none.
      gap: white pixels between images; None uses 1/14 of their width.
    """
    shape = examples.shape[2:]
    if is_image(shape):
        gap = max(1, shape[1] // 14) if gap is None else gap
        return mosaic(examples, limits=limits, title=title, rows=rows, columns=columns, gap=gap)
    lines, across = examples.shape[:2]
    title, rows, columns = as_label(title), [*map(as_name, rows)], [*map(as_name, columns)]
    width = max(0.9 * across, title_width(title)) + name_width(rows)
    figure = Figure(figsize=(width, 0.75 * lines + 0.7), layout="constrained")
    figure.suptitle(title, fontsize=11)
    grid = figure.subplots(lines, across, squeeze=False)
    for axes, example in zip(grid.flat, examples.reshape(-1, *shape), strict=True):
        _draw(axes, example, *limits)
    for axes, name in zip(grid[:, 0], rows, strict=False):
        axes.set_ylabel(name, rotation=0, ha="right", va="center", fontsize=9)
    for axes, name in zip(grid[-1], columns, strict=False):
        axes.set_xlabel(name, fontsize=9)
    return figure


def mosaic(
    examples: np.ndarray,
    *,
    limits: tuple[float, float],
    title: str,
    rows: Sequence[str] = (),
    columns: Sequence[str] = (),
    gap: int = 1,
) -> Figure:
    """Returns a grid of images with row and column labels, drawn as one large image.

    Args:
      examples: (R, C, H, W) or (R, C, H, W, channels), rows from the top, columns from the left.
      limits: the smallest and largest value, black and white.
      title: of the figure.
      rows: labels of the rows, or none.
      columns: labels of the columns, or none.
      gap: white pixels between images.
    """
    across = examples.shape[1]
    title, rows, columns = as_label(title), [*map(as_name, rows)], [*map(as_name, columns)]
    edges = ((0, 0), (0, 0), (gap, gap), (gap, gap), *[(0, 0)] * (examples.ndim - 4))
    examples = np.pad(examples, edges, constant_values=limits[1])
    height, width = examples.shape[2:4]
    image = np.concatenate(np.concatenate(examples, axis=1), axis=1)
    scale = 1.0 if across <= 12 else 12 / across
    size = (max(scale * across, title_width(title)) + name_width(rows), scale * len(examples) * height / width + 0.7)
    figure = Figure(figsize=size, layout="compressed")  # "constrained" truncates labels
    axes = figure.add_subplot()
    figure.suptitle(title, fontsize=11)
    _draw(axes, image, *limits)
    axes.tick_params(length=0, labelsize=9)
    if rows:
        axes.set_yticks(height * (np.arange(len(rows)) + 0.5) - 0.5, rows)
    if columns:
        axes.set_xticks(width * (np.arange(len(columns)) + 0.5) - 0.5, columns)
    return figure


def piano_rolls(rows: dict[str, np.ndarray], *, lowest_note: int) -> Figure:
    """Returns piano rolls side by side: time on the x-axis, pitch on the y-axis, probability as gray value.

    Args:
      rows: title -> (n, T, keys) in [0, 1].
      lowest_note: the MIDI number of the first key.
    """
    everything = np.concatenate(list(rows.values()))
    sounding = np.flatnonzero(everything.max(axis=(0, 1)) > 0.5)
    low, high = (int(sounding[0]) - 1, int(sounding[-1]) + 2) if len(sounding) else (0, everything.shape[2])
    columns = max(map(len, rows.values()))
    figure = Figure(figsize=(1.4 * columns + 0.8, 2.6 * len(rows)), layout="constrained")
    grid = figure.subplots(len(rows), columns, squeeze=False, sharex=True, sharey=True)
    for line, (title, windows) in zip(grid, rows.items(), strict=True):
        for axes, window in zip(line, windows, strict=False):
            extent = (0, len(window), lowest_note + low - 0.5, lowest_note + high - 0.5)
            axes.imshow(
                window[:, low:high].T, cmap="gray_r", vmin=0, vmax=1, origin="lower", aspect="auto", extent=extent
            )
        line[0].set_title(as_name(title), loc="left", fontsize=11)
        line[0].set_ylabel("MIDI note")
    grid[-1, 0].set_xlabel("quarter notes")
    return figure


def frames_of_curves(curves: np.ndarray, *, limits: tuple[float, float]) -> np.ndarray:
    """Returns the frames of an animation that draws one curve per frame on the same axes.

    Args:
      curves: (F, ...) examples to draw.
      limits: of the y-axis.

    Returns:
      (F, H, W, 3) images, uint8.
    """
    figure = Figure(figsize=(4.2, 2.4), layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    _draw_curve(axes, curves[0], *limits)
    clean_axes(axes)
    frames = []
    for curve in curves:
        axes.lines[0].set_ydata(curve.ravel())
        canvas.draw()
        frames.append(np.asarray(canvas.buffer_rgba())[..., :3].copy())
    return np.stack(frames)


def series_as_images(series: np.ndarray) -> np.ndarray:
    """Returns series as images: time from left to right, the first channel at the bottom.

    Time steps or channels, whichever are fewer, are repeated so that the images are about square.

    Args:
      series: (..., T, channels).

    Returns:
      (..., H, W) images; (..., T) curves if there is only one channel.

    >>> series_as_images(np.array([[1, 2], [3, 4], [5, 6]])).tolist()
    [[2, 4, 6], [1, 3, 5]]
    >>> series_as_images(np.zeros((5, 16, 88))).shape, series_as_images(np.zeros((5, 16, 1))).shape
    ((5, 88, 80), (5, 16))
    """
    steps, channels = series.shape[-2:]
    if channels == 1:
        return series[..., 0]
    images = np.swapaxes(series, -2, -1)[..., ::-1, :]
    return images.repeat(max(1, channels // steps), axis=-1).repeat(max(1, steps // channels), axis=-2)


def is_image(shape: tuple[int, ...]) -> bool:
    """Returns whether an example of this shape can be drawn as an image: (H, W), (H, W, 1) or (H, W, 3).

    >>> is_image((8, 8, 1)), is_image((28, 28)), is_image((140,)), is_image((8, 8, 5))
    (True, True, False, False)
    """
    return len(shape) == 2 or (len(shape) == 3 and shape[-1] in (1, 3))


def _draw(axes: Axes, example: np.ndarray, low: float, high: float) -> None:
    if is_image(example.shape):
        image = example[..., 0] if example.shape[2:] == (1,) else example
        image = np.clip((image - low) / ((high - low) or 1.0), 0, 1)
        axes.imshow(image, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    else:
        _draw_curve(axes, example, low, high)
    hide_axes(axes)


def _draw_curve(axes: Axes, example: np.ndarray, low: float, high: float) -> None:
    axes.plot(example.ravel(), color=TRAIN, linewidth=1)
    axes.set_ylim(with_margin(low, high, 0.1))
