"""Scanned pages, each noisy and clean, split so that no page and no twin of it is in two parts."""

import os
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import numpy as np

from aejax.datasets.dataset import Dataset, Splits, split
from aejax.datasets.images import list_images, read_gray
from aejax.errors import UserError

FOLDER, NOISY, CLEAN = Path("documents"), "noisy", "clean"
_TWINS = 0.1  # root mean square difference of clean pages below which they are one; pages of other text differ by 0.3


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
    if dataset == FOLDER.name:
        return (data_dir or Path(os.environ.get("AEJAX_DATA_DIR") or ".")) / FOLDER
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
    """Which images show the same page: a number for each, equal for those whose pixels are nearly equal.

    Two are the same where their root mean square difference is below 0.1, or where a chain of such pairs joins them.

    >>> page = np.eye(4)
    >>> find_twins([page, 1 - page, page + 0.05])
    [0, 1, 0]
    """
    numbers = list(range(len(clean)))
    alike = defaultdict(list)
    for place, page in enumerate(clean):
        alike[page.shape].append(place)
    for places in alike.values():
        for later, place in enumerate(places):
            for other in places[:later]:
                if numbers[other] == numbers[place]:
                    continue
                if np.sqrt(np.mean(np.square(clean[place] - clean[other]))) < _TWINS:
                    joined, left = sorted((numbers[place], numbers[other]))
                    numbers = [joined if number == left else number for number in numbers]
    return numbers


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
