"""Tied weights: the decoder uses the encoder's weights, transposed."""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import jax
import jax.numpy as jnp
from jaxtyping import Array, PyTree

from aejax.autoencoders.entrance import part_of
from aejax.autoencoders.part import Part
from aejax.autoencoders.record import Autoencoder
from aejax.autoencoders.undercomplete import from_functions
from aejax.checks import check_floating, check_sizes
from aejax.losses import ReconstructionLoss, binary_cross_entropy

TIED = Part("tied", excludes=(("conditional", "tied layers have no input for a condition"),))


def tied(
    shape: Sequence[int],
    widths: Sequence[int],
    *,
    activation: Callable[[Array], Array] = jax.nn.sigmoid,
    loss: ReconstructionLoss = binary_cross_entropy,
    link: Callable[[Array], Array] | None = None,
) -> Autoencoder:
    """Minimizes E L(x, g(f(x))) with encoder layers hₗ = s(hₗ₋₁ Wₗ + bₗ) and decoder layers s(hₗ Wₗᵀ + cₗ).

    The last decoder layer has no activation: its output is what the loss expects, logits for cross-entropy.

    Args:
      shape: the shape of an example, which is flattened.
      widths: the numbers of units of the encoder's layers; the last one is the length of the code. Rifai et al. use
        one layer of 1000 units.
      activation: s, applied after every layer except the last of the decoder.
      loss: L(x, output of the decoder), the loss of one example.
      link: maps the decoder's output to data space; by default the link that belongs to the loss.

    Returns:
      An autoencoder; its params are `weights`, each (inputs, units), `encoder_biases` and `decoder_biases`.

    Raises:
      ValueError: widths is empty or has an entry below 1; raised by the functions, an example or code has another
        shape.
      TypeError: shape or widths is not a sequence of integers, or activation is not a function.

    Source: S. Rifai et al. (2011), Contractive Auto-Encoders, section 2; P. Vincent et al. (2010), Stacked Denoising
    Autoencoders, section 2.2.

    >>> autoencoder = tied((8, 8), (20,))
    >>> params = jax.eval_shape(autoencoder.init, jax.random.key(0), jnp.ones((8, 8)))
    >>> code = jax.eval_shape(autoencoder.encode, params, jnp.ones((8, 8)))
    >>> jax.eval_shape(autoencoder.decode, params, code).shape
    (8, 8)
    """
    shape, widths = check_sizes("shape", shape), check_sizes("widths", widths, at_least=1)
    if not callable(activation):
        raise TypeError(f"activation must be a function, got {activation!r}")
    sizes = (math.prod(shape), *widths)

    def init(key: Array, example: Array) -> PyTree:
        check_floating(example=example)
        _check_shape("example", example, shape)
        keys = jax.random.split(key, len(widths))
        initializer = jax.nn.initializers.glorot_uniform()
        return {
            "weights": [initializer(k, size, example.dtype) for k, size in zip(keys, pairwise(sizes), strict=True)],
            "encoder_biases": [jnp.zeros(size, example.dtype) for size in sizes[1:]],
            "decoder_biases": [jnp.zeros(size, example.dtype) for size in sizes[:-1]],
        }

    def encode(params: PyTree, x: Array) -> Array:
        _check_shape("x", x, shape)
        hidden = x.reshape(-1)
        for weights, bias in zip(part_of(params, "weights"), params["encoder_biases"], strict=True):
            hidden = activation(hidden @ weights + bias)
        return hidden

    def decode_output(params: PyTree, code: Array) -> Array:
        _check_shape("code", code, widths[-1:])
        (first, first_bias), *rest = zip(part_of(params, "weights"), params["decoder_biases"], strict=True)
        hidden = code
        for weights, bias in reversed(rest):
            hidden = activation(weights @ hidden + bias)
        return (first @ hidden + first_bias).reshape(shape)

    return from_functions(TIED, init, encode, decode_output, loss=loss, link=link)


def _check_shape(name: str, array: Array, expected: tuple[int, ...]) -> None:
    if array.shape != expected:
        advice = ": map over a batch, jax.vmap(function, in_axes=(None, 0))" if array.shape[1:] == expected else ""
        raise ValueError(f"{name} must be ONE of shape {expected}, got shape {array.shape}{advice}")
