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
def test_the_error_of_uniform_codes_is_a_twelfth_of_the_squared_cell_width(bits):
    codes = RNG.uniform(LOW, HIGH, size=(200_000, 2))
    symbols = quantize(codes, LOW, HIGH, bits=bits)
    assert (symbols.min(), symbols.max()) == (0, 2**bits - 1)
    errors = np.square(dequantize(symbols, LOW, HIGH, bits=bits) - codes).mean(axis=0)
    np.testing.assert_allclose(errors, ((HIGH - LOW) / 2**bits) ** 2 / 12, rtol=0.01)  # 4.5 standard errors


def test_codes_beyond_the_range_and_units_with_an_empty_range():
    symbols = quantize(np.array([[-9.0, 5.0], [9.0, 5.0]]), np.array([-1.0, 5.0]), np.array([1.0, 5.0]), bits=2)
    assert symbols.tolist() == [[0, 0], [3, 0]]
    assert dequantize(symbols, np.array([-1.0, 5.0]), np.array([1.0, 5.0]), bits=2)[:, 1].tolist() == [5.0, 5.0]
    for bits in (0, 17):
        with pytest.raises(ValueError, match=f"bits must be between 1 and 16, got {bits}"):
            quantize(np.ones((1, 2)), LOW, HIGH, bits=bits)


def test_uniform_symbols_cost_all_their_bits():
    probabilities = np.full((3, 16), 1 / 16)
    assert code_length(RNG.integers(16, size=(5, 3)), probabilities).tolist() == [12.0] * 5


def test_the_code_length_of_long_data_is_their_entropy():
    truth = np.array([0.5, 0.25, 0.2, 0.05])
    symbols = RNG.choice(4, p=truth, size=(100_000, 2))
    probabilities = symbol_probabilities(symbols, count=4)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert code_length(symbols, probabilities).mean() == pytest.approx(2 * stats.entropy(truth, base=2), abs=0.02)


def test_code_lengths_follow_the_training_codes():
    low_and_high = np.array([[0.0], [1.0]], np.float32)
    train = Dataset(np.repeat(low_and_high, [3, 1], axis=0))
    test = Dataset(np.repeat(low_and_high, [1, 9], axis=0))
    (point,) = rate_of_codes(Splits(train, train, test), lambda codes: codes, test.x, bits=[1])
    assert point.bits == pytest.approx(-0.1 * np.log2(3.5 / 5) - 0.9 * np.log2(1.5 / 5))


def test_the_error_is_small_with_many_bits_and_large_with_few():
    parts = [RNG.normal(size=(size, 3)).astype(np.float32) for size in (500, 10, 200)]
    codes = Splits(*(Dataset(part) for part in parts))
    coarse, fine = rate_of_codes(codes, lambda codes: 2 * codes, 2 * parts[2], bits=[2, 16])
    width = np.ptp(parts[0], axis=0) / 2**16
    assert fine.squared_error < 4 * np.max(width) ** 2 + 0.05  # but for test codes beyond the training codes' range
    assert coarse.squared_error > 20 * fine.squared_error
    assert coarse.bits < 6 < fine.bits


@pytest.mark.parametrize("channels", [(), (1,), (3,)])
@pytest.mark.parametrize("as_sheet", [False, True])
def test_image_files_have_the_size_and_error_of_files_written_by_hand(channels, as_sheet):
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


def test_the_rates_where_a_method_is_better_are_those_of_the_smaller_error():
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


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int64, np.float16, np.float32])
def test_codes_and_symbols_of_any_type_are_their_numbers(dtype):
    """Differences of bytes would wrap: 3 - 10 is 249."""
    codes, low, high = np.array([[3], [10], [100], [200]]), np.array([10]), np.array([110])
    expected = [[0], [0], [14], [15]]
    symbols = quantize(codes.astype(dtype), low.astype(dtype), high.astype(dtype), bits=4)
    assert symbols.tolist() == expected
    middles = 10 + (np.array(expected) + 0.5) * 100 / 16
    np.testing.assert_array_equal(dequantize(symbols.astype(dtype), low.astype(dtype), high, bits=np.int8(4)), middles)
    probabilities = symbol_probabilities(symbols.astype(dtype), count=16)
    np.testing.assert_array_equal(probabilities, symbol_probabilities(symbols, count=16))
    np.testing.assert_array_equal(
        code_length(symbols.astype(dtype), probabilities), code_length(symbols, probabilities)
    )


def test_symbols_that_are_booleans_are_numbers_and_no_mask():
    symbols, probabilities = np.array([[False, True], [True, True]]), np.array([[0.5, 0.5], [0.75, 0.25]])
    assert code_length(symbols, probabilities).tolist() == [3.0, 3.0]
    assert symbol_probabilities(symbols, count=2).tolist() == [[0.5, 0.5], [0.5 / 3, 2.5 / 3]]


def test_codes_of_bytes_have_the_rate_of_their_numbers():
    parts = [RNG.integers(0, 256, size=(size, 2), dtype=np.uint8) for size in (50, 5, 20)]
    as_bytes, as_floats = (Splits(*(Dataset(part.astype(dtype)) for part in parts)) for dtype in (np.uint8, np.float32))
    decode = lambda codes: codes  # noqa: E731
    expected = rate_of_codes(as_floats, decode, parts[2].astype(float), bits=[2, 4])
    assert rate_of_codes(as_bytes, decode, parts[2], bits=[2, 4]) == expected


@pytest.mark.parametrize(
    ("function", "error", "complaint"),
    [
        (lambda: quantize(np.zeros((2, 3)), LOW, HIGH, bits=2), ValueError, r"\(examples, 2\), .* got \(2, 3\)"),
        (lambda: quantize(np.zeros((2, 2)), LOW[:1], HIGH, bits=2), ValueError, "shapes must be equal"),
        (lambda: quantize(np.zeros((2, 2)), HIGH, LOW, bits=2), ValueError, "with low <= high"),
        (lambda: quantize(np.full((2, 2), np.nan), LOW, HIGH, bits=2), ValueError, "codes must be finite"),
        (lambda: quantize(np.zeros((2, 2)), LOW, HIGH, bits=2.0), TypeError, "bits must be an integer"),
        (lambda: dequantize(np.zeros((2, 3)), LOW, HIGH, bits=2), ValueError, "2 units"),
        (lambda: dequantize(np.full((2, 2), 4), LOW, HIGH, bits=2), ValueError, "from 0 to 3, got 4"),
        (lambda: symbol_probabilities(np.array([[-1]], np.int8), count=2), ValueError, "from 0 to 1, got -1"),
        (lambda: symbol_probabilities(np.array([[2]]), count=2), ValueError, "from 0 to 1, got 2"),
        (lambda: symbol_probabilities(np.array([[0.5]]), count=2), ValueError, "got 0.5"),
        (lambda: symbol_probabilities(np.array([["a"]]), count=2), TypeError, "symbols must hold real numbers"),
        (lambda: code_length(np.array([[-1]]), np.full((1, 2), 0.5)), ValueError, "from 0 to 1, got -1"),
        (lambda: code_length(np.array([[0]]), np.full((2, 2), 0.5)), ValueError, "equally many units, got 1 and 2"),
        (lambda: error_at([], 1.0), ValueError, "no settings"),
        (lambda: rates_where_better([], []), ValueError, "no settings"),
    ],
)
def test_invalid_codes_and_symbols_are_refused(function, error, complaint):
    with pytest.raises(error, match=complaint):
        function()


def test_decoded_examples_of_another_shape_are_refused():
    codes = Splits(*(Dataset(RNG.normal(size=(4, 2)).astype(np.float32)) for _ in range(3)))
    with pytest.raises(ValueError, match=r"x has \(4, 2\), reconstruction has \(4, 1\)"):
        rate_of_codes(codes, lambda codes: codes[:, :1], codes.test.x, bits=[4])
    with pytest.raises(ValueError, match=r"codes must have shape .* not empty"):
        rate_of_codes(codes._replace(train=Dataset(codes.train.x[:0])), lambda codes: codes, codes.test.x, bits=[4])


@pytest.mark.parametrize(
    ("images", "arguments", "complaint"),
    [
        (np.full((2, 8, 8), 255, np.uint8), {}, r"in \[0, 1\], got values from 255 to 255"),
        (np.full((2, 8, 8), -0.1), {}, r"in \[0, 1\]"),
        (np.zeros((2, 8, 8, 2)), {}, "images must have shape"),
        (np.zeros((0, 8, 8)), {}, "images must have shape"),
        (np.zeros((2, 8, 8)), {"file_format": "GIF"}, "one of JPEG, WebP, got 'GIF'"),
        (np.zeros((2, 8, 8)), {"qualities": [0]}, "between 1 and 100, got 0"),
        (np.zeros((1, 1, 70_000)), {}, "JPEG files have at most 65,500 pixels a side, got 70000x1"),
        (np.zeros((32, 1, 600)), {"file_format": "WebP", "as_sheet": True}, "16,383 pixels a side, got 19200x1"),
    ],
)
def test_images_that_no_file_can_hold_are_refused(images, arguments, complaint):
    with pytest.raises(ValueError, match=complaint):
        rate_of_image_files(images, **({"file_format": "JPEG", "qualities": [50], "as_sheet": False} | arguments))


def test_masks_are_images_of_black_and_white():
    masks = RNG.integers(2, size=(3, 16, 16))
    arguments = {"file_format": "WebP", "qualities": [50], "as_sheet": True}
    for dtype in (bool, np.uint8):
        expected = rate_of_image_files(masks.astype(np.float32), **arguments)
        assert rate_of_image_files(masks.astype(dtype), **arguments) == expected


def test_rates_do_not_depend_on_the_unit_of_the_data():
    points = [RatePoint("b", 20.0, 0.01), RatePoint("a", 10.0, 0.04)]
    small = [point._replace(squared_error=1e-20 * point.squared_error) for point in points]
    assert [point.setting for point in best_settings(small)] == ["a", "b"]
    assert error_at(small, 15.0) == pytest.approx(1e-20 * error_at(points, 15.0))
