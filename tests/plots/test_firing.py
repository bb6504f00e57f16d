"""The histogram of firing rates shows the numbers that it is given."""

import numpy as np
from matplotlib.patches import Rectangle

from aejax import plots


def test_bars_and_dead_units():
    figure = plots.firing_rates(np.linspace(-7, 0, 8), np.array([0, 0, 0, 0, 2, 5, 1]), dead=3, examples=1000)
    (axes,) = figure.axes
    bars = [patch for patch in axes.patches if isinstance(patch, Rectangle)]
    assert [bar.get_height() for bar in bars] == [0, 0, 0, 0, 2, 5, 1]
    np.testing.assert_allclose([bar.get_x() for bar in bars], 10.0 ** np.arange(-7, 0))
    np.testing.assert_allclose([bar.get_x() + bar.get_width() for bar in bars], 10.0 ** np.arange(-6, 1))
    assert axes.get_xlim() == (1e-3, 1.0)  # of one example in 1000
    assert axes.get_title(loc="left") == "11 units; 3 never fire"
    alive = plots.firing_rates(np.array([-1.0, 0.0]), np.array([4]), dead=0, below=2, examples=200)
    assert (
        alive.axes[0].get_title(loc="left").replace("\n", " ")
        == "6 units; 2 fire less often than the axis shows; all of them fire"
    )
    assert alive.axes[0].get_xlim() == (0.1, 1.0)  # no lower than the lowest edge
