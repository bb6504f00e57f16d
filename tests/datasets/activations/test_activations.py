"""Shards of activations as one data set: every format and dtype, rows left out, splits, files that are refused."""

import os
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy

from aejax.datasets.activations import load_activations
from aejax.datasets.sources import source_of
from aejax.datasets.stored import StoredArray
from aejax.errors import UserError
from aejax.experiment.configuration import Data
from aejax.experiment.loading import load_splits
from aejax.host.safetensors import write_arrays

RNG = np.random.default_rng(0)
D = 6
FIRST, SECOND = RNG.normal(size=(4, 5, D)), RNG.normal(size=(3, 5, D))
ROWS = np.concatenate([FIRST.reshape(-1, D), SECOND.reshape(-1, D)])
DTYPES = (np.float32, np.float16, ml_dtypes.bfloat16)


def save(path, array) -> None:
    """Writes an array in the format that the suffix names, by the format's own package where it can."""
    if path.suffix == ".npy":
        np.save(path, array)
    elif path.suffix == ".npz":
        np.savez(path, activations=array, tokens=np.zeros(array.shape[:-1], np.int64))
    elif array.dtype == ml_dtypes.bfloat16:
        write_arrays(path, {"layer": array})
    else:
        safetensors.numpy.save_file({"layer": array}, path)


@pytest.mark.parametrize("stored", [False, True])
@pytest.mark.parametrize(
    ("suffix", "dtype"),
    [
        (suffix, dtype)
        for suffix in (".npy", ".npz", ".safetensors")
        for dtype in DTYPES
        if dtype != ml_dtypes.bfloat16 or suffix == ".safetensors"  # NumPy's formats have no bfloat16
    ],
)
def test_shards_are_one_data_set_in_the_order_of_their_names(tmp_path, suffix, dtype, stored) -> None:
    save(tmp_path / f"b{suffix}", SECOND.astype(dtype))
    save(tmp_path / f"a{suffix}", FIRST.astype(dtype))
    dataset, sequences = load_activations(tmp_path, stored=stored)
    assert isinstance(dataset.x, StoredArray) == stored
    expected = ROWS.astype(dtype).astype(np.float32)
    np.testing.assert_array_equal(dataset.x[:], expected)
    np.testing.assert_array_equal(dataset.x[np.array([3, 30, 29, 3, 19, 20])], expected[[3, 30, 29, 3, 19, 20]])
    np.testing.assert_array_equal(sequences, np.repeat(np.arange(7), 5))
    assert dataset.stored.dtype == np.dtype(dtype).name
    assert dataset.notes[0] == f"{tmp_path}: 35 rows of 6 numbers ({np.dtype(dtype).name}) in 2 shards"


def test_formats_may_be_mixed_and_matrices_have_no_sequences(tmp_path) -> None:
    for name, part in (("0.npy", FIRST), ("1.safetensors", SECOND)):
        save(tmp_path / name, part.reshape(-1, D).astype(np.float32))
    dataset, sequences = load_activations(tmp_path)
    np.testing.assert_array_equal(dataset.x, ROWS.astype(np.float32))
    assert sequences is None


@pytest.mark.parametrize("stored", [False, True])
def test_rows_are_left_out_by_position_and_norm_and_counted(tmp_path, stored) -> None:
    first = FIRST.copy()
    first[:, 0] *= 1000
    first[1, 1] *= 500
    np.save(tmp_path / "x.npy", first)
    np.save(tmp_path / "token_ids.npy", np.zeros((4, 5), np.uint16))
    np.save(tmp_path / "losses.npy", np.zeros((4, 4)))
    norms = np.linalg.norm(first.reshape(-1, D), axis=1)
    keeps = (np.arange(20) % 5 >= 1) & (norms <= 100)
    dataset, sequences = load_activations(tmp_path, skip_positions=1, max_norm=100.0, stored=stored)
    np.testing.assert_array_equal(dataset.x[:], first.reshape(-1, D)[keeps].astype(np.float32))
    np.testing.assert_array_equal(sequences, np.repeat(np.arange(4), 5)[keeps])
    assert dataset.notes[1:] == (
        f"{tmp_path}: left out 4 rows at first positions, 1 with a norm above 100",
        f"{tmp_path}: losses.npy, token_ids.npy hold no activations",
    )
    only = load_activations(tmp_path, skip_positions=1, stored=stored).dataset
    assert len(only.x) == 16
    assert f"{tmp_path}: left out 4 rows at first positions" in only.notes


def test_huge_rows_are_reported(tmp_path) -> None:
    first = FIRST.copy()
    first[:, 0] *= 1000
    np.save(tmp_path / "x.npy", first)
    notes = load_activations(tmp_path).dataset.notes
    assert "4 rows with a norm above 20 times the median" in notes[-1]
    assert "skip_positions 1" in notes[-1]


def test_no_sequence_is_in_two_splits(tmp_path) -> None:
    np.save(tmp_path / "x.npy", np.broadcast_to(np.arange(20.0)[:, None, None], (20, 5, D)))
    splits = load_splits(Data(str(tmp_path), skip_positions=1))
    parts = [set(part.x[:, 0].tolist()) for part in splits]
    assert sum(map(len, parts)) == 20
    assert set.union(*parts) == set(range(20))
    assert [len(part.x) for part in splits] == [56, 8, 16]
    assert splits.train.notes[-1] == f"{tmp_path}: no sequence is in two splits"


def test_a_pattern_chooses_files_and_a_file_may_be_named(tmp_path) -> None:
    save(tmp_path / "layer_3.safetensors", FIRST.astype(np.float32))
    save(tmp_path / "layer_4.npy", SECOND[..., :2].astype(np.float32))
    splits = load_splits(Data(str(tmp_path), shards="layer_4*"))
    assert splits.train.x.shape[1] == 2
    assert load_activations(tmp_path / "layer_3.safetensors").dataset.x.shape == (20, D)
    assert source_of(str(tmp_path / "layer_3.safetensors")).kind == "a folder of activations"


def test_many_files_are_not_open_at_once(tmp_path) -> None:
    for number in range(100):
        np.save(tmp_path / f"{number:03}.npy", np.full((2, D), number, np.float32))
    x = load_activations(tmp_path, stored=True).dataset.x
    before = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else 0
    np.testing.assert_array_equal(x[:][:, 0], np.repeat(np.arange(100), 2))
    if before:
        assert len(os.listdir("/proc/self/fd")) - before <= 64


@pytest.mark.parametrize("stored", [False, True])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_rows_that_are_not_finite_are_named_with_their_shard(tmp_path, value, stored) -> None:
    np.save(tmp_path / "a.npy", FIRST)
    second = SECOND.copy()
    second[2, 3, 1] = value
    np.save(tmp_path / "b.npy", second)
    with pytest.raises(UserError, match=r"b.npy: row 2, 3 holds NaN or infinity"):
        load_activations(tmp_path, stored=stored).dataset.x[:]


def cut(path) -> None:
    os.truncate(path, path.stat().st_size - 8)


def compressed(path) -> None:
    np.savez_compressed(path.with_suffix(".npz"), x=FIRST)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (FIRST[..., :4], r"b.npy: has 4 features, but .*a.npy has 6; choose files by shards, such as shards 'a\*'"),
        (FIRST.astype(np.float16), r"b.npy: has dtype float16, but .*a.npy has float64"),
        (np.zeros((0, 5, D)), r"b.npy: holds no rows, its shape is \(0, 5, 6\)"),
        (np.asfortranarray(FIRST), r"b.npy: is in Fortran order"),
        (cut, r"b.npy: is cut off: its header says \(4, 5, 6\)"),
        (compressed, r"b.npz: is compressed"),
        (lambda path: path.write_bytes(b"\x93NUMPY"), r"b.npy: cannot be read as an array"),
        (lambda path: np.savez(path.with_suffix(".npz"), p=FIRST, q=FIRST), r"b.npz: holds several arrays: name the"),
        (lambda path: path.with_suffix(".npz").write_bytes(b"PK"), r"b.npz: cannot be read as an array"),
    ],
)
def test_bad_shards_are_refused_in_one_line(tmp_path, other, message) -> None:
    np.save(tmp_path / "a.npy", FIRST)
    if callable(other):
        np.save(tmp_path / "b.npy", FIRST)
        other(tmp_path / "b.npy")
    else:
        np.save(tmp_path / "b.npy", other)
    with pytest.raises(UserError, match=message) as raised:
        load_activations(tmp_path)
    assert "\n" not in str(raised.value)


def test_objects_are_no_numbers_and_are_never_unpickled(tmp_path) -> None:
    np.save(tmp_path / "a.npy", FIRST)
    np.save(tmp_path / "b.npy", np.array([[{}, {}]]))
    assert "b.npy holds no activations" in load_activations(tmp_path).dataset.notes[-1]


@pytest.mark.parametrize(
    ("files", "knobs", "message"),
    [
        ({"x": np.zeros((2, 3), np.int64)}, {}, "no file holds an array of floating-point numbers"),
        ({}, {}, "there is no .npy, .npz or .safetensors file in it"),
        ({"x": FIRST}, {"shards": "y*"}, r"file in it whose name matches 'y\*'"),
        ({"x": FIRST}, {"skip_positions": 5}, "no row of 20 is left"),
        ({"x": ROWS}, {"skip_positions": 1}, r"skip_positions: requires arrays .* but .*x.npy is a matrix"),
        ({"x": FIRST[None]}, {}, r"has shape \(1, 4, 5, 6\), but activations are"),
    ],
)
def test_folders_without_rows_are_refused(tmp_path, files, knobs, message) -> None:
    for name, array in files.items():
        np.save(tmp_path / f"{name}.npy", array)
    with pytest.raises(UserError, match=message):
        load_activations(tmp_path, **knobs)


def test_an_empty_folder_is_no_data_set(tmp_path) -> None:
    with pytest.raises(UserError, match="is an empty folder"):
        load_splits(Data(str(tmp_path)))


def test_the_activations_of_a_language_model_are_read() -> None:
    folder = Path(os.environ.get("AEJAX_DATA_DIR", ".")) / "lm_activations"
    if not folder.exists():
        pytest.skip("lm_activations is not in AEJAX_DATA_DIR")
    dataset, sequences = load_activations(folder, skip_positions=1, max_norm=1000.0)
    assert dataset.x.shape == (12186, 576)
    assert np.sum(dataset.x.astype(np.float64) ** 2, axis=1).mean() == pytest.approx(23379, rel=1e-3)
    assert len(np.unique(sequences)) == 96
    assert dataset.notes[1].endswith("left out 96 rows at first positions, 6 with a norm above 1000")
