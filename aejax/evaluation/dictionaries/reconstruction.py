"""Quality of reconstructions: fraction of variance unexplained, norms, and bias, streamed in float64."""

import math
from typing import NamedTuple

import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Float

from aejax.checks import as_float64


class ReconstructionSums(NamedTuple):
    """Sums over the N examples of all batches so far."""

    examples: int  # N
    mean: Float[np.ndarray, "D"]  # of the examples
    variation: float  # Σ ‖x - mean‖²
    squared_error: float  # Σ ‖x - x̂‖²
    squared_norm: float  # Σ ‖x̂‖²
    inner_product: float  # Σ x̂·x
    norm_ratio: float  # Σ ‖x̂‖/‖x‖ over examples with x ≠ 0
    cosine: float  # Σ x̂·x/(‖x̂‖ ‖x‖) over examples with x ≠ 0, 0 where x̂ = 0
    nonzero: int  # examples with x ≠ 0


class ReconstructionMeasures(NamedTuple):
    """Measures of reconstructions; none has a unit. NaN where a denominator is 0."""

    fraction_of_variance_unexplained: float  # 0 for perfect reconstructions, 1 for the mean of the same data
    explained_variance: float  # 1 minus that
    norm_ratio: float  # mean ‖x̂‖/‖x‖
    relative_bias: float  # γ; 1 without shrinkage, below 1 for reconstructions that are too short
    cosine_similarity: float  # mean cosine of x̂ and x


def add_reconstructions(sums: ReconstructionSums | None, x: ArrayLike, reconstruction: ArrayLike) -> ReconstructionSums:
    """Returns sums with a batch of examples added.

    The variation about the mean is merged as Σ ‖x - m‖² = Σ_a + Σ_b + ‖m_a - m_b‖² n_a n_b/(n_a + n_b), which does not
    cancel for data far from 0.

    Args:
      sums: sums over earlier batches; None for the first.
      x: (B, ...) examples, B >= 1.
      reconstruction: (B, ...) their reconstructions.

    Raises:
      TypeError: an array does not hold real numbers.
      ValueError: shapes differ, or the number of features has changed.

    Source: T. F. Chan, G. H. Golub, R. J. LeVeque (1983), Algorithms for Computing the Sample Variance.

    >>> sums = add_reconstructions(None, np.array([[1.0, 0.0]]), np.array([[1.0, 0.0]]))
    >>> sums = add_reconstructions(sums, np.array([[3.0, 0.0]]), np.array([[2.0, 0.0]]))
    >>> sums.mean.tolist(), sums.variation, sums.squared_error
    ([2.0, 0.0], 2.0, 1.0)
    """
    targets, outputs = (as_float64(name, array) for name, array in (("x", x), ("reconstruction", reconstruction)))
    if targets.shape != outputs.shape or targets.ndim < 2 or targets.size == 0:
        raise ValueError(
            f"x and reconstruction must have the same shape (examples, features), at least one example, got "
            f"{targets.shape} and {outputs.shape}"
        )
    targets, outputs = (array.reshape(len(array), -1) for array in (targets, outputs))
    mean = targets.mean(axis=0)
    norms, output_norms = (np.sqrt(np.sum(array**2, axis=1)) for array in (targets, outputs))
    products = np.sum(targets * outputs, axis=1)
    is_nonzero, both = norms > 0, (norms > 0) & (output_norms > 0)
    batch = ReconstructionSums(
        examples=len(targets),
        mean=mean,
        variation=float(np.sum((targets - mean) ** 2)),
        squared_error=float(np.sum((targets - outputs) ** 2)),
        squared_norm=float(np.sum(output_norms**2)),
        inner_product=float(np.sum(products)),
        norm_ratio=float(np.sum(output_norms[is_nonzero] / norms[is_nonzero])),
        cosine=float(np.sum(products[both] / output_norms[both] / norms[both])),
        nonzero=int(is_nonzero.sum()),
    )
    return batch if sums is None else _merged(sums, batch)


def _merged(first: ReconstructionSums, second: ReconstructionSums) -> ReconstructionSums:
    if first.mean.shape != second.mean.shape:
        raise ValueError(f"x must have {first.mean.size} features as in earlier batches, got {second.mean.size}")
    examples, difference = first.examples + second.examples, second.mean - first.mean
    between = float(difference @ difference) * first.examples * second.examples / examples
    return ReconstructionSums(
        examples=examples,
        mean=first.mean + difference * (second.examples / examples),
        variation=first.variation + second.variation + between,
        squared_error=first.squared_error + second.squared_error,
        squared_norm=first.squared_norm + second.squared_norm,
        inner_product=first.inner_product + second.inner_product,
        norm_ratio=first.norm_ratio + second.norm_ratio,
        cosine=first.cosine + second.cosine,
        nonzero=first.nonzero + second.nonzero,
    )


def reconstruction_measures(sums: ReconstructionSums) -> ReconstructionMeasures:
    """Returns the measures of all examples in the sums.

        FVU = Σ ‖x - x̂‖² / Σ ‖x - x̄‖²,  γ = E ‖x̂‖² / E[x̂·x],

    where x̄ is the mean of the same examples: ratios of sums, not means of ratios, and not relative to Σ ‖x‖². For the
    reconstruction x̂/γ the squared error is smallest among all multiples of x̂, so γ < 1 means shrinkage.

    Source: L. Gao et al. (2024), Scaling and Evaluating Sparse Autoencoders; γ: S. Rajamanoharan et al.
    (2024), Improving Dictionary Learning with Gated Sparse Autoencoders.

    >>> x = np.array([[1.0, 5.0], [3.0, 5.0]])
    >>> reconstruction_measures(add_reconstructions(None, x, np.full((2, 2), [2.0, 5.0]))).explained_variance
    0.0
    >>> reconstruction_measures(add_reconstructions(None, x, 0.5 * x)).relative_bias
    0.5
    """
    unexplained = _ratio(sums.squared_error, sums.variation)
    return ReconstructionMeasures(
        fraction_of_variance_unexplained=unexplained,
        explained_variance=1 - unexplained,
        norm_ratio=_ratio(sums.norm_ratio, sums.nonzero),
        relative_bias=_ratio(sums.squared_norm, sums.inner_product),
        cosine_similarity=_ratio(sums.cosine, sums.nonzero),
    )


def _ratio(numerator: float, denominator: float) -> float:
    return numerator / denominator if denominator else math.nan
