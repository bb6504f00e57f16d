"""The HTML page about a run: metrics, curves, reconstructions, codes, samples, configuration."""

import math
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from aejax import plots
from aejax.autoencoders import part_names
from aejax.datasets.dataset import take
from aejax.datasets.sources import source_of
from aejax.errors import UserError
from aejax.evaluation import measure_of
from aejax.evaluation.denoising import peak_signal_to_noise_ratio
from aejax.experiment.architectures import architecture_of
from aejax.experiment.code_sentences import code_of, code_sentences
from aejax.experiment.configuration import Experiment
from aejax.experiment.explore import explore_command
from aejax.experiment.explored import can_explore
from aejax.experiment.figures import (
    draw_codes,
    draw_columns,
    draw_versions,
    draws_images,
    shown_count,
)
from aejax.experiment.going_on import read_origin
from aejax.experiment.loading import names_of_classes
from aejax.experiment.presets import nearest_preset, training_command
from aejax.experiment.reconstruction_error import errors_by_class, pca_error, squared_errors, unit_of
from aejax.experiment.report import (
    Card,
    Cell,
    Section,
    aligned,
    code_block,
    configuration_table,
    figure_html,
    folded,
    loss_note,
    page,
    paragraph,
    table,
    term_of,
)
from aejax.experiment.report_dictionary import dictionary_section
from aejax.experiment.report_likelihood import likelihood_section
from aejax.experiment.report_sample_quality import sample_quality_section
from aejax.experiment.report_samples import samples_section
from aejax.experiment.run_folder import Record, read_records
from aejax.experiment.table_results import OURS, describe_result, table_result
from aejax.experiment.trained import TrainedRun
from aejax.experiment.treatment_notes import treatment_lines
from aejax.host.optional import optional

_MAX_CLASSES = 20  # whose table is not folded
_MAX_TREATED = 10_000  # test examples of which it is looked at whether they are gray
_MAX_CHANGED = 3  # knobs of a run that is described by its nearest preset


class ReportPage(NamedTuple):
    """A page about a run."""

    html: str  # the whole document, which needs no server and no network
    missing: tuple[str, ...]  # a line for each section that failed


def report_page(run: TrainedRun) -> ReportPage:
    """Returns the page about a run of any family, finished or not.

    The page holds every metric with its unit, curves, the best and the worst reconstructions of test examples, the
    codes, samples from the prior, the configuration, and the command that reproduces the run.

    Raises:
      UserError: the run has no record of an evaluation, or its data are missing or have changed.
    """
    records = read_records(run.path)
    if not any("validation/loss" in record for record in records):
        raise UserError(f"{run.path}: metrics.jsonl holds no evaluation; the file was removed or emptied")
    errors = squared_errors(run)
    sections: list[Section] = []
    missing: list[str] = []
    for title, build in {
        "Metrics": lambda: _metrics(run, records),
        "Likelihood": lambda: likelihood_section(run),
        "Reconstructions": lambda: _reconstructions(run, errors),
        "Codes": lambda: _codes(run, records),
        "Units of the dictionary": lambda: dictionary_section(run),
        "Samples": lambda: samples_section(run),
        "Scores of samples": lambda: sample_quality_section(run),
        "Configuration": lambda: _configuration(run),
    }.items():
        failures: list[str] = []
        with optional(title, failures.append):
            sections += build()
        sections += [Section(title, paragraph(line)) for line in failures]
        missing += failures
    html = page(run.path.resolve().name, _subtitle(run), _cards(run, records, errors), sections)
    return ReportPage(html, tuple(missing))


def best_record(run: TrainedRun, records: list[Record]) -> Record:
    """Returns the record of the best evaluation; empty if the run was killed while writing it."""
    return next((r for r in records if "validation/loss" in r and r["epoch"] == run.best_epoch), {})


def final_record(records: list[Record]) -> Record:
    """Returns the record of the test examples; empty for an unfinished run."""
    return next((record for record in reversed(records) if "test/loss" in record), {})


def terms_of(records: list[Record]) -> list[str]:
    """Returns the names of a run's terms, the loss first and measures of the code last."""
    names = {name.removeprefix("validation/") for r in records for name in r if name.startswith("validation/")}
    return sorted(names, key=lambda name: (name != "loss", measure_of(name) is not None, name))


def named(run: TrainedRun, term: str) -> tuple[str, str]:
    """Returns a term's title, and its unit or empty text."""
    described = term_of(term, run.autoencoder.parts)
    return described.title, "" if described.unit in ("no unit", "count") else described.unit


def holds_images(run: TrainedRun) -> bool:
    """Returns whether the run's examples are images, which have a peak; piano rolls and other series have none."""
    layout = source_of(run.experiment.data.dataset).layout
    is_series = layout in ("roll", "series") or architecture_of(run.experiment.model.network).layout == "series"
    return plots.is_image(run.example_shape) and not is_series


def description_of(experiment: Experiment) -> str:
    """Returns the family, its regularizers and the data in words, and the preset if there is one nearby.

    >>> from aejax.experiment.presets import PRESETS
    >>> description_of(PRESETS["digits-ae"][1])
    'preset digits-ae'
    """
    preset, changed = nearest_preset(experiment)
    changed.pop("data_dir", None)
    if preset is None or len(changed) > _MAX_CHANGED:
        return ""
    values = (
        f"{knob} {' '.join(map(str, v)) if isinstance(v, tuple | list) else v}".replace("_", " ", knob.count("_"))
        for knob, v in changed.items()
    )
    return f"preset {preset}" + (f" with {', '.join(values)}" if changed else "")


def _subtitle(run: TrainedRun) -> str:
    """Returns sentences: what the run is, and its examples."""
    parts = " and ".join(part_names(run.autoencoder.parts)).replace("_", " ")
    what = f"{parts} autoencoder on {Path(run.experiment.data.dataset).name}"
    what = ": ".join(text for text in (description_of(run.experiment), what) if text)
    train, validation, test = (f"{len(split.x):,}" for split in run.splits)
    shape = " × ".join(map(str, run.example_shape))
    return (
        f"{what[0].upper()}{what[1:]}. {train} training, {validation} validation and {test} test examples of {shape} "
        f"numbers; a code of {' × '.join(map(str, run.code_shape))} units.{_origin(run)}"
    )


def _origin(run: TrainedRun) -> str:
    """Returns a sentence on the run that this one goes on from; empty for one that began with random parameters."""
    origin = read_origin(run.path)
    return "" if origin is None else f" It goes on from {origin.run} after {origin.epoch} epochs."


def _cards(run: TrainedRun, records: list[Record], errors: np.ndarray) -> list[Card]:
    final, best = final_record(records), best_record(run, records)
    split = "test" if final else "validation"
    loss = final.get("test/loss", best.get("validation/loss", math.nan))
    mean, baseline = aligned([[float(errors.mean()), pca_error(run)]])[0]
    cards = [
        Card(f"{loss:.4g}", f"{split} {', '.join(text for text in named(run, 'loss') if text)}"),
        Card(mean, f"mean squared error of test examples, per feature, {unit_of(run)}"),
    ]
    if baseline:
        cards.append(Card(baseline, f"the same error of PCA with {run.code_shape[0]:,} components"))
    if holds_images(run) and (peak := run.value_range[1] - run.value_range[0]):
        ratio = peak_signal_to_noise_ratio(float(errors.mean()), peak)
        cards.append(Card(f"{ratio:.2f} dB", "peak signal-to-noise ratio of the autoencoder's error"))
    if "test/code/units" in final:  # missing if the statistics of the code failed at the end of training
        active, units = final["test/code/active_units"], final["test/code/units"]
        cards.append(Card(f"{active:,} of {units:,}", "code units are active on test examples"))
    return [*cards, Card(f"{run.best_epoch}", f"best epoch, of {_last_epoch(records):g}")]


def _last_epoch(records: list[Record]) -> float:
    return max(record["epoch"] for record in records)


def _metrics(run: TrainedRun, records: list[Record]) -> list[Section]:
    """Returns a table of every term of the loss, and the curves."""
    final, best = final_record(records), best_record(run, records)
    names = terms_of(records)
    values = [[best.get(f"train/{name}"), best.get(f"validation/{name}"), final.get(f"test/{name}")] for name in names]
    rows: list[list[Cell]] = [
        [named(run, name), *numbers] for name, numbers in zip(names, aligned(values), strict=True)
    ]
    text = (
        "Means over examples at the best epoch. Training means are taken during that epoch, while the parameters "
        "change; the table at the end of training shows means for the parameters after that epoch. The "
        f"{loss_note(run.autoencoder.parts)}."
    )
    few = np.asarray(run.splits.test.x[:_MAX_TREATED])
    text += "".join(f" {line[0].upper()}{line[1:]}." for line in treatment_lines(run, few))
    if not final:
        text += " The run is not finished: its test examples have not been evaluated."
    describe = partial(term_of, parts=run.autoencoder.parts)
    curves = plots.training_curves(records, best_epoch=run.best_epoch, term_of=describe)
    content = paragraph(text + _unseen_classes(run)) + table(
        ["", "train, during the epoch", "validation", "test"], rows
    )
    caption = "Every term over the epochs; the best epoch is marked."
    return [Section("Metrics", content + figure_html(curves, caption, curves=True))]


def _unseen_classes(run: TrainedRun) -> str:
    """Returns a sentence on test examples of classes that were not trained on; empty if there are none."""
    train, _, test = run.splits
    if train.labels is None or test.labels is None:
        return ""
    count = np.isin(test.labels, train.labels, invert=True).sum()
    return (
        f" {count:,} of {len(test.labels):,} test examples are of classes that were not trained on: "
        "test and validation means are not comparable."
        if count
        else ""
    )


def _columns(run: TrainedRun, errors: np.ndarray) -> list[Section]:
    """Returns a figure and a table of the errors of a table's columns, beside PCA and FAMD."""
    result = table_result(run)
    text = paragraph(". ".join(line[0].upper() + line[1:] for line in describe_result(result)) + ".")
    what = ["RMSE, in the column's unit", "fraction wrong"]
    rows: list[list[Cell]] = []
    for place, error in enumerate(result.errors[OURS]):
        values = [of_method[place].error for of_method in result.errors.values()]
        shown = [f"{value:.4g}" for value in [*values, error.constant]]
        explained = "" if math.isnan(error.explained) else f"{error.explained:.3f}"
        rows.append([(error.name, what[error.of_classes]), f"{error.known:,}", *shown, explained])
    heads: list[Cell] = ["column", "known test rows", *result.errors, "mean or most frequent class", "explained"]
    caption = (
        "How much of each column is explained: 1 - MSE / MSE of the training mean for numbers, 1 - wrong / wrong by "
        "the most frequent class for classes."
    )
    figure = figure_html(draw_columns(result), caption, curves=True)
    return [Section("Columns", text + _by_class(run, errors) + figure + folded("every column", table(heads, rows)))]


def _reconstructions(run: TrainedRun, errors: np.ndarray) -> list[Section]:
    """Returns a table of the errors by class, and figures of the test examples with the best and worst ones."""
    if run.facts.columns is not None:
        return _columns(run, errors)
    order, test = np.argsort(errors), run.splits.test
    content, shown = _by_class(run, errors), shown_count(run)
    ends = {"best": order[:shown], "worst": order[: -shown - 1 : -1]}
    for (what, chosen), names in zip(ends.items(), aligned([errors[e].tolist() for e in ends.values()]), strict=True):
        some = take(test, chosen)
        rows = {"original": some.x} | ({} if some.input is None else {"noisy": some.input})
        rows["reconstruction"] = run.reconstruct(some)
        figure = draw_versions(run, rows, names=names)
        caption = (
            f"The {len(chosen)} of {len(errors):,} test examples with the {what} reconstructions. "
            f"{'Below' if draws_images(run) else 'Above'} each is its squared error per feature, in {unit_of(run)}."
        )
        content += figure_html(figure, caption, curves=not draws_images(run))
    return [Section("Reconstructions", content)]


def _by_class(run: TrainedRun, errors: np.ndarray) -> str:
    """Returns a table of the errors by class, and a sentence; empty without labels."""
    if run.splits.test.labels is None:
        return ""
    names = {str(label): name for label, name in names_of_classes(run.experiment.data, run.facts).items()}
    classes = errors_by_class(run.splits.test.labels, errors)
    classes = [of_class._replace(label=names.get(of_class.label, of_class.label)) for of_class in classes]
    if len(classes) == 1:
        return ""
    low, high = (choose(classes, key=lambda of_class: of_class.mean) for choose in (min, max))
    ends, unit = aligned([[low.mean, high.mean]])[0], unit_of(run)
    text = (
        f"The mean squared error per feature is lowest for class {low.label} ({ends[0]} {unit}) and highest for class "
        f"{high.label} ({ends[1]} {unit})."
    )
    numbers = aligned([[of_class.mean, of_class.median, of_class.largest] for of_class in classes])
    rows = [[c.label, f"{c.examples:,}", *row] for c, row in zip(classes, numbers, strict=True)]
    content = table(["class", "examples", ("mean", unit), ("median", unit), ("largest", unit)], rows)
    if len(classes) > _MAX_CLASSES:
        content = folded(f"the errors of all {len(classes):,} classes", content)
    return paragraph(text) + content


def _codes(run: TrainedRun, records: list[Record]) -> list[Section]:
    """Returns sentences on the test examples' codes, and figures of the codes."""
    test, code = run.splits.test, code_of(final_record(records))
    content = paragraph(" ".join(code_sentences(code))) if code else ""
    caption = f"Codes of the {len(test.x):,} test examples."
    content += figure_html(draw_codes(run, run.encode(test), test.labels), caption, curves=True)
    if len(run.code_shape) == 1 and can_explore(run):
        text = "This command writes a page that shows this plane, and decodes the code at the pointer, in a browser."
        content += paragraph(text) + code_block(explore_command(run))
    if "kl" in code:
        caption = "KL divergence of each unit's posterior from the prior, mean over test examples, in nats."
        content += figure_html(plots.kl_per_unit(code["kl"]), caption, curves=True)
    return [Section("Codes", content)]


def _configuration(run: TrainedRun) -> list[Section]:
    command = code_block(training_command(run.experiment))
    again = "This command trains the same run again, bit for bit on the same machine."
    if (origin := read_origin(run.path)) is not None:
        again = f"This command trains the same knobs from random parameters; this run went on from {origin.run}."
    text = paragraph(again)
    return [Section("Configuration", text + command + folded("all knobs", configuration_table(run.experiment)))]
