"""Image files: every format and bit depth comes back, whatever is no gray image is refused in one line."""

import contextlib
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from aejax.datasets.images import GrayImage, list_images, read_gray, write_gray
from aejax.errors import UserError

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".TIFF"])
@pytest.mark.parametrize("bits", [1, 8, 16])
def test_lossless_files_come_back_bit_for_bit(tmp_path, suffix, bits):
    levels = RNG.integers(2**bits, size=(7, 5))
    levels[0, :2] = [0, 2**bits - 1]
    path = tmp_path / f"page{suffix}"
    write_gray(path, GrayImage(levels / (2**bits - 1), bits, (300, 300)))
    image = read_gray(path)
    assert (image.bits, image.pixels.shape, image.pixels.dtype) == (bits, (7, 5), np.float32)
    np.testing.assert_array_equal(np.round(image.pixels * (2**bits - 1)), levels)
    assert image.dpi == pytest.approx((300, 300), rel=1e-3)
    with Image.open(path) as by_pillow:
        assert by_pillow.size == (5, 7)
        np.testing.assert_array_equal(np.asarray(by_pillow).astype(int), levels)


def test_what_lies_beyond_black_and_white_is_clipped(tmp_path):
    write_gray(tmp_path / "a.png", GrayImage(np.array([[-0.2, 0.5, 1.3]]), 8))
    with Image.open(tmp_path / "a.png") as image:
        assert np.asarray(image).tolist() == [[0, 128, 255]]


def test_jpeg_is_nearly_what_it_was(tmp_path):
    smooth = np.add.outer(np.linspace(0, 0.5, 64), np.linspace(0, 0.5, 48))
    write_gray(tmp_path / "a.jpg", GrayImage(smooth, 16))
    image = read_gray(tmp_path / "a.jpg")
    assert image.bits == 8
    np.testing.assert_allclose(image.pixels, smooth, atol=0.01)


def test_an_image_is_turned_upright(tmp_path):
    pixels = RNG.integers(256, size=(8, 16)).astype(np.uint8)
    upright = Image.fromarray(pixels)
    exif = upright.getexif()
    exif[0x0112] = 6  # the camera was turned: to be shown after a quarter turn clockwise
    upright.save(tmp_path / "a.png", exif=exif)
    np.testing.assert_allclose(read_gray(tmp_path / "a.png").pixels * 255, np.rot90(pixels, -1), atol=1e-4)


def test_resolutions_are_turned_too(tmp_path):
    upright = Image.fromarray(np.zeros((8, 16), np.uint8))
    exif = upright.getexif()
    exif[0x0112] = 6
    upright.save(tmp_path / "a.png", exif=exif, dpi=(100, 300))
    assert read_gray(tmp_path / "a.png").dpi == pytest.approx((300, 100), rel=1e-3)


@pytest.mark.parametrize("bits", [8, 16])
def test_black_is_black_where_white_is_zero(tmp_path, bits):
    levels = np.array([[0, 1, 2**bits - 1]], np.uint8 if bits == 8 else np.uint16)
    Image.fromarray(levels).save(tmp_path / "a.tif", tiffinfo={262: 0})
    with Image.open(tmp_path / "a.tif") as image:
        assert image.tag_v2[262] == 0
    file = (tmp_path / "a.tif").read_bytes()
    stored = levels if levels.tobytes() in file else levels.max() - levels  # Pillow may turn them round to write them
    assert stored.tobytes() in file
    expected = 1 - stored / (2**bits - 1)
    np.testing.assert_allclose(read_gray(tmp_path / "a.tif").pixels, expected, atol=1e-6)


def test_a_huge_image_is_told_as_one(tmp_path, monkeypatch):
    save(tmp_path / "a.png", np.zeros((20, 20), np.uint8))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(UserError, match="has more than 200 pixels; cut it in parts"):
        read_gray(tmp_path / "a.png")


def save(path, array, **options):
    Image.fromarray(array).save(path, **options)
    return path


def test_refusals(tmp_path):
    gray = np.zeros((4, 4), np.uint8)
    cases = {
        save(tmp_path / "color.png", np.zeros((4, 4, 3), np.uint8)): "is no gray image, its colors are RGB",
        save(tmp_path / "float.tif", np.zeros((4, 4), np.float32)): "is no gray image, its colors are F",
        save(tmp_path / "large.tif", np.full((4, 4), 200, np.int32)): "has 32 bits a pixel; save it with 8 or 16",
        save(tmp_path / "two.tif", gray, save_all=True, append_images=[Image.fromarray(gray)]): "holds 2 images",
        save(tmp_path / "a.png", gray, format="BMP"): "is a BMP file",
        tmp_path / "missing.png": "no such file",
    }
    (tmp_path / "text.png").write_text("no image")
    cases[tmp_path / "text.png"] = "cannot be read as an image"
    whole = io.BytesIO()
    Image.fromarray(RNG.integers(256, size=(64, 64)).astype(np.uint8)).save(whole, "PNG")
    (tmp_path / "cut.png").write_bytes(whole.getvalue()[:1000])
    cases[tmp_path / "cut.png"] = "cannot be read as an image"
    for path, complaint in cases.items():
        with pytest.raises(UserError, match=complaint) as error:
            read_gray(path)
        assert str(path) in str(error.value)
        assert "\n" not in str(error.value)


@given(st.data())
def test_any_damaged_file_is_a_users_mistake(tmp_path_factory, data):
    whole = io.BytesIO()
    file_format = data.draw(st.sampled_from(["PNG", "JPEG", "TIFF"]))
    Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16)).save(whole, file_format)
    content = bytearray(whole.getvalue())
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=8)):
        content[place] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("damaged") / "page.png"
    path.write_bytes(content)
    with contextlib.suppress(UserError):
        assert read_gray(path).pixels.ndim == 2


def test_the_images_of_a_folder(tmp_path):
    for name in ("b.PNG", "a.jpeg", "notes.txt"):
        (tmp_path / name).touch()
    assert [path.name for path in list_images(tmp_path)] == ["a.jpeg", "b.PNG"]
    with pytest.raises(UserError, match="there is no such folder"):
        list_images(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="there are no images in it"):
        list_images(tmp_path / "empty")
