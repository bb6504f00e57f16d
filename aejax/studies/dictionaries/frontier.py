"""What dictionaries explain of held-out examples at which number of active units, beside principal components."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Float

from aejax.datasets.dataset import Splits
from aejax.evaluation import decode_all, encode_all
from aejax.evaluation.dictionaries import (
    ReconstructionMeasures,
    add_firing,
    add_reconstructions,
    dead_share,
    mean_l0,
    reconstruction_measures,
)
from aejax.evaluation.principal import fit_pca
from aejax.experiment.conditions import without_effect
from aejax.experiment.configuration import Experiment
from aejax.experiment.dictionary_knobs import SELECTING
from aejax.experiment.facts import some_of
from aejax.experiment.job import Job, fit, make_job
from aejax.experiment.knobs import value_of, with_knobs
from aejax.studies.dictionaries.spliced import Recovered, RestOfNetwork, recover

_BLOCK = 2000  # examples at a time
PCA = "PCA"


class Point(NamedTuple):
    """One dictionary, measured on test examples by its code at use; no number but the strength has a unit."""

    family: str
    strength: float  # active_entries, or the sparsity_weight
    seed: int
    l0: float  # active units per example
    unexplained: float  # fraction of the variance: Σ ‖x - x̂‖² / Σ ‖x - mean‖²
    relative_bias: float  # E ‖x̂‖² / E x̂·x; below 1 where codes are shrunk
    dead: float  # fraction of units that are 0 for every test example
    recovered: Recovered | None = None  # of the network that the activations are from, if there is one


def with_strength(experiment: Experiment, family: str, strength: float) -> Experiment:
    """Returns the experiment with another family and its strength: active_entries, or the sparsity_weight.

    Knobs that have no effect on this family have their defaults.

    >>> with_strength(Experiment(), "gated", 0.5).dictionary.sparsity_weight
    0.5
    """
    name = "active_entries" if family in SELECTING else "sparsity_weight"
    knobs = {"family": family, name: round(strength) if family in SELECTING else strength}
    changed = with_knobs(experiment, knobs)
    unused = without_effect(changed.model, changed.dictionary)
    return with_knobs(changed, {knob: value_of(Experiment(), knob) for knob in unused})


def measure_point(
    experiment: Experiment, strength: float, *, seed: int, splits: Splits, network: RestOfNetwork | None = None
) -> Point:
    """Trains a dictionary and measures it.

    Args:
      experiment: of a dictionary.
      strength: its strength, for the result.
      seed: of the training.
      splits: the examples.
      network: the rest of the network that the examples are activations of; None measures no loss.

    Raises:
      UserError: the configuration does not suit the examples, or the network returns no losses.
    """
    job = make_job(with_knobs(experiment, {"seed": seed}), splits)
    snapshot = fit(job, devices=jax.devices()[:1])
    encode, decode = (partial(each, job.autoencoder, snapshot.state.params) for each in (encode_all, decode_all))
    sums = counts = None
    for x in _blocks(job):
        codes = encode(x)
        counts = add_firing(counts, codes)
        sums = add_reconstructions(sums, x, decode(codes))
    assert sums is not None
    assert counts is not None
    quality = reconstruction_measures(sums)
    return Point(
        experiment.model.family,
        strength,
        seed,
        mean_l0(counts),
        quality.fraction_of_variance_unexplained,
        quality.relative_bias,
        dead_share(counts),
        None if network is None else recover(network, job.autoencoder, snapshot.state.params),
    )


def unexplained_by_components(splits: Splits, numbers: Sequence[int]) -> dict[int, float]:
    """Returns the fraction of test examples' variance that so many principal components of training examples leave.

    Args:
      splits: the examples.
      numbers: numbers of components; those above the number of features or training examples are left out.
    """
    train = _rows(some_of(splits.train.x))
    most = min(train.shape)
    possible = sorted({number for number in numbers if 1 <= number <= most})
    if not possible:
        return {}
    components = fit_pca(train, possible[-1])
    found: dict[int, float] = {}
    test = _rows(splits.test.x)
    codes = components.transform(test)
    for number in possible:
        decoded = codes[:, :number] @ components.components_[:number] + components.mean_
        quality: ReconstructionMeasures = reconstruction_measures(add_reconstructions(None, test, decoded))
        found[number] = quality.fraction_of_variance_unexplained
    return found


def frontier(points: Sequence[Point]) -> Mapping[str, tuple[list[float], list[float]]]:
    """Returns the means over seeds for a figure: family -> (active units, fractions of variance that are left).

    >>> point = Point("top_k", 8.0, 0, 8.0, 0.5, 1.0, 0.0)
    >>> frontier([point, point._replace(seed=1, unexplained=0.7)])
    {'top_k': ([8.0], [0.6])}
    """
    curves: dict[str, tuple[list[float], list[float]]] = {}
    for family in dict.fromkeys(point.family for point in points):
        own = [point for point in points if point.family == family]
        strengths = dict.fromkeys(point.strength for point in own)
        of_strength = [[point for point in own if point.strength == strength] for strength in strengths]
        curves[family] = (
            [float(np.mean([point.l0 for point in group])) for group in of_strength],
            [float(np.mean([point.unexplained for point in group])) for group in of_strength],
        )
    return curves


def _blocks(job: Job) -> list[Float[np.ndarray, "B D"]]:
    x = job.splits.test.x
    return [np.asarray(x[start : start + _BLOCK]) for start in range(0, len(x), _BLOCK)]


def _rows(x: np.ndarray) -> Float[np.ndarray, "N D"]:
    return np.asarray(x, np.float64).reshape(len(x), -1)
