"""What all that is generated has in common: decoding in rows and columns, names, and checks of sizes."""

import math
from collections.abc import Iterable, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from aejax.datasets.dataset import Dataset, take
from aejax.datasets.sequences import cut_to, lengths_of
from aejax.errors import ArgumentError, knob_name
from aejax.experiment.at_use import check_kind
from aejax.experiment.generated import Generated
from aejax.experiment.given import whole
from aejax.experiment.loading import names_of_classes
from aejax.experiment.trained import TrainedRun
from aejax.generation import perturbations
from aejax.host.memory import check_fits
from aejax.keys import named_key

RANGES = {  # of arguments that are counts; figures cannot be drawn beyond these limits
    "rows": (1, 400),
    "columns": (3, 400),
    "side": (2, 400),
    "geodesic_steps": (1, 1_000_000),
    "frames": (3, 1000),
    "frames_per_second": (1, 50),
}
MAX_SPREAD = 1000.0
_ENCODED_AT_ONCE = 10_000  # training examples

MAX_NUMBERS = 2**26  # values in the codes or the examples of traversals: 0.25 GiB


def check_counts(**counts: int) -> None:
    """Raise ArgumentError if one of these arguments is outside its range in `RANGES`.

    >>> check_counts(rows=0)
    Traceback (most recent call last):
    aejax.errors.ArgumentError: rows: must be between 1 and 400, got 0
    """
    for name, count in counts.items():
        least, most = RANGES[name]
        if not least <= count <= most:
            raise ArgumentError(name, f"must be between {least:,} and {most:,}, got {count:,}")


def check_spread(spread: float, name: str = "spread") -> None:
    """Raise ArgumentError if a spread or strength is negative, or too large for single precision."""
    if not 0 <= spread <= MAX_SPREAD:
        raise ArgumentError(name, f"must be between 0 and {MAX_SPREAD:g}, got {spread:g}")


def check_size(run: TrainedRun, *, count: int | None = None, **counts: int) -> None:
    """Raise UserError for counts outside their ranges, or for examples that do not fit into memory."""
    check_counts(**counts)
    count = math.prod(counts.values()) if count is None else count
    numbers = count * max(math.prod(run.code_shape), math.prod(run.example_shape))
    check_fits(12 * numbers, f"{count:,} examples and their figure", advice="use fewer examples", host=True)


def decoded(
    run: TrainedRun,
    codes: np.ndarray,
    labels: np.ndarray | None,
    title: str,
    rows: tuple[str, ...] = (),
    columns: tuple[str, ...] = (),
    *,
    units: np.ndarray | None = None,
    x_label: str = "",
    y_label: str = "",
    conditions: np.ndarray | None = None,
) -> Generated:
    count = codes.shape[0] * codes.shape[1]
    flat = Dataset(codes.reshape(count, *run.code_shape), None if labels is None else labels.reshape(-1))
    if conditions is not None:
        flat = flat._replace(condition=conditions.reshape(count, *conditions.shape[2:]))
    decoded = run.decode(flat)
    if flat.condition is not None:
        decoded = whole(run.facts, flat.condition, decoded)
    examples = decoded.reshape(*codes.shape[:2], *decoded.shape[1:])
    made = Generated(codes, examples, labels, title, rows, columns, units, x_label, y_label)
    return made._replace(conditions=conditions)


def with_lengths(run: TrainedRun, generated: Generated, seed: int) -> Generated:
    """Returns generated sequences, cut to lengths that are drawn from those of training sequences; others unchanged."""
    flat = generated.examples.reshape(-1, *run.example_shape)
    return generated._replace(examples=run.with_sampled_lengths(flat, seed=seed).reshape(generated.examples.shape))


def cut_along(examples: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Returns decoded sequences (R, C, T, ...) along paths, whose lengths run from that of the start to the end's."""
    ends = lengths_of(start)[:1], lengths_of(end)[:1]
    lengths = np.round(np.linspace(*ends, examples.shape[1])).astype(np.int64).ravel()
    flat = examples.reshape(-1, *examples.shape[2:])
    return cut_to(flat, np.tile(lengths, len(examples))).reshape(examples.shape)


def class_names(run: TrainedRun, labels: Iterable[int | str]) -> tuple[str, ...]:
    """Returns the name of each class, or its label if it has no name."""
    names = names_of_classes(run.experiment.data, run.facts)
    return tuple(names.get(label, str(label)) for label in labels)


def example_names(run: TrainedRun, places: Sequence[int], *, short: bool = False) -> list[str]:
    """Returns what test examples are called: by their index, from 0, with the class if it is known."""
    labels = run.splits.test.labels
    classes = None if labels is None else class_names(run, labels[list(places)].tolist())
    named = ["no. {}", " ({})"] if short else ["test example {}", " (class {})"]  # short: the rows are test examples
    return [
        named[0].format(place) + ("" if classes is None else named[1].format(classes[k]))
        for k, place in enumerate(places)
    ]


def short_names(run: TrainedRun, places: Sequence[int]) -> tuple[str, ...]:
    return tuple(example_names(run, places, short=True))


def first_and_others(columns: int, *, first: str = "decoded") -> tuple[str, ...]:
    """Returns names of columns: the first one is a decoded code, the others decoded perturbations of it."""
    return (first, *[""] * (columns - 2), "perturbed")


def conditions_of_examples(run: TrainedRun, places: Sequence[int]) -> np.ndarray | None:
    """Returns the conditions of test examples, in the user's units; None for a run without them, or on classes."""
    return None if run.facts.given is None else take(run.splits.test, np.asarray(places)).condition


def originals(run: TrainedRun, places: Sequence[int]) -> np.ndarray:
    """Returns the test examples at these places, which reconstructions are compared with."""
    some = take(run.splits.test, np.asarray(places))
    return np.asarray(some.x) if some.condition is None else whole(run.facts, some.condition, np.asarray(some.x))


def training_codes(run: TrainedRun, units: np.ndarray | slice = slice(None)) -> np.ndarray:
    """Returns units (N, U) of the training examples' codes; only a block of whole codes is held at a time."""
    train = run.splits.train
    blocks = np.array_split(np.arange(len(train.x)), math.ceil(len(train.x) / _ENCODED_AT_ONCE))
    return np.concatenate([run.encode(take(train, block)).reshape(len(block), -1)[:, units] for block in blocks])


def codes_of_examples(
    run: TrainedRun, places: Sequence[int]
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None]:
    """Returns the codes of test examples, their labels if the run is conditional, and their conditions otherwise."""
    test = run.splits.test
    if beyond := [place for place in places if not 0 <= place < len(test.x)]:
        raise ArgumentError("examples", f"the run has test examples 0 to {len(test.x) - 1}, got {beyond[0]}")
    some = take(test, np.asarray(places))
    labels = some.labels if run.experiment.model.conditional else None
    return run.encode(some), labels, None if run.facts.given is None else some.condition


def resampled(path: np.ndarray, *, points: int) -> np.ndarray:
    """Returns equally many steps along the polygon through the points of a path (P, K): (points, K)."""
    times, wanted = np.linspace(0, 1, len(path)), np.linspace(0, 1, points)
    return np.stack([np.interp(wanted, times, unit) for unit in path.T], axis=1).astype(path.dtype)


def perturbed(run: TrainedRun, codes: np.ndarray, *, columns: int, spread: float, seed: int) -> np.ndarray:
    """Returns each code (R, ...) and perturbations of it: (R, columns, ...)."""
    check_spread(spread)
    deviations = jnp.asarray(spread * training_codes(run).std(axis=0))
    rows = []
    keys = jax.random.split(named_key(jax.random.key(seed), "perturbations"), len(codes))
    for key, code in zip(keys, codes, strict=True):
        flat = jnp.asarray(code).reshape(-1)
        rows.append(np.concatenate([flat[None], perturbations(key, flat, deviations, count=columns - 1)]))
    return np.stack(rows).reshape(len(codes), columns, *run.code_shape)


def two_ends(run: TrainedRun) -> tuple[int, int]:
    """Returns the first test example and the next of another class, or of the same class if the run is conditional."""
    labels = run.splits.test.labels
    if labels is None:
        return 0, 1
    fits = (labels[1:] == labels[0]) == run.experiment.model.conditional
    if fits.any():
        return 0, 1 + int(fits.argmax())
    if run.experiment.model.conditional:
        raise ArgumentError("examples", f"{run.path} has one test example of class {labels[0]}; give two of one class")
    return 0, 1


def check_prior(run: TrainedRun) -> None:
    expected = f"a variational run, or one trained with {knob_name('mmd_weight')}"
    check_kind(run, run.prior is not None, expected, what="sampling from the prior")


def check_number(name: str, values: Sequence[int], expected: int, what: str) -> None:
    if values and len(values) != expected:
        raise ArgumentError(name, f"{what} expects {expected}, got {len(values)}")


def check_units(run: TrainedRun, units: Sequence[int], columns: int) -> None:
    """Raise UserError for a unit that the code does not have, or for more values than `MAX_NUMBERS`."""
    size = math.prod(run.code_shape)
    if beyond := [unit for unit in units if not 1 <= unit <= size]:
        raise ArgumentError("units", f"the code has units 1 to {size:,}, got {beyond[0]}")
    count = len(units) or size
    numbers = count * columns * max(size, math.prod(run.example_shape))
    if numbers > MAX_NUMBERS:
        complaint = f"{count:,} units of {size:,} at {columns} quantiles are {numbers:,} values, more than "
        raise ArgumentError("units", f"{complaint}{MAX_NUMBERS:,}; give fewer units")
