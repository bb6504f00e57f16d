"""Reconstruction losses of one example: `loss(x, reconstruction)`, summed over its features.

Each function expects ONE example of any shape; map it over a batch with `jax.vmap` and average the results. Inputs of
half precision are computed and summed in float32, and the result is rounded to the dtype of the inputs: in float16 it
is infinite above 65,504, while its gradient stays correct.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from aejax.checks import check_array, check_count, check_floating, check_image, check_positive, check_same_shape
from aejax.precision import common_dtype, knob, widened

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
    return jnp.sum(jnp.square(widened(x) - widened(reconstruction))).astype(common_dtype(x, reconstruction))


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

    Source: I. Goodfellow, Y. Bengio, A. Courville (2016), Deep Learning, chapter 14; the negative log-density of a
    Laplace distribution of scale 1, minus log 2 per feature.

    >>> absolute_error(jnp.array([0.0, 1.0]), jnp.array([2.0, 1.5])).item()
    2.5
    """
    _check(x, reconstruction=reconstruction)
    return jnp.sum(jnp.abs(widened(x) - widened(reconstruction))).astype(common_dtype(x, reconstruction))


def binary_cross_entropy(x: Float[Array, "..."], logits: Float[Array, "..."]) -> Float[Array, ""]:
    """Cross-entropy -Σᵢ [xᵢ log pᵢ + (1 - xᵢ) log(1 - pᵢ)] with p = σ(logits), in nats.

    Computed from the logits: value and gradient are accurate at any logit, also where p is close to 0 or 1.

    Args:
      x: one example in [0, 1], any shape; gray values count as probabilities.
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
    return jnp.sum(_logistic_cross_entropy(widened(x), widened(logits))).astype(common_dtype(x, logits))


def huber(x: Float[Array, "..."], reconstruction: Float[Array, "..."], *, delta: ArrayLike = 1.0) -> Float[Array, ""]:
    """Huber's loss Σᵢ h(xᵢ - x̂ᵢ) with h(e) = ½ e² for |e| ≤ δ, and δ (|e| - ½ δ) beyond: large errors weigh less.

    Args:
      x: one example, any shape.
      reconstruction: x̂, of the same shape.
      delta: δ > 0, in x's unit.

    Returns:
      The sum over all features, in the square of x's unit.

    Raises:
      ValueError: the shapes differ, or delta is not positive.
      TypeError: an input is not of a floating type.

    Source: P. J. Huber (1964), Robust Estimation of a Location Parameter, section 1.

    >>> huber(jnp.array([0.0, 0.0]), jnp.array([0.5, 3.0])).item()
    2.625
    """
    _check(x, reconstruction=reconstruction)
    check_positive("delta", delta)
    error = jnp.abs(widened(x) - widened(reconstruction))
    clipped = jnp.minimum(error, knob(delta, error.dtype))
    return jnp.sum(clipped * (error - 0.5 * clipped)).astype(common_dtype(x, reconstruction))


def categorical_cross_entropy(x: Array, logits: Float[Array, "... classes"]) -> Float[Array, ""]:
    """Cross-entropy -Σᵢ Σ꜀ xᵢ꜀ log softmax(logitsᵢ)꜀ of classes, in nats.

    Args:
      x: one example: probabilities of the classes, one-hot or not, of the shape of the logits; or integers in
        [0, classes), of that shape without its last axis.
      logits: unnormalized log-probabilities along the last axis.

    Returns:
      The sum over all features, in nats; NaN if an integer is not in [0, classes).

    Raises:
      ValueError: the shapes do not match.
      TypeError: the logits are not of a floating type.

    Source: C. M. Bishop (2006), Pattern Recognition and Machine Learning, eq. 4.108.

    >>> round(categorical_cross_entropy(jnp.array([2]), jnp.zeros((1, 4))).item(), 4)  # log 4
    1.3863
    """
    check_array(x=x)
    check_floating(logits=logits)
    if 0 in jnp.shape(logits)[-1:] or jnp.ndim(logits) == 0:
        raise ValueError(f"logits must have a last axis of at least one class, got shape {jnp.shape(logits)}")
    log_probabilities, dtype = jax.nn.log_softmax(widened(logits)), jnp.result_type(logits)
    if jnp.issubdtype(jnp.result_type(x), jnp.integer):
        if x.shape != logits.shape[:-1]:
            raise ValueError(
                f"integer classes must have the logits' shape without its last axis, {logits.shape[:-1]}, got {x.shape}"
            )
        indices = _class_indices(x, logits.shape[-1])
        log_p = jnp.take_along_axis(log_probabilities, indices[..., None], axis=-1, mode="fill")
        return -jnp.sum(log_p).astype(dtype)
    _check(x, logits=logits)
    x = widened(x)
    # 0 log 0 counts as 0 where a logit is so low that its log-probability is -infinity
    is_impossible = (x == 0) & jnp.isneginf(log_probabilities)
    return -jnp.sum(x * jnp.where(is_impossible, 0, log_probabilities)).astype(dtype)


def structural_dissimilarity(
    x: Float[Array, "H W *C"], reconstruction: Float[Array, "H W *C"], *, data_range: ArrayLike = 1.0, window: int = 7
) -> Float[Array, ""]:
    """Returns 1 - SSIM, with the structural similarity of two images averaged over all windows and channels.

    In each window, SSIM = (2 μₓμᵧ + c₁)(2 σₓᵧ + c₂) / ((μₓ² + μᵧ² + c₁)(σₓ² + σᵧ² + c₂)) with uniform weights and
    unbiased variances, c₁ = (0.01 R)², c₂ = (0.03 R)². The result is accurate for values with any offset.

    Args:
      x: one image (H, W) or (H, W, C).
      reconstruction: of the same shape.
      data_range: R > 0, the largest possible pixel value minus the smallest.
      window: side of the square windows in pixels; odd, at least 3, at most H and W.

    Returns:
      A number in [0, 2]; 0 for equal images. Unlike the other losses it is a mean, not a sum over features.

    Raises:
      ValueError: the shapes differ or are not those of images, data_range is not positive, or window is even, too small
        or too large.
      TypeError: an input is not of a floating type.

    Source: Z. Wang et al. (2004), Image Quality Assessment: From Error Visibility to Structural Similarity, eq. 13.

    >>> image = jnp.arange(64.0).reshape(8, 8) / 64
    >>> round(structural_dissimilarity(image, image).item(), 6)
    0.0
    """
    _check(x, reconstruction=reconstruction)
    check_positive("data_range", data_range)
    check_image(x)
    check_count("window", window)
    if window % 2 == 0 or not 3 <= window <= min(x.shape[:2]):
        raise ValueError(f"window must be odd, from 3 to the image's {min(x.shape[:2])} pixels, got {window}")
    size = (window, window, *(1,) * (x.ndim - 2))

    def window_means(image: Array) -> Array:
        # a NumPy zero: with a traced zero the sum would become a general reduction, which has no gradient
        return lax.reduce_window(image, np.zeros((), image.dtype), lax.add, size, (1,) * x.ndim, "VALID") / window**2

    def centered(image: Array) -> tuple[Array, Array]:
        # variances do not depend on the offset, and E[x²] - E[x]² loses precision where it is large
        offset = lax.stop_gradient(jnp.mean(image, axis=(0, 1), keepdims=True))
        return image - offset, offset

    x_centered, x_offset = centered(widened(x) / knob(data_range, widened(x).dtype))
    y_centered, y_offset = centered(widened(reconstruction) / knob(data_range, widened(reconstruction).dtype))
    x_shifted_mean, y_shifted_mean = window_means(x_centered), window_means(y_centered)
    x_mean, y_mean = x_shifted_mean + x_offset, y_shifted_mean + y_offset
    unbiased = window**2 / (window**2 - 1)
    x_variance = unbiased * (window_means(x_centered * x_centered) - x_shifted_mean**2)
    y_variance = unbiased * (window_means(y_centered * y_centered) - y_shifted_mean**2)
    covariance = unbiased * (window_means(x_centered * y_centered) - x_shifted_mean * y_shifted_mean)
    c1, c2 = 0.01**2, 0.03**2  # of values in units of data_range
    luminance = (2 * x_mean * y_mean + c1) / (x_mean**2 + y_mean**2 + c1)
    structure = (2 * covariance + c2) / (x_variance + y_variance + c2)
    return (1 - jnp.mean(luminance * structure)).astype(common_dtype(x, reconstruction))


@dataclass(frozen=True)
class OverKnown:
    """The loss of the known values alone: Σᵢ L(xᵢ, outputᵢ) over xᵢ that are not NaN.

    For a sequence that is padded with NaN, it is the loss of its real steps. The output for missing values has no
    gradient.

    Attributes:
      func: L, a loss that is a sum over features: not `categorical_cross_entropy` or `structural_dissimilarity`.

    >>> x, reconstruction = jnp.array([1.0, jnp.nan]), jnp.array([3.0, 8.0])
    >>> OverKnown(squared_error)(x, reconstruction).item()
    4.0
    """

    func: ReconstructionLoss

    def __post_init__(self) -> None:
        if any(_without_arguments(self.func) is loss for loss in (categorical_cross_entropy, structural_dissimilarity)):
            raise ValueError(f"OverKnown expects a loss that is a sum over features, got {self.func}")

    def __call__(self, x: Float[Array, "..."], output: Float[Array, "..."]) -> Float[Array, ""]:
        """Returns the loss of one example.

        Raises:
          ValueError: the shapes differ.
          TypeError: an input is not of a floating type.
        """
        _check(x, output=output)
        is_known = ~jnp.isnan(x).reshape(-1)
        values, outputs = jnp.where(is_known, x.reshape(-1), jnp.zeros((), x.dtype)), output.reshape(-1)
        terms = jax.vmap(self.func)(values, outputs)
        return jnp.sum(jnp.where(is_known, terms, jnp.zeros_like(terms)))


# the unit of each loss, averaged over examples
_UNITS = {
    squared_error: "(unit of data)² per example",
    absolute_error: "(unit of data) per example",
    binary_cross_entropy: "nats per example",
    huber: "(unit of data)² per example",
    categorical_cross_entropy: "nats per example",
    structural_dissimilarity: "no unit",
}


def loss_unit(loss: ReconstructionLoss) -> str:
    """Returns the unit of a loss, or of a `functools.partial` or `OverKnown` of it, in words for a table or an axis.

    A loss of one's own may have an attribute `unit`.

    >>> loss_unit(absolute_error), loss_unit(functools.partial(huber, delta=0.5)), loss_unit(lambda x, y: x.sum())
    ('(unit of data) per example', '(unit of data)² per example', 'unit of its own')
    """
    loss = _without_arguments(loss)
    own = getattr(loss, "unit", "unit of its own")
    return next((unit for known, unit in _UNITS.items() if known is loss), own)  # it may have no hash


def output_link(loss: ReconstructionLoss) -> Callable[[Array], Array]:
    """Returns the function that maps the second argument of a loss to data space.

    It is the logistic function for `binary_cross_entropy`, softmax over the last axis for `categorical_cross_entropy`,
    and the identity for every other loss. A `functools.partial` or `OverKnown` counts as the loss
    that it wraps.
    """
    loss = _without_arguments(loss)
    if loss is binary_cross_entropy:
        return jax.nn.sigmoid
    return jax.nn.softmax if loss is categorical_cross_entropy else _identity


def _without_arguments(loss: ReconstructionLoss) -> ReconstructionLoss:
    while isinstance(loss, functools.partial | OverKnown):
        loss = loss.func
    return loss


def _identity(output: Array) -> Array:
    return output


def _class_indices(classes: Array, size: int) -> Array:
    """Returns classes of any integer type as int32 indices of an axis of length `size`; `size` for invalid ones."""
    if isinstance(classes, np.ndarray | np.generic):  # JAX's integers have 32 bits by default and would wrap
        classes = np.where((classes >= 0) & (classes < size), classes, size).astype(np.int32)
    classes = jnp.asarray(classes)
    if classes.dtype.itemsize < 4:  # `size` may exceed the largest number of a narrow type
        classes = classes.astype(jnp.int32)
    return jnp.where((classes >= 0) & (classes < size), classes, size).astype(jnp.int32)


@jax.custom_jvp
def _logistic_cross_entropy(x: Array, logits: Array) -> Array:
    # x's probability of the class that the logit makes less likely; where it is 0, its term is 0 even for an infinite
    # logit
    against = jnp.where(logits > 0, 1 - x, x)
    magnitude = jnp.abs(logits)
    return jnp.where(against == 0, 0, magnitude) * against + jnp.log1p(jnp.exp(-magnitude))


@_logistic_cross_entropy.defjvp
def _logistic_cross_entropy_jvp(primals: tuple[Array, Array], tangents: tuple[Array, Array]) -> tuple[Array, Array]:
    # σ(l) - x is smooth where the terms of the value have kinks, so second derivatives are correct at l = 0 too. It is
    # computed from the smaller of the two probabilities, so that it stays accurate where x is 1 and the logit is large
    x, logits = primals
    x_tangent, logits_tangent = tangents
    small = jax.nn.sigmoid(jnp.where(logits > 0, -logits, logits))
    derivative = jnp.where(logits > 0, (1 - x) - small, small - x)
    return _logistic_cross_entropy(x, logits), derivative * logits_tangent - logits * x_tangent


def _check(x: Array, **other: Array) -> None:
    check_floating(x=x, **other)
    check_same_shape(x=x, **other)
