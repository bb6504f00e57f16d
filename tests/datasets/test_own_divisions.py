"""Arrays and folders of images that are divided by groups or by files of their own."""

import numpy as np
import pytest
from PIL import Image

from aejax.errors import UserError
from aejax.experiment.configuration import Data
from aejax.experiment.loading import load_splits

X = np.arange(120, dtype=np.float32).reshape(60, 2)


def save(folder, name, array):
    np.save(folder / name, array)
    return str(folder / name)


def places(split):
    """The places of a split's examples in X."""
    return (split.x[:, 0] / 2).astype(int)


def describe(groups, splits):
    """What the note on a division says."""
    names = ("train", "validation", "test")
    parts = [
        f"{name} {len(split.x)} ({len(own)} group{'s' * (len(own) > 1)})"
        for name, split, own in zip(names, splits, groups, strict=True)
    ]
    return ", ".join(parts)


@pytest.mark.parametrize("order", ["random", "ascending"])
def test_no_group_of_an_array_is_in_two_splits(tmp_path, order):
    patients = np.array([f"patient {n % 9}" for n in range(60)])
    data = Data(save(tmp_path, "x.npy", X), split_by=save(tmp_path, "patients.npy", patients), split_order=order)
    splits = load_splits(data)
    groups = [set(patients[places(split)]) for split in splits]
    assert sum(map(len, groups)) == len(set.union(*groups)) == 9
    assert sum(len(split.x) for split in splits) == 60
    assert splits.train.notes[-1].endswith("patients.npy: divides the examples: " + describe(groups, splits))
    if order == "ascending":
        assert max(groups[0]) < min(groups[1])
        assert max(groups[1]) < min(groups[2])


def test_a_file_names_the_split_of_every_example(tmp_path):
    (tmp_path / "split.csv").write_text("use\n" + "test\ntrain\nvalidation\n" * 20)
    splits = load_splits(Data(save(tmp_path, "x.npy", X), split_by=str(tmp_path / "split.csv")))
    assert [places(split).tolist() for split in splits] == [[*range(start, 60, 3)] for start in (1, 2, 0)]


def test_held_out_examples_in_files_of_their_own(tmp_path):
    train, validation, test = (save(tmp_path, f"{n}.npy", X[20 * n : 20 * n + 20]) for n in range(3))
    splits = load_splits(Data(train, validation_data=validation, test_data=test))
    assert [places(split).tolist() for split in splits] == [[*range(20 * n, 20 * n + 20)] for n in range(3)]
    splits = load_splits(Data(train, test_data=test))
    assert sorted([*places(splits.train), *places(splits.validation)]) == [*range(20)]
    assert places(splits.test).tolist() == [*range(40, 60)]


def test_bytes_of_held_out_files_are_read_as_those_of_training_examples(tmp_path):
    gray = save(tmp_path, "gray.npy", np.arange(256, dtype=np.uint8).reshape(64, 4))
    dark = save(tmp_path, "dark.npy", np.arange(40, dtype=np.uint8).reshape(10, 4))
    assert load_splits(Data(gray, test_data=dark)).test.x.max() == np.float32(39 / 255)


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"test_data": "other.npy"}, "other.npy: examples: expected shape \\(2,\\), as in .*x.npy, got shape \\(3,\\)"),
        (
            {"test_data": "x.npy", "split_by": "few.npy"},
            "split_by: cannot be combined with validation_data and test_data",
        ),
        ({"test_data": "x.npy", "labels": "few.npy"}, "labels: cannot be combined with .*: save labels in .npz files"),
        ({"test_data": "labelled.npz"}, "x.npy: has no labels, but .*labelled.npz has"),
        ({"split_by": "few.npy"}, "split_by .*few.npy: expected one entry for each of 60 examples, got 5"),
        ({"split_by": "patient"}, "patient: groups must be in a .npy file"),
        ({"split_order": "ascending"}, "split_order: ascending requires split_by"),
    ],
)
def test_divisions_that_do_not_fit(tmp_path, monkeypatch, knobs, message):
    monkeypatch.chdir(tmp_path)
    for name, array in (("x.npy", X), ("other.npy", np.ones((4, 3))), ("few.npy", np.arange(5))):
        save(tmp_path, name, array)
    np.savez(tmp_path / "labelled.npz", x=X, labels=np.arange(60))
    with pytest.raises(UserError, match=message):
        load_splits(Data("x.npy", **knobs))


def test_no_group_of_a_folder_of_images_is_in_two_splits(tmp_path):
    folder = tmp_path / "faces"
    folder.mkdir()
    for number in range(20):
        Image.fromarray(np.full((4, 4), number, np.uint8)).save(folder / f"{number:02}.png")
    people = save(tmp_path, "people.npy", np.arange(20) // 3)
    splits = load_splits(Data(str(folder), split_by=people))
    groups = [set((np.round(split.x[:, 0, 0, 0] * 255).astype(int) // 3).tolist()) for split in splits]
    assert sum(map(len, groups)) == len(set.union(*groups)) == 7
