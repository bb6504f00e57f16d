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
from aejax.datasets.dataset import Splits
from aejax.evaluation.compression import RatePoint, code_length, symbol_probabilities
from aejax.evaluation.representation import map_over_examples
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

    decoded = jax.eval_shape(autoencoder.decode, params, *(array[0] for array in (codes, *condition)))
    at_a_time = max(1, min(len(codes), _MOST_NUMBERS // (codes[0].size * decoded.size)))
    metrics = map_over_examples(metric, params, codes, *condition, batch_size=at_a_time)
    return np.asarray(metrics, np.float64).mean(axis=0)


def fit_transform(codes: Float[np.ndarray, "N K"], metric: Float[np.ndarray, "K K"]) -> CodeTransform:
    """The transform after which squared errors are those of decoded examples, and entries are uncorrelated.

    Args:
      codes: those to fit to.
      metric: M, symmetric and positive semidefinite; the identity for components that are orthonormal already.

    >>> transform = fit_transform(np.array([[0.0, 1.0], [2.0, 3.0], [1.0, 5.0]]), np.diag([4.0, 0.0]))
    >>> transform.analysis.shape, np.abs(transform.analysis @ transform.synthesis).round(9).tolist()
    ((2, 1), [[1.0, 0.0], [0.0, 0.0]])
    """
    eigenvalues, axes = np.linalg.eigh(metric.astype(np.float64))
    seen = eigenvalues > _LEAST_SEEN * eigenvalues[-1]
    scales, axes = np.sqrt(eigenvalues[seen]), axes[:, seen]
    mean = codes.mean(axis=0, dtype=np.float64)
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
    """
    train, test = (
        (part.x.reshape(len(part.x), -1) - transform.mean) @ transform.analysis for part in (codes.train, codes.test)
    )
    scale = train.std(axis=0).max(initial=0) or 1.0
    points = []
    for step in steps:
        restored, length = np.empty_like(test), np.zeros(len(test))
        for unit in range(test.shape[1]):
            restored[:, unit], bits = _round(train[:, unit], test[:, unit], step * scale)
            length += bits
        quantized = (transform.mean + restored @ transform.synthesis).astype(np.float32).reshape(codes.test.x.shape)
        error = np.mean(np.square(decode(quantized).astype(np.float64) - test_x))
        points.append(RatePoint(f"step {step:.2g}", float(length.mean()), float(error)))
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
