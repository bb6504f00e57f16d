"""Figures of examples side by side: images as grids, series as curves, other vectors as points; piano rolls."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from matplotlib.figure import Figure

from aejax.host.escaping import as_name
from aejax.plots.mosaic import mosaic
from aejax.plots.style import COLUMN, SMALL, clean_axes, house_style
from aejax.plots.vectors import SERIES, Axis, compare_vectors, families, vector_grid

Family = Literal["path", "around"]
_ROLLS = 4  # piano rolls side by side


def reconstructions(
    rows: dict[str, np.ndarray],
    *,
    limits: tuple[float, float] | None = None,
    names: Sequence[str] = (),
    title: str = "",
    axis: Axis = SERIES,
) -> Figure:
    """Returns examples, their reconstructions, and other versions of them: images in rows, vectors over each other.

    Args:
      rows: name -> (n, ...) versions of the same examples, such as original, corrupted and reconstruction; the first
        are the originals.
      limits: of gray values; None for those of the originals.
      names: of the examples, below the images, or none.
      title: of the figure of images.
      axis: what the values of vectors are.
    """
    first = next(iter(rows.values()))
    if not is_image(first.shape[1:]):
        return compare_vectors(rows, names=names, axis=axis)
    limits = limits or (float(first.min()), float(first.max()))
    return mosaic(np.stack(list(rows.values())), limits=limits, rows=list(rows), columns=names, title=title)


def gallery(
    examples: np.ndarray,
    *,
    limits: tuple[float, float],
    title: str = "",
    rows: Sequence[str] = (),
    columns: Sequence[str] = (),
    x_label: str = "",
    y_label: str = "",
    before: np.ndarray | None = None,
    after: np.ndarray | None = None,
    family: Family | None = None,
    axis: Axis = SERIES,
) -> Figure:
    """Returns examples in rows and columns: images as a `mosaic`, vectors in small panels or by family.

    Args:
      examples: (R, C, ...), rows from the top, columns from the left.
      limits: the smallest and largest value of images, black and white.
      title: of the figure.
      rows: names of the rows, or none.
      columns: names of the columns, or none.
      x_label: what the columns of images are.
      y_label: what the rows of images are.
      before: (R, ...) an original for each row, to the left of it; None for none. Vectors are drawn over each other.
      after: (R, ...) another one, to the right; None for none.
      family: how the vectors of a row belong together: as a path from the first to the last, or as the first one and
        others around it. None if they do not.
      axis: what the values of vectors are.
    """
    originals = [some for some in (before, after) if some is not None]
    if not is_image(examples.shape[2:]):
        vectors = examples.reshape(*examples.shape[:2], -1)
        if family is None:
            return vector_grid(vectors, title=title, rows=rows, columns=columns, axis=axis)
        ends = np.stack([some.reshape(len(some), -1) for some in originals], axis=1) if originals else None
        return families(
            vectors, title=title, rows=rows, columns=columns, originals=ends, is_path=family == "path", axis=axis
        )
    breaks = []
    columns = list(columns) or [""] * examples.shape[1]
    if before is not None and after is not None:  # the ends of a path have the names of the originals beside them
        columns[0] = columns[-1] = ""
    if before is not None:
        examples, columns, breaks = np.concatenate([before[:, None], examples], axis=1), ["original", *columns], [1]
    if after is not None:
        breaks.append(examples.shape[1])
        examples, columns = np.concatenate([examples, after[:, None]], axis=1), [*columns, "original"]
    return mosaic(
        examples,
        limits=limits,
        title=title,
        rows=rows,
        columns=columns,
        x_label=x_label,
        y_label=y_label,
        breaks=breaks,
    )


@house_style()
def piano_rolls(rows: dict[str, np.ndarray], *, lowest_note: int) -> Figure:
    """Returns piano rolls: time on the x-axis, pitch on the y-axis, probability as gray value; four side by side.

    Args:
      rows: title -> (n, T, keys) in [0, 1].
      lowest_note: the MIDI number of the first key.
    """
    everything = np.concatenate(list(rows.values()))
    sounding = np.flatnonzero(everything.max(axis=(0, 1)) > 0.5)
    keys = everything.shape[2]
    low, high = (max(0, int(sounding[0]) - 1), min(keys, int(sounding[-1]) + 2)) if len(sounding) else (0, keys)
    across = min(_ROLLS, max(map(len, rows.values())))
    lines = [
        (title if start == 0 else "", windows[start : start + across])
        for title, windows in rows.items()
        for start in range(0, len(windows), across)
    ]
    figure = Figure(figsize=(COLUMN, min(0.9 * len(lines) + 0.4, 40.0)), layout="constrained")
    grid = figure.subplots(len(lines), across, squeeze=False, sharex=True, sharey=True)
    for line, (title, windows) in zip(grid, lines, strict=True):
        for unused in line[len(windows) :]:
            unused.set_axis_off()
        for axes, window in zip(line, windows, strict=False):
            extent = (0, len(window), lowest_note + low - 0.5, lowest_note + high - 0.5)
            axes.imshow(
                window[:, low:high].T, cmap="gray_r", vmin=0, vmax=1, origin="lower", aspect="auto", extent=extent
            )
            clean_axes(axes)
        if title:
            line[0].set_title(as_name(title), fontsize=SMALL)
    figure.supylabel("MIDI note", fontsize=SMALL)
    figure.supxlabel("quarter notes", fontsize=SMALL)
    return figure


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
