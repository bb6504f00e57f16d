"""Scanned pages, each noisy and clean, split so that all scans of a page are in the same split."""

import math
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from aejax.datasets.dataset import Dataset, Splits, split
from aejax.datasets.images import list_images, read_gray
from aejax.datasets.source import Request, Source
from aejax.errors import UserError, knob_name
from aejax.host.memory import check_fits

PAGES, NOISY, CLEAN = "documents", "noisy", "clean"  # the name of the data set, and its two folders
_MIN_CORRELATION = 0.9  # of two clean scans of one page; a text in roman and italic type has 0.85, other texts 0.35
_MIN_CORRELATION_OF_SUMS = 0.5  # along rows and columns, below which pages are not compared by pixels
_MAX_SHIFT = 8  # pixels, between two scans of a page


class Page(NamedTuple):
    """A noisy scan of a page, and the clean page."""

    name: str
    noisy: np.ndarray  # (H, W) float32 in [0, 1]
    clean: np.ndarray  # (H, W) float32 in [0, 1]


class PageSplits(NamedTuple):
    """Three splits that share no page, even if a page has been scanned several times."""

    train: list[Page]
    validation: list[Page]
    test: list[Page]


def folder_of_pages(dataset: str, data_dir: Path | None = None) -> Path | None:
    """Returns the folder of a data set of pages; None for any other data set.

    Args:
      dataset: `documents`, or a folder with the folders `noisy` and `clean`.
      data_dir: the folder that contains `documents`; None for $AEJAX_DATA_DIR.
    """
    if dataset == PAGES:
        return (data_dir or Path(os.environ.get("AEJAX_DATA_DIR") or ".")) / PAGES
    return Path(dataset) if any((Path(dataset) / name).is_dir() for name in (NOISY, CLEAN)) else None


def load_pages(folder: Path) -> list[Page]:
    """Returns the pages in the folders `noisy` and `clean`: gray images with the same file names in both.

    Raises:
      UserError: a folder or an image is missing or cannot be read, or the images of a pair differ in size.
    """
    names = {side: {path.name for path in list_images(folder / side)} for side in (NOISY, CLEAN)}
    for side, other in ((NOISY, CLEAN), (CLEAN, NOISY)):
        if alone := sorted(names[side] - names[other]):
            raise UserError(f"{folder / side / alone[0]}: there is no image of that name in {folder / other}")
    pages = []
    for name in sorted(names[NOISY]):
        noisy, clean = (read_gray(folder / side / name).pixels for side in (NOISY, CLEAN))
        if noisy.shape != clean.shape:
            raise UserError(f"{folder / NOISY / name}: has {noisy.shape} pixels, but its clean page has {clean.shape}")
        pages.append(Page(name, noisy, clean))
    return pages


def find_twins(clean: list[np.ndarray]) -> list[int]:
    """Returns a number for each image, equal for images that show the same page.

    Two images show the same page if their deviations from the gray of the paper (the median) have a correlation above
    0.9, with one of them shifted by at most 8 pixels, or if a chain of such pairs connects them.

    >>> page = np.random.default_rng(0).uniform(size=(40, 30)) < 0.2
    >>> find_twins([page, 1 - page, 0.9 * page[:, 1:], page[::-1]])
    [0, 1, 0, 3]
    """
    pages = [_deviations(page) for page in clean]
    numbers = list(range(len(pages)))
    for place, page in enumerate(pages):
        for other in range(place):
            if numbers[other] != numbers[place] and _correlation(page, pages[other]) > _MIN_CORRELATION:
                kept, replaced = sorted((numbers[place], numbers[other]))
                numbers = [kept if number == replaced else number for number in numbers]
    return numbers


class _Deviations(NamedTuple):
    """The deviations of pixels from the gray of the paper, and their centered sums along both axes."""

    pixels: np.ndarray
    of_rows: np.ndarray
    of_columns: np.ndarray


def _deviations(page: np.ndarray) -> _Deviations:
    pixels = page.astype(np.float64) - np.median(page)
    sums = (pixels.sum(axis=axis) for axis in (1, 0))
    return _Deviations(pixels, *(profile - profile.mean() for profile in sums))


def _correlation(a: _Deviations, b: _Deviations) -> float:
    """Returns the correlation of two pages in their overlap, after aligning their sums; 1 for two blank pages."""
    down, of_rows = _align(a.of_rows, b.of_rows)
    across, of_columns = _align(a.of_columns, b.of_columns)
    if min(of_rows, of_columns) < _MIN_CORRELATION_OF_SUMS:
        return 0.0
    first = a.pixels[max(down, 0) :, max(across, 0) :]
    second = b.pixels[max(-down, 0) :, max(-across, 0) :]
    height, width = np.minimum(first.shape, second.shape)
    return _cosine(first[:height, :width].ravel(), second[:height, :width].ravel())


def _align(a: np.ndarray, b: np.ndarray) -> tuple[int, float]:
    """Returns the shift of the second profile that maximizes its correlation with the first, and that correlation."""
    size = max(len(a), len(b))
    products = np.correlate(np.pad(a, (_MAX_SHIFT, _MAX_SHIFT + size - len(a))), np.pad(b, (0, size - len(b))), "valid")
    norms = np.linalg.norm(a) * np.linalg.norm(b)
    if norms == 0:
        return 0, _cosine(a, b)
    best = int(products.argmax())
    return best - _MAX_SHIFT, float(products[best] / norms)


def _cosine(a: np.ndarray, b: np.ndarray) -> float:
    """Returns the cosine of the angle between two arrays; 1 if both are 0."""
    norms = [float(np.linalg.norm(array)) for array in (a, b)]
    return float(np.vdot(a, b)) / math.prod(norms) if all(norms) else float(norms == [0, 0])


def split_pages(pages: list[Page], *, validation_fraction: float, test_fraction: float, seed: int) -> PageSplits:
    """Returns random splits by page, with all scans of one page in the same split.

    Raises:
      UserError: there are fewer distinct pages than splits.
    """
    numbers = np.array(find_twins([page.clean for page in pages]))
    distinct = Dataset(np.unique(numbers)[:, None])
    splits = split(distinct, fractions=(validation_fraction, test_fraction), seed=seed)
    chosen = ([page for page, n in zip(pages, numbers, strict=True) if n in each.x] for each in splits)
    return PageSplits(*chosen)


def crop_pages(splits: PageSplits, *, crop: int, crops_per_page: int, seed: int) -> Splits:
    """Returns square crops (N, crop, crop, 1) of pages, the noisy ones as inputs and the clean ones as targets.

    Training crops are at random positions, `crops_per_page` of every page. Crops of validation and test pages cover the
    pages without overlap, except for the last ones of rows and columns, which end at the edge.

    Args:
      splits: the pages.
      crop: the side of a crop in pixels.
      crops_per_page: the number of training crops of each page.
      seed: the seed of the random positions.

    Raises:
      UserError: a page is smaller than a crop, or the crops exceed the available memory.
    """
    if small := [page.name for pages in splits for page in pages if min(page.clean.shape) < crop]:
        raise UserError(f"crop: {small[0]} is smaller than {crop} pixels")
    size = 8 * crop**2 * crops_per_page * len(splits.train)  # float32, noisy and clean
    check_fits(
        size, f"{crops_per_page:,} crops of each page", advice=f"use fewer {knob_name('crops_per_page')}", host=True
    )
    rng = np.random.default_rng(seed)
    train = []
    for page in splits.train:
        corners = np.array(page.clean.shape) - crop + 1
        train.append([(page, *corner) for corner in rng.integers(corners, size=(crops_per_page, 2))])
    covered = [[[(page, *corner) for corner in _grid(page, crop)] for page in pages] for pages in splits[1:]]
    return Splits(*(_cut([place for of_page in places for place in of_page], crop) for places in (train, *covered)))


def _grid(page: Page, crop: int) -> list[tuple[int, int]]:
    rows, columns = (sorted({min(at, size - crop) for at in range(0, size, crop)}) for size in page.clean.shape)
    return [(row, column) for row in rows for column in columns]


def _cut(places: list[tuple[Page, int, int]], crop: int) -> Dataset:
    noisy, clean = (
        np.stack([getattr(page, side)[row : row + crop, column : column + crop, None] for page, row, column in places])
        for side in (NOISY, CLEAN)
    )
    return Dataset(clean, input=noisy)


def load_page_splits(request: Request) -> PageSplits:
    """Returns the pages that examples are cropped from, in the same splits as the examples.

    Raises:
      UserError: the folder does not exist, the pages cannot be read (`load_pages`), or there are too few
        (`split_pages`).
    """
    folder = folder_of_pages(request.dataset, request.data_dir)
    assert folder is not None  # the source matches only data sets of pages
    if request.dataset == PAGES and not folder.is_dir():
        raise UserError(
            f"{folder}: there is no such folder; set {knob_name('data_dir')} or AEJAX_DATA_DIR to the folder that "
            f"contains {PAGES}"
        )
    validation_fraction, test_fraction = request.fractions
    return split_pages(
        load_pages(folder), validation_fraction=validation_fraction, test_fraction=test_fraction, seed=request.seed
    )


def _load_splits(request: Request, *, crop: int, crops_per_page: int) -> Splits:
    return crop_pages(load_page_splits(request), crop=crop, crops_per_page=crops_per_page, seed=request.seed)


SOURCE = Source(
    _load_splits,
    layout="image",
    name=PAGES,
    matches=lambda dataset: folder_of_pages(dataset) is not None,
    reads_paths=True,
    knobs=("crop", "crops_per_page"),
    load_whole=load_page_splits,
)
