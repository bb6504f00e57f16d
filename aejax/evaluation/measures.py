"""Measures of codes, one row each, which the summary, records, report and figures read."""

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key, PyTree

from aejax.autoencoders import Autoencoder, part_names
from aejax.datasets.subset import random_positions
from aejax.evaluation.codes import ACTIVE_VARIANCE, is_active, mutual_information
from aejax.evaluation.dictionaries import ReconstructionMeasures, add_reconstructions, reconstruction_measures
from aejax.evaluation.disentanglement import TITLES
from aejax.evaluation.representation import decode_all, map_over_examples
from aejax.evaluation.sensitivity import MAX_EXAMPLES, checked_inputs, make_mean_frobenius_norm, mean_frobenius_norm
from aejax.jacobian import saturation
from aejax.precision import widened

COLLAPSED_FRACTION = 0.1  # a posterior is collapsed if a smaller fraction of its units is active
Value = float | int | Float[np.ndarray, "K"]  # of a measure; an array has one value per code unit
_DECODED = 2000  # examples at a time, in float64
_PREFIX = "code/"  # of measures among the terms of a record


class EncodedExamples(NamedTuple):
    """N examples and their codes: the argument of every measure."""

    autoencoder: Autoencoder
    params: PyTree
    key: Key[Array, ""]  # random key, the same for every measure
    inputs: list[Any]  # (N, ...) examples, and their conditions if there are any
    codes: Float[np.ndarray, "N K"]  # posterior means of a variational autoencoder
    log_variances: Float[np.ndarray, "N K"] | None = None  # of variational posteriors
    divergences: Float[np.ndarray, "N K"] | None = None  # per unit, in nats, if the prior has them
    bounds: tuple[float, float] | None = None  # of the code's activation; None if it has none
    batch_size: int = 500  # examples at a time


class Measure(NamedTuple):
    """A measure of the codes of a split: one value, or one per code unit."""

    name: str  # records call it code/NAME, or code/NAME/3 for the third unit
    title: str
    unit: str
    of: Callable[[EncodedExamples], Value | None] | None
    """The value, None if the measure is not defined for the autoencoder; no function for a measure that also needs the
    known factors of the examples."""
    watch: Callable[..., Callable[[PyTree], float]] | None = None
    """(autoencoder, params, x, *condition) -> (params -> value), compiled once, if the measure is cheap enough for
    every evaluation during training."""


def _active_units(encoded: EncodedExamples) -> int:
    threshold = ACTIVE_VARIANCE
    if encoded.log_variances is None:  # any variance above rounding error
        threshold = 1e-12 * float(np.max(np.abs(encoded.codes), initial=0)) ** 2
    return int(is_active(encoded.codes, threshold=threshold).sum())


def _mean_frobenius_norm(encoded: EncodedExamples) -> float | None:
    if not _has_one_unit(encoded.autoencoder):
        return None
    return mean_frobenius_norm(
        encoded.autoencoder, encoded.params, encoded.key, *encoded.inputs, batch_size=encoded.batch_size
    )


def _has_one_unit(autoencoder: Autoencoder) -> bool:
    """Returns whether an example's values have a common unit; the columns of a table have not."""
    return "tabular" not in part_names(autoencoder.parts)


def _saturation(encoded: EncodedExamples) -> float | None:
    if encoded.bounds is None or encoded.log_variances is not None:
        return None
    low, high = encoded.bounds
    return saturation(jnp.asarray(encoded.codes), low=low, high=high).item()


def _explained_variance(encoded: EncodedExamples) -> float | None:
    measures = _reconstruction_measures(encoded)
    return None if measures is None else measures.explained_variance


def _relative_bias(encoded: EncodedExamples) -> float | None:
    measures = _reconstruction_measures(encoded)
    return None if measures is None else measures.relative_bias


def _silent_units(encoded: EncodedExamples) -> int | None:
    if not _is_dictionary(encoded.autoencoder):
        return None
    return int(np.sum(~np.any(encoded.codes, axis=0)))


def _is_dictionary(autoencoder: Autoencoder) -> bool:
    return any(part.is_dictionary for part in autoencoder.parts)


def _reconstruction_measures(encoded: EncodedExamples) -> ReconstructionMeasures | None:
    """Returns the measures of a dictionary whose target is its input; None of any other autoencoder."""
    if not _is_dictionary(encoded.autoencoder):
        return None
    x, sums = encoded.inputs[0], None
    decode = partial(decode_all, encoded.autoencoder, encoded.params, batch_size=encoded.batch_size)
    for start in range(0, len(x), _DECODED):
        part = slice(start, start + _DECODED)
        decoded = decode(encoded.codes[part])
        if decoded.shape[1:] != x.shape[1:]:
            return None
        sums = add_reconstructions(sums, x[part], decoded)
    return None if sums is None else reconstruction_measures(sums)


def _divergence_by_unit(encoded: EncodedExamples) -> Float[np.ndarray, "K"] | None:
    return None if encoded.divergences is None else np.asarray(encoded.divergences.mean(axis=0, dtype=np.float64))


def _mutual_information(encoded: EncodedExamples) -> float | None:
    """Within the bounds of the exact value over the same examples, which the noise of sampling may exceed."""
    if encoded.log_variances is None or not _has_gaussian_posterior(encoded.autoencoder):
        return None
    some = random_positions(len(encoded.codes), MAX_EXAMPLES, seed=0)
    moments = (jnp.asarray(array[some]) for array in (encoded.codes, encoded.log_variances))
    estimate = max(mutual_information(encoded.key, *moments).item(), 0.0)
    if encoded.divergences is None:
        return estimate
    return min(estimate, float(encoded.divergences[some].sum(axis=1).mean(dtype=np.float64)))


def _mutual_information_limit(encoded: EncodedExamples) -> float | None:
    if encoded.log_variances is None or not _has_gaussian_posterior(encoded.autoencoder):
        return None
    return math.log(min(len(encoded.codes), MAX_EXAMPLES))


def _has_gaussian_posterior(autoencoder: Autoencoder) -> bool:
    """Returns whether the code's entries are independent given the example; those of several layers are not."""
    return autoencoder.variational is not None and autoencoder.variational.joint_posterior is None


MEASURES = (
    Measure("units", "units", "count", lambda encoded: encoded.codes.shape[1]),
    Measure("active_units", "active units", "count", _active_units),
    Measure(
        "nonzero_fraction", "fraction of nonzero entries", "no unit", lambda encoded: float(np.mean(encoded.codes != 0))
    ),
    Measure(
        "frobenius_norm",
        "mean norm of the encoder's Jacobian",
        "1 / (unit of data)",
        _mean_frobenius_norm,
        watch=make_mean_frobenius_norm,
    ),
    Measure("saturation", "fraction of saturated entries", "no unit", _saturation),
    Measure("explained_variance", "explained variance", "no unit", _explained_variance),
    Measure("relative_bias", "relative bias of reconstructions (1: not shrunk)", "no unit", _relative_bias),
    Measure("silent_units", "units that are 0 for every example", "count", _silent_units),
    Measure("kl", "KL divergence from the prior, per unit", "nats", _divergence_by_unit),
    Measure("mutual_information", "mutual information with the example, lower bound", "nats", _mutual_information),
    Measure("mutual_information_limit", "log N, the maximum of that bound", "nats", _mutual_information_limit),
    *(Measure(name, title, "no unit", of=None) for name, title in TITLES.items()),
)


def measure_of(term: str) -> Measure | None:
    """Returns the measure that a term of a record belongs to, or None if it is a term of the loss.

    >>> [measure.name for measure in map(measure_of, ("code/units", "code/kl/3")) if measure]
    ['units', 'kl']
    >>> measure_of("kl")
    """
    name = term.removeprefix(_PREFIX).partition("/")[0] if term.startswith(_PREFIX) else None
    return next((measure for measure in MEASURES if measure.name == name), None)


class CodeStatistics(dict[str, Value]):
    """The values of measures by name, each also an attribute.

    >>> CodeStatistics(units=20, active_units=1).active_units
    1
    """

    def __getattr__(self, name: str) -> Value:
        if name in self:
            return self[name]
        raise AttributeError(f"no measure {name!r} is defined here; there are {', '.join(self)}")

    @property
    def is_collapsed(self) -> bool:
        """Whether the posterior has collapsed, as `is_collapsed` of these statistics."""
        return is_collapsed(self)


def code_statistics(
    autoencoder: Autoencoder,
    params: PyTree,
    key: Key[Array, ""],
    x: np.ndarray,
    *condition: np.ndarray,
    bounds: tuple[float, float] | None = None,
    batch_size: int = 500,
) -> CodeStatistics:
    """Returns all measures of the codes of N examples that are defined for an autoencoder, by name.

    Scores that need known factors of the examples are not among them (`disentanglement_scores`).

    The mutual information is computed over at most 2,000 random examples, and limited to their mean divergence from
    the prior, which the exact value cannot exceed; the mean norm of the Jacobian is computed over the examples that
    `mean_frobenius_norm` uses.

    Args:
      autoencoder: any autoencoder.
      params: its parameters.
      key: a random key, for the mutual information and for estimated norms.
      x: (N, ...) examples, N >= 1.
      *condition: (N, ...) their conditions, if the autoencoder is conditional.
      bounds: limits of the code's activation, such as (0, 1) for a sigmoid; None if it has none.
      batch_size: number of examples at a time.

    Raises:
      TypeError: the examples are not numbers, or `batch_size` is not an integer.
      ValueError: there are no examples, arrays differ in length, or `batch_size` is below 1.

    >>> from aejax.autoencoders import variational
    >>> from aejax.networks import MLP
    >>> vae = variational(MLP(output_shape=(2 * 3,)), MLP(output_shape=(5,)))
    >>> params = jax.jit(vae.init)(jax.random.key(0), np.ones(5, np.float32))
    >>> statistics = code_statistics(vae, params, jax.random.key(1), np.ones((7, 5), np.float32))
    >>> statistics["active_units"], statistics.is_collapsed
    (0, True)
    """
    inputs = checked_inputs(x, *condition)
    encode = _flat_codes if autoencoder.variational is None else _flat_posterior
    arrays = jax.device_get(map_over_examples(partial(encode, autoencoder), params, *inputs, batch_size=batch_size))
    encoded = EncodedExamples(autoencoder, params, key, inputs, **arrays, bounds=bounds, batch_size=batch_size)
    values = {measure.name: measure.of(encoded) for measure in MEASURES if measure.of is not None}
    return CodeStatistics({name: value for name, value in values.items() if value is not None})


def _flat_codes(autoencoder: Autoencoder, params: PyTree, *one: Array) -> dict[str, Array]:
    return {"codes": widened(autoencoder.encode(params, *one)).reshape(-1)}


def _flat_posterior(autoencoder: Autoencoder, params: PyTree, *one: Array) -> dict[str, Array]:
    assert autoencoder.variational is not None
    mean, log_variance = autoencoder.variational.posterior(params, *one)
    arrays = {"codes": mean, "log_variances": log_variance}
    if (divergence := autoencoder.variational.prior(params).kl_per_dimension) is not None:
        arrays["divergences"] = divergence(mean, log_variance)
    return {name: widened(array).reshape(-1) for name, array in arrays.items()}


def is_collapsed(statistics: Mapping[str, Value]) -> bool:
    """Returns whether the posterior of a variational autoencoder has collapsed: less than 10 % of its units are active.

    Args:
      statistics: of codes, from `code_statistics`; for other families, the result is False.

    >>> is_collapsed({"units": 20, "active_units": 1, "mutual_information": 0.1})
    True
    """
    if "mutual_information" not in statistics:
        return False
    return bool(statistics["active_units"] < COLLAPSED_FRACTION * statistics["units"])


def as_terms(statistics: Mapping[str, Value]) -> dict[str, float]:
    """Returns statistics as terms of a record, with values per unit as code/NAME/1, code/NAME/2, ...

    >>> as_terms({"units": 2, "kl": np.array([0.5, 1.5])})
    {'code/units': 2, 'code/kl/1': 0.5, 'code/kl/2': 1.5}
    """
    terms: dict[str, float] = {}
    for name, value in statistics.items():
        if isinstance(value, np.ndarray):
            terms |= {f"{_PREFIX}{name}/{unit}": float(number) for unit, number in enumerate(value, 1)}
        else:
            terms[f"{_PREFIX}{name}"] = value
    return terms


def make_watch(
    autoencoder: Autoencoder, params: PyTree, x: np.ndarray, *condition: np.ndarray
) -> Callable[[PyTree], dict[str, float]]:
    """Returns a compiled function from parameters to the terms of all measures that are computed during training.

    Args:
      autoencoder: any autoencoder.
      params: its parameters, for their shapes.
      x: (N, ...) examples, of which the same few are used at every call.
      *condition: (N, ...) their conditions, if the autoencoder is conditional.

    >>> from aejax.autoencoders import undercomplete
    >>> from aejax.networks import MLP
    >>> autoencoder, x = undercomplete(MLP(output_shape=(2,)), MLP(output_shape=(5,))), np.ones((7, 5), np.float32)
    >>> params = autoencoder.init(jax.random.key(0), x[0])
    >>> list(make_watch(autoencoder, params, x)(params))
    ['code/frobenius_norm']
    """
    watched = {
        measure.name: measure.watch(autoencoder, params, x, *condition)
        for measure in MEASURES
        if measure.watch is not None and _has_one_unit(autoencoder)
    }
    return lambda params: as_terms({name: value_of(params) for name, value_of in watched.items()})
