"""Encode examples with a trained autoencoder, decode codes, and compare its codes with PCA."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import tyro

from aejax.cli import command_line
from aejax.cli.figure_options import FigureOptions
from aejax.cli.opened import RunOptions
from aejax.errors import UserError
from aejax.host.files import write_text
from aejax.host.optional import optional

if TYPE_CHECKING:  # imported where they are used, so that --help answers at once
    from rich.table import Table

    from aejax.evaluation.reduction import Reduction
    from aejax.experiment.trained import TrainedRun
    from aejax.host.files import FigureFormat
    from aejax.host.terminal import PlainConsole

DESCRIPTION = """Encode examples with a trained autoencoder, decode codes, or compare its codes with PCA.

  aejax encode runs/NAME data.npy codes.npy            encode examples (N, ...) to codes (N, K), as float32
  aejax encode runs/NAME codes.npy data.npy --decode   decode codes to examples, in the data's units
  aejax encode runs/NAME --compare report              compare the codes of the run's test examples with PCA

Examples are read from .npy and .npz files or a folder of images, and bytes are scaled as in the run's training data.
--compare writes a folder with comparison.json and figures: reconstructions, and codes embedded in 2 dimensions by t-SNE
(a visual aid, not a measurement)."""

_TABLES = (".csv", ".tsv", ".parquet", ".pq")
ROUNDING_ERROR = 1e-9  # relative to the variance; a smaller squared error counts as zero


@dataclass(frozen=True)
class Options(FigureOptions, RunOptions):
    """What to encode, decode or compare, and with which run."""

    input: tyro.conf.Positional[Path | None] = None
    """Examples to encode, or codes to decode: a .npy file, or a .npz file with an entry x; also a folder of images.
    For a run on a table: a .csv, .tsv or .parquet file with its columns, or with the columns unit_1, ... of codes."""
    output: tyro.conf.Positional[Path | None] = None
    """The .npy file to write, which must not exist yet; or a .csv or .parquet file with the columns unit_1, unit_2, ...
    of codes, or with the columns of the run's table."""
    decode: bool = False
    """Decode codes to examples instead of encoding examples."""
    labels: Path | None = None
    """A .npy file with the class of every example, for a conditional run."""
    given: Path | None = None
    """--decode: a file with the condition of every code, for a run with --condition: a table with these columns, a .npz
    file with these entries, or a .npy file."""
    any_scale: bool = False
    """Accept examples whose values are not on the scale of the training data, as those of anomalies may be."""
    unknown_categories: Literal["refuse", "missing"] | None = None
    """A table: how a category that no training row has is read; as in the run's configuration if not given."""
    compare: Path | None = None
    """A folder to write the comparison with PCA into, which must not exist yet."""


def main(arguments: Sequence[str]) -> None:
    """Parse, and encode, decode or compare."""
    options = command_line.parse(Options, arguments, description=DESCRIPTION)
    _check(options)
    from aejax.experiment.progress import working
    from aejax.host.terminal import PlainConsole

    console = PlainConsole()
    with working(console, "opening the run"):
        run = options.open_run()
    if options.compare is not None:
        _compare(run, options.compare, console, options.format)
    else:
        _convert(run, options, console)


def _check(options: Options) -> None:
    """Raise UserError for options that cannot be combined, before anything is loaded."""
    if options.compare is not None:
        if options.input is not None or options.decode or options.labels is not None:
            raise UserError("--compare uses the run's own test examples: leave out files, --decode and --labels")
        target = options.compare
    else:
        if options.input is None or options.output is None:
            raise UserError("give an input and an output file, or --compare FOLDER")
        if options.output.suffix.lower() not in (".npy", *_TABLES):
            raise UserError(f"{options.output}: expected the name of a .npy file, or of a .csv or .parquet file")
        target = options.output
    if options.given is not None and not options.decode:
        raise UserError("--given: requires --decode; the conditions of examples are in their file")
    command_line.check_free(target)


def _convert(run: "TrainedRun", options: Options, console: "PlainConsole") -> None:
    """Encode or decode a file."""
    import numpy as np

    from aejax.experiment.at_use import check_kind, load_codes, load_examples, with_given
    from aejax.experiment.progress import working

    assert options.input is not None
    assert options.output is not None
    is_table, makes_table = (path.suffix.lower() in _TABLES for path in (options.input, options.output))
    if makes_table or (options.decode and is_table):
        fits = run.facts.columns is not None if options.decode else len(run.code_shape) == 1
        expected = "a run on a table" if options.decode else "a run whose code is a vector"
        check_kind(run, fits, expected, what="a table of results")
    if options.decode and is_table:
        from aejax.experiment.tables_at_use import load_code_table

        given = with_given(run, load_code_table(run, options.input), options.given)
        with working(console, "decoding"):
            result = run.decode(given)
    elif options.decode:
        given = load_codes(run, options.input, options.labels, given=options.given)
        with working(console, "decoding"):
            result = run.decode(given)
    else:
        given = load_examples(
            run,
            options.input,
            options.labels,
            any_scale=options.any_scale,
            unknown_categories=options.unknown_categories,
        )
        with working(console, "encoding"):
            result = run.encode(given)
    with command_line.new_file(options.output) as file:
        if makes_table:
            from aejax.experiment.tables_at_use import codes_as_frame, rows_as_frame, write_frame

            frame = rows_as_frame(run, result) if options.decode else codes_as_frame(result)
            write_frame(frame, file, options.output)
        else:
            np.save(file, result)
    what = "codes decoded" if options.decode else "examples encoded"
    console.print(f"{len(result):,} {what}: {given.x.shape} to {result.shape}, in {options.output}")


def _compare(run: "TrainedRun", folder: Path, console: "PlainConsole", figure_format: "FigureFormat") -> None:
    """Compare the codes with PCA; print a table, write it and figures."""
    import numpy as np

    from aejax.experiment.encode import compare_with_pca, draw_codes, draw_reconstructions
    from aejax.experiment.progress import working
    from aejax.plots import save_figure

    comparison = compare_with_pca(run, on_step=console.print)
    components, test, measured = comparison.components, comparison.originals, comparison.measured
    of_what = {"run": str(run.path), "components": components, "test_examples": len(test)}
    report = of_what | {name: reduction._asdict() for name, reduction in measured.items()}
    with command_line.new_folder(folder) as written:
        write_text(written / "comparison.json", json.dumps(report, indent=2) + "\n")
        with optional("figure of reconstructions", console.print):
            save_figure(draw_reconstructions(run, comparison), written, "reconstructions", file_format=figure_format)
        with optional("figure of codes", console.print), working(console, "embedding the codes in 2 dimensions"):
            save_figure(draw_codes(run, comparison), written, "codes", file_format=figure_format)
    title = f"{components}-dimensional codes of {math.prod(run.example_shape)} features; {len(test):,} test examples"
    console.print(_table(title, measured, rounding_error=ROUNDING_ERROR * float(np.var(test))))
    console.print(f"the comparison is in {folder}")


def _table(title: str, measured: "dict[str, Reduction]", *, rounding_error: float) -> "Table":
    """Returns a table: a column per method, and the ratio of the errors unless PCA's, the last, is rounding error."""
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    table.add_column("")
    for name in measured:
        table.add_column(name, justify="right")
    rows = {
        "squared error per feature": ("squared_error", ".5f", ""),
        "5 nearest neighbors, accuracy, %": ("neighbors_accuracy_percent", ".2f", "no labels"),
        "linear probe, accuracy, %": ("probe_accuracy_percent", ".2f", "no labels"),
        "trustworthiness": ("trustworthiness", ".4f", "too few examples"),
    }
    for label, (field, form, missing) in rows.items():
        values = [getattr(reduction, field) for reduction in measured.values()]
        table.add_row(label, *(missing if value is None else format(value, form) for value in values))
    errors = [reduction.squared_error for reduction in measured.values()]
    if errors[-1] > rounding_error:
        table.add_row("squared error, relative to PCA's", *(f"{error / errors[-1]:.3f}" for error in errors))
    return table
