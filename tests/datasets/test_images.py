"""Image files: every format, bit depth and color comes back, what cannot be read is refused in one line."""

import contextlib
import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from aejax.datasets.images import ImageFile, list_images, read_gray, read_image, with_channels, write_image
from aejax.errors import UserError

RNG = np.random.default_rng(0)
COLORS = np.arange(7 * 5 * 3, dtype=np.uint8).reshape(7, 5, 3)
GRAY = np.arange(100, 135, dtype=np.uint8).reshape(7, 5)


def write_deep_png(path, levels):
    """A PNG file of 16 bits with channels (H, W, C), which Pillow cannot write."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    height, width, channels = levels.shape
    header = struct.pack(">IIBBBBB", width, height, 16, {2: 4, 3: 2, 4: 6}[channels], 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in levels)
    content = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + content)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_colors_come_back_bit_for_bit_with_their_profile(tmp_path, suffix):
    Image.fromarray(COLORS).save(tmp_path / f"in{suffix}", dpi=(300, 300), icc_profile=b"a profile of sixteen")
    image = read_image(tmp_path / f"in{suffix}")
    assert (image.bits, image.pixels.dtype, image.color_profile) == (8, np.float32, b"a profile of sixteen")
    np.testing.assert_allclose(image.pixels, COLORS / 255, atol=1e-7)
    write_image(tmp_path / f"out{suffix}", image)
    with Image.open(tmp_path / f"out{suffix}") as written:
        assert (written.mode, written.info["icc_profile"]) == ("RGB", b"a profile of sixteen")
        np.testing.assert_array_equal(np.asarray(written), COLORS)


def test_colors_in_jpeg_are_nearly_what_they_were(tmp_path):
    smooth = np.stack([np.add.outer(np.linspace(0, a, 64), np.linspace(0, 1 - a, 48)) for a in (0.2, 0.5, 0.8)], axis=2)
    write_image(tmp_path / "a.jpg", ImageFile(smooth))
    np.testing.assert_allclose(read_image(tmp_path / "a.jpg").pixels, smooth, atol=0.02)


def test_colors_are_turned_upright(tmp_path):
    picture = Image.fromarray(COLORS)
    exif = picture.getexif()
    exif[0x0112] = 6
    picture.save(tmp_path / "a.png", exif=exif)
    np.testing.assert_allclose(read_image(tmp_path / "a.png").pixels * 255, np.rot90(COLORS, -1), atol=1e-4)


def test_a_palette_and_what_could_be_transparent_are_the_colors_they_stand_for(tmp_path):
    few = np.zeros((7, 5, 3), np.uint8)
    few[2:4], few[:, 3] = (255, 10, 0), (0, 0, 200)
    palette = Image.fromarray(few).quantize(8)
    gray_palette = Image.fromarray(GRAY).convert("P")
    opaque = Image.fromarray(np.dstack([COLORS, np.full((7, 5), 255, np.uint8)]))
    opaque_gray = Image.fromarray(GRAY).convert("LA")
    cases = {"palette": (palette, few), "opaque": (opaque, COLORS), "opaque_gray": (opaque_gray, GRAY)}
    cases["gray_palette"] = (gray_palette, np.repeat(GRAY[..., None], 3, axis=2))
    for name, (picture, expected) in cases.items():
        for suffix in (".png", ".tif"):
            picture.save(tmp_path / f"{name}{suffix}")
            pixels = read_image(tmp_path / f"{name}{suffix}").pixels
            np.testing.assert_allclose(pixels * 255, expected, atol=1e-4, err_msg=f"{name}{suffix}")


def test_gray_that_is_saved_with_colors_is_gray(tmp_path):
    save(tmp_path / "a.png", np.repeat(GRAY[..., None], 3, axis=2))
    image = read_gray(tmp_path / "a.png")
    np.testing.assert_allclose(image.pixels * 255, GRAY, atol=1e-4)


def test_channels():
    colors, gray = COLORS / 255, GRAY / 255
    assert with_channels(colors, 3) is colors
    np.testing.assert_array_equal(with_channels(gray, 1)[..., 0], gray)
    np.testing.assert_array_equal(with_channels(gray, 4), np.repeat(gray[..., None], 4, axis=2))
    np.testing.assert_array_equal(with_channels(np.repeat(gray[..., None], 3, axis=2), 1)[..., 0], gray)
    for channels, message in ((1, "is in color, but the image must be gray"), (4, "must be of 4 channels")):
        with pytest.raises(UserError, match=message):
            with_channels(colors, channels)


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        (Image.new("RGBA", (4, 4), (9, 8, 7, 254)), "has transparent pixels; flatten it onto a background first"),
        (Image.new("LA", (4, 4), (9, 0)), "has transparent pixels"),
        (Image.new("CMYK", (4, 4)), "its colors are CMYK; convert it to RGB or to gray first"),
        (Image.new("YCbCr", (4, 4)), "its colors are YCbCr"),
        (Image.new("LAB", (4, 4)), "its colors are LAB"),
        (Image.new("F", (4, 4)), "its colors are F"),
        (Image.new("I", (4, 4)), "has 32 bits per pixel; save it with 8 or 16"),
    ],
)
def test_colors_that_are_refused_by_name(tmp_path, picture, message):
    for name in ("a.tif", *(["a.png"] if picture.mode in ("RGBA", "LA") else [])):
        picture.save(tmp_path / name)
        for read in (read_image, read_gray):
            with pytest.raises(UserError, match=f"{name}: {message}"):
                read(tmp_path / name)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB"])
def test_a_transparent_level_or_color_is_refused(tmp_path, mode):
    picture = Image.fromarray(GRAY).convert(mode)
    picture.save(tmp_path / "a.png", transparency=picture.getpixel((2, 1)))
    with pytest.raises(UserError, match="has transparent pixels"):
        read_image(tmp_path / "a.png")


@pytest.mark.parametrize("channels", [2, 3, 4])
def test_colors_of_16_bits_are_not_read_as_of_8(tmp_path, channels):
    write_deep_png(tmp_path / "a.png", RNG.integers(65536, size=(4, 5, channels)))
    with pytest.raises(UserError, match="has 16 bits per color; save it with 8"):
        read_image(tmp_path / "a.png")


@pytest.mark.parametrize("suffix", [".png", ".tif", ".TIFF"])
@pytest.mark.parametrize("bits", [1, 8, 16])
def test_lossless_files_come_back_bit_for_bit(tmp_path, suffix, bits):
    levels = RNG.integers(2**bits, size=(7, 5))
    levels[0, :2] = [0, 2**bits - 1]
    path = tmp_path / f"page{suffix}"
    write_image(path, ImageFile(levels / (2**bits - 1), bits, (300, 300)))
    image = read_gray(path)
    assert (image.bits, image.pixels.shape, image.pixels.dtype) == (bits, (7, 5), np.float32)
    np.testing.assert_array_equal(np.round(image.pixels * (2**bits - 1)), levels)
    assert image.dpi == pytest.approx((300, 300), rel=1e-3)
    with Image.open(path) as by_pillow:
        assert by_pillow.size == (5, 7)
        np.testing.assert_array_equal(np.asarray(by_pillow).astype(int), levels)


def test_what_lies_beyond_black_and_white_is_clipped(tmp_path):
    write_image(tmp_path / "a.png", ImageFile(np.array([[-0.2, 0.5, 1.3]]), 8))
    with Image.open(tmp_path / "a.png") as image:
        assert np.asarray(image).tolist() == [[0, 128, 255]]


def test_jpeg_is_nearly_what_it_was(tmp_path):
    smooth = np.add.outer(np.linspace(0, 0.5, 64), np.linspace(0, 0.5, 48))
    write_image(tmp_path / "a.jpg", ImageFile(smooth, 16))
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
    with pytest.raises(UserError, match="has more than 200 pixels; cut it into smaller images"):
        read_gray(tmp_path / "a.png")


def save(path, array, **options):
    Image.fromarray(array).save(path, **options)
    return path


def test_refusals(tmp_path):
    gray = np.zeros((4, 4), np.uint8)
    cases = {
        save(tmp_path / "color.png", COLORS): "is in color, but the image must be gray; convert it first",
        save(
            tmp_path / "float.tif", np.zeros((4, 4), np.float32)
        ): "its colors are F; convert it to RGB or to gray first",
        save(tmp_path / "large.tif", np.full((4, 4), 200, np.int32)): "has 32 bits per pixel; save it with 8 or 16",
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
