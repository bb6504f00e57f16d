"""The weights of a dictionary as all formats have them, and rewritings that leave its reconstructions unchanged."""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Shaped

from aejax.errors import UserError

Kind = Literal["relu", "top_k", "jump_relu", "gated"]


class DictionaryWeights(NamedTuple):
    """A dictionary π = (x - c) W + b, f = activation(π), x̂ = f V + c, in the dtypes of its file.

    relu: f = max(π, 0). top_k: the k largest, if positive. jump_relu: π where π > θ and π > 0. gated: where π > 0,
    max(0, (x - c) W eʳ + b'), with r `magnitude_log_scale` and b' `magnitude_bias`.
    """

    kind: Kind
    encoder: Shaped[np.ndarray, "D F"]  # W
    encoder_bias: Shaped[np.ndarray, "F"]  # b; gated: of the gate
    decoder: Shaped[np.ndarray, "F D"]  # V
    decoder_bias: Shaped[np.ndarray, "D"]  # c
    subtracts_bias: bool = True  # whether c is subtracted from the input
    k: int | None = None  # top_k: entries that are kept
    selects_by_norm: bool = False  # top_k: whether the k largest are those of π ‖Vᵢ‖, whose codes are these products
    threshold: Shaped[np.ndarray, "F"] | None = None  # θ, of jump_relu
    magnitude_bias: Shaped[np.ndarray, "F"] | None = None  # b', of gated
    magnitude_log_scale: Shaped[np.ndarray, "F"] | None = None  # r, of gated
    skip: Shaped[np.ndarray, "D D"] | None = None  # of a transcoder: x̂ = f V + c + x S
    description: Mapping[str, Any] = {}  # what else the file says of the dictionary; it is written back

    @property
    def sizes(self) -> tuple[int, int]:
        """D and F."""
        features, units = self.encoder.shape
        return features, units


def check_weights(weights: DictionaryWeights, path: Any, names: Mapping[str, str]) -> DictionaryWeights:
    """Returns the weights, after a check of all shapes.

    Args:
      weights: the weights.
      path: the file, for messages.
      names: what the file calls the arrays.

    Raises:
      UserError: an array has another shape than the encoder demands, is no array of floating-point numbers, or is not
        finite; or k is not a number from 1 to F.
    """
    called = lambda field: names.get(field, field)  # noqa: E731
    if weights.encoder.ndim != 2:
        raise UserError(f"{path}: array {called('encoder')} must be a matrix, got shape {weights.encoder.shape}")
    features, units = weights.sizes
    expected = {
        "encoder": (features, units),
        "encoder_bias": (units,),
        "decoder": (units, features),
        "decoder_bias": (features,),
        "threshold": (units,),
        "magnitude_bias": (units,),
        "magnitude_log_scale": (units,),
        "skip": (features, features),
    }
    for field, shape in expected.items():
        array = getattr(weights, field)
        if array is None:
            continue
        if array.shape != shape:
            raise UserError(
                f"{path}: array {called(field)} has shape {array.shape}, but {called('encoder')} with {features} "
                f"features and {units} units requires {shape}"
            )
        if not jnp.issubdtype(array.dtype, jnp.floating):
            raise UserError(f"{path}: array {called(field)} must hold floating-point numbers, got {array.dtype}")
        if not np.isfinite(array.astype(np.float32)).all():
            raise UserError(f"{path}: array {called(field)} of shape {array.shape} holds NaN or infinity")
    if weights.kind == "top_k" and not (type(weights.k) is int and 1 <= weights.k <= units):
        raise UserError(f"{path}: k must be a number from 1 to {units}, the number of units, got {weights.k!r}")
    return weights


def with_folded_input_scale(weights: DictionaryWeights, scale: float) -> DictionaryWeights:
    """Returns the dictionary of x that reconstructs what the given one makes of s x, divided by s; codes are the same.

    W ← s W, V ← V/s, c ← c/s; biases and thresholds of pre-activations stay.

    Args:
      weights: a dictionary that was trained on scaled examples.
      scale: s > 0, by which they were multiplied, such as `geometric_median.input_scale`.

    >>> ones = np.ones((1, 1), np.float32)
    >>> folded = with_folded_input_scale(DictionaryWeights("relu", ones, ones[0], ones, ones[0]), 2.0)
    >>> folded.encoder.item(), folded.decoder.item(), folded.decoder_bias.item(), folded.encoder_bias.item()
    (2.0, 0.5, 0.5, 1.0)
    """
    if not 0 < scale < np.inf:
        raise ValueError(f"scale must be positive and finite, got {scale}")
    return weights._replace(
        encoder=_times(weights.encoder, scale),
        decoder=_times(weights.decoder, 1 / scale),
        decoder_bias=_times(weights.decoder_bias, 1 / scale),
    )


def with_folded_decoder_norm(weights: DictionaryWeights) -> DictionaryWeights:
    """Returns the dictionary with decoder rows of norm 1 and the same reconstructions: codes are multiplied by norms.

    W, b, θ and b' of unit i are multiplied by ‖Vᵢ‖, and Vᵢ is divided by it. Units whose row is 0 stay as they are.

    Args:
      weights: any dictionary but a `top_k` one that selects by π alone, which would select others.

    Raises:
      ValueError: the dictionary selects the k largest π, whatever the norms, and they are not 1.

    >>> weights = DictionaryWeights("relu", np.ones((1, 1)), np.ones(1), np.full((1, 1), 2.0), np.zeros(1))
    >>> folded = with_folded_decoder_norm(weights)
    >>> folded.encoder.item(), folded.encoder_bias.item(), folded.decoder.item()
    (2.0, 2.0, 1.0)
    """
    norms = np.linalg.norm(weights.decoder.astype(np.float64), axis=1)
    factors = np.where(norms > 0, norms, 1)
    if weights.kind == "top_k" and not weights.selects_by_norm and not np.allclose(factors, 1, atol=1e-3):
        raise ValueError("the k largest pre-activations are others after a multiplication by the norms of the decoder")
    return weights._replace(
        encoder=_times(weights.encoder, factors[None]),
        encoder_bias=_times(weights.encoder_bias, factors),
        decoder=_times(weights.decoder, 1 / factors[:, None]),
        threshold=None if weights.threshold is None else _times(weights.threshold, factors),
        magnitude_bias=None if weights.magnitude_bias is None else _times(weights.magnitude_bias, factors),
        selects_by_norm=False,
    )


def _times(array: np.ndarray, factor: Any) -> np.ndarray:
    return (array.astype(np.float64) * factor).astype(array.dtype)
