"""What training examples hold, and how the model takes them: two lines for the user when a run begins."""

import numpy as np

from aejax.datasets.dataset import Dataset
from aejax.errors import knob_name
from aejax.experiment.configuration import Model, can_standardize
from aejax.experiment.facts import Facts, some_of
from aejax.experiment.scaling import describe

_LISTED = 3  # constant features in a line
_KINDS = {
    "log_normal": "the logarithm of positive amounts (log_normal)",
    "count": "log(1 + count) of counts",
}


def introduce(train: Dataset, facts: Facts, model: Model) -> list[str]:
    """Returns a line on what the training examples hold, and one on how the model takes them.

    The kinds and ranges of a table's columns have been listed before, so a table has the second line only. Shares and
    constant features are of evenly spaced examples with up to 4 million values.

    Args:
      train: the training examples.
      facts: their facts.
      model: the configuration of the model.

    >>> from aejax.experiment.facts import facts_of
    >>> train = Dataset(np.array([[0.0, 2.0], [4.0, 2.0]], np.float32))
    >>> for line in introduce(train, facts_of(train), Model(likelihood="gaussian")):
    ...     print(line)
    training examples (2,) of float32 range from 0 to 4, whole (mean 2, deviation 1.41421); 25 % are 0, feature 1 is constant, none is missing
    the model takes them as they are; standardize feature or standardize global standardizes them inside it
    """  # noqa: E501 (a line of the user's)
    return [_taken_of_table(facts)] if facts.columns is not None else [_found(train, facts), _taken(facts, model)]


def _found(train: Dataset, facts: Facts) -> str:
    values, x = facts.targets, some_of(train.x)
    low, high, mean, deviation = (
        value * values.divided_by for value in (values.low, values.high, values.mean, values.standard_deviation)
    )
    features = x.reshape(len(x), -1)
    is_missing = np.isnan(features)
    constant = np.flatnonzero(np.fmin.reduce(features, axis=0) == np.fmax.reduce(features, axis=0))
    zeros, missing = (f"{100 * share:.3g} %" for share in (np.mean(features == 0), np.mean(is_missing)))
    what = "missing" if facts.lengths is None else "padding"
    return (
        f"training examples {facts.shape} of {values.dtype} range from {low:g} to {high:g}"
        f"{', whole' if values.integers and values.divided_by == 1 else ''} (mean {mean:g}, deviation {deviation:g}); "
        f"{zeros} are 0, {_list_constant(constant, features.shape[1])}, "
        f"{f'{missing} are {what}' if is_missing.any() else 'none is missing'}"
    )


def _list_constant(places: np.ndarray, features: int) -> str:
    if not len(places):
        return "no feature is constant"
    if len(places) <= _LISTED:
        listed = ", ".join(map(str, places.tolist()))
        return f"feature{'s' * (len(places) > 1)} {listed} {'are' if len(places) > 1 else 'is'} constant"
    return f"{len(places):,} of {features:,} features are constant"


def _taken(facts: Facts, model: Model) -> str:
    if (scaled := describe(facts, model)) is not None:
        return scaled
    if model.autoencoder is not None:
        return "your own autoencoder takes them as they are"
    divided = f" divided by {facts.targets.divided_by}" if facts.targets.divided_by != 1 else " as they are"
    if can_standardize(model):
        choices = f"{knob_name('standardize feature')} or {knob_name('standardize global')}"
        return f"the model takes them{divided}; {choices} standardizes them inside it"
    objective = f"likelihood {model.likelihood}" if model.family == "variational" else f"loss {model.loss}"
    return f"the model takes them{divided}, as {objective} expects"


def _taken_of_table(facts: Facts) -> str:
    kinds = {column.kind for column in facts.columns or ()}
    if not kinds & {"continuous", *_KINDS}:
        return "the model takes the classes of all columns as they are"
    taken = [text for kind, text in _KINDS.items() if kind in kinds]
    numbers = ", and ".join(["numbers by the mean and deviation of training rows", *taken])
    missing = any(column.may_be_missing for column in facts.columns or ())
    left_out = "; missing cells are marked in the input and left out of the loss" if missing else ""
    return f"the model standardizes {numbers}, and decodes to the columns' own units{left_out}"
