"""Denoises images with a run; a fully convolutional network accepts images of any size."""

import functools
from collections.abc import Callable
from dataclasses import replace

import jax
import numpy as np
from jaxtyping import Array, PyTree

from aejax.autoencoders.denoising import DENOISING
from aejax.datasets.images import with_channels
from aejax.errors import UserError, knob_name
from aejax.evaluation.denoising import denoise_tiled
from aejax.experiment.architectures import architecture_of
from aejax.experiment.at_use import check_kind, check_no_padding
from aejax.experiment.build import build_autoencoder, extent_of
from aejax.experiment.trained import TrainedRun


def check_denoises(run: TrainedRun) -> None:
    """Raise UserError if a run was not trained to denoise, or is conditional."""
    trained = DENOISING in run.autoencoder.parts or run.facts.inputs is not None
    expected = (
        f"a run that was trained to denoise, with {knob_name('corruption')} or on pairs of noisy and clean images"
    )
    check_kind(run, trained, expected, what="denoise")
    check_kind(run, not run.is_conditional, "a run without conditions", what="denoise")


def check_gray_values(run: TrainedRun) -> None:
    """Raise UserError if a run was not trained on values from 0 to 1, which image files are read as."""
    inputs = run.facts.encoder_inputs
    if inputs.low < 0 or inputs.high > 1:
        raise UserError(
            f"{run.path}: image files are read as gray values from 0 to 1, but the run was trained on values from "
            f"{inputs.low:g} to {inputs.high:g}; use .npy files, or {knob_name('any_scale')} to accept the images"
        )


def make_denoise(run: TrainedRun, *, tile: int = 512) -> Callable[[np.ndarray], np.ndarray]:
    """Returns a function from an image (H, W) or (H, W, C) to its denoised image of the same shape.

    The result is clipped to the range of possible values. A fully convolutional network accepts images of any size,
    and divides large ones into overlapping tiles; any other network accepts only the size that it was trained on. The
    function is compiled once per size. A run on gray images accepts images with several equal channels. A run on images
    with several channels accepts gray images, and the result is the mean over channels.

    Args:
      run: a run that is not conditional.
      tile: side of the tiles, in pixels; increased if the network's receptive field is large.

    Raises:
      UserError: the run was not trained on images. The returned function raises it for an image whose size or colors
        the network does not accept.
    """
    check_no_padding(run, what="denoise")
    shape, extent = run.example_shape, extent_of(run.experiment.model)
    if len(shape) not in (2, 3) or architecture_of(run.experiment.model.network).layout == "series":
        raise UserError(
            f"{run.path}: denoising expects a run on images, but it was trained on examples of shape {shape}"
        )
    channels = shape[2] if len(shape) == 3 else 1
    low, high = run.value_range

    @functools.cache
    def compiled(tile_shape: tuple[int, ...]) -> Callable[[PyTree, np.ndarray], Array]:
        autoencoder = run.autoencoder
        if tile_shape != shape:
            # the parameters fit; the prior is not used, and pseudo-inputs would not have this shape
            regularization = replace(run.experiment.regularization, prior="normal", prior_components=10)
            experiment = replace(run.experiment, regularization=regularization)
            autoencoder = build_autoencoder(experiment, replace(run.facts, shape=tile_shape))
        return jax.jit(lambda params, x: autoencoder.decode(params, autoencoder.encode(params, x)))

    def whole(x: np.ndarray) -> np.ndarray:
        return np.asarray(compiled(x.shape)(run.params, x))

    def denoise(image: np.ndarray) -> np.ndarray:
        try:
            x = with_channels(image, channels)
        except UserError as error:
            raise UserError(f"{error}: {run.path} was trained on images of shape {shape}") from error
        if extent is None and x.shape[:2] != shape[:2]:
            height, width = shape[:2]
            raise UserError(
                f"an image has shape {x.shape[:2]}, but {run.path} expects images of height {height} and width {width}"
            )
        x = x.reshape(*x.shape[:2], *shape[2:])
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
    """Returns an image with the number of channels of the run's examples: (H, W) for one channel, else (H, W, C)."""
    channels = run.example_shape[2] if len(run.example_shape) == 3 else 1
    image = with_channels(pixels, channels)
    return image[..., 0] if channels == 1 else image
