"""Images in two halves: one is given as the condition, the other is to be completed."""

from typing import Literal

import numpy as np

from aejax.errors import UserError

Half = Literal["upper_half", "lower_half", "left_half", "right_half"]
HALVES: tuple[Half, ...] = ("upper_half", "lower_half", "left_half", "right_half")


def cut_half(x: np.ndarray, half: Half, *, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Returns the given half of images (N, H, W) or (N, H, W, C), and the rest; an odd middle belongs to the rest.

    Args:
      x: the images.
      half: the half that is given.
      name: what messages call the data.

    Raises:
      UserError: the examples are no images, or their side is one pixel.

    >>> given, rest = cut_half(np.arange(6).reshape(1, 3, 2), "upper_half", name="mine.npy")
    >>> given.tolist(), rest.tolist()
    ([[[0, 1]]], [[[2, 3], [4, 5]]])
    """
    axis = 1 if half in ("upper_half", "lower_half") else 2
    if x.ndim not in (3, 4) or x.shape[axis] < 2:
        raise UserError(
            f"{name}: the condition {half} expects images of at least two pixels (H, W) or (H, W, C), but examples "
            f"have shape {x.shape[1:]}"
        )
    is_first = half in ("upper_half", "left_half")
    size = x.shape[axis] // 2
    first, second = np.split(x, [size if is_first else x.shape[axis] - size], axis=axis)
    return (first, second) if is_first else (second, first)


def joined(given: np.ndarray, rest: np.ndarray, half: Half) -> np.ndarray:
    """Returns whole images (..., H, W, C?) of a given half and the rest, the inverse of `cut_half`.

    Args:
      given: (N, h, W) or (N, h, W, C) for the upper or lower half.
      rest: of the same number of axes.
      half: the half that is given.

    >>> x = np.arange(6).reshape(1, 3, 2)
    >>> joined(*cut_half(x, "upper_half", name="x"), "upper_half").tolist() == x.tolist()
    True
    """
    axis = 1 if half in ("upper_half", "lower_half") else 2
    parts = (given, rest) if half in ("upper_half", "left_half") else (rest, given)
    return np.concatenate(parts, axis=axis)
