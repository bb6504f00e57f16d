"""Images denoised by a run, of any size where its network is fully convolutional."""

import functools
from collections.abc import Callable
from dataclasses import replace

import jax
import numpy as np
from jaxtyping import Array, PyTree

from aejax.autoencoders.denoising import DENOISING
from aejax.datasets.images import with_channels
from aejax.errors import UserError
from aejax.evaluation.denoising import denoise_tiled
from aejax.experiment.architectures import architecture_of
from aejax.experiment.at_use import check_kind
from aejax.experiment.build import build_autoencoder, extent_of
from aejax.experiment.trained import TrainedRun


def check_denoises(run: TrainedRun) -> None:
    """Raise UserError where a run was not trained to denoise, or is conditional."""
    trained = DENOISING in run.autoencoder.parts or run.facts.inputs is not None
    expected = "a run that was trained to denoise, by --corruption or on pairs of noisy and clean"
    check_kind(run, trained, expected, what="denoise")
    check_kind(run, not run.experiment.model.conditional, "a run without conditions", what="denoise")


def check_takes_gray_values(run: TrainedRun) -> None:
    """Raise UserError where a run was not trained on numbers from 0 to 1, which gray values of image files are."""
    seen = run.facts.seen
    if seen.low < 0 or seen.high > 1:
        raise UserError(
            f"{run.path}: image files are read as gray values from 0 to 1, and the run was trained on values from "
            f"{seen.low:g} to {seen.high:g}; give it .npy files, or take --any-scale to go on"
        )


def make_denoise(run: TrainedRun, *, tile: int = 512) -> Callable[[np.ndarray], np.ndarray]:
    """From an image (H, W) or (H, W, C) to its reconstruction of the same shape, clipped to the range of training data.

    A fully convolutional network takes images of any size, large ones by tiles that overlap; another network those of
    the size that it was trained on. For each size of a tile it is compiled once. A run on gray images takes those of
    several channels that are equal, and a run on several channels gray ones, of whose reconstruction it returns the
    mean over channels.

    Args:
      run: without conditions.
      tile: pixels of a side of what is computed at a time; more where the network sees so far that little is left.

    Raises:
      UserError: a run that was not trained on images; by the function that is returned, for an image of another size
        or with other colors than the network takes.
    """
    wanted, extent = run.example_shape, extent_of(run.experiment.model)
    if len(wanted) not in (2, 3) or architecture_of(run.experiment.model.network).layout == "series":
        raise UserError(f"{run.path} was trained on examples of shape {wanted}, which are no images")
    channels = wanted[2] if len(wanted) == 3 else 1
    low, high = run.facts.targets.low, run.facts.targets.high

    @functools.cache
    def compiled(shape: tuple[int, ...]) -> Callable[[PyTree, np.ndarray], Array]:
        autoencoder = run.autoencoder
        if shape != wanted:
            # of the same parameters; a prior, whose pseudo-inputs have the size of examples, has no part in this
            regularization = replace(run.experiment.regularization, prior="normal", prior_components=10)
            experiment = replace(run.experiment, regularization=regularization)
            autoencoder = build_autoencoder(experiment, replace(run.facts, shape=shape))
        return jax.jit(lambda params, x: autoencoder.decode(params, autoencoder.encode(params, x)))

    def whole(x: np.ndarray) -> np.ndarray:
        return np.asarray(compiled(x.shape)(run.params, x))

    def denoise(image: np.ndarray) -> np.ndarray:
        try:
            x = with_channels(image, channels)
        except UserError as error:
            raise UserError(f"{error}: {run.path} was trained on images of shape {wanted}") from error
        if extent is None and x.shape[:2] != wanted[:2]:
            height, width = wanted[:2]
            raise UserError(
                f"an image has shape {x.shape[:2]}, and {run.path} takes images of height {height} and width {width}"
            )
        x = x.reshape(*x.shape[:2], *wanted[2:])
        if extent is None:
            result = whole(x)
        else:
            reach, stride = extent
            result = denoise_tiled(whole, x, tile=max(tile, 4 * (reach + stride)), reach=reach, stride=stride)
        result = np.clip(result, low, high).reshape(*x.shape[:2], channels)
        if image.shape[2:] == (channels,):
            return result
        gray = result.mean(axis=2)
        return gray if image.ndim == 2 else np.repeat(gray[..., None], image.shape[2], axis=2)

    return denoise


def with_channels_of(run: TrainedRun, pixels: np.ndarray) -> np.ndarray:
    """Returns an image with as many channels as the run's examples: (H, W), or (H, W, C) with more than one."""
    channels = run.example_shape[2] if len(run.example_shape) == 3 else 1
    image = with_channels(pixels, channels)
    return image[..., 0] if channels == 1 else image
