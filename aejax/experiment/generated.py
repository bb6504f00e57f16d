"""The record of generated examples in rows and columns, and their figures and animations."""

from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from aejax import plots
from aejax.experiment import figures
from aejax.experiment.trained import TrainedRun
from aejax.plots.animation import frames_of_images

MAX_UNITS_SHOWN = 16  # in the figure of traversals
_PAUSE = 600  # milliseconds at either end of an animation


class Generated(NamedTuple):
    """Codes in R rows and C columns, the decoded examples, and the names of rows and columns."""

    codes: np.ndarray  # (R, C, ...code)
    examples: np.ndarray  # (R, C, ...) in data space
    labels: np.ndarray | None  # (R, C) the condition of each example
    title: str
    rows: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    units: np.ndarray | None = None  # the unit that each row of traversals changes, from 1
    x_label: str = ""  # what the columns are
    y_label: str = ""  # what the rows are
    before: np.ndarray | None = None  # (R, ...) the test example that each row begins at
    after: np.ndarray | None = None  # (R, ...) the test example that each row ends at
    frames: np.ndarray | None = None  # (R, F, ...) more examples along each row, for animations
    family: plots.Family | None = None  # how the examples of a row belong together
    conditions: np.ndarray | None = None  # (R, C, ...) of each example, numbers in the user's units
    ends: tuple[str, str] = ("", "")  # the names of the test examples at the ends of an animation


class Animation(NamedTuple):
    """Images, and how long each is shown, in milliseconds."""

    images: list[Image.Image]
    durations: list[int]


def draw(run: TrainedRun, generated: Generated) -> Figure:
    """Returns a figure of generated examples in rows and columns; of traversals, the first `MAX_UNITS_SHOWN` rows.

    Args:
      run: the run that generated the examples.
      generated: the examples.
    """
    most = len(generated.examples) if generated.units is None else MAX_UNITS_SHOWN
    before, after = (
        None if some is None else figures.as_drawn(run, some[:most]) for some in (generated.before, generated.after)
    )
    return plots.gallery(
        _as_drawn(run, generated.examples[:most]),
        limits=run.limits,
        title=generated.title,
        rows=generated.rows[:most],
        columns=generated.columns,
        x_label=generated.x_label,
        y_label=generated.y_label,
        before=before,
        after=after,
        family=generated.family,
        axis=figures.axis_of(run),
    )


def animate(run: TrainedRun, generated: Generated, *, frames_per_second: int) -> dict[str, Animation]:
    """Returns an animation of each row, forwards and backwards, by the row's name.

    The test examples at both ends stand unchanged beside the moving image; curves and points are drawn over them.

    Args:
      run: the run that generated the examples.
      generated: the examples; interpolations, which have frames and the test examples at both ends.
      frames_per_second: the speed.
    """
    assert generated.frames is not None, "only interpolations have frames"
    assert generated.before is not None
    assert generated.after is not None
    animations = {}
    for name, examples, *ends in zip(generated.rows, generated.frames, generated.before, generated.after, strict=True):
        drawn, (start, end) = (figures.as_drawn(run, x) for x in (examples, np.stack(ends)))
        if plots.is_image(drawn.shape[1:]):
            captions = (generated.ends[0], name, generated.ends[1])
            images = frames_of_images(drawn, start=start, end=end, limits=run.limits, captions=captions)
        else:
            originals = np.stack([start, end])
            made = plots.frames_of_vectors(drawn, originals=originals, axis=figures.axis_of(run))
            images = [Image.fromarray(frame) for frame in made]
        durations = [round(1000 / frames_per_second)] * len(images)
        durations[0] = durations[-1] = _PAUSE
        animations[name] = Animation(images + images[-2:0:-1], durations + durations[-2:0:-1])
    return animations


def draw_codes(run: TrainedRun) -> Figure:
    """Returns a figure of the codes of the run's test examples."""
    return figures.draw_codes(run, run.encode(run.splits.test), run.splits.test.labels)


def _as_drawn(run: TrainedRun, examples: np.ndarray) -> np.ndarray:
    """Returns examples (R, C, ...) in the layout that `plots` expects."""
    drawn = figures.as_drawn(run, examples.reshape(-1, *examples.shape[2:]))
    return drawn.reshape(*examples.shape[:2], *drawn.shape[1:])
