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
from aejax.datasets.sequences import cut_like
from aejax.datasets.sources import source_of
from aejax.evaluation import encode_all, reconstruct_all
from aejax.experiment.architectures import architecture_of
from aejax.experiment.build import build_corruption
from aejax.experiment.given import whole
from aejax.experiment.loading import names_of_classes
from aejax.experiment.report import term_of
from aejax.experiment.table_results import OURS, TableResult, table_result
from aejax.experiment.trained import TrainedRun

_SHOWN, _ROWS = 10, 8  # examples that are reconstructed; rows of samples
_VECTORS_SHOWN, _VECTOR_ROWS = 6, 5  # of examples that are not images, which need more space


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
    reconstruction = reconstruct_all(autoencoder, params, list(rows.values())[-1], *conditions_shown)
    rows["reconstruction"] = cut_like(reconstruction, shown) if facts.lengths is not None else reconstruction
    codes = encode_all(autoencoder, params, test.encoder_inputs, *conditions)
    describe = partial(term_of, parts=autoencoder.parts)
    figures = {
        "training_curves": plots.training_curves(records, best_epoch=run.best_epoch, term_of=describe),
        "latent_space": draw_codes(run, codes, test.labels),
    }
    if facts.columns is None:
        figures["reconstructions"] = draw_versions(run, rows)
    else:
        figures["columns"] = draw_columns(table_result(run, test))
    if code is not None and "kl" in code:
        figures["code_units"] = plots.kl_per_unit(code["kl"])
    if (prior := run.prior) is not None and facts.columns is None:
        columns, title = 10, "decoded samples from the prior, not selected"
        names = names_of_classes(experiment.data, facts)
        labels = {k: names.get(label, str(label)) for k, label in enumerate(facts.classes or ()) if label is not None}
        classes = list(labels)[:_SHOWN] if experiment.model.conditional else []
        if experiment.model.conditional:
            columns, title = len(classes), f"{title}; a class per column"
        count = _ROWS * columns
        sampled = [np.resize(np.array(classes, np.int32), count) for _ in conditions]
        if facts.given is not None:
            columns = min(columns, len(test.x))
            count, title = _ROWS * columns, f"{title}; the condition of a test example per column"
            sampled = [np.concatenate([condition[:columns]] * _ROWS) for condition in conditions]
        decode = jax.vmap(lambda key, *c: autoencoder.decode(params, prior.sample(key, codes.shape[1:]), *c))
        decoded = decode(jax.random.split(sample_key, count), *sampled)
        examples = np.asarray(decoded)
        if test.condition is not None:
            examples = whole(facts, np.concatenate([test.condition[:columns]] * _ROWS), examples)
        drawn = as_drawn(run, run.with_sampled_lengths(examples))
        limits = (float(np.nanmin(test.x)), float(np.nanmax(test.x)))
        grid = drawn.reshape(_ROWS, columns, *drawn.shape[1:])
        if not plots.is_image(drawn.shape[1:]):
            grid = grid[:_VECTOR_ROWS]
        figures["samples"] = plots.gallery(
            grid, limits=limits, title=title, columns=[labels[k] for k in classes], axis=axis_of(run)
        )
    return figures


def draw_versions(
    run: TrainedRun, rows: dict[str, np.ndarray], *, names: Sequence[str] = (), title: str = ""
) -> Figure:
    """Returns a figure of examples, their reconstructions, and other versions of them.

    Args:
      run: the run that the examples belong to.
      rows: name -> (n, ...) versions of the same examples, the originals first.
      names: of the examples, or none.
      title: of the figure of images.
    """
    drawn = {name: as_drawn(run, np.asarray(x))[: shown_count(run)] for name, x in rows.items()}
    limits = None if run.limits[0] == run.limits[1] else run.limits
    return plots.reconstructions(drawn, limits=limits, names=names, title=title, axis=axis_of(run))


def draw_columns(result: TableResult) -> Figure:
    """Returns a figure of how much of each column of a table a run explains, and PCA and FAMD."""
    explained = {name: [error.explained for error in errors] for name, errors in result.errors.items()}
    names = [error.name for error in result.errors[OURS]]
    x_label = "fraction explained on test rows"
    return plots.explained_columns(explained, names, x_label=x_label)


def draws_images(run: TrainedRun) -> bool:
    """Returns whether a run's examples are drawn as images, and not as curves or points."""
    return plots.is_image(as_drawn(run, np.empty((1, *run.example_shape))).shape[1:])


def shown_count(run: TrainedRun) -> int:
    """Returns the number of examples in a figure of reconstructions."""
    return _SHOWN if draws_images(run) else _VECTORS_SHOWN


def draw_codes(run: TrainedRun, codes: np.ndarray, labels: np.ndarray | None) -> Figure:
    """Returns a figure of codes of test examples, with the names of classes."""
    names = names_of_classes(run.experiment.data, run.facts)
    return plots.latent_space(codes, labels, names=names, what="test examples")


def axis_of(run: TrainedRun) -> plots.Axis:
    """Returns how vectors of a run's data are drawn: as curves if they are series, otherwise as points."""
    is_series = _holds_series(run)
    return plots.Axis(is_series, "time step" if is_series else "feature", "value")


def as_drawn(run: TrainedRun, examples: np.ndarray) -> np.ndarray:
    """Returns examples (N, ...) in the layout that `plots` expects: series of channels as images, time to the right.

    An example with two axes is a series (steps, channels) if the layout of the data set or of the network is one of
    series; otherwise it is an image (H, W).
    """
    return plots.series_as_images(examples) if _holds_series(run) and examples.ndim == 3 else examples


def _holds_series(run: TrainedRun) -> bool:
    data, model = run.experiment.data, run.experiment.model
    layouts = run.facts.layout, source_of(data.dataset).layout, architecture_of(model.network).layout
    return "roll" in layouts or "series" in layouts
