"""Data sets prepared for real by TensorFlow Datasets, from small archives and, where they are, from the originals."""

import gzip
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
import tensorflow_datasets as tfds
from PIL import Image
from tensorflow_datasets.core.download.checksums import UrlInfo
from tensorflow_datasets.core.utils import Size
from tensorflow_datasets.image_classification import mnist

from aejax.datasets.prepare import prepare_tfds
from aejax.datasets.tfds import load_tfds
from aejax.errors import UserError
from aejax.host.commands import verb_command

ORIGINALS = os.environ.get("AEJAX_DATA_DIR")
SCRIPT = Path(__file__).parents[2] / "scripts" / "prepare_data.py"
needs_tensorflow = pytest.mark.skipif(importlib.util.find_spec("tensorflow") is None, reason="no TensorFlow here")
SIZES = {"train": 50, "t10k": 7}


@pytest.fixture(autouse=True)
def no_shared_archives_and_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **kwargs: Any) -> None:
        raise requests.ConnectionError("no network\nat all")

    monkeypatch.delenv("AEJAX_DATA_DIR", raising=False)
    monkeypatch.setattr(requests.Session, "request", refuse)


def idx(values: np.ndarray) -> bytes:
    sizes = np.array(values.shape, ">u4").tobytes()
    return gzip.compress(bytes([0, 0, 8, values.ndim]) + sizes + values.tobytes())


def contents(seed: int) -> dict[str, np.ndarray]:
    """What the four archives of MNIST or a relative hold, in small."""
    random = np.random.default_rng(seed)
    return {
        f"{part}-{kind}-ubyte.gz": random.integers(0, high, (size, *shape), dtype=np.uint8)
        for part, size in SIZES.items()
        for kind, shape, high in (("images-idx3", (28, 28), 256), ("labels-idx1", (), 10))
    }


@pytest.fixture
def archives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with archives of mnist and fashion_mnist, whose checksums TFDS knows."""
    for seed, original in enumerate([mnist.MNIST, mnist.FashionMNIST]):
        folder = tmp_path / "archives" / original.name
        folder.mkdir(parents=True)
        known = {}
        for file, values in contents(seed).items():
            content = idx(values)
            (folder / file).write_bytes(content)
            checksum = hashlib.sha256(content).hexdigest()
            known[original.URL + file] = UrlInfo(size=Size(len(content)), checksum=checksum, filename=file)
        monkeypatch.setattr(original, "url_infos", known)
    return tmp_path / "archives"


def prepare(name: str, folder: Path, archives: Path | None) -> Path:
    return prepare_tfds(name, data_dir=folder, manual_dir=archives / name if archives else None)


def load(name: str, folder: Path) -> Any:
    return load_tfds(name, data_dir=folder, validation_fraction=0.2, seed=0)


def pairs(x: np.ndarray, labels: np.ndarray) -> list[tuple[bytes, int]]:
    """Images and labels in an order that does not depend on that of the data set."""
    return sorted((image.tobytes(), int(label)) for image, label in zip(x, labels, strict=True))


def assert_same_as_archives(splits: Any, held: dict[str, np.ndarray]) -> None:
    read = {
        "train": [np.concatenate(both) for both in zip(splits.train[:2], splits.validation[:2], strict=True)],
        "t10k": splits.test[:2],
    }
    for part, (x, labels) in read.items():
        assert x.shape[1:] == (28, 28, 1)
        images = np.round(255 * x).astype(np.uint8)
        np.testing.assert_array_equal(images.astype(np.float32) / np.float32(255), x)
        assert pairs(images, labels) == pairs(
            held[f"{part}-images-idx3-ubyte.gz"], held[f"{part}-labels-idx1-ubyte.gz"]
        )


def test_relatives_in_one_folder_keep_their_own_images(tmp_path: Path, archives: Path) -> None:
    # Their archives have the same file names, by which TFDS would take one's extracted archives for the other's.
    for seed, name in enumerate(["mnist", "fashion_mnist"]):
        assert prepare(name, tmp_path / "data", archives) == tmp_path / "data" / name / "3.0.1"
        assert_same_as_archives(load(name, tmp_path / "data"), contents(seed))
    assert not list((tmp_path / "data").glob("extracted-*"))


def test_what_is_prepared_is_left_alone(tmp_path: Path, archives: Path) -> None:
    folder = prepare("mnist", tmp_path / "data", archives)
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert prepare("mnist", tmp_path / "data", tmp_path / "nowhere") == folder
    assert before == {path: path.stat().st_mtime_ns for path in folder.iterdir()}


def test_archives_of_the_environment(tmp_path: Path, archives: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AEJAX_DATA_DIR", str(archives))
    prepare("fashion_mnist", tmp_path / "data", None)
    assert_same_as_archives(load("fashion_mnist", tmp_path / "data"), contents(1))


def test_without_archives_they_are_downloaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AEJAX_DATA_DIR", str(tmp_path))
    with pytest.raises(UserError, match="mnist cannot be downloaded: no network; manual_dir reads the original"):
        prepare("mnist", tmp_path / "data", None)
    assert_nothing_prepared(tmp_path / "data")


def assert_nothing_prepared(folder: Path) -> None:
    with pytest.raises(UserError, match="mnist is not prepared"):
        load("mnist", folder)
    assert not [path for path in folder.rglob("*") if path.is_file()]


def test_wrong_checksum(tmp_path: Path, archives: Path) -> None:
    file = archives / "mnist" / "t10k-labels-idx1-ubyte.gz"
    content = file.read_bytes()
    file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(UserError, match=r"mnist: not the original file: .*mnist/t10k-labels.*, has wrong checksum$"):
        prepare("mnist", tmp_path / "data", archives)
    assert_nothing_prepared(tmp_path / "data")
    file.write_bytes(content)
    prepare("mnist", tmp_path / "data", archives)
    assert_same_as_archives(load("mnist", tmp_path / "data"), contents(0))


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError("No space left")])
def test_an_interrupted_preparation_leaves_nothing(
    tmp_path: Path, archives: Path, monkeypatch: pytest.MonkeyPatch, error: Any
) -> None:
    def interrupted(values: np.ndarray) -> Image.Image:
        if next(count) == 20:
            raise error
        return Image.frombytes("L", (28, 28), values.tobytes())

    count = iter(range(100))
    with monkeypatch.context() as patch:
        patch.setattr("aejax.datasets.prepare.Image.fromarray", interrupted)
        with pytest.raises((KeyboardInterrupt, UserError), match=r"^$|cannot be prepared in .*No space left"):
            prepare("mnist", tmp_path / "data", archives)
    assert_nothing_prepared(tmp_path / "data")
    prepare("mnist", tmp_path / "data", archives)
    assert_same_as_archives(load("mnist", tmp_path / "data"), contents(0))


def test_a_killed_preparation_is_not_taken_for_prepared(tmp_path: Path, archives: Path) -> None:
    folder = prepare("mnist", tmp_path / "data", archives)
    shutil.move(folder, folder.parent / "incomplete.ABCDEF_3.0.1")
    with pytest.raises(UserError, match="mnist is not prepared"):
        load("mnist", tmp_path / "data")
    prepare("mnist", tmp_path / "data", archives)
    assert_same_as_archives(load("mnist", tmp_path / "data"), contents(0))


def test_no_such_manual_dir(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nowhere/mnist: no such folder with the archives of mnist"):
        prepare("mnist", tmp_path / "data", tmp_path / "nowhere")


def test_archives_that_are_missing(tmp_path: Path, archives: Path) -> None:
    for part in SIZES:
        (archives / "mnist" / f"{part}-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(UserError, match=r"mnist lacks t10k-labels-idx1-ubyte.gz, train-labels-idx1-ubyte.gz, the orig"):
        prepare("mnist", tmp_path / "data", archives)
    assert not (tmp_path / "data").exists()


def test_a_set_to_be_fetched_by_hand(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match="imagenet2012 must be downloaded by hand, for manual_dir: manual_dir should contain"
    ) as raised:
        prepare("imagenet2012", tmp_path, None)
    assert "\n" not in str(raised.value)


def test_without_tensorflow_other_sets_cannot_be_prepared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"preparing cifar10 needs TensorFlow: pip install 'aejax\[tfds\]'"):
        prepare("cifar10", tmp_path, None)


def test_a_set_without_images(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="imdb_reviews has no 8-bit images"):
        prepare("imdb_reviews", tmp_path, None)


def test_an_unknown_name(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="did you mean fashion_mnist"):
        prepare("fashion_mnits", tmp_path, None)
    with pytest.raises(UserError, match="documents is not a data set of TensorFlow Datasets, and needs no preparation"):
        prepare("documents", tmp_path, None)


def test_a_data_dir_that_cannot_be_written(tmp_path: Path, archives: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"mnist cannot be prepared in .*/file: .*File exists"):
        prepare("mnist", tmp_path / "file", archives)


def test_a_folder_that_holds_something_else(tmp_path: Path, archives: Path) -> None:
    description = prepare("mnist", tmp_path / "data", archives) / "dataset_info.json"
    description.write_text(description.read_text().replace("array_record", "tfrecord"))
    with pytest.raises(UserError, match="holds tfrecord files"):
        prepare("mnist", tmp_path / "data", archives)
    description.unlink()
    with pytest.raises(UserError, match=r"is damaged: dataset_info.json is missing"):
        prepare("mnist", tmp_path / "data", archives)


@needs_tensorflow
def test_sets_that_need_tensorflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # TFDS encodes arrays and extracts archives with TensorFlow; the archives of both have one file name.
    class Arrays(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        VERSION = tfds.core.Version("1.0.0")

        def _info(self) -> Any:
            features = {
                "image": tfds.features.Image(shape=(28, 28, 1)),
                "label": tfds.features.ClassLabel(num_classes=10),
            }
            return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

        def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
            paths = dl_manager.download_and_extract(
                {file: f"http://nowhere/{self.name}/{file}" for file in contents(0)}
            )
            return {
                split: self._generate_examples(
                    paths[f"{part}-images-idx3-ubyte.gz"], paths[f"{part}-labels-idx1-ubyte.gz"]
                )
                for split, part in (("train", "train"), ("test", "t10k"))
            }

        def _generate_examples(self, images: Any, labels: Any) -> Iterator[tuple[int, dict[str, Any]]]:
            x = np.frombuffer(images.read_bytes(), np.uint8, offset=16).reshape(-1, 28, 28, 1)
            y = np.frombuffer(labels.read_bytes(), np.uint8, offset=8)
            for index, (image, label) in enumerate(zip(x, y, strict=True)):
                yield index, {"image": image, "label": int(label)}

    for seed, name in enumerate(["first_arrays", "second_arrays"]):
        known, archives = {}, tmp_path / "archives" / name
        archives.mkdir(parents=True)
        for file, values in contents(seed).items():
            (archives / file).write_bytes(idx(values))
            checksum = hashlib.sha256(idx(values)).hexdigest()
            size = Size(len(idx(values)))
            known[f"http://nowhere/{name}/{file}"] = UrlInfo(size=size, checksum=checksum, filename=file)
        builder = type("Named", (Arrays,), {"name": name, "url_infos": known}, skip_registration=True)
        with monkeypatch.context() as patch:
            patch.setattr("aejax.datasets.prepare.find_builder", lambda name, data_dir, b=builder: b(data_dir=data_dir))
            prepare(name, tmp_path / "data", tmp_path / "archives")
        assert_same_as_archives(load(name, tmp_path / "data"), contents(seed))


@pytest.mark.slow
@pytest.mark.skipif(ORIGINALS is None, reason="AEJAX_DATA_DIR names no folder with the original archives")
@pytest.mark.parametrize("name", ["fashion_mnist", "mnist"])
def test_the_original_archives(tmp_path: Path, name: str) -> None:
    originals = Path(str(ORIGINALS)) / name
    if not originals.is_dir():
        pytest.skip(f"AEJAX_DATA_DIR has no folder {name}")
    prepare_tfds(name, data_dir=tmp_path, manual_dir=originals)
    splits = load_tfds(name, data_dir=tmp_path, validation_fraction=0.1, seed=0)
    assert [len(part.x) for part in splits] == [54000, 6000, 10000]
    held = {}
    for file in contents(0):
        header = 16 if "images" in file else 8
        values = np.frombuffer(gzip.decompress((originals / file).read_bytes()), np.uint8, offset=header)
        held[file] = values.reshape(-1, 28, 28) if "images" in file else values
    assert_same_as_archives(splits, held)


@pytest.mark.slow
@pytest.mark.skipif(ORIGINALS is None, reason="AEJAX_DATA_DIR names no folder with the original archives")
@needs_tensorflow
def test_with_and_without_tensorflow_the_same_is_prepared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    originals = Path(str(ORIGINALS)) / "mnist"
    prepare_tfds("mnist", data_dir=tmp_path / "without", manual_dir=originals)
    monkeypatch.setattr("aejax.datasets.prepare.IDX_SETS", ())
    prepare_tfds("mnist", data_dir=tmp_path / "with", manual_dir=originals)
    for ours, theirs in zip(load("mnist", tmp_path / "without"), load("mnist", tmp_path / "with"), strict=True):
        np.testing.assert_array_equal(ours.x, theirs.x)
        np.testing.assert_array_equal(ours.labels, theirs.labels)


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, SCRIPT, *arguments], capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_script(tmp_path: Path, archives: Path) -> None:
    folder = prepare("mnist", tmp_path / "two words", archives)
    done = run("mnist", "--data-dir", tmp_path / "two words")
    assert done.returncode == 0
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        f"mnist: 50 train, 7 test examples in {folder}",
        f"train on it: {verb_command('train', 'mnist-vae', '--data-dir', tmp_path / 'two words')}",
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fashion_mnits"], "there is no data set 'fashion_mnits'; did you mean fashion_mnist?"),
        (["mnist", "--manual-dir", "/nowhere"], "/nowhere: no such folder with the archives of mnist"),
        ([], "NAME"),
    ],
)
def test_script_says_in_one_line_what_is_wrong(tmp_path: Path, arguments: list[str], message: str) -> None:
    done = run(*arguments, "--data-dir", tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    line = done.stderr.removesuffix("\n")
    assert line.startswith("prepare_data.py: error: ")
    assert message in line
    assert "\n" not in line


def test_script_helps_before_it_imports_anything_slow() -> None:
    program = f"""
import runpy, sys
sys.argv = ["prepare_data.py", "--help"]
try:
    runpy.run_path({str(SCRIPT)!r}, run_name="__main__")
except SystemExit as stop:
    assert stop.code == 0
print({{"tensorflow", "tensorflow_datasets", "jax", "numpy"}} & set(sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "aejax prepare fashion_mnist" in done.stdout
    assert done.stdout.splitlines()[-1] == "set()"
