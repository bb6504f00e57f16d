"""Write a self-contained HTML page about a run: metrics, curves, reconstructions, codes, samples, configuration."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from aejax.cli import command_line
from aejax.cli.opened import RunOptions
from aejax.errors import UserError
from aejax.host.files import write_text

DESCRIPTION = """Write a self-contained HTML page about a run, finished or not.

  aejax report runs/NAME                       writes runs/NAME/report.html
  aejax report runs/NAME --output page.html    writes another file

The page holds every metric with its unit, curves, the best and the worst reconstructions of test examples, the codes,
samples from the prior, the configuration, and the command that reproduces the run. It needs no server and no
network."""


@dataclass(frozen=True)
class Options(RunOptions):
    """Which run, and where to write the page."""

    output: Path | None = None
    """The file to write, which is overwritten if it exists; report.html in the run folder if not given."""


def main(arguments: Sequence[str]) -> None:
    """Parse, evaluate, write."""
    options = command_line.parse(Options, arguments, description=DESCRIPTION)
    target = options.output or options.run / "report.html"
    if options.output is not None:
        command_line.check_can_be_made(target)
    if target.is_dir():
        raise UserError(f"{target}: is a folder; expected a file")
    from aejax.experiment.evaluate import report_page
    from aejax.experiment.progress import working
    from aejax.host.terminal import PlainConsole

    console = PlainConsole()
    with working(console, "evaluating the run, and drawing its figures"):
        page = report_page(options.open_run())
    for line in page.missing:
        console.print(line)
    target.parent.mkdir(parents=True, exist_ok=True)
    write_text(target, page.html)
    console.print(f"{target}: {target.stat().st_size / 1e6:.1f} MB")
