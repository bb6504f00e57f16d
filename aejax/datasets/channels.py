"""The axis of an image's channels: arrays (N, C, H, W) are recognized, and read as (N, H, W, C)."""

from pathlib import Path
from typing import Literal, TypeVar

import numpy as np

from aejax.datasets.stored import Rows, StoredArray

Channels = Literal["auto", "last", "first"]
Images = TypeVar("Images", np.ndarray, StoredArray, np.ndarray | StoredArray)
COUNTS = (1, 3, 4)  # of channels: gray, RGB and RGBA


def has_channels_first(shape: tuple[int, ...]) -> bool:
    """Returns whether the shape of an example is that of an image (C, H, W) with 1, 3 or 4 channels.

    >>> has_channels_first((3, 32, 32)), has_channels_first((32, 32, 3)), has_channels_first((3, 4, 4))
    (True, False, False)
    """
    return len(shape) == 3 and shape[0] in COUNTS and min(shape[1:]) > max(COUNTS)


def are_first(shape: tuple[int, ...], channels: Channels) -> bool:
    """Returns whether channels are the first axis of an example of this shape, where `auto` decides by the shape."""
    return channels == "first" or (channels == "auto" and has_channels_first(shape))


def channels_last(x: Images) -> Images:
    """Returns images (N, C, H, W) as (N, H, W, C); those in a file are not read.

    >>> channels_last(np.zeros((7, 3, 32, 48))).shape
    (7, 32, 48, 3)
    """
    if isinstance(x, StoredArray):
        return x.reading_through(_ChannelsLast)
    return np.moveaxis(x, 1, -1)


class _ChannelsLast:
    """Rows (C, H, W) of another source, read as (H, W, C)."""

    def __init__(self, source: Rows) -> None:
        self._source = source
        self.path: Path = source.path
        self.dtype: np.dtype = source.dtype
        count, number, *sides = source.shape
        self.shape: tuple[int, ...] = (count, *sides, number)

    def read(self, index: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(np.moveaxis(self._source.read(index), 1, -1))
