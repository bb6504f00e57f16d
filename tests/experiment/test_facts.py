"""What a run knows of its training data: computed as NumPy does, written, read, and refused where it was changed."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from aejax.datasets.arrays import load_arrays
from aejax.datasets.dataset import AsStored, Dataset, take
from aejax.errors import UserError
from aejax.experiment.facts import (
    FILE,
    Facts,
    Scaling,
    Values,
    facts_of,
    from_json,
    read_facts,
    to_json,
    values_of,
    write_facts,
)

VALUES = Values("float32", 1, low=-1.0, high=2.0, mean=0.5, standard_deviation=1.0, integers=False, magnitude=0.7)


@pytest.mark.parametrize("block", [1, 7, 1000, 2**22])
def test_values_are_those_of_numpy_in_double_precision(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aejax.datasets.stored._BLOCK", block)
    x = (1000 + np.random.default_rng(0).normal(size=(100, 5, 3))).astype(np.float32)
    values, exact = values_of(x), x.astype(np.float64)
    assert (values.dtype, values.divided_by, values.integers) == ("float32", 1, False)
    assert (values.low, values.high) == (exact.min(), exact.max())
    assert values.mean == pytest.approx(exact.mean(), rel=1e-12)
    assert values.standard_deviation == pytest.approx(exact.std(), rel=1e-8)


def test_values_of_a_file_are_those_of_the_array(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.random.default_rng(0).integers(0, 256, (50, 4), dtype=np.uint8))
    stored, read = (load_arrays(tmp_path / "x.npy", stored=stored) for stored in (True, False))
    index = np.arange(3, 40)
    assert facts_of(take(stored, index)) == facts_of(take(read, index))
    assert facts_of(stored).targets.dtype == "uint8"
    assert facts_of(stored).targets.divided_by == 255


def test_pairs_have_facts_of_both() -> None:
    x = np.zeros((4, 3), np.float32)
    facts = facts_of(Dataset(x, input=x + 2, stored=AsStored("int8"), stored_input=AsStored("uint8", 255)))
    assert (facts.targets.dtype, facts.targets.high, facts.targets.standard_deviation) == ("int8", 0.0, 0.0)
    assert facts.inputs is not None
    assert (facts.inputs.divided_by, facts.inputs.low) == (255, 2.0)
    assert facts.encoder_inputs is facts.inputs
    assert facts.targets.integers


@pytest.mark.parametrize(
    "facts",
    [
        Facts((3,), VALUES),
        Facts((8, 8, 1), VALUES, VALUES, (-3, 7, 1000), ("a", "b", "ä"), Scaling("log1p", (0.5,), (2.0,))),
        Facts((3,), VALUES, examples=7, distinct_labels=20_000, pseudo_inputs=(0.1, 0.2, -1e-7)),
        Facts((2, 2), VALUES, classes=("Käse", "[/b]"[::-1]), scaling=Scaling("identity", (0.0,) * 4, (1.0,) * 4)),
    ],
)
def test_facts_are_read_as_they_were_written(facts: Facts, tmp_path: Path) -> None:
    assert read_facts(tmp_path) is None
    write_facts(tmp_path, facts)
    assert read_facts(tmp_path) == facts
    assert json.loads((tmp_path / FILE).read_bytes().decode("utf-8"))["version"] == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 3}, "version: is 3, and this version of aejax reads up to 2; use a newer aejax"),
        ({"version": 0}, "version: must be a whole number from 1 to 2, got 0"),
        ({"version": "1"}, "version: must be a whole number from 1 to 2, got '1'"),
        ({"shape": [0]}, "shape.0: input should be greater than 0"),
        ({"shape": [True]}, "shape.0: input should be a valid integer"),
        ({"shape": "ab"}, "shape: input should be a valid"),
        ({"more": 1}, "more: unexpected keyword"),
        ({"targets": None}, "targets: "),
        ({"targets": {"low": 1}}, "targets.dtype: field required"),
        ({"targets.divided_by": 7}, "targets.divided_by: input should be 1 or 255"),
        ({"targets.low": 3.0}, "targets.mean: must lie between low and high"),
        ({"targets.low": float("inf")}, "targets.low: input should be a finite number"),
        ({"targets.standard_deviation": -1.0}, "targets.standard_deviation: input should be greater"),
        ({"classes": []}, "classes: must be distinct labels"),
        ({"classes": [3, 3]}, "classes: must be distinct labels"),
        ({"classes": [None, 3]}, "classes: must be distinct labels"),
        ({"classes": [3, 1]}, "classes: must be integers or texts in order"),
        ({"classes": [3, "a"]}, "classes: must be integers or texts in order"),
        ({"classes": [1.5]}, "classes.0"),
        ({"examples": 0}, "examples: input should be greater than 0"),
        ({"pseudo_inputs": [0.0, 1.0]}, r"pseudo_inputs: must be whole examples of shape \(3,\)"),
        ({"pseudo_inputs": []}, "pseudo_inputs: must be whole examples"),
        ({"class_names": ["a"]}, "class_names: must be one for each class"),
        ({"scaling": {"transform": "identity", "shift": [0.0, 1.0], "scale": [1.0]}}, "scaling: must be positive"),
        ({"scaling": {"transform": "identity", "shift": [0.0], "scale": [0.0]}}, "scaling: must be positive scales"),
    ],
)
def test_facts_that_were_changed(change: dict, message: str, tmp_path: Path) -> None:
    content = json.loads(to_json(Facts((3,), VALUES, classes=(1, 2))))
    for path, value in change.items():
        *parents, field = path.split(".")
        place = content
        for parent in parents:
            place = place[parent]
        place[field] = value
    (tmp_path / FILE).write_text(json.dumps(content))
    with pytest.raises(UserError, match=message) as caught:
        read_facts(tmp_path)
    assert str(caught.value).startswith(str(tmp_path / FILE))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"3", b"null", b"\xff\xfe", b"[" * 100_000, b'{"version": 1}'])
def test_what_is_no_record_of_facts(text: bytes) -> None:
    with pytest.raises(UserError, match=r"^facts\.json: [^\n]*$"):
        from_json(text, name="facts.json")


def test_what_is_no_file(tmp_path: Path) -> None:
    (tmp_path / FILE).mkdir()
    with pytest.raises(UserError, match=r"facts\.json: .* a folder"):
        read_facts(tmp_path)
    (tmp_path / FILE).rmdir()
    os.mkfifo(tmp_path / FILE)
    with pytest.raises(UserError, match=r"facts\.json: .* a named pipe"):
        read_facts(tmp_path)


@pytest.mark.parametrize(
    "x", [np.float32(2**24) + np.array([0, 2, 4, 4], np.float32), np.float16([1000, 1000.5, 1001])]
)
def test_values_far_from_0_keep_their_deviation(x: np.ndarray) -> None:
    """A mean rounded to the type of the numbers would be off by as much as they scatter."""
    expected = np.std(x.astype(np.float64))
    np.testing.assert_allclose(values_of(x[:, None]).standard_deviation, expected, rtol=1e-12)


def test_facts_of_the_first_version_lack_what_was_read_from_data() -> None:
    content = json.loads(to_json(Facts((3,), VALUES, classes=(1, 2), examples=7)))
    older = {name: content[name] for name in ("shape", "targets", "inputs", "classes", "class_names", "log_variance")}
    older["scaling"] = {"transform": "identity", "shift": [0.0], "scale": [1.0]}
    facts = from_json(json.dumps({"version": 1, **older}), name="facts.json")
    assert facts == Facts((3,), VALUES, classes=(1, 2), scaling=Scaling("identity", (0.0,), (1.0,)))
    assert (facts.examples, facts.pseudo_inputs) == (None, None)
