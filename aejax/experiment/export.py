"""Exports a run's functions for programs without aejax."""

from collections.abc import Sequence
from pathlib import Path

from jax.export import Exported

from aejax.autoencoders import part_names
from aejax.experiment.loading import example_of
from aejax.experiment.trained import TrainedRun
from aejax.export import check_packages, export_functions, write_export


def export_run(run: TrainedRun, *, platforms: Sequence[str] = ("cpu",)) -> dict[str, Exported]:
    """Returns a run's functions encode, decode and jacobian as StableHLO, with the parameters included.

    Args:
      run: a run of any kind.
      platforms: the platforms that the functions will run on: cpu, cuda, rocm, tpu.

    Raises:
      UserError: an unknown platform, or the package flatbuffers is not installed.
    """
    check_packages()
    example = example_of(run.experiment.model, run.facts)
    return export_functions(run.autoencoder, run.params, *example, platforms=tuple(platforms))


def write_run(folder: Path, run: TrainedRun, functions: dict[str, Exported]) -> None:
    """Write a run's functions, its parameters as safetensors, and export.json, which describes both, to a folder.

    Args:
      folder: the folder, which must exist.
      run: the run.
      functions: the functions, from `export_run`.
    """
    kind = " and ".join(part_names(run.autoencoder.parts))
    description = f"{kind} on {run.experiment.data.dataset}, {run.path.name}"
    classes = run.facts.classes if run.experiment.model.conditional else None
    write_export(folder, functions, run.params, description, classes=classes)
