"""Rate and distortion against closed forms, entropies of scipy, and files written by hand."""

import io
import itertools

import numpy as np
import pytest
from PIL import Image
from scipy import stats

from aejax.datasets.dataset import Dataset, Splits
from aejax.evaluation.compression import (
    RatePoint,
    best_settings,
    code_length,
    dequantize,
    error_at,
    quantize,
    rate_of_codes,
    rate_of_image_files,
    rates_where_better,
    symbol_probabilities,
)

RNG = np.random.default_rng(0)
LOW, HIGH = np.array([-1.0, 0.0]), np.array([1.0, 3.0])


@pytest.mark.parametrize("bits", [1, 3, 8])
def test_the_error_of_uniform_codes_is_that_of_the_cell(bits):
    codes = RNG.uniform(LOW, HIGH, size=(200_000, 2))
    symbols = quantize(codes, LOW, HIGH, bits=bits)
    assert (symbols.min(), symbols.max()) == (0, 2**bits - 1)
    errors = np.square(dequantize(symbols, LOW, HIGH, bits=bits) - codes).mean(axis=0)
    np.testing.assert_allclose(errors, ((HIGH - LOW) / 2**bits) ** 2 / 12, rtol=0.01)  # 4.5 standard errors


def test_codes_beyond_the_range_and_units_without_one():
    symbols = quantize(np.array([[-9.0, 5.0], [9.0, 5.0]]), np.array([-1.0, 5.0]), np.array([1.0, 5.0]), bits=2)
    assert symbols.tolist() == [[0, 0], [3, 0]]
    assert dequantize(symbols, np.array([-1.0, 5.0]), np.array([1.0, 5.0]), bits=2)[:, 1].tolist() == [5.0, 5.0]
    for bits in (0, 17):
        with pytest.raises(ValueError, match=f"bits must be between 1 and 16, got {bits}"):
            quantize(np.ones((1, 2)), LOW, HIGH, bits=bits)


def test_uniform_symbols_cost_all_their_bits():
    probabilities = np.full((3, 16), 1 / 16)
    assert code_length(RNG.integers(16, size=(5, 3)), probabilities).tolist() == [12.0] * 5


def test_the_length_of_long_data_is_their_entropy():
    truth = np.array([0.5, 0.25, 0.2, 0.05])
    symbols = RNG.choice(4, p=truth, size=(100_000, 2))
    probabilities = symbol_probabilities(symbols, count=4)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert code_length(symbols, probabilities).mean() == pytest.approx(2 * stats.entropy(truth, base=2), abs=0.02)


def test_symbols_cost_what_the_training_codes_say_they_do():
    low_and_high = np.array([[0.0], [1.0]], np.float32)
    train = Dataset(np.repeat(low_and_high, [3, 1], axis=0))
    test = Dataset(np.repeat(low_and_high, [1, 9], axis=0))
    (point,) = rate_of_codes(Splits(train, train, test), lambda codes: codes, test.x, bits=[1])
    assert point.bits == pytest.approx(-0.1 * np.log2(3.5 / 5) - 0.9 * np.log2(1.5 / 5))


def test_codes_of_many_bits_lose_nothing_and_of_few_bits_much():
    parts = [RNG.normal(size=(size, 3)).astype(np.float32) for size in (500, 10, 200)]
    codes = Splits(*(Dataset(part) for part in parts))
    coarse, fine = rate_of_codes(codes, lambda codes: 2 * codes, 2 * parts[2], bits=[2, 16])
    width = np.ptp(parts[0], axis=0) / 2**16
    assert fine.squared_error < 4 * np.max(width) ** 2 + 0.05  # but for test codes beyond the training codes' range
    assert coarse.squared_error > 20 * fine.squared_error
    assert coarse.bits < 6 < fine.bits


@pytest.mark.parametrize("channels", [(), (1,), (3,)])
@pytest.mark.parametrize("as_sheet", [False, True])
def test_image_files_are_as_large_and_as_wrong_as_those_written_by_hand(channels, as_sheet):
    images = RNG.uniform(size=(5, 8, 16, *channels)).astype(np.float32)
    (point,) = rate_of_image_files(images, file_format="JPEG", qualities=[60], as_sheet=as_sheet)
    pixels = np.round(255 * images).astype(np.uint8)
    pixels = pixels[..., 0] if channels == (1,) else pixels
    pages = [np.concatenate(list(pixels), axis=1)] if as_sheet else list(pixels)
    size, error = 0, 0.0
    for number, page in enumerate(pages):
        file = io.BytesIO()
        Image.fromarray(page).save(file, "JPEG", quality=60, optimize=True)
        size += len(file.getvalue())
        expected = np.concatenate(list(images), axis=1) if as_sheet else images[number]
        error += np.sum(np.square(np.asarray(Image.open(file), np.float64) / 255 - expected.reshape(page.shape)))
    assert point.bits == 8 * size / 5
    assert point.squared_error == pytest.approx(error / images.size, rel=1e-5)


def test_more_images_than_a_row_of_the_sheet_come_back_in_order():
    images = np.broadcast_to(np.linspace(0, 1, 70)[:, None, None], (70, 16, 16)).astype(np.float32)
    (point,) = rate_of_image_files(images, file_format="WebP", qualities=[100], as_sheet=True)
    assert point.squared_error < 1e-4


def test_the_error_at_a_rate_follows_the_better_settings():
    points = [RatePoint("worse", 12.0, 0.05), RatePoint("b", 20.0, 0.01), RatePoint("a", 10.0, 0.04)]
    assert error_at(points, 10.0) == pytest.approx(0.04)
    assert error_at(points, 12.5) == pytest.approx(0.04 ** (3 / 4) * 0.01 ** (1 / 4))
    assert error_at(points, 99.0) == pytest.approx(0.01)
    assert error_at(points, 9.0) is None
    of_no_use = RatePoint("on the bad side of the way from one to the other", 15.0, 0.021)
    assert best_settings([*points, of_no_use]) == best_settings(points) == [points[2], points[1]]
    of_use = of_no_use._replace(squared_error=0.019)
    assert best_settings([*points, of_use]) == [points[2], of_use, points[1]]


def test_the_rates_where_a_way_is_better_are_those_of_the_smaller_error():
    rng = np.random.default_rng(0)
    for _ in range(20):
        ways = [
            [RatePoint("", *values) for values in zip(rng.uniform(5, 50, 6), rng.uniform(0.01, 1, 6), strict=True)]
            for _ in range(2)
        ]
        found = rates_where_better(*ways)
        assert all(earlier[1] < later[0] for earlier, later in itertools.pairwise(found))
        for bits in rng.uniform(0, 60, 50):
            first, second = (error_at(way, bits) for way in ways)
            inside = any(low <= bits <= high for low, high in found)
            assert inside == (None not in (first, second) and first < second)
    assert rates_where_better(ways[0], ways[0]) == []
