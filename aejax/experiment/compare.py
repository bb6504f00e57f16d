"""The HTML page that compares runs: settings, loss terms, measures, curves, reconstructions of the same examples."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from string import ascii_uppercase
from typing import NamedTuple

import jax
import numpy as np

from aejax import plots
from aejax.autoencoders import part_names
from aejax.datasets.dataset import take
from aejax.errors import UserError
from aejax.evaluation import MEASURES
from aejax.evaluation.denoising import peak_signal_to_noise_ratio
from aejax.experiment.code_sentences import code_of
from aejax.experiment.conditions import without_effect
from aejax.experiment.configuration import Experiment
from aejax.experiment.evaluate import ReportPage, description_of, final_record, holds_images, named, terms_of
from aejax.experiment.figures import as_drawn, axis_of, draw_versions, draws_images
from aejax.experiment.presets import training_command
from aejax.experiment.reconstruction_error import pca_error, squared_errors, unit_of
from aejax.experiment.report import Cell, Section, aligned, code_block, figure_html, loss_sum, page, paragraph, table
from aejax.experiment.run_folder import Record, read_fingerprint, read_records
from aejax.experiment.trained import TrainedRun
from aejax.host.optional import optional
from aejax.plots.style import PALETTE

MAX_RUNS = len(ascii_uppercase)
_SHOWN = 10  # examples in a figure
_MAX_OVERLAID = 1 + len(PALETTE)  # versions of a vector in one panel: the original, and one in each color
_MAX_COLUMN, _MAX_COLUMNS = 16, 4  # characters of a run's name at the head of a column, and columns with names
_NO_EFFECT = ("data_dir", "checkpoint_every")  # knobs that no result depends on
_UNUSED = "–"  # in place of the value of a knob that has no effect
_RunsRow = tuple[Cell, list[float | int | None]]


class _Compared(NamedTuple):
    """One of the runs of a page."""

    label: str  # its name in tables and figures
    run: TrainedRun
    records: list[Record]
    errors: np.ndarray  # of its test examples


def compare_page(runs: Sequence[TrainedRun]) -> ReportPage:
    """Returns the page that shows runs of any families side by side.

    The page holds the settings that differ, every term of the loss on test examples, measures, curves on common axes,
    reconstructions of the same test examples, and the commands that train the runs. Runs on different data are shown
    without reconstructions, and the page says that their numbers are of different examples.

    Args:
      runs: 2 to 26 runs in different folders, finished or not.

    Raises:
      UserError: fewer or more runs, a run that is given twice or has no record of an evaluation, or data of a run are
        missing or have changed.
    """
    if not 2 <= len(runs) <= MAX_RUNS:
        raise UserError(f"a comparison expects 2 to {MAX_RUNS} runs, got {len(runs)}")
    folders = [run.path.resolve() for run in runs]
    for place, folder in enumerate(folders):
        if folder in folders[:place]:
            raise UserError(f"{runs[place].path}: is given twice; a comparison expects different runs")
    shared: dict[str, TrainedRun] = {}  # a run per data set, whose examples the others share
    for run in runs:
        shared.setdefault(read_fingerprint(run.path), run)
    compared = []
    for label, run in zip(_labels([folder.name for folder in folders]), runs, strict=True):
        records = read_records(run.path)
        if not any("validation/loss" in record for record in records):
            raise UserError(f"{run.path}: metrics.jsonl holds no evaluation; the file was removed or emptied")
        run = run._replace(load_splits=shared[read_fingerprint(run.path)].load_splits)
        compared.append(_Compared(label, run, records, squared_errors(run)))
    are_same = len(shared) == 1
    sections: list[Section] = []
    missing: list[str] = []
    for title, build in {
        "Runs": lambda: _runs(compared),
        "Settings": lambda: _settings(compared),
        "Loss": lambda: _loss(compared),
        "Measures": lambda: _measures(compared, are_same=are_same),
        "Curves": lambda: _curves(compared),
        "Reconstructions": lambda: _reconstructions(compared, are_same=are_same),
        "Commands": lambda: _commands(compared),
    }.items():
        failures: list[str] = []
        with optional(title, failures.append):
            sections.append(Section(title, build()))
        sections += [Section(title, paragraph(line)) for line in failures]
        missing += failures
    data = list(dict.fromkeys(Path(run.experiment.data.dataset).name for run in runs))
    of_what = f"All are evaluated on the same {len(compared[0].errors):,} test examples of {data[0]}."
    if not are_same:
        of_what = (
            f"The runs have different data ({', '.join(data)}), or other splits of them, so their numbers are of "
            "different test examples."
        )
    return ReportPage(page(f"Comparison of {len(runs)} runs", of_what, [], sections), tuple(missing))


def _labels(names: Sequence[str]) -> list[str]:
    """Returns what tables and figures call runs: their names if these are short, few and distinct, otherwise letters.

    >>> _labels(["digits-vae", "digits-wae"]), _labels(["run", "run"])
    (['digits-vae', 'digits-wae'], ['A', 'B'])
    """
    is_short = len(names) <= _MAX_COLUMNS and max(map(len, names)) <= _MAX_COLUMN
    return list(names) if is_short and len(set(names)) == len(names) else list(ascii_uppercase[: len(names)])


def _runs(compared: Sequence[_Compared]) -> str:
    """Returns a table of what the runs are."""
    rows: list[list[Cell]] = []
    for label, run, records, _ in compared:
        parts = " and ".join(part_names(run.autoencoder.parts)).replace("_", " ")
        what = ": ".join(text for text in (description_of(run.experiment), parts) if text)
        epochs = f"{run.best_epoch:,} of {max(record['epoch'] for record in records):g}"
        finished = "" if final_record(records) else ", not finished"
        rows.append([(label, str(run.path) if label != str(run.path) else ""), what, epochs + finished])
    return table(["run", "autoencoder", "best epoch"], rows, wraps=True)


def _settings(compared: Sequence[_Compared]) -> str:
    """Returns a table of the knobs whose values differ; a run in which a knob has no effect has a dash.

    A knob that only some runs use is left out if these have its default.
    """
    configurations, defaults = (
        [dataclasses.asdict(of.run.experiment) for of in compared],
        dataclasses.asdict(Experiment()),
    )
    unused = [
        without_effect(experiment.model, experiment.dictionary, experiment.regularization)
        for experiment in (of.run.experiment for of in compared)
    ]
    rows = []
    for group, knobs in configurations[0].items():
        for knob in knobs:
            values = [
                _UNUSED if knob in without else _shown(configuration[group][knob])
                for configuration, without in zip(configurations, unused, strict=True)
            ]
            in_use = set(values) - {_UNUSED}
            is_set = len(set(values)) > 1 and in_use != {_shown(defaults[group][knob])}
            if (len(in_use) > 1 or is_set) and knob not in _NO_EFFECT:
                rows.append([knob.replace("_", " "), *values])
    if not rows:
        return paragraph("All settings that a result depends on are equal.")
    text = "These settings differ, all others are equal. A dash marks a setting that the run does not use."
    return paragraph(text) + table(["", *_heads(compared)], rows)


def _shown(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    if isinstance(value, float):
        return f"{value:g}"
    return "none" if value is None else str(value).replace("_", " ")


def _heads(compared: Sequence[_Compared]) -> list[Cell]:
    return [of.label for of in compared]


def _loss(compared: Sequence[_Compared]) -> str:
    """Returns the formula of each loss, and a table of the terms on test examples."""
    formulas: dict[str, list[str]] = {}
    for of in compared:
        formulas.setdefault(loss_sum(of.run.autoencoder.parts), []).append(of.label)
    if len(formulas) == 1:
        text = f"In all runs, {next(iter(formulas))}."
    else:
        text = " ".join(f"{', '.join(labels)}: {formula}." for formula, labels in formulas.items())
        text += " Losses with different terms or weights are not comparable."
    text += " The table has means over test examples at the best epoch, without their weights."
    if unfinished := [of.label for of in compared if not final_record(of.records)]:
        text += f" Not finished, and so without values: {', '.join(unfinished)}."
    values: dict[tuple[str, str], list[float | None]] = {}
    for place, of in enumerate(compared):
        final = final_record(of.records)
        for term in terms_of(of.records):
            if f"test/{term}" in final and not term.startswith("code/"):
                row = values.setdefault(named(of.run, term), [None] * len(compared))
                row[place] = final[f"test/{term}"]
    rows: list[list[Cell]] = [
        [name, *row] for name, row in zip(values, aligned([*values.values()], digits=3), strict=True)
    ]
    return paragraph(text) + (table(["", *_heads(compared)], rows) if rows else "")


def _measures(compared: Sequence[_Compared], *, are_same: bool) -> str:
    """Returns a sentence and a table of measures that do not depend on the loss."""
    means = [float(of.errors.mean()) for of in compared]
    unit = unit_of(compared[0].run)
    text = ""
    if are_same:
        best = int(np.argmin(means))
        text = paragraph(
            f"{compared[best].label} has the lowest mean squared error on test examples, {means[best]:.4g} {unit} per "
            "feature."
        )
    rows: list[_RunsRow] = [
        (("squared error per feature", unit), [*means]),
        (("squared error of PCA with as many components as code units", unit), [pca_error(of.run) for of in compared]),
    ]
    if all(holds_images(of.run) and of.run.limits[0] < of.run.limits[1] for of in compared):
        ratios = [
            peak_signal_to_noise_ratio(mean, of.run.limits[1] - of.run.limits[0])
            for mean, of in zip(means, compared, strict=True)
        ]
        rows.append((("peak signal-to-noise ratio", "dB"), [*ratios]))
    rows.append(("parameters", [sum(x.size for x in jax.tree.leaves(of.run.params)) for of in compared]))
    codes = [code_of(final_record(of.records)) for of in compared]
    for measure in MEASURES:
        values = [code.get(measure.name) for code in codes]
        values = [None if isinstance(value, np.ndarray) else value for value in values]
        unit = "" if measure.unit in ("no unit", "count") else measure.unit
        rows.append(((measure.title, unit), values))
    shown = [[name, *_row(values)] for name, values in rows if any(value is not None for value in values)]
    return text + table(["", *_heads(compared)], shown)


def _row(values: Sequence[float | int | None]) -> list[str]:
    """Returns counts in full, and other numbers with the same number of decimals."""
    if all(value is None or isinstance(value, int) for value in values):
        return ["" if value is None else f"{value:,}" for value in values]
    return aligned([values])[0]


def _curves(compared: Sequence[_Compared]) -> str:
    """Returns a figure of the validation curves of the loss, and of all terms that at least two runs have."""
    panels: dict[tuple[str, str], dict[str, plots.Curve]] = {}
    for of in compared:
        evaluations = [record for record in of.records if "validation/loss" in record]
        for term in terms_of(of.records):
            points = [(r["epoch"], r[f"validation/{term}"]) for r in evaluations if f"validation/{term}" in r]
            epochs, values = zip(*points, strict=True)
            panels.setdefault(named(of.run, term), {})[of.label] = (epochs, values)
    panels = {name: curves for name, curves in panels.items() if len(curves) > 1 or name[0] == "loss"}
    wide, narrow = (plots.compared_curves(panels, columns=columns) for columns in (2, 1))
    caption = "Means over validation examples, for the terms that at least two runs have, and the loss."
    return figure_html(wide, caption, narrow=narrow, curves=True)


def _reconstructions(compared: Sequence[_Compared], *, are_same: bool) -> str:
    """Returns figures of the first test examples, and of those whose errors differ most."""
    if not are_same:
        return paragraph("The runs have different test examples, so no reconstructions are shown.")
    first = compared[0].run
    test = first.splits.test
    spread = np.ptp([of.errors for of in compared], axis=0)
    content = ""
    for chosen, what in (
        (np.arange(min(_SHOWN, len(test.x))), "The first test examples"),
        (np.argsort(-spread, kind="stable")[:_SHOWN], "The test examples whose errors differ most between the runs"),
    ):
        some = take(test, chosen)
        rows = {"original": some.x} | ({} if some.input is None else {"noisy": some.input})
        rows |= {of.label: of.run.reconstruct(some) for of in compared}
        drawn = np.stack([as_drawn(first, np.asarray(x)) for x in rows.values()])
        if draws_images(first) or len(rows) > _MAX_OVERLAID:
            figure = plots.gallery(drawn, limits=first.limits, rows=tuple(rows), axis=axis_of(first))
            content += figure_html(figure, f"{what}, and a row of reconstructions for each run.")
        else:
            figure = draw_versions(first, rows)
            content += figure_html(figure, f"{what}, below their reconstructions by each run.", curves=True)
    return content


def _commands(compared: Sequence[_Compared]) -> str:
    """Returns the commands that train the runs, each below a comment with the run's name."""
    commands = [f"# {of.label}\n{training_command(of.run.experiment)}" for of in compared]
    text = paragraph("These commands train the same runs again, bit for bit on the same machine.")
    return text + "".join(map(code_block, commands))
