"""Convolutional encoder and decoder of ONE sequence: blocks that halve its length, and blocks that double it."""

import math
from collections.abc import Callable, Sequence

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from aejax.checks import check_count, check_function, check_sizes
from aejax.networks.architecture import Architecture
from aejax.networks.network import Network, followed_by

_KERNEL = (5,)


class SequenceEncoder(nn.Module):
    """Blocks of convolution of stride 2 and activation on ONE sequence (T,) or (T, C), then a dense layer.

    A condition, an array of any shape, is appended to the sequence as constant channels.

    Attributes:
      features: the channels of the blocks, in order; each block halves the length, rounding up.
      code_size: the length of the code.
      activation: the activation after each convolution.

    >>> import jax, jax.numpy as jnp
    >>> encoder = SequenceEncoder(features=(8, 16), code_size=3)
    >>> params = jax.eval_shape(encoder.init, jax.random.key(0), jnp.ones((33, 2)))
    >>> jax.eval_shape(encoder.apply, params, jnp.ones((33, 2))).shape
    (3,)
    """

    features: Sequence[int]
    code_size: int
    activation: Callable[[Array], Array] = nn.relu

    def __post_init__(self) -> None:
        check_sizes("features", self.features)
        check_count("code_size", self.code_size)
        check_function("activation", self.activation)
        super().__post_init__()

    @nn.compact
    def __call__(self, x: Float[Array, "..."], condition: Array | None = None) -> Float[Array, "K"]:
        _check_sequence_shape(x.shape)
        x = x if x.ndim == 2 else x[:, None]
        if condition is not None:
            channels = jnp.broadcast_to(condition.reshape(1, -1), (len(x), condition.size))
            x = jnp.concatenate([x, channels], axis=1)
        for channels_of_block in self.features:
            x = self.activation(nn.Conv(channels_of_block, _KERNEL, strides=2)(x))
        return nn.Dense(self.code_size)(x.reshape(-1))


class SequenceDecoder(nn.Module):
    """A dense layer, blocks that double the length and convolve, then a convolution to exactly `shape`.

    It mirrors `SequenceEncoder` with the features in reverse order: every level has the same length as in the encoder,
    so odd lengths are restored. A condition, an array of any shape, is appended to the code.

    Attributes:
      shape: (T,) or (T, C), the shape of the returned sequence.
      features: the channels of the blocks, in order; each block doubles the length.
      activation: the activation after the dense layer and after each convolution except the last.

    >>> import jax, jax.numpy as jnp
    >>> decoder = SequenceDecoder(shape=(33, 2), features=(16, 8))
    >>> params = jax.eval_shape(decoder.init, jax.random.key(0), jnp.ones(3))
    >>> jax.eval_shape(decoder.apply, params, jnp.ones(3)).shape
    (33, 2)
    """

    shape: Sequence[int]
    features: Sequence[int]
    activation: Callable[[Array], Array] = nn.relu

    def __post_init__(self) -> None:
        _check_sequence_shape(check_sizes("shape", self.shape))
        check_sizes("features", self.features, at_least=1)
        check_function("activation", self.activation)
        super().__post_init__()

    @nn.compact
    def __call__(self, code: Float[Array, "K"], condition: Array | None = None) -> Float[Array, "..."]:
        shape = tuple(self.shape)
        lengths = [shape[0]]
        for _ in self.features:
            lengths.append(math.ceil(lengths[-1] / 2))
        *longer, shortest = lengths
        inputs = code if condition is None else jnp.concatenate([code, condition.reshape(-1)])
        x = self.activation(nn.Dense(shortest * self.features[0])(inputs)).reshape(shortest, self.features[0])
        for channels, length in zip(self.features, reversed(longer), strict=True):
            x = self.activation(nn.Conv(channels, _KERNEL)(repeat(x)[:length]))
        return nn.Conv(math.prod(shape[1:]), _KERNEL)(x).reshape(shape)


def repeat(x: Float[Array, "t C"]) -> Float[Array, "T C"]:
    """Returns the sequence of twice the length, with every step repeated.

    >>> repeat(jnp.array([[1.0], [2.0]]))[:, 0].tolist()
    [1.0, 1.0, 2.0, 2.0]
    """
    steps, channels = x.shape
    return jnp.broadcast_to(x[:, None], (steps, 2, channels)).reshape(2 * steps, channels)


def _check_sequence_shape(shape: tuple[int, ...]) -> None:
    if len(shape) not in (1, 2):
        raise ValueError(f"a sequence has shape (T,) or (T, C), got {shape}")


def _build(
    shape: tuple[int, ...],
    output_shape: tuple[int, ...],
    hidden: tuple[int, ...],
    code_size: int,
    activation: Callable[[Array], Array],
) -> tuple[SequenceEncoder, Network]:
    decoder = SequenceDecoder((shape[0], math.prod(output_shape[1:])), hidden[::-1], activation)
    encoder = SequenceEncoder(hidden, code_size, activation)
    return encoder, followed_by(decoder, lambda output: output.reshape(output_shape))


ARCHITECTURE = Architecture(_build, expects="sequences (T,) or (T, C)", ranks=(1, 2), layout="series")
