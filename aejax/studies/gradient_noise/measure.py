"""Signal-to-noise ratios of gradients for several numbers of samples and groups, and their exponents."""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import product
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Float, PyTree

from aejax.autoencoders import Autoencoder, multiply_importance_weighted
from aejax.autoencoders.importance_weights import Gradient
from aejax.evaluation.gradient_noise import is_measured, power_law, signal_to_noise
from aejax.studies.gradient_noise.model import gaussian_model, near_optimum

NETWORKS = {"encoder": "encoder", "prior": "prior's mean"}
_CODES_AT_ONCE = 2**16  # of all samples of the gradient that are computed together


class Point(NamedTuple):
    """The signal-to-noise ratio of a gradient."""

    gradient: Gradient
    network: str  # whose parameters are differentiated, one of NETWORKS
    groups: int  # M
    samples: int  # K
    ratio: float
    error: float  # its standard error


class Exponent(NamedTuple):
    """How a ratio changes with the samples of a group, or with the groups: the slope of logarithms."""

    gradient: Gradient
    network: str
    of: str  # "samples" or "groups"
    slope: float
    error: float
    expected: float  # as the number goes to infinity


class Setting(NamedTuple):
    """What is measured."""

    dimensions: int
    offset: float
    samples: tuple[int, ...]
    groups: tuple[int, ...]
    samples_of_groups: int  # K of every group where the number of groups changes
    gradients: tuple[Gradient, ...]
    repetitions: int  # samples of each gradient
    seed: int


def planned(setting: Setting) -> list[tuple[Gradient, int, int]]:
    """Returns estimator, groups and samples of every gradient to measure, each once."""
    pairs = [(1, samples) for samples in setting.samples]
    pairs += [(groups, setting.samples_of_groups) for groups in setting.groups]
    return [(gradient, *pair) for gradient in setting.gradients for pair in dict.fromkeys(pairs)]


def measure(setting: Setting, gradient: Gradient, groups: int, samples: int) -> list[Point]:
    """Returns the ratios of a gradient of MIWAE(groups, samples) near the optimum of the Gaussian model.

    Args:
      setting: the model, the number of samples of the gradient, and the seed.
      gradient: the estimator.
      groups: M.
      samples: K.
    """
    params, x = near_optimum(setting.dimensions, offset=setting.offset, seed=setting.seed)
    autoencoder = gaussian_model(setting.dimensions)
    autoencoder = multiply_importance_weighted(autoencoder, groups=groups, samples=samples, gradient=gradient)
    key = jax.random.fold_in(jax.random.key(setting.seed), groups * 2**16 + samples)
    size = max(_CODES_AT_ONCE // (groups * samples), 1)
    drawn = _gradients(autoencoder, size, params, x, jax.random.split(key, setting.repetitions))
    points = []
    for network in NETWORKS:
        rows = [np.asarray(leaf).reshape(setting.repetitions, -1) for leaf in jax.tree.leaves(drawn[network])]
        points.append(Point(gradient, network, groups, samples, *signal_to_noise(np.concatenate(rows, axis=1))))
    return points


@partial(jax.jit, static_argnums=(0, 1))
def _gradients(autoencoder: Autoencoder, size: int, params: PyTree, x: Float[Array, "1 D"], keys: Array) -> PyTree:
    """Returns the gradient by every key, `size` at a time."""
    gradient: Callable[..., tuple[PyTree, object]] = jax.grad(autoencoder.loss, has_aux=True)
    return jax.lax.map(lambda key: gradient(params, key, x)[0], keys, batch_size=size)


def expected_exponent(gradient: Gradient, network: str, of: str) -> float:
    """Returns the asymptotic exponent of a ratio: ½, but -½ of the samples for the encoder's plain gradient.

    >>> expected_exponent("plain", "encoder", "samples"), expected_exponent("dreg", "encoder", "samples")
    (-0.5, 0.5)
    """
    return -0.5 if (gradient, network, of) == ("plain", "encoder", "samples") else 0.5


def along(points: Sequence[Point], setting: Setting, gradient: Gradient, network: str, of: str) -> list[Point]:
    """Returns the ratios of a gradient over "samples" of one group or over "groups", in ascending order."""
    own = [point for point in points if (point.gradient, point.network) == (gradient, network)]
    if of == "samples":
        own = [point for point in own if point.groups == 1 and point.samples in setting.samples]
    else:
        own = [p for p in own if p.samples == setting.samples_of_groups and p.groups in setting.groups]
    return sorted(own, key=lambda point: (point.samples, point.groups))


def exponents(points: Sequence[Point], setting: Setting, *, fit_from: int) -> list[Exponent]:
    """Returns the exponents of all measured ratios; those that were not measured at two or more places are left out.

    They are fitted without the points that `left_out` returns; with some, the exponent is too near 0.

    Args:
      points: the ratios.
      setting: what was measured.
      fit_from: the least number of samples that the exponent of samples is fitted to: it holds asymptotically.
    """
    found = []
    for (gradient, network, of), own in _fitted(points, setting, fit_from).items():
        x, y, errors = (np.array([getattr(point, name) for point in own]) for name in (of, "ratio", "error"))
        if len(set(x[is_measured(y, errors)].tolist())) > 1:
            expected = expected_exponent(gradient, network, of)
            found.append(Exponent(gradient, network, of, *power_law(x, y, errors), expected))
    return found


def left_out(points: Sequence[Point], setting: Setting, *, fit_from: int) -> list[Point]:
    """Returns the points that no exponent is fitted to since their ratio is below two standard errors.

    The arguments are those of `exponents`.
    """
    fitted = list(dict.fromkeys(point for own in _fitted(points, setting, fit_from).values() for point in own))
    measured = is_measured(np.array([point.ratio for point in fitted]), np.array([point.error for point in fitted]))
    return [point for point, is_kept in zip(fitted, measured, strict=True) if not is_kept]


def _fitted(points: Sequence[Point], setting: Setting, fit_from: int) -> dict[tuple[Gradient, str, str], list[Point]]:
    """Returns (gradient, network, of) -> the points in the range of the fit."""
    found = {}
    for gradient, network, of in product(setting.gradients, NETWORKS, ("samples", "groups")):
        own = along(points, setting, gradient, network, of)
        found[gradient, network, of] = [point for point in own if of == "groups" or point.samples >= fit_from]
    return found
