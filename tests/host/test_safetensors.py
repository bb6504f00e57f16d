"""Files of safetensors, against the format's own package."""

import json

import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy

from aejax.errors import UserError
from aejax.host.safetensors import read_arrays, read_header, write_arrays

RNG = np.random.default_rng(0)
ARRAYS = {
    "weights": RNG.normal(size=(3, 4)).astype(np.float32),
    "half": RNG.normal(size=(5,)).astype(np.float16),
    "double": RNG.normal(size=(2, 1, 2)),
    "counts": np.arange(6, dtype=np.int64),
    "flags": np.array([True, False]),
    "one": np.array(3, np.float32),
    "none": np.zeros((0, 4), np.float32),
}


def same(found, expected) -> None:
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape)
        np.testing.assert_array_equal(found[name], array)


def test_the_package_reads_what_is_written_and_writes_what_is_read(tmp_path) -> None:
    write_arrays(tmp_path / "ours.safetensors", ARRAYS, {"made": "here"})
    same(safetensors.numpy.load_file(tmp_path / "ours.safetensors"), ARRAYS)
    safetensors.numpy.save_file(ARRAYS, tmp_path / "theirs.safetensors", metadata={"made": "there"})
    same(read_arrays(tmp_path / "theirs.safetensors"), ARRAYS)
    assert read_header(tmp_path / "theirs.safetensors")[1] == {"made": "there"}
    assert (tmp_path / "ours.safetensors").stat().st_size == (tmp_path / "theirs.safetensors").stat().st_size


def test_bfloat16_and_other_layouts_return_as_they_were(tmp_path) -> None:
    arrays = {"b": RNG.normal(size=(3, 2)).astype(ml_dtypes.bfloat16), "f": np.asfortranarray(ARRAYS["weights"])}
    arrays["big"] = arrays["f"].astype(">f4")
    write_arrays(tmp_path / "x.safetensors", arrays)
    same(read_arrays(tmp_path / "x.safetensors"), arrays | {"big": arrays["big"].astype("<f4")})


def test_other_dtypes_are_refused(tmp_path) -> None:
    with pytest.raises(UserError, match="array z: safetensors has no dtype complex64"):
        write_arrays(tmp_path / "x.safetensors", {"z": np.zeros(2, np.complex64)})


def _header(content, numbers=b"") -> bytes:
    text = content if isinstance(content, bytes) else json.dumps(content).encode()
    return len(text).to_bytes(8, "little") + text + numbers


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a safetensors file, or is cut off"),
        (b"\x93NUMPY\x01\x00 and more", "not a safetensors file, or is cut off"),
        (_header(b"[1, 2]"), "no JSON object"),
        (_header(b"{'a'}  "), "its header"),
        (
            _header({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}, b"1234"),
            "array a of shape .* cut off",
        ),
        (_header({"a": {"dtype": "F8_E4M3", "shape": [2], "data_offsets": [0, 2]}}, b"12"), "array a: cannot be read"),
        (_header({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}}, b"1234"), "array a: cannot be read"),
        (_header({"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, -4]}}), "array a: cannot be read"),
        (_header({"a": 3}), "array a: cannot be read"),
    ],
)
def test_damaged_files_are_refused(tmp_path, content, message) -> None:
    (tmp_path / "x.safetensors").write_bytes(content)
    with pytest.raises(UserError, match=message):
        read_arrays(tmp_path / "x.safetensors")
