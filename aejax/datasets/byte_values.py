"""The meaning of bytes (uint8): gray values, which are divided by 255, or masks, classes and counts, which are not."""

from collections.abc import Iterable
from typing import Literal, NamedTuple

import numpy as np

ByteValues = Literal["auto", "scaled", "as_is"]
Divisor = Literal[1, 255]
_MIN_MAXIMUM, _GRAY = 128, 64  # gray values reach the first, and a fraction of them the second
_MIN_FRACTION = 0.01  # of the values that are not 0


class BytesAs(NamedTuple):
    """The meaning of bytes (uint8) in a file, of targets and of inputs."""

    x: ByteValues = "auto"
    input: ByteValues = "auto"


BY_VALUES = BytesAs()


def divisor_of(dtype: np.dtype, byte_values: ByteValues, blocks: Iterable[np.ndarray]) -> Divisor:
    """Returns the divisor of an array's values: 255 for bytes that are gray values, otherwise 1.

    `auto` decides by the values: bytes are gray values if their maximum is at least 128 and at least one percent of the
    values other than 0 are at least 64. Masks of 0 and 1, classes, and counts with a long tail are not gray values.

    Args:
      dtype: the dtype of the stored array; only uint8 is divided.
      byte_values: the user's setting.
      blocks: the stored array, in blocks of examples; only read for bytes and `auto`.

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
    return 255 if highest >= _MIN_MAXIMUM and gray >= _MIN_FRACTION * nonzero else 1
