"""Gray images in PNG, JPEG and TIFF files: read with their bit depth, and written with it."""

import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageOps

from aejax.errors import UserError
from aejax.files import open_regular

FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".tif": "TIFF", ".tiff": "TIFF"}
_BITS = {"1": 1, "L": 8, "I;16": 16, "I;16B": 16, "I;16L": 16, "I": 16}  # of what Pillow calls modes
_BITS_PER_SAMPLE, _PHOTOMETRIC, _WHITE_IS_ZERO = 258, 262, 0  # tags of TIFF, and a value of the second
_ORIENTATION, _QUARTER_TURNS = 0x0112, (5, 6, 7, 8)  # a tag of Exif, and its values that exchange height and width
_OPTIONS: dict[str, dict[str, Any]] = {"JPEG": {"quality": 95}, "TIFF": {"compression": "tiff_deflate"}, "PNG": {}}


class GrayImage(NamedTuple):
    """One page or picture, and what its file says of it besides."""

    pixels: np.ndarray  # (H, W) float32 in [0, 1]
    bits: int = 8  # of a pixel in its file: 1, 8 or 16
    dpi: tuple[float, float] | None = None


def list_images(folder: Path) -> list[Path]:
    """The image files of a folder, by name; UserError where there is no such folder, or none in it."""
    if not folder.is_dir():
        raise UserError(f"{folder}: there is no such folder")
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in FORMATS)
    if not paths:
        raise UserError(f"{folder}: there are no images in it, which end in {', '.join(FORMATS)}")
    return paths


def read_gray(path: Path) -> GrayImage:
    """A gray image of 1, 8 or 16 bits, turned upright where the file says how; of 2 or 4 bits as of 8.

    Raises:
      UserError: a file that is missing, no image, damaged, in color, or of several pages.
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
            if image.mode not in _BITS:
                raise UserError(f"{path}: is no gray image, its colors are {image.mode}; convert it to gray first")
            bits, dpi = _BITS[image.mode], image.info.get("dpi")
            if bits == 16 and image.format == "TIFF":
                _check_depth(image, path)
            if dpi is not None and image.getexif().get(_ORIENTATION) in _QUARTER_TURNS:
                dpi = dpi[::-1]
            pixels = np.asarray(ImageOps.exif_transpose(image))
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
    return GrayImage(pixels.astype(np.float32) / np.float32(2**bits - 1), bits, dpi)


def _tag(image: Any, number: int) -> Any:
    """Of a TIFF file; None where it has none."""
    return image.tag_v2.get(number)


def _check_depth(image: Any, path: Path) -> None:
    """Raise UserError for a TIFF file whose white is not known: Pillow gives 12 bits, and 32, as it gives 16."""
    (bits, *_) = _tag(image, _BITS_PER_SAMPLE) or (16,)
    if bits != 16:
        raise UserError(f"{path}: has {bits} bits a pixel; save it with 8 or 16")


def write_gray(path: Path, image: GrayImage) -> None:
    """Write a gray image with its bit depth, in the format of the file's name; what lies beyond [0, 1] is clipped.

    A JPEG file has 8 bits in any case, and loses a little.
    """
    file_format = FORMATS[path.suffix.lower()]
    bits = 8 if file_format == "JPEG" else image.bits
    levels = np.round(np.clip(image.pixels, 0, 1) * (2**bits - 1))
    pixels = levels.astype(bool if bits == 1 else np.uint16 if bits == 16 else np.uint8)
    known = {} if image.dpi is None else {"dpi": image.dpi}
    Image.fromarray(pixels).save(path, file_format, **_OPTIONS[file_format], **known)
