"""Measures how well a run denoises its test examples or pages; filters fitted to training examples are baselines."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

from aejax import plots
from aejax.datasets.dataset import take
from aejax.errors import ArgumentError, UserError
from aejax.evaluation import filters
from aejax.evaluation.denoising import Quality, quality
from aejax.experiment.build import build_corruption
from aejax.experiment.denoise import check_denoises, make_denoise
from aejax.experiment.loading import load_page_splits
from aejax.experiment.trained import TrainedRun
from aejax.host.optional import optional

OURS, NOISY, CLEAN = "autoencoder", "noisy", "clean"
_FITTED_PIXELS, _MIN_FITTED, _MAX_FITTED = 400_000, 8, 200  # of training examples, to which filters are fitted
_PAGE_SHOWN, _PAGES_SHOWN, _EXAMPLES_SHOWN = (100, 180), 4, 10
Filters = dict[str, Callable[[np.ndarray], np.ndarray]]
_FILTERS, _TEST = 0, 1  # indices of the two noise streams


class DenoisingComparison(NamedTuple):
    """Test examples or pages, denoised by several methods, and the quality of each method."""

    description: str  # of the examples
    are_pages: bool
    clean: list[np.ndarray]
    results: dict[str, list[np.ndarray]]  # by method: "noisy" (unchanged), each filter, "autoencoder"
    measured: dict[str, Quality]
    notes: tuple[str, ...]  # why methods are missing


def compare_denoising(run: TrainedRun, *, examples: int = 1000, tile: int = 512) -> DenoisingComparison:
    """Returns the quality of a run's denoised test examples, or of all test pages, compared with filters.

    Args:
      run: a run that was trained to denoise.
      examples: the maximum number of test examples; the first ones are used.
      tile: the side of the tiles, in pixels, that pages are divided into.

    Raises:
      UserError: a run that was not trained to denoise, or examples below 1.
    """
    check_denoises(run)
    if examples < 1:
        raise ArgumentError("examples", f"must be at least 1, got {examples}")
    pages, denoise = load_page_splits(run.experiment.data), make_denoise(run, tile=tile)
    if pages is not None:
        clean, noisy = ([getattr(page, side) for page in pages.test] for side in (CLEAN, NOISY))
        noisy = _each_corrupted(run, noisy)
        ours = [denoise(page) for page in noisy]
        kind = "pages" if run.facts.inputs is not None else "images"
        description = f"{len(clean)} test {kind}; {len(pages.train)} training {kind}"
    else:
        test = take(run.splits.test, np.arange(min(examples, len(run.splits.test.x))))
        inputs = _corrupted(run, test.encoder_inputs, _TEST)
        clean, noisy = list(np.asarray(test.x)), list(inputs)
        ours = list(run.reconstruct(test._replace(x=inputs, input=None)))
        description = f"{len(clean):,} test examples"
    results, notes = {NOISY: noisy}, list[str]()
    with optional("filters", notes.append):
        results |= {name: [denoised(x) for x in noisy] for name, denoised in fit_filters(run).items()}
    results[OURS] = ours
    measured = qualities(run, clean, results)
    return DenoisingComparison(description, pages is not None, clean, results, measured, tuple(notes))


def fit_filters(run: TrainedRun) -> Filters:
    """Returns filters by name, with the settings that are best on the run's training examples.

    For a run on other examples than gray or color images the dictionary is empty.
    """
    shape = run.example_shape
    if not plots.is_image(shape):
        return {}
    form = shape[:2] if shape[2:] == (1,) else shape
    train = run.splits.train
    count = min(_MAX_FITTED, max(_MIN_FITTED, _FITTED_PIXELS // math.prod(shape)), len(train.x))
    some = take(train, np.linspace(0, len(train.x) - 1, count).astype(int))
    clean = list(np.asarray(some.x).reshape(count, *form))
    noisy = list(_corrupted(run, some.encoder_inputs, _FILTERS).reshape(count, *form))
    chosen = {"median filter": filters.median(noisy, clean)}
    if run.experiment.regularization.corruption == "salt_and_pepper":
        pepper, salt = run.limits
        chosen["median of salt and pepper alone"] = filters.switching_median(noisy, clean, pepper=pepper, salt=salt)
    if filters.has_non_local_means():
        chosen["non-local means"] = filters.non_local_means(noisy, clean)
    if some.input is not None and len(form) == 2:
        chosen["background division"] = filters.background_division(noisy, clean)

    def on_examples(denoise: filters.Denoise) -> filters.Denoise:
        def denoised(x: np.ndarray) -> np.ndarray:
            image = x[..., 0] if x.shape[2:] == (1,) else x
            return denoise(image).astype(np.float32).reshape(x.shape)

        return denoised

    return {f"{name} ({of.settings})": on_examples(of.denoise) for name, of in chosen.items()}


def qualities(run: TrainedRun, clean: Sequence[np.ndarray], results: dict[str, list[np.ndarray]]) -> dict[str, Quality]:
    """Returns the quality of each method's results; the peak is the range of possible values, `run.value_range`."""
    low, high = run.value_range
    return {name: quality(clean, of_name, peak=high - low) for name, of_name in results.items()}


def draw_comparison(comparison: DenoisingComparison) -> Figure:
    """Returns a figure with a row for each method; large images are cropped to the middle, in order of their error."""
    clean, results = comparison.clean, comparison.results
    rows = {name.partition(" (")[0]: of for name, of in results.items()} | {CLEAN: clean}
    columns, x_label, title = tuple[str, ...](), "", comparison.description
    if clean[0].shape[0] <= _PAGE_SHOWN[0] and len({image.shape for image in clean}) == 1:
        shown = {name: np.stack(images[:_EXAMPLES_SHOWN]) for name, images in rows.items()}
    else:
        errors = [float(np.sqrt(np.mean(np.square(x - y)))) for x, y in zip(clean, results[OURS], strict=True)]
        places = np.argsort(errors)[np.linspace(0, len(errors) - 1, min(_PAGES_SHOWN, len(errors))).astype(int)]
        size = np.minimum(_PAGE_SHOWN, np.min([clean[place].shape[:2] for place in places], axis=0))
        shown = {name: np.stack([_middle(images[place], *size) for place in places]) for name, images in rows.items()}
        columns, x_label = tuple(f"{errors[place]:.4f}" for place in places), f"RMSE of the {OURS} over the whole image"
        title = f"the middle of {len(places)} of {len(clean)} images, from the least error to the greatest"
    limits = (float(shown[CLEAN].min()), float(shown[CLEAN].max()))
    rows_of_images = np.stack(list(shown.values()))
    return plots.mosaic(rows_of_images, limits=limits, title=title, rows=tuple(shown), columns=columns, x_label=x_label)


def _corrupted(run: TrainedRun, x: np.ndarray, number: int) -> np.ndarray:
    """Returns examples as the run's encoder expects them; the noise depends only on the run and on `number`."""
    corrupt = build_corruption(run.experiment.regularization, run.facts)
    if corrupt is None and run.facts.inputs is None:
        raise UserError(
            f"{run.path}: the corruption is part of the user's own autoencoder and cannot be applied to test examples; "
            "denoise noisy images and compare them with clean ones"
        )
    if corrupt is None:
        return np.asarray(x)
    keys = jax.random.split(jax.random.fold_in(run.keys.corruption, number), len(x))
    return np.asarray(jax.jit(jax.vmap(corrupt))(keys, jnp.asarray(np.asarray(x))))


def _each_corrupted(run: TrainedRun, images: list[np.ndarray]) -> list[np.ndarray]:
    """Returns whole images with the run's corruption; unchanged if the run has none, because they are noisy."""
    corrupt = build_corruption(run.experiment.regularization, run.facts)
    if corrupt is None:
        return images
    keys = jax.random.split(jax.random.fold_in(run.keys.corruption, _TEST), len(images))
    compiled = jax.jit(corrupt)  # once per size
    return [np.asarray(compiled(key, jnp.asarray(image))) for key, image in zip(keys, images, strict=True)]


def _middle(page: np.ndarray, height: int, width: int) -> np.ndarray:
    top, left = (page.shape[0] - height) // 2, (page.shape[1] - width) // 2
    return page[top : top + height, left : left + width]
