"""Data sets of TensorFlow Datasets, written for real by TFDS, in small, and read back."""

import io
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow_datasets as tfds
from array_record.python.array_record_module import ArrayRecordWriter
from PIL import Image

from aejax.datasets.tfds import count_examples, load_tfds
from aejax.errors import UserError
from aejax.host.commands import verb_command

GRAY = tfds.features.Image(shape=(4, 5, 1))
LABEL = tfds.features.ClassLabel(num_classes=3)
LABELED = {"image": GRAY, "label": LABEL}


def png(pixels: np.ndarray) -> bytes:
    """The image (H, W) or (H, W, 3) in a PNG file; TFDS needs TensorFlow to encode arrays, but not for this."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format="png")
    return file.getvalue()


def labeled(count: int, first: int = 0) -> list[dict[str, Any]]:
    """Examples whose image is full of its index and whose label is the index modulo 3."""
    return [
        {"image": png(np.full((4, 5), index, np.uint8)), "label": index % 3} for index in range(first, first + count)
    ]


def write(
    folder: Path,
    parts: dict[str, list[dict[str, Any]]],
    features: dict[str, Any] = LABELED,
    file_format: str = "array_record",
) -> Path:
    """Prepare a data set called `tiny`; returns its folder."""

    class Tiny(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        VERSION = tfds.core.Version("1.0.0")

        def _info(self) -> Any:
            return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

        def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
            return {part: self._generate_examples(examples) for part, examples in parts.items()}

        def _generate_examples(self, examples: list[dict[str, Any]]) -> Iterator[tuple[int, dict[str, Any]]]:
            yield from enumerate(examples)

    tfds.disable_progress_bar()
    builder = Tiny(data_dir=folder)
    builder.download_and_prepare(file_format=file_format)
    return Path(builder.data_dir)


def load(folder: Path, name: str = "tiny", seed: int = 0) -> Any:
    return load_tfds(name, data_dir=folder, validation_fraction=0.2, seed=seed)


def index_of(x: np.ndarray) -> list[int]:
    """The index that each image of `labeled` is full of."""
    assert (x == x[:, :1, :1]).all()
    return np.round(255 * x[:, 0, 0, 0]).astype(int).tolist()


def test_images_and_labels_are_those_written(tmp_path: Path) -> None:
    folder = write(tmp_path, {"train": labeled(50), "test": labeled(7, first=50)})
    splits = load(tmp_path)
    assert [len(part.x) for part in splits] == [40, 10, 7]
    assert sorted(index_of(splits.train.x) + index_of(splits.validation.x)) == list(range(50))
    assert sorted(index_of(splits.test.x)) == list(range(50, 57))
    for part in splits:
        assert part.x.shape[1:] == (4, 5, 1)
        assert part.x.dtype == np.float32
        assert part.labels.dtype == np.int32
        np.testing.assert_array_equal(part.labels, np.array(index_of(part.x)) % 3)
        np.testing.assert_array_equal(part.x[:, 0, 0, 0], np.float32(index_of(part.x)) / np.float32(255))
    assert count_examples(folder) == {"train": 50, "test": 7}


def test_more_examples_than_one_read_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aejax.datasets.tfds._BATCH", 16)
    write(tmp_path, {"train": labeled(50), "test": labeled(32)})
    splits = load(tmp_path)
    assert sorted(index_of(splits.train.x) + index_of(splits.validation.x)) == list(range(50))
    assert sorted(index_of(splits.test.x)) == list(range(32))


def test_without_a_test_split_a_part_of_train_is_taken(tmp_path: Path) -> None:
    write(tmp_path, {"train": labeled(50), "extra": labeled(5)})
    splits = load(tmp_path)
    assert [len(part.x) for part in splits] == [30, 10, 10]
    tenth = load_tfds("tiny", data_dir=tmp_path, validation_fraction=0.2, test_fraction=0.1, seed=0)
    assert [len(part.x) for part in tenth] == [35, 10, 5]
    assert sorted(index for part in splits for index in index_of(part.x)) == list(range(50))


def test_parts_depend_on_the_seed_alone(tmp_path: Path) -> None:
    write(tmp_path, {"train": labeled(50), "test": labeled(3)})
    first, same, other = (index_of(load(tmp_path, seed=seed).validation.x) for seed in (0, 0, 1))
    assert first == same != other


@pytest.mark.parametrize(
    "label", [None, tfds.features.Scalar(np.float32), tfds.features.Tensor(shape=(2,), dtype=np.int64)]
)
def test_labels_are_integers_or_none(tmp_path: Path, label: Any) -> None:
    features = {"image": GRAY} | ({"label": label} if label else {})
    value = [1, 2] if label and label.shape else 1.5
    examples = [{key: example[key] for key in features} for example in labeled(10)]
    for example in examples:
        if label:
            example["label"] = value
    write(tmp_path, {"train": examples, "test": examples}, features)
    assert all(part.labels is None for part in load(tmp_path))


def test_images_of_bytes_0_and_1_keep_them(tmp_path: Path) -> None:
    examples = [{"image": png(np.full((4, 5), index % 2, np.uint8))} for index in range(10)]
    write(tmp_path, {"train": examples, "test": examples[:1]}, {"image": GRAY})
    splits = load(tmp_path)
    assert set(np.unique(splits.train.x)) == {0.0, 1.0}
    assert splits.test.x.max() == 0


def test_gray_images_of_a_color_set_become_color(tmp_path: Path) -> None:
    gray, color = np.arange(20, dtype=np.uint8).reshape(4, 5), np.arange(60, dtype=np.uint8).reshape(4, 5, 3)
    examples = [{"image": png(gray)}, {"image": png(color)}] * 5
    write(tmp_path, {"train": examples}, {"image": tfds.features.Image(shape=(4, 5, 3))})
    content = np.round(255 * load(tmp_path).train.x).astype(np.uint8)
    assert {image.tobytes() for image in content} == {np.repeat(gray, 3).tobytes(), color.tobytes()}


def test_reading_imports_neither_tensorflow_nor_jax(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, {"train": labeled(10), "test": labeled(3)})
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    program = """
import sys
from aejax.datasets.tfds import load_tfds
splits = load_tfds("tiny", validation_fraction=0.2, seed=0)
print([len(part.x) for part in splits], {"tensorflow", "jax"} & set(sys.modules))
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[8, 2, 3] set()\n"
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("fashion_mnits", "there is no data set 'fashion_mnits'; did you mean fashion_mnist"),
        ("digits", "digits is not a data set of TensorFlow Datasets, and needs no preparation"),
        ("digts", r"there is no data set 'digts'; did you mean digits\?$"),
        ("ECG500", r"did you mean ecg5000\?$"),
        ("jsb-chorals", r"did you mean jsb_chorales\?$"),
        ("qwertyuiop", "no data set 'qwertyuiop', and no file or folder of that name; data are .npy and .npz files, t"),
        ("emnist/lettres", "emnist has no configuration 'lettres'; did you mean letters"),
        ("mnist/nothing", "mnist has no configuration 'nothing'$"),
        ("", "there is no data set '', and no file or folder of that name"),
        ("../mnist", "^../mnist: there is no such file or folder; data are .npy and .npz files, tables"),
        ("huggingface:mnist", "there is no data set 'huggingface:mnist'"),
        ("mnist/a=1", "there is no data set 'mnist/a=1'; did you mean mnist"),
        ("FashionMNIST", "there is no data set 'FashionMNIST'; did you mean fashion_mnist"),
        ("mnist:3.0.1", "there is no data set 'mnist:3.0.1'"),
        ("houses", "^there is no data set 'houses', and no file or folder of that name"),
        ("~/faces.csv", r"/faces\.csv: there is no such file or folder; data are"),
    ],
)
def test_unknown_name(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        load(tmp_path, name)


@pytest.mark.parametrize("name", ["fashion_mnist", "nothing_like_it", "emnist/lettres"])
def test_no_temporary_folder_is_left(tmp_path: Path, temporary_folder: Path, name: str) -> None:
    with pytest.raises(UserError):
        load(tmp_path / "data", name)
    assert not list(temporary_folder.iterdir())


def test_reading_leaves_no_temporary_folder(tmp_path: Path, temporary_folder: Path) -> None:
    write(tmp_path / "data", {"train": labeled(10), "test": labeled(3)})
    before = set(temporary_folder.iterdir())
    load(tmp_path / "data")
    assert set(temporary_folder.iterdir()) == before


@pytest.mark.parametrize("name", ["fashion_mnist", "emnist/letters"])
def test_not_prepared(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "two words"
    with pytest.raises(UserError, match="is not prepared") as raised:
        load(folder, name)
    assert str(raised.value).endswith(verb_command("prepare", name, "--data-dir", folder))
    assert "\n" not in str(raised.value)
    assert not folder.exists()


def test_an_interrupted_preparation_is_not_taken_for_prepared(tmp_path: Path) -> None:
    folder = write(tmp_path, {"train": labeled(10)})
    (tmp_path / "mnist").mkdir()
    folder.rename(tmp_path / "mnist" / "incomplete.ABCDEF_3.0.1")
    with pytest.raises(UserError, match="mnist is not prepared"):
        load(tmp_path, "mnist")


def test_another_file_format(tmp_path: Path) -> None:
    write(tmp_path, {"train": labeled(10)}, file_format="parquet")
    with pytest.raises(
        UserError, match=r"holds parquet files, but only array_record is read .*the program that wrote it$"
    ):
        load(tmp_path)


def test_another_file_format_of_a_known_set(tmp_path: Path) -> None:
    folder = write(tmp_path, {"train": labeled(10)})
    description = folder / "dataset_info.json"
    content = description.read_text().replace('"1.0.0"', '"3.0.1"').replace("array_record", "tfrecord")
    description.write_text(content.replace("tiny", "mnist"))
    (tmp_path / "mnist").mkdir()
    folder.rename(tmp_path / "mnist" / "3.0.1")
    with pytest.raises(UserError, match="holds tfrecord files") as raised:
        load(tmp_path, "mnist")
    assert str(raised.value).endswith(f" prepare mnist --data-dir {tmp_path}/array_record")


@pytest.mark.parametrize(
    ("features", "found"),
    [
        ({"label": LABEL}, "label"),
        ({"image": tfds.features.Tensor(shape=(2, 2), dtype=np.uint8)}, "image"),
        ({"image": tfds.features.Image(shape=(4, 5, 1), dtype=np.uint16)}, "image"),
    ],
)
def test_no_images_of_bytes(tmp_path: Path, features: dict[str, Any], found: str) -> None:
    example = {"label": 0, "image": png(np.zeros((4, 5), np.uint8))}
    if isinstance(features.get("image"), tfds.features.Tensor):
        example["image"] = np.zeros((2, 2), np.uint8)
    write(tmp_path, {"train": [{key: example[key] for key in features}] * 5}, features)
    with pytest.raises(UserError, match=f"tiny has no 8-bit images .*; its features: {found}$"):
        load(tmp_path)


def test_images_of_several_sizes(tmp_path: Path) -> None:
    examples = [{"image": png(np.zeros(size, np.uint8))} for size in [(4, 5), (4, 5), (1, 5)]]
    write(tmp_path, {"train": examples}, {"image": tfds.features.Image(shape=(None, None, 1))})
    with pytest.raises(UserError, match=r"must have the same size, got \(., 5, 1\) and \(., 5, 1\)"):
        load(tmp_path)


def test_no_train_split(tmp_path: Path) -> None:
    write(tmp_path, {"test": labeled(10), "extra": labeled(5)})
    with pytest.raises(UserError, match=r"tiny has no train split; it has \['extra', 'test'\]"):
        load(tmp_path)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def overwrite(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:100] + bytes(40) + content[140:])


def claim_more(path: Path) -> None:
    path.write_text(path.read_text().replace('"50"', '"60"'))


@pytest.mark.parametrize(
    ("file", "damage"),
    [
        ("tiny-train.array_record-00000-of-00001", Path.unlink),
        ("tiny-train.array_record-00000-of-00001", truncate),
        ("tiny-train.array_record-00000-of-00001", overwrite),
        ("tiny-test.array_record-00000-of-00001", Path.unlink),
        ("dataset_info.json", claim_more),
        ("dataset_info.json", truncate),
        ("features.json", truncate),
    ],
)
def test_damaged(tmp_path: Path, file: str, damage: Callable[[Path], None]) -> None:
    folder = write(tmp_path, {"train": labeled(50), "test": labeled(3)})
    damage(folder / file)
    with pytest.raises(
        UserError, match=f"^{tmp_path}/tiny.* is damaged: .*; delete this folder and write it again with the program"
    ) as raised:
        load(tmp_path)
    assert "\n" not in str(raised.value)


def test_a_path_that_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="mnist is not prepared"):
        load(tmp_path / ("x" * 300), "mnist")


def test_a_folder_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **kwargs: Any) -> None:
        raise PermissionError(13, "Permission denied", "somewhere")

    monkeypatch.setattr(tfds, "builder", refuse)
    with pytest.raises(UserError, match=r"mnist cannot be read: .*Permission denied: 'somewhere'"):
        load(tmp_path, "mnist")


def test_damaged_by_the_loss_of_its_description(tmp_path: Path) -> None:
    (tmp_path / "mnist" / "3.0.1").mkdir(parents=True)
    with pytest.raises(UserError, match=r"mnist/3.0.1 is damaged: dataset_info.json is missing; delete this") as raised:
        load(tmp_path, "mnist")
    assert str(raised.value).endswith(f" prepare mnist --data-dir {tmp_path}")


def test_records_that_are_no_examples(tmp_path: Path) -> None:
    folder = write(tmp_path, {"train": labeled(3)})
    writer = ArrayRecordWriter(str(folder / "tiny-train.array_record-00000-of-00001"), "group_size:1")
    for _ in range(3):
        writer.write(b"no example")
    writer.close()
    with pytest.raises(UserError, match=r"tiny/1\.0\.0 is damaged: train: "):
        load(tmp_path)


def test_an_image_that_is_none(tmp_path: Path) -> None:
    write(tmp_path, {"train": [{"image": b"GIF89a? no"}]}, {"image": GRAY})
    with pytest.raises(UserError, match=r"tiny/1\.0\.0 is damaged: train: cannot identify image file"):
        load(tmp_path)
