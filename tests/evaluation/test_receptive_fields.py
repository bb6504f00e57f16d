"""Localization and orientation of filters against direct sums, gratings, and the ring of all orientations."""

import numpy as np
import pytest

from aejax.evaluation.receptive_fields import filter_measures, localization, orientation_selectivity

RNG = np.random.default_rng(0)
ROWS, COLUMNS = np.mgrid[:12, :12] - 5.5


def gabor(angle: float, width: float = 1.8) -> np.ndarray:
    along = COLUMNS * np.cos(angle) + ROWS * np.sin(angle)
    return np.exp(-(ROWS**2 + COLUMNS**2) / (2 * width**2)) * np.sin(2 * np.pi * 0.2 * along)


def test_localization_is_the_best_of_all_windows():
    filters = RNG.normal(size=(3, 7, 10))
    for filter_, found in zip(filters, localization(filters), strict=True):
        windows = [np.sum(filter_[r : r + 3, c : c + 5] ** 2) for r in range(5) for c in range(6)]
        np.testing.assert_allclose(found, max(windows) / np.sum(filter_**2), rtol=1e-12)


def test_orientation_is_a_sum_over_the_frequencies_of_the_filter_surrounded_by_zeros():
    """The Fourier transform as a sum over pixels, angles by arctan2."""
    filters = RNG.normal(size=(4, 6, 6))
    for filter_, found in zip(filters, orientation_selectivity(filters), strict=True):
        upper = lower = 0.0
        for v in range(24):
            for u in range(24):
                fu, fv = (n / 24 - (n >= 12) for n in (u, v))
                if not 0 < np.hypot(fu, fv) < 0.5:
                    continue
                phase = np.exp(-2j * np.pi * (fv * np.arange(6)[:, None] + fu * np.arange(6)))
                power = abs(np.sum(filter_ * phase)) ** 2
                upper, lower = upper + power * np.exp(2j * np.arctan2(fv, fu)), lower + power
        np.testing.assert_allclose(found, abs(upper) / lower, rtol=1e-9)


def test_a_grating_is_oriented_a_checkerboard_of_two_gratings_is_not():
    grating = np.cos(2 * np.pi * 0.25 * COLUMNS)
    both = orientation_selectivity(np.stack([grating, grating + grating.T]))
    assert both[0] > 0.8
    assert both[1] < 1e-9


def test_gabors_are_edges_and_gratings_noise_and_spots_are_not():
    angles = np.linspace(0, np.pi, 7)
    gabors = np.stack([gabor(angle) for angle in angles])
    assert filter_measures(gabors).edges == 1
    np.testing.assert_allclose(orientation_selectivity(gabors), orientation_selectivity(gabors)[0], atol=0.05)
    others = np.stack(
        [np.cos(2 * np.pi * 0.25 * COLUMNS), np.exp(-(ROWS**2 + COLUMNS**2) / 4), *RNG.normal(size=(8, 12, 12))]
    )
    assert filter_measures(others).edges == 0
    assert filter_measures(np.concatenate([gabors, np.zeros((7, 12, 12))])).edges == 0.5  # no energy: no edge


@pytest.mark.parametrize("shape", [(12, 12), (0, 4, 4), (3, 1, 4)])
def test_what_is_no_set_of_filters_is_refused(shape):
    with pytest.raises(ValueError, match=r"at least one image of at least 2x2 pixels \(F, H, W\)"):
        localization(np.ones(shape))
