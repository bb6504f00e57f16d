"""Reproduce a table of a paper by one command: train or continue what it needs, measure, and compare."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from aejax.cli import command_line
from aejax.cli.figure_options import FigureOptions
from aejax.errors import UserError
from aejax.host.commands import verb_command
from aejax.host.files import write_text
from aejax.host.optional import optional
from aejax.studies.reproductions import BUDGETS, TABLES

DESCRIPTION = f"""Reproduce a table of a paper: train what it needs, and compare the results with the published ones.

  aejax reproduce pca                       at the budget reduced, in runs/reproduce-pca-reduced
  aejax reproduce pca --budget full         near the setting of the paper
  aejax reproduce pca --seeds 3             mean and deviation over three seeds

What the folder already holds is not trained again, so the same command continues a reproduction that was stopped. It
first prints how long it takes and what is smaller than in the paper. The folder holds table.md, table.json, figures,
config.json, and every run.

Tables:
{chr(10).join(f"  {name:18}{description}" for name, (description, _) in TABLES.items())}

Budgets:
{chr(10).join(f"  {name:18}{description}" for name, description in BUDGETS.items())}"""


@dataclass(frozen=True)
class Options(FigureOptions):
    """Which budget, and where."""

    budget: Literal["full", "reduced", "smoke"] = "reduced"
    """How much is trained."""
    seeds: int | None = None
    """Number of seeds of every setting; that of the budget if not given."""
    data_dir: str | None = None
    """The folder of prepared data sets; AEJAX_DATA_DIR if not given."""
    run_dir: Path | None = None
    """The folder to write, or to continue; runs/reproduce-TABLE-BUDGET if not given."""


def main(arguments: Sequence[str]) -> None:
    """Parse, train and measure, write, and print the table."""
    started = time.perf_counter()
    is_named = bool(arguments) and not arguments[0].startswith("-")
    first = next(iter(TABLES))
    name, arguments = command_line.take_name(arguments, TABLES, default=first, kind="table", kinds="tables")
    options = command_line.parse(Options, arguments, default=Options(), names="TABLE", description=DESCRIPTION)
    if not is_named:
        raise UserError(f"name a table: {', '.join(TABLES)}")
    if options.seeds is not None and options.seeds < 1:
        raise UserError(f"--seeds: must be at least 1, got {options.seeds}")
    from aejax.host.terminal import PlainConsole
    from aejax.plots import save_figure
    from aejax.studies.claims import claim_lines
    from aejax.studies.reproductions import table_of
    from aejax.studies.reproductions.bench import Bench
    from aejax.studies.reproductions.table import as_json, markdown_table, terminal_table

    table = table_of(name)
    scale = table.scales[options.budget]
    seeds = options.seeds or scale.seeds
    folder = options.run_dir or Path("runs") / f"reproduce-{name}-{options.budget}"
    configuration = {"table": name, "budget": options.budget, "seeds": seeds}
    command_line.open_folder(folder, configuration, kind="reproduction")
    console = PlainConsole()
    console.print(f"{table.title}: {table.source}")
    console.print(
        f"budget {options.budget}, {seeds} seed{'s' * (seeds > 1)}: {scale.what}; about "
        f"{_duration(scale.minutes * seeds / scale.seeds)} on two cores"
    )
    bench = Bench(folder, budget=options.budget, seeds=seeds, data_dir=options.data_dir, console=console)
    try:
        result = table.run(bench)
    except KeyboardInterrupt:
        words = [name, "--budget", options.budget, "--seeds", str(seeds)]
        words += [] if options.data_dir is None else ["--data-dir", options.data_dir]
        words += ["--format", options.format, "--run-dir", str(folder)]
        console.print(f"stopped; continue with: {verb_command('reproduce', *words)}")
        raise
    took = time.perf_counter() - started
    lines = [
        table.title,
        f"After {table.source}.",
        f"Budget {options.budget}, {seeds} seed{'s' * (seeds > 1)}: {scale.what}. Made by `aejax reproduce {name} "
        f"--budget {options.budget} --seeds {seeds}`.",
    ]
    write_text(folder / "table.md", markdown_table(result, lines))
    write_text(folder / "table.json", json.dumps(as_json(result), indent=2) + "\n")
    with optional("figures", console.print):
        for file, figure in result.draw().items():
            save_figure(figure, folder, file, file_format=options.format)
    console.print(terminal_table(result, table.title))
    for line in claim_lines(result.claims):
        console.print(line)
    console.print(f"{_duration(took / 60)} in all; the table is in {folder / 'table.md'}")


def _duration(minutes: float) -> str:
    """Returns a duration in the unit that suits it.

    >>> _duration(0.5), _duration(12.2), _duration(300)
    ('30 seconds', '12 minutes', '5.0 hours')
    """
    if minutes < 1.5:
        return f"{60 * minutes:.0f} seconds"
    return f"{minutes:.0f} minutes" if minutes < 100 else f"{minutes / 60:.1f} hours"
