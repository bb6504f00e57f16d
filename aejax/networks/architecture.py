"""What is to be known of a kind of network where one is chosen by its name."""

from collections.abc import Callable
from typing import Literal, NamedTuple

from aejax.networks.network import SupportsInitApply


class Architecture(NamedTuple):
    """A kind of network: how its encoder and decoder are built, what examples it expects, and what its code can be.

    Every level of a fully convolutional one halves height and width.
    """

    build: Callable[..., tuple[SupportsInitApply, SupportsInitApply]]
    """(shape, output_shape, hidden, code_size, activation) -> (encoder, decoder), by position.

    shape is that of one example, output_shape that of what the decoder returns for it; hidden the widths or channels of
    the encoder, which the decoder mirrors; code_size the length of what the encoder returns, None for a map.
    """
    expects: str = "examples of any shape"  # in messages
    ranks: tuple[int, ...] | None = None  # of one example; None for any
    layout: Literal["image", "series"] | None = None  # what the axes of an example are; None for any
    is_dense: bool = False  # dense layers, which can do without a hidden one and can share their weights
    has_vector_code: bool = True  # whether it can be given a code_size
    has_map_code: bool = False  # whether it can do without; where it must, its maps skip to the decoder
    has_maxima: bool = False  # in the encoder, which is not smooth then
    reach: Callable[[int], int] | None = None  # levels -> pixels that it sees to each side, if fully convolutional
