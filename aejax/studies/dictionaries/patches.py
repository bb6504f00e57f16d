"""What a dictionary learns on patches of images: its filters beside principal components and those of its start."""

from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Float

from aejax.datasets.dataset import Splits
from aejax.errors import UserError
from aejax.evaluation import encode_all
from aejax.evaluation.principal import fit_pca
from aejax.evaluation.receptive_fields import FilterMeasures, filter_measures
from aejax.experiment.configuration import Experiment
from aejax.experiment.dictionary_knobs import DICTIONARIES
from aejax.experiment.job import fit, make_job

UNITS, PCA, START = "units", "principal components", "units before training"


class LearnedFilters(NamedTuple):
    """The rows of a trained decoder and what they are compared with, all (F, H, W), and how the units are used."""

    filters: dict[str, Float[np.ndarray, "F H W"]]  # UNITS by firing rate, PCA by variance, START as initialized
    measures: dict[str, FilterMeasures]
    firing_rates: Float[np.ndarray, "F"]  # of UNITS, on test patches, falling

    @property
    def l0(self) -> float:
        """Active units per test patch."""
        return float(self.firing_rates.sum())


def learn_filters(experiment: Experiment, splits: Splits) -> LearnedFilters:
    """Trains a dictionary on gray patches and measures its decoder's rows.

    Units that are never active on test patches are among the filters: nothing is selected. There are at most as many
    principal components as pixels.

    Args:
      experiment: of a dictionary.
      splits: patches (N, H, W, 1), or (N, H, W).

    Raises:
      UserError: the experiment is not of a dictionary or does not suit the patches, or they are not gray images.
    """
    shape = splits.train.x.shape[1:]
    if experiment.model.family not in DICTIONARIES:
        raise UserError(f"family: must be one of {', '.join(DICTIONARIES)}, got {experiment.model.family}")
    if len(shape) not in (2, 3) or shape[2:] not in ((), (1,)):
        raise UserError(f"dataset: its examples must be gray images (H, W) or (H, W, 1), got {shape}")
    job = make_job(experiment, splits)
    started = job.autoencoder.init(jax.random.key(experiment.training.seed), np.asarray(splits.train.x[0]))
    params = fit(job, devices=jax.devices()[:1]).state.params
    rates = np.mean(np.asarray(encode_all(job.autoencoder, params, np.asarray(splits.test.x))) != 0, axis=0)
    order = np.argsort(-rates, kind="stable")
    rows = np.asarray(splits.train.x, np.float64).reshape(len(splits.train.x), -1)
    components = fit_pca(rows, min(len(rates), *rows.shape)).components_
    filters = {
        UNITS: np.asarray(params["decoder"]["kernel"])[order],
        PCA: components,
        START: np.asarray(started["decoder"]["kernel"]),
    }
    filters = {name: each.reshape(-1, *shape[:2]) for name, each in filters.items()}
    measured = {name: filter_measures(each) for name, each in filters.items()}
    return LearnedFilters(filters, measured, rates[order])


def as_grid(filters: Float[np.ndarray, "F H W"]) -> Float[np.ndarray, "R C H W"]:
    """Returns filters in a grid as square as possible, each divided by its largest magnitude; empty places are 0.

    >>> as_grid(np.full((5, 2, 2), -3.0))[:, :, 0, 0].tolist()
    [[-1.0, -1.0, -1.0], [-1.0, -1.0, 0.0]]
    """
    columns = int(np.ceil(np.sqrt(len(filters))))
    rows = -(-len(filters) // columns)
    largest = np.abs(filters).max(axis=(1, 2), keepdims=True)
    grid = np.zeros((rows * columns, *filters.shape[1:]))
    grid[: len(filters)] = filters / np.where(largest > 0, largest, 1)
    return grid.reshape(rows, columns, *filters.shape[1:])
