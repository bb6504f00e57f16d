"""Tiles against the whole, and qualities against scikit-image."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage
from skimage import metrics

from aejax.evaluation.denoising import denoise_tiled, quality, tiles

RNG = np.random.default_rng(0)


@given(
    height=st.integers(1, 70),
    width=st.integers(1, 70),
    reach=st.integers(0, 6),
    stride=st.sampled_from([1, 2, 4]),
    room=st.integers(1, 20),
    channels=st.sampled_from([(), (2,)]),
)
def test_tiles_are_the_whole(height, width, reach, stride, room, channels):
    """Of a filter that sees so far and is tied to blocks: a mean around each pixel, then the first of each block."""

    def denoise(image):
        size = (2 * reach + 1, 2 * reach + 1, *(1 for _ in channels))
        mean = ndimage.uniform_filter(image, size, mode="constant")
        return mean[::stride, ::stride].repeat(stride, 0).repeat(stride, 1)[: image.shape[0], : image.shape[1]]

    image = np.random.default_rng(height * 71 + width).normal(size=(height, width, *channels))
    sees = reach + stride - 1
    tile = 2 * (-(-sees // stride) * stride) + stride * room
    shapes = []

    def noted(part):
        shapes.append(part.shape)
        return denoise(part)

    result = denoise_tiled(noted, image, tile=tile, reach=sees, stride=stride)
    np.testing.assert_allclose(result, denoise(image), atol=1e-12)
    assert max(max(shape[:2]) for shape in shapes) <= tile
    assert len(set(shapes)) <= 4  # what is compiled


def test_too_little_overlap_makes_seams():
    image = RNG.normal(size=(40, 40))

    def denoise(part):
        return ndimage.uniform_filter(part, 9, mode="constant")

    assert np.abs(denoise_tiled(denoise, image, tile=16, reach=3, stride=1) - denoise(image)).max() > 0.01


def test_tiles_follow_each_other():
    for size in range(1, 60):
        found = tiles(size, tile=20, reach=5, stride=4)
        assert found[0].first == 0
        assert found[-1].last == size
        assert all(one.last == other.first for one, other in itertools.pairwise(found))
        assert all(one.start % 4 == 0 and 0 <= one.start <= one.first < one.last <= one.stop <= size for one in found)
    with pytest.raises(ValueError, match="tiles of 16 pixels leave nothing without 8 on either side"):
        tiles(50, tile=19, reach=5, stride=4)


@pytest.mark.parametrize("peak", [1.0, 255.0])
def test_qualities_equal_those_of_scikit_image(peak):
    clean = [RNG.uniform(0, peak, size=shape).astype(np.float32) for shape in ((20, 31), (9, 7))]
    noisy = [np.clip(x + RNG.normal(0, 0.1 * peak, x.shape), 0, peak).astype(np.float32) for x in clean]
    measured = quality(clean, noisy, peak=peak)
    differences = np.concatenate([(x.astype(float) - y).ravel() for x, y in zip(clean, noisy, strict=True)])
    assert measured.rmse == pytest.approx(np.sqrt(np.mean(differences**2)), rel=1e-6)
    pairs = list(zip(clean, noisy, strict=True))
    ratios = [metrics.peak_signal_noise_ratio(x, y, data_range=peak) for x, y in pairs]
    similar = [metrics.structural_similarity(x, y, data_range=peak) for x, y in pairs]
    assert measured.psnr == pytest.approx(np.mean(ratios), rel=1e-5)
    assert measured.ssim == pytest.approx(np.mean(similar), abs=1e-5)


def test_what_is_no_image_has_no_similarity():
    assert quality([np.zeros(9)], [np.ones(9)]) == (1.0, 0.0, None)
    assert quality([np.zeros((6, 9))], [np.ones((6, 9))]).ssim is None
    assert quality([np.zeros((8, 8), np.float32)], [np.zeros((8, 8), np.float32)]) == (0.0, 120.0, pytest.approx(1.0))


def test_the_result_has_the_type_of_what_denoises():
    image = np.arange(90, dtype=np.uint8).reshape(9, 10)
    result = denoise_tiled(lambda part: part / 2, image, tile=5, reach=1, stride=1)
    np.testing.assert_array_equal(result, image / 2)
