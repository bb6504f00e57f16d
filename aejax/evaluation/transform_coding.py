"""Codes quantized where it is seen least: along the axes, and in the units, of what the decoder makes of them.

A change δ of a code moves the decoded example by δᵀ M δ in squared error, M = E JᵀJ being the decoder's mean pullback
metric. In coordinates where M is the identity, and the codes uncorrelated, every coordinate gets the same step.

Source: V. K. Goyal (2001), Theoretical foundations of transform coding; here, to first order, of nonlinear decoders.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Float, PyTree

from aejax.autoencoders import Autoencoder
from aejax.checks import as_floats, check_positive
from aejax.datasets.dataset import Splits
from aejax.evaluation.compression import RatePoint, code_length, symbol_probabilities
from aejax.evaluation.reduction import flatten, mean_squared_error
from aejax.evaluation.representation import as_examples, map_over_examples
from aejax.jacobian import pullback_metric

_MOST_NUMBERS = 2**24  # of the Jacobians that are held at a time
_LEAST_SEEN = 1e-10  # of the largest eigenvalue of M: below, a direction is not seen at all


class CodeTransform(NamedTuple):
    """Codes h of K units to y = (h - mean) @ analysis and back, h = mean + y @ synthesis."""

    mean: np.ndarray  # (K,)
    analysis: np.ndarray  # (K, R), R <= K: without the directions that the decoder does not see
    synthesis: np.ndarray  # (R, K)


def mean_pullback_metric(
    autoencoder: Autoencoder, params: PyTree, codes: Float[np.ndarray, "N ..."], *condition: np.ndarray
) -> Float[np.ndarray, "K K"]:
    """M = E J(h)ᵀ J(h) of the decoder, over N codes of K numbers each.

    Args:
      autoencoder: any.
      params: its parameters.
      codes: some hundreds.
      *condition: (N, ...), where there is one.

    Raises:
      TypeError: codes that are not of a floating type.
      ValueError: no codes, or conditions of another number.

    >>> from aejax.autoencoders import undercomplete
    >>> from aejax.networks import MLP
    >>> linear = undercomplete(MLP(output_shape=(2,)), MLP(output_shape=(5,)))
    >>> params = linear.init(jax.random.key(0), np.ones(5, np.float32))
    >>> kernel = params["decoder"]["params"]["Dense_0"]["kernel"]
    >>> metric = mean_pullback_metric(linear, params, np.ones((3, 2), np.float32))
    >>> bool(np.allclose(metric, kernel @ kernel.T, rtol=1e-5))
    True
    """

    def metric(params: PyTree, code: Array, *one: Array) -> Array:
        def decode(flat: Array) -> Array:
            return autoencoder.decode(params, flat.reshape(code.shape), *one)

        return pullback_metric(decode, code.reshape(-1))

    given = [as_examples(array) for array in (codes, *condition)]
    if any(len(array) == 0 for array in given):
        raise ValueError("there are no codes to take the mean over")
    decoded = jax.eval_shape(autoencoder.decode, params, *(array[0] for array in given))
    at_a_time = max(1, min(len(given[0]), _MOST_NUMBERS // (given[0][0].size * decoded.size)))
    metrics = map_over_examples(metric, params, *given, batch_size=at_a_time)
    return np.asarray(metrics, np.float64).mean(axis=0)


def fit_transform(codes: Float[np.ndarray, "N K"], metric: Float[np.ndarray, "K K"]) -> CodeTransform:
    """The transform after which squared errors are those of decoded examples, and entries are uncorrelated.

    Args:
      codes: those to fit to.
      metric: M, symmetric and positive semidefinite; the identity for components that are orthonormal already.

    Raises:
      TypeError: codes or a metric that hold no numbers.
      ValueError: codes that are no matrix, or a metric of another size.

    >>> transform = fit_transform(np.array([[0.0, 1.0], [2.0, 3.0], [1.0, 5.0]]), np.diag([4.0, 0.0]))
    >>> transform.analysis.shape, np.abs(transform.analysis @ transform.synthesis).round(9).tolist()
    ((2, 1), [[1.0, 0.0], [0.0, 0.0]])
    """
    codes, metric = as_floats("codes", codes).astype(np.float64), as_floats("metric", metric).astype(np.float64)
    if codes.ndim != 2 or codes.size == 0 or metric.shape != (codes.shape[1],) * 2:
        raise ValueError(f"codes must be (N, K) and the metric (K, K), got {codes.shape} and {metric.shape}")
    eigenvalues, axes = np.linalg.eigh(metric)
    seen = eigenvalues > _LEAST_SEEN * eigenvalues[-1]
    scales, axes = np.sqrt(eigenvalues[seen]), axes[:, seen]
    mean = codes.mean(axis=0)
    scaled = (codes - mean) @ axes * scales
    rotation = np.linalg.eigh(scaled.T @ scaled)[1]
    return CodeTransform(mean, (axes * scales) @ rotation, (axes / scales @ rotation).T)


def rate_of_transformed_codes(
    codes: Splits,
    transform: CodeTransform,
    decode: Callable[[np.ndarray], np.ndarray],
    test_x: np.ndarray,
    *,
    steps: Sequence[float],
) -> list[RatePoint]:
    """Rate and distortion of codes that are transformed and rounded to multiples of one step.

    Each symbol is decoded as the mean of the training codes that have it; ranges, means and probabilities are those of
    the training codes, and what it costs to send these, once, is not counted.

    Args:
      codes: (N, ...) of the examples of each split.
      transform: fitted to training codes.
      decode: codes (N, ...) -> examples, in data space.
      test_x: what the test codes stand for.
      steps: above 0, in units of the largest standard deviation of an entry of the transformed training codes.

    Raises:
      TypeError: codes or examples that hold no numbers.
      ValueError: no codes, codes of another number of units than the transform, a step that is not positive,
        or what is decoded has another shape than test_x.
    """
    flat = [flatten("codes", part.x).astype(np.float64) for part in (codes.train, codes.test)]
    if wrong := [part.shape for part in flat if part.shape[1:] != transform.mean.shape]:
        raise ValueError(f"codes must have the {len(transform.mean)} units of the transform, got {wrong[0]}")
    for step in steps:
        check_positive("step", step)
    train, test = ((part - transform.mean) @ transform.analysis for part in flat)
    scale = train.std(axis=0).max(initial=0) or 1.0
    points = []
    for step in steps:
        restored, length = np.empty_like(test), np.zeros(len(test))
        for unit in range(test.shape[1]):
            restored[:, unit], bits = _round(train[:, unit], test[:, unit], step * scale)
            length += bits
        quantized = (transform.mean + restored @ transform.synthesis).astype(np.float32).reshape(codes.test.x.shape)
        error = mean_squared_error(test_x, decode(quantized))
        points.append(RatePoint(f"step {step:.2g}", float(length.mean()), error))
    return points


def _round(train: np.ndarray, test: np.ndarray, step: float) -> tuple[np.ndarray, np.ndarray]:
    """What each number of one unit is decoded as, and its bits, by what the training codes tell."""
    symbols = np.round(train / step).astype(np.int64)
    low, count = symbols.min(), int(np.ptp(symbols)) + 1
    symbols -= low
    times = np.bincount(symbols, minlength=count)
    middles = (low + np.arange(count)) * step
    decoded = np.where(times > 0, np.bincount(symbols, train, count) / np.maximum(times, 1), middles)
    sent = np.clip(np.round(test / step).astype(np.int64) - low, 0, count - 1)
    return decoded[sent], code_length(sent[:, None], symbol_probabilities(symbols[:, None], count=count))
