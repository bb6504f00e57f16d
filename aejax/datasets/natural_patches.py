"""Patches of whitened natural images, on which sparse codes learn localized, oriented edges."""

from pathlib import Path

import numpy as np
from jaxtyping import Float

from aejax.datasets.bsd68 import FOLDER, TEST, some_of
from aejax.datasets.data_dir import in_data_dir
from aejax.datasets.dataset import Dataset, Splits, split
from aejax.datasets.documents import Page, PageSplits, crop_pages
from aejax.datasets.images import list_images, read_gray
from aejax.datasets.source import Request, Source

CUTOFF = 200 / 512  # cycles per pixel: 200 cycles per image of 512 pixels
_EVALUATED_PATCHES = 5000  # of validation and of test images
_MARGIN = 16  # mirrored pixels around an image, so that its opposite sides do not meet at an edge


def whiten(image: Float[np.ndarray, "H W"], *, cutoff: float = CUTOFF) -> Float[np.ndarray, "H W"]:
    """Returns an image whose amplitudes are multiplied by R(f) = f exp(-(f/f₀)⁴), f in cycles per pixel.

    Amplitudes of natural images fall as 1/f, so their product with f is flat; the exponential removes frequencies near
    the corners of the spectrum, where the grid of pixels and compression dominate. The mean becomes 0.

    Args:
      image: gray values.
      cutoff: f₀, in cycles per pixel.

    Source: B. A. Olshausen, D. J. Field (1997), Sparse Coding with an Overcomplete Basis Set, section 4.

    >>> wave = np.cos(2 * np.pi * np.arange(64) / 8) * np.ones((64, 1))
    >>> ratio = whiten(wave)[32, 32] / wave[32, 32]
    >>> bool(abs(ratio - 0.125 * np.exp(-((0.125 / CUTOFF) ** 4))) < 0.01)
    True
    """
    padded = np.pad(np.asarray(image, np.float64), _MARGIN, mode="symmetric")
    rows, columns = (np.fft.fftfreq(size) for size in padded.shape)
    frequency = np.hypot(rows[:, None], columns)
    filtered = np.fft.ifft2(np.fft.fft2(padded) * frequency * np.exp(-((frequency / cutoff) ** 4))).real
    return filtered[_MARGIN:-_MARGIN, _MARGIN:-_MARGIN]


def without_means(patches: Float[np.ndarray, "N ..."]) -> Float[np.ndarray, "N ..."]:
    """Returns patches minus the mean of each.

    >>> without_means(np.array([[1.0, 3.0], [5.0, 5.0]])).tolist()
    [[-1.0, 1.0], [0.0, 0.0]]
    """
    return patches - patches.mean(axis=tuple(range(1, patches.ndim)), keepdims=True)


def _load_splits(request: Request, *, crop: int, crops_per_page: int) -> Splits:
    root = in_data_dir(FOLDER / TEST, request.data_dir, origin="fetch the folder BSD68 from github.com/cszn/DnCNN")
    paths = list_images(root)
    chosen = split(Dataset(np.arange(len(paths))[:, None]), fractions=request.fractions, seed=request.seed)
    pages = PageSplits(*([_page(paths[number]) for number in each.x[:, 0]] for each in chosen))
    patches = crop_pages(pages, crop=crop, crops_per_page=crops_per_page, seed=request.seed)
    evaluated = (some_of(each.x, _EVALUATED_PATCHES) for each in patches[1:])
    train, validation, test = map(without_means, (patches.train.x, *evaluated))
    scale = train.std() or 1.0  # one number for all splits and pixels, so that the squared error has a known size
    return Splits(*(Dataset(x / scale) for x in (train, validation, test)))


def _page(path: Path) -> Page:
    pixels = whiten(read_gray(path).pixels).astype(np.float32)
    return Page(path.name, pixels, pixels)


SOURCE = Source(_load_splits, layout="image", name="natural_patches", knobs=("crop", "crops_per_page"))
