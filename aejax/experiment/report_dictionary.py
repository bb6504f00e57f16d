"""The section of a run's page about the units of a dictionary."""

import numpy as np

from aejax import plots
from aejax.datasets.dataset import take
from aejax.evaluation.dictionaries import Neighbors, dead_share, firing_rates, mean_l0, nearest_units
from aejax.experiment.dictionary_units import (
    UnitsOfRun,
    as_filters,
    chosen_units,
    draw_directions,
    draw_firing_rates,
    is_dictionary,
    units_of_run,
)
from aejax.experiment.figures import as_drawn, axis_of, draws_images
from aejax.experiment.report import Cell, Section, figure_html, paragraph, table
from aejax.experiment.trained import TrainedRun

_NUMBERS = 5  # features of examples that are shown as numbers
_POSITIONS = 4, 3  # examples of a unit in a table: alone, and with their numbers


def dictionary_section(run: TrainedRun) -> list[Section]:
    """Returns how often the units fire, what they explain, and the test examples that activate some of them most."""
    if not is_dictionary(run):
        return []
    units = units_of_run(run, run.splits.test)
    content = paragraph(" ".join(dictionary_sentences(units)))
    caption = "How often the units fire. A unit fires on an example if its code is not 0."
    content += figure_html(draw_firing_rates(units), caption, curves=True)
    groups = {what: chosen for what, chosen in chosen_units(units).items() if len(chosen)}
    if groups:
        chosen = np.concatenate(list(groups.values()))
        names = [f"{what}: {unit + 1}" for what, some in groups.items() for unit in some]
        near = nearest_units(units.directions.reshape(len(units.directions), -1), chosen)
        content += table(*_rows(units, names, chosen, near))
        content += _examples(run, units, names, chosen)
        if draws_images(run):
            caption = "What the most active units add to the decoded image: light adds, dark subtracts, gray is 0."
            content += figure_html(draw_directions(run, units), caption)
    return [Section("Units of the dictionary", content)]


def dictionary_sentences(units: UnitsOfRun) -> list[str]:
    """Returns sentences on L0, dead units, explained variance and shrinkage."""
    counts, size = units.counts, units.counts.fired.size
    dead = int((counts.fired == 0).sum())
    silent = f"{dead:,} units never fire there ({100 * dead_share(counts):.3g} %)."
    sentences = [
        f"On {counts.examples:,} test examples, {mean_l0(counts):.4g} of the {size:,} units fire on an example, on "
        "average (L0).",
        silent if dead else "All units fire there.",
    ]
    if (found := units.reconstruction) is not None:
        sentences.append(f"The reconstructions explain {100 * found.explained_variance:.1f} % of the variance.")
        sentences.append(
            f"Their norm is {found.norm_ratio:.3f} times the example's, on average; their relative bias is "
            f"{found.relative_bias:.3f} (below 1: shrunk, too short for the least error)."
        )
    return sentences


def _rows(
    units: UnitsOfRun, names: list[str], chosen: np.ndarray, near: Neighbors
) -> tuple[list[Cell], list[list[Cell]]]:
    """Returns the heads and rows of a table of units, their rates, their neighbors and top examples."""
    rates, top = firing_rates(units.counts), units.top
    heads: list[Cell] = ["unit", ("firing rate", "% of examples"), "largest code", ("nearest units", "cosine")]
    rows: list[list[Cell]] = []
    for name, unit, others, cosines in zip(names, chosen, near.units, near.cosines, strict=True):
        nearest = ", ".join(f"{other + 1} ({cosine:.2f})" for other, cosine in zip(others, cosines, strict=True))
        rows.append([name, f"{100 * rates[unit]:.3g}", f"{top.values[unit, 0]:.3g}", nearest])
    return heads, rows


def _examples(run: TrainedRun, units: UnitsOfRun, names: list[str], chosen: np.ndarray) -> str:
    """Returns the top examples of units: as images or curves, or as positions and, if they are few, numbers."""
    places = units.top.examples[chosen]
    test = run.splits.test
    kept = np.maximum(places, 0)
    inputs = np.asarray(take(test._replace(labels=None), kept.ravel()).encoder_inputs)
    is_series = axis_of(run).is_series
    if run.facts.columns is not None or not (draws_images(run) or is_series):
        return _table_of_examples(units, names, chosen, inputs.reshape(*places.shape, *inputs.shape[1:]))
    drawn = as_drawn(run, inputs).reshape(*places.shape, -1)
    shape = as_drawn(run, inputs[:1]).shape[1:]
    drawn = np.where(places[..., None] < 0, np.nan, drawn).reshape(*places.shape, *shape)
    columns = [str(number) for number in range(1, places.shape[1] + 1)]
    caption = (
        "Each row shows the test examples with the largest codes of one unit of the table, the largest on the left"
    )
    if not draws_images(run):
        figure = plots.gallery(drawn, limits=run.limits, rows=names, columns=columns, axis=axis_of(run))
        return figure_html(figure, f"{caption}.", curves=True)
    low, high = run.limits
    filters = as_drawn(run, as_filters(units.directions[chosen]))
    if filters.shape[1:] != shape:  # the target is of another shape than the input
        figure = plots.mosaic(np.nan_to_num(drawn, nan=high), limits=(low, high), rows=names, columns=columns)
        return figure_html(figure, f"{caption}.")
    scaled = (np.nan_to_num(drawn, nan=high) - low) / ((high - low) or 1.0)
    together = np.concatenate([(filters[:, None] + 1) / 2, scaled], axis=1)
    figure = plots.mosaic(together, limits=(0.0, 1.0), rows=names, columns=["direction", *columns], breaks=[1])
    return figure_html(figure, f"{caption}; beside its direction, what the unit adds to the decoded image (gray is 0).")


def _table_of_examples(units: UnitsOfRun, names: list[str], chosen: np.ndarray, inputs: np.ndarray) -> str:
    """Returns a table of positions among the test examples, with their codes and, if they are few, their numbers."""
    shown = inputs.reshape(*inputs.shape[:2], -1)
    count = _POSITIONS[shown.shape[-1] <= _NUMBERS]
    shown = shown[:, :count]
    places, values = (array[chosen][:, :count] for array in (units.top.examples, units.top.values))
    rows: list[list[Cell]] = []
    for name, row, codes, numbers in zip(names, places, values, shown, strict=True):
        cells = []
        for place, code, example in zip(row, codes, numbers, strict=True):
            text = ", ".join(f"{number:.3g}" for number in example) if len(example) <= _NUMBERS else ""
            cells.append("" if place < 0 else (f"{place} ({code:.3g})", text))
        rows.append([name, *cells])
    few = "; its numbers are below it" if shown.shape[-1] <= _NUMBERS else ""
    text = f"The test examples with the largest codes of each unit: the position, from 0, and the code{few}."
    return paragraph(text) + table(["", *(str(number) for number in range(1, shown.shape[1] + 1))], rows)
