"""Figures: each function returns a Matplotlib figure and changes neither files nor global state."""

from aejax.plots.codes import embeddings, kl_per_unit, latent_space
from aejax.plots.columns import explained_columns, units_by_column
from aejax.plots.compared_curves import Curve, compared_curves
from aejax.plots.curves import rate_distortion, trade_offs, training_curves
from aejax.plots.examples import (
    Family,
    gallery,
    is_image,
    piano_rolls,
    reconstructions,
    series_as_images,
)
from aejax.plots.firing import firing_rates
from aejax.plots.hull import rate_distortion_plane
from aejax.plots.mosaic import mosaic
from aejax.plots.power_laws import Measured, power_laws
from aejax.plots.published import beside_published
from aejax.plots.scores import anomaly_scores
from aejax.plots.style import clean_axes, hide_axes, house_style, save_figure
from aejax.plots.vectors import Axis, frames_of_vectors

__all__ = [
    "Axis",
    "Curve",
    "Family",
    "Measured",
    "anomaly_scores",
    "beside_published",
    "clean_axes",
    "compared_curves",
    "embeddings",
    "explained_columns",
    "firing_rates",
    "frames_of_vectors",
    "gallery",
    "hide_axes",
    "house_style",
    "is_image",
    "kl_per_unit",
    "latent_space",
    "mosaic",
    "piano_rolls",
    "power_laws",
    "rate_distortion",
    "rate_distortion_plane",
    "reconstructions",
    "save_figure",
    "series_as_images",
    "trade_offs",
    "training_curves",
    "units_by_column",
]
