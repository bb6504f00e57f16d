"""The log-likelihood of a run's test examples: bounds and estimates with their errors, in nats and bits."""

import dataclasses
import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import jax
import numpy as np
from jaxtyping import Float
from pydantic import ConfigDict, NonNegativeInt, PositiveInt, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from aejax.autoencoders import Examples
from aejax.autoencoders.record import as_batch
from aejax.datasets.dataset import Dataset, take
from aejax.datasets.treatment import describe_treatment
from aejax.errors import ArgumentError, UserError, knob_name
from aejax.evaluation.likelihood import (
    MAX_PARETO_K,
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
from aejax.experiment.loading import as_examples, treatment_of
from aejax.experiment.trained import TrainedRun
from aejax.experiment.treatment_notes import is_gray_bernoulli, levels_for_bits, treatment_lines
from aejax.host.files import read_bytes
from aejax.host.schema import first_error, parse_json
from aejax.keys import named_key
from aejax.likelihoods.bounded import LOW

FILE = "likelihood.json"
ELBO = "ELBO"
Start = Literal["prior", "encoder"]
OnStage = Callable[[str, int, int], None]  # (what is computed, steps done, steps in total)
_MAX_BYTES = 2**24
_PILOT_EXAMPLES = 32
_ROWS_IN_MEMORY = 10_000  # codes that are decoded at a time
_CHECKED = 100  # examples, of whose decoder the variance is looked at
_CONFIG = ConfigDict(strict=True, extra="forbid")


@dataclass(frozen=True, config=_CONFIG)
class Row:
    """An estimate of the mean log-likelihood; numbers are in nats per example, and None where they are not defined."""

    name: str
    examples: PositiveInt
    mean: float
    samples_error: float | None  # standard error from samples or chains
    examples_error: float | None  # standard error from the choice of test examples
    bits_per_dimension: float | None


@dataclass(frozen=True, config=_CONFIG)
class RunLikelihood:
    """The log-likelihood of a run's test examples, as `evaluate_likelihood` estimates it."""

    likelihood: str  # name of p(x | z)
    treatment: str  # how the data were binarized or dequantized
    is_likelihood: bool  # whether the values are ones that p(x | z) is a probability or a density of
    rows: tuple[Row, ...]
    samples: PositiveInt  # K of importance sampling
    effective_samples: float  # median over examples, of K
    untrusted: NonNegativeInt  # examples whose weights have a Pareto shape above 0.7
    notes: tuple[str, ...]  # warnings
    settings: dict[str, int | str | list[str]]


class Settings(NamedTuple):
    """What is estimated, and at what cost."""

    samples: int = 1000  # of the posterior of every example
    examples: int = 1000  # maximum number of test examples; the first ones are used
    distributions: int = 500  # of annealed importance sampling; 0 leaves it out
    chains: int = 16  # of each example
    start: tuple[Start, ...] = ("encoder",)
    schedule: Literal["linear", "sigmoid"] = "sigmoid"
    annealed_examples: int = 100  # maximum number of test examples
    simulated_examples: int = 50  # that the model makes, for bounds from both sides; 0 leaves them out
    seed: int = 0


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
    importance weighted autoencoders); annealed importance sampling of the first test examples, from each start; and,
    of examples that the model has made, bounds of their log p(x) from below and from above, whose distance is what
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
    count = min(settings.examples, len(run.splits.test.x))
    test = _in_memory(run.splits.test, count)
    examples = as_examples(run.experiment.model, test, run.facts)
    _check_variance(run, examples)
    is_likelihood = not is_gray_bernoulli(likelihood.name, test.x)
    levels = levels_for_bits(run.experiment.data, likelihood.name) if is_likelihood else None
    table = _Table(math.prod(run.example_shape), None if run.facts.columns or run.facts.lengths else levels)
    key, block = jax.random.key(settings.seed), max(1, _ROWS_IN_MEMORY // 100)
    sampled = importance_sampled_log_likelihood(
        run.autoencoder,
        run.params,
        named_key(key, "importance"),
        examples,
        samples=settings.samples,
        devices=devices,
        block_size=block,
        on_progress=_progress(on_stage, "importance sampling"),
    )
    rows = table.of_sampled(sampled)
    if settings.distributions:
        rows += _annealed(run, settings, table, examples, sampled, devices, on_stage)
    untrusted = int(np.sum(sampled.pareto_k > MAX_PARETO_K))
    return RunLikelihood(
        likelihood=likelihood.name,
        treatment=describe_treatment(treatment_of(run.experiment.data)),
        is_likelihood=is_likelihood,
        rows=tuple(rows),
        samples=settings.samples,
        effective_samples=float(np.median(sampled.effective_samples)),
        untrusted=untrusted,
        notes=tuple(_notes(run, test.x, sampled, untrusted, is_likelihood, levels)),
        settings={name: list(v) if isinstance(v, tuple) else v for name, v in settings._asdict().items()},
    )


class _Table(NamedTuple):
    """Makes rows of estimates for examples of D values."""

    dimensions: int
    levels: int | None  # for bits per dimension; None if there are none

    def row(self, name: str, values: Float[np.ndarray, "N"], errors: Float[np.ndarray, "N"]) -> Row:
        mean = mean_with_errors(values, errors)
        bits = None if self.levels is None else bits_per_dimension(mean.mean, self.dimensions, levels=self.levels)
        return Row(name, len(values), mean.mean, _finite(mean.samples_error), _finite(mean.examples_error), bits)

    def of_sampled(self, sampled: ImportanceSampled) -> list[Row]:
        rows = [self.row(ELBO, sampled.elbo, sampled.elbo_error)]
        if sampled.samples > 1:
            # two halves: the error of their mean is about that of all samples
            rows.append(self.row(_sampled_name(sampled.samples // 2), sampled.half, sampled.error))
        return [*rows, self.row(_sampled_name(sampled.samples), sampled.log_likelihood, sampled.error)]


def _sampled_name(samples: int) -> str:
    return f"IWAE bound, K = {samples:,}"


def _annealed(
    run: TrainedRun,
    settings: Settings,
    table: _Table,
    examples: Examples,
    sampled: ImportanceSampled,
    devices: Sequence[jax.Device] | None,
    on_stage: OnStage | None,
) -> list[Row]:
    """Returns the rows of annealed importance sampling, of test examples and of examples that the model has made."""
    key, count = jax.random.key(settings.seed), min(settings.annealed_examples, len(examples.x))
    some = jax.tree.map(lambda array: array[:count], examples)
    rows = []
    if count < len(examples.x):
        rows.append(table.row(_sampled_name(sampled.samples), sampled.log_likelihood[:count], sampled.error[:count]))
    made = None
    if settings.simulated_examples:
        number = settings.simulated_examples
        like = as_batch(jax.tree.map(lambda array: array[np.arange(number) % len(array)], examples))
        made = simulated_examples(run.autoencoder, run.params, named_key(key, "simulated"), like)
    for start in settings.start:
        what = f"AIS from the {start}, T = {settings.distributions:,}"
        pilot = jax.tree.map(lambda array: array[:_PILOT_EXAMPLES], examples)
        if on_stage is not None:
            on_stage(f"tuning steps from the {start}", 0, 1)
        sizes = tuned_step_sizes(
            run.autoencoder,
            run.params,
            named_key(key, f"pilot {start}"),
            pilot,
            start=start,
            schedule=settings.schedule,
        )

        def annealed(
            name: str,
            examples: Examples,
            codes: jax.Array | None = None,
            *,
            start: Start = start,
            sizes: StepSizes = sizes,
        ) -> Row:
            estimates = annealed_log_likelihood(
                run.autoencoder,
                run.params,
                named_key(key, f"{name} {start}"),
                examples,
                distributions=settings.distributions,
                step_sizes=sizes,
                chains=settings.chains,
                start=start,
                schedule=settings.schedule,
                codes=codes,
                devices=devices,
                block_size=max(1, _ROWS_IN_MEMORY // settings.chains),
                on_progress=_progress(on_stage, name),
            )
            return table.row(name, estimates.log_likelihood, estimates.error)

        rows.append(annealed(what, some))
        if made is not None:
            rows.append(annealed(f"the model's examples, lower bound, {start}", made.examples))
            rows.append(annealed(f"the model's examples, upper bound, {start}", made.examples, made.codes))
    return rows


def _notes(
    run: TrainedRun,
    x: np.ndarray,
    sampled: ImportanceSampled,
    untrusted: int,
    is_likelihood: bool,
    levels: int | None,
) -> list[str]:
    """Returns lines on what the numbers must not be taken for."""
    number, data = len(sampled.log_likelihood), run.experiment.data
    notes = [] if is_likelihood else treatment_lines(run, x)[1:]
    if untrusted:
        notes.append(
            f"importance sampling is not to be trusted for {untrusted:,} of {number:,} examples, whose weights have a "
            f"Pareto shape above {MAX_PARETO_K:g}: the value is too low by an unknown amount"
        )
    if np.isnan(sampled.pareto_k).all():
        notes.append(f"{sampled.samples:,} samples are too few for a Pareto shape of their weights: use 25 or more")
    is_image = run.facts.targets.dtype == "uint8" and run.facts.targets.divided_by == 255
    if is_likelihood and levels is None and is_image and data.dequantize == "none":
        notes.append(
            "the values are levels, of which a density has no bound and no number of bits: train with "
            f"{knob_name('dequantize uniform')}, or with {knob_name('likelihood discretized_logistic')}"
        )
    return notes


def _check_variance(run: TrainedRun, examples: Examples) -> None:
    """Raise UserError if the decoder predicts a variance of 0 up to rounding, whose density has no bound."""
    distributions = run.autoencoder.variational
    assert distributions is not None  # ensured by the caller
    if distributions.likelihood.name != "gaussian_with_predicted_variance":
        return
    batch = as_batch(jax.tree.map(lambda array: array[:_CHECKED], examples))
    given = () if batch.condition is None else (batch.condition,)

    def lowest(params: dict, x: jax.Array, *given: jax.Array) -> jax.Array:
        code = distributions.posterior(params, x, *given)[0]
        return distributions.decode_parameters(params, code, *given)[..., 1].min()

    of_examples = np.asarray(jax.vmap(lowest, in_axes=(None, 0, *(0 for _ in given)))(run.params, batch.input, *given))
    if of_examples.min() <= LOW:
        raise UserError(
            f"{run.path}: the decoder's variance of test example {int(of_examples.argmin())} is 0 (its logarithm is "
            f"{of_examples.min():.4g}), so its density has no bound; train with likelihood gaussian, or on dequantized "
            "data"
        )


def _in_memory(test: Dataset, count: int) -> Dataset:
    few = take(test, np.arange(count))
    return few._replace(x=np.asarray(few.x))


def _progress(on_stage: OnStage | None, what: str) -> Callable[[int, int], None] | None:
    return None if on_stage is None else lambda done, total: on_stage(what, done, total)


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None


def to_json(result: RunLikelihood) -> str:
    """Returns the result as a JSON document, with the version of its schema."""
    return json.dumps({"version": 1, **dataclasses.asdict(result)}, indent=2) + "\n"


def read_likelihood(folder: Path) -> RunLikelihood | None:
    """Returns the result that was last written into a run folder; None if there is none.

    Raises:
      UserError: the file cannot be read, or holds no such result.
    """
    path = folder / FILE
    if not path.exists() and not path.is_symlink():
        return None
    content = parse_json(read_bytes(path, limit=_MAX_BYTES), name=str(path))
    if not isinstance(content, dict) or content.pop("version", None) != 1:
        raise UserError(f"{path}: expected a likelihood of version 1; it was changed, or written by a newer version")
    try:
        return TypeAdapter(RunLikelihood).validate_json(json.dumps(content))
    except ValidationError as error:
        raise UserError(f"{path}: {first_error(error)}") from error
