"""Fill the missing cells of a table with a trained autoencoder."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from aejax.cli import command_line
from aejax.cli.opened import RunOptions
from aejax.errors import UserError

DESCRIPTION = """Fill the missing cells of a table with a run that was trained on a table with the same columns.

  aejax impute runs/NAME houses.csv filled.csv                 the mean of each missing cell, or its most probable class
  aejax impute runs/NAME houses.csv filled.csv --samples 5     5 random draws, in filled-1.csv to filled-5.csv

Each row is encoded from its known cells, and its missing cells are decoded. Known cells, and columns that the run does
not use, stay as they are. Random draws differ as much as the known cells leave open, as statistics on imputed tables
require (multiple imputation); they need a variational run."""


@dataclass(frozen=True)
class Options(RunOptions):
    """Which table to fill, and with which run."""

    input: tyro.conf.Positional[Path]
    """The table: a .csv, .tsv or .parquet file."""
    output: tyro.conf.Positional[Path]
    """The table to write, which must not exist yet."""
    unknown_categories: Literal["refuse", "missing"] | None = None
    """A table: how a category that no training row has is read; as in the run's configuration if not given."""
    samples: int | None = None
    """Number of tables with random draws of the missing cells; one table with means if not given."""
    seed: int = 0
    """Seed of random draws."""


def main(arguments: Sequence[str]) -> None:
    """Parse, fill and write."""
    options = command_line.parse(Options, arguments, description=DESCRIPTION)
    from aejax.datasets.tables.files import SUFFIXES, check_polars, is_table_file

    if not is_table_file(options.output):
        raise UserError(f"{options.output}: expected the name of a {' or '.join(SUFFIXES[:3])} file")
    if options.samples is not None and options.samples < 1:
        raise UserError(f"--samples: must be at least 1, got {options.samples}")
    command_line.check_seed(options.seed)
    paths = [options.output]
    if options.samples is not None:
        stem, suffix = options.output.stem, options.output.suffix
        paths = [options.output.with_name(f"{stem}-{number}{suffix}") for number in range(1, options.samples + 1)]
    for path in paths:
        command_line.check_free(path)
    check_polars()
    import numpy as np

    from aejax.experiment.at_use import check_kind
    from aejax.experiment.progress import working
    from aejax.experiment.tables_at_use import impute, load_rows, read_frame, write_frame
    from aejax.host.terminal import PlainConsole

    console = PlainConsole()
    with working(console, "opening the run"):
        run = options.open_run()
    check_kind(run, run.facts.columns is not None, "a run on a table", what="imputation")
    examples = load_rows(run, options.input, unknown_categories=options.unknown_categories)
    with working(console, "imputing"):
        for path, filled in zip(
            paths,
            impute(run, read_frame(options.input), examples, samples=options.samples, seed=options.seed),
            strict=True,
        ):
            with command_line.new_file(path) as file:
                write_frame(filled, file, path)
    cells = int(np.isnan(np.asarray(examples.x)).sum())
    rows = int(np.isnan(np.asarray(examples.x)).any(axis=1).sum())
    console.print(
        f"{cells:,} missing values in {rows:,} of {len(examples.x):,} rows filled, in {', '.join(map(str, paths))}"
    )
