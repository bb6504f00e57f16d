"""The record that describes a kind of network, so that a configuration can choose it by name."""

import math
from collections.abc import Callable
from typing import Literal, NamedTuple

from jaxtyping import Array

from aejax.networks.network import Network, SupportsInitApply, followed_by


class Architecture(NamedTuple):
    """A kind of network: how its encoder and decoder are built, which examples it expects, and its possible codes.

    Unless it says otherwise by `stride`, every level of a fully convolutional network halves height and width.
    """

    build: Callable[..., tuple[SupportsInitApply, SupportsInitApply]]
    """(shape, output_shape, hidden, code_size, activation) -> (encoder, decoder), positional arguments.

    shape is the shape of one example, output_shape that of the decoder's output; hidden are the widths or channels of
    the encoder, which the decoder mirrors; code_size is the length of the encoder's output, None for a feature map.
    """
    expects: str = "examples of any shape"  # in messages
    ranks: tuple[int, ...] | None = None  # of one example; None for any
    layout: Literal["image", "series"] | None = None  # the meaning of an example's axes; None for any
    is_dense: bool = False  # whether its layers are dense, so that they need no hidden layer and can be tied
    has_vector_code: bool = True  # whether it accepts a code_size
    has_map_code: bool = False  # whether code_size can be None; if it must be, its maps skip to the decoder
    has_maxima: bool = False  # whether the encoder has max-pooling, so that it is not smooth
    reach: Callable[[int], int] | None = None  # levels -> pixels on each side of the receptive field, if convolutional
    stride: Callable[[int], int] = lambda levels: 2**levels
    """levels -> pixels along one axis for each place of a feature map that is the code."""


def of_images(
    encoder: Callable[..., SupportsInitApply], decoder: Callable[..., SupportsInitApply]
) -> Callable[..., tuple[SupportsInitApply, Network]]:
    """Returns the `build` of networks of images; their output may have further axes, such as a likelihood's parameters.

    Args:
      encoder: (features, code_size, activation) -> network.
      decoder: (shape, features, activation) -> network, which mirrors the encoder.
    """

    def build(
        shape: tuple[int, ...],
        output_shape: tuple[int, ...],
        hidden: tuple[int, ...],
        code_size: int | None,
        activation: Callable[..., Array],
    ) -> tuple[SupportsInitApply, Network]:
        decodes = decoder((*shape[:2], math.prod(output_shape[2:])), hidden[::-1], activation)
        return encoder(hidden, code_size, activation), followed_by(decodes, lambda x: x.reshape(output_shape))

    return build
