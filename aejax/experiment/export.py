"""A run's functions for programs without aejax."""

from collections.abc import Sequence
from pathlib import Path

from jax.export import Exported

from aejax.autoencoders import part_names
from aejax.experiment.loading import example_of
from aejax.experiment.trained import TrainedRun
from aejax.export import check_packages, export_functions, write_export


def export_run(run: TrainedRun, *, platforms: Sequence[str] = ("cpu",)) -> dict[str, Exported]:
    """Returns a run's functions encode, decode and jacobian as StableHLO, with the parameters within.

    Args:
      run: any.
      platforms: where the functions are to run: cpu, cuda, rocm, tpu.

    Raises:
      UserError: another platform, or the package flatbuffers is missing.
    """
    check_packages()
    example = example_of(run.experiment.model, run.facts)
    return export_functions(run.autoencoder, run.params, *example, platforms=tuple(platforms))


def write_run(folder: Path, run: TrainedRun, functions: dict[str, Exported]) -> None:
    """Write a run's functions, its parameters as safetensors, and export.json, which describes both, into a folder."""
    kind = " and ".join(part_names(run.autoencoder.parts))
    description = f"{kind} on {run.experiment.data.dataset}, {run.path.name}"
    classes = run.facts.classes if run.experiment.model.conditional else None
    write_export(folder, functions, run.params, description, classes=classes)
