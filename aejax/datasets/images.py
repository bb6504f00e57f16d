"""Images in PNG, JPEG and TIFF files, gray or in color: read with their bit depth, and written with it."""

import io
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageOps

from aejax.errors import UserError
from aejax.host.files import open_regular

FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".tif": "TIFF", ".tiff": "TIFF"}
_BITS = {"1": 1, "L": 8, "I;16": 16, "I;16B": 16, "I;16L": 16, "I": 16}  # of what Pillow calls modes
_BITS_PER_SAMPLE, _PHOTOMETRIC, _WHITE_IS_ZERO = 258, 262, 0  # tags of TIFF, and a value of the second
_ORIENTATION, _QUARTER_TURNS = 0x0112, (5, 6, 7, 8)  # a tag of Exif, and its values that exchange height and width
_OPTIONS: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 95, "subsampling": 0},
    "TIFF": {"compression": "tiff_deflate"},
    "PNG": {},
}
_CONVERTED = ("RGB", "RGBA", "P", "PA", "LA")  # modes that are read as colors or gray of 8 bits


class ImageFile(NamedTuple):
    """One page or picture, and what its file says of it besides."""

    pixels: np.ndarray  # (H, W), or (H, W, 3) of a file with colors, float32 in [0, 1]
    bits: int = 8  # of a pixel, or of each of its colors, in its file: 1, 8 or 16
    dpi: tuple[float, float] | None = None
    color_profile: bytes | None = None  # by which programs show the colors


def list_images(folder: Path) -> list[Path]:
    """The image files of a folder, by name; UserError where there is no such folder, or none in it."""
    if not folder.is_dir():
        raise UserError(f"{folder}: there is no such folder")
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in FORMATS)
    if not paths:
        raise UserError(f"{folder}: there are no images in it, which end in {', '.join(FORMATS)}")
    return paths


def read_gray(path: Path) -> ImageFile:
    """As `read_image`, a gray image (H, W); one that is saved with colors, all of them gray, is one too.

    Raises:
      UserError: an image with other colors; and all that `read_image` refuses.
    """
    image = read_image(path)
    if image.pixels.ndim == 2:
        return image
    try:
        return image._replace(pixels=with_channels(image.pixels, 1)[..., 0], color_profile=None)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


def with_channels(pixels: np.ndarray, channels: int) -> np.ndarray:
    """An image (H, W) or (H, W, C) as (H, W, channels), where that loses nothing.

    Gray is repeated over the channels; channels that are all equal become one.

    Raises:
      UserError: channels that differ where fewer are expected, or another number of them than 1.

    >>> with_channels(np.zeros((4, 5)), 3).shape, with_channels(np.ones((4, 5, 3)), 1).shape
    ((4, 5, 3), (4, 5, 1))
    """
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    if pixels.shape[2] == channels:
        return pixels
    if pixels.shape[2] > 1 and not np.all(pixels == pixels[..., :1]):
        expected = "gray" if channels == 1 else f"of {channels} channels"
        raise UserError(f"is in color, and images are to be {expected}; convert it first")
    return np.repeat(pixels[..., :1], channels, axis=2)


def read_image(path: Path) -> ImageFile:
    """An image of 1, 8 or 16 bits, or in color of 8 bits, turned upright where the file says how.

    Gray of 2 or 4 bits is read as of 8, a palette as the colors that it stands for. Of an image that could be
    transparent, and is not, transparency is left out.

    Raises:
      UserError: a file that is missing, no image, damaged, transparent, of several pages, of colors that are not red,
        green and blue, or of another depth.
    """
    try:
        with (
            open_regular(path) as file,
            warnings.catch_warnings(action="ignore"),  # of what it can mend
            Image.open(file) as image,
        ):
            if image.format not in FORMATS.values():
                raise UserError(f"{path}: is a {image.format} file; images are read from PNG, JPEG and TIFF files")
            if (images := getattr(image, "n_frames", 1)) > 1:
                raise UserError(f"{path}: holds {images} images; save each to a file of its own")
            if image.mode not in _BITS and image.mode not in _CONVERTED:
                raise UserError(f"{path}: its colors are {image.mode}; convert it to RGB or to gray first")
            bits, dpi = _BITS.get(image.mode, 8), image.info.get("dpi")
            color_profile = image.info.get("icc_profile")
            _check_depth(image, path)
            if dpi is not None and image.getexif().get(_ORIENTATION) in _QUARTER_TURNS:
                dpi = dpi[::-1]
            upright = ImageOps.exif_transpose(image)
            is_plain = image.mode in _BITS and "transparency" not in image.info
            pixels = np.asarray(upright) if is_plain else _opaque(upright, path)
            if bits == 16 and image.format == "TIFF" and _tag(image, _PHOTOMETRIC) == _WHITE_IS_ZERO:
                pixels = 65535 - pixels  # Pillow does so with fewer bits
    except UserError:
        raise
    except Image.DecompressionBombError as error:
        raise UserError(
            f"{path}: has more than {2 * (Image.MAX_IMAGE_PIXELS or 0):,} pixels; cut it in parts"
        ) from error
    except Exception as error:  # a damaged file ends in errors of Pillow, zlib, struct: of no common type
        raise UserError(f"{path}: cannot be read as an image, it is damaged or none") from error
    return ImageFile(pixels.astype(np.float32) / np.float32(2**bits - 1), bits, dpi, color_profile)


def _tag(image: Any, number: int) -> Any:
    """Of a TIFF file; None where it has none."""
    return image.tag_v2.get(number)


def _opaque(image: Any, path: Path) -> np.ndarray:
    """The levels (H, W) or (H, W, 3) of an image with colors or transparency; UserError where one sees through it."""
    if image.mode == "RGB" and "transparency" not in image.info:
        return np.asarray(image)
    if image.mode.startswith("I"):
        raise UserError(f"{path}: may be transparent in places; lay it on a background first")
    pixels = np.asarray(image.convert("RGBA"))
    if pixels[..., 3].min() < 255:
        raise UserError(f"{path}: is transparent in places; lay it on a background first")
    if image.mode == "1":
        return np.asarray(image)
    return pixels[..., 0] if image.mode in ("L", "LA") else pixels[..., :3]


def _check_depth(image: Any, path: Path) -> None:
    """Raise UserError for a file whose white is not known, or of which Pillow would read the half of every number.

    Of a TIFF file Pillow gives 12 bits, and 32, as it gives 16; colors of 16 bits, of any file, as of 8.
    """
    if image.format == "TIFF":
        depths = set(_tag(image, _BITS_PER_SAMPLE) or (_BITS.get(image.mode, 8),))
    else:
        depths = {16} if any(";16" in str(tile.args) for tile in image.tile) else {_BITS.get(image.mode, 8)}
    allowed = (1, 2, 4, 8, 16) if image.mode in _BITS else (1, 2, 4, 8)
    if wrong := sorted(depths.difference(allowed)):
        expected = "8 or 16" if image.mode in _BITS else "8"
        raise UserError(
            f"{path}: has {wrong[0]} bits a pixel{'' if image.mode in _BITS else ' and color'}; save it with {expected}"
        )


def encode_image(image: ImageFile, file_format: str) -> bytes:
    """The content of a file in one of `FORMATS`, with the image's bit depth; what lies beyond [0, 1] is clipped.

    A JPEG file has 8 bits in any case, and loses a little; so has an image in color.
    """
    bits = 8 if file_format == "JPEG" or image.pixels.ndim == 3 else image.bits
    levels = np.round(np.clip(image.pixels, 0, 1) * (2**bits - 1))
    pixels = levels.astype(bool if bits == 1 else np.uint16 if bits == 16 else np.uint8)
    known = {"dpi": image.dpi, "icc_profile": image.color_profile}
    content = io.BytesIO()
    options = _OPTIONS[file_format] | {name: value for name, value in known.items() if value is not None}
    Image.fromarray(pixels).save(content, file_format, **options)
    return content.getvalue()


def write_image(path: Path, image: ImageFile) -> None:
    """Write an image as `encode_image` does, in the format of the file's name."""
    path.write_bytes(encode_image(image, FORMATS[path.suffix.lower()]))
