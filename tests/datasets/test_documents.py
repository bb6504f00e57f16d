"""Pages: no page and no twin of it in two parts, crops where they are said to be, refusals."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aejax.datasets.documents import (
    PAGES,
    Page,
    PageSplits,
    crop_pages,
    find_twins,
    folder_of_pages,
    load_pages,
    split_pages,
)
from aejax.errors import UserError
from aejax.experiment.configuration import Data
from aejax.experiment.loading import load_page_splits, load_splits, locate

ROOT = Path(os.environ.get("AEJAX_DATA_DIR") or ".")
real = pytest.mark.skipif(not (ROOT / PAGES).is_dir(), reason=f"no {PAGES} in AEJAX_DATA_DIR")
FRACTIONS = {"validation_fraction": 0.2, "test_fraction": 0.3}


def make_pages(count=10, scans=3, shape=(20, 24)):
    """Pages of random dots, each scanned several times: in any order, their clean pages nearly equal, some moved."""
    rng = np.random.default_rng(0)
    pages = []
    for number in range(count):
        clean = rng.integers(2, size=shape).astype(np.float32)
        for scan in range(scans):
            nearly = np.roll(np.clip(clean + rng.normal(0, 0.02, size=shape), 0, 1), scan % 2, axis=1)
            nearly = nearly.astype(np.float32)
            noisy = rng.uniform(size=shape).astype(np.float32)
            pages.append(Page(f"{number}-{scan}.png", noisy, nearly))
    return [pages[place] for place in rng.permutation(len(pages))]


def write(folder, pages):
    for side in ("noisy", "clean"):
        (folder / side).mkdir(parents=True)
        for page in pages:
            Image.fromarray(np.round(255 * getattr(page, side)).astype(np.uint8)).save(folder / side / page.name)
    return folder


def is_seen(page, examples):
    """Whether any crop of one side's examples is cut from the page, at any place."""
    crops = {crop.tobytes() for crop in examples[..., 0]}
    side = examples.shape[1]
    windows = np.lib.stride_tricks.sliding_window_view(page, (side, side))
    return any(window.tobytes() in crops for row in windows for window in row)


@pytest.mark.parametrize("seed", range(5))
def test_no_test_page_and_no_twin_of_one_is_trained_on(tmp_path, seed):
    pages = make_pages()
    folder = write(tmp_path / "scans", pages)
    data = Data(dataset=str(folder), split_seed=seed, crop=8, crops_per_page=5, **FRACTIONS)
    parts, splits = load_page_splits(data), load_splits(data)
    names = [{page.name.split("-")[0] for page in part} for part in parts]
    assert [len(part) for part in names] == [5, 2, 3]
    assert len(set.union(*names)) == 10
    assert [len(part) for part in parts] == [15, 6, 9]  # all scans of each
    for held_out in (*parts.validation, *parts.test):
        assert not is_seen(held_out.clean, splits.train.x)
        assert not is_seen(held_out.noisy, splits.train.input)
    for page in parts.train:
        assert is_seen(page.clean, splits.train.x)
        assert is_seen(page.noisy, splits.train.input)


def test_twins_are_pages_moved_cropped_or_in_another_gray_and_no_others():
    rng = np.random.default_rng(0)
    page, other = (rng.uniform(size=(60, 50)) < 0.01 for _ in range(2))  # nearly white, as a page of few words is
    moved = np.pad(page, ((8, 0), (0, 3)))[:60, 3:]
    assert find_twins([page, other, moved, 0.9 - 0.8 * page, 0.9 - 0.8 * other]) == [0, 1, 0, 3, 4]
    assert find_twins([1 - page, other, 0.9 - 0.8 * page, 1 - page[2:, :-5]]) == [0, 1, 0, 0]
    assert find_twins([page, np.roll(page, 20, axis=0)]) == [0, 1]
    assert find_twins([np.zeros((4, 4)), page, np.ones((5, 4))]) == [0, 1, 0]
    assert find_twins([]) == []


def test_chains_of_twins_are_one_page():
    rng = np.random.default_rng(0)
    page, noise = rng.normal(size=(2, 60, 50))
    chain = [page, page + 0.4 * noise, page + 0.8 * noise]  # correlations of 0.93, 0.96, and 0.78 of the ends
    assert find_twins([chain[0], chain[2]]) == [0, 1]
    assert find_twins([chain[0], chain[2], chain[1]]) == [0, 0, 0]


def test_crops_lie_where_they_are_said_to():
    rng = np.random.default_rng(0)
    parts = [[Page(f"{k}", *rng.uniform(size=(2, 20, 24)).astype(np.float32)) for k in range(2)] for _ in range(3)]
    splits = crop_pages(PageSplits(*parts), crop=8, crops_per_page=4, seed=0)
    assert splits.train.x.shape == splits.train.input.shape == (8, 8, 8, 1)
    for clean, noisy in zip(splits.train.x[:4, ..., 0], splits.train.input[:4, ..., 0], strict=True):
        page = parts[0][0]
        windows = np.lib.stride_tricks.sliding_window_view(page.clean, (8, 8))
        ((row, column),) = np.argwhere((windows == clean).all(axis=(2, 3)))
        np.testing.assert_array_equal(page.noisy[row : row + 8, column : column + 8], noisy)
    # three rows, the last at the edge, of three crops: every pixel of a held-out page is in one
    assert len(splits.test.x) == 2 * 9
    np.testing.assert_array_equal(splits.test.x[8, ..., 0], parts[2][0].clean[12:20, 16:24])
    assert set(np.unique(splits.validation.input)) == {v for page in parts[1] for v in page.noisy.ravel()}


def test_the_seed_alone_chooses_pages_and_places():
    pages = make_pages()
    first, again, other = (split_pages(pages, seed=seed, **FRACTIONS) for seed in (0, 0, 1))
    names = [[page.name for page in splits.test] for splits in (first, again, other)]
    assert names[0] == names[1] != names[2]
    crops = [crop_pages(first, crop=8, crops_per_page=2, seed=seed).train.x for seed in (0, 0, 1)]
    np.testing.assert_array_equal(crops[0], crops[1])
    assert (crops[0] != crops[2]).any()


def test_where_pages_lie(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "mine", make_pages(1, 1))
    assert folder_of_pages("documents", tmp_path) == tmp_path / "documents"
    monkeypatch.setenv("AEJAX_DATA_DIR", "/data")
    assert folder_of_pages("documents") == Path("/data/documents")
    assert folder_of_pages("mine") == Path("mine")
    assert folder_of_pages("digits") is None
    assert locate(Data(dataset="mine")).dataset == str(tmp_path / "mine")
    for value in ("/data", ""):
        monkeypatch.setenv("AEJAX_DATA_DIR", value)
        assert locate(Data(dataset="documents", data_dir="mine")) == Data("documents", data_dir=str(tmp_path / "mine"))


def test_refusals(tmp_path):
    with pytest.raises(UserError, match=r"documents: there is no such folder; set data_dir or AEJAX_DATA_DIR to"):
        load_splits(Data(dataset="documents", data_dir=str(tmp_path)))
    pages = make_pages(4, 1)
    folder = write(tmp_path / "mine", pages)
    with pytest.raises(UserError, match=r"crop: .*png is smaller than 21 pixels"):
        load_splits(Data(dataset=str(folder), crop=21))
    with pytest.raises(UserError, match="4 examples are too few for 3 splits"):
        load_splits(Data(dataset=str(folder), validation_fraction=0.5, test_fraction=0.49))
    with pytest.raises(UserError, match="leave no training examples"):
        load_splits(Data(dataset=str(folder), validation_fraction=0.5, test_fraction=0.5))
    with pytest.raises(
        UserError,
        match="crops_per_page: requires the dataset documents or the dataset bsd68 or the dataset natural_patches, "
        "but the dataset is digits",
    ):
        load_splits(Data(crops_per_page=3))
    name = pages[0].name
    Image.new("L", (24, 21)).save(folder / "clean" / name)
    with pytest.raises(UserError, match=r"has \(20, 24\) pixels, but its clean page has \(21, 24\)"):
        load_pages(folder)
    (folder / "clean" / name).unlink()
    with pytest.raises(UserError, match=rf"noisy/{name}: there is no image of that name in .*clean"):
        load_pages(folder)


@pytest.mark.slow
@real
def test_the_pages_of_noisy_office():
    pages = load_pages(ROOT / PAGES)
    assert sorted({page.clean.shape for page in pages}) == [(258, 540), (420, 540)]
    numbers = find_twins([page.clean for page in pages])
    assert np.unique(numbers, return_counts=True)[1].tolist() == [4] * 16
    parts = split_pages(pages, validation_fraction=0.1, test_fraction=0.2, seed=0)
    assert [len(part) for part in parts] == [44, 8, 12]
