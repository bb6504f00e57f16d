"""Denoising by tiles against the whole image, and qualities against scikit-image."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage
from skimage import metrics

from aejax.evaluation.denoising import denoise_tiled, peak_signal_to_noise_ratio, quality, tiles

RNG = np.random.default_rng(0)


@given(
    height=st.integers(1, 70),
    width=st.integers(1, 70),
    reach=st.integers(0, 6),
    stride=st.sampled_from([1, 2, 4]),
    room=st.integers(1, 20),
    channels=st.sampled_from([(), (2,)]),
)
def test_denoising_by_tiles_equals_denoising_the_whole_image(height, width, reach, stride, room, channels):
    """The filter has the given reach and stride: a mean around each pixel, then the first pixel of each block."""

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
    with pytest.raises(ValueError, match="tile must exceed twice the overlap of 8 pixels, got 16 pixels"):
        tiles(50, tile=19, reach=5, stride=4)


@pytest.mark.slow_after_first
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


def test_vectors_and_small_images_have_no_similarity():
    assert quality([np.zeros(9)], [np.ones(9)]) == (1.0, 0.0, None)
    assert quality([np.zeros((6, 9))], [np.ones((6, 9))]).ssim is None
    assert quality([np.zeros((8, 8), np.float32)], [np.zeros((8, 8), np.float32)]) == (0.0, 120.0, pytest.approx(1.0))


def test_the_result_has_the_dtype_that_denoise_returns():
    image = np.arange(90, dtype=np.uint8).reshape(9, 10)
    result = denoise_tiled(lambda part: part / 2, image, tile=5, reach=1, stride=1)
    np.testing.assert_array_equal(result, image / 2)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float16, np.float64, bool])
def test_images_of_any_type_are_measured_as_their_numbers(dtype):
    """As bytes, the difference of 0 and 200 would wrap to 56."""
    clean, wrong = (RNG.integers(0, 2 if dtype is bool else 256, size=(9, 11)).astype(dtype) for _ in range(2))
    peak = 1.0 if dtype is bool else 255.0
    expected = quality([clean.astype(np.float64)], [wrong.astype(np.float64)], peak=peak)
    assert quality([clean], [wrong], peak=np.float64(peak)) == expected
    assert expected.rmse == pytest.approx(np.sqrt(np.mean((clean.astype(float) - wrong.astype(float)) ** 2)))
    assert quality([clean.tolist()], [wrong.tolist()], peak=peak) == expected


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
def test_the_ratio_does_not_depend_on_the_unit(scale):
    clean, wrong = np.zeros((8, 8)), np.full((8, 8), 0.1 * scale)
    assert quality([clean], [wrong], peak=scale).psnr == pytest.approx(20)
    assert peak_signal_to_noise_ratio(1e-2 * scale**2, scale) == pytest.approx(20)
    assert quality([clean], [clean], peak=scale).psnr == 120


def test_a_signal_without_a_range_has_an_error_and_no_ratio():
    assert quality([np.zeros((8, 8))], [np.ones((8, 8))], peak=0.0) == (1.0, None, None)


@pytest.mark.parametrize(
    ("clean", "results", "complaint"),
    [
        ([np.zeros((5, 5))], [np.zeros((5, 5, 1))], r"clean has \(5, 5\), results has \(5, 5, 1\)"),
        ([np.zeros((5, 5))], [np.zeros(5)], "shapes must be equal"),
        ([np.zeros((5, 5))], [], "got 1 and 0"),
        ([], [], "got 0 and 0"),
        ([np.zeros((0, 5))], [np.zeros((0, 5))], "not empty"),
        ([np.full((5, 5), "a")], [np.zeros((5, 5))], "clean images must hold real numbers"),
    ],
)
def test_images_that_do_not_fit_are_refused(clean, results, complaint):
    with pytest.raises((TypeError, ValueError), match=complaint):
        quality(clean, results)


@pytest.mark.parametrize(
    ("image", "arguments", "complaint"),
    [
        (np.zeros(9), {}, "image must have shape"),
        (np.zeros((0, 9)), {}, "image must have shape"),
        (np.zeros((9, 9)), {"stride": 0}, "stride must be at least 1"),
        (np.zeros((9, 9)), {"reach": -1}, "reach must be at least 0"),
        (np.zeros((9, 9)), {"tile": 4.0}, "tile must be an integer"),
        (np.zeros((9, 9)), {"denoise": lambda x: x[..., None]}, "shapes must be equal"),
        (np.zeros((9, 9)), {"denoise": lambda x: x.mean(), "tile": 50}, "shapes must be equal"),
    ],
)
def test_invalid_tiles_are_refused(image, arguments, complaint):
    denoise = arguments.pop("denoise", lambda x: x)
    with pytest.raises((TypeError, ValueError), match=complaint):
        denoise_tiled(denoise, image, **({"tile": 5, "reach": 1, "stride": 1} | arguments))


@pytest.mark.parametrize("offset", [0.0, 1e6, 1e9])
def test_similarity_is_exact_with_a_large_offset(offset):
    rng = np.random.default_rng(0)
    clean = offset + rng.random((9, 9))
    noisy = clean + 0.2 * rng.random((9, 9))
    x, y = (np.lib.stride_tricks.sliding_window_view(image, (7, 7)).reshape(9, 49) for image in (clean, noisy))
    luminance = 1 - np.square(np.mean(x - y, 1)) / (np.square(x.mean(1)) + np.square(y.mean(1)) + 1e-4)
    both = [np.cov(one, other) for one, other in zip(x, y, strict=True)]
    structure = np.array([(2 * c[0, 1] + 9e-4) / (c[0, 0] + c[1, 1] + 9e-4) for c in both])
    assert quality([clean], [noisy]).ssim == pytest.approx(np.mean(luminance * structure), rel=1e-5)
