"""Drawing of sprites: a pixel is 1 if its center is inside the shape, and 0 otherwise."""

import numpy as np
from jaxtyping import Int, UInt8

from aejax.datasets.sprites.grid import FACTORS

SIZE = 64  # pixels, of both sides
_RADIUS = 15.5 / 64  # of the largest sprite, the distance from its center to its farthest point, in widths of the image
# (u² + v² - 1)³ = u² v³ is a heart around the origin, with its point below; its centroid and its farthest point
_HEART_CENTROID, _HEART_RADIUS = 0.29348, 1.29323
_AT_ONCE = 2**20  # pixels, so that intermediate results stay in the processor's cache


def draw_sprites(factors: Int[np.ndarray, "N 5"], *, size: int = SIZE) -> UInt8[np.ndarray, "N size size 1"]:
    """Returns the images of sprites, of 0 and 1.

    A sprite of scale s has the radius 15.5 s/64 in widths of the image, from its centroid to its farthest point:

        square   max(|u|, |v|) <= 1/√2;   ellipse   u² + 4 v² <= 1;   heart   (a² + b² - 1)³ <= a² b³,

    where (u, v) is the pixel's center relative to the sprite's, in units of that radius and turned back by the
    orientation, u to the right and v up; a = 1.29 u, b = 1.29 v + 0.29. At 64 pixels a step of x or y is one pixel, so
    it moves the same pixels, and all 737,280 images differ; at smaller sizes some are equal.

    Args:
      factors: positions of each factor's value, in the order of `FACTORS`.
      size: of the images, in pixels.

    >>> draw_sprites(np.array([[0, 5, 0, 15, 15]]))[0, :, :, 0].sum(axis=1).max().item()
    22
    """
    images = np.empty((len(factors), size, size, 1), np.uint8)
    block = max(1, _AT_ONCE // size**2)
    for start in range(0, len(factors), block):
        images[start : start + block, ..., 0] = _drawn(factors[start : start + block], size)
    return images


def _drawn(factors: np.ndarray, size: int) -> np.ndarray:
    shape, scale, angle, x, y = (
        factor.values[places][:, None, None] for factor, places in zip(FACTORS, factors.T, strict=True)
    )
    centers = (np.arange(size) + 0.5) / size
    right = (centers[None, None] - x) / (_RADIUS * scale)
    up = (y - centers[None, :, None]) / (_RADIUS * scale)
    u = np.cos(angle) * right + np.sin(angle) * up
    v = np.cos(angle) * up - np.sin(angle) * right
    inside = np.empty(u.shape, bool)
    for number, is_inside in enumerate((_in_square, _in_ellipse, _in_heart)):
        own = shape[:, 0, 0] == number
        inside[own] = is_inside(u[own], v[own])
    return inside


def _in_square(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return np.maximum(np.abs(u), np.abs(v)) <= np.sqrt(0.5)


def _in_ellipse(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return u * u + 4 * v * v <= 1


def _in_heart(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    a, b = _HEART_RADIUS * u, _HEART_RADIUS * v + _HEART_CENTROID
    square = a * a
    outside = square + b * b - 1
    return outside * outside * outside <= square * b * b * b
