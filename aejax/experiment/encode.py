"""Compares a run's codes with PCA of the same dimension, on the run's test examples."""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from aejax import plots
from aejax.datasets.dataset import Splits, in_memory
from aejax.evaluation.reduction import Reduction, embed_2d, measure_reduction, principal_components
from aejax.experiment.at_use import check_no_pairs, check_no_table
from aejax.experiment.figures import draw_versions
from aejax.experiment.loading import names_of_classes
from aejax.experiment.trained import TrainedRun

OURS, PCA = "autoencoder", "PCA"
_SHOWN = 10  # examples in the figure of reconstructions


class Comparison(NamedTuple):
    """Two methods, "autoencoder" and "PCA", with codes of the same dimension; dictionaries are by method."""

    components: int  # dimension of the codes
    originals: np.ndarray  # (N, ...) the test examples
    codes: dict[str, Splits]
    reconstructions: dict[str, np.ndarray]  # (N, ...) of the test examples
    measured: dict[str, Reduction]


def compare_with_pca(run: TrainedRun, *, on_step: Callable[[str], None] = lambda step: None) -> Comparison:
    """Returns the codes of a run and of PCA with the same dimension, and their measures on the test examples.

    Args:
      run: a run that is not on pairs.
      on_step: a function that is called with a line of text before each step.

    Raises:
      UserError: a run on pairs or on a table.
    """
    check_no_pairs(run, what="a comparison with PCA")
    check_no_table(run, what="a comparison of reconstructions and neighbors")
    splits, components = Splits(*map(in_memory, run.splits)), math.prod(run.code_shape)
    on_step(f"encoding {sum(len(split.x) for split in splits):,} examples")
    codes = Splits(*(split._replace(x=run.encode(split)) for split in splits))
    reconstruction = run.decode(codes.test)
    on_step(f"fitting PCA to {len(splits.train.x):,} training examples")
    pca_codes, pca_reconstruction = principal_components(splits, components)
    all_codes, reconstructions = {OURS: codes, PCA: pca_codes}, {OURS: reconstruction, PCA: pca_reconstruction}
    measured = {}
    for name, of_splits in all_codes.items():
        on_step(f"measuring the codes of {name}")
        measured[name] = measure_reduction(splits, of_splits, reconstructions[name])
    return Comparison(components, splits.test.x, all_codes, reconstructions, measured)


def draw_reconstructions(run: TrainedRun, comparison: Comparison) -> Figure:
    """Returns a figure of the first test examples and their reconstructions by each method."""
    rows = {"original": comparison.originals} | comparison.reconstructions
    return draw_versions(run, {name: x[:_SHOWN] for name, x in rows.items()})


def draw_codes(run: TrainedRun, comparison: Comparison) -> Figure:
    """Returns a figure of the test examples' codes by each method, embedded in 2 dimensions by t-SNE: a visual aid."""
    layouts = {name: embed_2d(codes.test) for name, codes in comparison.codes.items()}
    examples = len(layouts[PCA].x)
    title = f"{comparison.components}-dimensional codes of {examples:,} test examples, embedded by t-SNE"
    names = names_of_classes(run.experiment.data, run.facts)
    points = {name: layout.x for name, layout in layouts.items()}
    return plots.embeddings(points, layouts[PCA].labels, title=title, names=names)
