"""Measures rate and distortion of a run's quantized codes; PCA and image files are baselines."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from aejax import plots
from aejax.datasets.dataset import Splits, in_memory, take
from aejax.errors import ArgumentError, UserError
from aejax.evaluation.compression import RatePoint, best_settings, rate_of_codes, rate_of_image_files
from aejax.evaluation.denoising import peak_signal_to_noise_ratio
from aejax.evaluation.principal import fit_pca
from aejax.evaluation.transform_coding import fit_transform, mean_pullback_metric, rate_of_transformed_codes
from aejax.experiment.at_use import check_no_pairs, check_no_table
from aejax.experiment.trained import TrainedRun
from aejax.host.optional import optional

BITS = (1, 2, 3, 4, 5, 6, 8)
OURS = "autoencoder"
_MAX_BITS = 16
_QUALITIES = (1, 2, 5, 10, 20, 40, 60, 80, 95)  # of image files
_STEPS = tuple(2 ** (-power / 2) for power in range(13))  # from 1 to 1/64
_COMPONENTS = (0.25, 0.5, 1, 2, 4, 8)  # of PCA, relative to the units of the code
_METRIC_EXAMPLES = 500  # training examples over which the decoder's metric is averaged
_MAX_UNITS = 1024  # of a code, for a metric with as many rows and columns


class Compression(NamedTuple):
    """Rate and distortion of every setting of every method, on test examples."""

    methods: dict[str, list[RatePoint]]  # the autoencoder first; methods that failed are missing
    test_examples: int
    numbers: int  # features of an example
    peak: float  # range of the training examples, high - low, in the unit of the data
    notes: tuple[str, ...]  # why methods are missing


def check_compression(*, bits: Sequence[int], examples: int) -> None:
    """Raise ArgumentError for arguments that `compress` does not accept."""
    if not bits:
        raise ArgumentError("bits", "expected at least one number")
    if wrong := [count for count in bits if not 1 <= count <= _MAX_BITS]:
        raise ArgumentError("bits", f"must be between 1 and {_MAX_BITS}, got {wrong[0]}")
    if examples < 1:
        raise ArgumentError("examples", f"must be at least 1, got {examples}")


def compress(run: TrainedRun, *, bits: Sequence[int] = BITS, examples: int = 1000) -> Compression:
    """Returns rate and distortion of a run's quantized codes, of PCA, and of JPEG and WebP files.

    Codes are quantized by two methods: each unit to `bits` bits over its range in the training examples, and, after a
    transform by the decoder's Jacobian in which errors are those of decoded examples, to multiples of one step. The
    rate is the length that an arithmetic coder with the training examples' frequencies would need; it does not include
    decoder, components and frequencies.

    Args:
      run: a run that is not on pairs.
      bits: bits per unit of the code, 1 to 16.
      examples: the maximum number of test examples; the first ones are used.

    Raises:
      UserError: arguments outside these ranges, a run on pairs, or data whose values are all equal.
    """
    check_compression(bits=bits, examples=examples)
    check_no_pairs(run, what="compress")
    check_no_table(run, what="compress")
    some = take(run.splits.test, np.arange(min(examples, len(run.splits.test.x))))
    splits = Splits(*map(in_memory, run.splits._replace(test=some)))
    low, high = run.limits
    if low == high:
        raise UserError(f"{run.experiment.data.dataset}: all values are {low:g}, there is nothing to compress")
    notes: list[str] = []
    methods = {OURS: _autoencoder(run, splits, bits)}
    with optional("PCA", notes.append):
        methods["PCA"] = _pca(run, splits, bits)
    if plots.is_image(run.example_shape) and low >= 0 and high <= 1:
        files, missing = image_files(splits.test.x)
        methods |= files
        notes += missing
    return Compression(methods, len(splits.test.x), math.prod(run.example_shape), high - low, tuple(notes))


def image_files(images: np.ndarray) -> tuple[dict[str, list[RatePoint]], list[str]]:
    """Returns rate and distortion of JPEG and WebP, with one file per image and with one sheet of all images.

    Args:
      images: (N, H, W) or (N, H, W, C) with values in [0, 1].

    Returns:
      The points of every method, and a line for every method that failed.
    """
    methods, notes = {}, list[str]()
    for name in ("JPEG", "WebP"):
        for what, as_sheet in (("a file each", False), ("one sheet", True)):
            with optional(f"{name}, {what}", notes.append):
                points = rate_of_image_files(images, file_format=name, qualities=_QUALITIES, as_sheet=as_sheet)
                methods[f"{name}, {what}"] = points
    return methods, notes


def draw_rate_distortion(compression: Compression, *, title: str = "") -> Figure:
    """Returns a figure of the peak signal-to-noise ratio over bits per feature, each method at its best settings."""
    curves = {}
    for name, points in compression.methods.items():
        best = best_settings(points)
        ratios = [peak_signal_to_noise_ratio(point.squared_error, compression.peak) for point in best]
        curves[name] = [point.bits / compression.numbers for point in best], ratios
    return plots.rate_distortion(curves, title=title)


def _autoencoder(run: TrainedRun, splits: Splits, bits: Sequence[int]) -> list[RatePoint]:
    codes = Splits(*(part._replace(x=run.encode(part)) for part in splits))

    def decode(codes: np.ndarray) -> np.ndarray:
        return run.decode(splits.test._replace(x=codes))

    points = rate_of_codes(codes, decode, splits.test.x, bits=bits)
    units = math.prod(run.code_shape)
    if units > _MAX_UNITS:
        return points
    some = (codes.train.x[:_METRIC_EXAMPLES], *(c[:_METRIC_EXAMPLES] for c in run.conditions_of(splits.train)))
    metric = mean_pullback_metric(run.autoencoder, run.params, *some)
    transform = fit_transform(codes.train.x.reshape(-1, units), metric)
    return points + rate_of_transformed_codes(codes, transform, decode, splits.test.x, steps=_STEPS)


def _pca(run: TrainedRun, splits: Splits, bits: Sequence[int]) -> list[RatePoint]:
    flat = Splits(*(part._replace(x=part.x.reshape(len(part.x), -1)) for part in splits))
    units, most = math.prod(run.code_shape), min(flat.train.x.shape)
    points = []
    for components in sorted({min(max(1, int(units * factor)), most) for factor in _COMPONENTS}):
        analysis = fit_pca(flat.train.x, components, random_state=0)
        codes = Splits(*(part._replace(x=analysis.transform(part.x)) for part in flat))
        points += rate_of_codes(codes, analysis.inverse_transform, flat.test.x, bits=bits)
    transform = fit_transform(codes.train.x, np.eye(components))
    return points + rate_of_transformed_codes(codes, transform, analysis.inverse_transform, flat.test.x, steps=_STEPS)
