"""Write one self-contained page about a run: numbers, curves, reconstructions, codes, samples, configuration."""

import math
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tyro

from aejax.cli import command_line
from aejax.errors import UserError
from aejax.host.files import write_text
from aejax.host.optional import optional

if TYPE_CHECKING:  # imported where they are used, so that --help answers at once
    import numpy as np

    from aejax.experiment.report import Card, Section
    from aejax.experiment.trained import TrainedRun

DESCRIPTION = """Write one self-contained page about a run, of any family, finished or not.

  evaluate.py runs/NAME                        writes runs/NAME/report.html
  evaluate.py runs/NAME --output page.html     writes another file

The page holds every number with its unit, curves, the best and the worst reconstructions of test examples, the codes,
samples from the prior, the configuration, and the command that trains the same. It needs no server and no network."""

SHOWN = 10  # best and worst reconstructions
ERROR = "squared error per number, (unit of data)²"


@dataclass(frozen=True)
class Options:
    """Which run, and where to."""

    run: tyro.conf.Positional[Path]
    """The run folder."""
    output: Path | None = None
    """The file to write, over one that is there; report.html in the run folder if not given."""


def main() -> None:
    """Parse, evaluate, write."""
    options = command_line.parse(Options, sys.argv[1:], description=DESCRIPTION)
    target = options.output or options.run / "report.html"
    if options.output is not None:
        command_line.check_can_be_made(target)
    if target.is_dir():
        raise UserError(f"{target}: is a folder; name a file")
    from aejax.experiment.report import Section, page, paragraph
    from aejax.experiment.run_folder import read_records
    from aejax.experiment.trained import open_run
    from aejax.host.terminal import PlainConsole

    console = PlainConsole()
    run = open_run(options.run)
    records = read_records(options.run)
    if not any("validation/loss" in record for record in records):
        raise UserError(f"{options.run}: metrics.jsonl holds no evaluation; it was removed or emptied")
    errors = _errors(run)
    parts = " and ".join(run.autoencoder.parts).replace("_", " ")
    sizes = ", ".join(f"{len(part.x):,} {split}" for split, part in zip(run.splits._fields, run.splits, strict=True))
    subtitle = f"{parts} on {Path(run.experiment.data.dataset).name}; {sizes} examples of {run.example_shape}"
    sections: list[Section] = []
    for title, build in {
        "Numbers": lambda: _numbers(run, records),
        "Reconstructions": lambda: _reconstructions(run, errors),
        "Codes": lambda: _codes(run, records),
        "Samples": lambda: _samples(run),
        "How it was made": lambda: _configuration(run),
    }.items():
        missing: list[str] = []
        with optional(title, missing.append):
            sections += build()
        for line in missing:
            console.print(line)
            sections.append(Section(title, paragraph(line)))
    target.parent.mkdir(parents=True, exist_ok=True)
    write_text(target, page(options.run.resolve().name, subtitle, _cards(run, records, errors), sections))
    console.print(f"{target}: {target.stat().st_size / 1e6:.1f} MB")


def _errors(run: "TrainedRun") -> "np.ndarray":
    """Squared error of every test example, per number."""
    import numpy as np

    differences = run.splits.test.x - run.reconstruct(run.splits.test)
    return np.mean(np.square(differences, dtype=np.float64).reshape(len(differences), -1), axis=1)


def _best(run: "TrainedRun", records: list[dict[str, Any]]) -> dict[str, Any]:
    """The record of the evaluation whose parameters the run has kept; empty where it was killed while writing it."""
    return next((r for r in records if "validation/loss" in r and r["epoch"] == run.best_epoch), {})


def _final(records: list[dict[str, Any]]) -> dict[str, Any]:
    """The record of the test examples; empty for a run that has not come to its end."""
    return next((record for record in reversed(records) if "test/loss" in record), {})


def _shown(value: float) -> str:
    """A count as such, another number with six digits."""
    return f"{value:,}" if isinstance(value, int) else f"{value:.6g}"


def _named(run: "TrainedRun", term: str) -> str:
    from aejax.experiment.report import term_title, term_unit

    return f"{term_title(term)}, {term_unit(term, run.experiment.model)}"


def _cards(run: "TrainedRun", records: list[dict[str, Any]], errors: "np.ndarray") -> "list[Card]":
    from aejax.evaluation.denoising import peak_signal_to_noise_ratio
    from aejax.experiment.report import Card

    final, best = _final(records), _best(run, records)
    split = "test" if final else "validation"
    loss = final.get("test/loss", best.get("validation/loss", math.nan))
    peak = float(run.splits.train.x.max() - run.splits.train.x.min())
    cards = [
        Card(f"{loss:.4g}", f"{split} {_named(run, 'loss')}"),
        Card(f"{errors.mean():.4g}", f"test {ERROR}"),
    ]
    if peak:
        ratio = peak_signal_to_noise_ratio(float(errors.mean()), peak)
        cards.append(Card(f"{ratio:.2f} dB", "peak signal-to-noise ratio of that error"))
    if "test/code/units" in final:  # the end of training goes on where these fail
        norm, units = final.get("test/code/frobenius_norm", math.nan), final["test/code/units"]
        cards.append(Card(f"{norm:.3g}", f"test {_named(run, 'code/frobenius_norm')}"))
        cards.append(Card(f"{_shown(final['test/code/active_units'])} of {_shown(units)}", "units of the code active"))
    return [*cards, Card(f"{run.best_epoch}", f"best epoch, of {_last_epoch(records):g}")]


def _last_epoch(records: list[dict[str, Any]]) -> float:
    return max(record["epoch"] for record in records)


def _numbers(run: "TrainedRun", records: list[dict[str, Any]]) -> "list[Section]":
    """Every term of the loss, and the curves."""
    from aejax import plots
    from aejax.experiment.report import Section, loss_note, paragraph, picture, table, term_title, term_unit

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
        "Means of the best epoch; those of training are over that epoch, while the parameters changed, and not those "
    )
    text += f"that train.py prints at its end, of the parameters after it. The {loss_note(run.experiment)}."
    if not final:
        text += " The run has not come to its end: its test examples have not been evaluated."
    unit_of = partial(term_unit, model=run.experiment.model)
    curves, narrow = (
        plots.training_curves(records, best_epoch=run.best_epoch, unit_of=unit_of, title_of=term_title, columns=columns)
        for columns in (3, 1)
    )
    content = paragraph(text + _strangers(run)) + table(["", "train, during the epoch", "validation", "test"], rows)
    content += picture(curves, "Every term over the epochs; the best epoch is marked.", narrow=narrow)
    return [Section("Numbers", content)]


def _strangers(run: "TrainedRun") -> str:
    """Of the test examples of classes that were not trained on, where there are any, as among heartbeats."""
    import numpy as np

    train, _, test = run.splits
    if train.labels is None or test.labels is None:
        return ""
    count = np.isin(test.labels, train.labels, invert=True).sum()
    return (
        f" {count:,} of {len(test.labels):,} test examples are of classes that were not trained on: "
        "test and validation do not compare."
        if count
        else ""
    )


def _reconstructions(run: "TrainedRun", errors: "np.ndarray") -> "list[Section]":
    """The test examples that are reconstructed best, and worst."""
    import numpy as np

    from aejax import plots
    from aejax.datasets.dataset import take
    from aejax.experiment.figures import as_drawn
    from aejax.experiment.report import Section, picture

    order, test = np.argsort(errors), run.splits.test
    limits = float(run.splits.train.x.min()), float(run.splits.train.x.max())
    content = ""
    for what, chosen in {"best": order[:SHOWN], "worst": order[: -SHOWN - 1 : -1]}.items():
        some = take(test, chosen)
        rows = {"original": some.x} | ({} if some.input is None else {"noisy": some.input})
        rows["reconstruction"] = run.reconstruct(some)
        examples = np.stack([as_drawn(run.experiment, np.asarray(x)) for x in rows.values()])
        names = [f"{errors[place]:.4g}" for place in chosen]
        figure = plots.gallery(examples, limits=limits, rows=tuple(rows), columns=names)
        low, high = errors[chosen].min(), errors[chosen].max()
        caption = f"The {len(chosen)} {what} of {len(errors):,} test examples: {ERROR}, from {low:.4g} to {high:.4g}."
        content += picture(figure, caption)
    return [Section("Reconstructions", content)]


def _codes(run: "TrainedRun", records: list[dict[str, Any]]) -> "list[Section]":
    """Where the codes of the test examples lie, and what they tell."""
    import numpy as np

    from aejax import plots
    from aejax.experiment.report import Section, picture, table

    test, final = run.splits.test, _final(records)
    content = picture(plots.latent_space(run.encode(test), test.labels), "Codes of the test examples.")
    code = {name.removeprefix("test/code/"): value for name, value in final.items() if name.startswith("test/code/")}
    by_unit = [value for name, value in code.items() if name.startswith("kl/")]
    rows = [[_named(run, f"code/{name}"), _shown(value)] for name, value in code.items() if not name.startswith("kl/")]
    if rows:
        content += table(["of the code, test examples", ""], rows)
    if by_unit:
        figure = plots.kl_per_unit(np.array(by_unit))
        content += picture(figure, "Divergence of each unit's posterior from the prior, mean over test examples, nats.")
    return [Section("Codes", content)]


def _samples(run: "TrainedRun") -> "list[Section]":
    """Decoded samples of the prior, of a conditional run a row for each class."""
    import numpy as np

    from aejax import plots
    from aejax.datasets.dataset import Dataset
    from aejax.experiment.figures import as_drawn
    from aejax.experiment.report import Section, picture

    if run.prior is None:
        return []
    labels = None
    if run.experiment.model.conditional:
        labels = np.repeat(run.classes, 10)
    count = 40 if labels is None else len(labels)
    examples = as_drawn(run.experiment, run.decode(Dataset(run.sample_codes(count), labels)))
    limits = float(run.splits.train.x.min()), float(run.splits.train.x.max())
    figure = plots.gallery(examples.reshape(-1, 10, *examples.shape[1:]), limits=limits)
    what = "a row for each class" if labels is not None else "not chosen"
    return [Section("Samples", picture(figure, f"Decoded samples from the prior, {what}."))]


def _configuration(run: "TrainedRun") -> "list[Section]":
    from aejax.experiment.presets import training_command
    from aejax.experiment.report import Section, code_block, configuration_table, folded, paragraph

    command = code_block(training_command(run.experiment))
    text = paragraph("This command trains the same, with the same bits on the same machine.")
    return [Section("How it was made", text + command + folded("every knob", configuration_table(run.experiment)))]


if __name__ == "__main__":
    command_line.run(main)
