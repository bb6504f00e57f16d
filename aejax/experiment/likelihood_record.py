"""What is stored of a run's log-likelihood, in its folder: rows of a table, values of every example, warnings."""

import dataclasses
import json
import math
from pathlib import Path

from pydantic import ConfigDict, NonNegativeInt, PositiveInt, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from aejax.errors import UserError
from aejax.host.files import read_bytes
from aejax.host.schema import first_error, parse_json

FILE = "likelihood.json"
_MAX_BYTES = 2**26
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
    effective_samples: float  # median over examples, of K
    untrusted: NonNegativeInt  # examples whose weights have a Pareto shape above 0.7
    notes: tuple[str, ...]  # warnings
    gaps: dict[str, Gap]  # by start of annealing: what it misses of examples that the model has made
    by_example: dict[
        str, tuple[float | None, ...]
    ]  # position in the test split, importance sampling; None: not defined
    settings: dict[str, int | str | list[str]]


def gap_lines(result: RunLikelihood) -> list[str]:
    """Returns a line for each start of annealing: the distance of its bounds of the model's examples."""
    return [
        f"AIS from the {start} leaves a gap of {gap.mean:.3f} nats"
        f"{'' if gap.error is None else f' (± {gap.error:.3f})'} between its bounds of the model's examples"
        for start, gap in result.gaps.items()
    ]


def finite(number: float) -> float | None:
    """Returns a number as JSON can hold it: None for NaN and infinity."""
    return float(number) if math.isfinite(number) else None


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
