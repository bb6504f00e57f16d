"""A folder of images as a data set: gray or in color, of any size, decoded in parallel when they are needed."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal, NamedTuple, cast

import numpy as np
from PIL import Image, ImageColor

from aejax.datasets.dataset import Dataset, Splits, split, take
from aejax.datasets.division import SplitOrder
from aejax.datasets.documents import folder_of_pages
from aejax.datasets.images import FORMATS, bits_of, levels_of, opened_image, upright_size
from aejax.datasets.source import Request, Source
from aejax.datasets.split_keys import divided
from aejax.datasets.stored import LARGE, StoredArray, as_float32
from aejax.errors import ArgumentError, UserError, knob_name

Resize = Literal["crop", "stretch", "pad"]
Color = Literal["auto", "gray", "rgb"]
Progress = Callable[[str, int, int], None]  # (what is done, images done, images in all)

_SPLITS = {"train": "train", "validation": "validation", "valid": "validation", "val": "validation", "test": "test"}
_GAP = 2.0  # a JPEG file is decoded at no less than this multiple of the size that it is resized to
_GRAY_WEIGHTS = np.array([0.299, 0.587, 0.114], np.float32)  # of red, green and blue: ITU-R BT.601, as Pillow's


class Form(NamedTuple):
    """The form that all images of a data set are brought to."""

    size: tuple[int, int] | None = None  # height and width in pixels; None: their own, which must be equal
    resize: Resize = "crop"  # how another size is reached: see `as_size`
    background: str | None = None  # a name or #rrggbb: behind transparent pixels, and around an image that is padded
    color: Color = "auto"  # auto: gray if all files are gray, RGB if all are in color


AS_THEY_ARE = Form()


class ImageRows:
    """The images of a folder as rows (N, H, W, C), which several threads decode when they are needed."""

    def __init__(self, paths: Sequence[Path], folder: Path, form: Form, channels: int, bits: int) -> None:
        """Describe the rows; nothing is read.

        Args:
          paths: the files.
          folder: the folder that contains them, for messages.
          form: with a size.
          channels: 1 or 3.
          bits: 8 if no file has more, else 16: then rows are float32 in [0, 1].
        """
        assert form.size is not None
        self.path = folder
        self.shape: tuple[int, ...] = (len(paths), *form.size, channels)
        self.dtype = np.dtype(np.uint8 if bits <= 8 else np.float32)
        self._paths, self._form, self._channels = paths, form, channels

    def read(self, index: np.ndarray) -> np.ndarray:
        """Returns the images at positions `index`: bytes, or float32 in [0, 1] if a file has more than 8 bits."""
        rows = np.empty((len(index), *self.shape[1:]), self.dtype)

        def decode(place: int) -> None:
            rows[place] = self._decoded(self._paths[int(index[place])])

        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            for _ in pool.map(decode, range(len(index))):
                pass
        return rows

    def _decoded(self, path: Path) -> np.ndarray:
        form, size = self._form, (self.shape[1], self.shape[2])
        background = _color_of(form.background)
        advice = f"flatten it onto a background first, or train with {knob_name('background white')}"
        with opened_image(path) as image:
            bits = bits_of(image)
            if upright_size(image) != size:
                height, width = size if upright_size(image) == image.size[::-1] else size[::-1]
                image.draft(None, (int(_GAP * width), int(_GAP * height)))  # of JPEG files: decodes fewer pixels
            levels = levels_of(image, path, background=background, advice=advice)
        if levels.ndim == 3 and self._channels == 1:
            levels = np.round(levels @ _GRAY_WEIGHTS)
        if levels.dtype == self.dtype and levels.shape == self.shape[1:]:
            return levels
        pixels = as_size(levels.astype(np.float32) * np.float32(255 / (2**bits - 1)), size, form.resize, background)
        pixels = pixels[..., None] if pixels.ndim == 2 else pixels
        of_bytes = self.dtype == np.uint8
        pixels = np.round(np.clip(pixels, 0, 255)) if of_bytes else np.clip(pixels / 255, 0, 1)
        return np.broadcast_to(pixels, self.shape[1:])


def as_size(
    pixels: np.ndarray, size: tuple[int, int], resize: Resize, background: tuple[int, int, int] | None = None
) -> np.ndarray:
    """Returns an image at another size, by a bicubic filter that is as wide as the reduction (antialiased).

    Args:
      pixels: (H, W) or (H, W, 3) float32, levels from 0 to 255.
      size: the new height and width.
      resize: crop: the largest central part with the new aspect ratio; stretch: the whole image, its aspect ratio
        changed; pad: the whole image, with a border of the background (black if there is none).
      background: the color of the border.

    >>> as_size(np.ones((4, 8), np.float32), (8, 8), "pad")[:, 0].tolist()
    [0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0]
    >>> as_size(np.ones((4, 8), np.float32), (2, 2), "crop").tolist()
    [[1.0, 1.0], [1.0, 1.0]]
    """
    height, width = pixels.shape[:2]
    if (height, width) == tuple(size):
        return pixels
    # the part of the image that fills the new size: larger than the image if it is padded
    part: tuple[float, float] = (height, width)
    if resize != "stretch":
        scale = (min if resize == "crop" else max)(height / size[0], width / size[1])
        part = (scale * size[0], scale * size[1])
    top, left = (height - part[0]) / 2, (width - part[1]) / 2
    if resize == "pad":
        rows, columns = (int(np.ceil(max(0.0, -edge))) for edge in (top, left))
        border = np.array(background or (0, 0, 0), np.float32)
        color = border if pixels.ndim == 3 else border @ _GRAY_WEIGHTS
        padded = np.empty((height + 2 * rows, width + 2 * columns, *pixels.shape[2:]), np.float32)
        padded[:] = color
        padded[rows : rows + height, columns : columns + width] = pixels
        pixels, top, left = padded, top + rows, left + columns
    box = (left, top, left + part[1], top + part[0])
    channels = [pixels] if pixels.ndim == 2 else [pixels[..., c] for c in range(pixels.shape[2])]
    resized = [
        np.asarray(Image.fromarray(np.ascontiguousarray(each)).resize(size[::-1], Image.Resampling.BICUBIC, box))
        for each in channels
    ]
    return resized[0] if pixels.ndim == 2 else np.stack(resized, axis=-1)


def files_of(folder: Path) -> tuple[list[Path], list[str] | None]:
    """Returns the image files in a folder, or in its subfolders, whose names are their classes; sorted by name.

    Files of other kinds and hidden files are left out.

    Raises:
      UserError: there is no such folder, there are no images, or some lie beside and others in subfolders.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: there is no such folder")
    own = sorted(path for path in folder.iterdir() if _is_image(path))
    classes = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    of_class = {path.name: sorted(file for file in path.rglob("*") if _is_image(file)) for path in classes}
    of_class = {name: files for name, files in of_class.items() if files}
    if own and of_class:
        name, files = next(iter(of_class.items()))
        raise UserError(
            f"{folder}: {own[0].name} lies beside the subfolder {name} with {len(files):,} images; subfolders are "
            "classes: move every image into one, or all images out of them"
        )
    if own:
        return own, None
    paths = [file for files in of_class.values() for file in files]
    if not paths:
        raise UserError(f"{folder}: there are no images in it, files that end in {', '.join(FORMATS)}")
    return paths, [name for name, files in of_class.items() for _ in files]


def load_images(
    folder: Path,
    form: Form = AS_THEY_ARE,
    *,
    paths: Sequence[Path] | None = None,
    labels: Sequence[str] | None = None,
    stored: bool | None = None,
    on_read: Progress | None = None,
) -> Dataset:
    """Returns the images of a folder, (N, H, W, C) with C = 1 or 3, in [0, 1]; the names of subfolders are the labels.

    Images of up to one GiB together (as float32) are read into memory; of more, only the headers are read, and the
    examples are decoded when they are needed (`StoredArray`).

    Args:
      folder: the folder.
      form: the size, the colors and the background of all images.
      paths: the files; None for those of `files_of`, with their labels.
      labels: the label of each of `paths`.
      stored: whether images stay in their files; None decides by their size.
      on_read: called with the work that is done, and how much of it.

    Raises:
      UserError: there are no images; one cannot be read, or is transparent without a background; or they differ in
        size or color, and the form has none.
    """
    if paths is None:
        paths, labels = files_of(folder)
    headers = _headers(paths, on_read)
    channels = _channels_of(paths, headers, form.color)
    if form.size is None:
        form = form._replace(size=_common_size(paths, headers))
    rows = ImageRows(paths, folder, form, channels, max(header.bits for header in headers))
    names = None if labels is None else np.array(labels)
    images = StoredArray(rows).dividing_by(255 if rows.dtype == np.uint8 else 1)
    if stored or (stored is None and images.nbytes > LARGE):
        return Dataset(cast(np.ndarray, images), names)
    x = np.empty(images.shape, np.float32)
    block = 16 * (os.cpu_count() or 1)
    for start in range(0, len(x), block):
        index = np.arange(start, min(start + block, len(x)))
        x[index] = as_float32(rows.read(index), images.divided_by)
        if on_read is not None:
            on_read("decoding images", int(index[-1]) + 1, len(x))
    return Dataset(x, names)


class _Header(NamedTuple):
    """What is known of an image without decoding it."""

    size: tuple[int, int]
    is_gray: bool
    bits: int


def _headers(paths: Sequence[Path], on_read: Progress | None) -> list[_Header]:
    def header(path: Path) -> _Header:
        with opened_image(path) as image:
            return _Header(upright_size(image), image.mode in ("1", "L", "LA") or bits_of(image) > 8, bits_of(image))

    headers: list[_Header] = []
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for each in pool.map(header, paths):
            headers.append(each)
            if on_read is not None and (len(headers) % 256 == 0 or len(headers) == len(paths)):
                on_read("reading headers of images", len(headers), len(paths))
    return headers


def _channels_of(paths: Sequence[Path], headers: Sequence[_Header], color: Color) -> int:
    if color != "auto":
        return 1 if color == "gray" else 3
    gray = [header.is_gray for header in headers]
    if len(set(gray)) > 1:
        one, other = paths[gray.index(True)], paths[gray.index(False)]
        raise UserError(
            f"{one}: is gray, but {other} is in color; choose {knob_name('color gray')} or {knob_name('color rgb')}"
        )
    return 1 if gray[0] else 3


def _common_size(paths: Sequence[Path], headers: Sequence[_Header]) -> tuple[int, int]:
    size = headers[0].size
    for path, header in zip(paths, headers, strict=True):
        if header.size != size:
            height, width = (min(each.size[axis] for each in headers) for axis in (0, 1))
            example = f"{height} {width}" if height != width else f"{height}"
            raise UserError(
                f"{path}: has {header.size[0]}x{header.size[1]} pixels, but {paths[0]} has {size[0]}x{size[1]}; choose "
                f"a size for all, such as {knob_name(f'image_size {example}')}"
            )
    return size


def _color_of(background: str | None) -> tuple[int, int, int] | None:
    if background is None:
        return None
    try:
        red, green, blue = ImageColor.getrgb(background)[:3]
    except ValueError as error:
        raise ArgumentError("background", f"expected a color such as white or #f0f0f0, got {background!r}") from error
    return red, green, blue


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in FORMATS and not path.name.startswith(".")


def is_image_folder(dataset: str) -> bool:
    """Returns whether a data set is a folder with images, its own or those of its subfolders, and not one of pages."""
    folder = Path(dataset)
    if not folder.is_dir() or folder_of_pages(dataset) is not None:
        return False
    inside = [path for path in folder.iterdir() if not path.name.startswith(".")]
    if {"config.json", "checkpoints"} <= {path.name for path in inside}:
        return False  # the folder of a run, which has figures
    return any(_is_image(path) for path in inside) or any(
        _is_image(file) for path in inside if path.is_dir() for file in path.rglob("*")
    )


def _parts_of(folder: Path) -> dict[str, Path]:
    """Returns the folders of fixed splits: train and test, and validation if it is there; empty if there are none."""
    found = {_SPLITS[path.name]: path for path in folder.iterdir() if path.is_dir() and path.name in _SPLITS}
    return found if {"train", "test"} <= found.keys() else {}


def form_of(
    *, image_size: Sequence[int] | None, resize: Resize = "crop", background: str | None = None, color: Color = "auto"
) -> Form:
    """Returns the form that knobs describe.

    Args:
      image_size: height and width, or one number for both; None for the images' own size.
      resize: as in `Form`.
      background: as in `Form`.
      color: as in `Form`.

    Raises:
      ArgumentError: image_size has more than two numbers, or the background is no color.

    >>> form_of(image_size=[64]).size, form_of(image_size=[32, 48]).size
    ((64, 64), (32, 48))
    """
    _color_of(background)
    if image_size is None:
        if resize != "crop":
            raise ArgumentError("resize", f"{resize} has no effect without {knob_name('image_size')}")
        return Form(None, resize, background, color)
    if not 1 <= len(image_size) <= 2:
        raise ArgumentError("image_size", f"expected one number, or height and width, got {len(image_size)} numbers")
    return Form((image_size[0], image_size[-1]), resize, background, color)


def _load_splits(
    request: Request,
    *,
    image_size: Sequence[int] | None,
    resize: Resize,
    background: str | None,
    color: Color,
    split_by: str | None,
    split_order: SplitOrder,
) -> Splits:
    folder = Path(request.dataset)
    form = form_of(image_size=image_size, resize=resize, background=background, color=color)
    parts = _parts_of(folder)
    if not parts:
        images = load_images(folder, form, stored=request.stored, on_read=request.on_read)
        return divided(images, request, split_by=split_by, split_order=split_order)
    if split_by is not None:
        raise ArgumentError("split_by", f"has no effect on {folder}, whose folders are the splits: leave it out")
    files = {name: files_of(path) for name, path in parts.items()}
    paths = [path for own, _ in files.values() for path in own]
    labels = [label for _, own in files.values() for label in own or ()]
    if labels and len(labels) < len(paths):
        raise UserError(
            f"{folder}: some of {', '.join(path.name for path in parts.values())} have classes, others none"
        )
    images = load_images(
        folder, form, paths=paths, labels=labels or None, stored=request.stored, on_read=request.on_read
    )
    ends = dict(zip(files, np.cumsum([len(own) for own, _ in files.values()]).tolist(), strict=True))
    part = {name: take(images, np.arange(end - len(files[name][0]), end)) for name, end in ends.items()}
    if "validation" not in part:
        train, validation = split(part["train"], fractions=(request.validation_fraction,), seed=request.seed)
        part |= {"train": train, "validation": validation}
    return Splits(part["train"], part["validation"], part["test"])


SOURCE = Source(
    _load_splits,
    layout="image",
    matches=is_image_folder,
    reads_paths=True,
    knobs=("image_size", "resize", "background", "color", "split_by", "split_order"),
    kind="a folder of images",
)
