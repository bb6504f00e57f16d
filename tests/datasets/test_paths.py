"""What is said of a path at which no data can be read."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aejax.datasets.arrays import load_arrays
from aejax.errors import UserError
from aejax.experiment.configuration import Data
from aejax.experiment.loading import load_splits, locate


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with files and folders of many kinds, which is the current one."""
    monkeypatch.chdir(tmp_path)
    for name in ("faces", "empty", "run", "run/checkpoints", "mine.npz", "classes", "classes/cats"):
        (tmp_path / name).mkdir()
    for name in ("faces/0.png", "faces/1.JPG", "classes/cats/0.png"):
        Image.new("RGB", (8, 8)).save(tmp_path / name, "PNG")
    for name in (
        "table.txt",
        "x.h5",
        "x.mat",
        "x.xlsx",
        "x.pt",
        "x.pkl",
        "x.zip",
        "noend",
        "run/config.json",
    ):
        (tmp_path / name).write_text("1,2\n")
    (tmp_path / "nowhere").symlink_to("missing")
    return tmp_path


PATHS = {
    "faces/0.png": "is an image; ",
    "faces/1.JPG": "is an image; ",
    "empty": "is an empty folder; ",
    "run": "is the folder of a run",
    "table.txt": "is a text file; ",
    "x.h5": "is an HDF5 file; ",
    "x.mat": "is a MATLAB file; ",
    "x.xlsx": "is a spreadsheet; ",
    "x.pt": "is a PyTorch file; ",
    "x.pkl": "is a pickle",
    "x.zip": "is an archive; ",
    "noend": "is a file of an unknown kind; ",
    "mine.npz": "is an empty folder; ",
    "nowhere": "is a broken link; ",
}


@pytest.mark.parametrize(("name", "message"), PATHS.items())
def test_what_is_there_is_said_to_be_what_it_is(here: Path, name: str, message: str) -> None:
    for load in (lambda: load_splits(locate(Data(dataset=name))), lambda: load_arrays(Path(name))):
        with pytest.raises(UserError) as error:
            load()
        said = str(error.value)
        assert message in said
        assert said.count("\n") == 0
        assert ".npy and .npz files" in said
        assert "TensorFlow Datasets has no" not in said
        assert "did you mean" not in said


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("tabel.txt", "tabel.txt: there is no such file or folder; did you mean table.txt?"),
        (
            "./nothing",
            "nothing: there is no such file or folder; data are .npy and .npz files, tables in .csv,",
        ),
        ("some/where/else", "some/where/else: there is no such file or folder"),
        ("digitz", "there is no data set 'digitz'; did you mean digits?"),
        ("document", "there is no data set 'document'; did you mean documents?"),
    ],
)
def test_what_is_not_there(here: Path, name: str, message: str) -> None:
    with pytest.raises(UserError) as error:
        load_splits(Data(dataset=name))
    assert message in str(error.value)


def test_arrays_whose_names_end_in_capital_letters(here: Path) -> None:
    with Path("ARRAYS.NPY").open("wb") as file:
        np.save(file, np.random.default_rng(0).uniform(size=(50, 3)))
    data = locate(Data(dataset="ARRAYS.NPY"))
    assert data.dataset == str(here / "ARRAYS.NPY")
    assert load_splits(data).train.x.shape == (35, 3)
