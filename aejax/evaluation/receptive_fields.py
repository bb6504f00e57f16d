"""How localized and how oriented filters are: linear units on patches of images."""

from typing import NamedTuple

import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Float

from aejax.checks import as_float64

LOCALIZED = 0.6  # least share of the energy in the best window of half the side, a quarter of the pixels
ORIENTED = 0.5  # least orientation selectivity


class FilterMeasures(NamedTuple):
    """Measures of a set of filters; all are fractions."""

    localization: float  # median share of the energy in the best window of half the side
    orientation: float  # median orientation selectivity
    edges: float  # fraction of the filters with a localization above LOCALIZED and an orientation above ORIENTED


def localization(filters: Float[ArrayLike, "F H W"]) -> Float[np.ndarray, "F"]:
    """Returns the largest share of each filter's energy Σ w² that lies in a window of half the height and width.

    A filter of constant magnitude has about 1/4, one within a window 1, and one without energy NaN.

    Args:
      filters: the weights.

    Raises:
      ValueError: the filters are not images of at least 2x2 pixels.

    >>> edge = np.zeros((1, 8, 8))
    >>> edge[0, 2:6, 3:5] = 1, -1
    >>> localization(np.concatenate([edge, np.ones((1, 8, 8))])).tolist()
    [1.0, 0.25]
    """
    energy = np.square(_checked(filters))
    height, width = energy.shape[1] // 2, energy.shape[2] // 2
    windows = np.lib.stride_tricks.sliding_window_view(energy, (height, width), axis=(1, 2)).sum(axis=(3, 4))
    with np.errstate(invalid="ignore"):
        shares: np.ndarray = windows.max(axis=(1, 2)) / energy.sum(axis=(1, 2))
    return shares


def orientation_selectivity(filters: Float[ArrayLike, "F H W"]) -> Float[np.ndarray, "F"]:
    """Returns |Σ P(u) e^{2iθ(u)}| / Σ P(u) over the frequencies u = |u| e^{iθ} of each filter, P its power spectrum.

    It is 1 for a grating, 0 for a filter that a quarter turn does not change, and NaN for one without contrast. The
    frequencies are those of the filter surrounded by zeros, up to 1/2 cycle per pixel in every direction.

    Args:
      filters: the weights.

    Raises:
      ValueError: the filters are not images of at least 2x2 pixels.

    >>> round_one = np.outer(np.hanning(9), np.hanning(9))[None]
    >>> bool(orientation_selectivity(round_one)[0] < 1e-9)
    True
    """
    filters = _checked(filters)
    shape = tuple(4 * side for side in filters.shape[1:])
    power = np.square(np.abs(np.fft.fft2(filters, s=shape)))
    rows, columns = (np.fft.fftfreq(side) for side in shape)
    frequency = columns + 1j * rows[:, None]
    radius = np.abs(frequency)
    disk = (radius > 0) & (radius < 0.5)
    power, doubled = power[:, disk], (frequency[disk] / radius[disk]) ** 2
    with np.errstate(invalid="ignore"):
        selectivity: np.ndarray = np.abs(power @ doubled) / power.sum(axis=1)
    return selectivity


def filter_measures(filters: Float[ArrayLike, "F H W"]) -> FilterMeasures:
    """Returns medians over filters, and the fraction of filters that are localized, oriented edges.

    Args:
      filters: the weights; those without energy count as neither localized nor oriented.

    Raises:
      ValueError: there are no filters, or they are not images of at least 2x2 pixels.
    """
    local, oriented = (np.nan_to_num(measure(filters)) for measure in (localization, orientation_selectivity))
    edges = np.mean((local > LOCALIZED) & (oriented > ORIENTED))
    return FilterMeasures(float(np.median(local)), float(np.median(oriented)), float(edges))


def _checked(filters: ArrayLike) -> np.ndarray:
    filters = as_float64("filters", filters)
    if filters.ndim != 3 or len(filters) == 0 or min(filters.shape[1:]) < 2:
        raise ValueError(f"filters must be at least one image of at least 2x2 pixels (F, H, W), got {filters.shape}")
    return filters
