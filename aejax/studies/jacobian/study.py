"""A study from its settings to its figures: a sweep over methods, what is measured of its members, and the claims."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import PyTree
from matplotlib.figure import Figure

from aejax.datasets.dataset import Dataset, Splits
from aejax.errors import UserError
from aejax.experiment.build import build_autoencoder
from aejax.experiment.loading import load_splits, locate
from aejax.experiment.optimizers import count_steps
from aejax.likelihoods import bernoulli, check_support
from aejax.studies.claims import Claim
from aejax.studies.jacobian import figures
from aejax.studies.jacobian.measure import Curves, distance_to_nearest, make_measure
from aejax.studies.jacobian.methods import plain_experiment, settings_of
from aejax.studies.jacobian.published import claims
from aejax.studies.jacobian.settings import MethodName, Study, to_json
from aejax.studies.jacobian.table import choose, mean_curves
from aejax.studies.sweeps.members import Measure, Measured, Member
from aejax.studies.sweeps.study import Sweep, arrange, train_members
from aejax.studies.sweeps.table import Summary, summarize
from aejax.training import NonFiniteLossError

_FILTERS = 12  # of every method in the figure


class Outcome(NamedTuple):
    """What the members of a study show."""

    summaries: list[Summary]  # mean and deviation over seeds, for every method and strength
    chosen: dict[MethodName, Summary]  # of every method, the strength with the least validation error
    curves: dict[MethodName, Curves]  # of the chosen settings
    weights: dict[MethodName, np.ndarray]  # (inputs, units) of the first seed of the chosen settings
    claims: list[Claim]  # of Rifai et al. (2011), and whether they hold


def load(study: Study) -> Splits:
    """Returns the study's data.

    Raises:
      UserError: the data have no labels or values outside [0, 1], or do not fit the study's settings.
    """
    splits = load_splits(plain_experiment(study).data)
    if any(part.labels is None for part in splits):
        raise UserError(f"{study.dataset} has no labels, but the study requires them to classify codes")
    for part in splits:
        check_support(bernoulli(), part.x, study.dataset, advice="scale them to [0, 1]")
    train, count = splits.train, study.train_examples or len(splits.train.x)
    if count > len(train.x):
        raise UserError(f"train_examples: must be at most {len(train.x)}, the number of training examples, got {count}")
    if study.batch_size > count:
        raise UserError(f"batch_size: must be at most the {count} training examples, got {study.batch_size}")
    count_steps(study.epochs, study.batch_size, count)
    assert train.labels is not None
    labels = train.labels[:count]
    if (labels == labels[0]).all():
        raise UserError(f"train_examples: the first {count} have one class, expected at least two; use more examples")
    return splits._replace(train=Dataset(train.x[:count], labels))


def prepare(study: Study, splits: Splits) -> Sweep:
    """Returns the sweep over all methods and strengths of a study, on the data that `load` reads."""
    data = locate(plain_experiment(study).data)
    document = to_json(replace(study, dataset=data.dataset, data_dir=data.data_dir))  # it continues from any folder
    return arrange(settings_of(study), seeds=study.seeds, splits=splits, document=document)


def make_measure_of(study: Study, ready: Sweep) -> Measure:
    """Returns the function that measures one member of a study: its `Measurement`, `Curves` and weights."""
    job = ready.jobs[0]  # all have the same data
    measure = make_measure(
        build_autoencoder(plain_experiment(study), job.facts),
        job.splits,
        input_noise=study.input_noise,
        spectrum_examples=study.spectrum_examples,
    )

    def measured(params: PyTree) -> Measured:
        measurement, curves = measure(params)
        return Measured(measurement._asdict(), {**curves._asdict(), "weights": np.asarray(params["weights"][0])})

    return measured


def run_study(study: Study, splits: Splits, *, devices: Sequence[jax.Device] | None = None) -> Outcome:
    """Returns what a study shows, after all its members have been trained and measured.

    Args:
      study: the settings.
      splits: the data, as `load` reads them.
      devices: to divide members among; the first one by default.

    Raises:
      NonFiniteLossError: as `conclude`.
    """
    ready = prepare(study, splits)
    return conclude(ready, train_members(ready, devices=devices, measure=make_measure_of(study, ready)))


def conclude(ready: Sweep, members: Sequence[Member]) -> Outcome:
    """Returns the settings of a study, those chosen on validation data, and whether the claims of 2011 hold.

    Raises:
      NonFiniteLossError: a member's loss was NaN or infinite, so that it could not be measured.
    """
    for member in members:
        if member.diverged:
            method, strength = ready.settings[member.setting].knobs.values()
            raise NonFiniteLossError(
                f"{method} with strength {strength:g} and seed {member.seed} has a loss that is not finite in epoch "
                f"{member.diverged}; try a lower learning rate"
            )
    summaries = summarize(ready.settings, members)
    chosen = choose(summaries)
    own = {
        method: [member for member in members if ready.settings[member.setting] is summary.setting]
        for method, summary in chosen.items()
    }
    curves = {method: mean_curves(of_method) for method, of_method in own.items()}
    weights = {method: of_method[0].arrays["weights"] for method, of_method in own.items()}
    return Outcome(summaries, chosen, curves, weights, claims(chosen, curves))


def draw_figures(study: Study, splits: Splits, outcome: Outcome) -> dict[str, Figure]:
    """Returns the figures of a study: spectra, contraction, filters, error_against_strength."""
    chosen = outcome.chosen
    nearest = distance_to_nearest(splits.test.x[: study.spectrum_examples], splits.train.x)
    return {
        "spectra": figures.spectra(outcome.curves, chosen),
        "contraction": figures.contraction(outcome.curves, chosen, nearest=nearest),
        "filters": figures.filters(outcome.weights, chosen, splits.train.x.shape[1:], count=_FILTERS),
        "error_against_strength": figures.error_against_strength(outcome.summaries),
    }
