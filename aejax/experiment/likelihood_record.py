"""What is stored of a run's log-likelihood, in its folder: rows of a table, values of every example, warnings."""

from pathlib import Path
from typing import Any

from pydantic import ConfigDict, NonNegativeInt, PositiveInt
from pydantic.dataclasses import dataclass

from aejax.experiment.records import read_record, record_to_json
from aejax.experiment.upgrades import Upgrade

FILE = "likelihood.json"
_MAX_BYTES = 2**26
_CONFIG = ConfigDict(strict=True, extra="forbid")


@dataclass(frozen=True, config=_CONFIG)
class Row:
    """An estimate of the mean log-likelihood; numbers are in nats per example, and None where they are not defined."""

    name: str
    examples: PositiveInt
    mean: float | None  # None if an example has no finite one, as for an ELBO with a weight of 0
    samples_error: float | None  # standard error from samples or chains; None of bounds from above
    examples_error: float | None  # standard error from the choice of test examples
    bits_per_dimension: float | None
    acceptance: float | None  # of annealing: mean probability that a move is accepted
    effective_chains: float | None  # of annealing: (Σ w)² / Σ w² of the chains' weights, median over examples


@dataclass(frozen=True, config=_CONFIG)
class Gap:
    """The mean distance of the bounds from above and from below, which contain the mean of log p(x) in expectation."""

    examples: PositiveInt
    mean: float
    error: float | None  # standard error; None for one example


@dataclass(frozen=True, config=_CONFIG)
class RunLikelihood:
    """The log-likelihood of a run's test examples, as `evaluate_likelihood` estimates it."""

    likelihood: str  # name of p(x | z)
    treatment: str  # how the data were binarized or dequantized
    is_likelihood: bool  # whether the values are ones that p(x | z) is a probability or a density of
    rows: tuple[Row, ...]
    samples: PositiveInt  # K of importance sampling
    effective_samples: float | None  # median over examples, of K
    untrusted: NonNegativeInt  # examples whose weights have a Pareto shape above 0.7
    notes: tuple[str, ...]  # warnings
    gaps: dict[str, Gap]  # by start of annealing: what it misses of examples that the model has made
    # the position in the test split, and estimates by importance sampling; None where a value is not defined
    by_example: dict[str, tuple[float | None, ...]]
    settings: dict[str, int | str | list[str]]


def shown_mean(row: Row) -> str:
    """Returns the mean of a row as text, in nats.

    >>> shown_mean(Row("ELBO", 10, None, None, None, None, None, None))
    'not finite'
    """
    return "not finite" if row.mean is None else f"{row.mean:,.3f}"


def gap_lines(result: RunLikelihood) -> list[str]:
    """Returns a line for each start of annealing: the distance of its bounds of the model's examples."""
    return [
        f"AIS from the {start} leaves a gap of {gap.mean:.3f} nats"
        f"{'' if gap.error is None else f' (± {gap.error:.3f})'} between its bounds of the model's examples"
        for start, gap in result.gaps.items()
    ]


def to_json(result: RunLikelihood) -> str:
    """Returns the result as a JSON document, with the version of its schema."""
    return record_to_json(result, upgrades=_UPGRADES)


def read_likelihood(folder: Path) -> RunLikelihood | None:
    """Returns the result that was last written into a run folder; None if there is none.

    Raises:
      UserError: the file cannot be read, or holds no such result.
    """
    return read_record(folder / FILE, RunLikelihood, limit=_MAX_BYTES, upgrades=_UPGRADES)


def _with_chains(content: dict[str, Any]) -> dict[str, Any]:
    """Returns the content of version 1, which did not hold what the chains of annealing were like."""
    rows = content.get("rows")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        return content  # which is refused by its schema
    return content | {"rows": [row | {"acceptance": None, "effective_chains": None} for row in rows]}


_UPGRADES: tuple[Upgrade, ...] = (_with_chains,)
