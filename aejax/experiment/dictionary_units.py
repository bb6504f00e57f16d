"""What the units of a run's dictionary do on test examples: how often they fire, and on which examples most."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int
from matplotlib.figure import Figure

from aejax import plots
from aejax.datasets.dataset import Dataset, take
from aejax.evaluation.dictionaries import (
    FiringCounts,
    ReconstructionMeasures,
    TopExamples,
    add_firing,
    add_reconstructions,
    add_top_examples,
    firing_histogram,
    reconstruction_measures,
)
from aejax.experiment.explored import explored
from aejax.experiment.figures import as_drawn, draws_images
from aejax.experiment.trained import TrainedRun

MAX_EXAMPLES = 10_000  # of a split, as for the other figures of a run
TOP = 8  # examples of a unit
_BATCH = 1000  # examples, of whose codes all are in memory
_FILTERS = 16, 12  # columns and rows of the figure of directions


class UnitsOfRun(NamedTuple):
    """How the F units of a dictionary fire on N examples."""

    counts: FiringCounts
    top: TopExamples
    reconstruction: ReconstructionMeasures | None  # None if the target is another array than the input, or has no value
    directions: Float[np.ndarray, "F ..."]  # what a unit adds to the decoded example, per unit of its code

    @property
    def by_rate(self) -> Int[np.ndarray, "live"]:
        """The units that fire, in decreasing order of their rate."""
        order = np.argsort(-self.counts.fired, kind="stable")
        return order[self.counts.fired[order] > 0]


def is_dictionary(run: TrainedRun) -> bool:
    """Returns whether the run's autoencoder is a dictionary, whose code is a vector."""
    return any(part.is_dictionary for part in run.autoencoder.parts) and len(run.code_shape) == 1


def units_of_run(run: TrainedRun, examples: Dataset) -> UnitsOfRun:
    """Returns how the units of a run's dictionary fire on the first 10,000 examples, whose codes are streamed.

    Args:
      run: a run whose autoencoder is a dictionary.
      examples: at least one.
    """
    counts, top, sums = None, None, None
    is_target = True
    count = min(len(examples.x), MAX_EXAMPLES)
    for start in range(0, count, _BATCH):
        batch = take(examples, np.arange(start, min(start + _BATCH, count)))
        x, codes = np.asarray(batch.x), run.encode(batch)
        counts = add_firing(counts, codes)
        top = add_top_examples(top, codes, count=TOP)
        is_target = is_target and batch.input is None and bool(np.isfinite(x).all())
        if is_target:
            sums = add_reconstructions(sums, x, run.decode(batch._replace(x=codes)))
    assert counts is not None  # there is an example
    assert top is not None
    measures = reconstruction_measures(sums) if is_target and sums is not None else None
    return UnitsOfRun(counts, top, measures, directions_of(run))


def directions_of(run: TrainedRun) -> Float[np.ndarray, "F ..."]:
    """Returns the derivative of the decoded example by each unit at a code of zeros, which is exact if it is linear.

    It is in the units of the data; of a table, in those of the encoder's inputs.
    """
    space = explored(run)
    jacobian = jax.jit(jax.jacrev(space.decode))(jnp.zeros(run.code_shape, jnp.float32))
    return np.moveaxis(np.asarray(jacobian), -1, 0)


def chosen_units(units: UnitsOfRun, *, each: int = 3) -> dict[str, Int[np.ndarray, "n"]]:
    """Returns units to show: the most active ones, those about the median firing rate, and the rarest that fire.

    No unit is in two groups; a group of few units has fewer.

    Args:
      units: of the run.
      each: the number of units in each group.
    """
    order = units.by_rate
    first, rest = order[:each], order[each:]
    last, rest = (rest[-each:], rest[:-each]) if len(rest) else (rest, rest)
    middle = max(0, (len(rest) - each) // 2)
    return {"most active": first, "median": rest[middle : middle + each], "rarest": last}


def draw_units(run: TrainedRun, examples: Dataset) -> dict[str, Figure]:
    """Returns figures of the units of a run's dictionary, by name: firing rates and, of images, directions."""
    units = units_of_run(run, examples)
    figures = {"firing_rates": draw_firing_rates(units)}
    if draws_images(run) and len(units.by_rate):
        figures["directions"] = draw_directions(run, units)
    return figures


def draw_firing_rates(units: UnitsOfRun) -> Figure:
    """Returns the histogram of the units' firing rates."""
    found = firing_histogram(units.counts)
    return plots.firing_rates(
        found.edges, found.units, dead=found.dead, below=found.below, examples=units.counts.examples
    )


def draw_directions(run: TrainedRun, units: UnitsOfRun) -> Figure:
    """Returns the directions of the most active units as images, the most active first; gray is 0.

    Each is divided by its largest absolute value, because the directions of units may differ in length.
    """
    columns, rows = _FILTERS
    order = units.by_rate[: columns * rows]
    columns = min(columns, len(order))
    order = order[: len(order) // columns * columns]
    images = as_drawn(run, as_filters(units.directions[order]))
    title = f"directions of the {len(order):,} most active units; gray is 0, each on its own scale"
    return plots.mosaic(images.reshape(-1, columns, *images.shape[1:]), limits=(-1.0, 1.0), title=title)


def as_filters(directions: Float[np.ndarray, "n ..."]) -> Float[np.ndarray, "n ..."]:
    """Returns directions (n, ...) divided by their largest absolute values; those of zeros stay.

    >>> as_filters(np.array([[1.0, -2.0], [0.0, 0.0]])).tolist()
    [[0.5, -1.0], [0.0, 0.0]]
    """
    largest = np.abs(directions).reshape(len(directions), -1).max(axis=1)
    return directions / np.where(largest > 0, largest, 1).reshape(-1, *[1] * (directions.ndim - 1))
