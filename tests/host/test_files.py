"""Only regular files are opened, text is UTF-8 in any locale, and errors are one line."""

import ast
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from aejax.datasets import ecg5000, jsb_chorales
from aejax.datasets.arrays import load_arrays
from aejax.datasets.images import read_gray, read_image
from aejax.datasets.tfds import load_tfds
from aejax.errors import UserError
from aejax.experiment.configuration import Data
from aejax.experiment.loading import load_splits
from aejax.export import load_parameters
from aejax.host.files import check_tree, open_regular, read_bytes, read_text, write_text

ROOT = Path(__file__).parents[2]
KINDS = ["pipe", "device", "socket", "folder", "link to a device", "link to nothing", "loop of links"]


def make(kind: str, path: Path) -> Path:
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as server:
            place = os.getcwd()
            os.chdir(path.parent)  # a socket's path is short
            try:
                server.bind(path.name)
            finally:
                os.chdir(place)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to({"link to nothing": "nowhere", "loop of links": path.name}.get(kind, "/dev/zero"))
    return path


@pytest.fixture(autouse=True)
def in_time() -> Iterator[None]:
    """A test that would hang fails after 30 seconds."""
    import signal

    def late(*_: object) -> None:
        raise TimeoutError("it hangs")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(30)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def refused(call: Callable[[], object], name: str) -> None:
    with pytest.raises(UserError) as error:
        call()
    assert name in str(error.value)
    assert "\n" not in str(error.value)


READERS: dict[str, Callable[[Path], object]] = {
    "open": open_regular,
    "bytes": read_bytes,
    "text": read_text,
    "x.npy": load_arrays,
    "x.npz": load_arrays,
    "stored.npy": lambda path: load_arrays(path, stored=True),
    "page.png": read_gray,
    "page.tif": read_image,
    "params.safetensors": lambda path: load_parameters(path, {}),
    "ecg5000/ECG5000_TRAIN.txt": lambda path: ecg5000.load_ecg5000(path.parents[1]),
    "jsb_chorales/jsb-chorales-quarter.json": lambda path: jsb_chorales.load_jsb_chorales(path.parents[1]),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("reader", READERS)
def test_only_regular_files_are_read(tmp_path: Path, reader: str, kind: str) -> None:
    path = tmp_path / (reader if "." in reader else f"{reader}.file")
    path.parent.mkdir(exist_ok=True)
    refused(lambda: READERS[reader](make(kind, path)), path.name)


@pytest.mark.parametrize("kind", KINDS)
def test_only_regular_files_are_read_as_labels(tmp_path: Path, kind: str) -> None:
    np.save(tmp_path / "x.npy", np.ones((4, 3)))
    refused(lambda: load_arrays(tmp_path / "x.npy", make(kind, tmp_path / "labels.npy")), "labels.npy")


def test_a_prepared_set_with_a_pipe_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mnist" / "3.0.1").mkdir(parents=True)
    make("pipe", tmp_path / "mnist" / "3.0.1" / "dataset_info.json")
    refused(lambda: load_tfds("mnist", data_dir=tmp_path, validation_fraction=0.1, seed=0), "dataset_info.json")


def test_a_device_that_takes_the_place_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the check and the opening of the file."""
    path = tmp_path / "x"
    path.write_bytes(b"x")
    looked = os.stat(path)
    path.unlink()
    os.mkfifo(path)
    monkeypatch.setattr(os, "stat", lambda _: looked)
    refused(lambda: open_regular(path), "is a named pipe, expected a regular file")


@pytest.mark.parametrize("name", ["a\0b.npy", "\ud800.npy", "x" * 5000 + ".npy"])
def test_invalid_file_names_are_refused(name: str) -> None:
    refused(lambda: load_arrays(Path(name)), "")
    if len(name) < 5000:  # the system says that of a name that is too long, and scripts print it in one line
        refused(lambda: load_splits(Data(dataset=name)), "")


def test_text(tmp_path: Path) -> None:
    path = tmp_path / "text"
    write_text(path, "nats²\n")
    assert path.read_bytes() == "nats²\n".encode()
    assert read_text(path) == "nats²\n"
    write_text(path, "again")
    assert read_text(path, limit=5) == "again"
    refused(lambda: read_text(path, limit=4), "is larger than 4 bytes")
    path.write_bytes(b"one\ntwo \xff")
    refused(lambda: read_text(path), "text: line 2 is not UTF-8")
    for kind in KINDS[:4]:
        refused(lambda kind=kind: write_text(make(kind, tmp_path / kind), ""), f"{kind}: is a")


def test_a_file_larger_than_memory_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(2**40)
    refused(lambda: read_bytes(tmp_path / "sparse", limit=100), "is larger than 100 bytes")


def test_a_file_without_permission_to_read(tmp_path: Path) -> None:
    path = tmp_path / "mine"
    path.write_text("mine", encoding="utf-8")
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user reads any file")
    refused(lambda: read_bytes(path), "cannot be read: Permission denied")


def test_trees(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "c").touch()
    check_tree(tmp_path, links=False)
    check_tree(tmp_path / "nowhere")
    (tmp_path / "a" / "link").symlink_to("b")
    check_tree(tmp_path)
    refused(lambda: check_tree(tmp_path, links=False), "a/link: is a link")
    os.mkfifo(tmp_path / "a" / "b" / "pipe")
    refused(lambda: check_tree(tmp_path), "b/pipe: is a named pipe")


def _opened_as_text(call: ast.Call) -> bool:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    is_os = ast.unparse(call.func).split(".")[0] in ("os", "Image", "ts", "archive")
    if name in ("read_text", "write_text"):
        return isinstance(call.func, ast.Attribute)
    if name != "open" or is_os:
        return False
    modes = [argument.value for argument in call.args if isinstance(argument, ast.Constant)]
    return not any("b" in str(mode) for mode in modes)


@pytest.mark.slow
@pytest.mark.parametrize("path", [*ROOT.glob("aejax/**/*.py"), *ROOT.glob("scripts/*.py")], ids=lambda p: p.name)
def test_every_text_file_is_utf_8(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for call in ast.walk(tree):
        if isinstance(call, ast.Call) and _opened_as_text(call):
            named = {keyword.arg: keyword.value for keyword in call.keywords}
            assert isinstance(named.get("encoding"), ast.Constant), f"{path}:{call.lineno}"


def test_text_is_utf_8_in_an_ascii_locale(tmp_path: Path) -> None:
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii"}
    program = (
        "import locale, pathlib\nfrom aejax.host.files import read_text, write_text\n"
        "assert locale.getpreferredencoding(False) != 'UTF-8'\n"
        "path = pathlib.Path('report.html')\nwrite_text(path, 'nats\\xb2')\nassert read_text(path) == 'nats\\xb2'\n"
    )
    environment = os.environ | plain | {"PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, env=environment, check=True)
    assert (tmp_path / "report.html").read_bytes() == "nats²".encode()
    assert stat.S_ISREG((tmp_path / "report.html").stat().st_mode)
