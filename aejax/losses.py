"""Reconstruction losses of one example: `loss(x, reconstruction)`, summed over its features.

Each takes ONE example of any shape; batch it with `jax.vmap` and take the mean over the batch.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from aejax.checks import check_floating, check_same_shape

ReconstructionLoss = Callable[[Array, Array], Array]


def squared_error(x: Float[Array, "..."], reconstruction: Float[Array, "..."]) -> Float[Array, ""]:
    """Squared error ‖x - x̂‖² = Σᵢ (xᵢ - x̂ᵢ)².

    Args:
      x: one example, any shape.
      reconstruction: x̂, of the same shape.

    Returns:
      The sum over all features, in the square of x's unit.

    Raises:
      ValueError: the shapes differ.
      TypeError: an input is not of a floating type.

    Source: I. Goodfellow, Y. Bengio, A. Courville (2016), Deep Learning, chapter 14.

    >>> squared_error(jnp.array([0.0, 1.0]), jnp.array([2.0, 1.5])).item()
    4.25
    """
    _check(x, reconstruction=reconstruction)
    return jnp.sum(jnp.square(x - reconstruction))


def absolute_error(x: Float[Array, "..."], reconstruction: Float[Array, "..."]) -> Float[Array, ""]:
    """Absolute error ‖x - x̂‖₁ = Σᵢ |xᵢ - x̂ᵢ|.

    Args:
      x: one example, any shape.
      reconstruction: x̂, of the same shape.

    Returns:
      The sum over all features, in x's unit.

    Raises:
      ValueError: the shapes differ.
      TypeError: an input is not of a floating type.

    Source: as `squared_error`; the negative log-density of a Laplace distribution of scale 1, less log 2 per feature.

    >>> absolute_error(jnp.array([0.0, 1.0]), jnp.array([2.0, 1.5])).item()
    2.5
    """
    _check(x, reconstruction=reconstruction)
    return jnp.sum(jnp.abs(x - reconstruction))


def binary_cross_entropy(x: Float[Array, "..."], logits: Float[Array, "..."]) -> Float[Array, ""]:
    """Cross-entropy -Σᵢ [xᵢ log pᵢ + (1 - xᵢ) log(1 - pᵢ)] with p = σ(logits), in nats.

    Computed from the logits, so that value and gradient are finite at any finite logit.

    Args:
      x: one example in [0, 1], any shape; gray values are taken as probabilities.
      logits: l with p = 1 / (1 + e⁻ˡ), of the same shape.

    Returns:
      The sum over all features, in nats: for binary x the negative log-probability of a Bernoulli distribution.

    Raises:
      ValueError: the shapes differ.
      TypeError: an input is not of a floating type.

    Source: D. P. Kingma, M. Welling (2014), Auto-Encoding Variational Bayes, appendix C.1.

    >>> round(binary_cross_entropy(jnp.array([1.0, 0.0]), jnp.array([0.0, 0.0])).item(), 4)
    1.3863
    """
    _check(x, logits=logits)
    return jnp.sum(_logistic_cross_entropy(x, logits))


def output_link(loss: ReconstructionLoss) -> Callable[[Array], Array]:
    """The map from what a loss compares with x to data space: logistic for `binary_cross_entropy`, else identity."""
    return jax.nn.sigmoid if loss is binary_cross_entropy else _identity


def _identity(output: Array) -> Array:
    return output


@jax.custom_jvp
def _logistic_cross_entropy(x: Array, logits: Array) -> Array:
    return jnp.maximum(logits, 0) - x * logits + jnp.log1p(jnp.exp(-jnp.abs(logits)))


@_logistic_cross_entropy.defjvp
def _logistic_cross_entropy_jvp(primals: tuple[Array, Array], tangents: tuple[Array, Array]) -> tuple[Array, Array]:
    # σ(l) - x is smooth where the terms of the value have kinks, so second derivatives are right at l = 0 too
    x, logits = primals
    x_tangent, logits_tangent = tangents
    slope = jax.nn.sigmoid(logits) - x
    return _logistic_cross_entropy(x, logits), slope * logits_tangent - logits * x_tangent


def _check(x: Array, **other: Array) -> None:
    check_floating(x=x, **other)
    check_same_shape(x=x, **other)
