"""The HTML page about a run: metrics, curves, reconstructions, codes, samples, configuration."""

import math
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from aejax import plots
from aejax.autoencoders import part_names
from aejax.datasets.dataset import Dataset, take
from aejax.errors import UserError
from aejax.evaluation.denoising import peak_signal_to_noise_ratio
from aejax.experiment.figures import as_drawn
from aejax.experiment.presets import training_command
from aejax.experiment.report import (
    Card,
    Section,
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
from aejax.experiment.run_folder import read_records
from aejax.experiment.trained import TrainedRun
from aejax.host.optional import optional

_SHOWN = 10  # best and worst reconstructions
_ERROR = "squared error per feature, (unit of data)²"


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
    errors = _errors(run)
    parts = " and ".join(part_names(run.autoencoder.parts)).replace("_", " ")
    sizes = ", ".join(f"{len(split.x):,} {name}" for name, split in zip(run.splits._fields, run.splits, strict=True))
    subtitle = f"{parts} on {Path(run.experiment.data.dataset).name}; {sizes} examples of shape {run.example_shape}"
    sections: list[Section] = []
    missing: list[str] = []
    for title, build in {
        "Metrics": lambda: _metrics(run, records),
        "Reconstructions": lambda: _reconstructions(run, errors),
        "Codes": lambda: _codes(run, records),
        "Samples": lambda: _samples(run),
        "Configuration": lambda: _configuration(run),
    }.items():
        failures: list[str] = []
        with optional(title, failures.append):
            sections += build()
        sections += [Section(title, paragraph(line)) for line in failures]
        missing += failures
    html = page(run.path.resolve().name, subtitle, _cards(run, records, errors), sections)
    return ReportPage(html, tuple(missing))


def _errors(run: TrainedRun) -> np.ndarray:
    """Returns the squared error per feature of every test example: (N,)."""
    differences = run.splits.test.x - run.reconstruct(run.splits.test)
    return np.mean(np.square(differences, dtype=np.float64).reshape(len(differences), -1), axis=1)


def _best(run: TrainedRun, records: list[dict[str, Any]]) -> dict[str, Any]:
    """Returns the record of the best evaluation; empty if the run was killed while writing it."""
    return next((r for r in records if "validation/loss" in r and r["epoch"] == run.best_epoch), {})


def _final(records: list[dict[str, Any]]) -> dict[str, Any]:
    """Returns the record of the test examples; empty for an unfinished run."""
    return next((record for record in reversed(records) if "test/loss" in record), {})


def _shown(value: float) -> str:
    """Returns an integer in full, a float with six significant digits."""
    return f"{value:,}" if isinstance(value, int) else f"{value:.6g}"


def _named(run: TrainedRun, term: str) -> str:
    described = term_of(term, run.autoencoder.parts)
    return f"{described.title}, {described.unit}"


def _cards(run: TrainedRun, records: list[dict[str, Any]], errors: np.ndarray) -> list[Card]:
    final, best = _final(records), _best(run, records)
    split = "test" if final else "validation"
    loss = final.get("test/loss", best.get("validation/loss", math.nan))
    peak = run.limits[1] - run.limits[0]
    cards = [
        Card(f"{loss:.4g}", f"{split} {_named(run, 'loss')}"),
        Card(f"{errors.mean():.4g}", f"test {_ERROR}"),
    ]
    if peak:
        ratio = peak_signal_to_noise_ratio(float(errors.mean()), peak)
        cards.append(Card(f"{ratio:.2f} dB", "peak signal-to-noise ratio of that error"))
    if "test/code/units" in final:  # missing if the statistics of the code failed at the end of training
        norm, units = final.get("test/code/frobenius_norm", math.nan), final["test/code/units"]
        cards.append(Card(f"{norm:.3g}", f"test {_named(run, 'code/frobenius_norm')}"))
        cards.append(Card(f"{_shown(final['test/code/active_units'])} of {_shown(units)}", "active units of the code"))
    return [*cards, Card(f"{run.best_epoch}", f"best epoch, of {_last_epoch(records):g}")]


def _last_epoch(records: list[dict[str, Any]]) -> float:
    return max(record["epoch"] for record in records)


def _metrics(run: TrainedRun, records: list[dict[str, Any]]) -> list[Section]:
    """Returns a table of every term of the loss, and the curves."""
    final, best = _final(records), _best(run, records)
    names = sorted(
        {name.removeprefix("validation/") for record in records for name in record if name.startswith("validation/")},
        key=lambda name: (name != "loss", name),
    )
    rows = []
    for name in names:
        values = [best.get(f"train/{name}"), best.get(f"validation/{name}"), final.get(f"test/{name}")]
        rows.append([_named(run, name), *("" if value is None else _shown(value) for value in values)])
    text = (
        "Means over examples at the best epoch. Training means are taken during that epoch, while the parameters "
        "change; the table at the end of training shows means for the parameters after that epoch. The "
        f"{loss_note(run.autoencoder.parts)}."
    )
    if not final:
        text += " The run is not finished: its test examples have not been evaluated."
    describe = partial(term_of, parts=run.autoencoder.parts)
    curves, narrow = (
        plots.training_curves(records, best_epoch=run.best_epoch, term_of=describe, columns=columns)
        for columns in (3, 1)
    )
    content = paragraph(text + _unseen_classes(run)) + table(
        ["", "train, during the epoch", "validation", "test"], rows
    )
    content += figure_html(curves, "Every term over the epochs; the best epoch is marked.", narrow=narrow)
    return [Section("Metrics", content)]


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


def _reconstructions(run: TrainedRun, errors: np.ndarray) -> list[Section]:
    """Returns figures of the test examples with the best and the worst reconstructions."""
    order, test = np.argsort(errors), run.splits.test
    content = ""
    for what, chosen in {"best": order[:_SHOWN], "worst": order[: -_SHOWN - 1 : -1]}.items():
        some = take(test, chosen)
        rows = {"original": some.x} | ({} if some.input is None else {"noisy": some.input})
        rows["reconstruction"] = run.reconstruct(some)
        examples = np.stack([as_drawn(run.experiment, np.asarray(x)) for x in rows.values()])
        names = [f"{errors[place]:.4g}" for place in chosen]
        figure = plots.gallery(examples, limits=run.limits, rows=tuple(rows), columns=names)
        low, high = errors[chosen].min(), errors[chosen].max()
        caption = f"The {len(chosen)} {what} of {len(errors):,} test examples: {_ERROR}, from {low:.4g} to {high:.4g}."
        content += figure_html(figure, caption)
    return [Section("Reconstructions", content)]


def _codes(run: TrainedRun, records: list[dict[str, Any]]) -> list[Section]:
    """Returns a figure of the test examples' codes, and their measures."""
    test, final = run.splits.test, _final(records)
    content = figure_html(plots.latent_space(run.encode(test), test.labels), "Codes of the test examples.")
    code = {name.removeprefix("test/code/"): value for name, value in final.items() if name.startswith("test/code/")}
    by_unit = [value for name, value in code.items() if name.startswith("kl/")]
    rows = [[_named(run, f"code/{name}"), _shown(value)] for name, value in code.items() if not name.startswith("kl/")]
    if rows:
        content += table(["measure of the test examples' codes", "value"], rows)
    if by_unit:
        figure = plots.kl_per_unit(np.array(by_unit))
        caption = "KL divergence of each unit's posterior from the prior, mean over test examples, in nats."
        content += figure_html(figure, caption)
    return [Section("Codes", content)]


def _samples(run: TrainedRun) -> list[Section]:
    """Returns a figure of decoded samples from the prior; for a conditional run, a row for each class."""
    if run.prior is None:
        return []
    labels = None
    if run.experiment.model.conditional:
        labels = np.repeat(run.classes, 10)
    count = 40 if labels is None else len(labels)
    examples = as_drawn(run.experiment, run.decode(Dataset(run.sample_codes(count), labels)))
    figure = plots.gallery(examples.reshape(-1, 10, *examples.shape[1:]), limits=run.limits)
    what = "a row for each class" if labels is not None else "not selected"
    return [Section("Samples", figure_html(figure, f"Decoded samples from the prior, {what}."))]


def _configuration(run: TrainedRun) -> list[Section]:
    command = code_block(training_command(run.experiment))
    text = paragraph("This command reproduces the run, bit for bit on the same machine.")
    return [Section("Configuration", text + command + folded("all knobs", configuration_table(run.experiment)))]
