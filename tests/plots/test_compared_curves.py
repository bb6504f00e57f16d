"""Curves of several runs: one panel per quantity, one look per run."""

import numpy as np

from aejax.plots import compared_curves


def test_a_run_has_the_same_color_in_every_panel():
    curve = ([1, 2, 3], [3.0, 2.0, 1.0])
    panels = {("loss", "nats"): {"one": curve, "two": curve}, ("kl", "nats"): {"two": curve}}
    figure = compared_curves(panels)
    first, second = figure.axes
    assert [first.get_title(loc="left"), second.get_title(loc="left")] == ["loss", "kl"]
    assert first.get_ylabel() == "nats"
    colors = {line.get_label(): line.get_color() for line in first.lines}
    assert len(set(colors.values())) == 2
    assert second.lines[0].get_color() == colors["two"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["one", "two"]


def test_more_runs_than_colors_differ_by_style():
    figure = compared_curves({("loss", ""): {f"run {k}": ([1], [float(k)]) for k in range(14)}}, columns=1)
    looks = {(line.get_color(), line.get_linestyle()) for line in figure.axes[0].lines}
    assert len(looks) == 14


def test_a_first_epoch_does_not_flatten_the_rest():
    values = [1e6, *np.linspace(2.0, 1.0, 99)]
    figure = compared_curves({("loss", ""): {"run": (range(100), values)}})
    low, high = figure.axes[0].get_ylim()
    assert low < 1.0 < 2.0 < high < 10.0


def test_values_that_are_not_finite_have_limits():
    figure = compared_curves({("loss", ""): {"run": ([1, 2], [np.nan, np.inf])}})
    assert figure.axes[0].get_ylim() == (0.0, 1.0)
