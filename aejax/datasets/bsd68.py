"""BSD68, the 68 gray test images of denoising, and other photographs to train on, cut into patches."""

from pathlib import Path

import numpy as np

from aejax.datasets.data_dir import in_data_dir
from aejax.datasets.dataset import Dataset, Splits
from aejax.datasets.documents import Page, PageSplits, crop_pages
from aejax.datasets.images import list_images, read_gray
from aejax.datasets.source import Request, Source

FOLDER = Path("natural_images_bsd68")
_EVALUATED_PATCHES = 1000  # of validation and of test images; results are measured on whole images
TEST, TRAIN = "BSD68", "Set12"  # folders of images
_LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)  # of red, green and blue, ITU-R BT.601


def load_natural_images(data_dir: Path | None = None, *, validation_fraction: float, seed: int) -> PageSplits:
    """Returns whole gray images in [0, 1] of different sizes: 14 for training and validation, BSD68 for the test.

    The 14 are the images of Set12, and the two photographs in scikit-learn, gray and at half their size, which removes
    most traces of their compression. The literature trains on 400 other images of the Berkeley data, so its results are
    out of reach of so few. Nothing is noisy: the noise is that of `aejax.corruption`.

    Args:
      data_dir: the folder that contains natural_images_bsd68/BSD68 and natural_images_bsd68/Set12; None for
        $AEJAX_DATA_DIR.
      validation_fraction: the fraction of the 14 that is for validation; at least one image.
      seed: the seed of that choice.

    Raises:
      UserError: a folder does not exist, or an image cannot be read or is not gray.

    Source: S. Roth, M. J. Black (2009), Fields of Experts, for the choice of the 68; as distributed in
    github.com/cszn/DnCNN.
    """
    root = in_data_dir(FOLDER, data_dir, origin="fetch the folders BSD68 and Set12 from github.com/cszn/DnCNN")
    test, others = ([_page(path.name, read_gray(path).pixels) for path in list_images(root / n)] for n in (TEST, TRAIN))
    others += _photographs()
    count = max(1, round(validation_fraction * len(others)))
    chosen = set(np.random.default_rng(seed).permutation(len(others))[:count].tolist())
    return PageSplits(
        [page for place, page in enumerate(others) if place not in chosen],
        [page for place, page in enumerate(others) if place in chosen],
        test,
    )


def _photographs() -> list[Page]:
    from sklearn.datasets import load_sample_image

    pages = []
    for name in ("china.jpg", "flower.jpg"):
        gray = load_sample_image(name).astype(np.float32) / 255 @ _LUMINANCE
        height, width = (side // 2 for side in gray.shape)
        pages.append(_page(name, gray[: 2 * height, : 2 * width].reshape(height, 2, width, 2).mean(axis=(1, 3))))
    return pages


def _page(name: str, pixels: np.ndarray) -> Page:
    return Page(name, pixels, pixels)


def in_random_orientation(x: np.ndarray, *, seed: int) -> np.ndarray:
    """Returns square images (N, H, H, C), each in one of the 8 orientations that mirrors and quarter turns lead to.

    >>> x = np.arange(8.0).reshape(2, 2, 2, 1)
    >>> in_random_orientation(x, seed=0)[..., 0].tolist()
    [[[1.0, 0.0], [3.0, 2.0]], [[4.0, 6.0], [5.0, 7.0]]]
    """
    choices = np.random.default_rng(seed).integers(8, size=len(x))
    turned = (np.rot90(image, choice % 4) for image, choice in zip(x, choices, strict=True))
    return np.stack([image[::-1] if choice >= 4 else image for image, choice in zip(turned, choices, strict=True)])


def some_of(x: np.ndarray, count: int) -> np.ndarray:
    """Returns at most `count` examples, evenly spaced.

    >>> some_of(np.arange(10), 4).tolist(), some_of(np.arange(2), 4).tolist()
    ([0, 3, 6, 9], [0, 1])
    """
    return x if len(x) <= count else x[np.linspace(0, len(x) - 1, count).astype(int)]


def _whole(request: Request) -> PageSplits:
    return load_natural_images(request.data_dir, validation_fraction=request.validation_fraction, seed=request.seed)


def _load_splits(request: Request, *, crop: int, crops_per_page: int) -> Splits:
    patches = crop_pages(_whole(request), crop=crop, crops_per_page=crops_per_page, seed=request.seed)
    train, validation, test = (split.x for split in patches)
    train = in_random_orientation(train, seed=request.seed)
    validation, test = (some_of(x, _EVALUATED_PATCHES) for x in (validation, test))
    return Splits(*map(Dataset, (train, validation, test)))


SOURCE = Source(
    _load_splits,
    layout="image",
    name="bsd68",
    knobs=("crop", "crops_per_page"),
    fixed=("test_fraction",),
    load_whole=_whole,
)
