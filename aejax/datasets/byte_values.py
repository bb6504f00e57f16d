"""What bytes (uint8) stand for: gray values, which are divided by 255, or masks, classes and counts, as they are."""

from collections.abc import Iterable
from typing import Literal, NamedTuple

import numpy as np

ByteValues = Literal["auto", "scaled", "as_is"]
Divisor = Literal[1, 255]
_BRIGHT, _GRAY = 128, 64  # gray values reach the one, and some of them the other
_SOME = 0.01  # of those that are not 0


class BytesAs(NamedTuple):
    """What bytes (uint8) in a file stand for, of those in `x` and of those in `input`."""

    x: ByteValues = "auto"
    input: ByteValues = "auto"


BY_VALUES = BytesAs()


def divisor_of(dtype: np.dtype, byte_values: ByteValues, blocks: Iterable[np.ndarray]) -> Divisor:
    """By what the numbers of an array are divided when they are read: 1 or, of bytes, 255.

    `auto` decides by the values: bytes are gray values where they reach 128 and at least one in a hundred of those that
    are not 0 is 64 or more; masks of 0 and 1, classes and counts with a long tail are not.

    Args:
      dtype: of the array as it is stored; only uint8 is ever divided.
      byte_values: what the user has asked for.
      blocks: the array as it is stored, some examples at a time; looked at for bytes and `auto` alone.

    >>> mask, image = np.array([0, 1, 1], np.uint8), np.array([0, 70, 255], np.uint8)
    >>> divisor_of(mask.dtype, "auto", [mask]), divisor_of(image.dtype, "auto", [image])
    (1, 255)
    """
    if dtype != np.uint8 or byte_values == "as_is":
        return 1
    if byte_values == "scaled":
        return 255
    highest = nonzero = gray = 0
    for block in blocks:
        highest = max(highest, int(block.max()))
        nonzero += int(np.count_nonzero(block))
        gray += int(np.count_nonzero(block >= _GRAY))
    return 255 if highest >= _BRIGHT and gray >= _SOME * nonzero else 1
