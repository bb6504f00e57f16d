"""A folder of images: what is read equals what was saved, in every form; what cannot be read is refused in one line."""

import numpy as np
import pytest
from PIL import Image

from aejax.datasets.image_folder import Form, as_size, form_of, load_images
from aejax.datasets.source import Request
from aejax.datasets.sources import source_of
from aejax.datasets.stored import StoredArray
from aejax.errors import UserError

RNG = np.random.default_rng(0)
COLORS = RNG.integers(0, 256, (12, 9, 7, 3), np.uint8)
GRAY = RNG.integers(0, 256, (5, 9, 7), np.uint8)


def save(folder, images, suffix=".png", **options):
    folder.mkdir(parents=True, exist_ok=True)
    for number, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{number:03}{suffix}", **options)
    return folder


def load(folder, **knobs):
    source = source_of(str(folder))
    own = {"image_size": None, "resize": "crop", "background": None, "color": "auto"}
    return source.load(Request(str(folder)), **own | {"split_by": None, "split_order": "random"} | knobs)


@pytest.mark.parametrize(("suffix", "options"), [(".png", {}), (".TIFF", {}), (".webp", {"lossless": True})])
def test_lossless_files_come_back_in_order_from_memory_and_from_files(tmp_path, suffix, options):
    save(tmp_path / "x", COLORS, suffix, **options)
    in_memory, in_files = (load_images(tmp_path / "x", stored=stored) for stored in (False, True))
    np.testing.assert_array_equal(in_memory.x, COLORS.astype(np.float32) / np.float32(255))
    assert isinstance(in_files.x, StoredArray)
    np.testing.assert_array_equal(in_files.x[np.array([3, 0, 11])], in_memory.x[[3, 0, 11]])
    assert in_memory.labels is None


def test_subfolders_are_classes_and_other_files_are_left_out(tmp_path):
    save(tmp_path / "x" / "cat", COLORS[:5])
    save(tmp_path / "x" / "dog" / "old", COLORS[5:])
    (tmp_path / "x" / "notes.txt").write_text("no image")
    (tmp_path / "x" / "empty").mkdir()
    images = load_images(tmp_path / "x")
    assert images.labels.tolist() == ["cat"] * 5 + ["dog"] * 7
    splits = load(tmp_path / "x")
    assert sorted(label for split in splits for label in split.labels.tolist()) == ["cat"] * 5 + ["dog"] * 7
    save(tmp_path / "x", COLORS[:1])
    with pytest.raises(UserError, match=r"000.png lies beside the subfolder cat with 5 images; subfolders are classes"):
        load_images(tmp_path / "x")


def test_folders_named_train_and_test_are_the_splits(tmp_path):
    for part, classes in {"train": {"a": COLORS[:6], "b": COLORS[6:8]}, "test": {"a": COLORS[8:]}}.items():
        for name, images in classes.items():
            save(tmp_path / "x" / part / name, images)
    train, validation, test = load(tmp_path / "x")
    assert (len(train.x), len(validation.x)) == (7, 1)
    np.testing.assert_array_equal(np.round(test.x * 255), COLORS[8:])
    assert test.labels.tolist() == ["a"] * 4
    save(tmp_path / "x" / "val" / "b", COLORS[:2])
    train, validation, _ = load(tmp_path / "x")
    assert (len(train.x), validation.labels.tolist()) == (8, ["b", "b"])


def test_gray_of_8_and_16_bits_and_masks(tmp_path):
    levels = {"bytes": GRAY, "deep": GRAY.astype(np.uint16) * 257, "masks": GRAY > 99}
    for name, images in levels.items():
        save(tmp_path / name, images)
        largest = {"bytes": 255, "deep": 65535, "masks": 1}[name]
        x = load_images(tmp_path / name).x
        assert x.shape == (5, 9, 7, 1)
        np.testing.assert_allclose(x[..., 0], images.astype(np.float64) / largest, atol=1e-6)


def test_gray_beside_color_is_refused_unless_a_color_is_chosen(tmp_path):
    save(tmp_path / "x", [*COLORS[:2], GRAY[0]])
    with pytest.raises(UserError, match=r"002.png: is gray, but .*000.png is in color; choose color gray or"):
        load_images(tmp_path / "x")
    rgb, gray = (load_images(tmp_path / "x", Form(color=color)).x for color in ("rgb", "gray"))
    np.testing.assert_allclose(rgb[2], np.repeat(GRAY[0][..., None], 3, axis=2) / 255, atol=1e-6)
    luminance = np.asarray(Image.fromarray(COLORS[0]).convert("L"), np.float64)
    np.testing.assert_allclose(gray[0, ..., 0] * 255, luminance, atol=1.01)  # Pillow computes with 16 bits


def test_unequal_sizes_are_refused_without_a_size(tmp_path):
    save(tmp_path / "x", [COLORS[0], COLORS[1, :6]])
    with pytest.raises(UserError, match=r"001.png: has 6x7 pixels, but .*000.png has 9x7; .* image_size 6 7"):
        load_images(tmp_path / "x")
    assert load_images(tmp_path / "x", form_of(image_size=[4])).x.shape == (2, 4, 4, 3)


@pytest.mark.parametrize("shape", [(40, 60), (60, 40), (37, 53, 3)])
def test_a_crop_is_pillows_fit_and_a_stretch_its_resize(shape):
    from PIL import ImageOps

    pixels = RNG.uniform(0, 255, shape).astype(np.float32)
    planes = [pixels] if pixels.ndim == 2 else list(np.moveaxis(pixels, -1, 0))
    pictures = [Image.fromarray(np.ascontiguousarray(plane)) for plane in planes]
    expected = {
        "crop": [ImageOps.fit(picture, (16, 24), Image.Resampling.BICUBIC) for picture in pictures],
        "stretch": [picture.resize((16, 24), Image.Resampling.BICUBIC) for picture in pictures],
    }
    for resize, images in expected.items():
        stacked = np.stack([np.asarray(image) for image in images], axis=-1).squeeze()
        np.testing.assert_allclose(as_size(pixels, (24, 16), resize), stacked, atol=2e-3)


def test_a_padded_image_is_whole_on_its_background():
    pixels = np.full((10, 20, 3), 200, np.float32)
    padded = as_size(pixels, (20, 20), "pad", (255, 0, 0))
    np.testing.assert_allclose(padded[8:12], 200, atol=1)
    np.testing.assert_allclose(padded[:3], np.broadcast_to([255, 0, 0], (3, 20, 3)), atol=1e-3)


def test_transparent_pixels_need_a_background(tmp_path):
    alpha = np.full((9, 7, 1), 255, np.uint8)
    alpha[0] = 0
    alpha[1] = 51
    save(tmp_path / "x", [np.concatenate([COLORS[0], alpha], axis=-1)])
    with pytest.raises(UserError, match=r"has transparent pixels; .* or train with background white"):
        load_images(tmp_path / "x")
    x = load_images(tmp_path / "x", Form(background="#ff0080")).x[0] * 255
    np.testing.assert_allclose(x[0], np.broadcast_to([255, 0, 128], (7, 3)), atol=1e-3)
    np.testing.assert_allclose(x[1], 0.2 * COLORS[0, 1] + 0.8 * np.array([255, 0, 128]), atol=0.51)
    np.testing.assert_allclose(x[2:], COLORS[0, 2:], atol=1e-3)
    with pytest.raises(UserError, match="background: expected a color such as white or #f0f0f0, got 'withe'"):
        form_of(image_size=None, background="withe")


def test_photographs_are_turned_upright_and_decoded_at_a_smaller_size(tmp_path):
    rows, columns = np.mgrid[:240, :320]
    picture = np.stack([rows * 255 // 239, columns * 255 // 319, 0 * rows + 90], axis=-1).astype(np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: rotate by 90 degrees clockwise
    folder = save(tmp_path / "x", [picture], ".jpg", quality=95, exif=exif)
    small = load_images(folder, form_of(image_size=[32, 24])).x[0] * 255
    turned = as_size(np.rot90(picture, -1).astype(np.float32), (32, 24), "crop")
    np.testing.assert_allclose(small, turned, atol=4)


def test_a_damaged_file_is_named(tmp_path):
    folder = save(tmp_path / "x", COLORS[:3])
    content = (folder / "001.png").read_bytes()
    (folder / "001.png").write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError, match=r"001.png: cannot be read as an image: it is damaged or not an image"):
        load_images(folder)
    (folder / "001.png").write_text("no image")
    with pytest.raises(UserError, match=r"001.png: cannot be read as an image"):
        load_images(folder, stored=True)


def test_reading_says_how_far_it_is(tmp_path):
    said = []
    load_images(save(tmp_path / "x", COLORS), on_read=lambda *step: said.append(step))
    assert said == [("reading headers of images", 12, 12), ("decoding images", 12, 12)]


def test_an_empty_folder_and_a_size_of_three_numbers(tmp_path):
    (tmp_path / "x").mkdir()
    with pytest.raises(UserError, match=r"there are no images in it, files that end in \.png, "):
        load_images(tmp_path / "x")
    with pytest.raises(UserError, match="image_size: expected one number, or height and width, got 3 numbers"):
        form_of(image_size=[1, 2, 3])
    with pytest.raises(UserError, match="resize: pad has no effect without image_size"):
        form_of(image_size=None, resize="pad")
