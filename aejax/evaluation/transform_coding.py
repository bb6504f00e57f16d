"""Transform coding of codes: quantization that minimizes the error of decoded examples, to first order.

A change δ of a code changes the decoded example by δᵀ M δ in squared error, where M = E JᵀJ is the mean pullback metric
of the decoder. In coordinates in which M is the identity and the codes are uncorrelated, all coordinates are quantized
with the same step.

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

_MAX_ENTRIES = 2**24  # of the Jacobians that are in memory at a time
_MIN_EIGENVALUE = 1e-10  # relative to the largest of M: directions below it do not affect the decoded example


class CodeTransform(NamedTuple):
    """A linear transform of codes h of K units, y = (h - mean) @ analysis, with inverse h = mean + y @ synthesis."""

    mean: np.ndarray  # (K,)
    analysis: np.ndarray  # (K, R), R <= K: without directions that do not affect the decoded example
    synthesis: np.ndarray  # (R, K)


def mean_pullback_metric(
    autoencoder: Autoencoder, params: PyTree, codes: Float[np.ndarray, "N ..."], *condition: np.ndarray
) -> Float[np.ndarray, "K K"]:
    """Returns the mean pullback metric of the decoder, M = E J(h)ᵀ J(h), over N codes of K units.

    Args:
      autoencoder: any autoencoder.
      params: its parameters.
      codes: some hundreds of codes.
      *condition: (N, ...) their conditions, if the autoencoder is conditional.

    Raises:
      TypeError: the codes are not of a floating type.
      ValueError: there are no codes, or the numbers of codes and conditions differ.

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
        raise ValueError("there are no codes to average the metric over, expected at least one")
    decoded = jax.eval_shape(autoencoder.decode, params, *(array[0] for array in given))
    at_a_time = max(1, min(len(given[0]), _MAX_ENTRIES // (given[0][0].size * decoded.size)))
    metrics = map_over_examples(metric, params, *given, batch_size=at_a_time)
    return np.asarray(metrics, np.float64).mean(axis=0)


def fit_transform(codes: Float[np.ndarray, "N K"], metric: Float[np.ndarray, "K K"]) -> CodeTransform:
    """Returns the transform to uncorrelated coordinates whose squared error equals that of decoded examples.

    Args:
      codes: codes to fit the transform to.
      metric: M, symmetric and positive semidefinite; the identity for orthonormal components such as PCA's.

    Raises:
      TypeError: the codes or the metric are not numbers.
      ValueError: the codes are not a matrix or are empty, the metric is not (K, K), or values are NaN or infinite.

    >>> transform = fit_transform(np.array([[0.0, 1.0], [2.0, 3.0], [1.0, 5.0]]), np.diag([4.0, 0.0]))
    >>> transform.analysis.shape, np.abs(transform.analysis @ transform.synthesis).round(9).tolist()
    ((2, 1), [[1.0, 0.0], [0.0, 0.0]])
    """
    codes, metric = as_floats("codes", codes).astype(np.float64), as_floats("metric", metric).astype(np.float64)
    if codes.ndim != 2 or codes.size == 0 or metric.shape != (codes.shape[1],) * 2:
        raise ValueError(f"codes must have shape (N, K) and metric (K, K), got {codes.shape} and {metric.shape}")
    eigenvalues, axes = np.linalg.eigh(metric)
    kept = eigenvalues > _MIN_EIGENVALUE * eigenvalues[-1]
    scales, axes = np.sqrt(eigenvalues[kept]), axes[:, kept]
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
    """Returns rate and distortion of test codes that are transformed and rounded to multiples of a step.

    Each symbol is decoded as the mean of the training codes that are rounded to it. Ranges, means and symbol
    probabilities are computed from the training codes; the cost of transmitting these once is not included.

    Args:
      codes: (N, ...) codes of the examples of each split.
      transform: a transform that is fitted to training codes.
      decode: maps codes (N, ...) to examples in data space.
      test_x: (N, ...) the examples that the test codes represent.
      steps: step sizes above 0, in units of the largest standard deviation of a transformed training coordinate.

    Returns:
      One point per step size.

    Raises:
      TypeError: codes or examples are not numbers.
      ValueError: there are no codes, they do not have the transform's number of units, a step is not positive, or the
        decoded examples do not have the shape of `test_x`.
    """
    flat = [flatten("codes", split.x).astype(np.float64) for split in (codes.train, codes.test)]
    if wrong := [array.shape for array in flat if array.shape[1:] != transform.mean.shape]:
        raise ValueError(f"codes must have the {len(transform.mean)} units of the transform, got {wrong[0]}")
    for step in steps:
        check_positive("step", step)
    train, test = ((array - transform.mean) @ transform.analysis for array in flat)
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
    """Returns the decoded values (N,) of one coordinate of the test codes, and their code lengths in bits."""
    symbols = np.round(train / step).astype(np.int64)
    low, count = symbols.min(), int(np.ptp(symbols)) + 1
    symbols -= low
    times = np.bincount(symbols, minlength=count)
    middles = (low + np.arange(count)) * step
    decoded = np.where(times > 0, np.bincount(symbols, train, count) / np.maximum(times, 1), middles)
    sent = np.clip(np.round(test / step).astype(np.int64) - low, 0, count - 1)
    return decoded[sent], code_length(sent[:, None], symbol_probabilities(symbols[:, None], count=count))
