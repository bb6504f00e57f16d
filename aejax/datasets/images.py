"""Images in PNG, JPEG, TIFF and WebP files, gray or in color, read and written with their bit depth."""

import contextlib
import io
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageOps

from aejax.errors import UserError
from aejax.host.files import open_regular

FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".tif": "TIFF", ".tiff": "TIFF", ".webp": "WEBP"}
_BITS = {"1": 1, "L": 8, "I;16": 16, "I;16B": 16, "I;16L": 16, "I": 16}  # of a pixel, by Pillow's mode
_BITS_PER_SAMPLE, _PHOTOMETRIC, _WHITE_IS_ZERO = 258, 262, 0  # two tags of TIFF, and a value of the second
_ORIENTATION, _QUARTER_TURNS = 0x0112, (5, 6, 7, 8)  # a tag of Exif, and its values that swap height and width
_OPTIONS: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 95, "subsampling": 0},
    "TIFF": {"compression": "tiff_deflate"},
    "PNG": {},
    "WEBP": {"lossless": True},
}
_FLATTEN = "flatten it onto a background first"
_CONVERTED = ("RGB", "RGBA", "P", "PA", "LA")  # modes that are read as colors or gray of 8 bits


class ImageFile(NamedTuple):
    """The pixels of one image, and the metadata of its file."""

    pixels: np.ndarray  # (H, W), or (H, W, 3) if the file has colors, float32 in [0, 1]
    bits: int = 8  # of a pixel, or of each of its colors, in the file: 1, 8 or 16
    dpi: tuple[float, float] | None = None
    color_profile: bytes | None = None  # the ICC profile


def list_images(folder: Path) -> list[Path]:
    """Returns the paths of a folder's image files, sorted by name.

    Raises:
      UserError: the folder does not exist, or has no images.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: there is no such folder")
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in FORMATS)
    if not paths:
        raise UserError(f"{folder}: there are no images in it, files that end in {', '.join(FORMATS)}")
    return paths


def read_gray(path: Path) -> ImageFile:
    """Returns a gray image (H, W) from a file, which may be saved in color if all its colors are gray.

    Raises:
      UserError: the image has other colors, or cannot be read (see `read_image`).
    """
    image = read_image(path)
    if image.pixels.ndim == 2:
        return image
    try:
        return image._replace(pixels=with_channels(image.pixels, 1)[..., 0], color_profile=None)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


def with_channels(pixels: np.ndarray, channels: int) -> np.ndarray:
    """Returns an image (H, W) or (H, W, C) as (H, W, channels), if that loses no information.

    Gray is repeated for every channel; channels that are all equal are gray.

    Raises:
      UserError: the image has another number of channels, and they are not all equal.

    >>> with_channels(np.zeros((4, 5)), 3).shape, with_channels(np.ones((4, 5, 3)), 1).shape
    ((4, 5, 3), (4, 5, 1))
    """
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    if pixels.shape[2] == channels:
        return pixels
    if pixels.shape[2] > 1 and not np.all(pixels == pixels[..., :1]):
        expected = "gray" if channels == 1 else f"of {channels} channels"
        raise UserError(f"is in color, but the image must be {expected}; convert it first")
    return np.repeat(pixels[..., :1], channels, axis=2)


def read_image(path: Path) -> ImageFile:
    """Returns an image with 1, 8 or 16 bits, or with 8 bits per color, rotated upright if the file has an orientation.

    Gray with 2 or 4 bits is read as 8 bits, a palette as its colors. The alpha channel of an opaque image is removed.

    Raises:
      UserError: the file is missing, damaged or not an image, or the image is transparent, has several pages, colors
        other than red, green and blue, or another bit depth.
    """
    with warnings.catch_warnings(action="ignore"), opened_image(path) as image:  # about errors that Pillow repairs
        bits, dpi = bits_of(image), image.info.get("dpi")
        color_profile = image.info.get("icc_profile")
        if dpi is not None and image.getexif().get(_ORIENTATION) in _QUARTER_TURNS:
            dpi = dpi[::-1]
        levels = levels_of(image, path)
    return ImageFile(levels.astype(np.float32) / np.float32(2**bits - 1), bits, dpi, color_profile)


@contextlib.contextmanager
def opened_image(path: Path) -> Iterator[Any]:
    """Context manager: an image of Pillow's whose header is read and checked.

    Raises:
      UserError: as `read_image`, except for transparency; errors of Pillow in the body are errors of the file.
    """
    try:
        with open_regular(path) as file, Image.open(file) as image:
            if image.format not in FORMATS.values():
                expected = "images are read from PNG, JPEG, TIFF and WebP files"
                raise UserError(f"{path}: is a {image.format} file; {expected}")
            if (images := getattr(image, "n_frames", 1)) > 1:
                raise UserError(f"{path}: holds {images} images; save each one in a separate file")
            if image.mode not in _BITS and image.mode not in _CONVERTED:
                raise UserError(f"{path}: its colors are {image.mode}; convert it to RGB or to gray first")
            _check_depth(image, path)
            yield image
    except UserError:
        raise
    except Image.DecompressionBombError as error:
        raise UserError(
            f"{path}: has more than {2 * (Image.MAX_IMAGE_PIXELS or 0):,} pixels; cut it into smaller images"
        ) from error
    except Exception as error:  # a damaged file raises errors of Pillow, zlib, struct, without a common type
        raise UserError(f"{path}: cannot be read as an image: it is damaged or not an image") from error


def bits_of(image: Any) -> int:
    """Returns the bits of a pixel, or of each of its colors: 1, 8 or 16."""
    return _BITS.get(image.mode, 8)


def upright_size(image: Any) -> tuple[int, int]:
    """Returns height and width of an opened image after it has been rotated upright."""
    width, height = image.size
    return (width, height) if image.getexif().get(_ORIENTATION) in _QUARTER_TURNS else (height, width)


def levels_of(
    image: Any, path: Path, *, background: tuple[int, int, int] | None = None, advice: str = _FLATTEN
) -> np.ndarray:
    """Returns the levels of an opened image, (H, W) or (H, W, 3), rotated upright: 0 to 2 to the power of its bits - 1.

    Args:
      image: the image of `opened_image`.
      path: its file, for messages.
      background: the color that transparent pixels are laid on; None if there must be none.
      advice: what the message about transparent pixels advises.

    Raises:
      UserError: the image is transparent, and there is no background; or it may be, and has 16 bits.
    """
    upright = ImageOps.exif_transpose(image)
    is_plain = image.mode in _BITS and "transparency" not in image.info
    levels = np.asarray(upright) if is_plain else _opaque(upright, path, background, advice)
    if bits_of(image) == 16 and image.format == "TIFF" and _tag(image, _PHOTOMETRIC) == _WHITE_IS_ZERO:
        levels = 65535 - levels  # Pillow does this only for fewer bits
    return levels


def _tag(image: Any, number: int) -> Any:
    """Returns the value of a TIFF file's tag; None if it has no such tag."""
    return image.tag_v2.get(number)


def _opaque(image: Any, path: Path, background: tuple[int, int, int] | None, advice: str) -> np.ndarray:
    """Returns the levels (H, W) or (H, W, 3) of an image with colors or alpha, laid on the background."""
    if image.mode == "RGB" and "transparency" not in image.info:
        return np.asarray(image)
    if image.mode.startswith("I"):
        raise UserError(f"{path}: may have transparent pixels; {_FLATTEN}")
    pixels = np.asarray(image.convert("RGBA"))
    is_gray = image.mode in ("L", "LA")
    if pixels[..., 3].min() < 255:
        if background is None:
            raise UserError(f"{path}: has transparent pixels; {advice}")
        alpha = pixels[..., 3:].astype(np.float32) / 255
        blended = alpha * pixels[..., :3] + (1 - alpha) * np.array(background, np.float32)
        is_gray = is_gray and len(set(background)) == 1
        pixels = np.round(blended).astype(np.uint8)
    elif image.mode == "1":
        return np.asarray(image)
    return pixels[..., 0] if is_gray else pixels[..., :3]


def _check_depth(image: Any, path: Path) -> None:
    """Raise UserError for a bit depth whose maximum is unknown, or that Pillow would truncate.

    Pillow reads 12 and 32 bits of a TIFF file in the same mode as 16 bits, and colors with 16 bits as 8 bits.
    """
    if image.format == "TIFF":
        depths = set(_tag(image, _BITS_PER_SAMPLE) or (_BITS.get(image.mode, 8),))
    else:
        depths = {16} if any(";16" in str(tile.args) for tile in image.tile) else {_BITS.get(image.mode, 8)}
    allowed = (1, 2, 4, 8, 16) if image.mode in _BITS else (1, 2, 4, 8)
    if wrong := sorted(depths.difference(allowed)):
        expected = "8 or 16" if image.mode in _BITS else "8"
        per = "pixel" if image.mode in _BITS else "color"
        raise UserError(f"{path}: has {wrong[0]} bits per {per}; save it with {expected}")


def encode_image(image: ImageFile, file_format: str) -> bytes:
    """Returns the content of an image file in one of `FORMATS`, with the image's bit depth.

    Values are clipped to [0, 1]. Images in color and JPEG files always have 8 bits; JPEG is lossy.
    """
    bits = 8 if file_format == "JPEG" or image.pixels.ndim == 3 else image.bits
    levels = np.round(np.clip(image.pixels, 0, 1) * (2**bits - 1))
    pixels = levels.astype(bool if bits == 1 else np.uint16 if bits == 16 else np.uint8)
    metadata = {"dpi": image.dpi, "icc_profile": image.color_profile}
    content = io.BytesIO()
    options = _OPTIONS[file_format] | {name: value for name, value in metadata.items() if value is not None}
    Image.fromarray(pixels).save(content, file_format, **options)
    return content.getvalue()


def write_image(path: Path, image: ImageFile) -> None:
    """Writes an image with `encode_image`, in the format of the file's suffix."""
    path.write_bytes(encode_image(image, FORMATS[path.suffix.lower()]))
