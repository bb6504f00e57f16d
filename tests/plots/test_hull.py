"""The figure of distortion over rate: the hull, what is above it, and the line of the best bound."""

import numpy as np

from aejax.evaluation.rate_distortion import lower_hull
from aejax.plots import rate_distortion_plane

RATES = np.array([[3.0, 5.0], [0.0, 2.0], [3.0, 3.0], [9.0, 11.0]])
DISTORTIONS = np.array([[3.0, 5.0], [9.0, 11.0], [12.0, 10.0], [1.0, 3.0]])
NAMES = ["β 1", "β 9", "worse", "β 0.1"]


def test_the_hull_is_drawn_through_means_and_named() -> None:
    hull = lower_hull(RATES.mean(axis=1), DISTORTIONS.mean(axis=1))
    figure = rate_distortion_plane(RATES, DISTORTIONS, hull=hull[::-1], names=NAMES, title="rate and distortion")
    figure.canvas.draw()
    lines = {str(line.get_label()): line for line in figure.axes[0].lines}
    assert list(lines) == ["-ELBO = 8 nats, the best", "runs", "lower hull", "means of settings", "above the hull"]
    np.testing.assert_allclose(lines["lower hull"].get_xydata(), [[1, 10], [4, 4], [10, 2]])
    np.testing.assert_allclose(lines["above the hull"].get_xydata(), [[3, 11]])
    np.testing.assert_allclose(np.sum(lines["-ELBO = 8 nats, the best"].get_xydata(), axis=1), 8.0)
    assert [text.get_text() for text in figure.axes[0].texts] == ["β 9", "β 1", "β 0.1"]


def test_names_of_points_that_coincide_are_one_name() -> None:
    rates, distortions = np.array([[0.0], [0.01], [5.0], [9.0]]), np.array([[10.0], [9.99], [3.0], [1.0]])
    figure = rate_distortion_plane(rates, distortions, hull=np.arange(4), names=["a", "b", "c", "d"], title="two")
    assert [text.get_text() for text in figure.axes[0].texts] == ["a; b", "c", "d"]
    assert -0.5 < figure.axes[0].get_xlim()[0] <= 0


def test_one_run_of_each_setting_is_no_mean() -> None:
    figure = rate_distortion_plane(
        RATES[:1, :1], DISTORTIONS[:1, :1], hull=np.array([0]), names=["β 1"], title="rate and distortion"
    )
    figure.canvas.draw()
    labels = [line.get_label() for line in figure.axes[0].lines]
    assert labels == ["-ELBO = 6 nats, the best", "lower hull", "settings"]
