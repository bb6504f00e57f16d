import math

import numpy as np
import pytest

from aejax.datasets.sprites.drawing import draw_sprites
from aejax.datasets.sprites.grid import COUNTS, FACTORS, SPRITES, factors_at, places_of

_AREAS = (2.0, math.pi / 2, 3.66194 / 1.29323**2)  # of shapes whose radius is 1


def _some(count: int) -> np.ndarray:
    return factors_at(np.random.default_rng(0).choice(SPRITES, count, replace=False))


def _centers(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the centroids x and y, in widths of the image."""
    at = (np.arange(images.shape[1]) + 0.5) / images.shape[1]
    area = images[..., 0].sum(axis=(1, 2))
    return images[..., 0].sum(axis=1) @ at / area, images[..., 0].sum(axis=2) @ at / area


def test_images_are_binary_and_the_same_whenever_they_are_drawn() -> None:
    factors = _some(500)
    images = draw_sprites(factors)
    assert images.shape == (500, 64, 64, 1)
    assert images.dtype == np.uint8
    assert set(np.unique(images)) == {0, 1}
    assert np.array_equal(images[[7, 300]], draw_sprites(factors[[7, 300]]))


def test_sprites_lie_inside_the_image() -> None:
    corners = places_of({"scale": [5], "x": [0, 31], "y": [0, 31]})
    images = draw_sprites(factors_at(corners))[..., 0]
    assert not images[:, [0, -1]].any()
    assert not images[:, :, [0, -1]].any()


def test_a_step_of_x_or_y_moves_the_pixels_by_one() -> None:
    first = np.array([[shape, 3, 7, 4, 9] for shape in range(3)])
    for shift in ((1, 0), (0, 1), (20, 22)):
        moved = draw_sprites(first + np.array([0, 0, 0, *shift]))
        assert np.array_equal(moved, np.roll(draw_sprites(first), shift[::-1], axis=(1, 2)))


def test_all_images_differ() -> None:
    """A step of x or y moves the pixels by one, so no two images at one place may be equal after any move."""
    images = draw_sprites(factors_at(places_of({"x": [15], "y": [15]})))[..., 0].astype(bool)
    assert len(images) == math.prod(COUNTS[:3])
    moved = []
    for image in images:
        rows, columns = np.flatnonzero(image.any(axis=1)), np.flatnonzero(image.any(axis=0))
        moved.append(np.roll(image, (-rows[0], -columns[0]), axis=(0, 1)).tobytes())
    assert len(set(moved)) == len(images)


def test_x_and_y_are_the_centroid() -> None:
    factors = _some(2000)
    x, y = _centers(draw_sprites(factors))
    np.testing.assert_allclose(x, FACTORS[3].values[factors[:, 3]], atol=0.6 / 64)
    np.testing.assert_allclose(y, FACTORS[4].values[factors[:, 4]], atol=0.6 / 64)


def test_scale_and_shape_determine_the_area() -> None:
    factors = _some(2000)
    images = draw_sprites(factors)
    radii = 15.5 * FACTORS[1].values[factors[:, 1]]
    expected = np.array(_AREAS)[factors[:, 0]] * radii**2
    np.testing.assert_allclose(images.sum(axis=(1, 2, 3)), expected, rtol=0.08)
    of_scale = [images[factors[:, 1] == scale].sum(axis=(1, 2, 3)).mean() for scale in range(6)]
    assert (np.diff(of_scale) > 0).all()


def _around_center(factors: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the images of sprites at one place, and their pixels' centers as complex numbers, up is imaginary."""
    at = (np.arange(size) + 0.5) / size
    x, y = FACTORS[3].values[factors[0, 3]], FACTORS[4].values[factors[0, 4]]
    return draw_sprites(factors, size=size)[..., 0], (at - x)[None] - 1j * (at - y)[:, None]


@pytest.mark.parametrize(("shape", "turns", "phase"), [(0, 4, -1), (1, 2, 1), (2, 3, 1j)])
def test_orientation_is_that_of_the_moments(shape: int, turns: int, phase: complex) -> None:
    """Turning a shape by an angle multiplies E w^n, of points w, by exp(i n angle).

    The corners of a square are at odd multiples of 45 degrees, those of a heart at -90, 30 and 150.
    """
    images, points = _around_center(np.array([[shape, 5, k, 16, 16] for k in range(40)]), 256)
    moments = np.sum(images * points**turns, axis=(1, 2)) / phase
    got = np.angle(moments * np.exp(-1j * turns * FACTORS[2].values)) / turns
    np.testing.assert_allclose(got, 0.0, atol=0.02)


def test_a_heart_has_its_point_below() -> None:
    images, points = _around_center(np.array([[2, 5, 0, 16, 16]]), 256)
    widths = images[0].sum(axis=1)
    rows = np.flatnonzero(widths)
    assert widths[rows[-1]] < 4 < widths[rows[0]] < widths[rows[len(rows) // 3]]
    assert abs(points[images[0].astype(bool)].mean()) < 0.001  # its centroid is its center


def test_smaller_images_show_the_same_sprites() -> None:
    factors = _some(200)
    for one, other in zip(_centers(draw_sprites(factors, size=32)), _centers(draw_sprites(factors)), strict=True):
        np.testing.assert_allclose(one, other, atol=1.2 / 64)
