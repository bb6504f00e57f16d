"""Figures: each function returns a Matplotlib figure and changes neither files nor global state."""

from aejax.plots.codes import embeddings, kl_per_unit, latent_space
from aejax.plots.compared_curves import Curve, compared_curves
from aejax.plots.curves import rate_distortion, training_curves
from aejax.plots.examples import (
    frames_of_curves,
    gallery,
    is_image,
    mosaic,
    piano_rolls,
    reconstructions,
    series_as_images,
)
from aejax.plots.scores import anomaly_scores
from aejax.plots.style import clean_axes, hide_axes

__all__ = [
    "Curve",
    "anomaly_scores",
    "clean_axes",
    "compared_curves",
    "embeddings",
    "frames_of_curves",
    "gallery",
    "hide_axes",
    "is_image",
    "kl_per_unit",
    "latent_space",
    "mosaic",
    "piano_rolls",
    "rate_distortion",
    "reconstructions",
    "series_as_images",
    "training_curves",
]
