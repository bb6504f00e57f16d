"""Sequences of unequal length: padding by NaN, by lengths and by files, and what is refused in one line."""

import numpy as np
import pytest

from aejax.datasets.arrays import load_arrays
from aejax.datasets.sequence_folder import load_folder
from aejax.datasets.sequences import lengths_of
from aejax.datasets.source import Request
from aejax.datasets.sources import source_of
from aejax.errors import UserError

LENGTHS = np.array([3, 1, 4, 2])
STEPS = np.arange(4)
X = np.arange(32, dtype=np.float32).reshape(4, 4, 2)
IS_AFTER = LENGTHS[:, None] <= STEPS
PADDED = np.where(IS_AFTER[..., None], np.nan, X).astype(np.float32)


def test_padding_by_nan_and_by_lengths_are_the_same_data_whatever_the_file_holds_after_the_end(tmp_path):
    np.save(tmp_path / "padded.npy", PADDED)
    np.savez(tmp_path / "other.npz", x=np.where(IS_AFTER[..., None], 1e9, X), lengths=LENGTHS)
    loaded = [load_arrays(tmp_path / name) for name in ("padded.npy", "other.npz")]
    for dataset in loaded:
        np.testing.assert_array_equal(dataset.x, PADDED)
        assert lengths_of(dataset.x).tolist() == LENGTHS.tolist()
        assert dataset.notes[0].endswith("sequences of 1 to 4 steps, 2.5 on average; losses are sums over real steps")


def test_padding_does_not_decide_whether_bytes_are_gray_values(tmp_path):
    masks = np.ones((4, 4), np.uint8)
    masks[IS_AFTER] = 255
    np.savez(tmp_path / "masks.npz", x=masks, lengths=LENGTHS)
    dataset = load_arrays(tmp_path / "masks.npz")
    assert np.nanmax(dataset.x) == 1
    assert dataset.stored.divided_by == 1


def with_value(place, value):
    changed = PADDED.copy()
    changed[place] = value
    return changed


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"x": with_value((0, 1, 0), np.nan)}, "example 0 (from 0) holds NaN in step 1, before its last step, 2"),
        ({"x": with_value((1, 0), np.nan)}, "example 1 (from 0) has no step"),
        ({"x": with_value((0, 0, 0), np.inf)}, "hold NaN, infinity"),
        ({"x": PADDED[:, :, None]}, "holds NaN in examples of shape (4, 1, 2)"),
        ({"x": X, "lengths": LENGTHS + 1}, "lengths must be from 1 to 4, the steps of x, got 5 for example 2"),
        ({"x": X, "lengths": LENGTHS / 2}, "lengths must be 4 whole numbers"),
        ({"x": X, "lengths": LENGTHS[:3]}, "lengths must be 4 whole numbers"),
        ({"x": X[..., None], "lengths": LENGTHS}, "lengths expect sequences x (N, T) or (N, T, C)"),
        ({"x": X, "lengths": LENGTHS, "input": X}, "lengths cannot be combined with input"),
        ({"x": PADDED, "input": PADDED}, "hold NaN"),
    ],
)
def test_what_is_no_padding_is_refused_in_one_line(tmp_path, content, message):
    np.savez(tmp_path / "mine.npz", **content)
    with pytest.raises(UserError) as error:
        load_arrays(tmp_path / "mine.npz")
    assert str(error.value).startswith(str(tmp_path / "mine.npz"))
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def write_folder(folder, sequences):
    for place, sequence in enumerate(sequences):
        path = folder / ("even" if place % 2 == 0 else "odd") / f"{place}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savetxt(path, sequence, delimiter=",", header="left,right", comments="")


def test_a_folder_of_files_is_padded_to_its_longest_training_sequence(tmp_path):
    rng = np.random.default_rng(0)
    sequences = [rng.normal(size=(length, 2)) for length in rng.integers(3, 9, 20)]
    write_folder(tmp_path, sequences)
    source = source_of(str(tmp_path))
    assert source.layout == "series"
    knobs = {"labels": None, "split_by": None, "split_order": "random"}
    splits = source.load(Request(str(tmp_path)), **knobs)
    assert [len(part.x) for part in splits] == [14, 2, 4]
    assert splits.train.x.shape[1] == lengths_of(splits.train.x).max()
    assert set(splits.train.labels) == {"even", "odd"}
    by_name = sorted(range(20), key=lambda place: (place % 2, str(place)))  # of paths even/N.csv, odd/N.csv
    loaded = load_folder(tmp_path)
    for row, place in zip(loaded.x, by_name, strict=True):
        np.testing.assert_allclose(row[: len(sequences[place])], sequences[place], rtol=1e-6)
        assert np.isnan(row[len(sequences[place]) :]).all()
    # another file that is longer than all others does not change the training examples if it is held out
    held_out = [
        place for place in range(20) if not any(np.array_equal(loaded.x[place][:3], x[:3]) for x in splits.train.x)
    ]
    (tmp_path / ("even" if by_name[held_out[0]] % 2 == 0 else "odd") / f"{by_name[held_out[0]]}.csv").write_text(
        "1,2\n" * 50
    )
    again = source.load(Request(str(tmp_path)), **knobs)
    np.testing.assert_array_equal(again.train.x, splits.train.x)
    assert again.train.notes[1].endswith(
        f"1 held-out sequences are longer than all training ones, and are cut to {splits.train.x.shape[1]}"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n3\n", "b.csv, line 3: 1 numbers, but the lines above have 2"),
        ("1,2\nx,4\n", "b.csv, line 2: expected numbers between commas, got 'x,4'"),
        ("1,2,3\n", "b.csv: has 3 channels, but"),
        ("a,b\n", "a sequence is numbers (T,) or (T, C)"),
        ("1,nan\n", "b.csv: step 0 (from 0) holds NaN"),
    ],
)
def test_a_file_that_is_no_sequence_is_named_with_its_line(tmp_path, text, message):
    (tmp_path / "a.csv").write_text("1,2\n3,4\n")
    (tmp_path / "b.csv").write_text(text)
    with pytest.raises(UserError) as error:
        load_folder(tmp_path)
    assert message in str(error.value)


def test_files_beside_subfolders_are_refused(tmp_path):
    write_folder(tmp_path, [np.ones((2, 2))])
    np.save(tmp_path / "alone.npy", np.ones((2, 2)))
    with pytest.raises(UserError, match=r"alone.npy: is in no subfolder, but others are"):
        load_folder(tmp_path)
