"""Faces, CIFAR-10's first images and BSD68: counts, splits that share nothing, the published shuffle, refusals."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aejax.datasets import cifar10_first4000, frey_faces, olivetti_faces
from aejax.datasets.dataset import Dataset
from aejax.datasets.frey_faces import divide_faces
from aejax.errors import UserError
from aejax.experiment.configuration import Data
from aejax.experiment.loading import load_page_splits, load_splits

ROOT = Path(os.environ.get("AEJAX_DATA_DIR") or ".")


def real(path):
    return pytest.mark.skipif(not (ROOT / path).exists(), reason=f"no {path} in AEJAX_DATA_DIR")


def test_the_shuffle_of_frey_faces_is_that_of_the_literature():
    """np.random.seed(123); np.random.shuffle(data), then 1,565, 200 and 200 in this order."""
    faces = Dataset(np.arange(1965 * 4, dtype=np.float32).reshape(1965, 2, 2))
    shuffled = faces.x.copy()
    np.random.RandomState(123).shuffle(shuffled)
    splits = divide_faces(faces, order="random", seed=123)
    np.testing.assert_array_equal(np.concatenate([split.x for split in splits]), shuffled)
    in_order = divide_faces(faces, order="ascending", seed=123)
    np.testing.assert_array_equal(np.concatenate([split.x for split in in_order]), faces.x)
    assert [len(split.x) for split in splits] == [len(split.x) for split in in_order] == [1565, 200, 200]


@real(frey_faces.FILE)
def test_frey_faces_are_bytes_over_255():
    splits = load_splits(Data(dataset="frey_faces", data_dir=str(ROOT), split_seed=123))
    assert splits.train.x.shape == (1565, 28, 20, 1)
    levels = splits.test.x * 255
    np.testing.assert_allclose(levels, np.round(levels), atol=1e-4)


@real(olivetti_faces.FILE)
def test_olivetti_faces_are_ten_of_each_person_and_upright():
    faces = olivetti_faces.load_olivetti_faces(ROOT)
    assert np.bincount(faces.labels).tolist() == [0, *[10] * 40]
    x = faces.x[..., 0]
    of_person = x.reshape(40, 10, -1).var(axis=1).mean()
    assert of_person < 0.5 * x.reshape(400, -1).var(axis=0).mean()
    mirrored = np.abs(x - x[:, :, ::-1]).mean()  # a face is nearly symmetric from left to right only
    assert mirrored < 0.7 * np.abs(x - x[:, ::-1]).mean()


@real(cifar10_first4000.FILE)
def test_cifar_images_are_the_first_ones():
    images = cifar10_first4000.load_cifar10_first4000(ROOT)
    assert images.x.shape == (4000, 32, 32, 3)
    assert images.labels[:8].tolist() == [6, 9, 9, 4, 1, 1, 2, 7]
    assert np.round(images.x[0, 0, 0] * 255).tolist() == [59, 62, 63]


def write_images(folder):
    rng = np.random.default_rng(0)
    for name, count, size in (("BSD68", 3, (24, 20)), ("Set12", 4, (20, 20))):
        (folder / "natural_images_bsd68" / name).mkdir(parents=True)
        for number in range(count):
            pixels = rng.integers(0, 256, size, dtype=np.uint8)
            Image.fromarray(pixels).save(folder / "natural_images_bsd68" / name / f"{number}.png")
    return folder


def test_no_image_of_bsd68_is_trained_on(tmp_path):
    data = Data(dataset="bsd68", data_dir=str(write_images(tmp_path)), crop=16, crops_per_page=5)
    pages, splits = load_page_splits(data), load_splits(data)
    assert [len(part) for part in pages] == [5, 1, 3]  # 4 and the two of scikit-learn, one of them for validation
    assert {page.clean.shape for page in pages.test} == {(24, 20)}
    names = [{page.name for page in part} for part in pages[:2]]
    assert not names[0] & names[1]
    assert "china.jpg" in names[0] | names[1]
    assert splits.train.x.shape == (25, 16, 16, 1)
    assert splits.train.input is None
    assert len(splits.test.x) == 3 * 4
    tested = {page.clean[:16, :16].tobytes() for page in pages.test}
    assert {x[..., 0].tobytes() for x in splits.test.x} >= tested
    trained = {np.sort(page.clean.ravel()).tobytes() for page in (*pages.train, *pages.validation)}
    assert not trained & {np.sort(page.clean.ravel()).tobytes() for page in pages.test}


@pytest.mark.parametrize("dataset", ["frey_faces", "olivetti_faces", "cifar10_first4000", "bsd68"])
def test_a_missing_or_wrong_file_is_refused(dataset, tmp_path):
    data = Data(dataset=dataset, data_dir=str(tmp_path))
    with pytest.raises(UserError, match=r"there is no .*set data_dir or AEJAX_DATA_DIR to the folder that contains"):
        load_splits(data)
    files = {"frey_faces": frey_faces.FILE, "cifar10_first4000": cifar10_first4000.FILE}
    if dataset in files:
        (tmp_path / files[dataset].parent).mkdir()
        with (tmp_path / files[dataset]).open("wb") as file:
            np.savez(file, x=np.zeros((3, 2, 2))) if dataset != "frey_faces" else np.save(file, np.zeros((3, 2, 2)))
        with pytest.raises(UserError, match=r"expected .*bytes.*, got float64 of shape \(3, 2, 2\)"):
            load_splits(data)
    if dataset == "olivetti_faces":
        (tmp_path / olivetti_faces.FILE.parent).mkdir()
        (tmp_path / olivetti_faces.FILE).write_text("no matrix")
        with pytest.raises(UserError, match="cannot be read as a MATLAB file"):
            load_splits(data)
