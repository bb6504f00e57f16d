"""Draws the figures of a finished run: curves, reconstructions, codes, samples."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

from aejax import plots
from aejax.datasets.dataset import Dataset
from aejax.datasets.sources import source_of
from aejax.evaluation import encode_all, reconstruct_all
from aejax.experiment.architectures import architecture_of
from aejax.experiment.build import build_corruption
from aejax.experiment.configuration import Experiment
from aejax.experiment.report import term_of
from aejax.experiment.trained import TrainedRun

_SHOWN, _ROWS = 10, 8  # examples that are reconstructed; rows of samples


def draw_figures(
    run: TrainedRun, test: Dataset, *, code: Mapping[str, Any] | None, records: Sequence[dict[str, Any]]
) -> dict[str, Figure]:
    """Returns the figures of a run, by name.

    Args:
      run: the run, whose best parameters are used.
      test: the examples to show.
      code: statistics of the examples' codes; None if they are not available.
      records: the records of all evaluations.
    """
    corruption_key, sample_key = jax.random.split(run.keys.figures)
    experiment, autoencoder, params, facts = run.experiment, run.autoencoder, run.params, run.facts
    conditions = run.conditions_of(test)
    shown = test.x[:_SHOWN]
    rows = {"original": shown}
    if test.input is not None:
        rows["noisy"] = test.input[:_SHOWN]
    if (corrupt := build_corruption(experiment.regularization, facts)) is not None:
        keys = jax.random.split(corruption_key, len(shown))
        rows["corrupted"] = jax.device_get(jax.vmap(corrupt)(keys, jnp.asarray(test.encoder_inputs[:_SHOWN])))
    conditions_shown = [condition[:_SHOWN] for condition in conditions]
    rows["reconstruction"] = reconstruct_all(autoencoder, params, list(rows.values())[-1], *conditions_shown)
    codes = encode_all(autoencoder, params, test.encoder_inputs, *conditions)
    describe = partial(term_of, parts=autoencoder.parts)
    figures = {
        "training_curves": plots.training_curves(records, best_epoch=run.best_epoch, term_of=describe),
        "reconstructions": plots.reconstructions({name: as_drawn(experiment, x) for name, x in rows.items()}),
        "latent_space": plots.latent_space(codes, test.labels),
    }
    if code is not None and "kl" in code:
        figures["code_units"] = plots.kl_per_unit(code["kl"])
    if (prior := run.prior) is not None:
        columns, title = 8, "decoded samples from the prior"
        labels = {k: str(label) for k, label in enumerate(facts.classes or ()) if label is not None}
        classes = list(labels)[:_SHOWN] if conditions else []
        if conditions:
            columns, title = len(classes), f"{title}, a class per column"
        sampled = [np.resize(np.array(classes, np.int32), _ROWS * columns) for _ in conditions]
        decode = jax.vmap(lambda key, *c: autoencoder.decode(params, prior.sample(key, codes.shape[1:]), *c))
        decoded = decode(jax.random.split(sample_key, _ROWS * columns), *sampled)
        drawn = as_drawn(experiment, np.asarray(decoded))
        limits = (float(test.x.min()), float(test.x.max()))
        grid = drawn.reshape(_ROWS, columns, *drawn.shape[1:])
        figures["samples"] = plots.gallery(grid, limits=limits, title=title, columns=[labels[k] for k in classes])
    return figures


def as_drawn(experiment: Experiment, examples: np.ndarray) -> np.ndarray:
    """Returns examples (N, ...) in the layout that `plots` expects: series of channels as images, time to the right.

    An example with two axes is a series (steps, channels) if the layout of the data set or of the network is one of
    series; otherwise it is an image (H, W).
    """
    layouts = source_of(experiment.data.dataset).layout, architecture_of(experiment.model.network).layout
    holds_series = "roll" in layouts or "series" in layouts
    return plots.series_as_images(examples) if holds_series and examples.ndim == 3 else examples
