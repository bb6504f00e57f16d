"""Write or serve an HTML page that decodes a run's code at the pointer."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from aejax.cli import command_line
from aejax.cli.opened import RunOptions
from aejax.errors import UserError
from aejax.host.files import write_text

DESCRIPTION = """Write a self-contained HTML page that explores the code of a run in a browser.

  aejax explore runs/NAME                          writes runs/NAME/explorer.html
  aejax explore runs/NAME --output explorer.html   writes another file
  aejax explore runs/NAME --serve                  serves the page on this machine until Ctrl-C, for large decoders

The page shows the plane of two units or of two principal components of the code, with the test examples. It decodes
the code at the pointer, and shows the nearest training example, the singular values of the Jacobians of decoder and
encoder, the pullback metric as an ellipse, the geodesic between two codes, and heat maps of the decoder's log-volume,
of the density of codes, and of the reconstruction error. Rows of a table are shown cell by cell, and compared in
standard deviations. The page holds the weights of the run: it needs no server and no network. With --serve it holds no
weights: a server computes, which only this machine can reach, and only by the address that is printed: it ends with a
secret token. The code of the run must be a vector."""


@dataclass(frozen=True)
class Options(RunOptions):
    """Which run, and where to write or to serve the page."""

    output: Path | None = None
    """The file to write, which is overwritten if it exists; explorer.html in the run folder if not given."""
    serve: bool = False
    """Write nothing, and serve the page at an address of this machine that is printed, until Ctrl-C."""
    port: int | None = None
    """The port of --serve; any free one if 0 or not given."""


def main(arguments: Sequence[str]) -> None:
    """Parse, trace, write."""
    options = command_line.parse(Options, arguments, description=DESCRIPTION)
    if options.serve:
        _serve(options)
        return
    if options.port is not None:
        raise UserError("--port: expected only with --serve")
    target = options.output or options.run / "explorer.html"
    if options.output is not None:
        command_line.check_can_be_made(target)
    if target.is_dir():
        raise UserError(f"{target}: is a folder; expected a file")
    from aejax.experiment.explore import explorer_page
    from aejax.experiment.progress import working
    from aejax.host.terminal import PlainConsole

    console = PlainConsole()
    with working(console, "encoding the examples, and tracing the run's functions"):
        page = explorer_page(options.open_run())
    target.parent.mkdir(parents=True, exist_ok=True)
    write_text(target, page)
    console.print(f"{target}: {target.stat().st_size / 1e6:.1f} MB")


def _serve(options: Options) -> None:
    if options.output is not None:
        raise UserError("--output: no file is written with --serve")
    port = options.port or 0
    if not 0 <= port < 2**16:
        raise UserError(f"--port: must be between 0 and {2**16 - 1:,}, got {port:,}")
    from aejax.experiment.explorer_server import ExplorerServer
    from aejax.experiment.progress import working
    from aejax.host.terminal import PlainConsole

    console = PlainConsole()
    with working(console, "encoding the examples"):
        run = options.open_run()
        try:
            server = ExplorerServer(run, port=port)
        except OSError as error:
            raise UserError(f"--port {port}: {error.strerror}") from error
    with server:
        with working(console, "compiling the run's functions"):
            server.compile_functions()
        console.print(f"{server.address} (until Ctrl-C)")
        server.serve_forever()
