#!/usr/bin/env python
"""Draws the pictures of README.md into .github/images, from the digits that scikit-learn contains."""

import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from aejax.experiment import figures, generate, train_run
from aejax.experiment.configuration import Experiment, Model, Regularization, Training
from aejax.experiment.generated import draw
from aejax.experiment.presets import DEFAULT, PRESETS
from aejax.host.environment import use_compilation_cache
from aejax.studies.jacobian.settings import Study
from aejax.studies.jacobian.study import draw_figures, load, run_study

FOLDER = Path(__file__).parents[1] / ".github" / "images"
PLANE = Experiment(
    model=Model(hidden=(256, 128), code_size=2, activation="gelu"),
    regularization=Regularization(beta=0.3),
    training=Training(epochs=200, patience=50),
)
STUDY = Study(
    methods=("ae", "weight-decay", "dae-masking", "cae"),
    seeds=1,
    contractive_weights=(0.1,),
    weight_decays=(0.003,),
    masking_amounts=(0.25,),
)
COLORS = 128  # of the palette: a picture has under 150 KB


def pictures(scratch: Path) -> Iterator[tuple[str, Figure]]:
    """Yields each picture with its name; runs are trained in a scratch folder."""
    run = train_run(PRESETS[DEFAULT][1], scratch / "default", figures=False)
    first = [int(np.flatnonzero(run.splits.test.labels == label)[0]) for label in range(10)]
    versions = {"original": run.splits.test.x[first], "reconstruction": run.reconstruct(run.splits.test)[first]}
    yield "reconstructions", figures.draw_versions(run, versions)
    yield "interpolation", draw(run, generate.interpolations(run, (first[0], first[6])))
    plane = train_run(replace(PLANE, data=run.experiment.data), scratch / "plane", figures=False)
    yield "manifold", draw(plane, generate.manifold(plane, side=14))
    splits = load(STUDY)
    yield "spectra", draw_figures(STUDY, splits, run_study(STUDY, splits))["spectra"]


def save(figure: Figure, path: Path) -> int:
    """Writes a picture with a palette, and returns its size in bytes."""
    drawn = BytesIO()
    figure.savefig(drawn, dpi=220, bbox_inches="tight", pad_inches=0.06)
    Image.open(drawn).convert("RGB").quantize(COLORS, dither=Image.Dither.NONE).save(path, optimize=True)
    return path.stat().st_size


def main() -> None:
    use_compilation_cache()
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        for name, figure in pictures(Path(scratch)):
            size = save(figure, FOLDER / f"{name}.png")
            print(f"{name}.png: {size / 1024:.0f} KB")
            if size > 150 * 1024:
                sys.exit(f"{name}.png: expected at most 150 KB")


if __name__ == "__main__":
    main()
