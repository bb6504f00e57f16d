"""Scanned pages, each noisy and clean, split so that no page and no twin of it is in two parts."""

import math
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from aejax.datasets.dataset import Dataset, Splits, split
from aejax.datasets.images import list_images, read_gray
from aejax.datasets.source import Request, Source
from aejax.errors import UserError
from aejax.host.memory import check_fits

PAGES, NOISY, CLEAN = "documents", "noisy", "clean"  # the name of the data set, and its two folders
_ALIKE = 0.9  # correlation above which clean pages are one; a text set upright and slanted has 0.85, other texts 0.35
_WORTH_A_LOOK = 0.5  # correlation of their sums along rows and columns, below which pages are not compared by pixels
_FURTHEST = 8  # pixels between two scans of a page


class Page(NamedTuple):
    """One scan of a page, and the page."""

    name: str
    noisy: np.ndarray  # (H, W) float32 in [0, 1]
    clean: np.ndarray  # likewise


class PageSplits(NamedTuple):
    """Three parts that share no page, though one page may have been scanned several times."""

    train: list[Page]
    validation: list[Page]
    test: list[Page]


def folder_of_pages(dataset: str, data_dir: Path | None = None) -> Path | None:
    """Where the pages of a data set lie; None where it is none of pages.

    Args:
      dataset: `documents`, or a folder that holds `noisy` and `clean`.
      data_dir: the folder that holds `documents`; None for $AEJAX_DATA_DIR.
    """
    if dataset == PAGES:
        return (data_dir or Path(os.environ.get("AEJAX_DATA_DIR") or ".")) / PAGES
    return Path(dataset) if any((Path(dataset) / part).is_dir() for part in (NOISY, CLEAN)) else None


def load_pages(folder: Path) -> list[Page]:
    """The pages of a folder with `noisy` and `clean`: gray images, a file of the same name in both.

    Raises:
      UserError: a folder or an image that is missing or cannot be read, or a pair of two sizes.
    """
    names = {part: {path.name for path in list_images(folder / part)} for part in (NOISY, CLEAN)}
    for part, other in ((NOISY, CLEAN), (CLEAN, NOISY)):
        if alone := sorted(names[part] - names[other]):
            raise UserError(f"{folder / part / alone[0]}: there is no image of that name in {folder / other}")
    pages = []
    for name in sorted(names[NOISY]):
        noisy, clean = (read_gray(folder / part / name).pixels for part in (NOISY, CLEAN))
        if noisy.shape != clean.shape:
            raise UserError(f"{folder / NOISY / name}: has {noisy.shape} pixels, and its clean page {clean.shape}")
        pages.append(Page(name, noisy, clean))
    return pages


def find_twins(clean: list[np.ndarray]) -> list[int]:
    """Which images show the same page: a number for each, equal for those that show one.

    Two do where their deviations from the gray of the paper (the median) have a correlation above 0.9, one of them
    moved by at most 8 pixels, as scans of one page are; or where a chain of such pairs joins them.

    >>> page = np.random.default_rng(0).uniform(size=(40, 30)) < 0.2
    >>> find_twins([page, 1 - page, 0.9 * page[:, 1:], page[::-1]])
    [0, 1, 0, 3]
    """
    pages = [_deviations(page) for page in clean]
    numbers = list(range(len(pages)))
    for place, page in enumerate(pages):
        for other in range(place):
            if numbers[other] != numbers[place] and _correlation(page, pages[other]) > _ALIKE:
                joined, left = sorted((numbers[place], numbers[other]))
                numbers = [joined if number == left else number for number in numbers]
    return numbers


class _Deviations(NamedTuple):
    """Of pixels from the gray of the paper, and their sums along both axes, centered."""

    pixels: np.ndarray
    of_rows: np.ndarray
    of_columns: np.ndarray


def _deviations(page: np.ndarray) -> _Deviations:
    pixels = page.astype(np.float64) - np.median(page)
    sums = (pixels.sum(axis=axis) for axis in (1, 0))
    return _Deviations(pixels, *(profile - profile.mean() for profile in sums))


def _correlation(a: _Deviations, b: _Deviations) -> float:
    """Of two pages where their sums lie upon each other, as far as they overlap there; of two blank ones 1."""
    down, of_rows = _align(a.of_rows, b.of_rows)
    across, of_columns = _align(a.of_columns, b.of_columns)
    if min(of_rows, of_columns) < _WORTH_A_LOOK:
        return 0.0
    first = a.pixels[max(down, 0) :, max(across, 0) :]
    second = b.pixels[max(-down, 0) :, max(-across, 0) :]
    height, width = np.minimum(first.shape, second.shape)
    return _cosine(first[:height, :width].ravel(), second[:height, :width].ravel())


def _align(a: np.ndarray, b: np.ndarray) -> tuple[int, float]:
    """By how much the second of two profiles is to be moved to lie upon the first, and their correlation then."""
    size = max(len(a), len(b))
    products = np.correlate(np.pad(a, (_FURTHEST, _FURTHEST + size - len(a))), np.pad(b, (0, size - len(b))), "valid")
    norms = np.linalg.norm(a) * np.linalg.norm(b)
    if norms == 0:
        return 0, _cosine(a, b)
    best = int(products.argmax())
    return best - _FURTHEST, float(products[best] / norms)


def _cosine(a: np.ndarray, b: np.ndarray) -> float:
    """Of the angle between two arrays; 1 of two that are 0."""
    norms = [float(np.linalg.norm(array)) for array in (a, b)]
    return float(np.vdot(a, b)) / math.prod(norms) if all(norms) else float(norms == [0, 0])


def split_pages(pages: list[Page], *, validation_fraction: float, test_fraction: float, seed: int) -> PageSplits:
    """Random parts by page: all scans of one page go to the same part.

    Raises:
      UserError: fewer pages than parts.
    """
    numbers = np.array(find_twins([page.clean for page in pages]))
    distinct = Dataset(np.unique(numbers)[:, None])
    parts = split(distinct, fractions=(validation_fraction, test_fraction), seed=seed)
    chosen = ([page for page, n in zip(pages, numbers, strict=True) if n in part.x] for part in parts)
    return PageSplits(*chosen)


def crop_pages(splits: PageSplits, *, crop: int, crops_per_page: int, seed: int) -> Splits:
    """Squares (N, crop, crop, 1) of pages as pairs of noisy and clean.

    Those to train on are taken at random places, so many of every page; those of validation and test pages cover the
    pages, side by side but for the last of a row and of a column, which end at the edge.

    Args:
      splits: of pages.
      crop: pixels of a side.
      crops_per_page: to train on.
      seed: of the places.

    Raises:
      UserError: a page that is smaller than a crop.
    """
    if small := [page.name for part in splits for page in part if min(page.clean.shape) < crop]:
        raise UserError(f"crop: {small[0]} is smaller than {crop} pixels")
    size = 8 * crop**2 * crops_per_page * len(splits.train)  # float32, noisy and clean
    check_fits(size, f"{crops_per_page:,} crops of each page", advice="use fewer --crops-per-page", host=True)
    rng = np.random.default_rng(seed)
    train = []
    for page in splits.train:
        most = np.array(page.clean.shape) - crop + 1
        train.append([(page, *corner) for corner in rng.integers(most, size=(crops_per_page, 2))])
    covered = [[[(page, *corner) for corner in _covering(page, crop)] for page in part] for part in splits[1:]]
    return Splits(*(_cut([place for of_page in part for place in of_page], crop) for part in (train, *covered)))


def _covering(page: Page, crop: int) -> list[tuple[int, int]]:
    rows, columns = (sorted({min(at, size - crop) for at in range(0, size, crop)}) for size in page.clean.shape)
    return [(row, column) for row in rows for column in columns]


def _cut(places: list[tuple[Page, int, int]], crop: int) -> Dataset:
    noisy, clean = (
        np.stack([getattr(page, side)[row : row + crop, column : column + crop, None] for page, row, column in places])
        for side in (NOISY, CLEAN)
    )
    return Dataset(clean, input=noisy)


def load_page_splits(request: Request) -> PageSplits:
    """The whole pages that examples are cut from, divided as the examples are.

    Raises:
      UserError: no such folder; and all that `load_pages` and `split_pages` refuse.
    """
    folder = folder_of_pages(request.dataset, request.data_dir)
    assert folder is not None  # the source reads no other
    if request.dataset == PAGES and not folder.is_dir():
        raise UserError(
            f"{folder}: there is no such folder; name the one above {PAGES} by --data-dir or AEJAX_DATA_DIR"
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
)
