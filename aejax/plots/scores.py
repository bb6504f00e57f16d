"""Figure of anomaly scores: their distributions and the threshold."""

import numpy as np
from matplotlib.figure import Figure

from aejax.host.escaping import as_label
from aejax.plots.style import COLUMN, QUIET, TRAIN, VALIDATION, clean_axes, house_style, with_margin


@house_style()
def anomaly_scores(
    validation_scores: np.ndarray, scores: np.ndarray, is_anomaly: np.ndarray | None, *, threshold: float, unit: str
) -> Figure:
    """Returns histograms of scores with the threshold and, if both classes occur, the receiver operating curve.

    Args:
      validation_scores: (M,) scores of normal examples, from which the threshold was computed.
      scores: (N,) scores of the examples to classify.
      is_anomaly: (N,) booleans, or None if they are unknown.
      threshold: examples with a higher score are classified as anomalies.
      unit: of the scores.
    """
    groups = {"validation, normal": (validation_scores, QUIET)}
    if is_anomaly is None:
        groups["examples"] = (scores, VALIDATION)
    else:
        groups |= {"normal": (scores[~is_anomaly], TRAIN), "anomalies": (scores[is_anomaly], VALIDATION)}
    has_both = is_anomaly is not None and 0 < int(is_anomaly.sum()) < len(is_anomaly)
    figure = Figure(figsize=(COLUMN, 3.9 if has_both else 2.1), layout="constrained")
    axes, *others = figure.subplots(2 if has_both else 1, 1, squeeze=False)[:, 0]
    together = np.concatenate([validation_scores, scores])
    is_positive = together.min() > 0
    if is_positive and together.max() > 20 * together.min():
        bins = np.geomspace(together.min(), together.max(), 41)
        axes.set_xscale("log")
    else:
        most = validation_scores.max() + 20 * np.ptp(validation_scores)  # larger scores are counted in the last bin
        low, high = float(together.min()), float(min(together.max(), most))
        bins = np.linspace(low, high if high > low else with_margin(low, low, 0.1)[1], 41)
    for name, (values, color) in groups.items():
        if not len(values):
            continue
        weights = np.full(len(values), 100 / len(values))
        axes.hist(
            np.minimum(values, bins[-1]),
            bins,
            weights=weights,
            color=color,
            histtype="step",
            linewidth=1.2,
            label=f"{name} (n = {len(values):,})",
        )
    axes.axvline(threshold, color="black", linewidth=1, linestyle="--", label="threshold")
    axes.set_xlabel(as_label(unit))
    axes.set_ylabel("% of each group")
    figure.legend(loc="outside upper left", ncols=2, borderpad=0)
    clean_axes(axes)
    if has_both:
        assert is_anomaly is not None
        from sklearn.metrics import roc_curve

        axes = others[0]
        false_positives, recall, _ = roc_curve(is_anomaly, scores)
        axes.plot(false_positives, recall, color=TRAIN)
        axes.plot([0, 1], [0, 1], color=QUIET, linewidth=1, linestyle=":")
        place = [np.mean(scores[~is_anomaly] > threshold), np.mean(scores[is_anomaly] > threshold)]
        axes.plot(*place, "o", color=VALIDATION, label="at the threshold")
        axes.set_xlabel("false positive rate")
        axes.set_ylabel("recall (true positive rate)")
        axes.legend(loc="lower right")
        clean_axes(axes)
    return figure
