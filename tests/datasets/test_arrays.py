"""The user's own files: what is read, and what is refused in one line that names the file."""

import contextlib
import gc
import os
from functools import partial

import numpy as np
import pytest

from aejax.datasets.arrays import load_arrays
from aejax.datasets.dataset import split
from aejax.errors import UserError

X = np.arange(12, dtype=np.float32).reshape(4, 3)
LABELS = np.array([3, 1, 0, 1])


def test_npy(tmp_path):
    np.save(tmp_path / "x.npy", X)
    dataset = load_arrays(tmp_path / "x.npy")
    np.testing.assert_array_equal(dataset.x, X)
    assert dataset.labels is None


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz_with_and_without_labels(save, tmp_path):
    save(tmp_path / "plain.npz", x=X)
    assert load_arrays(tmp_path / "plain.npz").labels is None
    save(tmp_path / "labeled.npz", x=X, labels=LABELS, more=np.zeros(2))
    dataset = load_arrays(tmp_path / "labeled.npz")
    np.testing.assert_array_equal(dataset.x, X)
    np.testing.assert_array_equal(dataset.labels, LABELS)


def test_known_factors_follow_their_examples(tmp_path):
    factors = np.array([[0, 5], [1, 5], [2, 6], [3, 6]])
    np.savez(tmp_path / "plain.npz", x=X, factors=factors)
    np.savez(tmp_path / "named.npz", x=X, factors=factors / 2, factor_names=np.array(["angle", "size"]))
    plain, named = (load_arrays(tmp_path / name).factors for name in ("plain.npz", "named.npz"))
    assert plain is not None
    assert named is not None
    assert (plain.names, named.names) == (("factor 1", "factor 2"), ("angle", "size"))
    np.testing.assert_array_equal(named.values, factors / 2)
    rest, held_out = split(load_arrays(tmp_path / "plain.npz"), fractions=(0.5,), seed=0)
    for part in (rest, held_out):
        assert part.factors is not None
        np.testing.assert_array_equal(part.factors.values[:, 0], part.x[:, 0] / 3)
    np.save(tmp_path / "x.npy", X)
    assert load_arrays(tmp_path / "x.npy").factors is None


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"factors": np.arange(4)}, r"factors: expected finite numbers, .* 4 examples .* int64 and shape \(4,\)"),
        ({"factors": np.ones((3, 2))}, r"one row for each of 4 examples"),
        ({"factors": np.full((4, 2), np.nan)}, "expected finite numbers"),
        ({"factors": np.full((4, 2), "a")}, "got dtype <U1"),
        ({"factors": np.ones((4, 2)), "factor_names": np.array(["a"])}, r"factor_names: expected 2 texts, one per"),
        ({"factors": np.ones((4, 2)), "factor_names": np.ones(2)}, r"expected 2 texts, .* got dtype float64"),
    ],
)
def test_factors_that_do_not_fit_are_refused(entries, message, tmp_path):
    np.savez(tmp_path / "x.npz", x=X, **entries)
    with pytest.raises(UserError, match=message):
        load_arrays(tmp_path / "x.npz")


@pytest.mark.parametrize("name", ["x.npy", "x.npz"])
def test_labels_of_their_own_file_take_precedence(name, tmp_path):
    np.save(tmp_path / "x.npy", X)
    np.savez(tmp_path / "x.npz", x=X, labels=LABELS)
    np.save(tmp_path / "labels.npy", LABELS + 5)
    dataset = load_arrays(tmp_path / name, tmp_path / "labels.npy")
    np.testing.assert_array_equal(dataset.labels, LABELS + 5)


def test_bytes_are_scaled_and_fortran_order_is_no_matter(tmp_path):
    images = np.asfortranarray(np.arange(0, 240, 10, dtype=np.uint8).reshape(2, 3, 4))
    np.save(tmp_path / "x.npy", images)
    np.testing.assert_array_equal(load_arrays(tmp_path / "x.npy").x, images.astype(np.float32) / np.float32(255))


def refused(message, path, labels=None):
    """The file is refused with a message that names it and says this."""
    culprit = path if labels is None else labels
    with pytest.raises(UserError, match=message) as error:
        load_arrays(path, labels)
    assert str(error.value).startswith(f"{culprit}: ")
    assert "\n" not in str(error.value)


def test_refuses_files_that_are_not_there_or_no_files(tmp_path):
    (tmp_path / "folder.npy").mkdir()
    np.save(tmp_path / "x.npy", X)
    refused("no such file", tmp_path / "missing.npy")
    refused("no such file", tmp_path / "x.npy", tmp_path / "missing.npy")
    refused("is an empty folder; arrays are read from", tmp_path / "folder.npy")
    refused("are read from .npy and .npz files", tmp_path / "x.csv")
    refused(r"no such file; did you mean x.npy\?", tmp_path / "y.npy")


def test_capital_letters_at_the_end_of_a_name(tmp_path):
    for name, save in {"x.NPY": partial(np.save, arr=X), "x.Npz": partial(np.savez, x=X, labels=LABELS)}.items():
        with (tmp_path / name).open("wb") as file:
            save(file)
        np.testing.assert_array_equal(load_arrays(tmp_path / name).x, X)
    with (tmp_path / "labels.NPY").open("wb") as file:
        np.save(file, LABELS)
    np.testing.assert_array_equal(load_arrays(tmp_path / "x.NPY", tmp_path / "labels.NPY").labels, LABELS)
    with (tmp_path / "stored.NPY").open("wb") as file:
        np.save(file, X)
    np.testing.assert_array_equal(np.asarray(load_arrays(tmp_path / "stored.NPY", stored=True).x), X)


def test_refuses_archives_without_examples(tmp_path):
    np.savez(tmp_path / "x.npz", images=X, labels=LABELS)
    refused(r"no entry 'x' with the examples; it holds \['images', 'labels'\]", tmp_path / "x.npz")


def test_refuses_labels_in_an_archive(tmp_path):
    np.savez(tmp_path / "x.npz", x=X, labels=LABELS)
    refused("labels must be in a .npy file", tmp_path / "x.npz", tmp_path / "x.npz")


def test_refuses_labels_that_do_not_fit(tmp_path):
    np.save(tmp_path / "x.npy", X)
    np.save(tmp_path / "labels.npy", LABELS[:3])
    with pytest.raises(UserError, match="got 3 labels for 4 examples"):
        load_arrays(tmp_path / "x.npy", tmp_path / "labels.npy")


class MakesFolder:
    """An object that makes a folder when it is unpickled."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


def test_never_unpickles(tmp_path):
    objects = np.array([[MakesFolder(tmp_path / "trace")]], dtype=object)
    np.save(tmp_path / "x.npy", objects, allow_pickle=True)
    np.savez(tmp_path / "x.npz", x=objects)
    refused("it holds pickled objects", tmp_path / "x.npy")
    refused("it holds pickled objects", tmp_path / "x.npz")
    assert not (tmp_path / "trace").exists()
    np.load(tmp_path / "x.npy", allow_pickle=True)
    assert (tmp_path / "trace").exists()


@pytest.fixture
def collected():
    """What the test leaves behind is collected in its own time."""
    yield
    gc.collect()


@pytest.mark.slow_after_first
@pytest.mark.parametrize("name", ["x.npy", "x.npz"])
@pytest.mark.parametrize("content", [b"", b"\x93NUMPY", b"no array at all", b"PK\x03\x04 no archive"])
def test_refuses_what_is_no_array_file(name, content, tmp_path, collected):
    (tmp_path / name).write_bytes(content)
    refused("cannot be read as an array", tmp_path / name)


FORMATS = {
    "npy": np.save,
    "npz": lambda path, x: np.savez(path, x=x),
    "compressed.npz": lambda path, x: np.savez_compressed(path, x=x),
}
every_format = pytest.mark.parametrize("kind", FORMATS)


@pytest.mark.slow_after_first
@every_format
def test_refuses_a_file_that_is_cut_short(kind, tmp_path, collected):
    path = tmp_path / f"x.{kind}"
    FORMATS[kind](path, X)
    content = path.read_bytes()
    for length in range(0, len(content), 5):
        path.write_bytes(content[:length])
        refused("cannot be read as an array", path)


@pytest.mark.slow_after_first
@every_format
def test_a_damaged_file_is_read_or_refused_but_never_breaks(kind, tmp_path, collected):
    path = tmp_path / f"x.{kind}"
    FORMATS[kind](path, X)
    content = path.read_bytes()
    for place in range(0, len(content), 3):
        for value in (0x00, 0xFF, content[place] ^ 1, ord("(")):
            path.write_bytes(content[:place] + bytes([value]) + content[place + 1 :])
            with contextlib.suppress(UserError):  # a byte of the data may change and the file still be sound
                load_arrays(path)
