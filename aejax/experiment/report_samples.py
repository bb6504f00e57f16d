"""The section of a run's page with decoded samples from its prior."""

import numpy as np

from aejax import plots
from aejax.datasets.dataset import Dataset
from aejax.experiment.figures import as_drawn, axis_of, draws_images
from aejax.experiment.given import whole
from aejax.experiment.report import Cell, Section, figure_html, paragraph, table
from aejax.experiment.trained import TrainedRun

_ROWS = 5  # sampled rows of a table


def samples_section(run: TrainedRun) -> list[Section]:
    """Returns a figure of decoded samples from the prior; for a conditional run, a row for each class."""
    if run.prior is None:
        return []
    labels = None
    if run.experiment.model.conditional:
        labels = np.repeat(run.classes, 10)
    if run.facts.columns is not None:
        return _sampled_rows(run)
    count = 40 if labels is None else len(labels)
    codes = Dataset(run.sample_codes(count), labels, condition=_repeated_conditions(run, count))
    made = run.with_sampled_lengths(run.decode(codes))
    examples = as_drawn(run, made if codes.condition is None else whole(run.facts, codes.condition, made))
    grid = examples.reshape(-1, 10, *examples.shape[1:])
    figure = plots.gallery(grid, limits=run.limits, axis=axis_of(run))
    what = "a row for each class" if labels is not None else "not selected"
    what = "a row for the condition of each of the first test examples" if run.facts.given is not None else what
    caption = f"Decoded samples from the prior, {what}."
    return [Section("Samples", figure_html(figure, caption, curves=not draws_images(run)))]


def _repeated_conditions(run: TrainedRun, count: int) -> np.ndarray | None:
    """Returns the conditions of the first test examples, each ten times in a row; None for a run without them."""
    if run.facts.given is None:
        return None
    condition = run.splits.test.condition
    assert condition is not None
    return np.repeat(np.resize(condition, (count // 10, *condition.shape[1:])), 10, axis=0)


def _sampled_rows(run: TrainedRun) -> list[Section]:
    """Returns a table of decoded samples from the prior, a column of the user's table in each line."""
    from aejax.experiment.tables_at_use import rows_as_frame

    labels = np.resize(run.classes, _ROWS) if run.experiment.model.conditional else None
    assert run.facts.columns is not None
    test = run.splits.test.condition
    condition = None if test is None else np.resize(test[:_ROWS], (_ROWS, *test.shape[1:]))
    decoded = run.decode(Dataset(run.sample_codes(_ROWS), labels, condition=condition))
    frame = rows_as_frame(run, decoded, condition)
    rows: list[list[Cell]] = [
        [
            name,
            *("" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value) for value in column),
        ]
        for name, column in zip(frame.columns, frame.iter_columns(), strict=True)
    ]
    text = paragraph(
        "Decoded samples from the prior, not selected: the mean of each column, or its most probable class."
    )
    heads: list[Cell] = ["column", *(f"sample {number}" for number in range(1, _ROWS + 1))]
    return [Section("Samples", text + table(heads, rows))]
