"""The record of generated examples in rows and columns, and their figures and animations."""

import math
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from aejax import plots
from aejax.experiment.figures import as_drawn
from aejax.experiment.trained import TrainedRun

MAX_UNITS_SHOWN = 16  # in the figure of traversals
_MIN_FRAME = 320  # pixels of the shorter side of an animation


class Generated(NamedTuple):
    """Codes in R rows and C columns, the decoded examples, and the names of rows and columns."""

    codes: np.ndarray  # (R, C, ...code)
    examples: np.ndarray  # (R, C, ...) in data space
    labels: np.ndarray | None  # (R, C) the condition of each example
    title: str
    rows: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    units: np.ndarray | None = None  # the unit that each row of traversals changes, from 1


def draw(run: TrainedRun, generated: Generated, *, gap: int | None = None) -> Figure:
    """Returns a figure of generated examples in rows and columns; of traversals, the first `MAX_UNITS_SHOWN` rows.

    Args:
      run: the run that generated the examples.
      generated: the examples.
      gap: pixels between examples, such as 0 for a manifold; None for a default.
    """
    most = len(generated.examples) if generated.units is None else MAX_UNITS_SHOWN
    return plots.gallery(
        _as_drawn(run, generated.examples[:most]),
        limits=run.limits,
        title=generated.title,
        rows=generated.rows[:most],
        columns=generated.columns,
        gap=gap,
    )


def animate(run: TrainedRun, generated: Generated) -> dict[str, list[Image.Image]]:
    """Returns the frames of an animation of each row, forwards and backwards, by the row's name.

    Images are enlarged without interpolation; other examples are drawn as curves.
    """
    drawn = _as_drawn(run, generated.examples)
    return {name: _frames(examples, run.limits) for name, examples in zip(generated.rows, drawn, strict=True)}


def draw_codes(run: TrainedRun) -> Figure:
    """Returns a figure of the codes of the run's test examples."""
    return plots.latent_space(run.encode(run.splits.test), run.splits.test.labels)


def _as_drawn(run: TrainedRun, examples: np.ndarray) -> np.ndarray:
    """Returns examples (R, C, ...) in the layout that `plots` expects."""
    drawn = as_drawn(run.experiment, examples.reshape(-1, *examples.shape[2:]))
    return drawn.reshape(*examples.shape[:2], *drawn.shape[1:])


def _frames(examples: np.ndarray, limits: tuple[float, float]) -> list[Image.Image]:
    """Returns examples (T, H, W) or (T, H, W, C) as images, forwards and backwards; other examples as curves."""
    frames = examples
    if not plots.is_image(frames.shape[1:]):
        frames, limits = plots.frames_of_curves(frames, limits=limits), (0, 255)
    low, high = limits
    scaled = np.clip((frames - low) / ((high - low) or 1.0), 0, 1)
    pixels = np.round(255 * scaled).astype(np.uint8)
    if pixels.shape[3:] == (1,):
        pixels = pixels[..., 0]
    factor = math.ceil(_MIN_FRAME / min(frames.shape[1:3]))
    size = (factor * frames.shape[2], factor * frames.shape[1])
    images = [Image.fromarray(frame).resize(size, Image.Resampling.NEAREST) for frame in pixels]
    return images + images[-2:0:-1]
