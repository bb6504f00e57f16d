"""Write a self-contained HTML page that compares runs: settings, losses, measures, curves, reconstructions."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import tyro

from aejax.cli import command_line
from aejax.errors import UserError
from aejax.host.files import write_text

DESCRIPTION = """Write a self-contained HTML page that compares runs, finished or not.

  aejax compare runs/ONE runs/TWO                      writes comparison.html
  aejax compare runs/* --output page.html              writes another file

The page holds the settings that differ, every term of the loss on test examples, measures, curves on common axes,
reconstructions of the same test examples, and the commands that train the runs. Runs on different data are shown
without reconstructions. It needs no server and no network."""


@dataclass(frozen=True)
class Options:
    """Which runs, how to open them, and where to write the page."""

    runs: tyro.conf.Positional[tuple[Path, ...]]
    """The run folders, at least two."""
    output: Path = Path("comparison.html")
    """The file to write, which is overwritten if it exists."""
    data: Path | None = field(default=None, kw_only=True)
    """The new place of the runs' data, if it has moved: the file, or the folder that contains it. The data must be
    unchanged."""
    trust_code: bool = field(default=False, kw_only=True)
    """Allow the Python file in the folder of a run that was trained with --autoencoder FILE to run. Use it only if you
    trust whoever wrote that file."""


def main(arguments: Sequence[str]) -> None:
    """Parse, evaluate, write."""
    options = command_line.parse(Options, arguments, description=DESCRIPTION)
    command_line.check_can_be_made(options.output)
    if options.output.is_dir():
        raise UserError(f"{options.output}: is a folder; expected a file")
    from aejax.experiment.compare import compare_page
    from aejax.experiment.trained import open_run
    from aejax.host.terminal import PlainConsole

    console = PlainConsole()
    runs = [open_run(run, data=options.data, trust_code=options.trust_code) for run in options.runs]
    page = compare_page(runs)
    for line in page.missing:
        console.print(line)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    write_text(options.output, page.html)
    console.print(f"{options.output}: {options.output.stat().st_size / 1e6:.1f} MB")
