"""The log-likelihood of a run's test examples: bounds and estimates with their errors, in nats and bits."""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Float, Int, Key

from aejax.autoencoders import Examples
from aejax.autoencoders.record import as_batch
from aejax.datasets.dataset import Dataset, take
from aejax.datasets.subset import random_positions
from aejax.datasets.treatment import describe_treatment
from aejax.errors import ArgumentError, UserError
from aejax.evaluation.likelihood import (
    MAX_PARETO_K,
    Annealed,
    ImportanceSampled,
    StepSizes,
    annealed_log_likelihood,
    bits_per_dimension,
    importance_sampled_log_likelihood,
    mean_with_errors,
    simulated_examples,
    tuned_step_sizes,
)
from aejax.experiment.at_use import check_kind
from aejax.experiment.likelihood_notes import chain_notes, sampling_notes
from aejax.experiment.likelihood_record import Gap, Row, RunLikelihood
from aejax.experiment.loading import as_examples, treatment_of
from aejax.experiment.records import finite
from aejax.experiment.trained import TrainedRun
from aejax.experiment.treatment_notes import is_gray_bernoulli, levels_for_bits
from aejax.keys import named_key
from aejax.likelihoods.bounded import LOW

ELBO = "ELBO"
Start = Literal["prior", "encoder"]
OnStage = Callable[[str, int, int], None]  # (what is computed, steps done, steps in total)
_PILOT_EXAMPLES = 32
_NUMBERS = 2**22  # of decoded examples that are in memory at a time, besides the activations of their networks
_MAX_CODES = 10_000  # that are decoded at a time
_CHUNK = 100  # samples of one example at a time
_CHECKED = 100  # examples, of whose decoder the variance is looked at


class Settings(NamedTuple):
    """What is estimated, and at what cost."""

    samples: int = 1000  # of the posterior of every example
    examples: int = 1000  # maximum number of test examples; of more, random ones are used
    distributions: int = 500  # of annealed importance sampling; 0 leaves it out
    chains: int = 16  # of each example
    start: tuple[Start, ...] = ("encoder",)
    schedule: Literal["linear", "sigmoid"] = "sigmoid"
    annealed_examples: int = 100  # maximum number of test examples, chosen among the others
    simulated_examples: int = 50  # that the model makes, for bounds from both sides; 0 leaves them out
    seed: int = 0  # of the samples and of the chosen examples


def check_settings(settings: Settings) -> None:
    """Raise ArgumentError for settings that `evaluate_likelihood` does not accept."""
    for name, least in {
        "samples": 1,
        "examples": 1,
        "distributions": 0,
        "chains": 1,
        "annealed_examples": 1,
        "simulated_examples": 0,
    }.items():
        if (count := getattr(settings, name)) < least:
            raise ArgumentError(name, f"must be at least {least}, got {count}")
    if not settings.start:
        raise ArgumentError("start", "expected prior, encoder or both")


def evaluate_likelihood(
    run: TrainedRun,
    settings: Settings | None = None,
    *,
    devices: Sequence[jax.Device] | None = None,
    on_stage: OnStage | None = None,
) -> RunLikelihood:
    """Returns bounds and estimates of log p(x) of a run's test examples, with standard errors.

    The rows: the evidence lower bound; importance sampling from the posterior with K/2 and with K samples (the bound of
    importance weighted autoencoders); annealed importance sampling of fewer of the test examples, from each start;
    and, of examples that the model has made, bounds of their log p(x) from below and from above, whose distance is what
    annealing misses there.

    Args:
      run: a variational run.
      settings: what is estimated; None for the defaults.
      devices: the devices; None for the first one. The result does not depend on them, up to rounding error.
      on_stage: called with what is computed, the steps done, and the steps in total.

    Raises:
      UserError: settings out of range, a run without a likelihood, or one whose decoder has a variance of 0.
    """
    settings = Settings() if settings is None else settings
    check_settings(settings)
    check_kind(run, run.autoencoder.variational is not None, "a variational run, with a likelihood", what="likelihood")
    assert run.autoencoder.variational is not None  # ensured by check_kind
    likelihood = run.autoencoder.variational.likelihood
    chosen = _Chosen(len(run.splits.test.x), settings.examples, settings.seed)
    test = _in_memory(run.splits.test, chosen)
    examples = as_examples(run.experiment.model, test, run.facts)
    _check_variance(run, examples, chosen)
    is_likelihood = not is_gray_bernoulli(likelihood.name, test.x)
    levels = levels_for_bits(run.experiment.data, likelihood.name) if is_likelihood else None
    table = _Table(math.prod(run.example_shape), None if run.facts.columns or run.facts.lengths else levels)
    codes = _codes_in_memory(run)
    sampled = importance_sampled_log_likelihood(
        run.autoencoder,
        run.params,
        named_key(jax.random.key(settings.seed), "importance"),
        examples,
        samples=settings.samples,
        devices=devices,
        block_size=max(1, codes // _CHUNK),
        chunk_size=min(_CHUNK, codes),
        on_progress=_progress(on_stage, "importance sampling"),
    )
    rows, gaps, warnings = table.of_sampled(sampled), dict[str, Gap](), list[str]()
    if settings.distributions:
        if len(few := chosen.places(settings.annealed_examples)) < len(chosen.positions):
            rows.append(table.row(_sampled_name(settings.samples), sampled.log_likelihood[few], sampled.error[few]))
        for start in settings.start:
            annealed, gap, notes = _Annealing(run, settings, start, examples, chosen, devices, on_stage).rows(table)
            rows, warnings = rows + annealed, warnings + notes
            gaps |= {} if gap is None else {start: gap}
    untrusted = int(np.sum(sampled.pareto_k > MAX_PARETO_K))
    return RunLikelihood(
        likelihood=likelihood.name,
        treatment=describe_treatment(treatment_of(run.experiment.data)),
        is_likelihood=is_likelihood,
        rows=tuple(rows),
        samples=settings.samples,
        effective_samples=finite(np.median(sampled.effective_samples)),
        untrusted=untrusted,
        notes=(*sampling_notes(run, test.x, sampled, untrusted, is_likelihood, levels), *warnings),
        gaps=gaps,
        by_example={
            "position": tuple(chosen.positions.tolist()),
            **{
                name: tuple(map(finite, getattr(sampled, name).tolist()))
                for name in ("log_likelihood", "error", "effective_samples", "pareto_k")
            },
        },
        settings={name: list(v) if isinstance(v, tuple) else v for name, v in settings._asdict().items()},
    )


class _Chosen(NamedTuple):
    """The test examples that are used: random ones, of which every smaller number is a part of any larger one."""

    of: int  # number of test examples
    limit: int  # maximum number that is used
    seed: int

    @property
    def positions(self) -> Int[np.ndarray, "N"]:
        """The positions of the N examples in the test split, sorted."""
        return random_positions(self.of, self.limit, seed=self.seed)

    def places(self, number: int) -> Int[np.ndarray, "M"]:
        """Returns the places of at most `number` examples among the N ones, sorted."""
        few = random_positions(self.of, min(number, self.limit), seed=self.seed)
        return np.searchsorted(self.positions, few)


class _Table(NamedTuple):
    """Makes rows of estimates for examples of D values."""

    dimensions: int
    levels: int | None  # for bits per dimension; None if there are none

    def row(self, name: str, values: Float[np.ndarray, "N"], errors: Float[np.ndarray, "N"]) -> Row:
        mean = mean_with_errors(values, errors)
        bits = None
        if self.levels is not None:
            bits = finite(bits_per_dimension(mean.mean, self.dimensions, levels=self.levels))
        return Row(
            name,
            len(values),
            mean=finite(mean.mean),
            samples_error=finite(mean.samples_error),
            examples_error=finite(mean.examples_error),
            bits_per_dimension=bits,
            acceptance=None,
            effective_chains=None,
        )

    def of_annealed(self, name: str, estimates: Annealed) -> Row:
        return dataclasses.replace(
            self.row(name, estimates.log_likelihood, estimates.error),
            acceptance=finite(np.mean(estimates.acceptance)),
            effective_chains=finite(np.median(estimates.effective_chains)),
        )

    def of_sampled(self, sampled: ImportanceSampled) -> list[Row]:
        rows = [self.row(ELBO, sampled.elbo, sampled.elbo_error)]
        if sampled.samples > 1:
            # two halves: the error of their mean is about that of all samples
            rows.append(self.row(_sampled_name(sampled.samples // 2), sampled.half, sampled.error))
        return [*rows, self.row(_sampled_name(sampled.samples), sampled.log_likelihood, sampled.error)]


def _codes_in_memory(run: TrainedRun) -> int:
    """Returns how many codes are decoded at a time."""
    return max(1, min(_MAX_CODES, _NUMBERS // math.prod(run.example_shape)))


def _sampled_name(samples: int) -> str:
    return f"IWAE bound, K = {samples:,}"


class _Annealing(NamedTuple):
    """Annealed importance sampling from one start, of test examples and of examples that the model has made."""

    run: TrainedRun
    settings: Settings
    start: Start
    test: Examples
    chosen: _Chosen
    devices: Sequence[jax.Device] | None
    on_stage: OnStage | None

    def rows(self, table: _Table) -> tuple[list[Row], Gap | None, list[str]]:
        """Returns the rows of the table, the distance of the bounds of the model's examples, if any, and warnings."""
        sizes, number = self._step_sizes(), self.settings.simulated_examples
        name = f"AIS from the {self.start}, T = {self.settings.distributions:,}"
        few = self._some(self.settings.annealed_examples)
        estimates = self._estimated(name, sizes, few)
        rows, notes = [table.of_annealed(name, estimates)], chain_notes(name, estimates, self.settings.chains)
        if not number:
            return rows, None, notes
        like = jax.tree.map(lambda array: array[np.arange(number) % len(array)], self._some(number))
        made = simulated_examples(self.run.autoencoder, self.run.params, self._key("simulated"), like)
        bounds = []
        for side, codes in {"lower": None, "upper": made.codes}.items():
            name = f"the model's examples, {side} bound, {self.start}"
            bounds.append(self._estimated(name, sizes, made.examples, codes))
            rows.append(table.of_annealed(name, bounds[-1]))
            notes += chain_notes(name, bounds[-1], self.settings.chains)
        gaps = bounds[1].log_likelihood - bounds[0].log_likelihood
        error = float(np.std(gaps, ddof=1)) / math.sqrt(number) if number > 1 else math.nan
        return rows, Gap(number, float(np.mean(gaps)), finite(error)), notes

    def _some(self, number: int) -> Examples:
        places = self.chosen.places(number)
        return jax.tree.map(lambda array: array[places], self.test)

    def _key(self, name: str) -> Key[Array, ""]:
        return named_key(jax.random.key(self.settings.seed), f"{name} {self.start}")

    def _step_sizes(self) -> StepSizes:
        if self.on_stage is not None:
            self.on_stage(f"tuning the steps from the {self.start}", 0, 1)
        return tuned_step_sizes(
            self.run.autoencoder,
            self.run.params,
            self._key("pilot"),
            self._some(_PILOT_EXAMPLES),
            start=self.start,
            schedule=self.settings.schedule,
        )

    def _estimated(
        self, name: str, sizes: StepSizes, examples: Examples, codes: Float[Array, "N ..."] | None = None
    ) -> Annealed:
        return annealed_log_likelihood(
            self.run.autoencoder,
            self.run.params,
            self._key(name),
            examples,
            distributions=self.settings.distributions,
            step_sizes=sizes,
            chains=self.settings.chains,
            start=self.start,
            schedule=self.settings.schedule,
            codes=codes,
            devices=self.devices,
            block_size=max(1, _codes_in_memory(self.run) // self.settings.chains),
            on_progress=_progress(self.on_stage, name),
        )


def _check_variance(run: TrainedRun, examples: Examples, chosen: _Chosen) -> None:
    """Raise UserError if the decoder predicts a variance of 0 up to rounding, whose density has no bound."""
    distributions = run.autoencoder.variational
    assert distributions is not None  # ensured by the caller
    if distributions.likelihood.name != "gaussian_with_predicted_variance":
        return
    places = chosen.places(_CHECKED)
    batch = as_batch(jax.tree.map(lambda array: array[places], examples))
    given = () if batch.condition is None else (batch.condition,)

    def lowest(params: dict, x: jax.Array, *given: jax.Array) -> jax.Array:
        code = distributions.posterior(params, x, *given)[0]
        return distributions.decode_parameters(params, code, *given)[..., 1].min()

    of_examples = np.asarray(jax.vmap(lowest, in_axes=(None, 0, *(0 for _ in given)))(run.params, batch.input, *given))
    if of_examples.min() <= LOW:
        position = chosen.positions[places[of_examples.argmin()]]
        raise UserError(
            f"{run.path}: the decoder's variance of test example {position} is 0 (its logarithm is "
            f"{of_examples.min():.4g}), so its density has no bound; train with likelihood gaussian, or on dequantized "
            "data"
        )


def _in_memory(test: Dataset, chosen: _Chosen) -> Dataset:
    few = take(test, chosen.positions)
    return few._replace(x=np.asarray(few.x))


def _progress(on_stage: OnStage | None, what: str) -> Callable[[int, int], None] | None:
    return None if on_stage is None else lambda done, total: on_stage(what, done, total)
