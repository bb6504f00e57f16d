"""One function per figure; each returns a Matplotlib figure and touches neither files nor global state."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from aejax.escaping import as_label, as_name

_TRAIN, _VALIDATION, _QUIET = "#4c72b0", "#dd8452", "0.35"
_MAX_BARS = 2000  # each is drawn by itself
_COLORS = {"train": _TRAIN, "validation": _VALIDATION}
_TITLES = {"code/frobenius_norm": "mean norm of the encoder's Jacobian"}


def training_curves(
    records: Sequence[dict[str, Any]], *, best_epoch: float, unit_of: Callable[[str], str], columns: int = 3
) -> Figure:
    """Every loss term over the epochs, of training and validation, one panel a term; the best epoch is marked.

    Args:
      records: each with `epoch` and means named train/TERM and validation/TERM, or validation/TERM alone.
      best_epoch: that of the record to mark.
      unit_of: TERM -> its unit, for the axis.
      columns: of panels, at most.
    """
    records = [record for record in records if "validation/loss" in record]
    names = dict.fromkeys(name for record in records for name in record if name.startswith("validation/"))
    terms = [name.removeprefix("validation/") for name in names] or ["loss"]  # of no evaluation an empty panel
    terms = [term for term in terms if term == "loss" or not _mirrors_the_loss(records, term)]
    terms.sort(key=lambda term: (term != "loss", term))
    columns = min(columns, len(terms))
    lines = math.ceil(len(terms) / columns)
    figure = Figure(figsize=(3.8 * columns, 3.0 * lines), layout=ConstrainedLayoutEngine(hspace=0.08))
    epochs = [record["epoch"] for record in records]
    best = [record for record in records if record["epoch"] == best_epoch]  # none of a run that diverged at once
    for place, term in enumerate(terms):
        axes = figure.add_subplot(lines, columns, place + 1)
        curves = {split: [record.get(f"{split}/{term}", math.nan) for record in records] for split in _COLORS}
        for split, values in curves.items():
            label = "train, during the epoch" if split == "train" else split
            axes.plot(epochs, values, color=_COLORS[split], label=label, linewidth=1.4)
        for record in best:
            value, label = record.get(f"validation/{term}", math.nan), f"best epoch ({best_epoch:g})"
            axes.plot(best_epoch, value, "o", color=_VALIDATION, markeredgecolor="white", label=label)
        axes.set_title(as_label(_TITLES.get(term, term.replace("_", " "))), loc="left", fontsize=11)
        axes.set_xlabel("epoch")
        axes.set_ylabel(as_label(unit_of(term)))
        axes.set_ylim(_limits_without_start(list(curves.values())))
        clean_axes(axes)
    figure.axes[0].legend(frameon=False)
    return figure


def _mirrors_the_loss(records: Sequence[dict[str, Any]], term: str) -> bool:
    """Whether a term is the loss itself, or the loss upside down, as the evidence lower bound often is."""
    return all(abs(record.get(f"validation/{term}", math.nan)) == abs(record["validation/loss"]) for record in records)


def _limits_without_start(curves: Sequence[Sequence[float]]) -> tuple[float, float]:
    """Limits that hold every value after the first tenth, whose fall would flatten the rest."""
    values = np.concatenate([np.asarray(curve)[len(curve) // 10 :] for curve in curves])
    values = values[np.isfinite(values)]
    if not values.size:
        return 0.0, 1.0
    low, high = float(values.min()), float(values.max())
    return _with_margin(low, high, 0.08)


def _with_margin(low: float, high: float, part: float) -> tuple[float, float]:
    """Limits that leave that part of the range free at either end, and of equal values something too."""
    margin = part * (high - low) or 0.05 * abs(high) or 1.0
    return low - margin, high + margin


def reconstructions(rows: dict[str, np.ndarray]) -> Figure:
    """Rows of examples above each other, for comparison column by column.

    Args:
      rows: title of a row -> (n, ...) examples, such as original, corrupted and reconstruction; images are drawn as
        images, vectors as curves.
    """
    first = next(iter(rows.values()))
    height = 1.0 if is_image(first.shape[1:]) else 1.3
    width = 1.0 + 1.0 * len(first) + max(0.0, _name_width([*map(as_name, rows)]) - 1.3)
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
    """Examples (R, C, ...) in rows and columns, with names for both: images as a `mosaic`, others as curves.

    Args:
      examples: those of a row from left to right, the rows from the top.
      limits: the least and the greatest value of the data, of gray values and of the curves' axes.
      title: above all.
      rows: a name for each row, or none.
      columns: a name for each column, or none.
      gap: white pixels between images; a fourteenth of their width if not given.
    """
    shape = examples.shape[2:]
    if is_image(shape):
        gap = max(1, shape[1] // 14) if gap is None else gap
        return mosaic(examples, limits=limits, title=title, rows=rows, columns=columns, gap=gap)
    lines, across = examples.shape[:2]
    title, rows, columns = as_label(title), [*map(as_name, rows)], [*map(as_name, columns)]
    width = max(0.9 * across, _title_width(title)) + _name_width(rows)
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
    """Images (R, C, H, W) or (R, C, H, W, channels) side by side in one picture, with names for rows and columns.

    Args:
      examples: those of a row from left to right, the rows from the top.
      limits: of the gray values.
      title: above all.
      rows: a name for each row, or none.
      columns: a name for each column, or none.
      gap: white pixels between images.
    """
    across = examples.shape[1]
    title, rows, columns = as_label(title), [*map(as_name, rows)], [*map(as_name, columns)]
    edges = ((0, 0), (0, 0), (gap, gap), (gap, gap), *[(0, 0)] * (examples.ndim - 4))
    examples = np.pad(examples, edges, constant_values=limits[1])
    height, width = examples.shape[2:4]
    picture = np.concatenate(np.concatenate(examples, axis=1), axis=1)
    scale = 1.0 if across <= 12 else 12 / across
    size = (max(scale * across, _title_width(title)) + _name_width(rows), scale * len(examples) * height / width + 0.7)
    figure = Figure(figsize=size, layout="compressed")  # a constrained one cuts names off
    axes = figure.add_subplot()
    figure.suptitle(title, fontsize=11)
    _draw(axes, picture, *limits)
    axes.tick_params(length=0, labelsize=9)
    if rows:
        axes.set_yticks(height * (np.arange(len(rows)) + 0.5) - 0.5, rows)
    if columns:
        axes.set_xticks(width * (np.arange(len(columns)) + 0.5) - 0.5, columns)
    return figure


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


def anomaly_scores(
    validation_scores: np.ndarray, scores: np.ndarray, is_anomaly: np.ndarray | None, *, threshold: float, unit: str
) -> Figure:
    """How scores are distributed, with the threshold; and where both kinds are known, the receiver operating curve.

    Args:
      validation_scores: (M,) of normal examples, which the threshold is from.
      scores: (N,) of the examples in question.
      is_anomaly: (N,) booleans, or None.
      threshold: above which an example is taken for an anomaly.
      unit: of the scores.
    """
    groups = {"validation, normal": (validation_scores, _QUIET)}
    if is_anomaly is None:
        groups["in question"] = (scores, _VALIDATION)
    else:
        groups |= {"normal": (scores[~is_anomaly], _TRAIN), "anomalies": (scores[is_anomaly], _VALIDATION)}
    has_both = is_anomaly is not None and 0 < int(is_anomaly.sum()) < len(is_anomaly)
    figure = Figure(figsize=(9.6 if has_both else 5.6, 3.6), layout="constrained")
    axes, *others = figure.subplots(1, 2 if has_both else 1, squeeze=False)[0]
    together = np.concatenate([validation_scores, scores])
    is_positive = together.min() > 0
    if is_positive and together.max() > 20 * together.min():
        bins = np.geomspace(together.min(), together.max(), 41)
        axes.set_xscale("log")
    else:
        most = validation_scores.max() + 20 * np.ptp(validation_scores)  # what is beyond is in the last bin
        low, high = float(together.min()), float(min(together.max(), most))
        bins = np.linspace(low, high if high > low else _with_margin(low, low, 0.1)[1], 41)
    for name, (values, color) in groups.items():
        if not len(values):
            continue
        weights = np.full(len(values), 100 / len(values))
        axes.hist(
            np.minimum(values, bins[-1]), bins, weights=weights, color=color, histtype="step", linewidth=1.4, label=name
        )
    axes.axvline(threshold, color="black", linewidth=1, linestyle="--", label="threshold")
    axes.set_xlabel(as_label(unit))
    axes.set_ylabel("% of each group")
    axes.legend(frameon=False)
    clean_axes(axes)
    if has_both:
        assert is_anomaly is not None
        from sklearn.metrics import roc_curve

        axes = others[0]
        false_positives, recall, _ = roc_curve(is_anomaly, scores)
        axes.plot(false_positives, recall, color=_TRAIN, linewidth=1.4)
        axes.plot([0, 1], [0, 1], color=_QUIET, linewidth=1, linestyle=":")
        place = [np.mean(scores[~is_anomaly] > threshold), np.mean(scores[is_anomaly] > threshold)]
        axes.plot(*place, "o", color=_VALIDATION, label="at the threshold")
        axes.set_xlabel("part of normal examples above")
        axes.set_ylabel("part of anomalies above")
        axes.legend(frameon=False, loc="lower right")
        clean_axes(axes)
    return figure


def kl_per_unit(divergences: np.ndarray, *, title: str = "what each unit of the code tells") -> Figure:
    """The divergence of each unit (K,) from the prior, in nats, in falling order; those near 0 are not used."""
    figure = Figure(figsize=(6.4, 3.2), layout="constrained")
    axes = figure.add_subplot()
    order = np.argsort(-divergences)
    places = np.arange(len(divergences))
    if len(places) <= _MAX_BARS:
        axes.bar(places, divergences[order], color=_TRAIN, width=0.8)
    else:
        axes.fill_between(places, divergences[order], color=_TRAIN, step="mid")
    step = math.ceil(len(places) / (40 // len(str(len(places)))))  # no more names than have space side by side
    axes.set_xticks(places[::step], [str(unit + 1) for unit in order[::step]])
    named = "" if step == 1 else f"; one in {step} is named"
    axes.set_xlabel(f"unit of the code, in falling order{named}")
    axes.set_ylabel("KL(q(z|x) ‖ p(z)), nats")
    axes.set_title(as_label(title), loc="left", fontsize=11)
    clean_axes(axes)
    axes.grid(visible=False, axis="x")
    return figure


def piano_rolls(rows: dict[str, np.ndarray], *, lowest_note: int) -> Figure:
    """Windows of music side by side, time to the right and pitch upwards, gray by the probability that a key sounds.

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


def rate_distortion(curves: Mapping[str, tuple[Sequence[float], Sequence[float]]], *, title: str) -> Figure:
    """Peak signal-to-noise ratio, in dB, against bits per number, a curve for each way to compress.

    Args:
      curves: name -> (bits per number, ratio).
      title: above the curves.
    """
    figure = Figure(figsize=(7.2, 4.4), layout="constrained")
    axes = figure.add_subplot()
    for name, (bits, ratios) in curves.items():
        order = np.argsort(bits)
        is_ours = name == next(iter(curves))
        line = axes.plot(np.asarray(bits)[order], np.asarray(ratios)[order], linewidth=2.2 if is_ours else 1.3)[0]
        line.set(marker="o", markersize=4 if is_ours else 3, label=as_name(name), zorder=3 if is_ours else 2)
    axes.set_xscale("log")
    axes.set_xlabel("bits per number of an example")
    axes.set_ylabel("peak signal-to-noise ratio, dB")
    axes.set_title(as_label(title), loc="left", fontsize=11)
    axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    clean_axes(axes)
    return figure


def frames_of_curves(curves: np.ndarray, *, limits: tuple[float, float]) -> np.ndarray:
    """Curves (F, ...) drawn one after another in the same axes: images (F, H, W, 3) of bytes, for a moving picture.

    Args:
      curves: each of an example.
      limits: of the axis.
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
    """Series (..., T, channels) as images (..., H, W): time to the right, the first channel at the bottom.

    Steps or channels, whichever are fewer, are repeated until the images are about square. Of one channel they are
    curves (..., T).

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
    """Whether an example of this shape can be drawn as an image: (H, W), or (H, W, C) in gray or color.

    >>> is_image((8, 8, 1)), is_image((28, 28)), is_image((140,)), is_image((8, 8, 5))
    (True, True, False, False)
    """
    return len(shape) == 2 or (len(shape) == 3 and shape[-1] in (1, 3))


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
            _TRAIN if labels is None else labels if labels.dtype.kind in "bui" else np.searchsorted(classes, labels)
        )
        points = axes.scatter(x, y, c=values, s=size, linewidths=0, alpha=0.8)
        if labels is not None and explain:
            figure.colorbar(points, label="label" if labels.dtype.kind in "bui" else "label, by its place in order")


def _draw(axes: Axes, example: np.ndarray, low: float, high: float) -> None:
    if is_image(example.shape):
        image = example[..., 0] if example.shape[2:] == (1,) else example
        image = np.clip((image - low) / ((high - low) or 1.0), 0, 1)
        axes.imshow(image, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    else:
        _draw_curve(axes, example, low, high)
    hide_axes(axes)


def _draw_curve(axes: Axes, example: np.ndarray, low: float, high: float) -> None:
    axes.plot(example.ravel(), color=_TRAIN, linewidth=1)
    axes.set_ylim(_with_margin(low, high, 0.1))


def _title_width(title: str) -> float:
    """Inches that the longest line of a title takes, 3 at least."""
    return max(3.0, 0.085 * max(map(len, title.split("\n"))))


def _name_width(names: Sequence[str]) -> float:
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
    axes.spines[["left", "bottom"]].set_color(_QUIET)
    axes.tick_params(colors=_QUIET)
    axes.grid(alpha=0.25, linewidth=0.6)
