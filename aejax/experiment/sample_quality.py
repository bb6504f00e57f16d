"""Scores of a run's decoded samples from its prior, against its test and training examples."""

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path

import jax
import numpy as np
from jaxtyping import Array, PyTree
from pydantic import ConfigDict, PositiveInt
from pydantic.dataclasses import dataclass

from aejax.autoencoders import Autoencoder
from aejax.datasets.dataset import Dataset
from aejax.datasets.subset import random_subset
from aejax.errors import UserError
from aejax.evaluation.representation import map_over_examples
from aejax.evaluation.samples import sample_scores
from aejax.evaluation.samples.scores import LEAST_EXAMPLES
from aejax.evaluation.table_baselines import features_of_rows
from aejax.experiment.records import finite, read_record, record_to_json
from aejax.experiment.table_results import table_columns
from aejax.experiment.trained import TrainedRun
from aejax.host.files import write_text
from aejax.keys import named_key

FILE = "samples.json"
MAX_EXAMPLES = 1000  # samples, and as many test and training examples
_MAX_PRODUCTS = 1e9  # of all pairs of samples and test examples, so that large images have fewer samples
_AT_ONCE = 100  # samples that are decoded at a time
_MAX_BYTES = 2**20
_CONFIG = ConfigDict(strict=True, extra="forbid")


@dataclass(frozen=True, config=_CONFIG)
class RunScore:
    """A score of samples; numbers that are not finite are None."""

    name: str
    title: str
    unit: str
    value: float | None
    equal: float | None  # for samples of the data's own distribution, where it is known


@dataclass(frozen=True, config=_CONFIG)
class RunSamples:
    """The scores of a run's samples, and the numbers of examples that they were computed from."""

    samples: PositiveInt
    test_examples: PositiveInt
    training_examples: PositiveInt
    drawn: bool  # whether samples are drawn from the likelihood, instead of its means
    scores: list[RunScore]


def can_score_samples(run: TrainedRun) -> bool:
    """Returns whether a run has samples that can be compared with its data: it needs a prior."""
    return run.prior is not None


def score_samples(run: TrainedRun, *, seed: int = 0) -> RunSamples:
    """Returns the scores of decoded samples from a run's prior, as many as test examples are used.

    Samples are the decoder's means; they are drawn from the likelihood if it is that of a table, or one of bits or
    counts where the test examples are such numbers. Each sample has the condition, the length and the missing values of
    one test example. Rows are compared as the inputs of a model, without those that say what is missing; steps that a
    sequence does not have are at the mean of the training examples.

    Args:
      run: a run that `can_score_samples`.
      seed: of the codes, of the chosen examples and of the classifier's halves.

    Raises:
      UserError: there are fewer than 20 test or training examples, or the data are missing or have changed.
    """
    count = min(MAX_EXAMPLES, max(LEAST_EXAMPLES, int(math.sqrt(_MAX_PRODUCTS / math.prod(run.example_shape)))))
    test, train = (_some(run, split, count, seed) for split in ("test", "train"))
    if (fewest := min(len(test.x), len(train.x))) < LEAST_EXAMPLES:
        raise UserError(f"they need at least {LEAST_EXAMPLES} test and training examples, got {fewest}")
    codes = test._replace(x=run.sample_codes(len(test.x), seed=seed))
    if not run.experiment.model.conditional:
        codes = codes._replace(labels=None)
    drawn = _is_drawn(run, test.x)
    decoded = _draw(run, codes, seed) if drawn else run.decode(codes)
    if run.facts.columns is not None or run.facts.lengths is not None:
        decoded = np.where(np.isnan(test.x), np.nan, decoded)
    as_points = _points_of(run, train.x)
    found = sample_scores(as_points(decoded), as_points(test.x), as_points(train.x), seed=seed)
    unit = "unit of data" if run.facts.columns is None else "standard deviation"
    scores = [
        RunScore(name, score.title, score.unit.replace("unit of data", unit), finite(score.value), score.equal)
        for name, score in found.items()
    ]
    return RunSamples(len(decoded), len(test.x), len(train.x), drawn, scores)


def describe_samples(result: RunSamples) -> list[str]:
    """Returns lines with all scores of samples, and with the numbers of examples.

    >>> scores = [RunScore("density", "density", "no unit", 0.91234, 1.0)]
    >>> describe_samples(RunSamples(100, 90, 80, False, scores))[1]
    '  density 0.9123 (1)'
    """
    kind = "drawn from the likelihood" if result.drawn else "the decoder's means"
    first = (
        f"samples: {result.samples:,} decoded from the prior, {kind}, against {result.test_examples:,} test examples "
        f"and the nearest of {result.training_examples:,} training examples (in parentheses: for equal distributions)"
    )
    parts = [_in_words(score) for score in result.scores]
    return [first, *(f"  {', '.join(parts[start : start + 5])}" for start in range(0, len(parts), 5))]


def _in_words(score: RunScore) -> str:
    value = "not finite" if score.value is None else f"{score.value:.4g}"
    equal = "" if score.equal is None else f" ({score.equal:.3g})"
    return f"{score.title} {value}{equal}"


def write_samples(folder: Path, result: RunSamples) -> None:
    """Writes the scores of samples to a run folder."""
    write_text(folder / FILE, record_to_json(result))


def read_samples(folder: Path) -> RunSamples | None:
    """Returns the scores of samples in a run folder; None if there are none.

    Raises:
      UserError: the file cannot be read, or holds no such scores.
    """
    return read_record(folder / FILE, RunSamples, limit=_MAX_BYTES)


def _some(run: TrainedRun, split: str, count: int, seed: int) -> Dataset:
    """Returns at most `count` random examples of a split, in their order, as the loss receives them."""
    examples = random_subset(getattr(run.splits, split), count, seed=seed)
    return examples._replace(x=np.asarray(examples.x))


def _is_drawn(run: TrainedRun, x: np.ndarray) -> bool:
    """Returns whether examples and likelihood are of a table, of bits or of counts, of which a mean is no example."""
    distributions = run.autoencoder.variational
    if distributions is None:
        return False
    is_discrete = distributions.likelihood.name in ("bernoulli", "poisson") and np.all(np.equal(x, np.round(x)))
    return run.facts.columns is not None or bool(is_discrete)


def _points_of(run: TrainedRun, train_x: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Returns the function of examples that makes what distances compare, without NaN."""
    if run.facts.columns is not None:
        return features_of_rows(table_columns(run))
    if run.facts.lengths is not None:
        mean = np.nanmean(train_x)
        return lambda x: np.where(np.isnan(x), mean, x)
    return np.asarray


def _draw(run: TrainedRun, codes: Dataset, seed: int) -> np.ndarray:
    keys = jax.random.split(named_key(jax.random.key(seed), "samples"), len(codes.x))
    draw = partial(_draw_one, run.autoencoder)
    return np.asarray(
        map_over_examples(draw, run.params, keys, codes.x, *run.conditions_of(codes), batch_size=_AT_ONCE)
    )


def _draw_one(autoencoder: Autoencoder, params: PyTree, key: Array, code: Array, *condition: Array) -> Array:
    assert autoencoder.variational is not None
    parameters = autoencoder.variational.decode_parameters(params, code, *condition)
    return autoencoder.variational.likelihood.sample(key, parameters)
