"""Export a trained autoencoder for programs without aejax: StableHLO functions and safetensors parameters."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro

from aejax.cli import command_line
from aejax.cli.opened import RunOptions

DESCRIPTION = """Export a trained autoencoder for programs without aejax.

  aejax export runs/NAME exported                        for the CPU
  aejax export runs/NAME exported --platforms cpu cuda   for the CPU and NVIDIA GPUs

The folder written holds encode, decode and jacobian (the encoder's exact Jacobian) as StableHLO for batches of any
size, with the parameters included; the parameters as params.safetensors; and export.json, which describes shapes. A
program needs only JAX and flatbuffers to call the functions:

  jax.export.deserialize(open("exported/encode.jax_export", "rb").read()).call(x)"""


@dataclass(frozen=True)
class Options(RunOptions):
    """What to export, and where to write it."""

    folder: tyro.conf.Positional[Path]
    """The folder to write, which must not exist yet."""
    platforms: tuple[str, ...] = ("cpu",)
    """Platforms that the functions will run on: cpu, cuda, rocm, tpu."""


def main(arguments: Sequence[str]) -> None:
    """Parse, export, write, and print what was written."""
    options = command_line.parse(Options, arguments, description=DESCRIPTION)
    command_line.check_free(options.folder)

    from aejax.experiment.export import export_run, write_run
    from aejax.experiment.progress import working
    from aejax.export import check_packages
    from aejax.host.terminal import PlainConsole

    check_packages()
    console = PlainConsole()
    with working(console, "exporting"):
        run = options.open_run()
        functions = export_run(run, platforms=options.platforms)
        with command_line.new_folder(options.folder) as folder:
            write_run(folder, run, functions)
    for name, function in functions.items():
        inputs = ", ".join(map(str, function.in_avals))
        console.print(f"{name}: {inputs} -> {function.out_avals[0]}")
    size = sum(file.stat().st_size for file in options.folder.iterdir())
    console.print(f"{size / 1e6:.1f} MB in {options.folder}")
