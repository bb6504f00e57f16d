"""A study from its settings to its figures: members are trained and measured, settings chosen, claims checked."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from matplotlib.figure import Figure

from aejax.datasets.dataset import Splits
from aejax.studies.jacobian import figures
from aejax.studies.jacobian.measure import Curves, Measure, distance_to_nearest, make_measure
from aejax.studies.jacobian.published import Claim, claims
from aejax.studies.jacobian.settings import MethodName, Study
from aejax.studies.jacobian.table import Member, Setting, choose, mean_curves, setting_records, summarize
from aejax.studies.jacobian.train import Trained, grid, plain_autoencoder, train_method

_FILTERS = 12  # of every method in the figure


class Outcome(NamedTuple):
    """What the members of a study show."""

    settings: list[Setting]  # mean and deviation over seeds, for every method and strength
    chosen: dict[MethodName, Setting]  # of every method, the strength with the least validation error
    curves: dict[MethodName, Curves]  # of the chosen settings
    records: list[dict[str, Any]]  # a row for each setting
    claims: list[Claim]  # of Rifai et al. (2011), and whether they hold


def make_measure_of(study: Study, splits: Splits) -> Measure:
    """Returns the function that measures one member of a study, by its parameters."""
    return make_measure(
        plain_autoencoder(study, splits),
        splits,
        input_noise=study.input_noise,
        spectrum_examples=study.spectrum_examples,
    )


def measure_members(study: Study, method: MethodName, trained: Trained, measure: Measure) -> Iterator[Member]:
    """Yields the members of a method, one for each strength and seed, as they are measured.

    Args:
      study: the settings.
      method: which method.
      trained: the last progress that `train_method` yields: the parameters of all members.
      measure: as `make_measure_of` returns it.
    """
    for place, (strength, seed) in enumerate(grid(study, method)):
        params = jax.tree.map(lambda leaf, place=place: leaf[place], trained.params)
        measurement, curves = measure(params)
        yield Member(method, strength, seed, measurement, curves, np.asarray(params["weights"][0]))


def run_study(study: Study, splits: Splits, *, devices: Sequence[jax.Device] | None = None) -> list[Member]:
    """Returns all members of a study, trained and measured, one method after the other.

    Args:
      study: the settings.
      splits: the data, as `load` reads them.
      devices: to divide the members of a method among; the first one by default.
    """
    measure = make_measure_of(study, splits)
    members: list[Member] = []
    for method in study.methods:
        *_, trained = train_method(study, method, splits, list(devices or jax.devices()[:1]))
        members += measure_members(study, method, trained, measure)
    return members


def conclude(members: Sequence[Member]) -> Outcome:
    """Returns the settings of a study, those chosen on validation data, and whether the claims of 2011 hold."""
    settings = summarize(members)
    chosen = choose(settings)
    curves = mean_curves(members, chosen)
    return Outcome(settings, chosen, curves, setting_records(settings, chosen), claims(chosen, curves))


def draw_figures(study: Study, splits: Splits, members: Sequence[Member], outcome: Outcome) -> dict[str, Figure]:
    """Returns the figures of a study: spectra, contraction, filters, error_against_strength."""
    chosen = outcome.chosen
    first = {(member.method, member.strength): member.weights for member in members if member.seed == 0}
    weights = {method: first[method, setting.strength] for method, setting in chosen.items()}
    nearest = distance_to_nearest(splits.test.x[: study.spectrum_examples], splits.train.x)
    return {
        "spectra": figures.spectra(outcome.curves, chosen),
        "contraction": figures.contraction(outcome.curves, chosen, nearest=nearest),
        "filters": figures.filters(weights, chosen, splits.train.x.shape[1:], count=_FILTERS),
        "error_against_strength": figures.error_against_strength(outcome.settings),
    }
