"""The figures of the study show the numbers that they are given."""

import numpy as np
import pytest
from matplotlib.colors import to_rgba

from aejax.studies.jacobian import figures
from aejax.studies.jacobian.measure import RADII
from aejax.studies.jacobian.table import choose, mean_curves


@pytest.fixture
def chosen(summaries) -> dict:
    return choose(summaries)


@pytest.fixture
def curves(members) -> dict:
    return {"ae": mean_curves(members[:2]), "cae": mean_curves(members[2:4])}


def test_spectra_show_the_singular_values(chosen, curves) -> None:
    axes = figures.spectra(curves, chosen).axes[0]
    assert [line.get_label() for line in axes.lines] == ["AE", "CAE, λ = 0.1"]
    np.testing.assert_array_equal(axes.lines[1].get_ydata(), curves["cae"].singular_values)
    assert axes.get_ylim()[0] < 1.5 < 6.4 < axes.get_ylim()[1]


def test_contraction_is_relative_to_small_distances(chosen, curves) -> None:
    figure = figures.contraction(curves, chosen, nearest=0.7)
    ae, cae, mark = figure.axes[0].lines
    np.testing.assert_allclose(ae.get_ydata(), np.linspace(1, 0.5, len(RADII)))
    np.testing.assert_allclose(cae.get_ydata(), ae.get_ydata())
    np.testing.assert_array_equal(ae.get_xdata(), RADII)
    assert set(mark.get_xdata()) == {0.7}
    figure.canvas.draw()


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(4, 3), (4, 3, 1), (2, 2, 3), (12,)])
def test_filters_are_those_of_largest_norm(chosen, shape: tuple[int, ...]) -> None:
    weights = np.arange(1.0, 8) * np.ones((12, 1))
    figure = figures.filters({"ae": weights, "cae": -weights}, chosen, shape, count=5)
    figure.canvas.draw()
    assert len(figure.axes) == 10
    assert figure.axes[5].get_ylabel() == "CAE\nλ = 0.1"
    if shape == (4, 3):
        np.testing.assert_array_equal(figure.axes[0].images[0].get_array(), np.full(shape, 7))
        assert figure.axes[0].images[0].get_clim() == (-7, 7)


def test_filters_of_absurd_weights_are_drawn_without_a_warning(chosen) -> None:
    weights = np.full((6, 3), 1e25, np.float32)
    assert len(figures.filters({"ae": weights}, chosen, (2, 3), count=2).axes) == 2


def test_error_against_strength_shows_every_setting(summaries) -> None:
    figure = figures.error_against_strength(summaries)
    figure.canvas.draw()
    norms = figure.axes[1]
    plain, cae, *_ = norms.lines
    assert set(plain.get_ydata()) == {5.0}
    np.testing.assert_array_equal(cae.get_xdata(), [0.1, 1.0])
    np.testing.assert_array_equal(cae.get_ydata(), [1.5, 0.5])
    assert to_rgba(cae.get_color()) != to_rgba(plain.get_color())
    assert norms.get_ylabel() == "mean ‖J‖$_F$"


def test_error_against_strength_of_the_plain_autoencoder_alone(summaries) -> None:
    figures.error_against_strength(summaries[:1]).canvas.draw()
