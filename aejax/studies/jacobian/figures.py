"""Figures of a study: each function returns a Matplotlib figure and changes neither files nor global state."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from aejax.plots import clean_axes, hide_axes, house_style, is_image
from aejax.plots.style import BLUE, COLUMN, GREEN, ORANGE, PINK, QUIET, SMALL, VERMILION, text_width
from aejax.studies.jacobian.measure import RADII, Curves
from aejax.studies.jacobian.methods import METHODS
from aejax.studies.jacobian.settings import MethodName
from aejax.studies.jacobian.table import strength_of
from aejax.studies.sweeps.table import Summary

_COLORS: dict[MethodName, str] = {
    "ae": QUIET,
    "weight-decay": ORANGE,
    "dae-gaussian": BLUE,
    "dae-masking": GREEN,
    "cae": VERMILION,
    "cae-estimator": PINK,
}
_DASHED: MethodName = "cae-estimator"  # its curve often coincides with that of the exact method
_COLUMNS: list[list[MethodName]] = [["weight-decay"], ["dae-gaussian"], ["dae-masking"], ["cae", "cae-estimator"]]
_MEASURES = {
    "reconstruction": "cross-entropy,\nnats",
    "jacobian_norm": "mean ‖J‖$_F$",
    "probe_error_percent": "probe error, %",
    "probe_error_under_noise_percent": "probe error\nunder noise, %",
}


@house_style()
def spectra(curves: Mapping[MethodName, Curves], chosen: Mapping[MethodName, Summary]) -> Figure:
    """Returns a plot of the singular values of the encoder's Jacobian in descending order, one curve per method.

    Args:
      curves: of every method at its chosen strength.
      chosen: the setting with the chosen strength of every method.
    """
    figure, axes = _single()
    for method, curve in curves.items():
        values = curve.singular_values
        _line(axes, method, np.arange(1, len(values) + 1), values, chosen)
    everything = np.concatenate([curve.singular_values for curve in curves.values()])
    largest = float(everything.max()) or 1.0
    axes.set_yscale("log")
    axes.set_ylim(max(1e-4 * largest, 0.5 * float(everything.min())), 2 * largest)  # smaller values are rounding error
    axes.set_xlabel("index")
    axes.set_ylabel("singular value of\nthe encoder's Jacobian")
    return _with_legend(figure, axes)


@house_style()
def contraction(curves: Mapping[MethodName, Curves], chosen: Mapping[MethodName, Summary], *, nearest: float) -> Figure:
    """Returns a plot of contraction ratios over the distance, relative to the ratio at the smallest distance.

    The ratio is the distance in code space over the distance in input space.

    Args:
      curves: of every method at its chosen strength.
      chosen: the setting with the chosen strength of every method.
      nearest: the typical distance of an example from its nearest training example, which is marked.
    """
    figure, axes = _single()
    for method, curve in curves.items():
        _line(axes, method, RADII, curve.contraction / max(float(curve.contraction[0]), 1e-12), chosen)
    axes.axvline(nearest, color="0.6", linewidth=1, linestyle=":", zorder=0)
    axes.annotate(
        "nearest training example ",
        (nearest, 0.02),
        xycoords=("data", "axes fraction"),
        rotation=90,
        ha="right",
        va="bottom",
        color="0.45",
        fontsize=SMALL,
    )
    axes.set_xscale("log")
    axes.set_xlabel("distance from a test example")
    axes.set_ylabel("contraction ratio, relative\nto small distances")
    return _with_legend(figure, axes)


@house_style()
def filters(
    weights: Mapping[MethodName, np.ndarray], chosen: Mapping[MethodName, Summary], shape: Sequence[int], *, count: int
) -> Figure:
    """Returns a figure of the weights of units, drawn in the shape of an example, each on its own scale.

    Every method has one row, with its units of largest norm.

    Args:
      weights: (inputs, units) of one member of every method.
      chosen: the setting with the strength of that member.
      shape: of an example.
      count: the number of units per row.
    """
    count = min(count, *(kernel.shape[1] for kernel in weights.values()))
    titles = [
        "\n".join(filter(None, (METHODS[method].title.replace(", ", ",\n"), strength_of(chosen[method]))))
        for method in weights
    ]
    left = max(map(text_width, titles)) + 0.06
    side = (COLUMN - left) / count
    figure = Figure(figsize=(COLUMN, max(side, 0.45) * len(weights)))
    sides = {"left": left / COLUMN, "right": 1.0, "top": 1.0, "bottom": 0.0, "wspace": 0.06, "hspace": 0.06}
    grid = figure.subplots(len(weights), count, squeeze=False, gridspec_kw=sides)
    for title, line, (_, kernel) in zip(titles, grid, weights.items(), strict=True):
        largest = np.argsort(-np.linalg.norm(kernel.astype(np.float64), axis=0))[:count]
        for axes, unit in zip(line, kernel.T[largest], strict=True):
            _draw_filter(axes, unit.reshape(tuple(shape)))
        line[0].set_ylabel(title, rotation=0, ha="right", va="center", fontsize=SMALL)
    return figure


@house_style()
def error_against_strength(summaries: Sequence[Summary]) -> Figure:
    """Returns plots of the main measures over the strength: mean and standard deviation over seeds.

    The plain autoencoder, which has no strength, is a horizontal line.

    Args:
      summaries: all settings of the study.
    """
    of_methods: dict[MethodName, list[Summary]] = {}
    for summary in sorted(summaries, key=lambda summary: summary.setting.knobs["strength"]):
        of_methods.setdefault(summary.setting.knobs["method"], []).append(summary)
    columns = [group for methods in _COLUMNS if (group := [m for m in methods if m in of_methods])] or [["ae"]]
    engine = ConstrainedLayoutEngine(wspace=0.02, hspace=0.03)
    figure = Figure(figsize=(COLUMN, 1.25 * len(_MEASURES) + 0.5), layout=engine)
    grid = figure.subplots(len(_MEASURES), len(columns), squeeze=False, sharex="col", sharey="row")
    entries: dict[str, Artist] = {}
    for line, (field, label) in zip(grid, _MEASURES.items(), strict=True):
        for axes, group in zip(line, columns, strict=True):
            for plain in of_methods.get("ae", []):
                line_of_ae = axes.axhline(plain.mean[field], color=_COLORS["ae"], linewidth=1)
                entries[METHODS["ae"].title] = line_of_ae
            for method in group:
                own = of_methods[method]
                entries[METHODS[method].title] = axes.errorbar(
                    [s.setting.knobs["strength"] for s in own],
                    [s.mean[field] for s in own],
                    [np.nan_to_num(s.deviation[field]) for s in own],
                    color=_COLORS[method],
                    linestyle="--" if method == _DASHED else "-",
                    marker="o",
                    markersize=2.5,
                    linewidth=1.0,
                    capsize=1.5,
                )
            clean_axes(axes)
        line[0].set_ylabel(label)
    for bottom, group in zip(grid[-1], columns, strict=True):
        symbol = METHODS[group[0]].symbol
        strengths = sorted({s.setting.knobs["strength"] for method in group for s in of_methods[method]})
        if symbol == "λ" and strengths[0] > 0:
            bottom.set_xscale("log")
        labeled = [f"{strength:g}" if k % 2 == 0 else "" for k, strength in enumerate(strengths)]
        bottom.set_xticks(strengths, labeled if len(strengths) > 3 else [f"{strength:g}" for strength in strengths])
        bottom.tick_params(axis="x", rotation=90)
        bottom.set_xticks([], minor=True)
        bottom.set_xlabel({"λ": "weight λ", "σ": "deviation σ", "ν": "fraction ν"}.get(symbol, ""))
    figure.legend([*entries.values()], [*entries], loc="outside upper left", ncols=2, borderpad=0)
    return figure


def _single() -> tuple[Figure, Axes]:
    figure = Figure(figsize=(COLUMN, 3.0), layout="constrained")
    return figure, figure.add_subplot()


def _line(
    axes: Axes, method: MethodName, x: Sequence[float] | np.ndarray, y: np.ndarray, chosen: Mapping[MethodName, Summary]
) -> None:
    label = ", ".join(filter(None, (METHODS[method].title, strength_of(chosen[method]))))
    axes.plot(x, y, color=_COLORS[method], linestyle="--" if method == _DASHED else "-", linewidth=1.2, label=label)


def _with_legend(figure: Figure, axes: Axes) -> Figure:
    figure.legend(loc="outside lower left", ncols=1, borderpad=0, labelspacing=0.2)
    clean_axes(axes)
    return figure


def _draw_filter(axes: Axes, unit: np.ndarray) -> None:
    scale = float(np.abs(unit).max()) or 1.0
    if is_image(unit.shape):
        image = unit if unit.ndim == 2 else unit[..., 0] if unit.shape[2] == 1 else 0.5 + 0.5 * unit / scale
        axes.imshow(image, cmap="gray", vmin=-scale, vmax=scale, interpolation="nearest")
    else:
        axes.plot(unit.ravel(), color="0.35", linewidth=1)
    hide_axes(axes)
