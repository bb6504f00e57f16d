"""Export a trained autoencoder for programs without aejax: StableHLO functions and safetensors parameters."""

import sys
from dataclasses import dataclass
from pathlib import Path

import tyro

from aejax.cli import command_line

DESCRIPTION = """Export a trained autoencoder for programs without aejax.

  export.py runs/NAME exported                           for the CPU
  export.py runs/NAME exported --platforms cpu cuda      for the CPU and NVIDIA GPUs

The folder written holds encode, decode and jacobian (the encoder's, exact) as StableHLO with the parameters within, for
batches of any size; the parameters as params.safetensors; and export.json, which tells of shapes. A program that has
JAX and flatbuffers, and nothing else, calls them:

  jax.export.deserialize(open("exported/encode.jax_export", "rb").read()).call(x)"""


@dataclass(frozen=True)
class Options:
    """What to export, and where to."""

    run: tyro.conf.Positional[Path]
    """The run folder."""
    folder: tyro.conf.Positional[Path]
    """The folder to write, which must not exist yet."""
    platforms: tuple[str, ...] = ("cpu",)
    """Where the functions are to run: cpu, cuda, rocm, tpu."""


def main() -> None:
    """Parse, export, write, and say what was written."""
    options = command_line.parse(Options, sys.argv[1:], program="export.py", description=DESCRIPTION)
    command_line.check_free(options.folder)

    from aejax.experiment.loading import first_example
    from aejax.experiment.trained import open_run
    from aejax.export import check_packages, export_functions, write_export
    from aejax.host.terminal import PlainConsole

    check_packages()
    console = PlainConsole()
    run = open_run(options.run)
    example = first_example(run.experiment.model, run.splits.train, run.facts)
    functions = export_functions(run.autoencoder, run.params, *example, platforms=options.platforms)
    kind = " and ".join(run.autoencoder.parts)
    description = f"{kind} on {run.experiment.data.dataset}, {run.path.name}"
    classes = run.facts.classes if run.experiment.model.conditional else None
    with command_line.new_folder(options.folder) as folder:
        write_export(folder, functions, run.params, description, classes=classes)
    for name, function in functions.items():
        arguments = ", ".join(map(str, function.in_avals))
        console.print(f"{name}: {arguments} -> {function.out_avals[0]}")
    size = sum(file.stat().st_size for file in options.folder.iterdir())
    console.print(f"{size / 1e6:.1f} MB in {options.folder}")


if __name__ == "__main__":
    command_line.run(main)
